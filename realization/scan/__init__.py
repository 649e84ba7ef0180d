"""Numba-compiled scans: the recurrences that the whole toolkit runs on."""

from .bilinear import bilinear_scan
from .diagonal import diagonal_scan
from .kalman import KalmanPath, kalman_scan
from .linear import linear_scan
from .selective import selective_scan

__all__ = [
    "KalmanPath",
    "bilinear_scan",
    "diagonal_scan",
    "kalman_scan",
    "linear_scan",
    "selective_scan",
]
