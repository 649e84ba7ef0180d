r"""The backward recursions of the two fixed-interval smoothers.

Both start where the Kalman recursion ended: predicted states x(t), their covariances P(t), gains
K(t), for t = 0..T. Symbols as in ``scan/kalman.py``; ``Z' Z = C' Re^-1 C``, ``Z' w = C' Re^-1 e``.

Bryson-Frazier (l, M are the score of the future and its information; nothing is inverted)::

    F = A - K C     l(t) = F' l(t+1) + Z' w         x_s = x + P l
                    M(t) = F' M(t+1) F + Z' Z       P_s = P - P M P
                    cov(x(t+1), x(t)) = (I - P(t+1) M(t+1)) F P(t)

Rauch-Tung-Striebel, for state noise that is uncorrelated with the output noise (x_f, P_f are the
filtered state and its covariance)::

    G   = P_f A' P(t+1)^-1                          x_s = x_f + G (x_s(t+1) - x(t+1))
    P_s = (I - G A) P_f (I - G A)' + G (Q + P_s(t+1)) G'
    cov(x(t+1), x(t)) = P_s(t+1) G'
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["bryson_frazier_steps", "rts_steps"]


@njit(cache=True, nogil=True)
def bryson_frazier_steps(A, C, Kt, Z, w, x, P, smooth_x, smooth_P, cross):
    """Fill `smooth_x` (T + 1, n), `smooth_P` (T + 1, n, n) and, unless empty, `cross` (T, n, n).

    Shapes: A (n, n), C (p, n), Kt (T, p, n) the transposed gains, Z (T, p, n), w (T, p), and the
    predictions x (T + 1, n), P (T + 1, n, n). Rows of missing entries are zero in Kt, Z and w.
    """
    T, p, n = Kt.shape
    score, information = np.zeros(n), np.zeros((n, n))
    F, work, next_score = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    for i in range(n):
        smooth_x[T, i] = x[T, i]
        for j in range(n):
            smooth_P[T, i, j] = P[T, i, j]
    for t in range(T - 1, -1, -1):
        for i in range(n):
            for j in range(n):
                F[i, j] = A[i, j]
            for a in range(p):
                factor = Kt[t, a, i]
                for j in range(n):
                    F[i, j] -= factor * C[a, j]
        if cross.shape[0]:
            multiply(F, P[t], work)
            multiply(information, work, smooth_P[t])
            multiply(P[t + 1], smooth_P[t], cross[t])
            for i in range(n):
                for j in range(n):
                    cross[t, i, j] = work[i, j] - cross[t, i, j]
        multiply(information, F, work)
        multiply_transposed(F, work, information)
        for i in range(n):
            next_score[i] = 0.0
        for k in range(n):
            for i in range(n):
                next_score[i] += F[k, i] * score[k]
        for a in range(p):
            for i in range(n):
                factor = Z[t, a, i]
                next_score[i] += factor * w[t, a]
                for j in range(n):
                    information[i, j] += factor * Z[t, a, j]
        for i in range(n):
            score[i] = next_score[i]
        for i in range(n):
            total = x[t, i]
            for j in range(n):
                total += P[t, i, j] * score[j]
            smooth_x[t, i] = total
        multiply(information, P[t], F)
        multiply(P[t], F, work)
        for i in range(n):
            for j in range(n):
                smooth_P[t, i, j] = P[t, i, j] - 0.5 * (work[i, j] + work[j, i])


@njit(cache=True, nogil=True)
def rts_steps(A, Q, pattern, x, P, x_filt, P_filt, smooth_x, smooth_P, cross):
    """Fill the smoothed moments as `bryson_frazier_steps` does.

    A (k, n, n) and Q (k, n, n) hold the decorrelated dynamics of each pattern of observed entries,
    `pattern` (T,) says which one holds at each time; x_filt (T, n), P_filt (T, n, n). Returns the
    time at which the predicted covariance is singular, or -1.
    """
    T, n = x_filt.shape
    L, X = np.empty((n, n)), np.empty((n, n))
    H, work, inner = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        smooth_x[T, i] = x[T, i]
        for j in range(n):
            smooth_P[T, i, j] = P[T, i, j]
    for t in range(T - 1, -1, -1):
        dynamics = A[pattern[t]]
        if not factor(P[t + 1], L):
            return t + 1
        multiply(dynamics, P_filt[t], X)
        solve(L, X)
        for i in range(n):
            total = x_filt[t, i]
            for j in range(n):
                total += X[j, i] * (smooth_x[t + 1, j] - x[t + 1, j])
            smooth_x[t, i] = total
        multiply_transposed(X, dynamics, H)
        for i in range(n):
            for j in range(n):
                H[i, j] = -H[i, j]
                inner[i, j] = Q[pattern[t], i, j] + smooth_P[t + 1, i, j]
            H[i, i] += 1.0
        multiply(inner, X, work)
        multiply_transposed(X, work, smooth_P[t])
        multiply(H, P_filt[t], work)
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    smooth_P[t, i, j] += work[i, k] * H[j, k]
        for i in range(n):
            for j in range(i):
                smooth_P[t, i, j] = 0.5 * (smooth_P[t, i, j] + smooth_P[t, j, i])
                smooth_P[t, j, i] = smooth_P[t, i, j]
        if cross.shape[0]:
            multiply(smooth_P[t + 1], X, cross[t])
    return -1


@njit(cache=True, nogil=True)
def multiply(X, Y, out):
    """Compute ``out = X @ Y``."""
    rows, inner = X.shape
    for i in range(rows):
        for j in range(Y.shape[1]):
            out[i, j] = 0.0
        for k in range(inner):
            factor = X[i, k]
            for j in range(Y.shape[1]):
                out[i, j] += factor * Y[k, j]


@njit(cache=True, nogil=True)
def multiply_transposed(X, Y, out):
    """Compute ``out = X.T @ Y``."""
    inner, rows = X.shape
    for i in range(rows):
        for j in range(Y.shape[1]):
            out[i, j] = 0.0
    for k in range(inner):
        for i in range(rows):
            factor = X[k, i]
            for j in range(Y.shape[1]):
                out[i, j] += factor * Y[k, j]


@njit(cache=True, nogil=True)
def factor(P, L):
    """Factor ``P = L @ L.T`` (lower); return False where a pivot is rounding error."""
    n = P.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = P[i, j]
            for k in range(j):
                total -= L[i, k] * L[j, k]
            if j < i:
                L[i, j] = total / L[j, j]
            elif total <= 2.220446049250313e-16 * n * P[i, i]:
                return False
            else:
                L[i, i] = np.sqrt(total)
    return True


@njit(cache=True, nogil=True)
def solve(L, X):
    """Overwrite X with ``inv(L @ L.T) @ X``."""
    rows, columns = X.shape
    for i in range(rows):
        for k in range(i):
            for j in range(columns):
                X[i, j] -= L[i, k] * X[k, j]
        for j in range(columns):
            X[i, j] /= L[i, i]
    for i in range(rows - 1, -1, -1):
        for k in range(i + 1, rows):
            for j in range(columns):
                X[i, j] -= L[k, i] * X[k, j]
        for j in range(columns):
            X[i, j] /= L[i, i]
