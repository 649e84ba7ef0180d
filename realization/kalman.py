r"""The Kalman filter and the exact likelihood, in discrete time.

::

    x_pred(t), P_pred(t)   state given y up to t - 1      x_filt(t), P_filt(t)   given y up to t
    innovations(t)         y - C x_pred - D u             Re(t)                  their covariance

The models are GaussianSSM and InnovationSSM; the latter is the Gaussian model with
Q = K Re K', S = K Re, R = Re and an initial state that is known. A NaN in y is a missing
observation: that channel is left out at that time. The recursion with its formulas is in
``realization/scan/kalman.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import symmetrize
from ._noise import noise_covariances
from ._signals import initial_state, matching_input, require_real
from ._validation import as_flag, as_instance, as_signal, require_discrete
from ._words import sized
from .lyapunov import initial_moments
from .models import GaussianSSM, InnovationSSM

__all__ = ["FilterResult", "kalman_filter", "log_likelihood"]

Stochastic = GaussianSSM | InnovationSSM


@dataclass(frozen=True, slots=True, eq=False)
class FilterResult:
    """What the Kalman filter knows at every step; leading axes are batch.

    Parameters
    ----------
    x_pred : (..., T + 1, n) ndarray
        Mean of the state given the outputs before it; the last row is the first forecast.
    P_pred : (..., T + 1, n, n) ndarray
        Covariance of the state given the outputs before it.
    x_filt : (..., T, n) ndarray
        Mean of the state given the outputs up to its own time.
    P_filt : (..., T, n, n) ndarray
        Covariance of the state given the outputs up to its own time.
    innovations : (..., T, p) ndarray
        What the past does not predict of the output; NaN where the output is missing.
    Re : (..., T, p, p) ndarray
        Covariance of the innovations, missing ones included.
    log_likelihood : float
        Logarithm of the probability density of all observed outputs; a batch is a set of
        independent records, so their log-likelihoods add.
    """

    x_pred: np.ndarray
    P_pred: np.ndarray
    x_filt: np.ndarray
    P_filt: np.ndarray
    innovations: np.ndarray
    Re: np.ndarray
    log_likelihood: float

    def __repr__(self) -> str:
        sizes = sized(x_filt=self.x_filt, innovations=self.innovations)
        return f"FilterResult({sizes}, log-likelihood {self.log_likelihood:.6g})"


def kalman_filter(
    model: Stochastic, y: ArrayLike, u: ArrayLike | None = None, *, steady_state: bool = False
) -> FilterResult:
    r"""Filter the outputs of a model, exactly, from its initial state on.

    With :math:`e_t = y_t - C\hat x_t - D u_t` and :math:`R_{e,t} = C P_t C^\top + R`,

    .. math::

        K_t &= (A P_t C^\top + S) R_{e,t}^{-1}, \qquad
        \hat x_{t+1} = A \hat x_t + B u_t + K_t e_t, \\
        P_{t+1} &= (A - K_t C) P_t (A - K_t C)^\top
        + [I, -K_t] \begin{bmatrix} Q & S \\ S^\top & R \end{bmatrix} [I, -K_t]^\top, \\
        \hat x_{t|t} &= \hat x_t + M_t e_t, \quad
        P_{t|t} = (I - M_t C) P_t (I - M_t C)^\top + M_t R M_t^\top, \quad
        M_t = P_t C^\top R_{e,t}^{-1}.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        A discrete-time model with real matrices.
    y : (..., T, p) array_like
        Outputs; NaN marks a missing entry. Leading axes are batch.
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any.
    steady_state : bool, default False
        Hold the covariance and the gain once they have converged to rounding, and finish in
        blocks of matrix products: the same numbers to rounding, many times faster.

    Returns
    -------
    FilterResult
        Predicted and filtered states with covariances, innovations, log-likelihood.

    Raises
    ------
    ValueError
        If the model has inputs and `u` is missing, if shapes disagree, if `y` contains inf, or if
        the model is in continuous time.
    TypeError
        If the model has no noise (LinearSSM) or complex matrices.
    AccuracyError
        If the covariance of an innovation is singular to rounding.
    UnstableModelError
        If the state or its covariance overflows.

    Notes
    -----
    Costs O(n^3 + n^2 p) a step until the covariance is held. Every covariance is in Joseph form:
    a sum, not a difference, of positive semidefinite terms, so a gain that rounding has moved
    still yields a covariance.

    References
    ----------
    Anderson and Moore, *Optimal Filtering*, Prentice-Hall, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import GaussianSSM, kalman_filter
    >>> model = GaussianSSM([[0.9]], [[1.0]], [[0.19]], [[1.0]])
    >>> result = kalman_filter(model, [0.5, np.nan, 1.0])
    >>> result.P_pred[0]
    array([[1.]])
    >>> bool(np.allclose(result.x_pred[1:], 0.9 * result.x_filt))
    True
    """
    model, y, u = checked_record(model, y, u, "kalman_filter")
    x_pred, P_pred, _, likelihood = filter_records(
        model, y, u, hold=as_flag("steady_state", steady_state)
    )
    C, R = model.C, noise_covariances(model)[1]
    x, P = x_pred[..., :-1, :], P_pred[..., :-1, :, :]
    innovations = y - x @ C.T - u @ model.D.T
    Re = symmetrize(C @ P @ C.T + R)
    M = filter_gain(P, C, Re, ~np.isnan(y))
    G = np.eye(model.n_states) - M @ C
    P_filt = symmetrize(G @ P @ np.swapaxes(G, -1, -2) + M @ R @ np.swapaxes(M, -1, -2))
    x_filt = x + (M @ np.nan_to_num(innovations)[..., np.newaxis])[..., 0]
    return FilterResult(x_pred, P_pred, x_filt, P_filt, innovations, Re, likelihood)


def log_likelihood(model: Stochastic, y: ArrayLike, u: ArrayLike | None = None) -> float:
    r"""Return the logarithm of the probability density of the outputs.

    .. math::

        \log p(y) = -\tfrac12 \sum_t \bigl[ p \log 2\pi + \log\det R_{e,t}
        + e_t^\top R_{e,t}^{-1} e_t \bigr]

    with the innovations :math:`e_t` of the Kalman filter; only observed entries count.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        A discrete-time model with real matrices.
    y : (..., T, p) array_like
        Outputs; NaN marks a missing entry. A batch is a set of independent records.
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any.

    Returns
    -------
    float
        The log-likelihood, summed over the records of a batch.

    Raises
    ------
    ValueError
        If the model has inputs and `u` is missing, if shapes disagree, if `y` contains inf, or if
        the model is in continuous time.
    TypeError
        If the model has no noise (LinearSSM) or complex matrices.
    AccuracyError
        If the covariance of an innovation is singular to rounding.
    UnstableModelError
        If the state or its covariance overflows.

    Notes
    -----
    The covariance is held once it has converged to rounding: without missing data a record then
    costs O((n + p)^2) a sample in blocks of matrix products.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import GaussianSSM, log_likelihood
    >>> model = GaussianSSM([[0.0]], [[1.0]], [[1.0]], [[1.0]])
    >>> y = np.array([1.0, -2.0, np.nan])
    >>> direct = -0.5 * (2 * np.log(2 * np.pi * 2.0) + (1.0 + 4.0) / 2.0)
    >>> bool(np.isclose(log_likelihood(model, y), direct))
    True
    """
    model, y, u = checked_record(model, y, u, "log_likelihood")
    return filter_records(model, y, u, keep_states=False, keep_covariances=False)[3]


def filter_gain(P: np.ndarray, C: np.ndarray, Re: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return M = P C' Re^-1 (..., n, p) over the `seen` entries (..., p), zero elsewhere."""
    Re = np.where(seen[..., np.newaxis] & seen[..., np.newaxis, :], Re, np.eye(C.shape[0]))
    CP = np.where(seen[..., np.newaxis], C @ P, 0.0)
    return np.swapaxes(np.linalg.solve(Re, CP), -1, -2)


