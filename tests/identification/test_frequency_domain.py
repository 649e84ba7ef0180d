from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation

from identification import frequency_subspace_id
from realization import LinearSSM, NumericalWarning, frequency_response, poles

FINE = np.linspace(0, np.pi, 400)


def _plant(seed: int, n: int, m: int, p: int) -> LinearSSM:
    plant = random_innovation(np.random.default_rng(seed), n, m, p)
    return LinearSSM(plant.A, plant.B, plant.C, plant.D)


def _distance(a: LinearSSM, b: LinearSSM, omega: np.ndarray = FINE) -> float:
    """Return the largest distance of two responses, over the largest response."""
    ours, theirs = frequency_response(a, omega), frequency_response(b, omega)
    largest = np.linalg.norm(theirs, 2, axis=(1, 2)).max()
    return np.linalg.norm(ours - theirs, 2, axis=(1, 2)).max() / max(largest, 1e-300)


@pytest.mark.parametrize(("n", "m", "p"), [(1, 1, 1), (4, 1, 1), (5, 2, 3), (6, 3, 2), (3, 1, 4)])
@pytest.mark.parametrize("grid", ["even", "logarithmic", "random"])
def test_noise_free_responses_are_reproduced(n, m, p, grid):
    rng = np.random.default_rng(n)
    omega = {
        "even": np.linspace(0, np.pi, 60),
        "logarithmic": np.geomspace(0.02, np.pi, 60),
        "random": rng.uniform(0, np.pi, 60),
    }[grid]
    plant = _plant(10 + n, n, m, p)
    model = frequency_subspace_id(frequency_response(plant, omega), omega, n)
    assert _distance(model, plant) < 1e-11


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 5), m=st.integers(1, 3), p=st.integers(1, 3))
def test_any_shape(seed, n, m, p):
    plant = _plant(seed, n, m, p)
    omega = np.linspace(0.01, 3.1, 50)
    response = frequency_response(plant, omega)
    model = frequency_subspace_id(response, omega, n)
    assert (model.n_states, model.n_inputs, model.n_outputs) == (n, m, p)
    assert _distance(model, plant) < 1e-8


def test_the_fewest_frequencies_suffice():
    plant = _plant(3, 3, 1, 1)
    # order 3: four block rows, seven equations: three frequencies and the one at zero
    omega = np.array([0.0, 0.5, 1.2, 2.4])
    model = frequency_subspace_id(frequency_response(plant, omega), omega, 3)
    assert _distance(model, plant) < 1e-9
    with pytest.raises(
        ValueError, match=r"order 3 with 4 block rows needs 7 real equations .* got 5"
    ):
        frequency_subspace_id(frequency_response(plant, omega[:3]), omega[:3], 3)
    with pytest.raises(ValueError, match=r"needs 12 real .*got 7.*smaller order or fewer rows"):
        frequency_subspace_id(frequency_response(plant, omega), omega, 3, rows=9)


def test_order_of_samples_and_sample_time_do_not_matter():
    plant = LinearSSM([[0.8, 0.5], [-0.5, 0.8]], [[1.0], [0.0]], [[1.0, 0.3]], [[0.2]], dt=0.01)
    omega = np.random.default_rng(0).permutation(np.linspace(1.0, 300.0, 50))
    response = frequency_response(plant, omega)
    model = frequency_subspace_id(response[:, 0, 0], omega, 2, dt=0.01)
    assert model.dt == 0.01
    assert _distance(model, plant, np.linspace(0, np.pi / 0.01, 100)) < 1e-11
    np.testing.assert_allclose(poles(model), poles(plant), atol=1e-11)


