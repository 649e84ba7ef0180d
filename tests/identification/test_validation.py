"""fit_percent and compare: definitions, brute force, initial states, and every refusal."""

import numpy as np
import pytest
from systems import random_innovation, random_linear

from identification import Experiments, compare, fit_percent, subspace_id
from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    innovation_form,
    predict,
    simulate,
)

EPS = np.finfo(float).eps


def test_fit_is_what_it_says():
    rng = np.random.default_rng(0)
    y, y_hat = rng.standard_normal((50, 3)), rng.standard_normal((50, 3))
    fit = fit_percent(y, y_hat)
    for k in range(3):
        spread = np.linalg.norm(y[:, k] - y[:, k].mean())
        wanted = 100 * (1 - np.linalg.norm(y[:, k] - y_hat[:, k]) / spread)
        assert fit[k] == pytest.approx(wanted, rel=1e-12)


def test_fit_of_the_extremes():
    y = np.array([1.0, 2.0, 6.0])
    assert fit_percent(y, y)[0] == 100.0
    assert fit_percent(y, np.full(3, 3.0))[0] == pytest.approx(0.0, abs=100 * EPS)
    assert fit_percent(y, 2 * y.mean() - y)[0] == pytest.approx(-100.0)
    constant = np.ones(3)
    assert fit_percent(constant, constant)[0] == 100.0
    assert fit_percent(constant, y)[0] == -np.inf


def test_fit_does_not_depend_on_units():
    rng = np.random.default_rng(1)
    y, y_hat = rng.standard_normal((50, 2)), rng.standard_normal((50, 2))
    scale, shift = np.array([1e6, 1e-6]), np.array([1e6, 3e-6])
    scaled = fit_percent(y * scale + shift, y_hat * scale + shift)
    assert np.allclose(scaled, fit_percent(y, y_hat), rtol=1e-9)


def test_fit_leaves_missing_samples_out():
    rng = np.random.default_rng(2)
    y, y_hat = rng.standard_normal((50, 2)), rng.standard_normal((50, 2))
    gaps, holes = y.copy(), y_hat.copy()
    gaps[3, 0], holes[[7, 9], 0] = np.nan, np.nan
    keep = np.delete(np.arange(50), [3, 7, 9])
    wanted = [fit_percent(y[keep, 0], y_hat[keep, 0])[0], fit_percent(y[:, 1], y_hat[:, 1])[0]]
    assert np.allclose(fit_percent(gaps, holes), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("y", "y_hat", "message"),
    [
        (np.ones((3, 1)), np.ones((4, 1)), r"agree in their shape \(T, p\); got \(3, 1\) and \(4"),
        (np.ones((2, 3, 1)), np.ones((2, 3, 1)), r"agree in their shape \(T, p\)"),
        (np.full((3, 1), np.nan), np.ones((3, 1)), "output 0 has no sample to compare"),
        (np.ones((0, 1)), np.ones((0, 1)), "output 0 has no sample to compare"),
        (np.full((3, 1), np.inf), np.ones((3, 1)), "`y` must be finite; found inf"),
    ],
)
def test_fit_refuses(y, y_hat, message):
    with pytest.raises(ValueError, match=message):
        fit_percent(y, y_hat)


@pytest.mark.parametrize(("n", "m", "p"), [(0, 1, 1), (1, 0, 1), (2, 1, 3), (4, 2, 2)])
def test_the_initial_state_is_fitted(n, m, p):
    """A noise-free record from any initial state is simulated exactly."""
    rng = np.random.default_rng(n + 10 * m + 100 * p)
    model = random_linear(rng, n, m, p)
    u = rng.standard_normal((80, m))
    x0 = 5 * rng.standard_normal(n)
    y = simulate(model, u if m else None, steps=None if m else 80, x0=x0).y
    comparison = compare(model, y, u if m else None)
    assert comparison.fits.shape == (1, p)
    assert (comparison.fits > 100 - 1e-6).all()
    scale = np.abs(y).max(initial=1.0)
    assert np.allclose(comparison.y_hat[0][0], y, rtol=0, atol=1e-10 * scale)


