"""Experiments: every door that raw data may come through, and everything that is turned away."""

import control
import numpy as np
import pandas as pd
import pytest
import scipy

from identification import Experiments, detrend, split, subspace_id

RNG = np.random.default_rng(0)
Y, U = RNG.standard_normal((60, 2)), RNG.standard_normal((60, 3))


def same(record, y, u):
    """Tell whether a record holds exactly these runs."""
    runs = zip((*record.y, *record.u), (*y, *u), strict=True)
    return all(np.array_equal(have, want) for have, want in runs)


def test_arrays():
    record = Experiments.from_data(Y, U, dt=0.5)
    assert same(record, [Y], [U])
    assert (record.n_outputs, record.n_inputs, record.n_samples, len(record)) == (2, 3, 60, 1)
    assert (record.output_names, record.input_names) == (("y1", "y2"), ("u1", "u2", "u3"))
    assert record.dt == 0.5
    assert repr(record) == (
        "Experiments(1 experiment of 60 samples, outputs ['y1', 'y2'], "
        "inputs ['u1', 'u2', 'u3'], dt=0.5)"
    )


def test_records_are_copies_that_cannot_be_written():
    y = Y.copy()
    record = Experiments.from_data(y, U)
    y[0, 0] = 99.0
    assert record.y[0][0, 0] == Y[0, 0]
    with pytest.raises(ValueError, match="read-only"):
        record.y[0][0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        record.u[0][0, 0] = 1.0


@pytest.mark.parametrize("form", [lambda y: y, list, tuple, lambda y: y.tolist(), pd.Series])
def test_one_dimension_is_one_channel(form):
    record = Experiments.from_data(form(Y[:, 0]), form(U[:, 0]))
    assert same(record, [Y[:, :1]], [U[:, :1]])
    assert (record.output_names, record.input_names) == (("y",), ("u",))


def test_nested_lists_are_one_run():
    assert same(Experiments.from_data(Y.tolist(), U.tolist()), [Y], [U])


def test_no_inputs():
    record = Experiments.from_data(Y)
    assert record.n_inputs == 0
    assert record.u[0].shape == (60, 0)
    assert record.input_names == ()


@pytest.mark.parametrize("kind", [list, tuple])
def test_experiments_of_different_lengths(kind):
    ys, us = kind([Y[:10], Y[10:35], Y[35:]]), kind([U[:10], U[10:35], U[35:]])
    record = Experiments.from_data(ys, us)
    assert same(record, ys, us)
    assert (len(record), record.n_samples) == (3, 60)
    assert same(
        Experiments.from_data([Y[:10, 0], Y[10:, 0]]),
        [Y[:10, :1], Y[10:, :1]],
        [U[:10, :0], U[10:, :0]],
    )


def test_third_axis_is_experiments():
    y, u = Y.reshape(3, 20, 2), U.reshape(3, 20, 3)
    assert same(Experiments.from_data(y, u), list(y), list(u))


def test_data_frames_keep_their_names():
    y = pd.DataFrame(Y, columns=["level", "flow"])
    u = pd.DataFrame(U, columns=["a", "b", 3])
    record = Experiments.from_data(y, u)
    assert same(record, [Y], [U])
    assert (record.output_names, record.input_names) == (("level", "flow"), ("a", "b", "3"))
    several = Experiments.from_data([y[:20], y[20:]], [u[:20], u[20:]])
    assert several.output_names == ("level", "flow")
    assert subspace_id(y, u, 1).output_names == ("level", "flow")


def test_series_bring_their_name():
    first, second = pd.Series(Y[:, 0], name="a"), pd.Series(Y[:, 1], name="b")
    assert Experiments.from_data(first).output_names == ("a",)
    assert Experiments.from_data([first, second]).output_names == ("a",)


def test_time_response_data_bring_everything():
    plant = control.ss([[0.5, 0.1], [0.0, 0.3]], np.eye(2), np.eye(2), np.zeros((2, 2)), 0.2)
    response = control.forced_response(plant, inputs=U[:, :2].T)
    record = Experiments.from_data(response)
    assert same(record, [response.outputs.T], [U[:, :2]])
    assert record.dt == pytest.approx(0.2)
    traces = Experiments.from_data(control.step_response(plant, np.arange(10) * 0.2))
    assert len(traces) == 2
    assert traces.y[0].shape == (10, 2)
    assert np.array_equal(traces.u[1], np.tile([0.0, 1.0], (10, 1)))


def test_time_response_without_inputs():
    response = control.TimeResponseData(np.arange(4.0), np.arange(4.0)[None], issiso=False)
    record = Experiments.from_data(response)
    assert same(record, [np.arange(4.0)[:, None]], [np.zeros((4, 0))])


def test_a_record_is_passed_on():
    record = Experiments.from_data(Y, U, dt=0.5)
    assert Experiments.from_data(record) is record


def test_missing_samples_only_where_they_are_allowed():
    y = Y.copy()
    y[7, 1] = np.nan
    y[9] = np.nan
    match = r"missing value \(NaN\) in 2 of \d+ samples, the first at index 7, channel 1\. .* list"
    with pytest.raises(ValueError, match=match):
        Experiments.from_data(y, U)
    record = Experiments.from_data(y, U, allow_nan=True)
    assert np.isnan(record.y[0]).sum() == 3
    with pytest.raises(
        ValueError, match=r"`y\[0\]` has a missing value \(NaN\) in 2 of \d+ samples"
    ):
        subspace_id(record)
    u = U.copy()
    u[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"`u` has a missing value \(NaN\) in 1 of \d+ samples"):
        Experiments.from_data(Y, u, allow_nan=True)
    with pytest.raises(ValueError, match=r"`y\[1\]` has .* 1 of 4 samples, .* index 2"):
        Experiments.from_data([Y[:5], y[5:9]])


@pytest.mark.parametrize(
    ("y", "u", "options", "error", "message"),
    [
        (Y, U[:59], {}, ValueError, "same number of samples; got 60 and 59"),
        ([Y, Y], [U, U[:9]], {}, ValueError, "samples in experiment 1; got 60 and 9"),
        ([Y, Y], [U], {}, ValueError, "same number of experiments; got 2 and 1"),
        (Y, [U, U], {}, ValueError, "same number of experiments; got 1 and 2"),
        ([Y, Y[:, :1]], None, {}, ValueError, r"same channels in `y`; got \[1, 2\]"),
        ([Y, Y], [U, U[:, :1]], {}, ValueError, r"same channels in `u`; got \[1, 3\]"),
        ([], None, {}, ValueError, "`y` must hold at least one experiment"),
        (Y, [], {}, ValueError, "`u` must hold at least one experiment"),
        (Y[:0], None, {}, ValueError, "`y` has no samples"),
        (Y[:, :0], None, {}, ValueError, r"`y` has no outputs; got shape \(60, 0\)"),
        ([Y[None]], None, {}, ValueError, r"`y\[0\]` must have shape \(T, channels\)"),
        (3.0, None, {}, ValueError, "got a single number"),
        (Y[None, None], None, {}, ValueError, r"must have shape \(T, channels\); got \(1, 1, 60"),
        (Y + 1j, None, {}, TypeError, "must be real; got complex"),
        (np.full((5, 1), "a"), None, {}, TypeError, "`y` must be numeric"),
        ([[1.0, 2.0], [3.0]], None, {}, TypeError, "`y` must be a numeric array"),
        (Y * np.inf, None, {}, ValueError, "`y` must be finite; found inf"),
        (Y, U, {"dt": 0.0}, ValueError, "`dt` must be positive: measured records are samples"),
        (Y, U, {"dt": -1.0}, ValueError, "`dt` must be finite and non-negative; got -1"),
        (Y, U, {"dt": True}, TypeError, "`dt` must be a number"),
    ],
)
def test_wrong_data(y, u, options, error, message):
    with pytest.raises(error, match=message):
        Experiments.from_data(y, u, **options)


def test_columns_in_another_order():
    frame = pd.DataFrame(Y, columns=["a", "b"])
    with pytest.raises(ValueError, match=r"name the channels of `y` alike.*\['a', 'b'\] and"):
        Experiments.from_data([frame, frame[["b", "a"]]])


def test_inputs_given_twice():
    record = Experiments.from_data(Y, U)
    with pytest.raises(ValueError, match="`u` must be left out when `y` is a Experiments"):
        Experiments.from_data(record, U)
    response = control.TimeResponseData(np.arange(60.0), Y.T, issiso=False)
    with pytest.raises(ValueError, match="`u` must be left out when `y` is a TimeResponseData"):
        Experiments.from_data(response, U)


@pytest.mark.parametrize("times", [[0.0], [0.0, 1.0, 3.0]])
def test_unequal_times(times):
    response = control.TimeResponseData(np.array(times), Y[: len(times), :1].T, issiso=False)
    with pytest.raises(ValueError, match="at least two equally spaced times"):
        Experiments.from_data(response)


def test_split_cuts_every_experiment():
    first, second = split([Y[:20], Y[20:]], [U[:20], U[20:]], fraction=0.25, dt=0.1)
    assert same(first, [Y[:5], Y[20:30]], [U[:5], U[20:30]])
    assert same(second, [Y[5:20], Y[30:]], [U[5:20], U[30:]])
    assert first.dt == second.dt == 0.1
    frame = pd.DataFrame(Y, columns=["a", "b"])
    assert split(frame)[1].output_names == ("a", "b")


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, 2.0])
def test_split_wants_a_share(fraction):
    with pytest.raises(ValueError, match="`fraction` must be finite and between 0 and 1"):
        split(Y, fraction=fraction)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_split_leaves_no_part_empty(fraction):
    with pytest.raises(ValueError, match="leaves a part of experiment 1 empty: it has 10 samples"):
        split([Y, Y[:10]], fraction=fraction)


