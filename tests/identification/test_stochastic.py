from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process
from realdata import daisy

from identification import IdentificationResult, sample_covariances, stochastic_id
from identification.noise_model import kalman_gain
from identification.observability_shift import state_equation
from identification.projections import FactorBlocks
from identification.stochastic import _from_covariances
from realization import (
    InnovationSSM,
    NumericalWarning,
    UnstableModelError,
    autocovariance,
    is_positive_real,
    log_likelihood,
    poles,
    simulate,
    to_covariance,
)

METHODS = ["cva", "covariance", "upc", "pc"]


def record(seed: int, n: int, p: int, steps: int, **kwargs: float):
    """Return a process without inputs and a record of it."""
    rng = np.random.default_rng(seed)
    process = random_process(rng, n, p, **kwargs)
    process = InnovationSSM(process.A, process.C, process.K, process.Re)
    return process, simulate(process, steps=steps + 200, noise=True, rng=rng).y[200:]


def gain_parameters(model: InnovationSSM, count: int) -> np.ndarray:
    """Return C K, C A K, ...: the impulse response to the innovation."""
    return np.array([model.C @ np.linalg.matrix_power(model.A, k) @ model.K for k in range(count)])


def assert_valid(result: IdentificationResult) -> None:
    """Check what every result promises: stable, stable predictor, positive real."""
    model = result.model
    assert np.abs(poles(model)).max(initial=0.0) < 1
    assert np.abs(np.linalg.eigvals(model.A - model.K @ model.C)).max(initial=0.0) < 1
    assert np.linalg.eigvalsh(model.Re)[0] > 0
    assert is_positive_real(to_covariance(model)).ok


# --- sample covariances -----------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    p=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    data=st.data(),
)
def test_sample_covariances_are_the_sums_of_products(seed, p, lengths, data):
    lags = data.draw(st.integers(0, max(lengths) - 1))
    rng = np.random.default_rng(seed)
    runs = [rng.standard_normal((T, p)) + 3.0 for T in lengths]
    mean, total = np.vstack(runs).mean(axis=0), sum(lengths)
    direct = np.zeros((lags + 1, p, p))
    for run in runs:
        e = run - mean
        for k in range(min(lags + 1, len(run))):
            direct[k] += e[k:].T @ e[: len(run) - k] / total
    found = sample_covariances(runs, lags)
    np.testing.assert_allclose(found, direct, rtol=0, atol=1e-14 * max(np.trace(direct[0]), 1e-3))
    np.testing.assert_array_equal(found[0], found[0].T)


def test_sample_covariances_without_removing_the_mean():
    y = np.arange(6.0)
    found = sample_covariances(y, 2, offset="none")
    direct = [np.dot(y[k:], y[: 6 - k]) / 6 for k in range(3)]
    np.testing.assert_allclose(found[:, 0, 0], direct, rtol=1e-14)


def test_the_toeplitz_matrix_of_sample_covariances_is_positive_semidefinite():
    # with divisor T - k in place of T it is not
    _, y = record(3, 3, 2, 30)
    covariances = sample_covariances(y, 25)
    for divisor, sign in ((30, 1), (30 - np.arange(26), -1)):
        scaled = covariances * (30 / np.asarray(divisor)).reshape(-1, 1, 1)
        grid = np.array(
            [[scaled[i - j] if i >= j else scaled[j - i].T for j in range(26)] for i in range(26)]
        )
        toeplitz = grid.transpose(0, 2, 1, 3).reshape(52, 52)
        assert sign * np.linalg.eigvalsh(toeplitz)[0] > -1e-12


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([1.0, 2.0], 2), ValueError, r"`lags` must be less than .* got 2 and 2"),
        (([1.0, 2.0], 1.0), TypeError, "`lags` must be an integer"),
        (([1.0, np.nan], 1), ValueError, r"missing value \(NaN\)"),
        (([1.0, 1j], 1), TypeError, "must be real"),
    ],
)
def test_sample_covariances_refuses(arguments, error, match):
    with pytest.raises(error, match=match):
        sample_covariances(*arguments)
    with pytest.raises(ValueError, match="`offset` must be one of"):
        sample_covariances([1.0, 2.0], 0, offset="mean")


