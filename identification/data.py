"""Measured records: one or many (y, u) runs, checked once.

``Experiments`` is what every identification routine works on. Arrays, lists of arrays, DataFrames,
``control.TimeResponseData`` and text files all become one; column names are kept for tables and
figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from realization.internal import as_array, as_choice, as_dt, as_real, as_signal, counted

from .table import Column, read_columns

__all__ = ["Experiments", "detrend", "numbered", "split"]

LARGEST = 1e70  # of a sample: sums of squares of this size must stay finite
LONGEST_NAMES = 40  # letters of the names that a repr shows


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experiments:
    """Checked records of one or many runs of the same process.

    Build it with ``Experiments.from_data`` or ``Experiments.from_file``; the arrays are read-only
    copies.

    Parameters
    ----------
    y : tuple of (T_i, p) ndarray
        Outputs, one array per experiment, time first.
    u : tuple of (T_i, m) ndarray
        Inputs, of the same lengths; m = 0 for a process without inputs.
    dt : float
        Sample time.
    output_names : tuple of str
        One name per output.
    input_names : tuple of str
        One name per input.
    """

    y: tuple[np.ndarray, ...]
    u: tuple[np.ndarray, ...]
    dt: float
    output_names: tuple[str, ...]
    input_names: tuple[str, ...]

    @classmethod
    def from_data(
        cls, y: Any, u: Any = None, *, dt: float = 1.0, allow_nan: bool = False
    ) -> Experiments:
        """Check raw data and return the record.

        Parameters
        ----------
        y : array_like, DataFrame, TimeResponseData, Experiments or list of arrays
            Outputs (T, p), time first; 1-D means one output; a list (or a third leading axis)
            means several experiments. ``control.TimeResponseData`` and ``Experiments`` bring
            their own inputs and sample time.
        u : array_like, DataFrame or list of them, optional
            Inputs (T, m), in the same form as `y`.
        dt : float, default 1.0
            Sample time, positive.
        allow_nan : bool, default False
            Accept NaN in `y` as missing samples.

        Returns
        -------
        Experiments
            The checked record.

        Raises
        ------
        TypeError
            If the samples are not real numbers.
        ValueError
            If shapes, lengths or column names disagree, a sample is not finite, or `dt` is not
            positive.
        """
        if isinstance(y, Experiments) or _is_time_response(y):
            if u is not None:
                raise ValueError(
                    f"`u` must be left out when `y` is a {type(y).__name__}: it carries its inputs."
                )
            if isinstance(y, Experiments):
                if not allow_nan:
                    for number, run in enumerate(y.y):
                        _require_complete(f"y[{number}]", run)
                return y
            y, u, dt = _from_time_response(y)
        dt = as_dt(dt)
        if dt == 0.0:
            raise ValueError("`dt` must be positive: measured records are samples; got 0.0.")
        outputs = _runs("y", y, allow_nan=allow_nan)
        inputs = None if u is None else _runs("u", u, allow_nan=False)
        if inputs is None:
            inputs = [(np.zeros((run.shape[0], 0)), ()) for run, _ in outputs]
        if len(inputs) != len(outputs):
            raise ValueError(
                f"`y` and `u` must hold the same number of experiments; got {len(outputs)} and "
                f"{len(inputs)}."
            )
        for number, ((run_y, _), (run_u, _)) in enumerate(zip(outputs, inputs, strict=True)):
            if run_y.shape[0] != run_u.shape[0]:
                where = f" in experiment {number}" if len(outputs) > 1 else ""
                raise ValueError(
                    f"`y` and `u` must have the same number of samples{where}; got "
                    f"{run_y.shape[0]} and {run_u.shape[0]}."
                )
        for name, runs in (("y", outputs), ("u", inputs)):
            widths = sorted({run.shape[1] for run, _ in runs})
            if len(widths) > 1:
                raise ValueError(
                    f"every experiment must have the same channels in `{name}`; got {widths}."
                )
            if widths[0] > 1 and len(names := {columns for _, columns in runs}) > 1:
                raise ValueError(
                    f"every experiment must name the channels of `{name}` alike, in one order; got "
                    f"{' and '.join(str(list(columns)) for columns in sorted(names))}."
                )
            for run, _ in runs:
                run.setflags(write=False)
        return cls(
            tuple(run for run, _ in outputs),
            tuple(run for run, _ in inputs),
            dt,
            outputs[0][1],
            inputs[0][1],
        )

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        y: Column | Sequence[Column],
        u: Column | Sequence[Column] = (),
        *,
        dt: float = 1.0,
        allow_nan: bool = False,
    ) -> Experiments:
        """Read one record from a file: CSV, columns separated by tabs or blanks, or .npz.

        The first line of text is a header when none of its fields is a number. In an .npz file an
        array (T,) is a column and an array (T, k) is k of them. With pandas and pyarrow also
        .parquet and .feather.

        Parameters
        ----------
        path : str or Path
            The file, one row per sample.
        y : str, int or sequence of them
            Columns of the outputs, by name or by number from 0.
        u : str, int or sequence of them, default ()
            Columns of the inputs.
        dt : float, default 1.0
            Sample time, positive.
        allow_nan : bool, default False
            Accept missing values in the outputs.

        Returns
        -------
        Experiments
            The checked record, channels named as the columns.

        Raises
        ------
        OSError
            If the file cannot be read.
        ImportError
            If it needs pandas or pyarrow, and they are not installed.
        ValueError
            If it is not a table, no output is named, a column is unknown or given twice, or a
            needed value is missing or not a number.
        """
        outputs, inputs = ([c] if isinstance(c, (str, int)) else list(c) for c in (y, u))
        (y_names, y_values), (u_names, u_values) = read_columns(path, outputs, inputs)
        names = [*y_names, *u_names]
        if len(set(names)) < len(names):
            raise ValueError(f"a column can serve once, as output or as input; got {names}.")
        record = cls.from_data(y_values, u_values if inputs else None, dt=dt, allow_nan=allow_nan)
        return replace(record, output_names=y_names, input_names=u_names)

    @property
    def n_outputs(self) -> int:
        """Number of outputs p."""
        return self.y[0].shape[1]

    @property
    def n_inputs(self) -> int:
        """Number of inputs m."""
        return self.u[0].shape[1]

    @property
    def n_samples(self) -> int:
        """Number of samples in all experiments together."""
        return sum(run.shape[0] for run in self.y)

    def __len__(self) -> int:
        """Return the number of experiments."""
        return len(self.y)

    def __repr__(self) -> str:
        lengths = [run.shape[0] for run in self.y]
        shortest, longest = min(lengths), max(lengths)
        samples = f"{'' if shortest == longest else f'{shortest} to '}{counted(longest, 'sample')}"
        channels = f"{_named('output', self.output_names)}, {_named('input', self.input_names)}"
        runs = counted(len(self), "experiment")
        return f"Experiments({runs} of {samples}, {channels}, dt={self.dt:g})"


def _named(noun: str, names: tuple[str, ...]) -> str:
    """Return the names of channels; only their number when there are none, or they are long."""
    text = f"{noun}s {list(names)}"
    return text if names and len(text) <= LONGEST_NAMES else counted(len(names), noun)


def split(
    y: Any, u: Any = None, *, fraction: float = 0.5, dt: float = 1.0
) -> tuple[Experiments, Experiments]:
    """Cut every experiment in two: the first part to identify with, the second to validate on.

    Parameters
    ----------
    y : array_like, DataFrame, TimeResponseData, Experiments or list of arrays
        Outputs (T, p).
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m).
    fraction : float, default 0.5
        Share of the samples of each experiment that the first part gets, rounded.
    dt : float, default 1.0
        Sample time.

    Returns
    -------
    first : Experiments
        The beginnings.
    second : Experiments
        What follows them.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, or a part of an experiment would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import split
    >>> first, second = split(np.arange(10.0), fraction=0.7)
    >>> bool(np.array_equal(np.vstack([first.y[0], second.y[0]])[:, 0], np.arange(10.0)))
    True
    """
    fraction = as_real("fraction", fraction, above=0.0, below=1.0)
    data = Experiments.from_data(y, u, dt=dt, allow_nan=True)
    cuts = [round(fraction * run.shape[0]) for run in data.y]
    for number, (run, cut) in enumerate(zip(data.y, cuts, strict=True)):
        if cut == 0 or cut == run.shape[0]:
            raise ValueError(
                f"`fraction` = {fraction:g} leaves a part of experiment {number} empty: it has "
                f"{counted(run.shape[0], 'sample')}."
            )
    y_cuts, u_cuts = (list(zip(runs, cuts, strict=True)) for runs in (data.y, data.u))
    first = replace(
        data, y=tuple(run[:cut] for run, cut in y_cuts), u=tuple(run[:cut] for run, cut in u_cuts)
    )
    second = replace(
        data, y=tuple(run[cut:] for run, cut in y_cuts), u=tuple(run[cut:] for run, cut in u_cuts)
    )
    return first, second


def detrend(
    y: Any, u: Any = None, *, trend: Literal["linear", "offset"] = "linear", dt: float = 1.0
) -> tuple[Experiments, Experiments]:
    """Take a straight line, or the mean, out of every channel of every experiment.

    Parameters
    ----------
    y : array_like, DataFrame, TimeResponseData, Experiments or list of arrays
        Outputs (T, p); NaN marks a missing sample and stays one.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m).
    trend : str, default "linear"
        "linear" takes out the least-squares line of each channel, "offset" its mean.
    dt : float, default 1.0
        Sample time.

    Returns
    -------
    data : Experiments
        What is left.
    removed : Experiments
        What was taken out, sample by sample: ``data.y[k] + removed.y[k]`` is the record again, and
        the output of a model of `data` plus ``removed.y[k]`` is in the units of the record.

    Raises
    ------
    TypeError
        If the samples are not real numbers.
    ValueError
        If shapes disagree, `trend` is unknown, or a channel of an experiment has fewer samples than
        its trend has numbers (2 or 1).

    See Also
    --------
    subspace_id : Estimates a common offset itself.

    Notes
    -----
    A line is for drifts that have nothing to do with the plant: of a sensor, of the weather. Where
    the plant integrates, its drift is the signal. Every experiment has its own line.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import detrend
    >>> y = np.sin(np.arange(100.0)) + np.linspace(3.0, -17.0, 100)
    >>> data, removed = detrend(y)
    >>> bool(np.allclose(data.y[0] + removed.y[0], y[:, np.newaxis], atol=1e-14))
    True
    """
    as_choice("trend", trend, ("linear", "offset"))
    data = Experiments.from_data(y, u, dt=dt, allow_nan=True)
    lines_y, lines_u = (
        tuple(_straight_lines(run, names, trend, number) for number, run in enumerate(runs))
        for runs, names in ((data.y, data.output_names), (data.u, data.input_names))
    )
    left_y, left_u = (
        tuple(_read_only(run - line) for run, line in zip(runs, lines, strict=True))
        for runs, lines in ((data.y, lines_y), (data.u, lines_u))
    )
    return replace(data, y=left_y, u=left_u), replace(data, y=lines_y, u=lines_u)


def _straight_lines(run: np.ndarray, names: tuple[str, ...], trend: str, number: int) -> np.ndarray:
    """Return the least-squares line (or mean) of every channel, at missing samples too."""
    seen = ~np.isnan(run)
    counts = seen.sum(axis=0)
    needed = 2 if trend == "linear" else 1
    if (counts < needed).any():
        channel = int(np.argmin(counts))
        raise ValueError(
            f"channel {names[channel]!r} of experiment {number} has "
            f"{counted(counts[channel], 'sample')}; trend={trend!r} needs {needed}."
        )
    values = np.where(seen, run, 0.0)
    mean = values.sum(axis=0) / counts
    if trend == "offset":
        return _read_only(np.tile(mean, (run.shape[0], 1)))
    times = np.arange(run.shape[0])[:, np.newaxis] - (run.shape[0] - 1) / 2
    centre = np.where(seen, times, 0.0).sum(axis=0) / counts
    spread = np.where(seen, times - centre, 0.0)
    slope = np.sum(spread * (values - mean), axis=0) / np.sum(spread**2, axis=0)
    return _read_only(mean + slope * (times - centre))


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return the array, no longer writeable."""
    array.setflags(write=False)
    return array


