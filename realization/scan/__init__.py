"""Numba-compiled scans: the recurrences that the whole toolkit runs on."""

from .bilinear import bilinear_scan
from .diagonal import diagonal_scan
from .linear import linear_scan
from .selective import selective_scan

__all__ = ["bilinear_scan", "diagonal_scan", "linear_scan", "selective_scan"]
