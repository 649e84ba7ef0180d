"""BLAS threads: small factorisations lose more to them than they gain.

Threads of BLAS wait for each other in a loop. On a machine that does anything else, two of them
take many times as long as one for matrices of a few hundred columns: ten times and more for a
whole identification. Changing the limit costs about 30 microseconds once the libraries are known
(finding them, a few milliseconds).

The limit is one number for the process. Where threads of Python identify side by side, one of them
changes it and puts it back, and the others leave it alone: if each put back what it found, the last
could leave the limit of another behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import scipy

__all__ = ["blas_threads_for", "one_blas_thread"]

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 1000  # columns up to which one thread is used
_CHANGING = Lock()  # held by whoever has changed the limit


def blas_threads_for(columns: int, small: int = SMALL) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread if matrices of this width are small."""
    return _one_thread() if columns <= small else nullcontext()


def one_blas_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function with BLAS on one thread while it runs: its matrices are small."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _one_thread():
            return function(*args, **kwargs)

    return limited


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, unless somebody has done so already."""
    if not _CHANGING.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1):
            yield
    finally:
        _CHANGING.release()


@cache
def _libraries() -> Any:
    """Return the controller of the loaded BLAS libraries, scipy's among them."""
    from threadpoolctl import ThreadpoolController

    assert scipy.linalg.lapack  # loads them
    return ThreadpoolController().select(user_api="blas")
