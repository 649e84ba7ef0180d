r"""What a model does: simulate it, predict its output, forecast beyond the data.

::

    simulate    y from u alone (and, with noise=True, from noise drawn from the model's own law)
    predict     y_hat(t) from y up to t - horizon and u up to t
    forecast    y beyond the last sample, with the covariance of the error

Noise is one more input. With :math:`\Sigma = F F^\top` the covariance of the joint noise,
:math:`F = [F_w; F_v]`, a model driven by unit white noise :math:`\varepsilon` is the linear system
with inputs :math:`(u, \varepsilon)`, input matrix :math:`[B, F_w]` and feedthrough
:math:`[D, F_v]`. For an innovations model :math:`F_w = K R_e^{1/2}, F_v = R_e^{1/2}`.
The predictor of an innovations model is the linear system with inputs :math:`(u, y)`,
:math:`x_{t+1} = (A - KC) x_t + (B - KD) u_t + K y_t`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import covariance_factor, stability_margin, symmetrize
from ._noise import noise_covariances, noise_factor
from ._signals import (
    first_overflow,
    initial_state,
    matching_input,
    model_input,
    require_real,
)
from ._validation import (
    Rng,
    as_flag,
    as_generator,
    as_instance,
    as_integer,
    as_signal,
    require_discrete,
    require_memory,
)
from ._words import counted, sized
from .bilinear import AnyModel, BilinearSSM
from .bilinear_simulation import bilinear_forecast, bilinear_prediction, bilinear_response
from .exceptions import UnstableModelError
from .kalman import filter_records
from .lyapunov import initial_moments
from .models import AnyLinear, GaussianSSM, InnovationSSM, LinearSSM

__all__ = ["Forecast", "Simulation", "forecast", "predict", "simulate"]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated path.

    Parameters
    ----------
    y : (..., T, p) ndarray
        Outputs.
    states : callable
        Returns the states; called once, when `x` is first read.
    """

    y: np.ndarray
    states: Callable[[], np.ndarray]

    @cached_property
    def x(self) -> np.ndarray:
        """States (..., T + 1, n), the initial state first; computed when it is first read."""
        return self.states()

    def __repr__(self) -> str:
        return f"Simulation({sized(y=self.y)})"


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Outputs beyond the data.

    Parameters
    ----------
    mean : (..., steps, p) ndarray
        Expected outputs given all the data.
    covariance : (..., steps, p, p) ndarray
        Covariance of the error of each step, measurement noise included.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def standard_deviation(self) -> np.ndarray:
        """Standard deviation of the error of each step and output, (..., steps, p)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))

    def __repr__(self) -> str:
        largest = self.standard_deviation.max(initial=0.0)
        return f"Forecast({sized(mean=self.mean)}, standard deviation up to {largest:.3g})"


def simulate(
    model: AnyModel,
    u: ArrayLike | None = None,
    *,
    steps: int | None = None,
    x0: ArrayLike | None = None,
    dt: float | None = None,
    noise: bool = False,
    rng: Rng = None,
) -> Simulation:
    r"""Simulate a model from its initial state.

    :math:`x_{t+1} = A x_t + B u_t + w_t,\; y_t = C x_t + D u_t + v_t`, with :math:`w = v = 0`
    unless ``noise=True``.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model, or a BilinearSSM in continuous time.
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any. Leading axes are batch; 1-D is one channel.
    steps : int, optional
        Number of samples T; needed if and only if `u` is not given.
    x0 : (..., n) array_like, optional
        Initial state, its leading axes broadcast against those of `u`. Default: the model's (zero
        for a LinearSSM, `m0` for a GaussianSSM, or with noise a draw from :math:`N(m_0, P_0)`,
        `x0` for the others).
    dt : float, optional
        The time for which each input is held; needed for a BilinearSSM in continuous time, which
        has no exact discrete-time record (a linear model has: see ``discretize``).
    noise : bool, default False
        Draw the noise from the model's law: each batch element has its own.
    rng : int, Generator or None, optional
        Source of randomness, used with ``noise=True`` only.

    Returns
    -------
    Simulation
        `y` (..., T, p), and `x` (..., T + 1, n), which is computed when it is read.

    Raises
    ------
    ValueError
        If the model has inputs and `u` is missing, if neither `u` nor `steps` is given, if shapes
        disagree, if the model is in continuous time, or if noise is asked of a LinearSSM, which
        has none.
    TypeError
        If noise is asked of a model with complex matrices.
    UnstableModelError
        If the path overflows.

    Notes
    -----
    Costs O(p m L + n (m + p) + n^2 / L) a sample in matrix products over blocks of L samples (see
    ``realization.scan``). The error is that of one matrix product, relative to the largest state.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import LinearSSM, simulate
    >>> model = LinearSSM([[0.5]], [[1.0]], [[2.0]])
    >>> path = simulate(model, [1.0, 0.0, 0.0])
    >>> path.y[:, 0]
    array([0., 2., 1.])
    >>> bool(np.allclose(path.x[1:], path.x[:-1] * 0.5 + [[1.0], [0.0], [0.0]]))
    True
    """
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM, BilinearSSM))
    u = model_input(model, u, steps)
    x0, given = initial_state(model, x0), x0 is not None
    if isinstance(model, BilinearSSM):
        y, x = bilinear_response(model, u, x0, dt, noise, rng)
        return Simulation(y, partial(np.asarray, x))
    require_discrete(model, "simulate")
    if dt is not None:
        raise ValueError(f"`dt` belongs to the linear record and must be left out; got {dt}.")
    B, D = model.B, model.D
    if as_flag("noise", noise):
        if isinstance(model, LinearSSM):
            raise ValueError(
                "`noise` must be False for a LinearSSM, which has no noise model: make it a "
                "GaussianSSM or an InnovationSSM."
            )
        require_real(model, "noise=True")
        Fw, Fv = noise_factor(model)
        generator = as_generator(rng)
        batch = np.broadcast_shapes(u.shape[:-2], x0.shape[:-1])
        if isinstance(model, GaussianSSM) and not given:
            factor = covariance_factor(initial_moments(model)[1])
            x0 = x0 + generator.standard_normal((*batch, factor.shape[1])) @ factor.T
        white = generator.standard_normal((*batch, u.shape[-2], Fw.shape[1]))
        u = _join(u, white)
        B, D = np.hstack([B, Fw]), np.hstack([D, Fv])
    y = _response(model.A, B, model.C, D, u, x0)
    return Simulation(y, partial(_finite_states, model.A, B, u, x0))


def predict(
    model: AnyModel,
    y: ArrayLike,
    u: ArrayLike | None = None,
    *,
    horizon: float = 1,
    x0: ArrayLike | None = None,
) -> np.ndarray:
    r"""Predict the output `horizon` steps ahead.

    Row t is :math:`E[y_t \mid y_0, \dots, y_{t-h};\, u_0, \dots, u_t]`: the first `horizon` rows
    use no output at all, only the initial state.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model. A LinearSSM has no noise, so outputs teach it nothing about its
        state: its prediction is the simulated output, whatever the horizon.
    y : (..., T, p) array_like
        Outputs; NaN marks a missing entry (refused by a BilinearSSM, whose gain is fixed).
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any.
    horizon : int or numpy.inf, default 1
        Steps ahead; ``numpy.inf`` is simulation.
    x0 : (..., n) array_like, optional
        Initial state (for a GaussianSSM the mean of the initial state). Default: the model's.

    Returns
    -------
    (..., T, p) ndarray
        Predicted outputs.

    Raises
    ------
    TypeError
        If `model` is another kind of object, a signal is not real, or `horizon` is neither an
        integer nor inf.
    ValueError
        If the model has inputs and `u` is missing, if shapes disagree, if `horizon` is below 1, or
        if the model is in continuous time.
    UnstableModelError
        If the prediction overflows.

    Notes
    -----
    An InnovationSSM with complete data is its own predictor, in blocks of matrix products. A
    GaussianSSM, and any model with missing data, goes through the exact time-varying Kalman
    filter, whose covariance is held once it has converged to rounding. A longer horizon costs
    O(n^2 log h) a sample more.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import InnovationSSM, predict
    >>> model = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[1.0]])
    >>> y = np.array([1.0, 0.0, 2.0])
    >>> y_hat = predict(model, y)
    >>> bool(np.allclose(y_hat[:, 0], [0.0, 0.5, 0.2]))
    True
    """
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM, BilinearSSM))
    require_discrete(model, "predict")
    if not (isinstance(horizon, float) and np.isposinf(horizon)):
        horizon = as_integer("horizon", horizon, minimum=1)
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    start = initial_state(model, x0)
    if isinstance(model, BilinearSSM):
        return bilinear_prediction(model, y, u, start, horizon)
    T = y.shape[-2]
    if isinstance(model, LinearSSM) or horizon > T:
        batch = np.broadcast_shapes(y.shape[:-2], u.shape[:-2], start.shape[:-1])
        start = np.broadcast_to(start, (*batch, model.n_states))
        return _response(model.A, model.B, model.C, model.D, u, start)
    if isinstance(model, InnovationSSM) and not np.isnan(y).any():
        A, B = model.A - model.K @ model.C, np.hstack([model.B - model.K @ model.D, model.K])
        if horizon == 1:
            D = np.hstack([model.D, np.zeros((model.n_outputs, model.n_outputs))])
            return _response(A, B, model.C, D, _join(u, y), start)
        x = _states(A, B, _join(u, y), start)[..., :-1, :]
    else:
        x = filter_records(model, y, u, start, keep_covariances=False)[0][..., :-1, :]
    x = _advance(model, x, u, start, int(horizon) - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        y_hat = x @ model.C.T + u @ model.D.T
    return _require_finite(model.A, y_hat)


def forecast(
    model: AnyModel,
    y: ArrayLike,
    u: ArrayLike | None = None,
    *,
    u_future: ArrayLike | None = None,
    steps: int,
) -> Forecast:
    r"""Forecast the outputs that follow a record, with the covariance of the error.

    :math:`E[y_{T+k} \mid y_0, \dots, y_{T-1}]` and
    :math:`\operatorname{cov}[y_{T+k} \mid y_0, \dots, y_{T-1}] = C P_{T+k} C^\top + R`,
    where :math:`P_{t+1} = A P_t A^\top + Q` starts from the filter's error covariance.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model. For a LinearSSM, which has no noise, the forecast continues the
        simulation from a zero state and the covariance is zero.
    y : (..., T, p) array_like
        Outputs so far; NaN marks a missing entry.
    u : (..., T, m) array_like, optional
        Inputs so far; needed if the model has any.
    u_future : (..., steps, m) array_like, optional
        Inputs to come; needed if the model has any.
    steps : int
        How many samples to forecast.

    Returns
    -------
    Forecast
        `mean` (..., steps, p) and `covariance` (..., steps, p, p).

    Raises
    ------
    TypeError
        If `model` is another kind of object, a signal is not real, or `steps` is not an integer.
    ValueError
        If the model has inputs and `u` or `u_future` is missing, if shapes disagree, or if the
        model is in continuous time.
    UnstableModelError
        If the forecast overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import InnovationSSM, forecast
    >>> model = InnovationSSM([[0.5]], [[1.0]], [[1.0]], [[2.0]])
    >>> ahead = forecast(model, [0.0, 1.0], steps=2)
    >>> ahead.mean[:, 0]
    array([1. , 0.5])
    >>> bool(np.allclose(ahead.covariance[:, 0, 0], [2.0, 4.0]))
    True
    """
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM, BilinearSSM))
    require_discrete(model, "forecast")
    steps = as_integer("steps", steps, minimum=0)
    require_memory(f"`steps` = {steps}", steps * max(model.n_outputs, 1) ** 2)
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    if u_future is None and model.n_inputs:
        raise ValueError(
            f"`u_future` must be given: the model has inputs; pass what comes next, shape "
            f"({steps}, {model.n_inputs})."
        )
    u_future = model_input(model, u_future, None if model.n_inputs else steps, name="u_future")
    if u_future.shape[-2] != steps:
        raise ValueError(
            f"`u_future` must have `steps` = {counted(steps, 'sample')}; got {u_future.shape[-2]}."
        )
    if isinstance(model, BilinearSSM):
        return Forecast(*bilinear_forecast(model, y, u, u_future))
    start = initial_state(model, None)
    if isinstance(model, LinearSSM):
        x = _states(model.A, model.B, u, start)[..., -1, :]
        mean = _response(model.A, model.B, model.C, model.D, u_future, x)
        return Forecast(mean, np.zeros((*mean.shape, model.n_outputs)))
    x, P, _, _ = filter_records(model, y, u, start, keep_states=False, keep_covariances=False)
    mean = _response(model.A, model.B, model.C, model.D, u_future, x[..., -1, :])
    Q, R, _ = noise_covariances(model)
    P = np.broadcast_to(P[..., -1, :, :], (*mean.shape[:-2], *P.shape[-2:]))
    covariance = np.empty((*mean.shape, model.n_outputs))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(steps):
            covariance[..., k, :, :] = symmetrize(model.C @ P @ model.C.T + R)
            P = symmetrize(model.A @ P @ model.A.T + Q)
    _require_finite(model.A, covariance.sum(axis=-1), "covariance")
    return Forecast(mean, covariance)


def _join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Concatenate the channels of two signals after broadcasting their leading axes."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    parts = [np.broadcast_to(part, (*batch, *part.shape[-2:])) for part in (a, b)]
    return np.concatenate(parts, axis=-1)


def _response(
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray,
) -> np.ndarray:
    """Return the finite outputs of a linear system."""
    from .scan.linear import linear_response

    return _require_finite(A, linear_response(A, B, C, D, u, x0)[0])


def _states(A: np.ndarray, B: np.ndarray, u: np.ndarray, x0: np.ndarray) -> np.ndarray:
    """Return the states (..., T + 1, n) of x+ = A x + B u."""
    from .scan.linear import linear_states

    return linear_states(A, u @ B.T, x0)


def _finite_states(A: np.ndarray, B: np.ndarray, u: np.ndarray, x0: np.ndarray) -> np.ndarray:
    """Return the states of a simulation, or say where they overflow."""
    return _require_finite(A, _states(A, B, u, x0), "state")


def _advance(
    model: AnyLinear, x: np.ndarray, u: np.ndarray, start: np.ndarray, times: int
) -> np.ndarray:
    """Apply x(t) <- A x(t - 1) + B u(t - 1), with x(0) <- start, `times` times by doubling.

    One application turns the state predicted from y up to t - h into that from t - h - 1. Each is
    affine, x -> (A shift) x + g, so its powers of two are found by squaring.
    """
    batch = np.broadcast_shapes(x.shape[:-2], u.shape[:-2], start.shape[:-1])
    g = np.empty((*batch, *x.shape[-2:]), np.result_type(model.A, model.B, x, start))
    g[..., :1, :] = start[..., np.newaxis, :]
    g[..., 1:, :] = (u @ model.B.T)[..., :-1, :]
    power, shift = model.A, 1
    with np.errstate(over="ignore", invalid="ignore"):
        while times:
            if times % 2:
                moved = g.copy()
                moved[..., shift:, :] += x[..., :-shift, :] @ power.T
                x = moved
            doubled = g.copy()
            doubled[..., shift:, :] += g[..., :-shift, :] @ power.T
            g, power, shift, times = doubled, power @ power, 2 * shift, times // 2
    return x


def _require_finite(A: np.ndarray, values: np.ndarray, what: str = "output") -> np.ndarray:
    """Return `values` (..., T, p) if they are finite, else say where the recursion overflowed."""
    if (first := first_overflow(values)) is None:
        return values
    margin = stability_margin(A, 1.0)
    raise UnstableModelError(
        f"The {what} overflows at sample {first}: the recursion's stability margin is "
        f"{margin:.3g} (1 - max |eigenvalue|). Use fewer samples, or a stable model or predictor.",
        stability_margin=margin,
    )
