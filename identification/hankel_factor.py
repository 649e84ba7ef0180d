r"""The sufficient statistic of all subspace methods: one triangular factor.

For a split of time into past and future, the data matrix has one row per start time ``t``::

    [ 1 | u_f | u_p | y_p | y_f ]      u_p, y_p: samples t .. t+past-1 (oldest first)
                                       u_f, y_f: samples t+past .. t+past+future-1

and only its triangular factor ``R`` (``H = Q R``) is kept: its size does not depend on the number
of samples. Chunks of one record continue each other (``update``), separate records are joined
(``merge``), both exactly. The leading column of ones makes offsets a projection: ``R`` without its
first row and column is the factor of the data with every column's mean removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from realization.internal import as_integer, triangular_factor

from .data import Experiments

__all__ = ["HankelFactor"]


class HankelFactor:
    """Triangular factor of the block-Hankel matrix of past and future data.

    Parameters
    ----------
    n_outputs : int
        Number of outputs p, at least 1.
    n_inputs : int
        Number of inputs m.
    past : int
        Number of past samples.
    future : int
        Number of future samples; the order of a model is at most ``p * (future - 1)``.

    Attributes
    ----------
    R : (d, d) ndarray
        Upper triangular, ``d = 1 + (past + future) (m + p)``; columns ordered
        ``1, u_f, u_p, y_p, y_f``.
    n_columns : int
        Number of start times accumulated so far.
    n_samples : int
        Number of samples accumulated so far.

    Notes
    -----
    ``update`` costs O(T d^2) operations and O(d^2) memory.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import HankelFactor
    >>> y = np.random.default_rng(0).standard_normal((500, 1))
    >>> whole = HankelFactor(1, 0, past=5, future=5).update(y)
    >>> parts = HankelFactor(1, 0, past=5, future=5).update(y[:200]).update(y[200:])
    >>> bool(np.allclose(whole.R.T @ whole.R, parts.R.T @ parts.R))
    True
    """

    def __init__(self, n_outputs: int, n_inputs: int, *, past: int, future: int) -> None:
        self.n_outputs = as_integer("n_outputs", n_outputs, minimum=1)
        self.n_inputs = as_integer("n_inputs", n_inputs)
        self.past = as_integer("past", past, minimum=1)
        self.future = as_integer("future", future, minimum=2)
        self.n_columns = 0
        self.n_samples = 0
        width = 1 + (self.past + self.future) * (self.n_inputs + self.n_outputs)
        self.R = np.zeros((width, width))
        self._tail_y = np.zeros((0, self.n_outputs))
        self._tail_u = np.zeros((0, self.n_inputs))

    def update(self, y: Any, u: Any = None) -> HankelFactor:
        """Add the next samples of the current record.

        Parameters
        ----------
        y : (T, p) array_like
            Outputs; 1-D means one channel.
        u : (T, m) array_like, optional
            Inputs; needed exactly when the factor has inputs.

        Returns
        -------
        HankelFactor
            The same object.

        Raises
        ------
        ValueError
            If the channels are not those of the factor, or a sample is not finite.
        """
        data = Experiments.from_data(y, u)
        if len(data) > 1:
            raise ValueError(
                "`y` must be one record: update() continues it. Make one HankelFactor per "
                "experiment and join them with merge()."
            )
        if (data.n_outputs, data.n_inputs) != (self.n_outputs, self.n_inputs):
            raise ValueError(
                f"this factor has {self.n_outputs} outputs and {self.n_inputs} inputs; got "
                f"{data.n_outputs} and {data.n_inputs}."
            )
        outputs = np.vstack([self._tail_y, data.y[0]])
        inputs = np.vstack([self._tail_u, data.u[0]])
        self.R = _extend_by_qr(self.R, outputs, inputs, self.past, self.future)
        window = self.past + self.future
        self.n_columns += max(outputs.shape[0] - window + 1, 0)
        self.n_samples += data.y[0].shape[0]
        keep = min(window - 1, outputs.shape[0])
        self._tail_y = outputs[outputs.shape[0] - keep :]
        self._tail_u = inputs[inputs.shape[0] - keep :]
        return self

    def merge(self, other: HankelFactor) -> HankelFactor:
        """Join the factors of two separate records.

        Parameters
        ----------
        other : HankelFactor
            Factor with the same channels and horizons.

        Returns
        -------
        HankelFactor
            A new factor; an ``update`` of it starts a new record.

        Raises
        ------
        ValueError
            If channels or horizons differ.
        """
        mine = (self.n_outputs, self.n_inputs, self.past, self.future)
        theirs = (other.n_outputs, other.n_inputs, other.past, other.future)
        if mine != theirs:
            raise ValueError(
                "only factors with the same (outputs, inputs, past, future) can be merged; got "
                f"{mine} and {theirs}."
            )
        joined = HankelFactor(self.n_outputs, self.n_inputs, past=self.past, future=self.future)
        joined.R = _triangle(np.vstack([self.R, other.R]))
        joined.n_columns = self.n_columns + other.n_columns
        joined.n_samples = self.n_samples + other.n_samples
        return joined

    @classmethod
    def from_experiments(cls, data: Experiments, *, past: int, future: int) -> HankelFactor:
        """Return the factor of all experiments together; different experiments never mix.

        Parameters
        ----------
        data : Experiments
            The records.
        past : int
            Number of past samples.
        future : int
            Number of future samples.

        Returns
        -------
        HankelFactor
            The merged factor.
        """
        total: HankelFactor | None = None
        for y, u in zip(data.y, data.u, strict=True):
            one = cls(data.n_outputs, data.n_inputs, past=past, future=future)
            one.update(y, u if data.n_inputs else None)
            total = one if total is None else total.merge(one)
        assert total is not None
        return total

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean output and input over all columns and lags.

        Returns
        -------
        y0 : (p,) ndarray
            Mean output.
        u0 : (m,) ndarray
            Mean input.
        """
        rows = self.R[0, 1:] / self.R[0, 0]
        m, p = self.n_inputs, self.n_outputs
        inputs = rows[: (self.past + self.future) * m].reshape(-1, m)
        outputs = rows[(self.past + self.future) * m :].reshape(-1, p)
        return outputs.mean(axis=0), inputs.mean(axis=0)

    def __repr__(self) -> str:
        return (
            f"HankelFactor({self.n_outputs} outputs, {self.n_inputs} inputs, past={self.past}, "
            f"future={self.future}, {self.n_samples} samples)"
        )


