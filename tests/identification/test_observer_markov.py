from __future__ import annotations

import numpy as np
import pytest
from feedback import feedback_record
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import daisy
from systems import random_innovation, random_linear

from identification import Experiments, compare, multisine, okid
from realization import InnovationSSM, LinearSSM, markov_parameters, poles, simulate


def relative_error(model: InnovationSSM | LinearSSM, plant: InnovationSSM | LinearSSM) -> float:
    """Return the largest difference of Markov parameters, relative to the largest one."""
    expected = markov_parameters(plant, 20)
    return np.abs(markov_parameters(model, 20) - expected).max() / np.abs(expected).max()


def noise_parameters(model: InnovationSSM, count: int) -> np.ndarray:
    """Return CK, CAK, ..."""
    return markov_parameters(LinearSSM(model.A, model.K, model.C), count + 1)[1:]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 8),
    m=st.integers(1, 4),
    p=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    offset=st.sampled_from(["none", "estimate"]),
)
def test_noise_free_plants_from_an_unknown_start(n, m, p, seed, offset):
    rng = np.random.default_rng(seed)
    plant = random_linear(rng, n, m, p)
    u = rng.standard_normal((600, m))
    shift = 7.0 if offset == "estimate" else 0.0
    y = simulate(plant, u, x0=3.0 * rng.standard_normal(n)).y + shift
    result = okid(y, u - shift, n, lags=20, offset=offset)
    assert relative_error(result.model, plant) < 1e-10
    assert not result.model.K.any()
    assert any("noise-free" in text for text in result.warnings)
    again = result.simulate(u - shift, x0=result.x0[0]).y
    assert np.abs(again - y).max() < 1e-7 * np.abs(y).max()


def test_experiments_never_meet():
    rng = np.random.default_rng(0)
    plant = random_linear(rng, 3, 1, 2)
    u = [rng.standard_normal((T, 1)) for T in (80, 15, 200)]
    starts = [10.0 * rng.standard_normal(3) for _ in u]
    y = [simulate(plant, run, x0=x).y for run, x in zip(u, starts, strict=True)]
    result = okid(y, u, 3, lags=6, offset="none")
    assert relative_error(result.model, plant) < 1e-10
    for run_u, run_y, x0 in zip(u, y, result.x0, strict=True):
        np.testing.assert_allclose(simulate(result.model, run_u, x0=x0).y, run_y, atol=1e-7)
    record = Experiments.from_data(y, u, dt=0.1)
    assert okid(record, None, 3, lags=6).dt == 0.1


@pytest.mark.parametrize("radius", [0.9999, 1.0, 1.05])
def test_plants_without_damping_and_unstable_ones(radius):
    rng = np.random.default_rng(1)
    c, s = radius * np.cos(0.4), radius * np.sin(0.4)
    plant = LinearSSM([[c, s], [-s, c]], [[1.0], [0.3]], [[1.0, 0.0]])
    u = rng.standard_normal((150, 1))
    y = simulate(plant, u, x0=[5.0, 5.0]).y
    result = okid(y, u, 2, lags=20, offset="none", feedthrough=False)
    np.testing.assert_allclose(np.abs(poles(result.model)), radius, rtol=1e-8)
    assert not result.model.D.any()
    assert any("A is unstable" in text for text in result.warnings) == (radius > 1.0)


@pytest.mark.slow
def test_with_noise_the_observer_tends_to_the_kalman_predictor():
    rng = np.random.default_rng(2)
    plant = random_innovation(rng, 3, 2, 2)
    errors = []
    for T in (1000, 16000):
        squares = []
        for _ in range(10):
            u = rng.standard_normal((T, 2))
            y = simulate(plant, u, noise=True, rng=rng).y
            model = okid(y, u, 3, lags=20).model
            difference = noise_parameters(model, 10) - noise_parameters(plant, 10)
            squares.append(
                np.mean((markov_parameters(model, 10) - markov_parameters(plant, 10)) ** 2)
                + np.mean(difference**2)
            )
        errors.append(np.sqrt(np.mean(squares)))
    # sixteen times the data: a factor 4, within the spread of ten chi-square averages
    assert 2.5 < errors[0] / errors[1] < 6.5
    assert np.abs(model.Re - plant.Re).max() < 6 * np.sqrt(2 / 16000) * np.abs(plant.Re).max()


