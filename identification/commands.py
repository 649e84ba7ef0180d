"""What the commands have in common: sentences instead of tracebacks and of warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from realization.internal import require_target

__all__ = ["check_target", "sentences"]


@contextmanager
def sentences() -> Iterator[None]:
    """Tell errors and warnings on the terminal, each in its own sentence; an error exits with 1."""
    import typer
    from tqdm import tqdm

    def note(message: Any, *details: Any, **more: Any) -> None:
        """Print the text of a warning, not into a progress bar."""
        tqdm.write(f"note: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = note
        try:
            yield
        except (OSError, ImportError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            text = str(error)
            if isinstance(error, OSError) and error.strerror and error.filename:
                text = f"{str(error.filename)!r}: {error.strerror}"  # without the number of it
            typer.echo(f"error: {text}", err=True)
            raise typer.Exit(1) from None


def check_target(path: Path, suffix: str) -> None:
    """Raise if a file cannot be written: better now than after the work."""
    if path.suffix.lower() != suffix:
        raise ValueError(f"the file to write must end in {suffix}; got {path.name!r}.")
    require_target(path)
