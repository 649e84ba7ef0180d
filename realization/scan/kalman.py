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

In the kernels matrices multiply row vectors (``At`` is A'), so that inner loops run along rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numba import njit

from ..exceptions import AccuracyError
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


def kalman_scan(
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
    """Run the Kalman recursion over one record; arguments are real float64 arrays and trusted.

    Parameters
    ----------
    A, B, C, D : (n, n), (n, m), (p, n), (p, m) ndarray
        The system.
    Q, R, S : (n, n), (p, p), (n, p) ndarray
        Covariances of the state noise, of the output noise, and between them.
    y : (T, p) ndarray
        Outputs; NaN marks a missing entry.
    u : (T, m) ndarray
        Inputs.
    x0, P0 : (n,), (n, n) ndarray
        Mean and covariance of the first state.
    gain : (n, p) ndarray, optional
        The gain that belongs to P0 = 0 when the noise has rank p (an innovations model): with
        complete data nothing is left to compute.
    hold : bool, default True
        Hold the covariance once it has converged to rounding.
    keep_states : bool, default True
        Keep all states, or the last only.
    keep_covariances : bool, default True
        Keep all covariances and gains, or the last only.

    Returns
    -------
    KalmanPath
        States, covariances, gains and the log-likelihood.

    Raises
    ------
    AccuracyError
        If the covariance of an innovation is singular to rounding.
    """
    (T, p), n = y.shape, A.shape[0]
    x = np.empty((T + 1 if keep_states else 2, n))
    P = np.empty((T + 1 if keep_covariances else 2, n, n))
    Kt = np.zeros((T if keep_covariances else min(T, 1), p, n))
    x[0], P[0] = x0, P0
    L = np.zeros((p, p))
    complete = not np.isnan(y).any()
    if complete and gain is not None:
        Kt[:], last, log_likelihood = gain.T, 0, 0.0
        pivot = factor_innovation(
            np.zeros((p, n)), C, C.T.copy(), R, np.zeros(n), np.zeros((p, p)), L, p
        )
    else:
        arrays = (A.T, B.T, C, D, Q, R, S.T, y, u)
        system = [np.require(M, float, ["C", "W"]) for M in arrays]  # one type, compiled once
        last, log_likelihood, pivot = filter_steps(*system, hold, hold and complete, x, P, Kt, L)
    if pivot >= 0.0:
        raise AccuracyError(
            f"The covariance of the innovation at step {last} is singular: a pivot is {pivot:.1e} "
            "of its scale. Likely causes: (a) an output, or a combination of outputs, without "
            "noise that the past determines, (b) one output given twice. Leave outputs out, or "
            "give `R` their measurement noise.",
            residual=pivot,
        )
    x_last, P_last = x[last % len(x)].copy(), P[last % len(P)].copy()
    if last < T:
        K = Kt[(last - 1) % len(Kt)].T
        states, rest = steady_scan(
            A, B, C, D, K, L, y[last:], u[last:], x_last, keep_states=keep_states
        )
        log_likelihood, x_last = log_likelihood + rest, states[-1]
        if keep_states:
            x[last:] = states
        Kt[last:], P[last + 1 :] = K.T, P_last
    if not keep_states:
        x = x_last[np.newaxis]
    if not keep_covariances:
        P = P_last[np.newaxis]
    return KalmanPath(x, P, np.swapaxes(Kt, 1, 2), log_likelihood)


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

    Parameters
    ----------
    A, B, C, D : (n, n), (n, m), (p, n), (p, m) ndarray
        The system.
    K : (n, p) ndarray
        Predictor gain.
    L : (p, p) ndarray
        Cholesky factor of the innovation covariance.
    y, u, x0 : (T, p), (T, m), (n,) ndarray
        Outputs without NaN, inputs and first state.
    keep_states : bool
        Return all states, or the last only.

    Returns
    -------
    x : (T + 1, n) ndarray
        Predicted states; the last only, (1, n), if not all are kept.
    log_likelihood : float
        Logarithm of the probability density of the outputs.
    """
    (T, p), n = y.shape, A.shape[0]
    v = np.hstack([y, u]) if u.shape[1] else y
    F, G = A - K @ C, np.hstack([K, B - K @ D])
    white = scipy.linalg.solve_triangular(L, np.hstack([-C, np.eye(p), -D]), lower=True)
    if keep_states:
        x = linear_states(F, v @ G.T, x0)
        e = x[:-1] @ white[:, :n].T + v @ white[:, n:].T
    else:
        e, end = linear_response(F, G, white[:, :n], white[:, n:], v, x0)
        x = end[np.newaxis]
    log_constant = np.log(np.diag(L)).sum() + 0.5 * p * np.log(2 * np.pi)
    return x, float(-T * log_constant - 0.5 * np.vdot(e, e))


@njit(cache=True, nogil=True)
def filter_steps(At, Bt, C, D, Q, R, St, y, u, hold, until_held, x, P, Kt, L):
    """Run the recursion from x[0] and P[0]; `x`, `P` and `Kt` are filled as ring buffers.

    Shapes as in `kalman_scan`; `Kt` (., p, n) and `L` (p, p) receive the gain and the Cholesky
    factor. With `until_held` the recursion stops after the step that ends with a held covariance.
    Returns the number of steps taken, the log-likelihood so far, and the pivot of a singular
    innovation covariance relative to its scale (-1 if there was none).
    """
    T, p = y.shape
    n = At.shape[0]
    index, count, held = np.empty(p, np.int64), -1, False
    Co, Cot, Sot = np.zeros((p, n)), np.zeros((n, p)), np.zeros((p, n))
    Ro, Re, CP, e = np.empty((p, p)), np.empty((p, p)), np.empty((p, n)), np.empty(p)
    left, right, scale = np.empty((n + 2 * p, n)), np.empty((n + 2 * p, n)), np.empty(n)
    Ft, Ko = left[:n], left[n : n + p]
    for i in range(n):
        scale[i] = np.sqrt(max(P[0, i, i], 0.0))
    log_likelihood, log_constant = 0.0, 0.0
    for t in range(T):
        P0, P1 = P[t % len(P)], P[(t + 1) % len(P)]
        if count < 0 or not same_entries(y[t], index, count):
            count = select_entries(y[t], C, R, St, index, Co, Cot, Ro, Sot)
            held = False
        if held:
            P1[:] = P0
        else:
            product(Co, P0, CP, count)
            pivot = factor_innovation(CP, Co, Cot, Ro, scale, Re, L, count)
            if pivot >= 0.0:
                return t, log_likelihood, pivot
            log_constant = 0.5 * count * np.log(2.0 * np.pi)
            for a in range(count):
                log_constant += np.log(L[a, a])
            product(CP, At, Ko, count)
            solve_gain(L, Sot, Ko, count)
            closed_loop(At, Co[:count], Ko[:count], Ft)
            next_covariance(P0, Q, Ro, Sot, left, right, P1, count)
            term_scales(Ft, P0, Q, Ro, Ko, scale, count)
            held = hold and converged(P0, P1, scale)
        if held or len(Kt) == T:
            scatter_gain(Ko, index, count, Kt[t % len(Kt)])
        innovation(C, D, y[t], u[t], x[t % len(x)], index, count, e)
        next_state(At, Bt, Ko, e, u[t], x[t % len(x)], x[(t + 1) % len(x)], count)
        log_likelihood -= log_constant + half_square(L, e, count)
        if held and until_held:
            return t + 1, log_likelihood, -1.0
    return T, log_likelihood, -1.0


@njit(cache=True, nogil=True)
def same_entries(y, index, count):
    """Tell whether the entries of y (p,) that are not NaN are exactly `index[:count]`."""
    found = 0
    for i in range(y.shape[0]):
        if y[i] == y[i]:
            if found == count or index[found] != i:
                return False
            found += 1
    return found == count


@njit(cache=True, nogil=True)
def select_entries(y, C, R, St, index, Co, Cot, Ro, Sot):
    """Copy the rows of C, R, S' that belong to observed entries; return how many there are."""
    count = 0
    for i in range(y.shape[0]):
        if y[i] == y[i]:
            index[count] = i
            count += 1
    for a in range(count):
        i = index[a]
        for j in range(C.shape[1]):
            Co[a, j] = C[i, j]
            Cot[j, a] = C[i, j]
            Sot[a, j] = St[i, j]
        for b in range(count):
            Ro[a, b] = R[i, index[b]]
    return count


@njit(cache=True, nogil=True)
def product(X, Y, Z, rows):
    """Compute ``Z[:rows] = X[:rows] @ Y``: small ones in loops, larger ones by BLAS."""
    inner, columns = Y.shape
    if columns >= 8 and rows > 0:
        np.dot(X[:rows], Y, Z[:rows])
        return
    fours = inner - inner % 4
    for i in range(rows):
        for j in range(columns):
            Z[i, j] = 0.0
        for k in range(0, fours, 4):
            a, b, c, d = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            for j in range(columns):
                Z[i, j] += a * Y[k, j] + b * Y[k + 1, j] + c * Y[k + 2, j] + d * Y[k + 3, j]
        for k in range(fours, inner):
            a = X[i, k]
            for j in range(columns):
                Z[i, j] += a * Y[k, j]


@njit(cache=True, nogil=True)
def transposed_product(X, Y, Z):
    """Compute ``Z = X.T @ Y``: small ones in loops, larger ones by BLAS."""
    inner, columns = Y.shape
    if columns >= 8 and inner > 0:
        np.dot(X.T, Y, Z)
        return
    fours = inner - inner % 4
    for i in range(X.shape[1]):
        for j in range(columns):
            Z[i, j] = 0.0
        for k in range(0, fours, 4):
            a, b, c, d = X[k, i], X[k + 1, i], X[k + 2, i], X[k + 3, i]
            for j in range(columns):
                Z[i, j] += a * Y[k, j] + b * Y[k + 1, j] + c * Y[k + 2, j] + d * Y[k + 3, j]
        for k in range(fours, inner):
            a = X[k, i]
            for j in range(columns):
                Z[i, j] += a * Y[k, j]


@njit(cache=True, nogil=True)
def factor_innovation(CP, Co, Cot, Ro, scale, Re, L, count):
    """Factor ``CP @ Co.T + Ro = L @ L.T`` (lower); return a singular pivot's ratio, else -1."""
    n = Co.shape[1]
    product(CP, Cot, Re, count)
    for a in range(count):
        reach = 0.0
        for i in range(n):
            reach += abs(Co[a, i]) * scale[i]
        size = Ro[a, a] + reach * reach
        for b in range(a + 1):
            total = Re[a, b] + Ro[a, b]
            for k in range(b):
                total -= L[a, k] * L[b, k]
            if b < a:
                L[a, b] = total / L[b, b]
            elif total <= 16.0 * 2.220446049250313e-16 * size:
                return max(total, 0.0) / max(size, 1e-300)
            else:
                L[a, a] = np.sqrt(total)
    return -1.0


@njit(cache=True, nogil=True)
def solve_gain(L, Sot, Ko, count):
    """Turn Ko = C P A' into K' : ``Ko = inv(L @ L.T) @ (Ko + Sot)``."""
    n = Ko.shape[1]
    for a in range(count):
        for j in range(n):
            Ko[a, j] += Sot[a, j]
        for b in range(a):
            factor = L[a, b]
            for j in range(n):
                Ko[a, j] -= factor * Ko[b, j]
        factor = 1.0 / L[a, a]
        for j in range(n):
            Ko[a, j] *= factor
    for a in range(count - 1, -1, -1):
        for b in range(a + 1, count):
            factor = L[b, a]
            for j in range(n):
                Ko[a, j] -= factor * Ko[b, j]
        factor = 1.0 / L[a, a]
        for j in range(n):
            Ko[a, j] *= factor


@njit(cache=True, nogil=True)
def closed_loop(At, Co, Ko, Ft):
    """Compute ``Ft = At - Co.T @ Ko``."""
    transposed_product(Co, Ko, Ft)
    for i in range(At.shape[0]):
        for j in range(At.shape[0]):
            Ft[i, j] = At[i, j] - Ft[i, j]


@njit(cache=True, nogil=True)
def next_covariance(P0, Q, Ro, Sot, left, right, P1, count):
    """Compute ``P1 = F P0 F' + Q - K W' - W K'`` with ``W = S - K R / 2``, exactly symmetric.

    It is one product: `left` stacks F', K', W' and `right` P0 F', -W', -K'.
    """
    n = P0.shape[0]
    Ko, W = left[n : n + count], left[n + count :]
    product(P0, left[:n], right, n)
    for a in range(count):
        for j in range(n):
            W[a, j] = Sot[a, j]
        for b in range(count):
            factor = 0.5 * Ro[a, b]
            for j in range(n):
                W[a, j] -= factor * Ko[b, j]
        for j in range(n):
            right[n + a, j] = -W[a, j]
            right[n + count + a, j] = -Ko[a, j]
    transposed_product(left[: n + 2 * count], right[: n + 2 * count], P1)
    for i in range(n):
        P1[i, i] += Q[i, i]
        for j in range(i + 1, n):
            P1[i, j] = 0.5 * (P1[i, j] + P1[j, i]) + Q[i, j]
            P1[j, i] = P1[i, j]


@njit(cache=True, nogil=True)
def term_scales(Ft, P0, Q, Ro, Ko, scale, count):
    """Fill `scale` (n,) with the module's s: what the terms of the covariance update add up to."""
    n = Ft.shape[0]
    for i in range(n):
        scale[i] = np.sqrt(max(Q[i, i], 0.0))
    for k in range(n):
        deviation = np.sqrt(max(P0[k, k], 0.0))
        for i in range(n):
            scale[i] += abs(Ft[k, i]) * deviation
    for a in range(count):
        deviation = np.sqrt(Ro[a, a])
        for i in range(n):
            scale[i] += abs(Ko[a, i]) * deviation


@njit(cache=True, nogil=True)
def converged(P0, P1, scale):
    """Tell whether no entry of the covariance moves by more than rounding."""
    n = P0.shape[0]
    for i in range(n):
        limit = 2.0 * 2.220446049250313e-16 * scale[i]
        for j in range(i, n):
            if abs(P1[i, j] - P0[i, j]) > limit * scale[j]:
                return False
    return True


@njit(cache=True, nogil=True)
def scatter_gain(Ko, index, count, Kt):
    """Write the gain (p, n) with zero rows for missing entries."""
    if count < Kt.shape[0]:
        Kt[:] = 0.0
    for a in range(count):
        for j in range(Kt.shape[1]):
            Kt[index[a], j] = Ko[a, j]


@njit(cache=True, nogil=True)
def innovation(C, D, y, u, x, index, count, e):
    """Compute ``e = y - C @ x - D @ u`` for the observed entries."""
    for a in range(count):
        i = index[a]
        total = y[i]
        for j in range(x.shape[0]):
            total -= C[i, j] * x[j]
        for j in range(u.shape[0]):
            total -= D[i, j] * u[j]
        e[a] = total


@njit(cache=True, nogil=True)
def next_state(At, Bt, Ko, e, u, x0, x1, count):
    """Compute ``x1 = A @ x0 + B @ u + K @ e``."""
    n = At.shape[0]
    for i in range(n):
        x1[i] = 0.0
    for j in range(n):
        factor = x0[j]
        for i in range(n):
            x1[i] += At[j, i] * factor
    for j in range(u.shape[0]):
        factor = u[j]
        for i in range(n):
            x1[i] += Bt[j, i] * factor
    for a in range(count):
        factor = e[a]
        for i in range(n):
            x1[i] += Ko[a, i] * factor


@njit(cache=True, nogil=True)
def half_square(L, e, count):
    """Overwrite e with ``inv(L) @ e`` and return half its squared length."""
    total = 0.0
    for a in range(count):
        value = e[a]
        for b in range(a):
            value -= L[a, b] * e[b]
        e[a] = value / L[a, a]
        total += e[a] * e[a]
    return 0.5 * total