def test_feedback_does_no_harm():
    plant = InnovationSSM(
        [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
    )
    rng = np.random.default_rng(3)
    found = []
    for _ in range(8):
        y, u = feedback_record(plant, 0.5, 3000, rng)
        found.append(markov_parameters(okid(y, u, 2, lags=20, feedthrough=False).model, 10)[1:])
    spread = np.std(found, axis=0, ddof=1) / np.sqrt(8)
    error = np.abs(np.mean(found, axis=0) - markov_parameters(plant, 10)[1:])
    assert (error < 5 * spread + 2e-3).all()


def test_units_of_single_channels_do_not_matter():
    rng = np.random.default_rng(4)
    plant = random_innovation(rng, 3, 2, 2)
    u = rng.standard_normal((800, 2))
    y = simulate(plant, u, noise=True, rng=rng).y
    plain = okid(y, u, 3)
    scales_y, scales_u = np.array([1e40, 1e-3]), np.array([1e-20, 1e5])
    scaled = okid(y * scales_y, u * scales_u, 3)
    back = markov_parameters(scaled.model, 15) * scales_u / scales_y[:, np.newaxis]
    np.testing.assert_allclose(back, markov_parameters(plain.model, 15), atol=1e-9)
    np.testing.assert_allclose(scaled.singular_values, plain.singular_values, rtol=1e-9)


def test_an_output_without_noise_among_noisy_ones():
    rng = np.random.default_rng(5)
    u = rng.standard_normal((500, 1))
    clean = simulate(LinearSSM([[0.5]], [[1.0]], [[1.0]]), u).y
    noisy = simulate(
        InnovationSSM([[0.8]], [[1.0]], [[0.5]], [[0.1]], B=[[1.0]]), u, noise=True, rng=rng
    ).y
    result = okid(np.hstack([clean, noisy]), u, 2, lags=5, offset="none")
    np.testing.assert_allclose(np.sort(poles(result.model).real), [0.5, 0.8], atol=0.05)


def test_the_hair_dryer():
    y, u = daisy("dryer")
    result = okid(y[:500], u[:500], 4, dt=0.08)
    assert compare(result, Experiments.from_data(y[500:], u[500:], dt=0.08)).fits[0, 0] > 85.0
    assert result.options["lags"] == 20
    assert result.fits["one-step prediction"][0] > 95.0
    assert "okid model of order 4" in result.summary()


def test_short_records_take_fewer_lags():
    rng = np.random.default_rng(6)
    plant = random_innovation(rng, 2, 1, 1)
    u = rng.standard_normal((60, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    chosen = okid(y, u, 2).options["lags"]
    assert 3 <= chosen < 20
    with pytest.raises(
        ValueError, match="lags = 25 with 1 output and 1 input need 53 equations; got 35 from 60"
    ):
        okid(y, u, 2, lags=25)


def test_too_little_excitation_is_said():
    rng = np.random.default_rng(7)
    plant = random_innovation(rng, 2, 1, 1)
    u = multisine(300, band=(0.5, 0.54))
    y = simulate(plant, u, noise=True, rng=rng).y
    result = okid(y, u, 2, lags=10)
    assert any(
        "exciting of order 4; 11 are needed (lags = 10 and the present)" in text
        for text in result.warnings
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda y, u: okid(y, None, 2), ValueError, "okid needs inputs.*use stochastic_id"),
        (lambda y, u: okid(y, u, -1), ValueError, "`order` must be at least 0"),
        (lambda y, u: okid(y, u, 2.0), TypeError, "`order` must be an integer"),
        (lambda y, u: okid(y, u, 5, lags=5), ValueError, "`lags` must be at least 6 for order 5"),
        (lambda y, u: okid(y, u, 1, lags=10**30), ValueError, "too few samples: lags = 10000"),
        (lambda y, u: okid(y, u, 1, lags=0), ValueError, "`lags` must be at least 1"),
        (lambda y, u: okid(y, u, 1, lags=3.0), TypeError, "`lags` must be an integer"),
        (lambda y, u: okid(y, u, 1, offset="x"), ValueError, "`offset` must be one of"),
        (lambda y, u: okid(y[:-1], u, 1), ValueError, "same number of samples"),
        (lambda y, u: okid(y, u, 1, dt=0.0), ValueError, "`dt` must be positive"),
        (lambda y, u: okid(y[:5], u[:5], 1), ValueError, "too few samples: lags = 2"),
        (lambda y, u: okid(y[:0], u[:0], 1), ValueError, "has no samples"),
        (lambda y, u: okid(y * np.nan, u, 1), ValueError, "missing value"),
        (lambda y, u: okid(np.ma.masked_less(y, -1), u, 1), ValueError, r"y.*masked entries"),
        (lambda y, u: okid(y, u * np.inf, 1), ValueError, "found"),
        (lambda y, u: okid(y * 1e100, u, 1), ValueError, "Express it in other units"),
        (lambda y, u: okid(0 * y, u, 1), ValueError, "= 1 cannot be had: .* rank 0"),
        (lambda y, u: okid(["a"], u, 1), TypeError, "`y` must be numeric"),
    ],
)  # fmt: skip
def test_wrong_calls(call, error, message):
    rng = np.random.default_rng(8)
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        call(rng.standard_normal((200, 1)), rng.standard_normal((200, 1)))