def _is_time_response(value: Any) -> bool:
    """Tell whether a value is a python-control TimeResponseData, without importing control."""
    return type(value).__name__ == "TimeResponseData"


def _from_time_response(response: Any) -> tuple[list[np.ndarray], list[np.ndarray] | None, float]:
    """Return outputs, inputs and sample time; every trace is an experiment."""
    times = np.asarray(response.time, dtype=float)
    steps = np.diff(times)
    if steps.size == 0 or not np.allclose(steps, steps[0], rtol=1e-6, atol=0.0):
        raise ValueError("the TimeResponseData must have at least two equally spaced times.")
    n_outputs, n_inputs = response.noutputs, response.ninputs
    y = np.asarray(response.y).reshape(n_outputs, -1, times.size)
    runs_y = [y[:, k].T for k in range(y.shape[1])]
    if not n_inputs:
        return runs_y, None, float(steps[0])
    u = np.asarray(response.u).reshape(n_inputs, -1, times.size)
    return runs_y, [u[:, k].T for k in range(u.shape[1])], float(steps[0])


def _runs(name: str, value: Any, *, allow_nan: bool) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """Split raw data into checked (T_i, channels) arrays with their channel names."""
    if isinstance(value, (list, tuple)):
        if len(value) == 0:
            raise ValueError(f"`{name}` must hold at least one experiment; got an empty list.")
        if all(hasattr(part, "ndim") and part.ndim > 0 for part in value):
            return [_run(f"{name}[{k}]", part, name, allow_nan) for k, part in enumerate(value)]
    single = isinstance(value, np.ndarray) and value.ndim < 3  # not to be copied twice
    if not single and not hasattr(value, "to_numpy"):
        value = as_array(name, value, allow_nan=True)
        if value.ndim == 3:
            return [_run(f"{name}[{k}]", part, name, allow_nan) for k, part in enumerate(value)]
    return [_run(name, value, name, allow_nan)]


