"""Residual tests: definitions, statsmodels, level and power, and every refusal."""

import numpy as np
import pytest
import scipy
from statsmodels.stats.diagnostic import acorr_ljungbox
from systems import random_innovation

from identification import compare, residual_tests, subspace_id
from identification.evidence import error_whiteness
from identification.residuals import whiteness
from realization import InnovationSSM, LinearSSM, UnstableModelError, simulate


def direct_term(p, m=1):
    """Return the model y = D u + e with D = 0: its residuals are the outputs themselves."""
    return LinearSSM(np.zeros((0, 0)), np.zeros((0, m)), np.zeros((p, 0)), np.zeros((p, m)))


@pytest.mark.parametrize("seed", range(3))
def test_ljung_box_is_that_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    e = scipy.signal.lfilter([1.0, 0.2 * seed], [1.0], rng.standard_normal(300))
    tests = residual_tests(direct_term(1, 0), e, lags=12)
    table = acorr_ljungbox(e, lags=[12])
    univariate = 302 / 300  # T (T + 2) instead of Hosking's T^2
    assert tests.ljung_box * univariate == pytest.approx(table["lb_stat"].iloc[0], rel=1e-10)
    wanted = scipy.stats.chi2.sf(tests.ljung_box, 12)
    assert tests.ljung_box_p_value == pytest.approx(wanted, rel=1e-8)


def test_multivariate_statistic_by_brute_force():
    rng = np.random.default_rng(4)
    e = rng.standard_normal((200, 2)) @ np.array([[1.0, 0.5], [0.0, 100.0]])
    lags, T = 7, 200
    d = e - e.mean(axis=0)
    C = [sum(np.outer(d[t + k], d[t]) for t in range(T - k)) / T for k in range(lags + 1)]
    inverse = np.linalg.inv(C[0])
    wanted = T**2 * sum(
        np.trace(C[k].T @ inverse @ C[k] @ inverse) / (T - k) for k in range(1, lags + 1)
    )
    tests = residual_tests(direct_term(2, 0), e, lags=lags)
    assert tests.ljung_box == pytest.approx(wanted, rel=1e-10)
    assert tests.ljung_box_p_value == pytest.approx(scipy.stats.chi2.sf(wanted, 4 * lags), rel=1e-8)
    spread = np.sqrt(np.diag(C[0]))
    assert np.allclose(tests.autocorrelation, np.array(C) / np.outer(spread, spread), atol=1e-12)
    assert tests.cross_correlation.shape == (2 * lags + 1, 2, 0)


def test_statistic_does_not_depend_on_the_coordinates_of_the_output():
    rng = np.random.default_rng(5)
    e = rng.standard_normal((300, 3))
    M = rng.standard_normal((3, 3)) @ np.diag([1.0, 1e3, 1e-3])
    model = direct_term(3, 0)
    mixed = residual_tests(model, e @ M.T).ljung_box
    assert mixed == pytest.approx(residual_tests(model, e).ljung_box, rel=1e-6)


def test_cross_correlation_by_brute_force():
    rng = np.random.default_rng(6)
    T, lags = 150, 5
    e, u = rng.standard_normal((T, 2)), rng.standard_normal((T, 3))
    tests = residual_tests(direct_term(2, 3), e, u, lags=lags)
    d, v = e - e.mean(axis=0), u - u.mean(axis=0)
    scale = np.outer(d.std(axis=0), v.std(axis=0))
    for k in range(-lags, lags + 1):
        total = sum(np.outer(d[t + k], v[t]) for t in range(T) if 0 <= t + k < T)
        assert np.allclose(tests.cross_correlation[lags + k], total / T / scale, atol=1e-12)


def test_band_of_coloured_inputs_is_the_standard_deviation():
    """The sum over all lags of r_ee r_uu over T, for AR(1) signals with known correlations."""
    rng = np.random.default_rng(7)
    T, a, b, lags = 40_000, 0.8, 0.6, 60
    e = scipy.signal.lfilter([1.0], [1.0, -a], rng.standard_normal(T))
    u = scipy.signal.lfilter([1.0], [1.0, -b], rng.standard_normal(T))
    tests = residual_tests(direct_term(1), e, u, lags=lags)
    deviation = np.sqrt((1 + a * b) / (1 - a * b) / T)
    quantile = scipy.special.ndtri(0.5 + 0.5 * 0.99 ** (1 / (lags + 1)))
    # the sums of 2 lags + 1 products of sample correlations: relative error O((lags / T)^1/2)
    assert tests.cross_correlation_band[0, 0] == pytest.approx(quantile * deviation, rel=0.1)


