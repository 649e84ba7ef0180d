"""The kernels of `kalman_scan`, where the formulas are.

Matrices multiply row vectors (``At`` is A'), so that inner loops run along rows; ``o`` marks the
observed rows only. Trusted arguments, no allocation inside the loop over time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["factor_innovation", "filter_steps"]


@njit(cache=True, nogil=True)
def filter_steps(At, Bt, C, D, Q, R, St, y, u, hold, until_held, x, P, Kt, L):
    """Run the recursion from x[0] and P[0]; `x`, `P` and `Kt` are filled as ring buffers.

    Shapes as in `kalman_scan`; `Kt` (., p, n) and `L` (p, p) receive the gain and the Cholesky
    factor. With `until_held` the recursion stops after the step that ends with a held covariance.
    Returns the number of steps taken, the log-likelihood so far, and the pivot of a singular
    innovation covariance relative to its scale (-1 if there was none, inf after an overflow).
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
            for i in range(n):
                for j in range(n):
                    P1[i, j] = P0[i, j]
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
    """Factor ``CP @ Co.T + Ro = L @ L.T`` (lower); return a singular pivot's ratio, else -1.

    A pivot that is not finite returns inf.
    """
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
            elif not total < np.inf:
                return np.inf
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
    for a in range(Kt.shape[0]):
        for j in range(Kt.shape[1]):
            Kt[a, j] = 0.0
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
