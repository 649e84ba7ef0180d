r"""The sufficient statistic of all subspace methods: one triangular factor.

For a split of time into past and future, the data matrix has one row per start time ``t``::

    [ 1 | u_f | u_p | y_p | y_f ]      u_p, y_p: samples t .. t+past-1 (oldest first)
                                       u_f, y_f: samples t+past .. t+past+future-1

and only its triangular factor ``R`` (``H = Q R``) is kept: its size does not depend on the number
of samples. Chunks of one record continue each other (``update``), separate records are joined
(``merge``), both exactly. The leading column of ones makes offsets a projection: ``R`` without its
first row and column is the factor of the data with every column's mean removed.

Samples wait until there are enough of them for a piece. The factor of a piece is the Cholesky
factor of its Gram matrix, which lagged products give at once (``structured_gram``), or where that
is too ill-conditioned, a QR factorisation of its rows, block by block. Pieces are joined by a QR
factorisation of their triangles, so a total of well-conditioned pieces loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy

from realization.internal import (
    as_instance,
    as_integer,
    counted,
    outputs_and_inputs,
    require_memory,
)

from .data import Experiments
from .structured_gram import gram_factor
from .threads import blas_threads_for

__all__ = ["HankelFactor"]

PIECE = 2**21  # numbers (samples times channels) that make a piece
CONDITION = (
    5e5  # a worse conditioned Gram matrix would lose more than 1e-4 of the smallest direction
)
PANEL = 32  # columns that LAPACK eliminates at one time


class HankelFactor:
    r"""Triangular factor of the block-Hankel matrix of past and future data.

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
    n_columns_by_qr : int
        Number of those start times whose rows took the QR factorisation: of the pieces that are
        too ill-conditioned for a Gram matrix, or too short.

    Notes
    -----
    T samples of c = m + p channels cost O(T c (log d + d / 8)) operations and, for each piece of
    2^21 numbers, O(d^3); where QR is needed, O(T d^2). Memory: O(d^2) and a piece.

    The triangular factor of a Gram matrix with condition number :math:`\kappa^2` has relative
    errors of about :math:`\epsilon \kappa^2` in its smallest direction, against :math:`\epsilon
    \kappa` by QR. The condition number (of centred data, columns scaled to length 1) is measured
    for each piece, and above 5e5 the piece goes to QR. The smallest direction is the innovation,
    which sampling alone leaves uncertain by :math:`1 / \sqrt T`.

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
        require_memory(f"`past` = {self.past} and `future` = {self.future}", width**2)
        self._R = np.zeros((width, width), order="F")
        self._by_qr = 0
        self._record: list[np.ndarray] = []  # samples (u, y) of the current record that wait
        self._waiting = 0  # how many

    @property
    def R(self) -> np.ndarray:
        """Upper triangular factor (d, d) of all samples."""
        self._reduce_record()
        return self._R

    @property
    def n_columns_by_qr(self) -> int:
        """Number of start times whose rows took the QR factorisation."""
        self._reduce_record()
        return self._by_qr

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
                f"this factor has {outputs_and_inputs(self.n_outputs, self.n_inputs)}; got "
                f"{data.n_outputs} and {data.n_inputs}."
            )
        samples = _by_channel(data.u[0], data.y[0])
        overlap = self.past + self.future - 1
        before = self._waiting
        self._record.append(samples)
        self._waiting += samples.shape[0]
        self.n_columns += max(self._waiting - overlap, 0) - max(before - overlap, 0)
        self.n_samples += samples.shape[0]
        if self._waiting * samples.shape[1] >= PIECE:
            self._reduce_record()
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
        TypeError
            If `other` is not a HankelFactor.
        ValueError
            If channels or horizons differ.
        """
        as_instance("other", other, (HankelFactor,))
        mine = (self.n_outputs, self.n_inputs, self.past, self.future)
        theirs = (other.n_outputs, other.n_inputs, other.past, other.future)
        if mine != theirs:
            raise ValueError(
                "only factors with the same (outputs, inputs, past, future) can be merged; got "
                f"{mine} and {theirs}."
            )
        joined = HankelFactor(self.n_outputs, self.n_inputs, past=self.past, future=self.future)
        with blas_threads_for(self._R.shape[0]):
            joined._R = _joined(self.R, other.R)
        joined._by_qr = self.n_columns_by_qr + other.n_columns_by_qr
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
        total = cls(data.n_outputs, data.n_inputs, past=past, future=future)
        records = [_by_channel(u, y) for y, u in zip(data.y, data.u, strict=True)]
        total._reduce(records)
        lengths = [record.shape[0] for record in records]
        total.n_samples = sum(lengths)
        total.n_columns = sum(max(T - total.past - total.future + 1, 0) for T in lengths)
        return total

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean output and input over all columns and lags.

        Returns
        -------
        y0 : (p,) ndarray
            Mean output.
        u0 : (m,) ndarray
            Mean input.

        Raises
        ------
        ValueError
            If the factor holds no columns.
        """
        if self.n_columns == 0:
            raise ValueError("this factor is empty: update it with data first.")
        rows = self.R[0, 1:] / self.R[0, 0]
        m, p = self.n_inputs, self.n_outputs
        inputs = rows[: (self.past + self.future) * m].reshape(-1, m)
        outputs = rows[(self.past + self.future) * m :].reshape(-1, p)
        return outputs.mean(axis=0), inputs.mean(axis=0)

    def __repr__(self) -> str:
        channels = f"{counted(self.n_outputs, 'output')}, {counted(self.n_inputs, 'input')}"
        samples = counted(self.n_samples, "sample")
        return f"HankelFactor({channels}, past={self.past}, future={self.future}, {samples})"

    def _reduce_record(self) -> None:
        """Take in the samples that wait; those that later rows need keep waiting."""
        overlap = self.past + self.future - 1
        if self._waiting <= overlap:
            return
        record = self._record[0] if len(self._record) == 1 else np.concatenate(self._record)
        self._reduce([record])
        self._record, self._waiting = [record[record.shape[0] - overlap :].copy()], overlap

    def _reduce(self, records: Sequence[np.ndarray]) -> None:
        """Take in separate records, piece by piece."""
        columns, window = self._R.shape[0], self.past + self.future
        with blas_threads_for(columns):
            for piece in _pieces(records, window):
                count = sum(record.shape[0] - window + 1 for record in piece)
                found = None
                if count >= columns:
                    found = gram_factor(piece, self.n_inputs, self.past, self.future)
                if found is not None and found[1] <= CONDITION:
                    self._R = _joined(self._R, found[0])
                    continue
                self._by_qr += count
                for record in piece:
                    self._R = _folded(self._R, record, self.n_inputs, self.past, self.future)


