r"""The Gram matrix of a block-Hankel matrix, without the block-Hankel matrix.

Row t of the matrix is :math:`[1, w_t, w_{t+1}, \dots, w_{t+s-1}]`, t = 0 .. J - 1, with channels
:math:`w = (u, y)`. Block (j, k) of its Gram matrix is a sum over a window, and for block (j + 1,
k + 1) the window moves by one sample:

.. math::

    G_{jk} = \sum_{t<J} w_{t+j} w_{t+k}^\top, \qquad
    G_{j+1,k+1} = G_{jk} - w_j w_k^\top + w_{J+j} w_{J+k}^\top,

so the first block row, sums of lagged products, decides all of it: O(T c (log s + s c / 8))
operations for c channels where the product of the matrix with itself takes O(T (s c)^2).

A Gram matrix squares the condition number. It is therefore formed of centred data (the mean returns
afterwards, exactly), with every column scaled to unit length, and its triangular factor is returned
with its condition number: the caller decides whether it may be used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from .lag_sums import own_lag_sums

__all__ = ["gram_factor", "hankel_gram"]


def gram_factor(
    records: Sequence[np.ndarray], n_inputs: int, past: int, future: int
) -> tuple[np.ndarray, float] | None:
    """Return the triangular factor of the Hankel matrix of all records, and its condition number.

    Parameters
    ----------
    records : sequence of (T, m + p) ndarray
        Inputs and outputs of separate records, each of at least past + future samples; fastest
        where every channel is contiguous in memory.
    n_inputs : int
        m.
    past : int
        Number of past samples.
    future : int
        Number of future samples.

    Returns
    -------
    R : (d, d) ndarray
        Upper triangular, columns ordered 1, u_f, u_p, y_p, y_f.
    condition : float
        Condition number (of the 1-norm, estimated) of the centred factor with columns of length 1.

    Notes
    -----
    None when the Gram matrix is not positive definite to rounding.
    """
    window, channels = past + future, records[0].shape[1]
    count = sum(record.shape[0] - window + 1 for record in records)
    mean = np.sum([record.sum(axis=0) for record in records], axis=0)
    mean /= sum(record.shape[0] for record in records)
    total = np.zeros((window * channels, window * channels))
    sums = np.zeros(window * channels)
    for record in records:
        one, sum_of_one = hankel_gram(record - mean, window)
        total += one
        sums += sum_of_one
    where = _columns(n_inputs, channels, past, future)
    gram = np.empty((where.size + 1, where.size + 1), order="F")
    gram[0, 0] = count
    gram[0, 1:] = gram[1:, 0] = sums[where]
    gram[1:, 1:] = total[where[:, np.newaxis], where]
    lengths = np.sqrt(np.diag(gram))
    if not lengths.all():
        return None
    gram /= lengths
    gram /= lengths[:, np.newaxis]
    R, info = scipy.linalg.lapack.dpotrf(gram, clean=1, overwrite_a=1)
    if info:
        return None
    condition = 1.0 / scipy.linalg.lapack.dtrcon(R)[0]
    R *= lengths
    R[:, 1:] += R[:, :1] * np.tile(mean, window)[where]  # the factor of the data with their mean
    return R, condition


def hankel_gram(w: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gram matrix and the column sums of the Hankel matrix of one record.

    Parameters
    ----------
    w : (T, c) ndarray
        The record, T >= window.
    window : int
        Number of block columns s.

    Returns
    -------
    gram : (s c, s c) ndarray
        Column (k, a), channel a of sample k of the window, in place k c + a.
    sums : (s c,) ndarray
        Sums of the columns.
    """
    count, channels = w.shape[0] - window + 1, w.shape[1]
    first = own_lag_sums(w, window - 1)  # [k, a, b]: the sum of w_{t+k, a} w_{t, b}
    gram = np.empty((window, channels, window, channels))
    gram[0] = first.transpose(2, 0, 1)
    gram[:, :, 0] = first
    leaving, entering = w[: window - 1], w[count:]
    change = np.multiply.outer(entering, entering) - np.multiply.outer(leaving, leaving)
    for k in range(1, window):
        np.add(gram[k - 1, :, :-1], change[k - 1], out=gram[k, :, 1:])
    sums = np.empty((window, channels))
    sums[0] = w[:count].sum(axis=0)
    sums[1:] = sums[0] + np.cumsum(entering - leaving, axis=0)
    return gram.reshape(window * channels, -1), sums.ravel()


def _columns(n_inputs: int, channels: int, past: int, future: int) -> np.ndarray:
    """Return the places of the columns u_f, u_p, y_p, y_f in the order of time."""
    places = np.arange((past + future) * channels).reshape(-1, channels)
    u, y = places[:, :n_inputs], places[:, n_inputs:]
    return np.concatenate([part.ravel() for part in (u[past:], u[:past], y[:past], y[past:])])
