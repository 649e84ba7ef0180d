"""What drives a model: the covariance of its noise, and what that makes of the output."""

from __future__ import annotations

import numpy as np

from ._linalg import covariance_factor, symmetrize
from .lyapunov import solve_lyapunov
from .models import AnyLinear, CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM

__all__ = ["covariance_data", "noise_covariances", "noise_factor"]


def noise_covariances(model: AnyLinear) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q (n, n), R (p, p), S (n, p): the blocks of the covariance of the driving noise."""
    if isinstance(model, GaussianSSM):
        return model.Q, model.R, model.S
    if isinstance(model, InnovationSSM):
        S = model.K @ model.Re
        return symmetrize(S @ model.K.conj().T), model.Re, S
    B, D = model.B, model.D.conj().T
    return symmetrize(B @ B.conj().T), symmetrize(model.D @ D), B @ D


def noise_factor(model: AnyLinear) -> tuple[np.ndarray, np.ndarray]:
    """Return B (n, r), D (p, r) with [B; D] [B; D]' the covariance of the driving noise."""
    if isinstance(model, LinearSSM):
        return model.B, model.D
    if isinstance(model, InnovationSSM):
        root = covariance_factor(model.Re)
        return model.K @ root, root
    Q, R, S = noise_covariances(model)
    factor = covariance_factor(np.block([[Q, S], [S.conj().T, R]]))
    return factor[: model.n_states], factor[model.n_states :]


def covariance_data(model: AnyLinear | CovarianceModel) -> tuple[np.ndarray, np.ndarray]:
    r"""Return N (n, p) and Lambda_0 (p, p) of the stationary output.

    Discrete time: :math:`N = A P C' + S, \Lambda_0 = C P C' + R`. Continuous time:
    :math:`N = P C' + S, \Lambda_0 = R`, the white part.
    """
    if isinstance(model, CovarianceModel):
        return model.N, model.Lambda0
    Q, R, S = noise_covariances(model)
    P = solve_lyapunov(model.A, Q, dt=model.dt)
    cross = P @ model.C.conj().T
    if model.dt == 0.0:
        return cross + S, R
    return model.A @ cross + S, symmetrize(model.C @ cross + R)
