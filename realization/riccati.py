r"""Riccati equations with the residual checked: the only place that calls a solver for them.

One equation serves both tasks. With :math:`R_e = R + C X C^\top` and
:math:`K = (A X C^\top + S) R_e^{-1}` (discrete time), or :math:`R_e = R` and
:math:`K = (X C^\top + S) R^{-1}` (continuous time), the stabilising solution of

.. math:: X = A X A^\top + Q - K R_e K^\top, \qquad A X + X A^\top + Q - K R_e K^\top = 0

is the covariance of the Kalman predictor's error. With ``Q = 0, R = Lambda0, S = N`` the same
solution is ``-P``, P the covariance of the predictor's state: covariance data need no model.

Three independent routes are tried until one passes the check: the doubling iteration (SDA), the
extended pencil (scipy; first in continuous time) and the filter's own recursion from zero
(Faurre). Each is polished by Newton steps; the smallest residual wins. Continuous time reaches
doubling and recursion through the Cayley transform, which keeps the solution.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy

from ._linalg import stability_margin, symmetrize
from .exceptions import AccuracyError, NumericalWarning
from .lyapunov import unchecked_lyapunov

__all__ = ["RiccatiData", "solve_covariance_riccati", "solve_filter_riccati", "to_discrete_time"]

_GOOD = 1e-12  # a residual at which no other route is tried
_ACCEPTABLE = 1e-9  # above this no route has solved the equation
_RESOLUTION = 1e-9  # relative uncertainty of the solution that deserves a warning
_STABLE = 1e-7  # how far outside rounding may put a simple zero that is on the boundary
_NEARLY_STABLE = 1e-3  # and a multiple one


class RiccatiData(NamedTuple):
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
    solution = _solve(RiccatiData(A, C, Q, R, S, dt))
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
    solution = _solve(RiccatiData(A, C, np.zeros_like(A), Lambda0, N, dt))
    return -solution.X, solution.K, solution.Re


def _solve(equation: RiccatiData) -> _Solution:
    """Return the stabilising solution, checked, by the first route that is good enough."""
    if any(np.iscomplexobj(matrix) for matrix in equation[:5]):
        raise TypeError("The Riccati equation is solved for real models; got complex matrices.")
    n, p = equation.A.shape[0], equation.C.shape[0]
    if n == 0:
        return _Solution(np.zeros((0, 0)), np.zeros((0, p)), equation.R.copy(), 0.0, np.inf)
    routes = (_doubling, _pencil, _recursion)
    if equation.dt == 0.0:  # the Cayley transform suits poles and zeros of like size only
        routes = (_pencil, _doubling, _recursion)
    found: list[_Solution] = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # divergence is judged
        for route in routes:
            X = route(equation)
            if X is not None and (candidate := _polish(equation, X)) is not None:
                found.append(candidate)
                if candidate.residual <= _GOOD and candidate.margin > -_STABLE:
                    break
    # the solution with a stable closed loop, if there is one; among them the most accurate
    found.sort(key=lambda s: (s.residual > _ACCEPTABLE, s.margin <= -_STABLE, s.residual))
    if not found or not found[0].residual <= _ACCEPTABLE:
        residual = found[0].residual if found else np.inf
        raise AccuracyError(
            f"No stabilising solution of the Riccati equation was found (relative residual "
            f"{residual:.2e}). Likely causes: (a) the spectral density is not positive definite: "
            "the covariance data are not those of a process, or outputs are linearly dependent or "
            "exactly predictable, (b) a mode of A on or outside the stability boundary that the "
            "outputs do not see, or on it that no noise reaches, (c) badly scaled outputs.",
            residual=residual,
        )
    best = found[0]
    lost = np.finfo(float).eps * _cancellation(equation, best.Re)
    if lost > 1e-3:
        raise AccuracyError(
            "The innovation covariance is singular to working precision: outputs are linearly "
            "dependent, or exactly predictable. Leave out the dependent outputs.",
            residual=lost,
        )
    _warn_of_lost_digits(_zero_doubt(equation, best), best.margin, lost)
    return best


def _gain(equation: RiccatiData, X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return K and Re of a candidate X, or None where Re is not positive definite."""
    A, C, _, R, S, dt = equation
    Re = R if dt == 0.0 else symmetrize(R + C @ X @ C.T)
    cross = (X @ C.T if dt == 0.0 else A @ X @ C.T) + S
    try:
        factor = scipy.linalg.cho_factor(Re, lower=True)
        return scipy.linalg.cho_solve(factor, cross.T).T, Re
    except (np.linalg.LinAlgError, ValueError):
        return None


