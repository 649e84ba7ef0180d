"""BLAS threads: small factorisations lose more to them than they gain.

On a machine that does anything else, two threads take two to four times as long as one for a
factorisation of a few hundred columns. Changing the limit costs about 30 microseconds once the
libraries are known (finding them, a few milliseconds).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import scipy

__all__ = ["blas_threads_for"]

SMALL = 1000  # columns up to which one thread is used


def blas_threads_for(columns: int) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread if matrices of this width are small."""
    return _libraries().limit(limits=1) if columns <= SMALL else nullcontext()


@cache
def _libraries() -> Any:
    """Return the controller of the loaded BLAS libraries, scipy's among them."""
    from threadpoolctl import ThreadpoolController

    assert scipy.linalg.lapack  # loads them
    return ThreadpoolController().select(user_api="blas")