def _run(
    label: str, value: Any, prefix: str, allow_nan: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Check one run and find its channel names."""
    names: tuple[str, ...] = ()
    if hasattr(value, "to_numpy"):  # a pandas (or polars) DataFrame or Series
        columns = getattr(value, "columns", None)
        if columns is None:
            columns = [getattr(value, "name", None) or prefix]
        names = tuple(str(c) for c in columns)
        value = value.to_numpy()
    array = as_signal(label, value, None, allow_nan=True)
    size = max(array.max(initial=0.0), -array.min(initial=0.0))
    if np.isnan(size):
        if not allow_nan:
            _require_complete(label, array)
        size = np.nanmax(np.abs(array), initial=0.0)
    if size > LARGEST or 0.0 < size < 1 / LARGEST:
        raise ValueError(
            f"`{label}` has samples of size {size:.0e}, whose squares leave the range of floating-"
            "point numbers. Express it in other units."
        )
    if array.ndim != 2:
        raise ValueError(f"`{label}` must have shape (T, channels); got {array.shape}.")
    if array.shape[0] == 0:
        raise ValueError(f"`{label}` has no samples.")
    channels = array.shape[1]
    if prefix == "y" and channels == 0:
        raise ValueError(f"`{label}` has no outputs; got shape {array.shape}.")
    if not names:
        names = numbered(prefix, channels)
    return array, names


def numbered(prefix: str, channels: int) -> tuple[str, ...]:
    """Return names of channels that have none: the prefix, numbered from 1 where several."""
    return (prefix,) if channels == 1 else tuple(f"{prefix}{k + 1}" for k in range(channels))


def _require_complete(label: str, array: np.ndarray) -> None:
    """Raise if a sample is missing."""
    entries = np.isnan(array)
    if entries.any():
        missing = entries.any(axis=-1)
        *_, row, channel = np.argwhere(entries)[0]
        where = f"{row}, channel {channel}" if entries.shape[-1] > 1 else f"{row}"
        raise ValueError(
            f"`{label}` has a missing value (NaN) in {int(missing.sum())} of {missing.size} "
            f"samples, the first at index {where}. This needs complete records: "
            "cut the record at the gaps and pass the pieces as a list of experiments. em() refines "
            "a model with outputs missing."
        )
