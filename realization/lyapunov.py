r"""Lyapunov equations with the residual checked: the only place that calls a solver for them.

Discrete time :math:`P = A P A^\top + Q`, continuous time :math:`A P + P A^\top + Q = 0`.
"""

from __future__ import annotations

import numpy as np
import scipy

from ._linalg import stability_margin, symmetrize
from .exceptions import AccuracyError, UnstableModelError
from .models import GaussianSSM

__all__ = ["initial_moments", "solve_lyapunov"]


def solve_lyapunov(A: np.ndarray, Q: np.ndarray, *, dt: float) -> np.ndarray:
    r"""Solve the Lyapunov equation of a stable matrix.

    :math:`P = A P A^\top + Q` (``dt > 0``) or :math:`A P + P A^\top + Q = 0` (``dt = 0``).

    Parameters
    ----------
    A : (n, n) ndarray
        Stable matrix.
    Q : (n, n) ndarray
        Symmetric right-hand side.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    (n, n) ndarray
        The symmetric solution; positive semidefinite when `Q` is.

    Raises
    ------
    UnstableModelError
        If `A` is not stable.
    AccuracyError
        If the relative residual of the computed solution exceeds 1e-8.
    """
    n = A.shape[0]
    if n == 0:
        return np.zeros((0, 0))
    if (margin := stability_margin(A, dt)) <= 0:
        raise UnstableModelError(
            f"The Lyapunov equation has a covariance as solution only for a stable matrix; "
            f"the stability margin is {margin:.3g}.",
            stability_margin=margin,
        )
    if dt == 0.0:
        P = symmetrize(scipy.linalg.solve_continuous_lyapunov(A, -Q))
        error = A @ P
        error = error + error.conj().T + Q
        scale = 2 * np.linalg.norm(A) * np.linalg.norm(P) + np.linalg.norm(Q)
    else:
        method = "direct" if n <= 5 else "bilinear"
        P = symmetrize(scipy.linalg.solve_discrete_lyapunov(A, Q, method=method))
        error = A @ P @ A.conj().T - P + Q
        scale = (1 + np.linalg.norm(A) ** 2) * np.linalg.norm(P) + np.linalg.norm(Q)
    residual = float(np.linalg.norm(error) / scale) if scale > 0 else 0.0
    if not residual <= 1e-8:
        raise AccuracyError(
            f"The Lyapunov solution has relative residual {residual:.2e}; the stability margin is "
            f"{margin:.2e}. Likely causes: (a) a pole too close to the stability boundary, "
            "(b) a badly scaled state: balance the model first.",
            residual=residual,
        )
    return P


def initial_moments(model: GaussianSSM) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean m0 (n,) and covariance P0 (n, n) of the initial state of a GaussianSSM."""
    if model.P0 is not None:
        return model.m0, model.P0
    return model.m0, solve_lyapunov(model.A, model.Q, dt=model.dt)