def test_residuals_are_prediction_errors_of_every_run():
    rng = np.random.default_rng(8)
    model = random_innovation(rng, 2, 1, 2)
    us = [rng.standard_normal((60, 1)), rng.standard_normal((90, 1))]
    ys = [simulate(model, u, noise=True, rng=rng).y for u in us]
    tests = residual_tests(model, ys, us, lags=10)
    assert [run.shape for run in tests.residuals] == [(60, 2), (90, 2)]
    predicted = compare(model, ys, us, horizon=1).y_hat[0]
    for y, y_hat, e in zip(ys, predicted, tests.residuals, strict=True):
        assert np.array_equal(e, y - y_hat)


def test_offsets_of_a_result_are_applied():
    rng = np.random.default_rng(9)
    plant = random_innovation(rng, 2, 1, 1, noise=0.1)
    u = 5.0 + rng.standard_normal((400, 1))
    y = 100.0 + simulate(plant, u, noise=True, rng=rng).y
    result = subspace_id(y, u, 2, method="cva")
    residuals = residual_tests(result, y, u).residuals[0]
    assert abs(residuals.mean()) < 4 * residuals.std() / np.sqrt(400) + 0.05 * residuals.std()


def binomial_bounds(runs, confidence):
    """Return 4-sigma bounds of a count of passes with this probability."""
    spread = 4 * np.sqrt(runs * confidence * (1 - confidence))
    return runs * confidence - spread, min(runs * confidence + spread, runs)


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_a_perfect_model_passes_as_often_as_told(confidence):
    """White residuals, coloured inputs: T = 800, 12 lags, 200 records; binomial bounds."""
    T, runs = 800, 200
    white = free = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        e = rng.standard_normal((T, 2)) @ np.array([[1.0, 0.6], [0.0, 1.0]])
        u = scipy.signal.lfilter([1.0], [1.0, -0.7], rng.standard_normal((T, 1)), axis=0)
        tests = residual_tests(direct_term(2), e, u, lags=12, confidence=confidence)
        white += tests.whiteness_ok
        free += tests.independence_ok
    low, high = binomial_bounds(runs, confidence)
    assert low <= white <= high
    # the band holds neighbouring, correlated lags at once as if they were independent: at least
    # the level, up to all of them
    assert low <= free


def test_power_against_what_a_model_missed():
    """A lag-one correlation of 0.3 (15 standard deviations) and a missed input are found."""
    T = 2500
    rng = np.random.default_rng(10)
    u, e = rng.standard_normal((2, T))
    coloured = scipy.signal.lfilter([1.0], [1.0, -0.3], e)
    tests = residual_tests(direct_term(1), coloured, u)
    assert not tests.whiteness_ok
    assert tests.independence_ok
    missed = residual_tests(direct_term(1), e + 0.3 * np.roll(u, 2), u)
    assert not missed.independence_ok
    assert not missed.ok
    lags = 25
    assert np.argmax(np.abs(missed.cross_correlation[:, 0, 0])) == lags + 2
    feedback = residual_tests(direct_term(1), e, np.roll(e, 3))
    assert feedback.independence_ok
    assert np.argmax(np.abs(feedback.cross_correlation[:, 0, 0])) == lags - 3


def test_verdict_is_that_of_the_numbers():
    rng = np.random.default_rng(11)
    tests = residual_tests(direct_term(1), rng.standard_normal(300), rng.standard_normal(300))
    assert tests.whiteness_ok == (tests.ljung_box_p_value >= 0.01)
    inside = (np.abs(tests.cross_correlation[25:]) <= tests.cross_correlation_band).all()
    assert tests.independence_ok == inside
    assert tests.ok == (tests.whiteness_ok and tests.independence_ok)
    quantile = scipy.special.ndtri(0.5 + 0.5 * 0.99 ** (1 / 25))
    assert tests.autocorrelation_band == pytest.approx(quantile / np.sqrt(300))


