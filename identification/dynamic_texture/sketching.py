r"""The leading principal components of a long clip by subspace iteration, in a few passes.

    pass 0      S = sum_t (y_t - mean) omega_t'         omega_t random, l > limit of them
    pass k      Q = orth(S),  z_t = Q'(y_t - mean),  S = sum_t (y_t - mean) z_t'

Each pass is one power iteration. Passes end when the variance in the leading `limit` directions
has stopped growing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .frame_products import panels, watched
from .orthonormalization import column_products, orthonormal, row_parts
from .video import FrameSource

__all__ = ["sketched"]

EXTRA = 10  # directions at least, or half as many, beyond those wanted
PASSES = 8
SETTLED = 1e-6  # of the variance: growth from one pass to the next


def sketched(
    source: FrameSource, limit: int, *, progress: bool
) -> tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray, Callable[[int], tuple[np.ndarray, np.ndarray]]
]:
    """Return mean, coordinates, powers, lag products and basis images, as in ``Decomposition``.

    Parameters
    ----------
    source : FrameSource
        The clip.
    limit : int
        Principal components wanted.
    progress : bool
        Show a progress bar.

    Returns
    -------
    mean : (pixels,) ndarray
        Mean frame, float32.
    z : (T, l) ndarray
        Coordinates; those behind the first `limit` are less accurate, and serve to measure what
        the first ones leave out.
    power : (T,) ndarray
        Squared norms of the centred frames.
    lag : (T - 1,) ndarray
        Inner products of neighbouring centred frames.
    images : callable
        Basis images and their coordinates.
    """
    mean, S = _random_sums(source, limit + max(EXTRA, limit // 2), progress)
    captured = 0.0
    for k in range(1, PASSES + 1):
        Q, _ = orthonormal(_independent(S))
        z, power, lag, S = _iterate(source, mean, Q, f"pass {k}", progress)
        values, vectors = np.linalg.eigh(z.T @ z)
        before, captured = captured, float(values[::-1][:limit].sum())
        if captured - before <= SETTLED * captured:
            break
    V = vectors[:, ::-1]
    z = z @ V

    def images(order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return basis images and coordinates."""
        return Q @ V[:, :order].astype(np.float32), z[:, :order]

    return mean, z, power, lag, images


def _random_sums(source: FrameSource, width: int, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean frame and the sums of the centred frames with random weights."""
    rng = np.random.default_rng(0)
    count, drawn = 0, np.zeros(width)
    reference = total = S = np.zeros(0)
    for block in watched(source, "pass 0", progress):
        if count == 0:
            reference = block[0].astype(np.float32)
            total, S = np.zeros(reference.size), np.zeros((reference.size, width), np.float32)
        omega = rng.standard_normal((len(block), width), dtype=np.float32)
        for part, panel in panels([block], reference):
            total[part] += np.ones(len(panel), dtype=np.float32) @ panel
            S[part] += panel.T @ omega
        count, drawn = count + len(block), drawn + omega.sum(axis=0, dtype=float)
    total /= count
    for part in row_parts(S):
        S[part] -= np.outer(total[part], drawn).astype(np.float32)
    return (reference + total).astype(np.float32), S


def _independent(S: np.ndarray) -> np.ndarray:
    """Replace the columns by those of their combinations that single precision can tell apart."""
    values, vectors = np.linalg.eigh(column_products(S))
    kept = values > 1e-10 * max(values[-1], 0.0)
    combined = (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
    for part in row_parts(S):
        S[part, : combined.shape[1]] = S[part] @ combined
    return S[:, : combined.shape[1]]


def _iterate(
    source: FrameSource, mean: np.ndarray, Q: np.ndarray, text: str, progress: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates, squared norms, products of neighbours, and the next sums."""
    S = np.zeros_like(Q)
    paths, powers, lags = [], [], []
    last = np.zeros((0, mean.size), dtype=np.float32)
    for block in watched(source, text, progress):
        z = np.zeros((len(block), Q.shape[1]), dtype=np.float32)
        power, lag = np.zeros(len(block)), np.zeros(len(last) + len(block) - 1)
        for part, panel in panels([block], mean):
            z += panel @ Q[part]
            power += np.einsum("tp,tp->t", panel, panel)
            joined = np.vstack([last[:, part], panel])
            lag += np.einsum("tp,tp->t", joined[1:], joined[:-1])
        for part, panel in panels([block], mean):
            S[part] += panel.T @ z
        last = block[-1:] - mean
        paths.append(z.astype(float))
        powers.append(power)
        lags.append(lag)
    return np.vstack(paths), np.concatenate(powers), np.concatenate(lags), S
