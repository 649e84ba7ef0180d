r"""Subspace methods that stay consistent in closed loop: SSARX, PBSID, PARSIM.

Open-loop methods project the future inputs out; under feedback those inputs carry past noise, and
the projection biases the model. The methods here never do that. They start from the predictor

.. math::

    \hat y_t = \sum_{k=1}^{s} (\Xi^u_k u_{t-k} + \Xi^y_k y_{t-k}) + D u_t, \qquad
    \Xi_k = C (A - KC)^{k-1} [B - KD,\; K],

which one least-squares problem (a VARX model of length `past`) gives without bias, and differ in
how they reach the state :math:`x_t = L z_t`, a map of the past :math:`z_t`:

===================  =============================================================================
``ssarx``            the known effect of future data is subtracted from the future outputs, then
                     canonical correlations with the past (Jansson 2003)
``pbsid``            the predictor's own observability times reachability matrix, filled with the
                     :math:`\Xi_k`, applied to the past (Chiuso 2007, "optimized" PBSID)
``parsim``           one regression per future sample on the past, the inputs up to it and the
                     innovations before it (Qin and Ljung 2003, PARSIM-E)
``regularized_arx``  as pbsid, the :math:`\Xi_k` kept small and smooth by a prior that the
                     marginal likelihood tunes (Chen, Ohlsson and Ljung 2012)
===================  =============================================================================

Everything is computed on the ``HankelFactor``; A, B, C, D, K follow by regression on the states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from realization.internal import stability_margin, symmetrize

from .noise_model import NOISE_FLOOR, gain_from_residuals
from .predictor_factor import by_lag, predictor, predictor_hankel
from .projections import ROUNDING, FactorBlocks, regress, row_whitening
from .regularized import smooth_predictor

__all__ = ["CLOSED_LOOP", "ClosedLoopMethod", "StateMap", "StateRegression", "state_map"]

ClosedLoopMethod = Literal["ssarx", "pbsid", "parsim", "regularized_arx"]
REGRESSION_ROUNDING = 1e-10
CLOSED_LOOP: tuple[ClosedLoopMethod, ...] = ("ssarx", "pbsid", "parsim", "regularized_arx")


@dataclass(frozen=True, slots=True, eq=False)
class StateMap:
    """The state as a function of the past.

    Parameters
    ----------
    L : (r, (m + p) past) ndarray
        Its leading n rows map the past (rows of Wp) to the state of order n; r is the numerical
        rank.
    singular_values : (s,) ndarray
        Of the decomposition behind it.
    """

    L: np.ndarray
    singular_values: np.ndarray


def state_map(blocks: FactorBlocks, method: ClosedLoopMethod, *, whiten: bool) -> StateMap:
    """Return the map from the past to the state.

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    method : str
        "ssarx", "pbsid", "parsim" or "regularized_arx".
    whiten : bool
        Whiten the future before the decomposition (ssarx always does).

    Returns
    -------
    StateMap
        The map and its singular values.
    """
    past = blocks.Wp
    if method == "ssarx":
        future = _undisturbed_future(blocks)
        past_whitener, _ = row_whitening(past)
        basis = past_whitener @ past
        # what the regression left of a direction without noise is rounding: never whiten it
        future_whitener, _ = row_whitening(future, rounding=REGRESSION_ROUNDING)
        _, sizes, right = scipy.linalg.svd(future_whitener @ future @ basis.T, full_matrices=False)
        rank = _rank(sizes, blocks, 1.0)
        scale = np.sqrt(sizes[:rank, np.newaxis])
        return StateMap(scale * right[:rank] @ past_whitener, sizes)
    if method == "parsim":
        observed = _parallel_regressions(blocks)
    else:
        theta = smooth_predictor(blocks) if method == "regularized_arx" else predictor(blocks)
        observed = predictor_hankel(theta, blocks.past, blocks.n_inputs, blocks.future)
    size = float(np.linalg.norm(blocks.Yf))
    if whiten:
        size = 1.0
        observed = row_whitening(blocks.Yf[:, blocks.n_future_inputs :])[0] @ observed
    left, sizes, _ = scipy.linalg.svd(observed @ past, full_matrices=False)
    rank = _rank(sizes, blocks, size)
    scale = np.sqrt(sizes[:rank, np.newaxis])
    return StateMap((left[:, :rank].T @ observed) / scale, sizes)


def _rank(sizes: np.ndarray, blocks: FactorBlocks, size: float) -> int:
    """Return how many directions are more than rounding of data of this size."""
    return int((sizes > ROUNDING * max(blocks.Wp.shape) * size).sum())


@dataclass(frozen=True, slots=True, eq=False)
class StateRegression:
    r"""The model :math:`x^+ = A x + B u + K e,\; y = C x + D u + e` by regression on the states.

    Parameters
    ----------
    A, B, C, D : ndarray
        The system matrices.
    blocks : FactorBlocks
        The data.
    states : (n, k) ndarray
        The states in the coordinates of the factor.
    following : (n, k) ndarray
        The states one step later.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    blocks: FactorBlocks
    states: np.ndarray
    following: np.ndarray

    @classmethod
    def from_map(cls, blocks: FactorBlocks, L: np.ndarray, *, feedthrough: bool) -> StateRegression:
        """Regress outputs on states and inputs, then the next states on those and the errors."""
        n, m, p = L.shape[0], blocks.n_inputs, blocks.n_outputs
        x, following = L @ blocks.Wp, L @ _next_past(blocks)
        u, y = blocks.Uf[:m], blocks.Yf[:p]
        known = np.vstack([x, u]) if feedthrough else x
        output = regress(y, known)
        D = output[:, n:] if feedthrough else np.zeros((p, m))
        state = regress(following, np.vstack([x, u, y - output @ known]))
        return cls(state[:, :n], state[:, n : n + m], output[:, :n], D, blocks, x, following)

    def gain(self, A: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Return K, Re and what must be said; the Riccati equation where regression is unstable.

        `A` is the state matrix to use, the regression's own or a stabilised one.
        """
        n, m, p = A.shape[0], self.blocks.n_inputs, self.blocks.n_outputs
        u, y = self.blocks.Uf[:m], self.blocks.Yf[:p]
        e = y - self.C @ self.states - self.D @ u
        power = np.sum(y**2) / self.blocks.n_samples
        noise = self.following - A @ self.states - self.B @ u
        K = regress(noise, e)
        floor = NOISE_FLOOR * np.sum(y**2)
        if np.sum(e**2) > floor and stability_margin(A - K @ self.C, 1.0) > 0:
            return K, symmetrize(e @ e.T) / self.blocks.n_samples, ()
        residuals = np.vstack([noise, e]) / np.sqrt(self.blocks.n_samples)
        K, Re, said = gain_from_residuals(A, self.C, residuals[: n + p], power)
        if np.sum(e**2) > floor:
            said = ("the regression's K gave an unstable predictor: K by Riccati", *said)
        return K, Re, said


def _next_past(blocks: FactorBlocks) -> np.ndarray:
    """Return the rows of the past one step later."""
    m, p, s = blocks.n_inputs, blocks.n_outputs, blocks.past
    u, y = blocks.Wp[: s * m], blocks.Wp[s * m :]
    return np.vstack([u[m:], blocks.Uf[:m], y[p:], blocks.Yf[:p]])


def _undisturbed_future(blocks: FactorBlocks) -> np.ndarray:
    """Return the future outputs without the predicted effect of the future data before them."""
    m, p = blocks.n_inputs, blocks.n_outputs
    on_inputs, on_outputs, D = by_lag(predictor(blocks), blocks.past, m)
    width = blocks.rows.shape[1]
    u = blocks.Uf.reshape(blocks.future, m, width)
    y = blocks.Yf.reshape(blocks.future, p, width)
    future = y - np.einsum("pm,tmk->tpk", D, u)
    for lag in range(1, min(blocks.past, blocks.future - 1) + 1):
        future[lag:] -= on_inputs[lag - 1] @ u[:-lag] + on_outputs[lag - 1] @ y[:-lag]
    return future.reshape(blocks.Yf.shape)


def _parallel_regressions(blocks: FactorBlocks) -> np.ndarray:
    """Return the effect of the past on each future output, causal inputs and innovations apart."""
    m, p = blocks.n_inputs, blocks.n_outputs
    width = blocks.Wp.shape[0]
    effects, innovations = [], np.zeros((0, blocks.Wp.shape[1]))
    for i in range(blocks.future):
        y = blocks.Yf[i * p : (i + 1) * p]
        known = np.vstack([blocks.Wp, blocks.Uf[: (i + 1) * m], innovations])
        theta = regress(y, known)
        effects.append(theta[:, :width])
        innovations = np.vstack([innovations, y - theta @ known])
    return np.vstack(effects)
