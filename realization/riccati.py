r"""Riccati equations with the residual checked: the only place that calls a solver for them."""

from __future__ import annotations

import numpy as np
import scipy

from ._linalg import symmetrize
from .exceptions import AccuracyError

__all__ = ["solve_filter_riccati"]


def solve_filter_riccati(
    A: np.ndarray, C: np.ndarray, Q: np.ndarray, R: np.ndarray, S: np.ndarray, *, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Solve the Riccati equation of the steady-state Kalman predictor.

    Discrete time, with :math:`R_e = C P C^\top + R` and :math:`K = (A P C^\top + S) R_e^{-1}`:

    .. math:: P = A P A^\top + Q - K R_e K^\top.

    Continuous time, with :math:`K = (P C^\top + S) R^{-1}` and :math:`R_e = R`:

    .. math:: A P + P A^\top + Q - K R K^\top = 0.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    C : (p, n) ndarray
        Output matrix; (C, A) must be detectable.
    Q : (n, n) ndarray
        State noise covariance.
    R : (p, p) ndarray
        Output noise covariance.
    S : (n, p) ndarray
        Cross-covariance.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    P : (n, n) ndarray
        Covariance of the state prediction error.
    K : (n, p) ndarray
        Predictor gain; A - K C is stable.
    Re : (p, p) ndarray
        Innovation covariance.

    Raises
    ------
    AccuracyError
        If no stabilising solution is found or its relative residual exceeds 1e-7.
    """
    n = A.shape[0]
    if n == 0:
        return np.zeros((0, 0)), np.zeros((0, C.shape[0])), R.copy()
    solver = scipy.linalg.solve_continuous_are if dt == 0.0 else scipy.linalg.solve_discrete_are
    try:
        P = symmetrize(solver(A.T, C.T, Q, R, s=S))
    except np.linalg.LinAlgError as error:
        raise AccuracyError(
            f"No stabilising solution of the filter Riccati equation was found ({error}). "
            "Likely causes: (a) a pole on or outside the stability boundary that the outputs do "
            "not see, (b) modes on the boundary that no noise reaches, (c) a singular innovation "
            "covariance.",
            residual=np.inf,
        ) from None
    Re = R if dt == 0.0 else symmetrize(C @ P @ C.T + R)
    cross = P @ C.T + S if dt == 0.0 else A @ P @ C.T + S
    K = scipy.linalg.solve(Re, cross.T, assume_a="sym").T
    if dt == 0.0:
        drift = A @ P
        error, scale = drift + drift.T + Q - K @ Re @ K.T, 2 * np.linalg.norm(drift)
    else:
        error, scale = A @ P @ A.T - P + Q - K @ Re @ K.T, 2 * np.linalg.norm(P)
    residual = float(np.linalg.norm(error) / max(scale + np.linalg.norm(Q), np.finfo(float).tiny))
    if not residual <= 1e-7:
        raise AccuracyError(
            f"The filter Riccati solution has relative residual {residual:.2e}. Likely causes: "
            "(a) a zero of the spectrum on the stability boundary, (b) badly scaled outputs.",
            residual=residual,
        )
    return P, K, Re
