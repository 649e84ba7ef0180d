r"""Expected sums of a model given records with or without gaps: the E-step.

With :math:`z_t = [x_t; u_t; y_t; x_{t+1}]`, everything that expectation-maximisation needs is

.. math:: \sum_t E[z_t z_t^\top], \qquad \sum_t E[z_t],

expectations given all observed entries. An innovations model is no use as it stands: its state is
known from the data, and nothing is left to expect. ``interior_form`` gives the same process another
state, of which the predictor knows the mean and the covariance :math:`\Delta` at every step,
the first included:

.. math::

    \Delta^{-1} = Y = F^\top Y F + C^\top R_e^{-1} C + W, \qquad
    W = F^\top W F + C^\top R_e^{-1} C, \qquad F = A - K C.

Every :math:`\Delta` below :math:`W^{-1}` gives a positive definite noise covariance; at 0 and at
:math:`W^{-1}`, the smallest and the largest realization of the process, its rank is p.

Without gaps the smoothed covariances do not depend on the data and their sums are in closed form.
In a gap, a missing entry of :math:`y_t` depends on the data only through :math:`x_t`,
:math:`x_{t+1}` and the observed entries of :math:`y_t`: with [w; v] the noise of state and output,
o and m the observed and the missing entries,

.. math::

    y_m = C_m x_t + D_m u_t + L\,[w; v_o] + \eta, \qquad
    L = \Sigma_{m,(w,o)} \Sigma_{(w,o)}^{-1}, \quad
    \operatorname{cov} \eta = \Sigma_{mm} - L\,\Sigma_{(w,o),m}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from realization import AccuracyError, GaussianSSM, InnovationSSM
from realization.internal import (
    filter_records,
    smoothed_moments,
    solve_lyapunov,
    symmetrize,
)

__all__ = ["ExpectedSums", "expected_sums", "interior_form"]

RESOLUTION = 1e-13  # reciprocal condition of W below which the outputs do not see a state


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedSums:
    """What the records say about the model, given the model.

    Parameters
    ----------
    moments : (d, d) ndarray, d = 2 n + m + p
        Sum over time of E[z z'], z = [x(t); u(t); y(t); x(t + 1)].
    totals : (d,) ndarray
        Sum over time of E[z].
    count : int
        Number of samples.
    first_states : (k, n) ndarray
        Smoothed mean of the first state of each of k runs.
    log_likelihood : float
        Of the observed entries.
    """

    moments: np.ndarray
    totals: np.ndarray
    count: int
    first_states: np.ndarray
    log_likelihood: float


def expected_sums(
    model: InnovationSSM,
    x0: np.ndarray,
    outputs: tuple[np.ndarray, ...],
    inputs: tuple[np.ndarray, ...],
) -> ExpectedSums:
    """Compute the expected sums of one or many runs.

    Parameters
    ----------
    model : InnovationSSM
        With a stable predictor and a positive definite `Re`.
    x0 : (k, n) ndarray
        First state of the predictor in each run.
    outputs : tuple of (T_i, p) ndarray
        NaN marks a missing entry.
    inputs : tuple of (T_i, m) ndarray
        Inputs.

    Returns
    -------
    ExpectedSums
        Sums over all runs.
    """
    n, p, m = model.n_states, model.n_outputs, model.n_inputs
    interior, P, gramian = interior_form(model)
    moments, totals = np.zeros((2 * n + m + p,) * 2), np.zeros(2 * n + m + p)
    first_states, log_likelihood = np.zeros_like(x0), 0.0
    for k, (y, u) in enumerate(zip(outputs, inputs, strict=True)):
        if np.isnan(y).any():
            started = replace(interior, m0=x0[k])
            x, filled, covariance, likelihood = _with_gaps(started, y, u)
        else:
            x, likelihood = _complete(model, P, x0[k], y, u)
            filled, covariance = y, _covariances(model, P, gramian, len(y))
        z = np.hstack([x[:-1], u, filled, x[1:]])
        moments += z.T @ z + covariance
        totals += z.sum(axis=0)
        first_states[k] = x[0]
        log_likelihood += likelihood
    count = sum(len(y) for y in outputs)
    return ExpectedSums(symmetrize(moments), totals, count, first_states, log_likelihood)


def interior_form(model: InnovationSSM) -> tuple[GaussianSSM, np.ndarray, np.ndarray]:
    r"""Return the same process with a positive definite noise covariance.

    Parameters
    ----------
    model : InnovationSSM
        With a stable predictor and a positive definite `Re`.

    Returns
    -------
    interior : GaussianSSM
        Its predictor is that of `model`.
    P : (n, n) ndarray
        Its `P0`: the covariance of what the predictor does not know of the state, at every step.
    gramian : (n, n) ndarray
        W of the module docstring.

    Raises
    ------
    AccuracyError
        If the outputs do not see a direction of the state.
    """
    A, C, K, Re = model.A, model.C, model.K, model.Re
    n, F = len(A), model.A - model.K @ model.C
    white = scipy.linalg.solve_triangular(np.linalg.cholesky(Re), C, lower=True)
    gramian = solve_lyapunov(F.T, white.T @ white, dt=1.0)
    sizes = np.linalg.eigvalsh(gramian) if n else np.ones(1)
    if sizes[0] <= RESOLUTION * sizes[-1]:
        raise AccuracyError(
            "the outputs do not see a direction of the state (observability Gramian of the "
            f"predictor: reciprocal condition {sizes[0] / sizes[-1]:.1e}). Take a smaller order.",
            residual=float(sizes[0] / sizes[-1]),
        )
    Y = solve_lyapunov(F.T, white.T @ white + gramian, dt=1.0)
    P = symmetrize(scipy.linalg.cho_solve(scipy.linalg.cho_factor(Y), np.eye(n)))
    APC = A @ P @ C.T
    Q = symmetrize(K @ Re @ K.T + P - A @ P @ A.T)
    R = symmetrize(Re - C @ P @ C.T)
    interior = GaussianSSM(
        A, C, Q, R, K @ Re - APC, B=model.B, D=model.D, m0=model.x0, P0=P, dt=model.dt
    )
    return interior, P, gramian


def _complete(
    model: InnovationSSM, P: np.ndarray, x0: np.ndarray, y: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the smoothed states (T + 1, n) and the log-likelihood of a run without gaps.

    The predictor forwards, Bryson and Frazier's score backwards, both with constant matrices.
    """
    from realization.scan import linear_scan

    x, _, _, likelihood = filter_records(model, y, u, x0, keep_covariances=False)
    errors = y - x[:-1] @ model.C.T - u @ model.D.T
    drive = errors @ np.linalg.solve(model.Re, model.C)
    closed = model.A - model.K @ model.C
    score = linear_scan(closed.T, drive[::-1], np.zeros(len(closed)))[::-1]
    return x + score @ P, likelihood


def _covariances(
    model: InnovationSSM, P: np.ndarray, gramian: np.ndarray, steps: int
) -> np.ndarray:
    r"""Return the sum of cov[z] over a run without gaps.

    The information about the state in the s samples that follow is
    :math:`W - (F^\top)^s W F^s`; its sum over s = 1 .. T is a difference of Gramians.
    """
    n, p, m = model.n_states, model.n_outputs, model.n_inputs
    F = model.A - model.K @ model.C
    power = np.linalg.matrix_power(F, steps)
    beyond = np.linalg.inv(P) - 2 * gramian  # sum over s >= 1 of F'^s W F^s
    total = steps * gramian - beyond + power.T @ beyond @ power
    first = gramian - power.T @ gramian @ power
    now = steps * P - P @ total @ P
    cross = (steps * np.eye(n) - P @ (total - first)) @ F @ P  # of x(t + 1) with x(t)
    covariance = np.zeros((2 * n + m + p,) * 2)
    states = np.concatenate([np.arange(n), n + m + p + np.arange(n)])
    pair = np.block([[now, cross.T], [cross, now + P @ first @ P]])
    covariance[states[:, np.newaxis], states] = pair
    return covariance


def _with_gaps(
    model: GaussianSSM, y: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return states, outputs with the gaps filled, sum of cov[z], log-likelihood of one run."""
    n, p, m = model.n_states, model.n_outputs, model.n_inputs
    x, P, cross, likelihood = smoothed_moments(model, y, u, cross=True)
    output, following = n + m, n + m + p
    covariance = np.zeros((2 * n + m + p, 2 * n + m + p))
    filled = y.copy()
    patterns, which = np.unique(~np.isnan(y), axis=0, return_inverse=True)
    for k, seen in enumerate(patterns):
        times = np.flatnonzero(which.ravel() == k)
        pair = _pair_sum(P, cross, times)
        missing = np.flatnonzero(~seen)
        weights = np.zeros((2 * n + m + p, 2 * n))  # of the errors of x(t), x(t + 1) in z
        weights[:n, :n] = weights[following:, n:] = np.eye(n)
        if missing.size:
            gain, spread = _regression_on_noise(model, seen)
            rows = np.concatenate([np.arange(n), n + np.flatnonzero(seen)])
            dynamics = np.vstack([model.A, model.C])[rows]
            weights[output + missing, :n] = model.C[missing] - gain @ dynamics
            weights[output + missing, n:] = gain[:, :n]
            drive = np.vstack([model.B, model.D])[rows]
            noise = np.hstack([x[times + 1], y[times][:, seen]])
            noise -= x[times] @ dynamics.T + u[times] @ drive.T
            known = x[times] @ model.C[missing].T + u[times] @ model.D[missing].T
            filled[times[:, np.newaxis], missing] = known + noise @ gain.T
            places = output + missing
            covariance[places[:, np.newaxis], places] += times.size * spread
        covariance += weights @ pair @ weights.T
    return x, filled, covariance, likelihood


def _regression_on_noise(model: GaussianSSM, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return L and cov eta: the noise of the missing outputs on that of state and seen outputs."""
    n = model.n_states
    joint = np.block([[model.Q, model.S], [model.S.T, model.R]])
    missing = n + np.flatnonzero(~seen)
    given = np.concatenate([np.arange(n), n + np.flatnonzero(seen)])
    shared = joint[missing][:, given]
    gain = np.linalg.solve(joint[given][:, given], shared.T).T
    return gain, joint[missing][:, missing] - gain @ shared.T


def _pair_sum(P: np.ndarray, cross: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the sum over `times` of the smoothed covariance of [x(t); x(t + 1)]."""
    lag = cross[times].sum(axis=0)  # cov(x(t + 1), x(t))
    return np.block([[P[times].sum(axis=0), lag.T], [lag, P[times + 1].sum(axis=0)]])
