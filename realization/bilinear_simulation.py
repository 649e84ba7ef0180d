r"""What simulate, predict and forecast do with a bilinear model.

::

    discrete time     one step is x+ = A x + sum_i u_i N_i x + B u + K e
    continuous time   with u = u_k held over [k h, (k + 1) h], the model is linear there:
                      dx/dt = F_k x + B u_k, F_k = A + sum_i u_{k,i} N_i, and exactly
                      x+ = exp(F_k h) x + integral_0^h exp(F_k s) ds B u_k
    predictor         x+ = (A - K C) x + sum_i u_i N_i x + (B - K D) u + K y

The exact step is not affine in u_k, so no bilinear discrete-time model has the same samples: there
is no ``discretize`` for these models, ``simulate(model, u, dt=h)`` takes the step instead. It is
the matrix exponential of :math:`[[F_k, B u_k], [0, 0]] h`, computed once for each distinct input.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from ._linalg import covariance_factor, stability_margin, symmetrize
from ._signals import first_overflow
from ._validation import Rng, as_generator, as_real
from .bilinear import BilinearSSM
from .exceptions import UnstableModelError

__all__ = ["bilinear_forecast", "bilinear_prediction", "bilinear_response"]

CHUNK = 4096  # matrix exponentials held at a time


def bilinear_response(
    model: BilinearSSM, u: np.ndarray, x0: np.ndarray, dt: float | None, noise: bool, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs (..., T, p) and states (..., T + 1, n) for checked u and x0."""
    if noise and (model.dt == 0.0 or model.Re is None):
        reason = "has no `Re`" if model.Re is None else "is in continuous time"
        raise ValueError(
            f"`noise` must be False for this model, which {reason}: noise is drawn for discrete-"
            "time models that state the covariance `Re` of their innovations."
        )
    if model.dt == 0.0:
        if dt is None:
            raise ValueError(
                "`dt` must be given for a bilinear model in continuous time: the interval over "
                "which each input is held."
            )
        x = _held_states(model, u, x0, as_real("dt", dt, above=0.0))
        e = np.zeros(1)
    else:
        if dt is not None and as_real("dt", dt) != model.dt:
            raise ValueError(
                f"`dt` must be left out for a discrete-time model, whose sample time is "
                f"{model.dt:g}; got {dt}."
            )
        e = _innovations(model, u, x0, rng) if noise else np.zeros((1, model.n_outputs))
        x = _states(model, model.A, model.B, u, e if noise else None, x0)
    with np.errstate(over="ignore", invalid="ignore"):
        y = x[..., :-1, :] @ model.C.T + u @ model.D.T + e
    return _require_finite(model, y), x


def bilinear_prediction(
    model: BilinearSSM, y: np.ndarray, u: np.ndarray, start: np.ndarray, horizon: float
) -> np.ndarray:
    """Return the predictions (..., T, p) for checked arguments; horizon is an integer or inf."""
    _require_complete(y)
    batch = np.broadcast_shapes(y.shape[:-2], u.shape[:-2], start.shape[:-1])
    start = np.broadcast_to(start, (*batch, model.n_states))
    if horizon > y.shape[-2] or not model.K.any():
        x = _states(model, model.A, model.B, u, None, start)[..., :-1, :]
    else:
        x = _predictor_states(model, y, u, start)[..., :-1, :]
        for _ in range(int(horizon) - 1):
            moved = np.empty_like(x)
            moved[..., 0, :] = start
            moved[..., 1:, :] = _step(model, x[..., :-1, :], u[..., :-1, :])
            x = moved
    with np.errstate(over="ignore", invalid="ignore"):
        y_hat = x @ model.C.T + u @ model.D.T
    return _require_finite(model, y_hat)


