"""A progress bar that is shown when it is asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["Progress"]


class Progress:
    """Counts steps; with ``show`` as a bar of tqdm, otherwise in silence.

    Parameters
    ----------
    total : int
        Number of steps.
    name : str
        What is running.
    unit : str
        What a step is.
    show : bool
        Whether to show it.
    """

    def __init__(self, total: int, name: str, unit: str, *, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=name, unit=unit)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, **said: str) -> None:
        """Count one step, with something to say about it.

        Parameters
        ----------
        **said : str
            Shown beside the bar.
        """
        if self._bar is not None:
            self._bar.set_postfix(said, refresh=False)
            self._bar.update()