# --- detrend --------------------------------------------------------------------------------------


def test_detrend_takes_out_lines_and_says_which():
    rng = np.random.default_rng(0)
    t = np.arange(50.0)
    y, u = rng.standard_normal((50, 2)), rng.standard_normal((50, 1))
    data, removed = detrend(y + np.outer(t, [0.3, -2.0]) + 7.0, u - 0.1 * t[:, np.newaxis], dt=0.5)
    np.testing.assert_allclose(data.y[0], scipy.signal.detrend(y, axis=0), atol=1e-12)
    np.testing.assert_allclose(data.u[0], scipy.signal.detrend(u, axis=0), atol=1e-12)
    np.testing.assert_allclose(
        data.y[0] + removed.y[0], y + np.outer(t, [0.3, -2.0]) + 7.0, atol=1e-12
    )
    assert np.abs(np.diff(removed.u[0], n=2, axis=0)).max() < 1e-12
    assert data.dt == removed.dt == 0.5
    assert not data.y[0].flags.writeable
    again, nothing = detrend(data)
    np.testing.assert_allclose(again.y[0], data.y[0], atol=1e-13)
    np.testing.assert_allclose(nothing.y[0], 0.0, atol=1e-13)


def test_detrend_leaves_missing_samples_missing():
    t = np.arange(40.0)
    y = np.column_stack([1.0 + 0.5 * t, 3.0 - t])
    y[5:9, 0] = y[20:, 1] = np.nan
    data, removed = detrend(y)
    np.testing.assert_array_equal(np.isnan(data.y[0]), np.isnan(y))
    assert np.nanmax(np.abs(data.y[0])) < 1e-13
    np.testing.assert_allclose(removed.y[0], np.column_stack([1.0 + 0.5 * t, 3.0 - t]), atol=1e-12)


