r"""The sufficient statistic of a high-order predictor: the present sample and the past before it.

One row per time, and only the triangular factor of all rows is kept, as in a ``HankelFactor`` whose
future is the present sample alone::

    [ 1 | u_t | u_(t-past) .. u_(t-1) | y_(t-past) .. y_(t-1) | y_t ]
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from realization.internal import triangular_factor

from .data import Experiments
from .projections import FactorBlocks, regress

__all__ = [
    "by_lag",
    "predictor",
    "predictor_blocks",
    "predictor_factor",
    "predictor_hankel",
    "predictor_rows",
    "predictor_width",
]


def predictor_width(past: int, n_outputs: int, n_inputs: int) -> int:
    """Return the number of columns of a row."""
    return 1 + (past + 1) * (n_outputs + n_inputs)


def predictor_rows(samples: np.ndarray, past: int, n_inputs: int) -> np.ndarray:
    """Return the rows of one record.

    Parameters
    ----------
    samples : (T, m + p) ndarray
        Inputs and outputs side by side.
    past : int
        Number of past samples.
    n_inputs : int
        Number of inputs m.

    Returns
    -------
    (T - past, d) ndarray
        One row per time that has a whole past; none on a shorter record.
    """
    T, channels = samples.shape
    count = max(T - past, 0)
    if count == 0:
        return np.zeros((0, predictor_width(past, channels - n_inputs, n_inputs)))
    windows = sliding_window_view(samples, past + 1, axis=0).transpose(0, 2, 1)
    u, y = windows[:, :, :n_inputs], windows[:, :, n_inputs:]
    parts = (u[:, past], u[:, :past], y[:, :past], y[:, past])
    return np.hstack([np.ones((count, 1)), *(part.reshape(count, -1) for part in parts)])


def predictor_blocks(
    R: np.ndarray, past: int, n_outputs: int, n_inputs: int, *, remove_means: bool
) -> FactorBlocks:
    """Return the rows behind a factor in orthonormal coordinates, divided by the root of their sum.

    Parameters
    ----------
    R : (d, d) ndarray
        Triangular factor of (weighted) rows.
    past : int
        Number of past samples.
    n_outputs : int
        p.
    n_inputs : int
        m.
    remove_means : bool
        Project the constant out first.

    Returns
    -------
    FactorBlocks
        With one sample of future, scaled so that products of rows are (weighted) averages.
    """
    rows = R[1:, 1:] if remove_means else triangular_factor(R[:, 1:])
    return FactorBlocks(rows.T / abs(R[0, 0]), n_outputs, n_inputs, past, 1, 1, 1)


def predictor(blocks: FactorBlocks) -> np.ndarray:
    """Return the coefficients of the past (rows as in Wp) and of the present input, (p, ..)."""
    known = np.vstack([blocks.Wp, blocks.Uf[: blocks.n_inputs]])
    return regress(blocks.Yf[: blocks.n_outputs], known)


def by_lag(
    theta: np.ndarray, past: int, n_inputs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coefficients of a predictor by lag: inputs (s, p, m), outputs (s, p, p), and D."""
    p, m, split = theta.shape[0], n_inputs, past * n_inputs
    on_inputs = theta[:, :split].reshape(p, past, m).transpose(1, 0, 2)[::-1]
    on_outputs = theta[:, split : split + past * p].reshape(p, past, p).transpose(1, 0, 2)[::-1]
    return on_inputs, on_outputs, theta[:, split + past * p :]


def predictor_hankel(theta: np.ndarray, past: int, n_inputs: int, future: int) -> np.ndarray:
    """Return the predictor's observability times reachability matrix, acting on the past.

    Parameters
    ----------
    theta : (p, past (m + p) or more) ndarray
        Coefficients of the past inputs and outputs, oldest first, that predict an output.
    past : int
        Number of past samples.
    n_inputs : int
        Number of inputs m.
    future : int
        Number of block rows.

    Returns
    -------
    (future p, past (m + p)) ndarray
        Block row i says what the past does to the output i samples later, as far as the predictor
        reaches: the coefficients moved i samples towards the present.
    """
    p, m, split = theta.shape[0], n_inputs, past * n_inputs
    width = split + past * p
    rows = np.zeros((future, p, width))
    for i in range(min(future, past)):
        rows[i, :, i * m : split] = theta[:, : split - i * m]
        rows[i, :, split + i * p :] = theta[:, split : width - i * p]
    return rows.reshape(future * p, width)


def predictor_factor(data: Experiments, past: int) -> np.ndarray:
    """Return the triangular factor of the rows of all experiments."""
    width = predictor_width(past, data.n_outputs, data.n_inputs)
    R, step = np.zeros((width, width)), max(2 * width, 256)
    for y, u in zip(data.y, data.u, strict=True):
        samples = np.hstack([u, y])
        for start in range(0, max(samples.shape[0] - past, 0), step):
            rows = predictor_rows(samples[start : start + step + past], past, data.n_inputs)
            R = triangular_factor(np.vstack([R, rows]))
    return R
