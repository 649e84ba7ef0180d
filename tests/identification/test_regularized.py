from __future__ import annotations

import numpy as np
import pytest
import scipy
from systems import random_innovation

from identification import Experiments, HankelFactor, compare, regularized_fir, subspace_id
from identification.projections import FactorBlocks, regress
from identification.regularized import _Regression, smooth_predictor
from realization import InnovationSSM, LinearSSM, ho_kalman, markov_parameters, simulate

PLANT = LinearSSM([[0.8, 0.3], [-0.3, 0.8]], [[1.0], [0.5]], [[1.0, 0.2]])


def _regression(rng: np.random.Generator, rows: int = 40) -> tuple[_Regression, np.ndarray]:
    """Return a compressed regression with two groups, and its rows [regressors, target]."""
    lags = [np.arange(6), np.arange(1, 5)]
    data = rng.standard_normal((rows, 11))
    data[:, -1] += data[:, 0] - 0.5 * data[:, 6]
    return _Regression.from_factor(data, lags, rows), data


def test_the_kernels_are_their_closed_forms():
    regression, _ = _regression(np.random.default_rng(0))
    theta = np.array([0.3, -0.2, 1.0, 0.5, 0.4, -0.6])
    for kernel, rho in (("tc", None), ("dc", np.tanh(theta[4:]))):
        P, _ = regression.prior(theta[: 4 if rho is None else 6], kernel)
        for k, at in enumerate(regression.slices):
            lag, scale = regression.lags[k], np.exp(theta[k])
            alpha = 1 / (1 + np.exp(-theta[2 + k]))
            for a, i in enumerate(lag):
                for b, j in enumerate(lag):
                    value = scale * alpha ** max(i, j)
                    if rho is not None:
                        value = scale * alpha ** ((i + j) / 2) * rho[k] ** abs(i - j)
                    assert P[at, at][a, b] == pytest.approx(value, rel=1e-14)
        assert np.all(P[regression.slices[0], regression.slices[1]] == 0)


def test_tc_is_dc_with_the_root_of_the_decay_as_correlation():
    regression, _ = _regression(np.random.default_rng(1))
    theta = np.array([0.3, -0.2, 1.0, 0.5])
    rho = np.sqrt(scipy.special.expit(theta[2:]))
    tc, _ = regression.prior(theta, "tc")
    dc, _ = regression.prior(np.append(theta, np.arctanh(rho)), "dc")
    np.testing.assert_allclose(tc, dc, rtol=1e-13)


@pytest.mark.parametrize("kernel", ["tc", "dc"])
@pytest.mark.parametrize("rows", [40, 7])  # also fewer equations than coefficients
def test_the_evidence_is_the_density_of_the_data(kernel, rows):
    regression, data = _regression(np.random.default_rng(2), rows)
    theta = np.array([0.3, -0.2, 1.0, 0.5, 0.4, -0.6])[: 4 if kernel == "tc" else 6]
    value, gradient = regression.evidence(theta, kernel)
    P, _ = regression.prior(theta, kernel)
    regressors, target = data[:, :-1], data[:, -1]
    shape = np.eye(rows) + regressors @ P @ regressors.T
    noise = target @ np.linalg.solve(shape, target) / rows
    density = scipy.stats.multivariate_normal(np.zeros(rows), noise * shape).logpdf(target)
    constant = rows * (1 + np.log(2 * np.pi))
    assert value == pytest.approx(-2 * density - constant, rel=1e-11)
    step = 1e-5
    for k, slope in enumerate(gradient):
        move = step * np.eye(theta.size)[k]
        ends = [regression.evidence(theta + sign * move, kernel)[0] for sign in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-7)


def test_coefficients_and_deviations_are_those_of_the_posterior():
    rng = np.random.default_rng(3)
    u = rng.standard_normal(60)
    y = simulate(PLANT, u).y[:, 0] + 0.3 * rng.standard_normal(60)
    found = regularized_fir(y, u, lags=20)
    rows = np.array([u[t - 20 : t + 1][::-1] for t in range(20, 60)])
    rows, target = rows - rows.mean(0), y[20:] - y[20:].mean()
    lag = np.arange(21)
    # the prior's scale is not returned: the one for which the posterior is the estimate
    shape = found.decay[0, 0] ** np.maximum(lag[:, None], lag)
    noise = found.noise[0]
    g = found.markov[:, 0, 0]
    score = rows.T @ (target - rows @ g)  # = noise P^-1 g / scale
    scale = (g @ g) / (g @ shape @ score) * noise
    covariance = np.linalg.inv(np.linalg.inv(scale * shape) + rows.T @ rows / noise)
    np.testing.assert_allclose(covariance @ rows.T @ target / noise, g, atol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(np.diag(covariance)), found.standard_deviation[:, 0, 0], rtol=1e-6
    )


