r"""Riccati equations with the residual checked: the only place that calls a solver for them.

One equation serves both tasks. With :math:`R_e = R + C X C^\top` and
:math:`K = (A X C^\top + S) R_e^{-1}` (discrete time), or :math:`R_e = R` and
:math:`K = (X C^\top + S) R^{-1}` (continuous time), the stabilising solution of

.. math:: X = A X A^\top + Q - K R_e K^\top, \qquad A X + X A^\top + Q - K R_e K^\top = 0

is the covariance of the Kalman predictor's error. With ``Q = 0, R = Lambda0, S = N`` the same
solution is ``-P``, P the covariance of the predictor's state: covariance data need no model.

Three independent routes, tried in this order until one passes the check: the extended pencil
(scipy), the doubling iteration (SDA), the filter's own recursion from zero (Faurre). Each is
polished by Newton steps; the smallest residual wins. Continuous time reaches the last two through
the Cayley transform, which keeps the solution.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy

from ._linalg import stability_margin, symmetrize
from .exceptions import AccuracyError, NumericalWarning

__all__ = ["solve_covariance_riccati", "solve_filter_riccati"]

_GOOD = 1e-12  # a residual at which no other route is tried
_ACCEPTABLE = 1e-9  # above this no route has solved the equation
_RESOLUTION = 1e-9  # relative uncertainty of the solution that deserves a warning


class _Equation(NamedTuple):
    """The data of one Riccati equation, in the notation of the module docstring."""

    A: np.ndarray
    C: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    S: np.ndarray
    dt: float


class _Solution(NamedTuple):
    """A candidate: X, its gain and innovation covariance, and what the checks measured."""

    X: np.ndarray
    K: np.ndarray
    Re: np.ndarray
    residual: float  # relative to the largest term of the equation
    margin: float  # stability margin of A - K C


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
        If no route finds a stabilising solution with a relative residual below 1e-9.

    Warns
    -----
    NumericalWarning
        If the solution is determined to fewer than nine digits, because zeros of the spectral
        density lie on (or too near) the stability boundary.
    """
    solution = _solve(_Equation(A, C, Q, R, S, dt))
    return solution.X, solution.K, solution.Re


