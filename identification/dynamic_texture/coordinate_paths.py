r"""Paths of the coordinates of a texture, in blocks: the part of synthesis without pixels.

    start     x_0 stationary, or given what the last frames before the film say about it
    run       x_{t+1} = A x_t + w_t,  z_t = C x_t + v_t,  as many blocks as wished
    loop      a stationary path, conditioned on x_L = x_0

A loop of L frames is a path corrected by what its own gap says (Matheron's rule): with
g = Var(x_L - x_0)^-1 (x_L - x_0),

    z_t  <-  z_t - (N' A'^(L-1-t) - C A^t P) g,        N = A P C' + S.

Conditioning only reduces variances, so a loop never varies more than the texture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from realization import GaussianSSM, kalman_filter
from realization.internal import covariance_factor, lyapunov_factor

from .model import is_observed

__all__ = ["closed_path", "last_state", "run", "stationary_factor"]

STEPS = 4096  # of the longest block: what is held is its noise


def stationary_factor(model: GaussianSSM) -> np.ndarray:
    """Return a factor (n, n) of the stationary covariance of the state."""
    return lyapunov_factor(model.A, covariance_factor(model.Q), dt=model.dt)


def last_state(model: GaussianSSM, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance factor of the state at the last of some frames.

    Parameters
    ----------
    model : GaussianSSM
        Of the coordinates, in the direction of time in which they were filmed.
    z : (k, q) ndarray
        Coordinates of the frames.

    Returns
    -------
    mean : (n,) ndarray
        Expectation given the frames.
    factor : (n, r) ndarray
        Factor of the covariance given the frames.
    """
    if is_observed(model):
        return np.linalg.solve(model.C, z[-1]), np.zeros((model.n_states, 0))
    if len(z) > 1:
        filtered = kalman_filter(model, z)
        return filtered.x_filt[-1], covariance_factor(filtered.P_filt[-1])
    factor = stationary_factor(model)
    P = factor @ factor.T
    gain = P @ model.C.T @ scipy.linalg.pinvh(model.C @ P @ model.C.T + model.R)
    return gain @ z[-1], covariance_factor(P - gain @ model.C @ P)


def run(
    model: GaussianSSM,
    x: np.ndarray,
    frames: int,
    size: int,
    rng: np.random.Generator | None,
) -> Iterator[np.ndarray]:
    """Yield blocks (b, q) of coordinates from a first state; without `rng`, their expectation."""
    n = model.n_states
    factor = _noise_factor(model)
    rows = max(STEPS // size, 1) * size
    for first in range(0, frames, rows):
        count = min(rows, frames - first)
        noise = np.zeros((count, len(factor)))
        if rng is not None:
            noise = rng.standard_normal((count, factor.shape[1])) @ factor.T
        path = np.empty((count, n))
        for t in range(count):
            path[t] = x
            x = model.A @ x + noise[t, :n]
        z = path @ model.C.T + noise[:, n:]
        for start in range(0, count, size):
            yield z[start : start + size]


def closed_path(model: GaussianSSM, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return coordinates (frames, q) that begin again where they end."""
    n, A = model.n_states, model.A
    factor = stationary_factor(model)
    P = factor @ factor.T
    noise = _noise_factor(model)
    x = first = factor @ rng.standard_normal(n)
    driven = rng.standard_normal((frames, noise.shape[1])) @ noise.T
    z = np.empty((frames, model.n_outputs))
    for t in range(frames):
        z[t] = model.C @ x + driven[t, n:]
        x = A @ x + driven[t, :n]
    all_round = np.linalg.matrix_power(A, frames) @ P
    gap = scipy.linalg.pinvh(2 * P - all_round - all_round.T) @ (x - first)
    N = A @ P @ model.C.T + model.S
    start, end = P @ gap, gap
    for t in range(frames):
        z[t] += model.C @ start
        z[frames - 1 - t] -= N.T @ end
        start, end = A @ start, A.T @ end
    return z


def _noise_factor(model: GaussianSSM) -> np.ndarray:
    """Return F (n + q, r) with F F' the covariance of the noises of state and coordinates."""
    joint = np.block([[model.Q, model.S], [model.S.T, model.R]])
    return covariance_factor(joint)