def _by_channel(u: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (T, m + p) inputs and outputs, each channel contiguous in memory."""
    return np.concatenate([u.T, y.T]).T


def _pieces(records: Sequence[np.ndarray], window: int) -> Iterator[list[np.ndarray]]:
    """Yield lists of records that hold PIECE numbers or less; a longer record is cut.

    The parts of a record overlap by `window` - 1 samples, so that every row is in one part.
    """
    piece: list[np.ndarray] = []
    room = PIECE
    for record in records:
        step = max(PIECE // record.shape[1] - window + 1, 1)
        for start in range(0, record.shape[0] - window + 1, step):
            part = record[start : start + step + window - 1]
            if piece and part.size > room:
                yield piece
                piece, room = [], PIECE
            piece.append(part)
            room -= part.size
    if piece:
        yield piece


def _joined(R: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the triangular factor of two triangular factors, one below the other."""
    if not R.any():
        return other
    n = R.shape[0]
    return scipy.linalg.lapack.dtpqrt(n, min(PANEL, n), R, other)[0]


def _folded(R: np.ndarray, record: np.ndarray, n_inputs: int, past: int, future: int) -> np.ndarray:
    """Return the factor with the block-Hankel rows of one record below it, by blocks of rows."""
    n, window = R.shape[0], past + future
    view = np.lib.stride_tricks.sliding_window_view(record, window, axis=0)  # (rows, c, window)
    size = max(2 * n, 256)
    for start in range(0, view.shape[0], size):
        rows = view[start : start + size].transpose(2, 1, 0)  # (window, c, rows)
        u, y = rows[:, :n_inputs], rows[:, n_inputs:]
        parts = (u[past:], u[:past], y[:past], y[past:])
        count = rows.shape[2]
        block = np.vstack([np.ones((1, count)), *(part.reshape(-1, count) for part in parts)])
        R = scipy.linalg.lapack.dtpqrt(0, min(PANEL, n), R, block.T)[0]
    return R
