"""Small linear algebra that several modules need, each in one place.

Matrix factorisations come from scipy (imported on first use: ``import scipy`` is cheap,
``scipy.linalg`` loads when it is touched).
"""

from __future__ import annotations

import numpy as np
import scipy

__all__ = [
    "covariance_factor",
    "rank_tolerance",
    "stability_margin",
    "symmetrize",
    "triangular_factor",
]


def symmetrize(matrix: np.ndarray) -> np.ndarray:
    """Return the Hermitian part of (..., n, n) matrices."""
    return (matrix + np.swapaxes(matrix.conj(), -1, -2)) / 2


def stability_margin(A: np.ndarray, dt: float) -> float:
    """Return ``1 - max|eig A|`` (dt > 0) or ``-max Re eig A`` (dt = 0); inf for order 0."""
    if A.shape[0] == 0:
        return np.inf
    eigenvalues = np.linalg.eigvals(A)
    if dt == 0.0:
        return float(-eigenvalues.real.max())
    return float(1.0 - np.abs(eigenvalues).max())


def rank_tolerance(shape: tuple[int, ...], largest: float) -> float:
    """Return the house's rank rule: ``max(shape) * eps * largest`` (singular value)."""
    return max(shape, default=0) * np.finfo(float).eps * largest


def covariance_factor(P: np.ndarray, *, tol: float = 0.0) -> np.ndarray:
    """Return F (n, r) with F F' = P for a positive semidefinite P, r its numerical rank.

    Eigenvalues at or below ``tol * largest`` (and all that rounding made negative) are dropped.
    """
    if P.shape[0] == 0:
        return np.zeros((0, 0), dtype=P.dtype)
    eigenvalues, vectors = scipy.linalg.eigh(symmetrize(P))
    keep = eigenvalues > max(tol * eigenvalues[-1], 0.0)
    return vectors[:, keep] * np.sqrt(eigenvalues[keep])


def triangular_factor(matrix: np.ndarray) -> np.ndarray:
    """Return R (min(k, d), d) of the QR factorisation of a (k, d) matrix."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))
