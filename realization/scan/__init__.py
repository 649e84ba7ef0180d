"""Numba-compiled scans: the recurrences that the whole toolkit runs on."""