# --- exactness --------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 5), p=st.integers(1, 3))
def test_exact_covariances_are_realized_exactly(seed, n, p):
    process = random_process(np.random.default_rng(seed), n, p)
    covariances = autocovariance(process, 2 * (n + 2) - 1)
    model, found, done = _from_covariances(covariances, n, "residual")
    assert model is not None
    assert found == done == ""
    scale = np.abs(covariances).max()
    np.testing.assert_allclose(
        autocovariance(to_covariance(model), 30),
        autocovariance(to_covariance(process), 30),
        rtol=0,
        atol=1e-7 * scale,
    )


@pytest.mark.parametrize("weight", ["cva", "moesp", "pc"])
@pytest.mark.parametrize(("n", "p"), [(1, 1), (3, 1), (4, 2), (2, 3)])
def test_infinite_data_give_the_dynamics_and_a_gain_with_geometric_bias(weight, n, p):
    # the Toeplitz matrix of the true covariances is the factor of an infinite record
    process = random_process(np.random.default_rng(n + 10 * p), n, p, largest=0.7)
    errors = []
    for past in (6, 12, 40):
        covariances = autocovariance(process, 2 * past - 1)
        blocks = FactorBlocks.from_covariances(covariances, past=past, future=past, n_samples=10**6)
        A, C, gamma, *_ = state_equation(blocks, weight, n, "bic")
        K, Re, said = kalman_gain(blocks, gamma, A, C)
        assert said == ()
        np.testing.assert_allclose(
            np.sort_complex(np.linalg.eigvals(A)), np.sort_complex(poles(process)), atol=1e-6
        )
        model = InnovationSSM(A, C, K, Re)
        errors.append(np.abs(gain_parameters(model, 5) - gain_parameters(process, 5)).max())
    size = np.abs(gain_parameters(process, 5)).max()
    radius = np.abs(np.linalg.eigvals(process.A - process.K @ process.C)).max()
    assert errors[0] < 0.5 * size
    assert errors[1] <= max(errors[0], 1e-6 * size)
    # A - K C to the power past, twice, in a covariance; 1e3 for the norms of the transient
    assert errors[2] <= 1e3 * size * max(radius**80, 1e-9)


def test_units_and_offsets_change_nothing_but_units_and_offsets():
    _, y = record(5, 3, 2, 400)
    units, shift = np.array([1e6, 1e-4]), np.array([3e6, -2.0])
    for method in METHODS:
        plain = stochastic_id(y, 3, method=method)
        moved = stochastic_id(y * units + shift, 3, method=method)
        np.testing.assert_allclose(moved.singular_values, plain.singular_values, rtol=1e-6)
        np.testing.assert_allclose(moved.offset[0], plain.offset[0] * units + shift, rtol=1e-9)
        np.testing.assert_allclose(
            moved.model.Re, plain.model.Re * np.outer(units, units), rtol=1e-6
        )
        np.testing.assert_allclose(
            gain_parameters(moved.model, 8),
            gain_parameters(plain.model, 8) * np.outer(units, 1 / units),
            rtol=1e-5,
        )
        np.testing.assert_allclose(
            moved.predict(y * units + shift), plain.predict(y) * units + shift, rtol=1e-5
        )


def test_the_order_of_experiments_does_not_matter_and_they_never_mix():
    _, y = record(8, 3, 2, 900)
    runs = [y[:400], y[400:520], y[520:]]
    for method in METHODS:
        forward = stochastic_id(runs, 3, method=method, past=5)
        backward = stochastic_id(runs[::-1], 3, method=method, past=5)
        np.testing.assert_allclose(forward.singular_values, backward.singular_values, rtol=1e-9)
        np.testing.assert_allclose(
            gain_parameters(forward.model, 8), gain_parameters(backward.model, 8), atol=1e-8
        )
        assert [x.shape for x in forward.x0] == [(3,)] * 3
        assert forward.n_samples == 900


