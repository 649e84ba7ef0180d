from __future__ import annotations

import numpy as np
import pytest
from feedback import feedback_record
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_linear

from identification import HankelFactor, subspace_id
from identification.closed_loop import state_map
from identification.projections import FactorBlocks
from realization import InnovationSSM, markov_parameters, simulate

METHODS = ["ssarx", "pbsid", "parsim"]


PLANT = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
)


@pytest.mark.slow
def test_feedback_biases_moesp_and_not_the_closed_loop_methods():
    rng = np.random.default_rng(0)
    expected = markov_parameters(PLANT, 12)[1:]
    runs, T = 12, 8000
    means, errors = {}, {}
    for method in ["moesp", *METHODS, "regularized_arx"]:
        found = []
        rng = np.random.default_rng(1)
        for _ in range(runs):
            y, u = feedback_record(PLANT, 0.5, T, rng)
            result = subspace_id(
                y, u, 2, method=method, past=20, future=20, feedthrough=False, bd="factor"
            )
            found.append(markov_parameters(result.model, 12)[1:])
        means[method] = np.mean(found, axis=0) - expected
        errors[method] = np.std(found, axis=0) / np.sqrt(runs - 1)
    for method in [*METHODS, "regularized_arx"]:  # no bias beyond four standard errors of the mean
        assert (np.abs(means[method]) < 4 * errors[method] + 2e-3).all()
    assert np.abs(means["moesp"]).max() > 5 * np.abs(means["ssarx"]).max()


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 6),
    m=st.integers(1, 3),
    p=st.integers(1, 3),
    seed=st.integers(0, 10**6),
    bd=st.sampled_from(["factor", "prediction", "simulation"]),
)
def test_noise_free_plants_are_recovered(method, n, m, p, seed, bd):
    rng = np.random.default_rng(seed)
    plant = random_linear(rng, n, m, p)
    u = rng.standard_normal((800, m))
    y = simulate(plant, u, x0=rng.standard_normal(n)).y
    result = subspace_id(y, u, n, method=method, bd=bd)
    expected = markov_parameters(plant, 20)
    error = np.abs(markov_parameters(result.model, 20) - expected).max()
    # without noise the predictor is not unique: the rank decisions of its regression cost digits
    assert error < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("method", METHODS)
def test_outputs_only(method):
    rng = np.random.default_rng(2)
    process = InnovationSSM(PLANT.A, PLANT.C, PLANT.K, PLANT.Re)
    y = simulate(process, steps=20000, noise=True, rng=rng).y
    result = subspace_id(y, order=2, method=method)
    noise = [result.model.C @ result.model.K, process.C @ process.K]
    assert abs(noise[0] - noise[1]).max() < 6 / np.sqrt(20000)


def test_whitening_is_an_option_of_two_methods():
    rng = np.random.default_rng(3)
    y, u = feedback_record(PLANT, 0.3, 600, rng)
    for method in ("pbsid", "parsim"):
        plain = subspace_id(y, u, 2, method=method)
        white = subspace_id(y, u, 2, method=method, weight="cva")
        assert plain.method == white.method == method
        assert not np.allclose(plain.singular_values, white.singular_values)


def test_state_map_is_a_function_of_the_past():
    rng = np.random.default_rng(4)
    y, u = feedback_record(PLANT, 0.3, 600, rng)
    factor = HankelFactor(1, 1, past=8, future=6).update(y, u)
    blocks = FactorBlocks.from_factor(factor, remove_means=True)
    for method in METHODS:
        found = state_map(blocks, method, whiten=False)
        assert found.L.shape[1] == blocks.Wp.shape[0] == 16
        assert (np.diff(found.singular_values) <= 0).all()


def test_orders_beyond_the_rank_of_a_smooth_predictor_are_refused():
    y = np.random.default_rng(0).standard_normal(400)
    u = np.random.default_rng(1).standard_normal(400)
    y[1:] += 0.7 * u[:-1]
    factor = HankelFactor(1, 1, past=15, future=15).update(y, u)
    blocks = FactorBlocks.from_factor(factor, remove_means=True)
    smooth = state_map(blocks, "regularized_arx", whiten=False)
    assert smooth.singular_values.size == 15
    assert smooth.singular_values[-1] < 1e-20 * smooth.singular_values[0]  # rounding of rounding
    assert len(smooth.L) < 15
    found = subspace_id(y, u, len(smooth.L), method="regularized_arx", past=15)
    assert np.isfinite(found.fits["one-step prediction"]).all()
    with pytest.raises(ValueError, match=f"past tells of the future has rank {len(smooth.L)}"):
        subspace_id(y, u, len(smooth.L) + 1, method="regularized_arx", past=15)
    assert len(state_map(blocks, "pbsid", whiten=False).L) == 15  # noise has every direction
