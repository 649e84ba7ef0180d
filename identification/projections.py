r"""Geometry of past and future on a ``HankelFactor``: projections, weights, state sequences.

The rows of the transposed factor are the data rows in an orthonormal basis, so every projection of
the (very long) data is a small one here. Glossary, with Van Overschee and De Moor's symbols:

    Uf, Yf      future inputs and outputs                    U_f, Y_f
    Wp          past inputs and outputs                      W_p
    oblique     Y_f along U_f on W_p                         O_i
    joint       Y_f on [W_p; U_f]                            Z_i
    Gamma       extended observability matrix                Gamma_i
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from realization.internal import covariance_factor, triangular_factor

from .hankel_factor import HankelFactor

__all__ = [
    "FactorBlocks",
    "WeightedSubspace",
    "full_rank",
    "regress",
    "row_whitening",
    "weighted_subspace",
]

Weight = Literal["n4sid", "moesp", "cva", "ivm"]
UNDERFLOW = 1e-100  # of a row: nothing but what a decayed response left
ROUNDING = 100 * np.finfo(float).eps  # of an accumulated factor, relative, per row: decides ranks
WEIGHTS: tuple[Weight, ...] = ("n4sid", "moesp", "cva", "ivm")


@dataclass(frozen=True, slots=True, eq=False)
class FactorBlocks:
    """The rows of the data in orthonormal coordinates, cut into past and future.

    Parameters
    ----------
    rows : (d - 1, d - 1 or d) ndarray
        Lower triangular; rows ordered u_f, u_p, y_p, y_f.
    n_outputs : int
        p.
    n_inputs : int
        m.
    past : int
        Number of past samples.
    future : int
        Number of future samples.
    n_columns : int
        Number of start times behind the factor.
    n_samples : int
        Number of samples behind the factor.
    """

    rows: np.ndarray
    n_outputs: int
    n_inputs: int
    past: int
    future: int
    n_columns: int
    n_samples: int

    @classmethod
    def from_factor(cls, factor: HankelFactor, *, remove_means: bool) -> FactorBlocks:
        """Cut a factor; with `remove_means` the constant is projected out first."""
        R = factor.R[1:, 1:] if remove_means else triangular_factor(factor.R[:, 1:])
        sizes = (factor.n_outputs, factor.n_inputs, factor.past, factor.future)
        return cls(R.T, *sizes, factor.n_columns, factor.n_samples)

    @classmethod
    def from_covariances(
        cls, covariances: np.ndarray, *, past: int, future: int, n_samples: int
    ) -> FactorBlocks:
        r"""Return the blocks of a process without inputs that has these covariances.

        The rows times their transpose are `n_samples` times the block Toeplitz matrix
        :math:`[\Lambda_{i-j}]`, i, j = 0 .. past + future - 1, which must be positive semidefinite.
        """
        p, count = covariances.shape[1], past + future
        lag = np.arange(count)[:, np.newaxis] - np.arange(count)
        grid = covariances[np.abs(lag)]
        grid[lag < 0] = np.swapaxes(grid[lag < 0], 1, 2)
        toeplitz = grid.transpose(0, 2, 1, 3).reshape(count * p, count * p)
        root = covariance_factor(n_samples * toeplitz)
        rows = np.zeros_like(toeplitz)
        rows[:, : root.shape[1]] = triangular_factor(root.T).T
        return cls(rows, p, 0, past, future, n_samples, n_samples)

    @property
    def n_future_inputs(self) -> int:
        """Number of rows of Uf."""
        return self.future * self.n_inputs

    @property
    def split(self) -> int:
        """Index of the first row of Yf."""
        return self.n_future_inputs + self.past * (self.n_inputs + self.n_outputs)

    @property
    def Uf(self) -> np.ndarray:
        """Future inputs."""
        return self.rows[: self.n_future_inputs]

    @property
    def Wp(self) -> np.ndarray:
        """Past inputs and outputs."""
        return self.rows[self.n_future_inputs : self.split]

    @property
    def Yf(self) -> np.ndarray:
        """Future outputs."""
        return self.rows[self.split :]

    def projections(self, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (oblique, joint) projections of the future, its start moved by `shift` (0 or 1).

        With ``shift = 1`` the first future sample counts as past, and the future is one shorter.
        """
        p = shift * self.n_outputs
        known = self.split + p  # the rows u_f, u_p, y_p and the first p of y_f
        future_u = slice(shift * self.n_inputs, self.n_future_inputs)
        regressors, targets = self.rows[:known], self.Yf[p:]
        triangle = regressors[:, :known]
        if full_rank(triangle / _row_norms(triangle)):
            joint = targets.copy()
            joint[:, known:] = 0.0  # the rows span the first coordinates
            coefficients = scipy.linalg.solve_triangular(
                triangle, targets[:, :known].T, lower=True, trans=1, check_finite=False
            ).T
        else:
            coefficients = regress(targets, regressors)
            joint = coefficients @ regressors
        return joint - coefficients[:, future_u] @ regressors[future_u], joint


