r"""The Kalman recursion: step by step until the covariance settles, then in blocks.

For :math:`x_{t+1} = A x_t + B u_t + w_t,\; y_t = C x_t + D u_t + v_t` with the joint noise
covariance :math:`\Sigma = \begin{bmatrix} Q & S \\ S^\top & R \end{bmatrix}`, and with the rows of
the missing entries of :math:`y_t` left out of C, D, R and S'::

    e  = y - C x - D u             Re = C P C' + R = L L'            K = (A P C' + S) Re^-1
    x+ = A x + B u + K e           F  = A - K C
    P+ = F P F' + [I, -K] Sigma [I, -K]'              (Joseph: no difference of covariances)
    log p(y) = -1/2 sum of  q log 2 pi + log det Re + |L^-1 e|^2

In P+ the terms that add up to entry (i, j) are bounded by ``s_i s_j`` with ``s_i = sum_k |F_ik|
sqrt(P_kk) + sqrt(Q_ii) + sum_a |K_ia| sqrt(R_aa)``, which says what is rounding error:

* P has converged when no entry moves by more than ``2 eps s_i s_j``. K, L and P are then held for
  as long as the same entries are observed, and a record with nothing missing is finished as the
  linear system x+ = F x + (B - K D) u + K y.
* Re is singular when a pivot of its Cholesky factorisation is at most ``16 eps`` times
  ``R_aa + (sum_i |C_ai| s_i)^2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from .._linalg import stability_margin
from .._signals import matching_input, require_real
from .._validation import as_signal
from .._words import sized
from ..exceptions import AccuracyError, UnstableModelError
from ..models import GaussianSSM
from ._kalman_steps import factor_innovation, filter_steps
from .linear import linear_response, linear_states

__all__ = ["KalmanPath", "kalman_scan"]


@dataclass(frozen=True, slots=True, eq=False)
class KalmanPath:
    """What the Kalman recursion leaves behind.

    Parameters
    ----------
    x : (T + 1, n) ndarray
        Predicted states, the initial mean first; only the last one, (1, n), if not all were kept.
    P : (T + 1, n, n) ndarray
        Covariances of their errors; only the last one, (1, n, n), if not all were kept.
    K : (T, n, p) ndarray
        Predictor gains, with zeros for missing entries; only the last one if not all were kept.
    log_likelihood : float
        Logarithm of the probability density of the observed entries.
    """

    x: np.ndarray
    P: np.ndarray
    K: np.ndarray
    log_likelihood: float

    def __repr__(self) -> str:
        sizes = sized(x=self.x, P=self.P, K=self.K)
        return f"KalmanPath({sizes}, log-likelihood {self.log_likelihood:.6g})"


def kalman_scan(
    A: ArrayLike,
    C: ArrayLike,
    Q: ArrayLike,
    R: ArrayLike,
    S: ArrayLike | None,
    y: ArrayLike,
    x0: ArrayLike,
    P0: ArrayLike,
    *,
    B: ArrayLike | None = None,
    D: ArrayLike | None = None,
    u: ArrayLike | None = None,
    hold: bool = False,
) -> KalmanPath:
    r"""Run the Kalman recursion over one record: states, covariances, gains, likelihood.

    The model is :math:`x_{t+1} = A x_t + B u_t + w_t,\; y_t = C x_t + D u_t + v_t`;
    ``kalman_filter`` takes it as a record, and batches.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix.
    C : (p, n) array_like
        Output matrix.
    Q : (n, n) array_like
        Covariance of the state noise.
    R : (p, p) array_like
        Covariance of the output noise.
    S : (n, p) array_like or None
        Cross-covariance of state and output noise; None is zero.
    y : (T, p) array_like
        Outputs; NaN marks a missing entry.
    x0 : (n,) array_like
        Mean of the first state.
    P0 : (n, n) array_like
        Covariance of the first state.
    B : (n, m) array_like, optional
        Input matrix.
    D : (p, m) array_like, optional
        Feedthrough.
    u : (T, m) array_like, optional
        Inputs; needed if `B` or `D` is given.
    hold : bool, default False
        Hold the covariance once it has converged to rounding.

    Returns
    -------
    KalmanPath
        `x` (T + 1, n), `P` (T + 1, n, n), `K` (T, n, p) and `log_likelihood`.

    Raises
    ------
    TypeError
        If an argument is not numeric, or complex.
    ValueError
        If shapes disagree, an entry is not finite, or a covariance is not positive semidefinite.
    AccuracyError
        If the covariance of an innovation is singular to rounding.
    UnstableModelError
        If the state or its covariance overflows.

    Notes
    -----
    Costs about 2 n^3 + 6 n^2 p multiplications a step until the covariance is held, and
    O(n^2 + n p) afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> from realization.scan import kalman_scan
    >>> path = kalman_scan([[0.9]], [[1.0]], [[0.19]], [[1.0]], None, np.ones(3), [0.0], [[1.0]])
    >>> P, K = path.P[:, 0, 0], path.K[:, 0, 0]
    >>> bool(np.allclose(K, 0.9 * P[:-1] / (P[:-1] + 1.0)))
    True
    """
    model = GaussianSSM(A, C, Q, R, S, B=B, D=D, m0=x0, P0=P0)
    require_real(model, "kalman_scan")
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    if y.ndim != 2 or u.ndim != 2:
        raise ValueError(
            f"`y` and `u` must be one record, (T, p) and (T, m); got {y.shape} and {u.shape}."
        )
    system = (model.A, model.B, model.C, model.D, model.Q, model.R, model.S)
    return kalman_path(*system, y, u, model.m0, np.asarray(model.P0), hold=hold)


def kalman_path(
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    Q: np.ndarray,
    R: np.ndarray,
    S: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray,
    P0: np.ndarray,
    *,
    gain: np.ndarray | None = None,
    hold: bool = True,
    keep_states: bool = True,
    keep_covariances: bool = True,
) -> KalmanPath:
    """Do what `kalman_scan` does for real arrays that are trusted; keep what is asked for.

    `gain` (n, p) is the gain that belongs to P0 = 0 when the noise has rank p, as in an
    innovations model: with complete data nothing is left to compute. Without `keep_states` and
    `keep_covariances` only the last of each is returned.
    """
    (T, p), n = y.shape, A.shape[0]
    x = np.empty((T + 1 if keep_states else 2, n))
    P = np.empty((T + 1 if keep_covariances else 2, n, n))
    Kt = np.zeros((T if keep_covariances else min(T, 1), p, n))
    x[0], P[0] = x0, P0
    L, complete = np.zeros((p, p)), not np.isnan(y).any()
    At, Bt, C, D, Q, R, St, y, u = (  # one type, so that the kernels are compiled once
        np.require(M, float, ["C", "W"]) for M in (A.T, B.T, C, D, Q, R, S.T, y, u)
    )
    if complete and gain is not None:
        Kt[:], last, log_likelihood = gain.T, 0, 0.0
        work = np.zeros((p, n)), C, C.T.copy(), R, np.zeros(n), np.zeros((p, p))
        pivot = factor_innovation(*work, L, p)
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # for the kernel's Python twin
            last, log_likelihood, pivot = filter_steps(
                At, Bt, C, D, Q, R, St, y, u, hold, hold and complete, x, P, Kt, L
            )
    if 0.0 <= pivot < np.inf:
        raise AccuracyError(
            f"The covariance of the innovation at step {last} is singular: a pivot is {pivot:.1e} "
            "of its scale. Likely causes: (a) an output, or a combination of outputs, without "
            "noise that the past determines, (b) one output given twice. Leave outputs out, or "
            "give `R` their measurement noise.",
            residual=pivot,
        )
    x_last, P_last = x[last % len(x)].copy(), P[last % len(P)].copy()
    if last < T and pivot < 0.0:
        K = Kt[(last - 1) % len(Kt)].T
        states, rest = steady_scan(
            A, B, C, D, K, L, y[last:], u[last:], x_last, keep_states=keep_states
        )
        log_likelihood, x_last = log_likelihood + rest, states[-1]
        if keep_states:
            x[last:] = states
        Kt[last:], P[last + 1 :] = K.T, P_last
    if not all(np.isfinite(value).all() for value in (pivot, log_likelihood, x_last, P_last)):
        raise _overflow(A, A - Kt[-1].T @ C)
    if not keep_states:
        x = x_last[np.newaxis]
    if not keep_covariances:
        P = P_last[np.newaxis]
    return KalmanPath(x, P, np.swapaxes(Kt, 1, 2), log_likelihood)


def _overflow(A: np.ndarray, F: np.ndarray) -> UnstableModelError:
    """Return the error for a model A with predictor F whose recursion overflows."""
    model, predictor = (
        stability_margin(M, 1.0) if np.isfinite(M).all() else -np.inf for M in (A, F)
    )
    return UnstableModelError(
        f"The Kalman filter overflows: the stability margin of the model is {model:.3g}, that "
        f"of the predictor A - K C {predictor:.3g} (1 - max |eigenvalue|). Likely causes: (a) "
        "an unstable mode that the observed entries do not show, (b) an innovations model "
        "whose predictor is unstable.",
        stability_margin=min(model, predictor),
    )


def steady_scan(
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    K: np.ndarray,
    L: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray,
    *,
    keep_states: bool,
) -> tuple[np.ndarray, float]:
    """Filter complete data with a constant gain: a linear system with inputs y and u.

    K (n, p) is the gain and L (p, p) the Cholesky factor of the innovation covariance. Returns
    the states (T + 1, n), or the last only, (1, n), and the log-likelihood.
    """
    (T, p), n = y.shape, A.shape[0]
    v = np.hstack([y, u]) if u.shape[1] else y
    F, G = A - K @ C, np.hstack([K, B - K @ D])
    white = scipy.linalg.solve_triangular(L, np.hstack([-C, np.eye(p), -D]), lower=True)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at the result
        if keep_states:
            x = linear_states(F, v @ G.T, x0)
            e = x[:-1] @ white[:, :n].T + v @ white[:, n:].T
        else:
            e, end = linear_response(F, G, white[:, :n], white[:, n:], v, x0)
            x = end[np.newaxis]
    log_constant = np.log(np.diag(L)).sum() + 0.5 * p * np.log(2 * np.pi)
    return x, float(-T * log_constant - 0.5 * np.vdot(e, e))
