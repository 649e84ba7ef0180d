"""What the batched scans share: numeric input without a copy, threads, the check for overflow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from .._validation import as_array, as_numbers

__all__ = ["as_series", "numeric", "over_batch", "require_finite"]


def numeric(name: str, value: ArrayLike, *, trailing: int) -> np.ndarray:
    """Return `value` as a numeric array with at least `trailing` axes; not copied, not searched."""
    array = as_numbers(name, value)
    if array.ndim < trailing:
        raise ValueError(f"`{name}` must have at least {trailing} axes; got shape {array.shape}.")
    return array


def as_series(array: np.ndarray, batch: tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
    """Return (..., a, b) as (S, a, b), S the size of the batch, in the layout the kernels take.

    C-contiguous and writeable: a read-only array would be one more type to compile for.
    """
    if array.shape[:-2] != batch:
        array = np.broadcast_to(array, (*batch, *array.shape[-2:]))
    array = np.require(array, dtype, ["C", "W"])
    return array.reshape(math.prod(batch), *array.shape[-2:])


def over_batch(run: Callable[[slice], object], count: int, *, parallel: bool) -> None:
    """Call `run` with all `count` series, or in threads with one share for each core.

    The compiled loops release the interpreter lock, so the threads run at the same time.
    """
    workers = min(count, os.cpu_count() or 1) if parallel else 1
    if workers < 2:
        run(slice(0, count))
        return
    edges = [count * k // workers for k in range(workers + 1)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, map(slice, edges[:-1], edges[1:])))


def require_finite(x: np.ndarray, **inputs: np.ndarray) -> None:
    """Raise if a path x (..., T, n) ends with inf or NaN: neither ever leaves a recursion.

    An input that was not finite is named; otherwise the recursion overflowed.
    """
    if np.isfinite(x[..., -1:, :]).all():
        return
    for argument, value in inputs.items():
        as_array(argument, value)
    finite = np.isfinite(x).all(axis=tuple(i for i in range(x.ndim) if i != x.ndim - 2))
    raise OverflowError(
        f"`x` overflows at step {int(np.argmin(finite))}: the recursion is unstable for this "
        "input. Use fewer steps, a smaller input or decays of modulus at most 1."
    )
