"""Small linear algebra that several modules need, each in one place.

Matrix factorisations come from scipy (imported on first use: ``import scipy`` is cheap,
``scipy.linalg`` loads when it is touched).
"""

from __future__ import annotations

import numpy as np
import scipy

__all__ = [
    "covariance_factor",
    "nilpotent_staircase",
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


def covariance_factor(P: np.ndarray) -> np.ndarray:
    """Return F (n, r) with F F' = P for a positive semidefinite P, r its numerical rank.

    The rank rule is applied to the correlation matrix, so units do not matter. What rounding leaves
    of a zero eigenvalue is dropped: its root would be noise of 1e-8 in a direction that has none.
    """
    if P.shape[0] == 0:
        return np.zeros((0, 0), dtype=P.dtype)
    deviation = np.sqrt(np.real(np.diag(P)).clip(min=0.0))
    unit = np.where(deviation > 0, deviation, 1.0)
    eigenvalues, vectors = scipy.linalg.eigh(symmetrize(P / unit / unit[:, np.newaxis]))
    keep = eigenvalues > rank_tolerance(P.shape, max(eigenvalues[-1], 0.0))
    return unit[:, np.newaxis] * vectors[:, keep] * np.sqrt(eigenvalues[keep])


def triangular_factor(matrix: np.ndarray) -> np.ndarray:
    """Return R (min(k, d), d) of the QR factorisation of a (k, d) matrix."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))


def nilpotent_staircase(
    A: np.ndarray, tol: float | None
) -> tuple[np.ndarray, np.ndarray, list[int], list[np.ndarray]]:
    """Separate the nilpotent part of a matrix by null spaces, never by eigenvalues.

    Parameters
    ----------
    A : (n, n) ndarray
        The matrix.
    tol : float or None
        A singular value counts as zero up to ``tol`` times the spectral norm of A. None: ten n
        times machine epsilon, times the factor (at most 1 / sqrt(eps)) by which the decisions
        before, each with relative smallest kept value s, amplify rounding, 1 / s.

    Returns
    -------
    Q : (n, n) ndarray
        Unitary; its first ``sum(sizes)`` columns span the kernel of A^n.
    W : (n, n) ndarray
        Q' A Q: strictly block upper triangular in the leading part, with zeros below it.
    sizes : list of int
        Sizes of the leading diagonal blocks, not increasing (the Weyr characteristic of 0).
    singular_values : list of ndarray
        What was compared at each level, relative to the norm of A.
    """
    n = A.shape[0]
    W, Q = np.array(A), np.eye(n, dtype=A.dtype)
    scale = float(np.linalg.norm(A, 2)) if n else 0.0
    limit, amplified = 10 * n * np.finfo(float).eps if tol is None else tol, 1.0
    sizes: list[int] = []
    values: list[np.ndarray] = []
    k = 0
    while k < n:
        _, s, Vh = np.linalg.svd(W[k:, k:])
        s = s / scale if scale > 0 else s
        values.append(s)
        kept = int((s > limit * amplified).sum())
        if kept == n - k:
            break
        if tol is None and kept:
            amplified = min(amplified / float(s[kept - 1]), float(np.finfo(float).eps ** -0.5))
        V = np.concatenate([Vh[kept:], Vh[:kept]]).conj().T
        W[:, k:] = W[:, k:] @ V
        W[k:, :] = V.conj().T @ W[k:, :]
        Q[:, k:] = Q[:, k:] @ V
        size = n - k - kept
        W[k:, k : k + size] = 0.0
        sizes.append(size)
        k += size
    return Q, W, sizes, values
