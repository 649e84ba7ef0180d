from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_gaussian import JointGaussian, with_gaps
from processes import random_process

from identification import em, pem, stochastic_id, subspace_id
from identification.expectation import expected_sums, interior_form
from identification.expectation_maximization import _Point, _rises
from realization import (
    AccuracyError,
    InnovationSSM,
    LinearSSM,
    load,
    log_likelihood,
    markov_parameters,
    poles,
    save,
    simulate,
)


def likelihood(result, y, u=None) -> float:
    """Return the log-likelihood of the model of a result, run by run, by conditioning alone."""
    runs, inputs = (y, u) if isinstance(y, list) else ([y], [u])
    total = 0.0
    for run, drive, x0 in zip(runs, inputs or [None] * len(runs), result.x0, strict=True):
        deviation = None if drive is None else drive - result.offset[1]
        model = dataclasses.replace(result.model, x0=x0)
        total += log_likelihood(model, run - result.offset[0], deviation)
    return total


def without_inputs(model: InnovationSSM) -> InnovationSSM:
    return InnovationSSM(model.A, model.C, model.K, model.Re)


# --- the likelihood ---------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 3),
    m=st.integers(0, 2),
    p=st.integers(1, 3),
    gaps=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_the_likelihood_is_that_of_the_model_and_never_falls(n, m, p, gaps, seed):
    rng = np.random.default_rng(seed)
    start = dataclasses.replace(random_process(rng, n, p, m), x0=None)
    truth = random_process(rng, n, p, m)
    runs, inputs = [], []
    for T in (60, 45):
        u = rng.standard_normal((T, m))
        y = simulate(truth, u, noise=True, rng=rng).y
        runs.append(with_gaps(rng, y) if gaps else y)
        inputs.append(u)
    result = em(start, runs, inputs if m else None, max_iterations=8)
    history = result.log_likelihood
    assert (np.diff(history) > 0).all()
    assert history.size <= 9
    begin = sum(log_likelihood(start, y, u) for y, u in zip(runs, inputs, strict=True))
    assert abs(history[0] - begin) <= 1e-9 * abs(begin)
    assert abs(history[-1] - likelihood(result, runs, inputs)) <= 1e-9 * abs(history[-1])
    F = result.model.A - result.model.K @ result.model.C
    assert np.abs(np.linalg.eigvals(F)).max(initial=0.0) < 1


def test_the_likelihood_is_that_of_the_joint_gaussian():
    rng = np.random.default_rng(1)
    truth = random_process(rng, 2, 2, 1)
    u = rng.standard_normal((40, 1))
    y = with_gaps(rng, simulate(truth, u, noise=True, rng=rng).y)
    result = em(dataclasses.replace(truth, x0=None), y, u, max_iterations=5)
    model = dataclasses.replace(result.model, x0=result.x0[0])
    assert abs(JointGaussian(model, 40, u).log_density(y) - result.log_likelihood[-1]) < 1e-9


