r"""One-step prediction of frames, remainder included, from the coordinates alone.

The predictor is C A^k x_t + carry^k r_t, r_t the part of frame t that the basis leaves out. As the
basis is orthonormal, its squared error needs no pixels:

    |y_{t+1} - yhat|^2 = |z_{t+1} - zhat|^2 + rho_{t+1} - 2 carry c_t + carry^2 rho_t,

rho_t = |y_t|^2 - |z_t|^2, c_t = y_t' y_{t+1} - z_t' z_{t+1}. The carry that is best is
sum c_t / sum rho_t.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .decomposition import Decomposition
from .dynamics import transition

__all__ = ["HeldOut", "held_out"]

CUTS = (1 / 2, 2 / 3, 5 / 6)  # of the clip: frames before a cut predict those up to the next


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Mean squared errors per pixel on frames that neither basis nor dynamics have seen.

    Parameters
    ----------
    orders : (k,) ndarray
        State dimensions.
    plain : (k,) ndarray
        Of the model's prediction.
    carried : (k,) ndarray
        Of the prediction that carries the remainder on.
    carry : (k,) ndarray
        The factor that is best there, between 0 and 1.
    persistence : float
        Of the last frame as prediction.
    """

    orders: np.ndarray
    plain: np.ndarray
    carried: np.ndarray
    carry: np.ndarray
    persistence: float


def held_out(clip: Decomposition, orders: list[int]) -> HeldOut:
    """Return the errors of each order, each part of the second half predicted from all before.

    Parameters
    ----------
    clip : Decomposition
        The clip, at least 8 frames.
    orders : list of int
        State dimensions to try; where the frames before a cut are too few for one, the largest
        that they allow stands in.

    Returns
    -------
    HeldOut
        Errors and factors, over all parts together.
    """
    T = len(clip.z)
    cuts = [round(T * cut) for cut in CUTS] + [T]
    inside, rho_next, products, rho = np.zeros((4, len(orders)))
    persistence = 0.0
    for cut, end in itertools.pairwise(cuts):
        mean = clip.z[:cut].mean(axis=0)
        z = clip.z[:end] - mean
        shift = clip.z[:end] @ mean
        power = clip.power[:end] - 2 * shift + mean @ mean
        lag = clip.lag[: end - 1] - shift[1:] - shift[:-1] + mean @ mean
        before, after = slice(cut - 1, end - 1), slice(cut, end)
        persistence += float(np.sum(power[after] + power[before] - 2 * lag[before]))
        x = z @ _directions(z[:cut], max(orders))
        kept = np.cumsum(x**2, axis=1)
        kept_lag = np.cumsum(x[1:] * x[:-1], axis=1)
        for k, order in enumerate(orders):
            n = min(order, x.shape[1], cut - 3)
            A = transition(x[:cut, :n])
            inside[k] += np.sum((x[after, :n] - x[before, :n] @ A.T) ** 2)
            rho_next[k] += np.sum(power[after] - kept[after, n - 1])
            rho[k] += np.sum(power[before] - kept[before, n - 1])
            products[k] += np.sum(lag[before] - kept_lag[before, n - 1])
    carry = np.divide(products, rho, out=np.zeros(len(orders)), where=rho > 0).clip(0.0, 1.0)
    samples = (T - cuts[0]) * clip.mean.size
    plain = inside + rho_next
    carried = plain - 2 * carry * products + carry**2 * rho
    return HeldOut(
        np.array(orders), plain / samples, carried / samples, carry, persistence / samples
    )


def _directions(z: np.ndarray, count: int) -> np.ndarray:
    """Return the principal directions of rows, as columns."""
    if len(z) < z.shape[1]:
        vectors = np.linalg.eigh(z @ z.T)[1][:, ::-1][:, : min(count, len(z) - 1)]
        return _scaled_columns(z.T @ vectors)
    return np.linalg.eigh(z.T @ z)[1][:, ::-1][:, :count]


def _scaled_columns(M: np.ndarray) -> np.ndarray:
    """Return the columns divided by their norms; zero columns stay."""
    norms = np.linalg.norm(M, axis=0)
    return M / np.where(norms > 0, norms, 1.0)
