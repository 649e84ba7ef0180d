"""Real numbers: forecasts are as sure as they say, and missing samples cost little."""

import numpy as np
import pytest
from realdata import daisy

from identification import compare, em, pem, stochastic_id, subspace_id
from realization import predict


@pytest.fixture(scope="module")
def sunspots():
    """Return the yearly numbers of sunspots, 1700 to 2008, on a scale where noise is even."""
    datasets = pytest.importorskip("statsmodels.api").datasets
    return np.sqrt(datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy())[:, np.newaxis]


def test_forecasts_of_the_sunspots_are_as_sure_as_they_say(sunspots):
    first, steps = 200, 6
    result = pem(stochastic_id(sunspots[:first], 3), sunspots[:first])
    errors, inside = [], []
    for now in range(first, len(sunspots) - steps):
        ahead = result.forecast(sunspots[:now], steps=steps)
        error = sunspots[now : now + steps] - ahead.mean
        assert ahead.standard_deviation.shape == (steps, 1)
        errors.append(error[:, 0])
        inside.append(np.abs(error[:, 0]) < 1.96 * ahead.standard_deviation[:, 0])
    deviation = ahead.standard_deviation[:, 0]
    assert (np.diff(deviation) > 0).all()
    assert np.isclose(deviation[0], np.sqrt(result.model.Re.item()))
    # 103 forecasts, of which 11 years (a cycle) count as one: chance is 7 %
    assert (np.mean(inside, axis=0) > 0.95 - 2 * 0.07).all()
    error = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (np.abs(np.log(error / deviation)) < np.log(1.35)).all()
    persistence = sunspots[first + steps - 1 :] - sunspots[first - 1 : -steps]
    assert error[-1] < 0.5 * np.sqrt(np.mean(persistence**2))


def test_missing_sunspots_cost_little(sunspots):
    rng = np.random.default_rng(0)
    gaps = sunspots[:200].copy()
    gaps[rng.choice(200, 40, replace=False)] = np.nan
    gaps[100:111] = np.nan  # a whole cycle
    start = stochastic_id(sunspots[:100], 3)
    fits = []
    for y in (gaps, sunspots[:200]):
        result = em(start, y)
        y_hat = result.predict(sunspots[200:])[20:]
        error = sunspots[220:] - y_hat
        fits.append(100 * (1 - np.linalg.norm(error) / np.std(sunspots[220:]) / len(error) ** 0.5))
        assert np.isfinite(result.log_likelihood).all()
        assert (np.diff(result.log_likelihood) > -1e-6).all()
    assert fits[1] > 55.0  # the best public figure for one step is 58 to 65
    assert fits[0] > fits[1] - 4.0
    assert np.isfinite(em(start, gaps).predict(gaps)).all()


def test_missing_samples_of_the_hair_dryer_cost_little():
    y, u = daisy("dryer")
    start = subspace_id(y[:500], u[:500], 4, method="cva", past=15)
    gaps = y[:500].copy()
    gaps[np.random.default_rng(0).choice(500, 100, replace=False)] = np.nan
    result = em(start, gaps, u[:500], max_iterations=30)
    complete, missing = compare([start, result], y[500:], u[500:], horizon=1).fits[:, 0]
    assert missing > complete - 0.5


def test_every_fit_names_its_horizon():
    y, u = daisy("dryer")
    result = subspace_id(y[:500], u[:500], 4, method="cva", past=15)
    named = {np.inf: "simulation", 1: "one-step prediction", 10: "10-step prediction"}
    fits = []
    for horizon, name in named.items():
        comparison = compare({"dryer": result}, y[500:], u[500:], horizon=horizon)
        assert str(comparison).splitlines()[0] == f"fit in %, {name}"
        y0, u0 = result.offset
        ours = comparison.y_hat[0][0] - y0
        if np.isfinite(horizon):  # what the model itself says, once the start is forgotten
            brute = predict(result.model, y[500:] - y0, u[500:] - u0, horizon=horizon)
            assert np.allclose(ours[100:], brute[100:], atol=1e-6)
        fits.append(comparison.fits.item())
    assert fits[1] > fits[2] > fits[0] - 1.0  # further ahead is harder
    assert set(result.fits) == {"simulation", "one-step prediction"}
    six = pem(result, y[:500], u[:500], horizon=6)
    assert set(six.fits) == {"simulation", "one-step prediction", "6-step prediction"}