def full_rank(triangle: np.ndarray, tol: float | None = None) -> bool:
    """Tell whether a lower triangular matrix, its rows scaled, has full rank beyond doubt.

    No singular value is below `tol` times the largest (default: ``ROUNDING`` times the size).
    """
    size = triangle.shape[0]
    tol = ROUNDING * size if tol is None else tol
    return size == 0 or scipy.linalg.lapack.dtrcon(triangle.T)[0] > size * tol


def regress(targets: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Return the least-squares X in ``targets ~ X @ regressors``.

    Each regressor is scaled to unit norm first (units must not decide ranks); the rank is that of
    a pivoted QR factorisation.
    """
    if regressors.shape[0] == 0 or targets.shape[0] == 0:
        return np.zeros((targets.shape[0], regressors.shape[0]))
    norms = _row_norms(regressors)
    cond = ROUNDING * max(regressors.shape)
    solution = scipy.linalg.lstsq(
        (regressors / norms).T, targets.T, cond=cond, lapack_driver="gelsy", check_finite=False
    )
    return solution[0].T / norms.T


def _row_norms(rows: np.ndarray) -> np.ndarray:
    """Return the norms of the rows as a column, 1 for a zero row (or one that underflowed)."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norms > UNDERFLOW, norms, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class WeightedSubspace:
    """Singular value decomposition of the weighted future, the heart of every subspace method.

    Parameters
    ----------
    gamma : (p future, r) ndarray
        ``W1^-1 U``: its leading n columns span the extended observability matrix of order n; r is
        the numerical rank.
    singular_values : (s,) ndarray
        Of the weighted matrix, unscaled.
    right : (s, k) ndarray
        Right singular vectors: for "cva" the canonical variates of the past.
    """

    gamma: np.ndarray
    singular_values: np.ndarray
    right: np.ndarray


def weighted_subspace(blocks: FactorBlocks, weight: Weight | Literal["pc"]) -> WeightedSubspace:
    r"""Decompose the future explained by the past, in the metric of the method.

    ============  ======================================  =====================================
    weight        matrix decomposed                       reference
    ============  ======================================  =====================================
    ``n4sid``     oblique projection O                    Van Overschee and De Moor (1994)
    ``moesp``     O projected off the future inputs       Verhaegen (1994), PO-MOESP
    ``cva``       the same, future whitened               Larimore (1990)
    ``ivm``       instrument covariance, future whitened  Viberg (1995)
    ``pc``        covariance of future and past           Arun and Kung (1990); without inputs
    ============  ======================================  =====================================

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    weight : str
        One of the five.

    Returns
    -------
    WeightedSubspace
        Singular values and the unweighted left singular vectors.
    """
    f, w = blocks.n_future_inputs, blocks.split
    explained = blocks.Yf[:, f:w]  # future on past, both off the future inputs
    size, colour = float(np.linalg.norm(blocks.Yf)), None
    if weight == "n4sid":
        matrix = blocks.projections(0)[0]
    elif weight == "moesp":
        matrix = explained
    elif weight == "pc":
        past = blocks.Wp[:, f:w]
        matrix, size = explained @ past.T, size * float(np.linalg.norm(past))
    else:
        size = 1.0
        whitener, colour = row_whitening(blocks.Yf[:, f:])
        matrix = whitener @ explained
        if weight == "ivm":
            past_rows = blocks.Wp[:, :w]
            matrix = matrix @ (row_whitening(past_rows)[0] @ blocks.Wp[:, f:w]).T
    left, singular_values, right = scipy.linalg.svd(matrix, full_matrices=False)
    # what is rounding of the data is no direction of the state
    rank = int((singular_values > ROUNDING * max(matrix.shape) * size).sum())
    gamma = left[:, :rank] if colour is None else colour @ left[:, :rank]
    return WeightedSubspace(gamma, singular_values, right)


def row_whitening(rows: np.ndarray, *, rounding: float = ROUNDING) -> tuple[np.ndarray, np.ndarray]:
    """Return W (r, k) and V (k, r) with W rows rows' W' = I and W V = I, rank-revealing.

    Directions smaller than `rounding` (times the size) of the largest are left out.
    """
    norms = _row_norms(rows)
    left, sizes, _ = scipy.linalg.svd(rows / norms, full_matrices=False)
    keep = sizes > rounding * max(rows.shape) * sizes[0] if sizes.size else []
    left, sizes = left[:, keep], sizes[keep]
    return (left / sizes / norms).T, left * sizes * norms