def bilinear_forecast(
    model: BilinearSSM, y: np.ndarray, u: np.ndarray, u_future: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (..., steps, p) and covariance (..., steps, p, p) for checked arguments."""
    _require_complete(y)
    if model.Re is None:
        raise ValueError(
            "`model` must have `Re`, the covariance of its innovations, to say how good a forecast "
            "is. For the mean alone call simulate from the predicted state."
        )
    start = np.broadcast_to(model.x0, (*y.shape[:-2], model.n_states))
    x = _predictor_states(model, y, u, start)[..., -1, :]
    x = _states(model, model.A, model.B, u_future, None, x)
    mean = x[..., :-1, :] @ model.C.T + u_future @ model.D.T
    covariance = np.empty((*mean.shape, model.n_outputs), mean.dtype)
    noise = model.K @ model.Re @ model.K.conj().T
    P = np.zeros(model.A.shape)
    for k in range(mean.shape[-2]):
        covariance[..., k, :, :] = symmetrize(model.C @ P @ model.C.conj().T + model.Re)
        A = model.A + np.tensordot(u_future[..., k, :], model.N, axes=1)
        P = symmetrize(A @ P @ A.conj().swapaxes(-1, -2) + noise)
    return _require_finite(model, mean), _require_finite(model, covariance)


def _states(
    model: BilinearSSM,
    A: np.ndarray,
    B: np.ndarray,
    u: np.ndarray,
    e: np.ndarray | None,
    x0: np.ndarray,
) -> np.ndarray:
    """Return the states of x+ = A x + sum_i u_i N_i x + B u + K e."""
    from .scan.bilinear import bilinear_states

    if e is None:
        return bilinear_states(A, model.N, B, u, x0)
    batch = np.broadcast_shapes(u.shape[:-2], e.shape[:-2])
    parts = [np.broadcast_to(part, (*batch, *part.shape[-2:])) for part in (u, e)]
    v = np.concatenate(parts, axis=-1)
    return bilinear_states(A, model.N, np.hstack([B, model.K]), v, x0)


def _predictor_states(
    model: BilinearSSM, y: np.ndarray, u: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Return the predicted states (..., T + 1, n)."""
    A, B = model.A - model.K @ model.C, model.B - model.K @ model.D
    return _states(model, A, B, u, y, start)


def _step(model: BilinearSSM, x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return A x + sum_i u_i N_i x + B u for all samples at once."""
    moved = x @ model.A.T + u @ model.B.T
    for i, N in enumerate(model.N):
        moved = moved + u[..., i : i + 1] * (x @ N.T)
    return moved


def _innovations(model: BilinearSSM, u: np.ndarray, x0: np.ndarray, rng: Rng) -> np.ndarray:
    """Return e (..., T, p) drawn with covariance Re."""
    root = covariance_factor(np.asarray(model.Re))
    batch = np.broadcast_shapes(u.shape[:-2], x0.shape[:-1])
    white = as_generator(rng).standard_normal((*batch, u.shape[-2], root.shape[1]))
    return white @ root.T


def _held_states(model: BilinearSSM, u: np.ndarray, x0: np.ndarray, h: float) -> np.ndarray:
    """Return the states (..., T + 1, n) at the times k h, each input held for h."""
    from .scan.bilinear import switched_steps

    n, m, T = model.n_states, model.n_inputs, u.shape[-2]
    batch = np.broadcast_shapes(u.shape[:-2], x0.shape[:-1])
    dtype = np.result_type(model.A, model.N, model.B, x0, float)
    x = np.empty((*batch, T + 1, n), dtype)
    x[..., 0, :] = x0
    series = math.prod(batch)
    states = x.reshape(series, T + 1, n)
    u = np.broadcast_to(u, (*batch, T, m)).reshape(series, T, m)
    length = max(CHUNK // max(series, 1), 1)
    for first in range(0, T, length):
        part = u[:, first : first + length]
        samples = part.reshape(series * part.shape[1], m)
        levels, index = np.unique(samples, axis=0, return_inverse=True)
        generators = np.zeros((len(levels), n + 1, n + 1), dtype)
        generators[:, :n, :n] = model.A + np.tensordot(levels, model.N, axes=1)
        generators[:, :n, n] = levels @ model.B.T
        with np.errstate(over="ignore", invalid="ignore"):
            steps = scipy.linalg.expm(generators * h)
        if not np.isfinite(steps).all():
            raise ValueError(
                f"`dt` must be smaller: the state grows past the largest float within one "
                f"interval of {h:g}."
            )
        own = np.ascontiguousarray(states[:, first : first + part.shape[1] + 1])
        maps = np.ascontiguousarray(steps[:, :n].swapaxes(1, 2))
        with np.errstate(over="ignore", invalid="ignore"):
            switched_steps(maps, index.reshape(part.shape[:2]), own)
        states[:, first : first + part.shape[1] + 1] = own
    return x


def _require_complete(y: np.ndarray) -> None:
    """Raise if an output is missing: the gain of a bilinear model is fixed."""
    if np.isnan(y).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(y))[0])
        raise ValueError(
            f"`y` must be complete for a bilinear model, whose gain is fixed; found NaN, first at "
            f"index {where}. Predict from the samples after the gap, with x0."
        )


def _require_finite(model: BilinearSSM, values: np.ndarray) -> np.ndarray:
    """Return `values` (..., T, p) if they are finite, else say where the model overflowed."""
    if (first := first_overflow(values)) is None:
        return values
    margin = stability_margin(model.A, model.dt)
    raise UnstableModelError(
        f"The output overflows at sample {first}: for these inputs "
        f"the recursion is unstable (stability margin of `A` alone: {margin:.3g}). Use fewer "
        "samples or a smaller input.",
        stability_margin=margin,
    )