def _defect(
    equation: RiccatiData, X: np.ndarray, K: np.ndarray, Re: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the error matrix of the equation at X, and its norm relative to the largest term."""
    A, C, Q, _, S, dt = equation
    correction = K @ Re @ K.T
    if dt == 0.0:
        moved = A @ X
        error, cross = moved + moved.T + Q - correction, X @ C.T
    else:
        moved = A @ X @ A.T
        error, cross = moved - X + Q - correction, A @ X @ C.T
    scale = max(
        np.linalg.norm(moved),
        np.linalg.norm(Q),
        np.linalg.norm(K) * max(np.linalg.norm(S), np.linalg.norm(cross)),
    )
    size = float(np.linalg.norm(error))
    return symmetrize(error), size / float(scale) if scale > 0 else size


def _polish(equation: RiccatiData, X: np.ndarray) -> _Solution | None:
    """Return the candidate after Newton steps, or None if it is not a stabilising solution."""
    best: _Solution | None = None
    for _ in range(10):
        gain = _gain(equation, X)
        if gain is None:
            break
        K, Re = gain
        error, residual = _defect(equation, X, K, Re)
        closed = equation.A - K @ equation.C
        if not np.isfinite(residual) or (best is not None and residual >= best.residual):
            break
        margin = stability_margin(closed, equation.dt)
        if margin < -_NEARLY_STABLE:
            break
        best = _Solution(X, K, Re, residual, margin)
        if margin <= _STABLE or residual <= 1e-15:
            break
        X = symmetrize(X + unchecked_lyapunov(closed, error, dt=equation.dt))
    return best


def _warn_of_lost_digits(doubt: float, margin: float, lost: float) -> None:
    """Warn if rounding in the data alone leaves the solution fewer than nine digits."""
    text = ""
    if doubt > _RESOLUTION:
        text = (
            f"The spectral density (nearly) touches zero: a zero lies {abs(margin):.1e} from the "
            "stability boundary, and the solution of the Riccati equation is determined only to "
            f"about {doubt:.0e} (relative)."
        )
    elif lost > _RESOLUTION:
        text = (
            "The innovation covariance is nearly singular: outputs are almost linearly dependent, "
            "or almost exactly predictable. It and the gain are determined only to about "
            f"{lost:.0e} (relative)."
        )
    if text:
        warnings.warn(text, NumericalWarning, stacklevel=5)


def _zero_doubt(equation: RiccatiData, solution: _Solution) -> float:
    """Estimate the relative error of X that rounding in the data causes through the zeros.

    A perturbation E of the equation moves X by the solution of the closed loop's Lyapunov
    equation with right-hand side E, which is largest for a positive E. E is eps times the
    diagonal of X: the estimate does not depend on the units of the states.
    """
    sizes = np.abs(np.diagonal(solution.X))
    if solution.margin > 0.05 or not sizes.any():
        return 0.0
    closed, eps = equation.A - solution.K @ equation.C, np.finfo(float).eps
    size = np.linalg.norm(equation.A) or np.linalg.norm(closed) or 0.5  # A = 0: a random walk
    rate = 2 * size if equation.dt == 0.0 else 1.0
    if solution.margin <= 0.0:  # on the boundary to rounding: judge the loop just inside
        shift = rate * np.sqrt(eps) - 2 * solution.margin
        closed = closed - shift * (np.eye(len(closed)) if equation.dt == 0.0 else closed)
    moved = np.diagonal(unchecked_lyapunov(closed, np.diag(sizes), dt=equation.dt))
    seen = sizes > 1e-12 * sizes.max()
    doubt = float(eps * rate * np.max(moved[seen] / sizes[seen]))
    return float(min(max(doubt, -10 * solution.margin / rate), 1.0))


def _cancellation(equation: RiccatiData, Re: np.ndarray) -> float:
    """Return how much larger than Re, in its worst direction, the terms are that make it."""
    sizes = np.abs(np.diagonal(equation.R)) + np.diagonal(Re)
    factor = np.linalg.cholesky(Re)
    scaled = scipy.linalg.solve_triangular(factor, np.diag(np.sqrt(sizes)), lower=True)
    return float(np.linalg.norm(scaled, 2) ** 2)


def _pencil(equation: RiccatiData) -> np.ndarray | None:
    """Solve by the stable subspace of the extended pencil (scipy)."""
    A, C, Q, R, S, dt = equation
    solver = scipy.linalg.solve_continuous_are if dt == 0.0 else scipy.linalg.solve_discrete_are
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return symmetrize(solver(A.T, C.T, Q, R, s=S))
    except (np.linalg.LinAlgError, ValueError):
        return None


def to_discrete_time(equation: RiccatiData) -> tuple[RiccatiData, float]:
    r"""Return the discrete-time equation with the same solution, by the Cayley transform.

    With :math:`s = g (z - 1) / (z + 1)` the spectral densities agree point by point.

    Parameters
    ----------
    equation : RiccatiData
        Data in continuous time, of order 1 or more.

    Returns
    -------
    discrete : RiccatiData
        Data in discrete time.
    g : float
        Positive: the geometric mean of the extreme pole moduli, within three decades.
    """
    A, C, Q, R, S, _ = equation
    n = A.shape[0]
    sizes = np.abs(np.linalg.eigvals(A))
    g = float(np.sqrt(sizes.max() * max(sizes.min(), 1e-3 * sizes.max()))) or 1.0
    resolvent = g * np.eye(n) - A
    solved = np.linalg.solve(resolvent, np.hstack([g * np.eye(n) + A, Q, S]))
    Ad, MQ, MS = solved[:, :n], solved[:, n : 2 * n], solved[:, 2 * n :]
    CM = np.linalg.solve(resolvent.T, C.T).T
    Qd = 2 * g * symmetrize(np.linalg.solve(resolvent, MQ.T))
    CMS = CM @ S
    Rd = symmetrize(R + CM @ Q @ CM.T + CMS + CMS.T)
    root = np.sqrt(2 * g)
    return RiccatiData(Ad, root * CM, Qd, Rd, root * (MQ @ CM.T + MS), 1.0), g


def _doubling(equation: RiccatiData) -> np.ndarray | None:
    """Solve by the structure-preserving doubling algorithm (quadratic convergence)."""
    A, C, Q, R, S, _ = equation if equation.dt > 0.0 else to_discrete_time(equation)[0]
    n = A.shape[0]
    try:
        factor = scipy.linalg.cho_factor(R)
        F = (A - S @ scipy.linalg.cho_solve(factor, C)).T
        G = symmetrize(C.T @ scipy.linalg.cho_solve(factor, C))
        H = symmetrize(Q - S @ scipy.linalg.cho_solve(factor, S.T))
        for _ in range(60):
            WF, WG = np.hsplit(np.linalg.solve(np.eye(n) + G @ H, np.hstack([F, G @ F.T])), [n])
            step = WF.T @ (H @ F)
            G, F, H = symmetrize(G + F @ WG), F @ WF, symmetrize(H + step)
            if np.linalg.norm(step) <= np.finfo(float).eps * np.linalg.norm(H):
                return H
    except (np.linalg.LinAlgError, ValueError):
        return None
    return H


def _recursion(equation: RiccatiData, steps: int = 4000) -> np.ndarray | None:
    """Solve by the predictor's covariance recursion from zero (Faurre's iteration)."""
    equation = equation if equation.dt > 0.0 else to_discrete_time(equation)[0]
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