# --- what every result promises ---------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_model_is_that_of_a_process_with_a_stable_predictor(method):
    for seed in range(12):
        _, y = record(seed, 4, 2, 80, largest=0.98, margin=0.01)
        assert_valid(stochastic_id(y, 4, method=method, past=5))
    rng = np.random.default_rng(0)
    hostile = [
        rng.standard_normal(60).cumsum(),  # not stationary
        np.sin(0.5 * np.arange(80)) + 1e-3 * rng.standard_normal(80),  # nearly deterministic
        np.diff(rng.standard_normal(200)),  # a zero on the unit circle
        np.column_stack([rng.standard_normal(70), rng.standard_normal(70).cumsum()]),
    ]
    for y in hostile:
        for order in (1, 3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NumericalWarning)
                assert_valid(stochastic_id(y, order, method=method, past=4))


def test_covariances_of_no_process_are_repaired_and_the_change_is_reported():
    rng = np.random.default_rng(4)
    white = rng.standard_normal((150, 2))
    y = white[1:] - 0.98 * white[:-1]  # a spectrum that almost touches zero
    found = {
        repair: stochastic_id(y, 2, method="covariance", past=5, repair=repair)
        for repair in ("residual", "white_noise", "shrink")
    }
    for result in found.values():
        assert_valid(result)
        assert len(result.warnings) == 1
        assert "spectral density of the realized covariances falls to -" in result.warnings[0]
    assert "estimated again from residuals" in found["residual"].warnings[0]
    assert "white noise of" in found["white_noise"].warnings[0]
    assert "nonzero lags were multiplied by 0." in found["shrink"].warnings[0]
    covariances = sample_covariances(y, 0)
    variance = {name: to_covariance(result.model).Lambda0 for name, result in found.items()}
    np.testing.assert_allclose(variance["shrink"], covariances[0], rtol=1e-8)  # keeps the variance
    assert np.trace(variance["white_noise"]) > np.trace(covariances[0])


def test_an_unstable_realization_is_made_stable_or_refused():
    for seed in range(40):
        y = np.random.default_rng(seed).standard_normal((60, 2)).cumsum(axis=0)
        result = stochastic_id(y, 4, method="covariance", past=5)
        assert_valid(result)
        if any("of spectral radius" in text for text in result.warnings):
            break
    else:
        pytest.fail("no seed gave an unstable realization")
    with pytest.raises(UnstableModelError, match="realized `A` is not stable"):
        stochastic_id(y, 4, method="covariance", past=5, repair="shrink")


def test_eigenvalues_are_moved_unless_the_process_may_drift():
    y = np.random.default_rng(3).standard_normal(200).cumsum() + 0.5 * np.arange(200)
    moved, kept = stochastic_id(y, 2), stochastic_id(y, 2, stable=False)
    assert any("were moved to 0.9995" in text for text in moved.warnings)
    assert any("A is unstable" in text and "drifts" in text for text in kept.warnings)
    assert np.abs(poles(kept.model)).max() > 1
    F = kept.model.A - kept.model.K @ kept.model.C
    assert np.abs(np.linalg.eigvals(F)).max() < 1
    with pytest.raises(UnstableModelError, match="no stable predictor of order 1 was found"):
        stochastic_id(1.1 ** np.arange(60), 1, stable=False, offset="none")