def filter_records(
    model: Stochastic,
    y: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray | None = None,
    *,
    hold: bool = True,
    keep_states: bool = True,
    keep_covariances: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Run the Kalman recursion over every record of a batch.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        The model.
    y : (..., T, p) ndarray
        Outputs; NaN marks a missing entry.
    u : (..., T, m) ndarray
        Inputs.
    x0 : (..., n) ndarray, optional
        Mean of the initial state; default: the model's.
    hold, keep_states, keep_covariances : bool, default True
        As in ``realization.scan.kalman_scan``.

    Returns
    -------
    x : (..., T + 1, n) ndarray
        Predicted states; the last only, (..., 1, n), if they are not kept.
    P : (..., T + 1, n, n) ndarray
        Their covariances; the last only if they are not kept.
    K : (..., T, n, p) ndarray
        Predictor gains; the last only if they are not kept.
    log_likelihood : float
        Summed over the batch.
    """
    from .scan.kalman import kalman_path

    require_real(model, "the Kalman filter")
    Q, R, S = noise_covariances(model)
    if isinstance(model, GaussianSSM):
        P0, gain = initial_moments(model)[1], None
    else:
        P0, gain = np.zeros_like(Q), model.K
    x0 = initial_state(model, None) if x0 is None else x0
    batch = np.broadcast_shapes(y.shape[:-2], u.shape[:-2], x0.shape[:-1])
    y, u = (
        s if s.shape[:-2] == batch else np.broadcast_to(s, (*batch, *s.shape[-2:])) for s in (y, u)
    )
    x0 = np.broadcast_to(x0, (*batch, model.n_states))
    (T, p), n = y.shape[-2:], model.n_states
    x = np.empty((*batch, T + 1 if keep_states else 1, n))
    P = np.empty((*batch, T + 1 if keep_covariances else 1, n, n))
    K = np.empty((*batch, T if keep_covariances else min(T, 1), n, p))
    log_likelihood = 0.0
    for i in np.ndindex(batch):
        path = kalman_path(
            *(model.A, model.B, model.C, model.D, Q, R, S, y[i], u[i], x0[i], P0),
            gain=gain,
            hold=hold,
            keep_states=keep_states,
            keep_covariances=keep_covariances,
        )
        x[i], P[i], K[i] = path.x, path.P, path.K
        log_likelihood += path.log_likelihood
    return x, P, K, log_likelihood


def checked_record(
    model: Stochastic, y: ArrayLike, u: ArrayLike | None, task: str
) -> tuple[Stochastic, np.ndarray, np.ndarray]:
    """Check the arguments that all functions of this file share."""
    as_instance("model", model, (GaussianSSM, InnovationSSM))
    require_discrete(model, task)
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    return model, y, matching_input(model, y, u)
