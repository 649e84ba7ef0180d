r"""Prediction errors and their derivatives with respect to every entry of a model, by one scan.

For the predictor, linear (no N) or bilinear,

.. math::

    x_{t+1} = A_t x_t + B u_t + K \varepsilon_t, \quad A_t = A + \sum_i u_{t,i} N_i, \quad
    \varepsilon_t = y_t - y_0 - C x_t - D u_t,

the derivative :math:`X_t` (n, q) of the state obeys the same recursion,

.. math:: X_{t+1} = (A_t - K C) X_t + \partial A\, x_t + \partial N (u_t \otimes x_t)
          + \partial B\, u_t + \partial K \varepsilon_t - K (\partial C\, x_t + \partial D\, u_t
          + \partial y_0),

and that of the output is :math:`C X_t` plus what C, D and the offset do at once. Further ahead than
one step the state is advanced without :math:`\varepsilon`. Columns q are ordered ``x0, y0`` (the
nuisance) and then the entries of A, N, B, C, D, K row by row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from .local_coordinates import System

__all__ = ["derivative_chunks"]

CHUNK_BYTES = 2**24  # derivatives held in memory at one time


def derivative_chunks(
    system: System,
    y: np.ndarray,
    u: np.ndarray,
    *,
    x0: np.ndarray,
    offset: np.ndarray,
    horizon: int,
    entries: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield chunks of prediction errors, their derivatives and the predicted states of one run.

    Parameters
    ----------
    system : System
        The matrices; K = 0 gives the simulation error.
    y : (T, p) ndarray
        Outputs.
    u : (T, m) ndarray
        Inputs.
    x0 : (n,) ndarray
        Initial state.
    offset : (p,) ndarray
        Constant added to the predicted output.
    horizon : int
        Steps ahead.
    entries : bool
        Include the entries of the matrices; otherwise only x0 and y0.

    Yields
    ------
    errors : (L, p) ndarray
        ``y - y_hat``; not finite where the predictor overflows.
    derivatives : (L, p, q) ndarray
        Of ``y_hat``.
    states : (L, n) ndarray
        Predicted states.
    """
    n, p, T = system.A.shape[0], system.C.shape[0], y.shape[0]
    q = n + p + (system.vector().size if entries else 0)
    length = int(max(CHUNK_BYTES // (8 * p * max(q, 1)), 64))
    A, N, B, C, D, K = (np.ascontiguousarray(part) for part in system.parts())
    y, u = np.ascontiguousarray(y - offset), np.ascontiguousarray(u)
    x, X = x0.astype(float), np.zeros((n, q))
    X[:, :n] = np.eye(n)
    z, Z = (x, X) if horizon == 1 else (x.copy(), X.copy())
    for start in range(0, T, length):
        stop = min(start + length, T)
        errors = np.empty((stop - start, p))
        derivatives = np.empty((stop - start, p, q))
        states = np.empty((stop - start, n))
        scan_derivatives(
            A, N, B, C, D, K, y, u, start, horizon, x, X, z, Z, errors, derivatives, states
        )
        yield errors, derivatives, states


@njit(cache=True, nogil=True)
def scan_derivatives(
    A, N, B, C, D, K, y, u, start, horizon, x, X, z, Z, errors, derivatives, states
):
    """Fill `errors` (L, p), `derivatives` (L, p, q), `states` (L, n) from sample `start` on.

    `x`, `X` are the one-step state and its derivative where the chunk before left them; `z`, `Z`
    those of the state that gives the output (the same arrays when the horizon is 1). All are
    updated in place.
    """
    At, F, no_gain = np.empty_like(A), np.empty_like(A), np.zeros_like(K)
    eps, nothing = np.zeros(C.shape[0]), np.zeros(C.shape[0])
    xn, Xn = np.empty_like(x), np.empty_like(X)
    for row in range(errors.shape[0]):
        t = start + row
        s = t - horizon
        if s >= 0:
            innovation(C, D, y[s], u[s], x, eps)
            transition(A, N, u[s], At)
            step(At, B, C, K, u[s], eps, N.shape[0], x, X, F, xn, Xn)
            if horizon > 1:
                take(x, X, z, Z)
        for k in range(s + 1 if s >= 0 else max(t - 1, 0), t):  # before that only x0 is known
            transition(A, N, u[k], At)
            step(At, B, C, no_gain, u[k], nothing, N.shape[0], z, Z, F, xn, Xn)
        for j in range(A.shape[0]):
            states[row, j] = z[j]
        innovation(C, D, y[t], u[t], z, errors[row])
        output_derivative(C, u[t], z, Z, N.shape[0], derivatives[row])


@njit(cache=True, nogil=True)
def transition(A, N, u, At):
    """Compute ``At = A + sum_i u[i] * N[i]``."""
    for j in range(A.shape[0]):
        for k in range(A.shape[0]):
            At[j, k] = A[j, k]
            for i in range(N.shape[0]):
                At[j, k] += u[i] * N[i, j, k]


@njit(cache=True, nogil=True)
def take(x, X, z, Z):
    """Copy x (n,) and X (n, q) to z and Z."""
    for i in range(X.shape[0]):
        z[i] = x[i]
        for c in range(X.shape[1]):
            Z[i, c] = X[i, c]


@njit(cache=True, nogil=True)
def innovation(C, D, y, u, x, eps):
    """Compute ``eps = y - C @ x - D @ u``."""
    for i in range(C.shape[0]):
        eps[i] = y[i]
        for j in range(C.shape[1]):
            eps[i] -= C[i, j] * x[j]
        for j in range(u.shape[0]):
            eps[i] -= D[i, j] * u[j]


@njit(cache=True, nogil=True)
def step(At, B, C, K, u, eps, letters, x, X, F, xn, Xn):
    """Replace x by ``At @ x + B @ u + K @ eps`` and X by its derivative.

    `letters` is the number of matrices N; X has no columns of entries when only the nuisance is
    asked for. F (n, n), xn and Xn are work space.
    """
    n, q, p, m = At.shape[0], X.shape[1], C.shape[0], u.shape[0]
    for i in range(n):
        for j in range(n):
            F[i, j] = At[i, j]
            for k in range(p):
                F[i, j] -= K[i, k] * C[k, j]
        total = 0.0
        for j in range(n):
            total += At[i, j] * x[j]
        for j in range(m):
            total += B[i, j] * u[j]
        for k in range(p):
            total += K[i, k] * eps[k]
        xn[i] = total
        for c in range(q):
            Xn[i, c] = 0.0
        for j in range(n):
            weight = F[i, j]
            for c in range(q):
                Xn[i, c] += weight * X[j, c]
        for k in range(p):
            Xn[i, n + k] -= K[i, k]
        if q > n + p:
            entry_derivative(K, u, eps, letters, x, i, Xn[i])
    take(xn, Xn, x, X)


@njit(cache=True, nogil=True)
def entry_derivative(K, u, eps, letters, x, i, row):
    """Add to row i of the new X what the entries of A, N, B, C, D, K do at this step."""
    n, p = K.shape
    m = u.shape[0]
    at_A = n + p
    at_B = at_A + n * n * (1 + letters)
    at_C = at_B + n * m
    at_D = at_C + p * n
    at_K = at_D + p * m
    for j in range(n):
        row[at_A + i * n + j] += x[j]
        for k in range(letters):
            row[at_A + ((k + 1) * n + i) * n + j] += u[k] * x[j]
        for k in range(p):
            row[at_C + k * n + j] -= K[i, k] * x[j]
    for j in range(m):
        row[at_B + i * m + j] += u[j]
        for k in range(p):
            row[at_D + k * m + j] -= K[i, k] * u[j]
    for k in range(p):
        row[at_K + i * p + k] += eps[k]


@njit(cache=True, nogil=True)
def output_derivative(C, u, x, X, letters, J):
    """Compute ``J = C @ X`` and add what the entries of C, D and the offset do at once."""
    p, n = C.shape
    m, q = u.shape[0], X.shape[1]
    at_C = n + p + n * n * (1 + letters) + n * m
    at_D = at_C + p * n
    for k in range(p):
        for c in range(q):
            J[k, c] = 0.0
        for j in range(n):
            weight = C[k, j]
            for c in range(q):
                J[k, c] += weight * X[j, c]
        J[k, n + k] += 1.0
        if q > n + p:
            for j in range(n):
                J[k, at_C + k * n + j] += x[j]
            for j in range(m):
                J[k, at_D + k * m + j] += u[j]