def test_words():
    rng = np.random.default_rng(12)
    u, e = rng.standard_normal((2, 400))
    good = str(residual_tests(direct_term(1), e, u, lags=9))
    assert "whiteness of the residuals, lags 1..9: pass (Ljung-Box" in good
    assert "independence of past inputs, lags 0..9: pass (largest correlation" in good
    bad = str(residual_tests(direct_term(1), np.cumsum(e) + u, u, confidence=0.95))
    assert "lags 1..25: FAIL" in bad
    assert "FAIL" in bad.splitlines()[1]
    assert "of its 95 % band" in bad
    alone = residual_tests(direct_term(1, 0), e)
    assert len(str(alone).splitlines()) == 1
    assert alone.independence_ok
    assert (alone.output_names, alone.input_names) == (("y",), ())


def test_silence_passes():
    tests = residual_tests(direct_term(1), np.zeros(50), np.zeros(50))
    assert tests.ok
    assert (tests.ljung_box, tests.ljung_box_p_value) == (0.0, 1.0)


def test_a_copied_output_says_nothing_new():
    e = np.random.default_rng(13).standard_normal(300)
    once = residual_tests(direct_term(1, 0), e)
    twice = residual_tests(direct_term(2, 0), np.column_stack([e, -3 * e]))
    assert twice.ljung_box == pytest.approx(once.ljung_box, rel=1e-8)
    assert twice.ljung_box_p_value == pytest.approx(once.ljung_box_p_value, rel=1e-6)


UNSTABLE = InnovationSSM([[1.5]], [[1.0]], [[0.0]], [[1.0]])


@pytest.mark.parametrize(
    ("model", "y", "options", "error", "message"),
    [
        (3, np.zeros(50), {}, TypeError, "`result` must be a IdentificationResult or .*; got int"),
        (direct_term(2, 0), np.zeros(50), {}, ValueError, "`result` has 2 outputs and 0 inputs"),
        (direct_term(1, 0), np.zeros(25), {}, ValueError, "`lags` = 25 needs longer runs; .* 25 s"),
        (direct_term(1, 0), [np.zeros(90), np.zeros(9)], {}, ValueError, "the shortest has 9"),
        (direct_term(1, 0), np.zeros(50), {"lags": 0}, ValueError, "`lags` must be at least 1"),
        (direct_term(1, 0), np.zeros(50), {"lags": 2.0}, TypeError, "`lags` must be an integer"),
        (
            direct_term(1, 0),
            np.zeros(50),
            {"confidence": 1},
            ValueError,
            "`confidence` must be finite and",
        ),
        (direct_term(1, 0), np.full(50, np.nan), {}, ValueError, "missing value"),
        (UNSTABLE, np.ones(99), {}, UnstableModelError, "one-step prediction of `result` is unst"),
    ],
)
def test_refusals(model, y, options, error, message):
    with pytest.raises(error, match=message):
        residual_tests(model, y, **options)


def test_whiteness_of_the_record_is_that_of_the_tests():
    rng = np.random.default_rng(11)
    plant, u = random_innovation(rng, 2, 1, 2), rng.standard_normal((500, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    result = subspace_id(y, u, 2, method="cva", past=5)
    assert result.whiteness == pytest.approx(residual_tests(result, y, u).ljung_box_p_value)
    parts = [y[:250], y[250:], y[:20]], [u[:250], u[250:], u[:20]]
    result = subspace_id(*parts, 2, method="cva", past=5)
    short = residual_tests(result, *parts, lags=19)
    assert result.whiteness == pytest.approx(short.ljung_box_p_value)


def test_whiteness_where_nothing_can_be_tested():
    assert whiteness([np.ones((1, 1)), np.ones((9, 1))]) is None
    assert whiteness([np.array([[1.0], [np.nan], [2.0]])]) is None
    assert whiteness([np.ones((9, 2))]) == 1.0  # nothing but an offset
    y = np.arange(9.0)[:, np.newaxis]
    assert error_whiteness([y], [y * (1 + 1e-15)]) is None  # rounding
    assert error_whiteness([y], [y * (1 + 1e-6)]) is not None