# --- consistency ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_first_order_autoregression_within_its_asymptotic_deviation(method):
    # y+ = a y + e: no unbiased estimate of a has variance below (1 - a^2) / T; that of the
    # innovation variance is 2 s^4 / T. Five deviations, and as much again for the method.
    a, s2, T = 0.7, 2.0, 20000
    process = InnovationSSM([[a]], [[1.0]], [[a]], [[s2]])
    y = simulate(process, steps=T + 100, noise=True, rng=11).y[100:]
    result = stochastic_id(y, 1, method=method)
    deviation = np.sqrt((1 - a**2) / T)
    assert abs(poles(result.model)[0] - a) < 10 * deviation
    assert abs(gain_parameters(result.model, 1).item() - a) < 10 * deviation
    assert abs(result.model.Re.item() - s2) < 10 * s2 * np.sqrt(2 / T)
    assert abs(result.offset[0].item()) < 5 * np.sqrt(s2 / (1 - a) ** 2 / T)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_errors_fall_with_the_square_root_of_the_record(method):
    errors = np.zeros((2, 20))
    for seed in range(20):
        process, y = record(seed, 2, 1, 32000, largest=0.8)
        exact = gain_parameters(process, 10)
        for k, T in enumerate((2000, 32000)):
            found = stochastic_id(y[:T], 2, method=method, past=10)
            errors[k, seed] = np.linalg.norm(gain_parameters(found.model, 10) - exact)
    ratio = np.median(errors[0]) / np.median(errors[1])
    assert 2 < ratio < 8  # 4 = sqrt(16); a ratio of medians of 20 is known to a factor of 2


def test_model_is_close_to_the_truth_in_likelihood():
    # twice the gain of the fitted model over the true one is chi-square with 2 n p degrees of
    # freedom for maximum likelihood; a consistent subspace method loses a few times as much
    process, y = record(21, 3, 2, 5000)
    for method in METHODS:
        result = stochastic_id(y, 3, method=method)
        gain = log_likelihood(result.model, y - result.offset[0]) - log_likelihood(process, y)
        assert abs(gain) < 10 * 2 * 3 * 2


def test_order_is_found_and_judged_by_the_models_themselves():
    A = np.array([[0.9, 0.4, 0.0], [-0.4, 0.9, 0.0], [0.0, 0.0, -0.6]]) * 0.95
    process = InnovationSSM(A, [[1.0, 0.0, 1.0]], [[0.6], [-0.2], [-0.5]], [[1.0]])
    hits = {"bic": 0, "aic": 0, "svc": 0}
    for seed in range(10):
        y = simulate(process, steps=2000, noise=True, rng=seed).y
        for criterion in hits:
            hits[criterion] += stochastic_id(y, criterion=criterion).n_states == 3
    assert hits["bic"] >= 9
    assert hits["svc"] >= 7
    assert hits["aic"] >= 4  # overfits by design
    table = stochastic_id(y).order_table
    assert table.criterion == "bic"
    assert table.chosen == table.orders[np.argmin(table.bic)]
    fitted = stochastic_id(y, 2)
    parameters = 3 * 2
    measured = np.log(fitted.model.Re.item() / np.var(y)) + parameters * np.log(2000) / 2000
    assert abs(table.bic[2] - measured) < 1e-3  # x0 is fitted on the first 1000 samples only


def test_white_noise_has_order_zero():
    y = np.random.default_rng(3).standard_normal((500, 2)) + np.array([1.0, -1.0])
    for method in METHODS:
        result = stochastic_id(y, method=method)
        assert result.n_states == 0
        np.testing.assert_allclose(result.model.Re, sample_covariances(y, 0)[0], rtol=1e-9)
        np.testing.assert_allclose(result.predict(y), np.tile(y.mean(axis=0), (500, 1)))


# --- measured records -------------------------------------------------------------------------


def one_step_fit(result: IdentificationResult, y: np.ndarray) -> float:
    """Return the mean one-step fit in percent, the first 20 samples dropped."""
    error, spread = (y - result.predict(y))[20:], (y - y.mean(axis=0))[20:]
    return float(100 * (1 - np.linalg.norm(error, axis=0) / np.linalg.norm(spread, axis=0)).mean())