def test_horizons_against_brute_force():
    """The initial state is that of least squares over all the rows; then predict is run."""
    rng = np.random.default_rng(5)
    model = random_innovation(rng, 2, 1, 2)
    u = rng.standard_normal((60, 1))
    y = simulate(model, u, x0=rng.standard_normal(2), noise=True, rng=rng).y
    for horizon in (np.inf, 1, 3):
        found = compare(model, y, u, horizon=horizon).y_hat[0][0]
        criterion = horizon if np.isinf(horizon) else 1
        rest = predict(model, y, u, horizon=criterion, x0=np.zeros(2))
        columns = [predict(model, y, u, horizon=criterion, x0=e) - rest for e in np.eye(2)]
        weights = 1 / y.std(axis=0)
        design = np.column_stack([(column * weights).ravel() for column in columns])
        x0 = np.linalg.lstsq(design, ((y - rest) * weights).ravel(), rcond=None)[0]
        wanted = predict(model, y, u, horizon=horizon, x0=x0)
        assert np.allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(y).max())


def test_offsets_of_a_result_are_applied():
    rng = np.random.default_rng(6)
    plant = random_linear(rng, 2, 1, 1)
    u = 3.0 + rng.standard_normal((200, 1))
    y = 50.0 + simulate(plant, u).y
    result = subspace_id(y, u, 2)
    assert result.offset[0][0] != 0
    assert (compare(result, y, u).fits > 100 - 1e-5).all()


def test_experiments_are_fitted_one_by_one_and_judged_together():
    rng = np.random.default_rng(7)
    model = random_linear(rng, 2, 1, 2)
    ys, us = [], []
    for length in (30, 50):
        us.append(rng.standard_normal((length, 1)))
        y = simulate(model, us[-1], x0=rng.standard_normal(2)).y
        ys.append(y + 0.1 * rng.standard_normal(y.shape))
    comparison = compare({"plant": model}, ys, us)
    assert [run.shape for run in comparison.y_hat[0]] == [(30, 2), (50, 2)]
    together = fit_percent(np.vstack(ys), np.vstack(comparison.y_hat[0]))
    assert np.array_equal(comparison.fits[0], together)
    alone = compare(model, ys[1], us[1])
    assert np.allclose(alone.y_hat[0][0], comparison.y_hat[0][1], rtol=0, atol=1e-12)


def test_a_gaussian_model_predicts_as_its_innovation_form():
    model = GaussianSSM([[0.9, 0.1], [0, 0.5]], [[1.0, 1.0]], np.eye(2), [[1.0]])
    y = simulate(model, steps=400, noise=True, rng=0).y
    comparison = compare({"a": model, "b": innovation_form(model)}, y, horizon=1)
    assert comparison.names == ("a", "b")
    assert abs(comparison.fits[0, 0] - comparison.fits[1, 0]) < 0.5
    assert compare(model, y).fits[0, 0] == pytest.approx(0.0, abs=2.0)


def test_a_bilinear_model_takes_part():
    model = BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[1.0]])
    u = np.random.default_rng(0).uniform(-1, 1, (60, 1))
    assert compare(model, simulate(model, u).y, u).fits[0, 0] > 100 - 1e-6


def test_names():
    model, other = LinearSSM([[0.5]], [[1.0]], [[1.0]]), LinearSSM([[0.4]], [[1.0]], [[1.0]])
    u = np.random.default_rng(0).standard_normal(30)
    y = simulate(model, u).y
    result = subspace_id(y, u, 1, offset="none", past=3, future=3, method="cva")
    assert compare(result, y, u).names == ("cva, order 1",)
    assert compare([result, model], y, u).names == ("cva, order 1", "LinearSSM, order 1")
    several = compare((model, other), y, u)
    assert several.names == ("LinearSSM, order 1 (1)", "LinearSSM, order 1 (2)")
    assert several.best == "LinearSSM, order 1 (1)"
    assert compare({1: model, "two": other}, y, u).names == ("1", "two")


