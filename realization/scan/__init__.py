"""Numba-compiled scans: the recurrences that the whole toolkit runs on."""

from .linear import linear_scan

__all__ = ["linear_scan"]