@pytest.mark.parametrize("order", [3, "auto"])
def test_sunspots(order):
    datasets = pytest.importorskip("statsmodels.datasets")
    y = datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()[:, np.newaxis]
    half = len(y) // 2
    assert one_step_fit(stochastic_id(y[:half], order, past=10), y[half:]) > 64.6 - 0.5
    assert one_step_fit(stochastic_id(y[:half], order, method="upc", past=10), y[half:]) > 64.4


@pytest.mark.parametrize("order", [8, "auto"])
def test_carbon_dioxide(order):
    datasets = pytest.importorskip("statsmodels.datasets")
    monthly = datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    y = monthly.to_numpy()[:, np.newaxis]
    half = len(y) // 2
    result = stochastic_id(y[:half], order, past=12, stable=False)  # it has a trend
    assert one_step_fit(result, y[half:]) > 95.4


@pytest.mark.parametrize("method", ["cva", "covariance", "upc"])
@pytest.mark.parametrize("order", [20, "auto"])
def test_foetal_electrocardiogram(method, order):
    y, _ = daisy("foetal_ecg")
    half = len(y) // 2
    result = stochastic_id(y[:half], order, method=method, past=10)
    assert_valid(result)
    assert one_step_fit(result, y[half:]) > 84.7 - 0.2


# --- the record of a result, and refusals -----------------------------------------------------


def test_result_says_what_was_done():
    pandas = pytest.importorskip("pandas")
    _, y = record(2, 2, 2, 300)
    frame = pandas.DataFrame(y, columns=["left", "right"])
    result = stochastic_id(frame, 2, method="covariance", past=6, dt=0.5, repair="shrink")
    assert result.method == "covariance"
    assert result.output_names == ("left", "right")
    assert result.dt == 0.5
    assert result.options == {
        "past": 6, "future": 6, "criterion": "given", "offset": "estimate", "repair": "shrink",
    }  # fmt: skip
    assert list(result.fits) == ["one-step prediction"]
    assert result.covariance is None
    assert "covariance model of order 2 from 300 samples" in result.summary()
    assert stochastic_id(frame, 2, offset="none").offset[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "n4sid"}, ValueError, "`method` must be one of 'cva'"),
        ({"criterion": "mdl"}, ValueError, "`criterion` must be one of"),
        ({"repair": "hope"}, ValueError, "`repair` must be one of 'residual'"),
        ({"offset": "mean"}, ValueError, "`offset` must be one of"),
        ({"order": 2.0}, TypeError, "`order` must be an integer"),
        ({"order": 40}, ValueError, "`order` = 40 cannot be had with past = 4"),
        ({"past": 80}, ValueError, "too few samples: past = 80"),
        ({"method": "covariance", "future": 6}, ValueError, "must be equal .* got 4 and 6"),
        ({"method": "covariance", "stable": False}, ValueError, "stable=False needs a data-driven"),
        ({"dt": 0.0}, ValueError, "`dt` must be positive"),
    ],
)
def test_refusals(options, error, match):
    y = np.random.default_rng(0).standard_normal(100)
    with pytest.raises(error, match=match):
        stochastic_id(y, **{"past": 4, **options})


def test_refused_data():
    y = np.random.default_rng(0).standard_normal((100, 2))
    with pytest.raises(ValueError, match=r"missing value \(NaN\)"):
        stochastic_id(np.where(np.arange(100)[:, None] == 7, np.nan, y))
    with pytest.raises(ValueError, match="output 'y2' is constant"):
        stochastic_id(np.column_stack([y[:, 0], np.full(100, 0.1)]))
    fields = {"time": np.arange(100.0), "y": y.T, "u": y.T[:1], "noutputs": 2, "ninputs": 1}
    response = type("TimeResponseData", (), fields)()
    with pytest.raises(ValueError, match="outputs only; got 1 input"):
        stochastic_id(response)