@pytest.mark.parametrize(
    ("horizon", "name"),
    [(np.inf, "simulation"), (1, "one-step prediction"), (4, "4-step prediction")],
)
def test_table_names_the_horizon(horizon, name):
    model = LinearSSM([[0.5]], [[1.0]], [[1.0]])
    u = np.random.default_rng(0).standard_normal(30)
    lines = str(compare({"long name": model}, simulate(model, u).y, u, horizon=horizon)).split("\n")
    assert lines[0] == f"fit in %, {name}"
    assert lines[1].split() == ["y", "mean"]
    assert lines[2].split() == ["long", "name", "100.00", "100.00"]


def test_sample_time_and_names_come_from_where_they_are():
    model = LinearSSM([[0.5]], [[1.0]], [[1.0]], dt=0.2)
    u = np.random.default_rng(0).standard_normal(30)
    y = simulate(model, u).y
    assert compare(model, y, u).data.dt == 0.2
    with pytest.raises(ValueError, match=r"has sample time 0\.2; the data have 1\."):
        compare(model, Experiments.from_data(y, u))
    with pytest.raises(ValueError, match=r"model 'b' has sample time 1; the data have 0\.2"):
        compare({"a": model, "b": LinearSSM([[0.5]], [[1.0]], [[1.0]])}, y, u)


STATIC = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)))


@pytest.mark.parametrize(
    ("results", "options", "error", "message"),
    [
        ({}, {}, ValueError, "`results` must hold at least one model; got none"),
        ([], {}, ValueError, "`results` must hold at least one model; got none"),
        (3, {}, TypeError, "`results` must be a IdentificationResult or .*; got int"),
        ([STATIC, "b"], {}, TypeError, r"`results\[1\]` must be a .*; got str"),
        ({"x": np.eye(2)}, {}, TypeError, "`x` must be a .*; got ndarray"),
        (STATIC, {"horizon": 0}, ValueError, "`horizon` must be at least 1; got 0"),
        (STATIC, {"horizon": 2.0}, TypeError, "`horizon` must be an integer; got 2.0"),
        (STATIC, {"horizon": -np.inf}, TypeError, "`horizon` must be an integer; got -inf"),
    ],
)
def test_compare_refuses(results, options, error, message):
    with pytest.raises(error, match=message):
        compare(results, np.zeros(9), np.zeros(9), **options)


def test_channels_must_agree():
    match = "model 'a' has 1 output and 1 input; the data have 2 and 0"
    with pytest.raises(ValueError, match=match):
        compare({"a": STATIC}, np.zeros((9, 2)))
    with pytest.raises(ValueError, match="`dt` must be positive: measured records are samples"):
        compare(LinearSSM([[-1.0]], [[1.0]], [[1.0]], dt=0.0), np.zeros(9), np.zeros(9))


def test_a_model_that_explodes_is_named():
    y = np.random.default_rng(0).standard_normal(200)
    model = InnovationSSM([[1.5]], [[1.0]], [[1.0]], [[1.0]])
    match = r"the simulation of model 'a' is unstable: it grows by .* \(largest modulus 1\.5\)"
    with pytest.raises(UnstableModelError, match=match) as caught:
        compare({"a": model}, y)
    assert caught.value.stability_margin == pytest.approx(-0.5)
    assert np.isfinite(compare({"a": model}, y, horizon=1).fits).all()
    gaussian = GaussianSSM([[1.5]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]])
    assert np.isfinite(compare(gaussian, y, horizon=1).fits).all()
    slow = InnovationSSM([[1.001]], [[1.0]], [[0.0]], [[1.0]])
    assert np.isfinite(compare(slow, y).fits).all()