def solve_covariance_riccati(
    A: np.ndarray, C: np.ndarray, N: np.ndarray, Lambda0: np.ndarray, *, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Solve the Riccati equation of the innovations model from covariance data.

    Discrete time, with :math:`R_e = \Lambda_0 - C P C^\top`, :math:`K = (N - A P C^\top) R_e^{-1}`:

    .. math:: P = A P A^\top + K R_e K^\top.

    Continuous time, with :math:`R_e = \Lambda_0` the white part and
    :math:`K = (N - P C^\top) R_e^{-1}`:

    .. math:: A P + P A^\top + K R_e K^\top = 0.

    Parameters
    ----------
    A : (n, n) ndarray
        Stable state matrix.
    C : (p, n) ndarray
        Output matrix.
    N : (n, p) ndarray
        Cross-covariance of the next state and the output.
    Lambda0 : (p, p) ndarray
        Output covariance, or white-noise intensity in continuous time.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    P : (n, n) ndarray
        Covariance of the state of the steady-state predictor: the minimum of the set of all
        state covariances.
    K : (n, p) ndarray
        Predictor gain; the eigenvalues of A - K C are the zeros of the minimum-phase factor.
    Re : (p, p) ndarray
        Innovation covariance.

    Raises
    ------
    AccuracyError
        If no route finds a stabilising solution with a relative residual below 1e-9: the
        covariance data are then not positive real, or the outputs are linearly dependent.

    Warns
    -----
    NumericalWarning
        If the solution is determined to fewer than nine digits: the spectral density (nearly)
        touches zero.
    """
    solution = _solve(_Equation(A, C, np.zeros_like(A), Lambda0, N, dt))
    return -solution.X, solution.K, solution.Re


def _solve(equation: _Equation) -> _Solution:
    """Return the stabilising solution, checked, by the first route that is good enough."""
    n, p = equation.A.shape[0], equation.C.shape[0]
    if n == 0:
        return _Solution(np.zeros((0, 0)), np.zeros((0, p)), equation.R.copy(), 0.0, np.inf)
    best: _Solution | None = None
    for route in (_pencil, _doubling, _recursion):
        X = route(equation)
        candidate = None if X is None else _polish(equation, X)
        if candidate is not None and (best is None or candidate.residual < best.residual):
            best = candidate
        if best is not None and best.residual <= _GOOD:
            break
    if best is None or not best.residual <= _ACCEPTABLE:
        residual = np.inf if best is None else best.residual
        raise AccuracyError(
            f"No stabilising solution of the Riccati equation was found (relative residual "
            f"{residual:.2e}). Likely causes: (a) the spectral density is not positive definite: "
            "the covariance data are not those of a process, or outputs are linearly dependent or "
            "exactly predictable, (b) a mode of A on or outside the stability boundary that the "
            "outputs do not see, or on it that no noise reaches, (c) badly scaled outputs.",
            residual=residual,
        )
    if best.margin < 0.05 and (doubt := _uncertainty(equation, best)) > _RESOLUTION:
        warnings.warn(
            f"The spectral density (nearly) touches zero: a zero lies {best.margin:.1e} from the "
            f"stability boundary, and the Riccati solution is determined only to about {doubt:.0e} "
            "(relative).",
            NumericalWarning,
            stacklevel=4,
        )
    return best


def _gain(equation: _Equation, X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return K and Re of a candidate X, or None where Re is not positive definite."""
    A, C, _, R, S, dt = equation
    Re = R if dt == 0.0 else symmetrize(R + C @ X @ C.T)
    cross = (X @ C.T if dt == 0.0 else A @ X @ C.T) + S
    try:
        factor = scipy.linalg.cho_factor(Re, lower=True)
    except (np.linalg.LinAlgError, ValueError):
        return None
    return scipy.linalg.cho_solve(factor, cross.T).T, Re


def _defect(equation: _Equation, X: np.ndarray, K: np.ndarray, Re: np.ndarray) -> tuple:
    """Return the error matrix of the equation at X and its norm relative to the largest term."""
    A, _, Q, _, _, dt = equation
    correction = K @ Re @ K.T
    moved = A @ X if dt == 0.0 else A @ X @ A.T
    error = moved + moved.T + Q - correction if dt == 0.0 else moved - X + Q - correction
    terms = (moved, Q, correction) if dt == 0.0 else (moved, X, Q, correction)
    scale = max(float(np.linalg.norm(term)) for term in terms)
    size = float(np.linalg.norm(error))
    return symmetrize(error), size / scale if scale > 0 else size


def _polish(equation: _Equation, X: np.ndarray) -> _Solution | None:
    """Return the candidate after Newton steps, or None if it is not a stabilising solution."""
    best: _Solution | None = None
    for _ in range(4):
        gain = _gain(equation, X)
        if gain is None:
            break
        K, Re = gain
        error, residual = _defect(equation, X, K, Re)
        closed = equation.A - K @ equation.C
        if not np.isfinite(residual) or (best is not None and residual >= best.residual):
            break
        margin = stability_margin(closed, equation.dt)
        if margin < -1e-6:
            break
        best = _Solution(X, K, Re, residual, margin)
        if margin <= 1e-7 or residual <= np.finfo(float).eps:
            break
        step = _lyapunov(closed, error, equation.dt)
        if step is None:
            break
        X = symmetrize(X + step)
    return best


def _lyapunov(A: np.ndarray, Q: np.ndarray, dt: float) -> np.ndarray | None:
    """Solve the Lyapunov equation without judging the result; None where LAPACK gives up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dt == 0.0:
                return symmetrize(scipy.linalg.solve_continuous_lyapunov(A, -Q))
            method = "direct" if A.shape[0] <= 5 else "bilinear"
            return symmetrize(scipy.linalg.solve_discrete_lyapunov(A, Q, method=method))
    except (np.linalg.LinAlgError, ValueError):
        return None


def _uncertainty(equation: _Equation, solution: _Solution) -> float:
    """Estimate the relative error of X that rounding in the data alone causes.

    A perturbation E of the equation moves X by the solution of the closed loop's Lyapunov
    equation with right-hand side E, which is largest for a positive E. E is eps times the
    diagonal of X: the estimate does not depend on the units of the states.
    """
    sizes = np.abs(np.diagonal(solution.X))
    if not sizes.any():
        return 0.0
    closed = equation.A - solution.K @ equation.C
    moved = _lyapunov(closed, np.diag(sizes), equation.dt) if solution.margin > 0 else None
    if moved is None:
        return np.inf
    rate = 2 * np.linalg.norm(equation.A) if equation.dt == 0.0 else 1.0
    seen = sizes > 1e-12 * sizes.max()
    return float(np.finfo(float).eps * rate * np.max(np.diagonal(moved)[seen] / sizes[seen]))


def _pencil(equation: _Equation) -> np.ndarray | None:
    """Solve by the stable subspace of the extended pencil (scipy)."""
    A, C, Q, R, S, dt = equation
    solver = scipy.linalg.solve_continuous_are if dt == 0.0 else scipy.linalg.solve_discrete_are
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return symmetrize(solver(A.T, C.T, Q, R, s=S))
    except (np.linalg.LinAlgError, ValueError):
        return None


def _cayley(equation: _Equation) -> _Equation:
    r"""Return the discrete-time equation with the same solution.

    With :math:`s = \gamma (z - 1) / (z + 1)` the spectral densities agree point by point.
    """
    A, C, Q, R, S, _ = equation
    eigenvalues = np.abs(np.linalg.eigvals(A))
    gamma = float(np.sqrt(eigenvalues.max() * max(eigenvalues.min(), 1e-3 * eigenvalues.max())))
    gamma = gamma or 1.0
    n = A.shape[0]
    # one factorisation of gamma I - A serves all three products
    left, right = np.hstack([gamma * np.eye(n) + A, Q, S]), C
    factor = scipy.linalg.lu_factor(gamma * np.eye(n) - A)
    solved = scipy.linalg.lu_solve(factor, left)
    CM = scipy.linalg.lu_solve(factor, right.T, trans=1).T
    MQ, MS = solved[:, n : 2 * n], solved[:, 2 * n :]
    QMt = scipy.linalg.lu_solve(factor, MQ.T)  # M Q M'
    root = np.sqrt(2 * gamma)
    Rd = symmetrize(R + CM @ Q @ CM.T + CM @ S + S.T @ CM.T)
    return _Equation(
        solved[:, :n], root * CM, symmetrize(2 * gamma * QMt), Rd, root * (MQ @ CM.T + MS), 1.0
    )


def _doubling(equation: _Equation) -> np.ndarray | None:
    """Solve by the structure-preserving doubling algorithm (quadratic convergence)."""
    A, C, Q, R, S, _ = _cayley(equation) if equation.dt == 0.0 else equation
    n = A.shape[0]
    try:
        factor = scipy.linalg.cho_factor(R)
        F = (A - S @ scipy.linalg.cho_solve(factor, C)).T
        G = symmetrize(C.T @ scipy.linalg.cho_solve(factor, C))
        H = symmetrize(Q - S @ scipy.linalg.cho_solve(factor, S.T))
        for _ in range(60):
            lu = scipy.linalg.lu_factor(np.eye(n) + G @ H, check_finite=True)
            WF, WG = np.hsplit(scipy.linalg.lu_solve(lu, np.hstack([F, G @ F.T])), [n])
            step = WF.T @ (H @ F)
            G, F, H = symmetrize(G + F @ WG), F @ WF, symmetrize(H + step)
            if np.linalg.norm(step) <= np.finfo(float).eps * np.linalg.norm(H):
                return H
    except (np.linalg.LinAlgError, ValueError):
        return None
    return H


def _recursion(equation: _Equation, steps: int = 4000) -> np.ndarray | None:
    """Solve by the predictor's covariance recursion from zero (Faurre's iteration)."""
    equation = _cayley(equation) if equation.dt == 0.0 else equation
    X = np.zeros_like(equation.A)
    for _ in range(steps):
        gain = _gain(equation, X)
        if gain is None:
            return None
        K, Re = gain
        new = symmetrize(equation.A @ X @ equation.A.T + equation.Q - K @ Re @ K.T)
        if not np.isfinite(new).all():
            return None
        if np.linalg.norm(new - X) <= np.finfo(float).eps * np.linalg.norm(new):
            return new
        X = new
    return X
