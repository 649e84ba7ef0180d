r"""Diagonal recurrences: every state has its own decay, constant or changing with time."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ._batch import as_series, numeric, over_batch, require_finite

__all__ = ["diagonal_scan"]


def diagonal_scan(
    lam: ArrayLike, b: ArrayLike, x0: ArrayLike, *, parallel: bool = False
) -> np.ndarray:
    r"""Return all states of :math:`x_{t+1} = \lambda_t \odot x_t + b_t`.

    Parameters
    ----------
    lam : (n,) or (..., T, n) array_like
        Decays, constant or one row for each step; real or complex.
    b : (..., T, n) array_like
        What drives the states. Leading axes are batch.
    x0 : (..., n) array_like
        First state. The leading axes of the three arguments are broadcast against each other.
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
    bilinear_scan : Decays that are affine in an input.
    selective_scan : Decays and inputs as in a Mamba layer.

    Notes
    -----
    One multiplication and one addition for each state and step, in the order of time: the result is
    the loop's, to the last bit or two. The time goes into reading `lam` and `b` and writing x.

    Examples
    --------
    >>> import numpy as np
    >>> from realization.scan import diagonal_scan
    >>> lam, b = np.full((3, 2), 0.5), np.ones((3, 2))
    >>> x = diagonal_scan(lam, b, [1.0, 0.0])
    >>> bool(np.array_equal(x[1:], lam * x[:-1] + b))
    True
    """
    lam = numeric("lam", lam, trailing=1)
    b = numeric("b", b, trailing=2)
    x0 = numeric("x0", x0, trailing=1)
    T, n = b.shape[-2:]
    varying = lam.ndim > 1
    if lam.shape[-1] != n or (varying and lam.shape[-2] != T):
        raise ValueError(
            f"`lam` must have shape ({n},) or (..., {T}, {n}) to match `b` {b.shape}; "
            f"got {lam.shape}."
        )
    if x0.shape[-1] != n:
        raise ValueError(f"`x0` must have shape (..., {n}) to match `b` {b.shape}; got {x0.shape}.")
    batch = np.broadcast_shapes(lam.shape[:-2], b.shape[:-2], x0.shape[:-1])
    series = math.prod(batch)
    dtype = np.result_type(lam, b, x0, float)
    x = np.empty((*batch, T + 1, n), dtype)
    x[..., 0, :], x[..., 1:, :] = x0, b
    decays = as_series(lam if varying else lam[np.newaxis], batch if lam.ndim > 2 else (), dtype)
    states = x.reshape(series, T + 1, n)

    def run(part: slice) -> None:
        own = decays[part] if lam.ndim > 2 else decays
        diagonal_steps(own, int(lam.ndim > 2), int(varying), states[part])

    with np.errstate(over="ignore", invalid="ignore"):
        over_batch(run, series, parallel=parallel)
    require_finite(x, lam=lam, b=b, x0=x0)
    return x


@njit(cache=True, nogil=True)
def diagonal_steps(lam, stride, advance, x):
    """Fill x (S, T + 1, n), which holds the first state and then the drive b.

    ``x[s, t + 1] = lam[s * stride, t * advance] * x[s, t] + x[s, t + 1]`` with lam (S or 1, T or
    1, n) and strides 0 or 1.
    """
    for s in range(x.shape[0]):
        for t in range(x.shape[1] - 1):
            for i in range(x.shape[2]):
                x[s, t + 1, i] += lam[s * stride, t * advance, i] * x[s, t, i]