def test_the_error_falls_with_the_number_of_frequencies():
    plant = _plant(5, 4, 2, 2)
    largest = np.abs(frequency_response(plant, FINE)).max()
    errors = []
    for N in (100, 10000):
        distances = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            omega = np.linspace(0.01, 3.1, N)
            response = frequency_response(plant, omega)
            noise = rng.standard_normal((2, *response.shape))
            response = response + 0.02 * largest * (noise[0] + 1j * noise[1])
            distances.append(_distance(frequency_subspace_id(response, omega, 4), plant))
        errors.append(np.median(distances))
    assert errors[1] < errors[0] / 5  # 1 / sqrt(100) of it, with room
    assert errors[1] < 0.02


def test_weights_tell_good_samples_from_bad():
    plant = _plant(6, 3, 1, 1)
    largest = np.abs(frequency_response(plant, FINE)).max()
    better = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        omega = np.linspace(0.01, 3.1, 200)
        sizes = largest * np.where(rng.random(200) < 0.5, 0.3, 0.003)
        noise = rng.standard_normal((2, 200))
        response = frequency_response(plant, omega)[:, 0, 0] + sizes * (noise[0] + 1j * noise[1])
        plain, weighted = (
            _distance(frequency_subspace_id(response, omega, 3, weights=weights), plant)
            for weights in (None, 1 / sizes)
        )
        better += weighted < plain
    assert better == 10


def test_without_feedthrough_d_is_zero():
    plant = LinearSSM([[0.5]], [[1.0]], [[2.0]])
    omega = np.linspace(0.1, 3.0, 20)
    model = frequency_subspace_id(frequency_response(plant, omega), omega, 1, feedthrough=False)
    assert model.D[0, 0] == 0.0
    assert _distance(model, plant) < 1e-12


def test_unstable_estimates_are_said_or_moved():
    plant = LinearSSM([[1.1]], [[1.0]], [[1.0]])
    omega = np.linspace(0.1, 3.0, 20)
    response = frequency_response(plant, omega)
    with pytest.warns(NumericalWarning, match=r"A is unstable: largest modulus 1\.10000"):
        model = frequency_subspace_id(response, omega, 1)
    assert poles(model)[0].real == pytest.approx(1.1, abs=1e-12)
    with pytest.warns(NumericalWarning, match=r"moduli 1\.10000 were moved to 0\.9995"):
        model = frequency_subspace_id(response, omega, 1, stable=True)
    assert abs(poles(model)[0]) < 1


def test_an_order_that_the_response_does_not_carry_is_said():
    plant = LinearSSM([[0.5]], [[1.0]], [[1.0]])
    omega = np.linspace(0.1, 3.0, 20)
    with pytest.warns(NumericalWarning) as said:
        frequency_subspace_id(frequency_response(plant, omega), omega, 3, stable=True)
    assert any("carries a model of order 1 only" in str(one.message) for one in said)


def test_wrong_calls_are_refused():
    omega = np.linspace(0.1, 3.0, 20)
    response = np.ones(20, complex)
    for kwargs, message in (
        ({"dt": 0}, r"`dt` must be positive"),
        ({"dt": 2.0}, r"between 0 and pi / dt = 1\.5708; got 1\.6"),
        ({"weights": np.zeros(20)}, r"`weights` must be positive numbers of shape \(20,\)"),
        ({"weights": np.ones(3)}, r"`weights` must be positive numbers of shape \(20,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            frequency_subspace_id(response, omega, 1, **kwargs)
    with pytest.raises(ValueError, match=r"at least one frequency, output and input.*\(20, 0, 1\)"):
        frequency_subspace_id(np.zeros((20, 0, 1)), np.linspace(0, 3, 20), 1)
    with pytest.raises(ValueError, match=r"`rows` must be at least 3 for order 2 with 1 output;"):
        frequency_subspace_id(response, omega, 2, rows=2)
    with pytest.raises(ValueError, match=r"got \(20, 2\) and \(20,\)"):
        frequency_subspace_id(np.ones((20, 2)), omega, 1)
    with pytest.raises(ValueError, match=r"`omega` holds 0\.1 more than once"):
        frequency_subspace_id(response, np.append(omega[:-1], 0.1), 1)