def test_detrend_treats_every_experiment_by_itself():
    runs = [np.full((10, 1), 4.0), np.full((3, 1), -1.0)]
    data, removed = detrend(runs, trend="offset")
    for k, run in enumerate(runs):
        np.testing.assert_array_equal(data.y[k], 0.0)
        np.testing.assert_array_equal(removed.y[k], run)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_detrend_in_any_units(scale):
    y = scale * np.random.default_rng(1).standard_normal(30)
    data, _ = detrend(y)
    np.testing.assert_allclose(
        data.y[0][:, 0], scipy.signal.detrend(y), rtol=0, atol=1e-14 * scale * 30
    )


def test_wrong_calls_of_detrend():
    with pytest.raises(ValueError, match="`trend` must be one of 'linear', 'offset'; got 'cubic'"):
        detrend(np.ones(5), trend="cubic")
    with pytest.raises(
        ValueError, match="channel 'y' of experiment 1 has 1 sample; trend='linear' needs 2"
    ):
        detrend([np.ones(5), np.ones(1)])
    with pytest.raises(ValueError, match="'y2' of experiment 0 has 0 samples; trend='offset'"):
        detrend([[1.0, np.nan], [2.0, np.nan]], trend="offset")
    with pytest.raises(ValueError, match="has no samples"):
        detrend(np.zeros(0))