@pytest.mark.parametrize("kernel", ["tc", "dc"])
def test_short_noisy_data_are_fitted_better_than_by_least_squares(kernel):
    truth = markov_parameters(PLANT, 31)[:, 0, 0]
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        u = rng.standard_normal(120)
        y = simulate(PLANT, u).y[:, 0] + rng.standard_normal(120)
        rows = np.array([np.append(u[t - 30 : t + 1][::-1], 1.0) for t in range(30, 120)])
        plain = np.linalg.lstsq(rows, y[30:], rcond=None)[0][:-1]
        smooth = regularized_fir(y, u, lags=30, kernel=kernel).markov[:, 0, 0]
        ratios.append(np.linalg.norm(smooth - truth) / np.linalg.norm(plain - truth))
    assert max(ratios) < 1.0
    assert np.median(ratios) < 0.6


def test_several_inputs_and_outputs_several_runs_and_offsets():
    rng = np.random.default_rng(5)
    plant = random_innovation(rng, 3, 2, 2)
    quiet = LinearSSM(plant.A, plant.B, plant.C, plant.D)
    offset = np.array([5.0, -3.0])
    u = [rng.standard_normal((T, 2)) + 2.0 for T in (300, 10, 400)]  # one shorter than the lags
    y = [simulate(quiet, run).y + offset + 1e-3 * rng.standard_normal(run.shape) for run in u]
    found = regularized_fir(y, u, lags=40)
    truth = markov_parameters(quiet, 41)
    assert np.linalg.norm(found.markov - truth) < 0.02 * np.linalg.norm(truth)
    np.testing.assert_allclose(found.offset, offset, atol=0.05)
    reduced = ho_kalman(found.markov, 3)
    assert np.linalg.norm(markov_parameters(reduced, 41) - truth) < 0.02 * np.linalg.norm(truth)


def test_a_constant_output_has_no_response():
    found = regularized_fir(np.ones(50), np.arange(50.0) % 7, lags=5)
    np.testing.assert_allclose(found.markov, 0.0, atol=1e-12)
    assert found.offset[0] == pytest.approx(1.0)


def test_without_feedthrough_the_first_parameter_is_zero():
    rng = np.random.default_rng(6)
    u = rng.standard_normal(200)
    found = regularized_fir(simulate(PLANT, u).y, u, lags=20, feedthrough=False)
    assert found.markov[0, 0, 0] == 0.0
    np.testing.assert_allclose(found.markov[1:6], markov_parameters(PLANT, 6)[1:], atol=0.05)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match=r"`u` is missing: an impulse response needs an input"):
        regularized_fir(np.ones(10))
    with pytest.raises(ValueError, match=r"lags = 9 needs a run of 11 samples; the longest has 10"):
        regularized_fir(np.ones(10), np.ones(10), lags=9)
    with pytest.raises(ValueError, match=r"`kernel` must be .*'tc'"):
        regularized_fir(np.ones(10), np.ones(10), lags=2, kernel="ss")


def test_the_predictor_with_much_data_fits_as_that_of_least_squares():
    rng = np.random.default_rng(7)
    plant = random_innovation(rng, 2, 1, 2)
    u = rng.standard_normal((20000, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    factor = HankelFactor.from_experiments(Experiments.from_data(y, u), past=6, future=2)
    blocks = FactorBlocks.from_factor(factor, remove_means=True)
    target, known = blocks.Yf[:2], np.vstack([blocks.Wp, blocks.Uf[:1]])
    smooth, plain = (
        np.linalg.norm(target - theta @ known, axis=1)
        for theta in (smooth_predictor(blocks), regress(target, known))
    )
    assert np.all(smooth >= plain)
    assert np.all(smooth**2 <= (1 + known.shape[0] / 20000) * plain**2)


def test_sluggish_inputs_and_short_records_cost_less_prediction_error_than_with_least_squares():
    plant = InnovationSSM(
        [[0.95, 0.1], [0, 0.8]], [[1.0, 0]], [[0.3], [0.1]], [[0.01]], B=[[0.0], [0.5]]
    )
    ratios = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        (u, y), (u_new, y_new) = (
            (
                u := rng.standard_normal((T // 20, 1)).repeat(20, axis=0),
                simulate(plant, u, noise=True, rng=rng).y,
            )
            for T in (200, 2000)
        )
        excess = []
        for method in ("regularized_arx", "pbsid"):
            result = subspace_id(y, u, 2, method=method, past=20)
            error = y_new - compare(result, y_new, u_new, horizon=1).y_hat[0][0]
            excess.append(np.mean(error**2) / 0.01 - 1.0)
        ratios.append(excess[1] / excess[0])
    assert np.median(ratios) > 1.2
