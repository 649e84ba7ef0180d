r"""Sums of lagged products, by FFT of short overlapping blocks.

A block of b that starts at s and holds M samples meets the samples s .. s + M + lags - 1 of a, so
one circular correlation of length M + lags has no wrap-around at lags 0 .. `lags`. Blocks are added
in the frequency domain: one matrix product per frequency, and one inverse transform in all.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["lag_sums", "own_lag_sums"]

CHUNK = 2**17  # numbers transformed at one time: they stay in the cache


def lag_sums(a: np.ndarray, b: np.ndarray, lags: int) -> np.ndarray:
    """Return the sums over t of a(t + k) b(t)', k = 0 .. lags.

    Parameters
    ----------
    a : (T, p) ndarray
        The signal that is ahead.
    b : (T, q) ndarray
        The signal that is behind.
    lags : int
        Largest lag; lags of T and more give zeros.

    Returns
    -------
    (lags + 1, p, q) ndarray
        The sums; rounding is relative to the powers of a and b, the same at every lag.

    Notes
    -----
    O(T (p + q) log(lags)) operations for the transforms and O(T p q) for the products, in memory
    that does not depend on T.
    """
    (T, p), q = a.shape, b.shape[1]
    size = _block(lags)
    step = size - lags
    count = -(-T // step)
    together = max(CHUNK // (size * (p + q)), 1)
    total = np.zeros((size // 2 + 1, p, q), dtype=complex)
    for first in range(0, count, together):
        blocks = min(together, count - first)
        start, length = first * step, blocks * step
        ahead = sliding_window_view(_padded(a, start, length + lags), size, axis=0)[::step]
        behind = _padded(b, start, length).reshape(blocks, step, q).transpose(0, 2, 1)
        left = scipy.fft.rfft(ahead, size)  # (blocks, p, frequencies)
        right = scipy.fft.rfft(behind, size)
        total += left.transpose(2, 1, 0) @ right.conj().transpose(2, 0, 1)
    return scipy.fft.irfft(total, size, axis=0)[: lags + 1]


def own_lag_sums(w: np.ndarray, lags: int) -> np.ndarray:
    """Return the sums over t of w(t + k) w(t)', k = 0 .. lags, t up to the last `lags` samples.

    Parameters
    ----------
    w : (T, c) ndarray
        The signal, T > lags; fastest where every channel is contiguous in memory.
    lags : int
        Largest lag.

    Returns
    -------
    (lags + 1, c, c) ndarray
        The sums, over T - lags times.

    Notes
    -----
    One transform of each block, without overlap: half the transforms of ``lag_sums``. The circular
    correlation of a block pairs its end with its own beginning, where the beginning of the next
    belongs; a product of these `lags` samples, over all blocks, puts that right.
    """
    (T, c), size = w.shape, _block(lags)
    count = (T - lags) // size
    if count == 0:
        return lag_sums(w, w[: T - lags], lags)
    together = max(CHUNK // (size * c), 1)
    total = np.zeros((size // 2 + 1, c, c), dtype=complex)
    change = np.zeros((lags * c, lags * c))
    blocks = w[: count * size].T.reshape(c, count, size)
    following = sliding_window_view(w[size:].T, lags, axis=1)[:, ::size]  # c, after each block
    for first in range(0, count, together):
        part = blocks[:, first : first + together]
        spectrum = scipy.fft.rfft(part, axis=2).transpose(2, 0, 1)  # (frequencies, c, blocks)
        total += spectrum @ spectrum.conj().transpose(0, 2, 1)
        beginning = following[:, first : first + together] - part[:, :, :lags]
        end = part[:, :, size - lags :]
        rows = part.shape[1]
        beginning, end = (v.transpose(1, 0, 2).reshape(rows, -1) for v in (beginning, end))
        change += beginning.T @ end
    sums = scipy.fft.irfft(total, size, axis=0)[: lags + 1]
    pairs = change.reshape(c, lags, c, lags)  # [a, i, b, j]: sample i after a block, j of its end
    for k in range(1, lags + 1):
        sums[k] += np.trace(pairs, offset=lags - k, axis1=1, axis2=3)
    rest = w[count * size :]
    return sums + lag_sums(rest, rest[: rest.shape[0] - lags], lags)


def _block(lags: int) -> int:
    """Return the length of the transforms."""
    return scipy.fft.next_fast_len(max(8 * (lags + 1), 512), real=True)


def _padded(signal: np.ndarray, start: int, length: int) -> np.ndarray:
    """Return `length` samples from `start` on, zeros beyond the end of the signal."""
    part = signal[start : start + length]
    missing = length - part.shape[0]
    return np.concatenate([part, np.zeros((signal.shape[1], missing)).T]) if missing else part
