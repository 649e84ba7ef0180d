"""Gaussian vectors by their factors: x = F e with e of unit covariance, cov x = F F'.

Conditioning one linear function of e on another is a projection on the rows of a matrix, so nothing
is subtracted and a covariance may be singular: it stays positive semidefinite to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from realization.internal import covariance_factor, rank_tolerance

__all__ = ["RowSpace", "joint_factor", "row_space"]


class RowSpace(NamedTuple):
    """A matrix M (n, k) of rank r, split as M = factor @ rows with orthonormal rows.

    M e for a unit e is ``factor @ z`` with z = rows @ e of unit covariance, and z = inverse @ M e;
    what M e says nothing about is rest @ e.
    """

    factor: np.ndarray  # (n, r)
    inverse: np.ndarray  # (r, n), inverse @ factor = I
    rows: np.ndarray  # (r, k), orthonormal
    rest: np.ndarray  # (k - r, k), orthonormal complement


def row_space(M: np.ndarray) -> RowSpace:
    """Split a matrix; each of its rows is measured in its own length, so units do not matter."""
    n, k = M.shape
    length = np.linalg.norm(M, axis=1)
    unit = np.where(length > 0, length, 1.0)
    U, s, Vt = np.linalg.svd(M / unit[:, np.newaxis])
    rank = int((s > rank_tolerance((n, k), s[0] if s.size else 0.0)).sum())
    U, s = U[:, :rank], s[:rank]
    return RowSpace(
        unit[:, np.newaxis] * U * s, (U / unit[:, np.newaxis] / s).T, Vt[:rank], Vt[rank:]
    )


def joint_factor(Q: np.ndarray, R: np.ndarray, S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W (n, k) and V (p, k) with [W; V] [W; V]' = [[Q, S], [S', R]]."""
    factor = covariance_factor(np.block([[Q, S], [S.T, R]]))
    return factor[: Q.shape[0]], factor[Q.shape[0] :]
