"""A progress bar that is shown when it is asked for: the one place that starts one."""

from __future__ import annotations

from typing import Any

__all__ = ["Progress"]


class Progress:
    """Counts steps; with ``show`` as a bar of tqdm, otherwise in silence.

    Parameters
    ----------
    total : int or None
        Number of steps; None if it is not known.
    name : str
        What is running.
    unit : str
        What a step is.
    show : bool
        Whether to show it.
    """

    def __init__(self, total: int | None, name: str, unit: str, *, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=name, unit=unit)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, steps: int = 1, **said: str) -> None:
        """Count steps, with something to say about them.

        Parameters
        ----------
        steps : int, default 1
            How many steps have been taken.
        **said : str
            Shown beside the bar.
        """
        if self._bar is not None:
            self._bar.set_postfix(said, refresh=False)
            self._bar.update(steps)