def _triangle(matrix: np.ndarray) -> np.ndarray:
    """Return the square upper-triangular factor, padded with zero rows for a flat matrix."""
    R = triangular_factor(matrix)
    if R.shape[0] < R.shape[1]:
        R = np.vstack([R, np.zeros((R.shape[1] - R.shape[0], R.shape[1]))])
    return R


def _extend_by_qr(
    R: np.ndarray, y: np.ndarray, u: np.ndarray, past: int, future: int
) -> np.ndarray:
    """Fold the block-Hankel rows of one record into the factor, by QR of row blocks."""
    window = past + future
    count = y.shape[0] - window + 1
    if count <= 0:
        return R
    view_y = np.lib.stride_tricks.sliding_window_view(y, window, axis=0)  # (count, p, window)
    view_u = np.lib.stride_tricks.sliding_window_view(u, window, axis=0)  # (count, m, window)
    size = max(2 * R.shape[0], 256)
    for start in range(0, count, size):
        rows_y = view_y[start : start + size].transpose(0, 2, 1)  # (rows, window, p)
        rows_u = view_u[start : start + size].transpose(0, 2, 1)
        rows = rows_y.shape[0]
        block = np.hstack(
            [
                np.ones((rows, 1)),
                rows_u[:, past:].reshape(rows, -1),
                rows_u[:, :past].reshape(rows, -1),
                rows_y[:, :past].reshape(rows, -1),
                rows_y[:, past:].reshape(rows, -1),
            ]
        )
        R = _triangle(np.vstack([R, block]))
    return R
