r"""Bilinear recurrences: the input multiplies the state.

One step of :math:`x_{t+1} = A x_t + \sum_i u_{t,i} N_i x_t + B v_t` is a single product of a
stacked matrix with a stacked vector, ``x+ = [A, N_1, ..., N_m, B] (x, u_1 x, ..., u_m x, v)``.
When A and all N_i are diagonal, a step is elementwise: ``x+ = (lam + sum_i u_i g_i) x + B v``.
The driving input v starts with the gating input u; what follows only adds (a predictor has the
measured output there).

The dense kernel may reorder its sums and fuse multiply-adds, or no sum would be vectorised: half
the time for n = 16 (``benchmarks/scans.py``). The order of time is never changed.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from .._validation import as_array, as_matrix
from ._batch import as_series, over_batch, require_finite

__all__ = ["bilinear_scan", "bilinear_states"]


def bilinear_scan(
    A: ArrayLike,
    N: ArrayLike,
    B: ArrayLike,
    u: ArrayLike,
    x0: ArrayLike,
    *,
    parallel: bool = False,
) -> np.ndarray:
    r"""Return all states of :math:`x_{t+1} = A x_t + \sum_i u_{t,i} N_i x_t + B u_t`.

    Parameters
    ----------
    A : (n, n) or (n,) array_like
        State matrix, or its diagonal when all matrices are diagonal.
    N : (m, n, n) or (m, n) array_like
        One matrix, or one diagonal, for each input; of the same kind as `A`.
    B : (n, m) array_like
        Input matrix.
    u : (..., T, m) array_like
        Inputs. Leading axes are batch.
    x0 : (..., n) array_like
        First state, its leading axes broadcast against those of `u`.
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
    diagonal_scan : Decays given for each step.
    realization.simulate : Outputs of a BilinearSSM.

    Notes
    -----
    (m + 1) n^2 multiplications a step, (2 m + 1) n for the diagonal kind.

    Examples
    --------
    >>> import numpy as np
    >>> from realization.scan import bilinear_scan
    >>> A, N, B = np.diag([0.5, 0.4]), 0.1 * np.ones((1, 2, 2)), np.ones((2, 1))
    >>> u = np.array([[1.0], [-1.0], [0.5]])
    >>> x = bilinear_scan(A, N, B, u, np.zeros(2))
    >>> bool(np.allclose(x[1:], x[:-1] @ A.T + u * (x[:-1] @ N[0].T) + u @ B.T))
    True
    """
    A = as_array("A", A)
    if A.ndim not in (1, 2) or A.shape[0] != A.shape[-1]:
        raise ValueError(f"`A` must have shape (n, n), or (n,) if diagonal; got {A.shape}.")
    n = A.shape[0]
    B = as_matrix("B", B, (n, None), because=f"to match `A` {A.shape}")
    m = B.shape[1]
    because = f"to match `A` {A.shape} and `B` {B.shape}"
    N = as_matrix("N", N, (m, *A.shape), because=because)
    u, x0 = as_array("u", u), as_array("x0", x0)
    if u.ndim < 2 or u.shape[-1] != m:
        raise ValueError(f"`u` must have shape (..., T, {m}) to match `B`; got {u.shape}.")
    if x0.ndim < 1 or x0.shape[-1] != n:
        raise ValueError(f"`x0` must have shape (..., {n}) to match `A`; got {x0.shape}.")
    x = bilinear_states(A, N, B, u, x0, parallel=parallel)
    require_finite(x)
    return x


def bilinear_states(
    A: np.ndarray,
    N: np.ndarray,
    B: np.ndarray,
    v: np.ndarray,
    x0: np.ndarray,
    *,
    parallel: bool = False,
) -> np.ndarray:
    """Return the states (..., T + 1, n); the caller checks that they are finite.

    Parameters
    ----------
    A, N : ndarray
        (n, n) and (m, n, n), or (n,) and (m, n) for diagonals; trusted.
    B : (n, q) ndarray
        Matrix of the driving input, q >= m.
    v : (..., T, q) ndarray
        Driving input, its first m channels the gating input.
    x0 : (..., n) ndarray
        First state; leading axes are broadcast.
    parallel : bool, default False
        Run the series in threads.

    Returns
    -------
    (..., T + 1, n) ndarray
        The states, `x0` first.
    """
    n, m, (T, q) = A.shape[0], len(N), v.shape[-2:]
    if A.ndim == 2 and all(np.count_nonzero(M) == np.count_nonzero(np.diag(M)) for M in (A, *N)):
        A, N = np.diag(A), N[:, range(n), range(n)]
    batch = np.broadcast_shapes(v.shape[:-2], x0.shape[:-1])
    dtype = np.result_type(A, N, B, v, x0, float)
    v = as_series(v, batch, dtype)
    x = np.empty((*batch, T + 1, n), dtype)
    x[..., 0, :] = x0
    states = x.reshape(len(v), T + 1, n)
    if A.ndim == 1:
        pairs = max(q + q % 2, 2)  # the kernel takes two channels at a time
        gates, drives = np.zeros((2, pairs, n), dtype)
        gates[:m], drives[:q] = N, B.T
        v = np.concatenate([v, np.zeros((len(v), T, pairs - q), dtype)], axis=-1)
        decays = np.require(A, dtype, ["C", "W"])

        def run(part: slice) -> None:
            diagonal_steps(decays, gates, drives, v[part], states[part])
    else:
        stacked = np.require(np.hstack([A, *N, B]), dtype, ["C", "W"])

        def run(part: slice) -> None:
            dense_steps(stacked, m, v[part], states[part], np.empty(stacked.shape[1], dtype))

    with np.errstate(over="ignore", invalid="ignore"):
        over_batch(run, len(v), parallel=parallel)
    return x


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dense_steps(W, m, v, x, z):
    """Fill x (S, T + 1, n), given x[:, 0], with W (n, K), v (S, T, q), scratch z (K,).

    ``z = concatenate([x, outer(v[:m], x).ravel(), v]); x+ = W @ z``, K = (m + 1) n + q. Four rows
    of W are taken at once. The sums over k end in sums within vector registers; sums over columns
    would not, but no form of them that plain loops can express keeps its partial sums in
    registers.
    """
    n, q, K = x.shape[2], v.shape[2], W.shape[1]
    for s in range(x.shape[0]):
        for t in range(x.shape[1] - 1):
            for j in range(n):
                z[j] = x[s, t, j]
            for i in range(m):
                gate = v[s, t, i]
                for j in range(n):
                    z[(i + 1) * n + j] = gate * x[s, t, j]
            for j in range(q):
                z[(m + 1) * n + j] = v[s, t, j]
            i = 0
            while i + 4 <= n:
                a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
                for k in range(K):
                    now = z[k]
                    a0 += W[i, k] * now
                    a1 += W[i + 1, k] * now
                    a2 += W[i + 2, k] * now
                    a3 += W[i + 3, k] * now
                x[s, t + 1, i] = a0
                x[s, t + 1, i + 1] = a1
                x[s, t + 1, i + 2] = a2
                x[s, t + 1, i + 3] = a3
                i += 4
            while i < n:
                a0 = 0.0
                for k in range(K):
                    a0 += W[i, k] * z[k]
                x[s, t + 1, i] = a0
                i += 1


@njit(cache=True, nogil=True)
def diagonal_steps(decays, gates, B, v, x):
    """Fill x (S, T + 1, n), given x[:, 0], with decays (n,), gates, B (q, n), v (S, T, q), q even.

    ``x+ = (decays + v @ gates) * x + v @ B``.
    """
    for s in range(x.shape[0]):
        for t in range(x.shape[1] - 1):
            v0, v1 = v[s, t, 0], v[s, t, 1]
            for j in range(x.shape[2]):
                gate = decays[j] + (v0 * gates[0, j] + v1 * gates[1, j])
                x[s, t + 1, j] = gate * x[s, t, j] + (v0 * B[0, j] + v1 * B[1, j])
            for i in range(2, v.shape[2], 2):
                v0, v1 = v[s, t, i], v[s, t, i + 1]
                for j in range(x.shape[2]):
                    gate = v0 * gates[i, j] + v1 * gates[i + 1, j]
                    x[s, t + 1, j] += gate * x[s, t, j] + (v0 * B[i, j] + v1 * B[i + 1, j])


@njit(cache=True, nogil=True)
def switched_steps(maps, index, x):
    """Fill x (S, T + 1, n), given x[:, 0], with maps (K, n + 1, n), index (S, T) into the maps.

    ``x[s, t + 1] = append(x[s, t], 1.0) @ maps[index[s, t]]``.
    """
    n = x.shape[2]
    for s in range(x.shape[0]):
        for t in range(x.shape[1] - 1):
            k = index[s, t]
            for i in range(n):
                x[s, t + 1, i] = maps[k, n, i]
            for j in range(n):
                now = x[s, t, j]
                for i in range(n):
                    x[s, t + 1, i] += maps[k, j, i] * now
