r"""Linear recurrences, many steps at a time.

For :math:`x_{t+1} = A x_t + B u_t,\; y_t = C x_t + D u_t`, a block of `L` steps is linear in its
inputs and in its first state::

    outputs of the block    Y  = Toeplitz U + O x        Toeplitz (L p, L m): D, CB, CAB, ...
    first state of the next x+ = A^L x + R U             O (L p, n): C, CA, ..., C A^(L-1)
                                                         R (n, L m): A^(L-1) B, ..., AB, B

so all blocks share three matrix products, and only ``x+ = A^L x + w`` is left as a loop: n^2 / L
operations a step instead of n^2. Nothing is diagonalised and the arithmetic stays real.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from .._validation import as_array, as_square

__all__ = ["linear_response", "linear_scan"]

CHUNK = 1 << 14  # samples per matrix product: small enough to stay in the second-level cache


def linear_scan(A: ArrayLike, b: ArrayLike, x0: ArrayLike) -> np.ndarray:
    r"""Return all states of :math:`x_{t+1} = A x_t + b_t`.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix.
    b : (..., T, n) array_like
        What drives the state. Leading axes are batch.
    x0 : (..., n) array_like
        First state; its leading axes are broadcast against those of `b`.

    Returns
    -------
    (..., T + 1, n) ndarray
        The states, `x0` first.

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite.

    Notes
    -----
    Cost: n^2 multiplications a step, most of them inside matrix products for n up to 16.
    An unstable `A` may overflow to inf, as floating-point arithmetic does; ``simulate`` checks.

    Examples
    --------
    >>> import numpy as np
    >>> from realization.scan import linear_scan
    >>> A, b = np.array([[0.9, 0.2], [0.0, 0.5]]), np.ones((100, 2))
    >>> x = linear_scan(A, b, [1.0, 0.0])
    >>> bool(np.allclose(x[1:], x[:-1] @ A.T + b))
    True
    """
    A = as_square("A", A)
    n = A.shape[0]
    b = as_array("b", b)
    if b.ndim < 2 or b.shape[-1] != n:
        raise ValueError(f"`b` must have shape (..., T, {n}) to match `A`; got {b.shape}.")
    x0 = as_array("x0", x0)
    if x0.ndim < 1 or x0.shape[-1] != n:
        raise ValueError(f"`x0` must have shape (..., {n}) to match `A`; got {x0.shape}.")
    identity = np.eye(n)
    x, last = linear_response(A, identity, identity, np.zeros((n, n)), b, x0)
    return np.concatenate([x, last[..., np.newaxis, :]], axis=-2)


def linear_response(
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    u: np.ndarray,
    x0: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs (..., T, p) and the state after the last sample (..., n).

    Parameters
    ----------
    A, B, C, D : ndarray
        The system, (n, n), (n, m), (p, n), (p, m); trusted.
    u : (..., T, m) ndarray
        Inputs.
    x0 : (..., n) ndarray
        First state, broadcast against the leading axes of `u`.

    Returns
    -------
    y : (..., T, p) ndarray
        Outputs; not finite where an unstable system overflows.
    x : (..., n) ndarray
        The state after the last sample.
    """
    (n, m), p, T = B.shape, C.shape[0], u.shape[-2]
    batch = np.broadcast_shapes(u.shape[:-2], x0.shape[:-1])
    dtype = np.result_type(A, B, C, D, u, x0, float)
    series = math.prod(batch)
    u = np.ascontiguousarray(np.broadcast_to(u, (*batch, T, m)), dtype).reshape(series, T, m)
    state = np.array(np.broadcast_to(x0, (*batch, n)), dtype).reshape(series, n)
    y = np.empty((series, T, p), dtype)
    length = _block_length(n, m, p, T)
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            power, reach, observe, toeplitz = _block_matrices(A, B, C, D, length)
            if length == 1 or np.isfinite(power).all():
                break
            length //= 2
        blocks = power, reach, observe, toeplitz
        whole, rest = T - T % length, T % length
        step = max(CHUNK // length, 1) * length
        for first in range(0, whole, step):
            last = min(first + step, whole)
            state = _advance(blocks, length, u[:, first:last], state, y[:, first:last])
        if rest:
            power = np.linalg.matrix_power(A, rest)
            toeplitz = toeplitz[: rest * m, : rest * p]
            blocks = power, reach[(length - rest) * m :], observe[:, : rest * p], toeplitz
            state = _advance(blocks, rest, u[:, whole:], state, y[:, whole:])
    return y.reshape(*batch, T, p), state.reshape(*batch, n)


def _block_length(n: int, m: int, p: int, T: int) -> int:
    """Return the number of steps per block that balances the products and the loop."""
    if T < 64:
        return 1
    return int(min(32, max(1, 64 // max(m, p, 1))))


def _block_matrices(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return A^L, R', O' and Toeplitz' of the module's equations, transposed for row vectors."""
    (n, m), p = B.shape, C.shape[0]
    observe = np.empty((length, p, n), A.dtype)
    reach = np.empty((length, m, n), np.result_type(A, B))
    CA, AB = C, B
    for j in range(length):
        observe[j], reach[length - 1 - j] = CA, AB.T
        CA, AB = CA @ A, A @ AB
    markov = np.zeros((2 * length - 1, p, m), np.result_type(A, B, C, D))
    markov[length - 1] = D
    markov[length:] = observe[:-1] @ B
    lag = np.arange(length) - np.arange(length)[:, np.newaxis] + length - 1
    toeplitz = markov[lag].transpose(0, 3, 1, 2).reshape(length * m, length * p)
    power = np.linalg.matrix_power(A, length)
    return power, reach.reshape(length * m, n), observe.reshape(length * p, n).T, toeplitz


def _advance(
    blocks: tuple[np.ndarray, ...], length: int, u: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Fill `y` (S, K L, p) over K whole blocks and return the state after them (S, n)."""
    power, reach, observe, toeplitz = blocks
    count = u.shape[1] // length
    u = u.reshape(len(u), count, toeplitz.shape[0])
    states = np.empty((len(u), count + 1, x.shape[1]), y.dtype)
    states[:, 0] = x
    propagate(np.ascontiguousarray(power.T, y.dtype), u @ reach, states)
    y[...] = (u @ toeplitz + states[:, :-1] @ observe).reshape(y.shape)
    return states[:, -1]


@njit(cache=True, nogil=True)
def propagate(At, w, x):
    """Fill x (S, K + 1, n), given x[:, 0]: ``x[:, k + 1] = x[:, k] @ At + w[:, k]``."""
    n = At.shape[0]
    for s in range(w.shape[0]):
        for k in range(w.shape[1]):
            for i in range(n):
                x[s, k + 1, i] = w[s, k, i]
            for j in range(n):
                xj = x[s, k, j]
                for i in range(n):
                    x[s, k + 1, i] += At[j, i] * xj
