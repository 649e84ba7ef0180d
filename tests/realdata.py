"""Where tests find the measured data sets; tests that need them skip with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

VARIABLE = "STOCHASTIC_REALIZATION_DATA"


def data_file(*parts: str) -> Path:
    """Return the path of a data file, or skip the test."""
    root = os.environ.get(VARIABLE)
    if not root:
        pytest.skip(f"needs measured data: set {VARIABLE} to the folder that holds them")
    path = Path(root).joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"needs {'/'.join(parts)} in the folder named by {VARIABLE}")
    return path


def daisy(name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (y, u) of one of the DaISy records."""
    table = np.loadtxt(data_file("daisy", f"{name}.dat"))
    columns = {
        "dryer": ([1], [0]),
        "robot_arm": ([1], [0]),
        "CD_player_arm": ([2, 3], [0, 1]),
        "heating_system": ([2], [1]),
        "winding": ([5, 6], [0, 1, 2, 3, 4]),
        "steamgen": ([5, 6, 7, 8], [1, 2, 3, 4]),
        "pHdata": ([3], [1, 2]),
        "foetal_ecg": (list(range(1, 9)), []),
    }[name]
    return table[:, columns[0]], table[:, columns[1]] if columns[1] else None


def slicot(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, u) of a SLICOT example with `count` samples."""
    lines = data_file("slicot", f"{name}.dat").read_text().splitlines()
    numbers = [line.split() for line in lines]
    first = next(k for k, row in enumerate(numbers) if len(row) == 1 and _is_number(row[0]))
    values = np.array([float(x) for row in numbers[first:] for x in row])
    return values[count : 2 * count], values[:count]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
