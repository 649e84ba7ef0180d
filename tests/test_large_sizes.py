"""Sizes that no machine holds are refused by name, at once, before anything is allocated."""

from __future__ import annotations

import numpy as np
import pytest

import diffusion
import identification
import realization
from realization.internal import require_memory

PLANT = realization.InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.1]], B=[[1.0]])
SERIES = realization.InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.1]])
BILINEAR = realization.BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]])
NO_INPUT = realization.BilinearSSM([[0.5]], np.zeros((0, 1, 1)), np.zeros((1, 0)), [[1.0]])
LOGISTIC = [[[0.0], [[-1.0]], [[-1.0]]], [[1.0]]]
PLANE = [[np.zeros(2), -np.eye(2), np.ones((2, 4))]]
MIXTURE = diffusion.GaussianMixture([1.0], [[0.0]], [[[1.0]]])


@pytest.fixture(scope="module")
def refined():
    u = np.random.default_rng(0).standard_normal(200)
    y = realization.simulate(PLANT, u, noise=True, rng=1).y
    return identification.pem(PLANT, y, u), y, u


def pulses(degree, lags, n_inputs):
    return realization.volterra_from_pulses(
        lambda u: realization.simulate(BILINEAR, u).y, degree, lags, n_inputs=n_inputs
    )


@pytest.mark.parametrize("size", [10**13, 10**30])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda size: realization.simulate(SERIES, steps=size), "`steps`"),
        (lambda size: realization.forecast(SERIES, [1.0, 2.0], steps=size), "`steps`"),
        (lambda size: realization.markov_parameters(PLANT, size), "`count`"),
        (lambda size: realization.autocovariance(PLANT, size), "`lags`"),
        (lambda size: realization.word_coefficients(BILINEAR, size), "`length`"),
        (lambda size: realization.word_coefficients(NO_INPUT, size), "`length`"),
        (lambda size: realization.volterra_kernel(BILINEAR, 2, size), "`lags`"),
        (lambda size: pulses(1, size, 1), "`lags`"),
        (lambda size: pulses(2, 2, size), "`lags`"),
        (lambda size: realization.volterra_from_data([1.0] * 9, [1.0] * 9, 2, size), "`lags`"),
        (lambda size: realization.carleman(LOGISTIC, size), "`degree`"),
        (lambda size: realization.carleman(PLANE, size), "`degree`"),
        (lambda size: realization.carleman_state([1.0, 2.0], size, basis="monomial"), "`degree`"),
        (lambda size: identification.multisine(size), "`period`"),
        (lambda size: identification.multisine(64, periods=size), "`periods`"),
        (lambda size: identification.prbs(size, hold=size), "`steps`"),
        (lambda size: identification.HankelFactor(1, 1, past=size, future=2), "`past`"),
        (lambda size: identification.HankelFactor(1, 1, past=2, future=size), "`future`"),
        (lambda size: identification.RecursiveSubspace(1, 1, order=1, past=size), "`past`"),
        (lambda size: MIXTURE.sample(size), "`count`"),
        (lambda size: diffusion.backward_model(SERIES).sample(steps=size), "`steps`"),
        (lambda size: diffusion.backward_model(SERIES, steps=size), "`steps`"),
        (lambda size: diffusion.OrnsteinUhlenbeck(1.0, 1.0, size), "process of 10+ states"),
    ],
)
def test_more_than_memory_holds_is_refused(call, name, size):
    with pytest.raises(ValueError, match=rf"{name}.* must fit in memory: this takes .* GB"):
        call(size)


def test_more_than_memory_holds_is_refused_of_uncertainty(refined):
    result, y, u = refined
    ellipses = identification.pole_uncertainty(result).ellipses
    calls = {
        "count": lambda size: identification.impulse_response_uncertainty(result, size),
        "points": lambda size: ellipses(points=size),
        "samples": lambda size: identification.bootstrap(result, y, u, samples=size),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"`{name}` = 10+ must fit in memory"):
            call(10**13)


def test_what_fits_is_not_refused():
    require_memory("`steps` = 1000", 1000)
    assert realization.simulate(SERIES, steps=0).y.shape == (0, 1)


def test_a_system_that_does_not_tell_its_memory_counts_as_16_gib(monkeypatch):
    monkeypatch.delattr("os.sysconf")
    with pytest.raises(ValueError, match=r"`steps` = 3 .* of the 17.2 GB of this machine"):
        require_memory("`steps` = 3", 2**29 + 1)
    require_memory("`steps` = 3", 2**29)


def test_a_kernel_has_no_more_axes_than_an_array():
    with pytest.raises(ValueError, match="`degree` must be at most 31, the axes of an array"):
        realization.volterra_kernel(BILINEAR, 10**30, 3)


def test_a_horizon_longer_than_the_record_is_simulation_or_refused(refined):
    result, y, u = refined
    far = identification.compare(result, y, u, horizon=10**30).fits
    np.testing.assert_allclose(far, identification.compare(result, y, u, horizon=1000).fits)
    with pytest.raises(ValueError, match=r"`horizon` must be below the 200 samples .* focus='sim"):
        identification.pem(result, y, u, horizon=200)


def test_a_figure_shows_no_more_samples_than_eyes_do():
    for plot in (realization.plot_impulse, realization.plot_step):
        with pytest.raises(ValueError, match=r"`duration` = 1e\+09 must be at most 1e\+06 samples"):
            plot(PLANT, duration=1e9)
