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

from .._validation import as_square
from ._batch import as_series, numeric, over_batch, require_finite

__all__ = ["linear_response", "linear_scan"]

CHUNK = 1 << 13  # samples per matrix product: small enough to stay in the second-level cache


def linear_scan(A: ArrayLike, b: ArrayLike, x0: ArrayLike, *, parallel: bool = False) -> np.ndarray:
    r"""Return all states of :math:`x_{t+1} = A x_t + b_t`.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix, real or complex.
    b : (..., T, n) array_like
        What drives the state. Leading axes are batch.
    x0 : (..., n) array_like
        First state; its leading axes are broadcast against those of `b`.
    parallel : bool, default False
        Run the series of a batch in threads, one share for each core.

    Returns
    -------
    (..., T + 1, n) ndarray
        The states, `x0` first; complex if an argument is.

    Raises
    ------
    TypeError
        If an argument is not numeric.
    ValueError
        If shapes disagree or an entry is not finite.
    OverflowError
        If a state overflows.

    See Also
    --------
    diagonal_scan : A diagonal state matrix, which may change with time.
    realization.simulate : Outputs alone, in blocks.

    Notes
    -----
    Costs n^2 multiplications a step, in a compiled loop over four columns of `A` at a time. Blocks
    of steps as matrix products, which is how ``simulate`` finds outputs, would at least double that
    for all states: measured, they are slower from n = 3 on.

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
    b = numeric("b", b, trailing=2)
    x0 = numeric("x0", x0, trailing=1)
    n = A.shape[0]
    if b.shape[-1] != n:
        raise ValueError(f"`b` must have shape (..., T, {n}) to match `A`; got {b.shape}.")
    if x0.shape[-1] != n:
        raise ValueError(f"`x0` must have shape (..., {n}) to match `A`; got {x0.shape}.")
    x = linear_states(A, b, x0, parallel=parallel)
    require_finite(x, b=b, x0=x0)
    return x


def linear_states(
    A: np.ndarray, b: np.ndarray, x0: np.ndarray, *, parallel: bool = False
) -> np.ndarray:
    """Return the states of `linear_scan`, which may not be finite; arguments are trusted."""
    batch, (T, n) = np.broadcast_shapes(b.shape[:-2], x0.shape[:-1]), b.shape[-2:]
    dtype = np.result_type(A, b, x0, float)
    x = np.empty((*batch, T + 1, n), dtype)
    x[..., 0, :] = x0
    states, drive = x.reshape(math.prod(batch), T + 1, n), as_series(b, batch, dtype)
    At = np.array(A.T, dtype, order="C")
    with np.errstate(over="ignore", invalid="ignore"):  # for the kernel's Python twin
        over_batch(
            lambda part: propagate(At, drive[part], states[part]), len(states), parallel=parallel
        )
    return x


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
            power = np.linalg.matrix_power(A.T, rest)
            toeplitz = toeplitz[: rest * m, : rest * p]
            blocks = power, reach[(length - rest) * m :], observe[:, : rest * p], toeplitz
            state = _advance(blocks, rest, u[:, whole:], state, y[:, whole:])
    return y.reshape(*batch, T, p), state.reshape(*batch, n)


def _block_length(n: int, m: int, p: int, T: int) -> int:
    """Return how many steps to take at once, a power of two.

    A step costs L p m + n (m + p) in products and n^2 / L, at a lower speed, in the loop: the best
    L is about 2.5 n / sqrt(p m). Products narrower than 16 are slow, and fewer than 64 blocks do
    not pay for their matrices.
    """
    ideal = min(max(2.5 * n / math.sqrt(max(m * p, 1)), 16 / max(m, p)), T / 64, 128)
    return 1 << int(math.log2(max(ideal, 1) * math.sqrt(2)))


def _block_matrices(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return A^L, R, O and Toeplitz of the module's equations, transposed for row vectors."""
    m, p = B.shape[1], C.shape[0]
    power, reach, observe = A.T, B.T, C.T
    for _ in range(length.bit_length() - 1):
        reach = np.concatenate([reach @ power, reach])
        observe = np.concatenate([observe, power @ observe], axis=1)
        power = power @ power
    markov = np.zeros((2 * length - 1, m, p), np.result_type(A, B, C, D))
    markov[length - 1] = D.T
    markov[length:] = (
        (B.T @ observe[:, : (length - 1) * p]).reshape(m, length - 1, p).swapaxes(0, 1)
    )
    lag = np.arange(length) - np.arange(length)[:, np.newaxis] + length - 1
    toeplitz = markov[lag].swapaxes(1, 2).reshape(length * m, length * p)
    return power, reach, observe, toeplitz


def _advance(
    blocks: tuple[np.ndarray, ...], length: int, u: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Fill `y` (S, K L, p) over K whole blocks and return the state after them (S, n)."""
    power, reach, observe, toeplitz = blocks
    count = u.shape[1] // length
    u = u.reshape(len(u), count, toeplitz.shape[0])
    states = np.empty((len(u), count + 1, x.shape[1]), y.dtype)
    states[:, 0] = x
    propagate(np.ascontiguousarray(power, y.dtype), u @ reach, states)
    y = y.reshape(len(y), count, toeplitz.shape[1])  # a view: only the time axis is split
    np.matmul(u, toeplitz, out=y)
    y += states[:, :-1] @ observe
    return states[:, -1]


@njit(cache=True, nogil=True)
def propagate(At, w, x):
    """Fill x (S, K + 1, n), given x[:, 0]: ``x[:, k + 1] = x[:, k] @ At + w[:, k]``."""
    n = At.shape[0]
    fours = n - n % 4
    for s in range(w.shape[0]):
        for k in range(w.shape[1]):
            now, new = x[s, k], x[s, k + 1]
            for i in range(n):
                new[i] = w[s, k, i]
            for j in range(0, fours, 4):
                a, b, c, d = now[j], now[j + 1], now[j + 2], now[j + 3]
                for i in range(n):
                    new[i] += At[j, i] * a + At[j + 1, i] * b + At[j + 2, i] * c + At[j + 3, i] * d
            for j in range(fours, n):
                a = now[j]
                for i in range(n):
                    new[i] += At[j, i] * a
