r"""Lyapunov equations with the residual checked: the only place that calls a solver for them.

Discrete time :math:`P = A P A^\top + Q`, continuous time :math:`A P + P A^\top + Q = 0`. The
solvers are SLICOT's SB03MD (the solution) and SB03OD (its Cholesky factor, never forming the
solution); complex matrices go to scipy.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy

from ._linalg import stability_margin, symmetrize
from .exceptions import AccuracyError, UnstableModelError
from .models import GaussianSSM

__all__ = ["initial_moments", "lyapunov_factor", "solve_lyapunov", "unchecked_lyapunov"]


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
        The symmetric solution; positive semidefinite, up to rounding, when `Q` is.

    Raises
    ------
    UnstableModelError
        If `A` is not stable.
    AccuracyError
        If the relative residual of the computed solution exceeds 1e-8.

    See Also
    --------
    lyapunov_factor : When small eigenvalues of the solution matter.

    Notes
    -----
    Schur method of Bartels and Stewart, O(n^3). The relative error is about eps divided by the
    stability margin of A times the non-normality of A.
    """
    if A.shape[0] == 0:
        return np.zeros((0, 0))
    margin = _require_stable(A, dt)
    P = unchecked_lyapunov(A, Q, dt=dt)
    _check(A, Q, P, dt, margin)
    return P


def lyapunov_factor(A: np.ndarray, B: np.ndarray, *, dt: float) -> np.ndarray:
    r"""Return the Cholesky factor of the solution of a Lyapunov equation.

    :math:`L L^\top = P` with :math:`P = A P A^\top + B B^\top` (``dt > 0``) or
    :math:`A P + P A^\top + B B^\top = 0` (``dt = 0``).

    Parameters
    ----------
    A : (n, n) ndarray
        Stable real matrix.
    B : (n, m) ndarray
        Real factor of the right-hand side, any m.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    (n, n) ndarray
        Upper triangular L. It is singular where (A, B) is not reachable.

    Raises
    ------
    UnstableModelError
        If `A` is not stable.
    AccuracyError
        If the relative residual of :math:`L L^\top` exceeds 1e-8.

    Notes
    -----
    Hammarling's method on the factors (SLICOT SB03OD), O(n^3): neither :math:`B B^\top` nor P is
    formed, so singular values of L far below ``sqrt(eps)`` are still meaningful.
    """
    n, m = A.shape[0], B.shape[1]
    if n == 0 or m == 0:
        return np.zeros((n, n))
    margin = _require_stable(A, dt)
    from slycot import sb03od

    if m > n:  # the same B B' from a square factor
        B, m = scipy.linalg.qr(B.T, mode="r")[0][:n].T, n
    work = np.zeros((n, n), order="F")
    work[:, :m] = B
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly singular equations: judged by the residual
        U, scale, _ = sb03od(
            n, m, np.array(A, order="F"), np.zeros((n, n)), work, _kind(dt), trans="T"
        )
    L = U / scale
    _check(A, B @ B.T, L @ L.T, dt, margin)
    return L


def unchecked_lyapunov(A: np.ndarray, Q: np.ndarray, *, dt: float) -> np.ndarray:
    """Return what the solver gives, for callers that judge the result themselves.

    Parameters
    ----------
    A : (n, n) ndarray
        Matrix, not checked.
    Q : (n, n) ndarray
        Symmetric right-hand side.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    (n, n) ndarray
        Symmetric; meaningless where the equation is singular, infinite where the solver says so.
    """
    if np.iscomplexobj(A) or np.iscomplexobj(Q):
        if dt == 0.0:
            return symmetrize(scipy.linalg.solve_continuous_lyapunov(A, -Q))
        return symmetrize(scipy.linalg.solve_discrete_lyapunov(A, Q))
    from slycot import sb03md57
    from slycot.exceptions import SlycotError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly singular equations: judged by the caller
        try:
            solution, scale = sb03md57(A, C=-Q, dico=_kind(dt), job="X", trana="T")[2:4]
        except SlycotError:  # two eigenvalues cancel to rounding
            return np.full_like(A, np.inf)
    return symmetrize(solution / scale)


def initial_moments(model: GaussianSSM) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of the initial state.

    Parameters
    ----------
    model : GaussianSSM
        Its `P0` may be None: then the covariance is the stationary one.

    Returns
    -------
    m0 : (n,) ndarray
        Mean.
    P0 : (n, n) ndarray
        Covariance.
    """
    if model.P0 is not None:
        return model.m0, model.P0
    return model.m0, solve_lyapunov(model.A, model.Q, dt=model.dt)


def _kind(dt: float) -> str:
    """Return SLICOT's name of the time axis."""
    return "C" if dt == 0.0 else "D"


def _require_stable(A: np.ndarray, dt: float) -> float:
    """Return the stability margin, positive, or raise."""
    if (margin := stability_margin(A, dt)) <= 0:
        raise UnstableModelError(
            f"The Lyapunov equation has a covariance as solution only for a stable `A`; "
            f"the stability margin is {margin:.3g}. Take a stable model: identify with "
            "stable=True, or leave out the unstable states.",
            stability_margin=margin,
        )
    return margin


def _check(A: np.ndarray, Q: np.ndarray, P: np.ndarray, dt: float, margin: float) -> None:
    """Raise if P does not solve the equation to 1e-8 of its terms."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        moved = A @ P if dt == 0.0 else A @ P @ A.conj().T
        error = moved + moved.conj().T + Q if dt == 0.0 else moved - P + Q
        sizes = [np.linalg.norm(matrix) for matrix in (moved, Q, P)[: 2 if dt == 0.0 else 3]]
        residual = float(np.linalg.norm(error) / max(sizes)) if max(sizes) else 0.0
        residual = np.inf if np.isnan(residual) else residual
    if not residual <= 1e-8:
        raise AccuracyError(
            f"The Lyapunov solution has relative residual {residual:.2e}; the stability margin is "
            f"{margin:.2e}. Likely causes: (a) a pole too close to the stability boundary, "
            "(b) a badly scaled state: balance the model first.",
            residual=residual,
        )