def test_order_zero_is_a_mean_and_a_covariance():
    rng = np.random.default_rng(2)
    y = rng.standard_normal((200, 2)) @ [[1.0, 0.4], [0.0, 0.5]] + [3.0, -1.0]
    empty = np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((0, 2))
    result = em(InnovationSSM(*empty, np.eye(2)), y, offset="estimate", tolerance=1e-9)
    np.testing.assert_allclose(result.offset[0], y.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(result.model.Re, np.cov(y.T, bias=True), rtol=1e-6)


# --- the optimum ------------------------------------------------------------------------------


def scalar_record(seed: int, T: int = 200):
    """Return a scalar process and a record of it with a third of the samples missing."""
    rng = np.random.default_rng(seed)
    process = InnovationSSM([[0.85]], [[1.0]], [[0.6]], [[1.3]])
    y = simulate(process, steps=T, noise=True, rng=rng).y
    y[rng.random(T) < 1 / 3] = np.nan
    return process, y


def test_the_fixed_point_is_the_maximum_of_the_joint_gaussian():
    process, y = scalar_record(4, 60)
    result = em(process, y, tolerance=1e-9, max_iterations=2000)

    def cost(theta):
        a, k, log_re, x0 = theta
        if not abs(a - k) < 1:
            return 1e6
        model = InnovationSSM([[a]], [[1.0]], [[k]], [[np.exp(log_re)]], x0=[x0])
        return -JointGaussian(model, 60, np.zeros((60, 0))).log_density(y)

    options = {"xatol": 1e-6, "fatol": 1e-9, "maxfev": 2000, "maxiter": 2000}
    direct = scipy.optimize.minimize(
        cost, [0.85, 0.6, 0.3, 0.0], method="Nelder-Mead", options=options
    )
    assert direct.success
    found = result.log_likelihood[-1]
    assert found <= -direct.fun + 1e-8
    assert found > -direct.fun - 0.1 / 60  # the covariance of the first state is held in a step
    c = result.model.C.item()
    parameters = [
        result.model.A.item(),
        c * result.model.K.item(),
        np.log(result.model.Re.item()),
        c * result.x0[0].item(),
    ]
    np.testing.assert_allclose(parameters, direct.x, atol=0.02)


def test_agrees_with_another_library_on_a_series_with_gaps():
    arima = pytest.importorskip("statsmodels.tsa.arima.model")
    _, y = scalar_record(5, 1000)
    result = em(stochastic_id(y[np.isfinite(y).ravel()], 1), y, offset="none", tolerance=1e-7)
    fit = arima.ARIMA(y.ravel(), order=(1, 0, 1), trend="n").fit()
    a, theta, variance = fit.params
    model = result.model
    # the other library starts in the stationary state: estimates differ by O(1/T), a small part
    # of the standard deviation, which is O(1/sqrt(T))
    deviations = fit.bse
    assert abs(model.A.item() - a) < 0.1 * deviations[0]
    assert abs((model.C @ model.K).item() - (a + theta)) < 0.2 * deviations[1]
    assert abs(model.Re.item() - variance) < 0.2 * deviations[2]


@pytest.mark.parametrize(("n", "m", "p"), [(1, 0, 1), (2, 1, 2), (3, 0, 2)])
def test_complete_records_have_the_optimum_of_pem(n, m, p):
    rng = np.random.default_rng(10 * n + p)
    truth = random_process(rng, n, p, m)
    u = rng.standard_normal((500, m))
    y = simulate(truth, u, noise=True, rng=rng).y
    inputs = u if m else None
    start = subspace_id(y, inputs, n, method="cva")
    climbed = em(start, y, inputs, tolerance=1e-4, max_iterations=500)
    refined = pem(climbed, y, inputs)
    gap = likelihood(refined, y, inputs) - climbed.log_likelihood[-1]
    assert -0.1 < gap < 0.1  # a fifth of the loss of one parameter that is one deviation off
    stay = em(refined, y, inputs)
    assert stay.log_likelihood[-1] - stay.log_likelihood[0] < 0.1


def test_estimates_are_as_likely_as_the_truth_allows():
    # Wilks: twice the gain over the truth is chi-square with d degrees of freedom
    rng = np.random.default_rng(8)
    truth = dataclasses.replace(random_process(rng, 2, 2, 1), x0=None)
    u = rng.standard_normal((3000, 1))
    y = simulate(truth, u, noise=True, rng=rng).y
    y[rng.random(y.shape) < 1 / 3] = np.nan
    result = em(truth, y, u, tolerance=1e-4, max_iterations=500)
    gain = result.log_likelihood[-1] - result.log_likelihood[0]
    d = 2 * 2 * 2 + 1 * (2 + 2) + 3 + 2
    assert 0 < gain < d / 2 + 5 * np.sqrt(d / 2)
    error = markov_parameters(result.model, 8) - markov_parameters(truth, 8)
    variance = np.trace(truth.Re) / (3000 * 2 / 3)  # of one regression coefficient
    assert np.abs(error).max() < 5 * np.sqrt(d * variance)


# --- what it does with the start and the data -------------------------------------------------


def test_first_step_does_not_depend_on_coordinates_or_units():
    rng = np.random.default_rng(4)
    truth = random_process(rng, 3, 2, 1)
    u = rng.standard_normal((150, 1))
    y = with_gaps(rng, simulate(truth, u, noise=True, rng=rng).y)
    start = dataclasses.replace(random_process(rng, 3, 2, 1), x0=None)
    T = rng.standard_normal((3, 3))
    units = np.array([1e5, 1e-3])
    moved = InnovationSSM(
        np.linalg.solve(T, start.A @ T),
        units[:, None] * (start.C @ T),
        np.linalg.solve(T, start.K) / units,
        start.Re * np.outer(units, units),
        B=np.linalg.solve(T, start.B) / 10,
        D=units[:, None] * start.D / 10,
    )
    plain = em(start, y, u, max_iterations=1)
    other = em(moved, y * units, 10 * u, max_iterations=1)
    seen = (~np.isnan(y)).sum(axis=0)
    np.testing.assert_allclose(
        other.log_likelihood + seen @ np.log(units), plain.log_likelihood, rtol=1e-9
    )
    np.testing.assert_allclose(
        markov_parameters(other.model, 6) / units[:, None] * 10,
        markov_parameters(plain.model, 6),
        rtol=0,
        atol=1e-7,
    )


def test_a_gaussian_start_is_its_innovations_form():
    rng = np.random.default_rng(6)
    process = without_inputs(random_process(rng, 2, 1))
    y = simulate(process, steps=100, noise=True, rng=rng).y
    plain = em(process, y, max_iterations=3)
    other = em(interior_form(process)[0], y, max_iterations=3)
    np.testing.assert_allclose(other.log_likelihood, plain.log_likelihood, rtol=1e-6)


def test_feedthrough_stays_zero_unless_asked_for():
    rng = np.random.default_rng(9)
    truth = InnovationSSM([[0.7]], [[1.0]], [[0.4]], [[0.1]], B=[[1.0]], D=[[0.5]])
    u = rng.standard_normal((300, 1))
    y = simulate(truth, u, noise=True, rng=rng).y
    y[::4] = np.nan
    start = dataclasses.replace(truth, D=[[0.0]])
    kept, free = em(start, y, u), em(start, y, u, feedthrough=True)
    removed = em(truth, y, u, feedthrough=False)
    assert kept.model.D.item() == removed.model.D.item() == 0.0
    assert (np.diff(kept.log_likelihood) > 0).all()
    assert abs(free.model.D.item() - 0.5) < 5 * np.sqrt(0.1 / 225)
    assert free.log_likelihood[-1] > kept.log_likelihood[-1] + 10


def test_offsets_are_refined_as_the_start_asks():
    rng = np.random.default_rng(12)
    truth = InnovationSSM([[0.6]], [[1.0]], [[0.4]], [[1.0]], B=[[1.0]])
    u = rng.standard_normal((800, 1)) + 5.0
    y = simulate(truth, u - 5.0, noise=True, rng=rng).y + 20.0
    start = subspace_id(y[:150], u[:150], 1)
    y[rng.random(800) < 0.3] = np.nan
    refined, held = em(start, y, u), em(start, y, u, offset="none")
    np.testing.assert_array_equal(held.offset[0], start.offset[0])
    np.testing.assert_array_equal(refined.offset[1], start.offset[1])
    # the offset of y that belongs to u = 5
    static = refined.model.D + refined.model.C @ np.linalg.solve(
        np.eye(1) - refined.model.A, refined.model.B
    )
    at_five = refined.offset[0] + static @ (5.0 - refined.offset[1])
    noise_gain = (1 + 0.4 / (1 - 0.6)) ** 2  # spectral density of the noise at frequency zero
    assert abs(at_five.item() - 20.0) < 5 * np.sqrt(noise_gain / (0.7 * 800))
    assert refined.log_likelihood[-1] > held.log_likelihood[-1]


def test_initial_states_of_the_start_are_used_for_as_many_runs():
    rng = np.random.default_rng(13)
    process = without_inputs(random_process(rng, 2, 1))
    y = [simulate(process, steps=80, noise=True, x0=10 * np.ones(2), rng=k).y for k in range(2)]
    start = stochastic_id(y, 2, offset="none")
    result = em(start, y, max_iterations=1)
    assert abs(result.log_likelihood[0] - likelihood(start, y)) < 1e-8 * abs(
        result.log_likelihood[0]
    )
    fresh = em(start, y[0], max_iterations=1)  # another number of runs: from rest
    at_rest = log_likelihood(start.model, y[0])
    assert abs(fresh.log_likelihood[0] - at_rest) < 1e-8 * abs(at_rest)


def test_result_holds_the_evidence_and_can_be_saved(tmp_path):
    _, y = scalar_record(14)
    start = stochastic_id(y[np.isfinite(y).ravel()], 1, dt=0.5)
    result = em(start, y)
    assert result.method == "em"
    assert result.dt == 0.5
    assert result.options["iterations"] == result.log_likelihood.size - 1
    assert result.options["criterion"] == "given"
    assert result.order_table is start.order_table
    assert result.n_samples == 200
    assert result.warnings == ()
    assert f"after {result.log_likelihood.size - 1} steps" in result.summary()
    assert not result.log_likelihood.flags.writeable
    error = y - result.predict(y, x0=result.x0[0])
    spread = y - np.nanmean(y)
    fit = 100 * (1 - np.sqrt(np.nansum(error**2) / np.nansum(spread**2)))
    np.testing.assert_allclose(result.fits["one-step prediction"], fit)
    save(result, tmp_path / "em.npz")
    np.testing.assert_array_equal(load(tmp_path / "em.npz").log_likelihood, result.log_likelihood)
    ahead = result.forecast(y, steps=3)
    assert np.isfinite(ahead.mean).all()


def test_early_stop_and_unstable_models_are_reported(capsys):
    process, y = scalar_record(15)
    result = em(process, y, max_iterations=2, tolerance=1e-12, progress=True)
    assert result.log_likelihood.size == 3
    assert "raise max_iterations" in result.warnings[0]
    assert "em: 100%" in capsys.readouterr().err
    rng = np.random.default_rng(16)
    growing = InnovationSSM([[1.02]], [[1.0]], [[0.5]], [[1.0]])
    drift = simulate(growing, steps=150, noise=True, rng=rng).y
    drift[50:60] = np.nan
    result = em(growing, drift)
    assert any("A is unstable" in text for text in result.warnings)
    assert abs(poles(result.model)[0] - 1.02) < 0.01


# --- refusals ---------------------------------------------------------------------------------

PROCESS = InnovationSSM([[0.5]], [[1.0]], [[0.3]], [[1.0]], B=[[1.0]])


@pytest.mark.parametrize(
    ("model", "options", "error", "match"),
    [
        (LinearSSM([[0.5]], [[1.0]], [[1.0]]), {}, TypeError, "`model` must be a Ident.*got Lin"),
        (dataclasses.replace(PROCESS, dt=0.0, A=[[-1.0]]), {}, ValueError, "discrete-time model"),
        (dataclasses.replace(PROCESS, A=[[0.5j]]), {}, TypeError, "`model` must be real"),
        (dataclasses.replace(PROCESS, Re=[[0.0]]), {}, ValueError, "must be positive definite"),
        (without_inputs(PROCESS), {}, ValueError, "1 output and 0 inputs; the data have 1 and 1"),
        (PROCESS, {"offset": "mean"}, ValueError, "`offset` must be one of"),
        (PROCESS, {"tolerance": 0.0}, ValueError, "`tolerance` must be"),
        (PROCESS, {"max_iterations": 0}, ValueError, "`max_iterations` must be at least 1"),
    ],
)
def test_refused_calls(model, options, error, match):
    rng = np.random.default_rng(0)
    with pytest.raises(error, match=match):
        em(model, rng.standard_normal(50), rng.standard_normal(50), **options)


def test_refused_data():
    rng = np.random.default_rng(0)
    y, u = rng.standard_normal((50, 1)), rng.standard_normal((50, 1))
    with pytest.raises(ValueError, match="output 'y' is never observed"):
        em(PROCESS, np.full((50, 1), np.nan), u)
    with pytest.raises(ValueError, match=r"7 parameters .* more than 7 observed entries; got 5"):
        em(PROCESS, y[:5], u[:5])
    with pytest.raises(ValueError, match=r"missing value \(NaN\)"):
        em(PROCESS, y, np.where(np.arange(50)[:, None] == 3, np.nan, u))
    with pytest.raises(AccuracyError, match="linearly dependent over the record"):
        em(PROCESS, y, np.zeros((50, 1)))
    bilinear = dataclasses.replace(subspace_id(y, u, 1), model=LinearSSM([[0.5]], [[1.0]], [[1.0]]))
    with pytest.raises(TypeError, match=r"`model.model` must be a InnovationSSM"):
        em(bilinear, y, u)


def test_a_fall_of_the_likelihood_is_an_error():
    y = np.random.default_rng(0).standard_normal((50, 1))
    process = without_inputs(PROCESS)
    sums = expected_sums(process, np.zeros((1, 1)), (y,), (np.zeros((50, 0)),))
    old = _Point(process, np.zeros((1, 1)), np.zeros(1), sums)
    for fall, rises in ((-1.0, True), (0.5, False)):
        lower = dataclasses.replace(sums, log_likelihood=sums.log_likelihood - fall)
        assert _rises(old, old._replace(sums=lower)) is rises
    lower = dataclasses.replace(sums, log_likelihood=sums.log_likelihood - 5.0)
    with pytest.raises(AccuracyError, match="lowered the log-likelihood by 5"):
        _rises(old, old._replace(sums=lower))
