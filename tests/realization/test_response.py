"""Frequency response, poles and zeros against direct solves, closed forms and python-control."""

import control
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics, random_innovation, random_linear

import realization.response
from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    InnovationSSM,
    LinearSSM,
    frequency_response,
    markov_parameters,
    poles,
    to_control,
    transmission_zeros,
)

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(0, 6)
channels = st.integers(1, 3)


def matched(found, expected):
    """Return the largest distance between two sets of numbers, paired by the best assignment."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if found.size == 0:
        return 0.0
    distance = np.abs(found[:, np.newaxis] - expected)
    rows, columns = scipy.optimize.linear_sum_assignment(distance)
    return distance[rows, columns].max()


def direct(model, points):
    n = model.n_states
    return [model.D + model.C @ np.linalg.solve(z * np.eye(n) - model.A, model.B) for z in points]


class TestFrequencyResponse:
    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(seeds, orders, st.integers(0, 3), channels, st.sampled_from([0.0, 0.1, 1.0]))
    def test_equals_direct_solves(self, seed, n, m, p, dt):
        rng = np.random.default_rng(seed)
        plain = random_linear(rng, n, m, p)
        A = (plain.A - np.eye(n)) / 0.1 if dt == 0.0 else plain.A
        model = LinearSSM(A, plain.B, plain.C, plain.D, dt=dt)
        omega = np.array([-3.0, 0.0, 0.01, 1.0, 31.0])
        points = 1j * omega if dt == 0.0 else np.exp(1j * omega * dt)
        found = frequency_response(model, omega)
        assert found.shape == (5, p, m)
        for value, expected, z in zip(found, direct(model, points), points, strict=True):
            condition = np.linalg.cond(z * np.eye(n) - A) if n else 1.0
            scale = 1 + np.abs(expected).max(initial=0.0)
            scale += np.linalg.norm(model.C) * np.linalg.norm(model.B)
            np.testing.assert_allclose(value, expected, rtol=0, atol=50 * EPS * condition * scale)

    @pytest.mark.parametrize(("m", "p"), [(1, 1), (2, 3), (4, 1)])
    def test_order_64(self, m, p):
        model = random_linear(np.random.default_rng(0), 64, m, p, largest=0.98)
        omega = np.geomspace(1e-3, np.pi, 500)
        expected = np.array(direct(model, np.exp(1j * omega)))
        found = frequency_response(model, omega)
        assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()

    def test_many_frequencies_in_slices(self, monkeypatch):
        model = random_linear(np.random.default_rng(1), 4, 2, 2)
        omega = np.linspace(0, 3, 57)
        whole = frequency_response(model, omega)
        monkeypatch.setattr("realization._transfer._SLICE", 80)
        np.testing.assert_allclose(frequency_response(model, omega), whole, rtol=1e-13)

    def test_near_defective(self):
        A = np.diag(np.full(6, 0.5)) + np.diag(np.ones(5), 1) + 1e-9 * np.ones((6, 6))
        model = LinearSSM(A, np.eye(6)[:, 5:], np.eye(6)[:1])
        omega = np.linspace(0.1, 3, 20)
        expected = np.array(direct(model, np.exp(1j * omega)))
        np.testing.assert_allclose(frequency_response(model, omega), expected, rtol=1e-9)

    @pytest.mark.parametrize("dt", [0.0, 0.1])
    def test_python_control(self, dt):
        plain = random_linear(np.random.default_rng(2), 5, 2, 3)
        A = plain.A - 2 * np.eye(5) if dt == 0.0 else plain.A
        model = LinearSSM(A, plain.B, plain.C, plain.D, dt=dt)
        omega = np.array([0.1, 1.0, 10.0])
        expected = to_control(model).frequency_response(omega).complex.transpose(2, 0, 1)
        np.testing.assert_allclose(frequency_response(model, omega), expected, atol=1e-12)

    def test_is_the_transform_of_the_markov_parameters(self):
        model = random_linear(np.random.default_rng(3), 4, 1, 2)
        h = markov_parameters(model, 1000)
        omega = np.array([0.2, 2.0])
        expected = np.tensordot(np.exp(-1j * np.outer(omega, np.arange(1000))), h, axes=1)
        np.testing.assert_allclose(frequency_response(model, omega), expected, atol=1e-10)

    def test_complex_model(self):
        model = LinearSSM([[0.5j]], [[1.0 + 1j]], [[2.0]])
        z = np.exp(0.3j)
        assert np.allclose(frequency_response(model, 0.3), 2 * (1 + 1j) / (z - 0.5j))

    def test_shapes_follow_omega(self):
        model = random_linear(np.random.default_rng(4), 3, 2, 1)
        assert frequency_response(model, 0.5).shape == (1, 2)
        assert frequency_response(model, np.ones((2, 3))).shape == (2, 3, 1, 2)
        assert frequency_response(model, []).shape == (0, 1, 2)

    def test_unstable_models_have_one(self):
        model = LinearSSM([[2.0]], [[1.0]], [[1.0]])
        assert np.allclose(frequency_response(model, 0.0), -1.0)

    @pytest.mark.parametrize(("pole", "dt"), [(1.0, 1.0), (0.0, 0.0)])
    def test_a_pole_on_the_frequency_is_refused(self, pole, dt):
        integrator = LinearSSM([[pole]], [[1.0]], [[1.0]], dt=dt)
        assert np.isfinite(frequency_response(integrator, 0.1)).all()
        with pytest.raises(ValueError, match=r"response is infinite at z = .*Leave that frequency"):
            frequency_response(integrator, [1.0, 0.0])

    def test_kinds(self):
        model = random_linear(np.random.default_rng(5), 1, 1, 1)
        with pytest.raises(TypeError, match="`omega` must be real angular frequencies"):
            frequency_response(model, [1j])
        with pytest.raises(ValueError, match="`omega` must be finite; found inf"):
            frequency_response(model, [np.inf])
        with pytest.raises(TypeError, match=r"`model` must be a .*got CovarianceModel"):
            frequency_response(CovarianceModel([[0.5]], [[1.0]], [[1.0]], [[2.0]]), [1.0])


class TestPoles:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(seeds, orders)
    def test_slowest_first_and_pairs_together(self, seed, n):
        model = random_linear(np.random.default_rng(seed), n, 1, 1)
        values = poles(model)
        assert values.dtype == complex
        assert matched(values, np.linalg.eigvals(model.A)) == 0.0
        assert (np.diff(np.abs(values)) <= 0).all()
        upper = np.flatnonzero(values.imag > 0)
        assert np.array_equal(values[upper + 1], values[upper].conj())

    def test_continuous_time_by_real_part(self):
        A = scipy.linalg.block_diag([[-5.0]], [[-1.0, 9.0], [-9.0, -1.0]], [[0.5]])
        model = LinearSSM(A, np.ones((4, 1)), np.ones((1, 4)), dt=0.0)
        assert np.allclose(poles(model), [0.5, -1 + 9j, -1 - 9j, -5.0])

    @pytest.mark.parametrize(
        "record",
        [
            InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]]),
            CovarianceModel([[0.5]], [[1.0]], [[0.1]], [[1.0]]),
            BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]]),
        ],
    )
    def test_of_every_record(self, record):
        assert poles(record) == [0.5]

    def test_kinds(self):
        with pytest.raises(TypeError, match="`model` must be a StateSpaceRecord; got list"):
            poles([[0.5]])


class TestTransmissionZeros:
    def test_closed_forms(self):
        # (z - 2)(z + 0.3) / ((z - 0.5)(z - 0.1)(z - 0.9)) in companion form
        den, num = np.poly([0.5, 0.1, 0.9]), np.poly([2.0, -0.3])
        A = np.vstack([-den[1:], np.eye(3)[:2]])
        model = LinearSSM(A, [[1.0], [0.0], [0.0]], num[np.newaxis])
        np.testing.assert_allclose(transmission_zeros(model), [2.0, -0.3], rtol=1e-13)

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(seeds, st.integers(1, 9), channels, channels, st.booleans())
    def test_rank_falls_and_control_agrees(self, seed, n, m, p, feedthrough):
        plain = random_linear(np.random.default_rng(seed), n, m, p)
        D = plain.D if feedthrough else np.zeros((p, m))
        model = LinearSSM(plain.A, plain.B, plain.C, D)
        zeros = transmission_zeros(model)
        for z in zeros:
            pencil = np.block([[model.A - z * np.eye(n), model.B], [model.C, D]])
            values = np.linalg.svd(pencil, compute_uv=False)
            assert values[-1] <= 1e-12 * values[0]
        if m != p:
            assert zeros.size == 0
        if n < 3 * max(m, p):  # slycot's default workspace, which control uses, is too small
            return
        expected = to_control(model).zeros()
        assert matched(zeros, expected) <= 1e-6 * (1 + np.abs(expected).max(initial=0.0)) ** 2

    def test_zero_dynamics_of_an_invertible_feedthrough(self):
        model = random_linear(np.random.default_rng(0), 5, 2, 2)
        expected = np.linalg.eigvals(model.A - model.B @ np.linalg.solve(model.D, model.C))
        assert matched(transmission_zeros(model), expected) < 1e-11 * np.abs(expected).max()

    def test_zeros_of_the_noise_model_are_the_poles_of_its_inverse(self):
        model = random_innovation(np.random.default_rng(1), 4, 0, 2)
        noise = LinearSSM(model.A, model.K, model.C, np.eye(2))
        expected = np.linalg.eigvals(model.A - model.K @ model.C)
        assert matched(transmission_zeros(noise), expected) < 1e-12

    def test_input_that_the_output_does_not_see(self):
        model = random_linear(np.random.default_rng(2), 4, 2, 2)
        z = transmission_zeros(model)[0]
        pencil = np.block([[model.A - z * np.eye(4), model.B], [model.C, model.D]])
        x, u = np.split(np.linalg.svd(pencil)[2][-1].conj(), [4])
        y = []
        for t in range(10):
            y.append(model.C @ x + model.D @ (u * z**t))
            x = model.A @ x + model.B @ (u * z**t)
        assert np.abs(y).max() < 1e-11 * max(1.0, abs(z) ** 10)

    def test_units_do_not_matter(self):
        plain = random_linear(np.random.default_rng(3), 6, 2, 2)
        units = 10.0 ** np.arange(-9, 9, 3)
        zeros = transmission_zeros(LinearSSM(plain.A, plain.B, plain.C))
        scaled = LinearSSM(
            plain.A * units / units[:, np.newaxis],
            1e-8 * plain.B / units[:, np.newaxis] * [1.0, 1e4],
            1e11 * plain.C * units * [[1e-6], [1.0]],
        )
        assert zeros.size == 4
        assert matched(transmission_zeros(scaled), zeros) < 1e-10 * np.abs(zeros).max()

    @pytest.mark.parametrize("unit", [1e-60, 1e-12, 1e12, 1e30])
    def test_units_of_one_output_do_not_matter(self, unit):
        plain = random_linear(np.random.default_rng(3), 4, 2, 2)
        state = 1e-12 * np.array([1.0, 1e-3, 1.0, 1e-3])
        zeros = transmission_zeros(plain)
        scaled = LinearSSM(
            plain.A / state * state[:, np.newaxis],
            plain.B * state[:, np.newaxis],
            plain.C / state * [[unit], [1.0]],
            plain.D * [[unit], [1.0]],
        )
        assert zeros.size == 4
        assert matched(transmission_zeros(scaled), zeros) < 1e-10 * np.abs(zeros).max()

    def test_unequal_channels_with_a_common_zero(self):
        # both outputs are (z - 0.2) / ((z - 0.1)(z - 0.3)), one three times the other
        A, B = np.diag([0.1, 0.3]), np.ones((2, 1))
        row = np.array([[0.5, 0.5]])
        model = LinearSSM(A, B, np.vstack([row, 3 * row]))
        np.testing.assert_allclose(transmission_zeros(model), [0.2], rtol=1e-13)

    def test_poles_that_inputs_do_not_reach_count_in_a_model_that_is_not_minimal(self):
        model = LinearSSM(np.diag([0.1, 0.7]), [[1.0], [0.0]], [[1.0, 1.0]])
        np.testing.assert_allclose(transmission_zeros(model), [0.7], rtol=1e-13)

    def test_complex_model(self):
        T = np.array([[1.0, 1j], [0.5j, 2.0]])
        real = LinearSSM([[0.5, 1.0], [0.0, 0.2]], [[0.0], [1.0]], [[-0.8, 1.0]])
        rotated = LinearSSM(np.linalg.solve(T, real.A @ T), np.linalg.solve(T, real.B), real.C @ T)
        np.testing.assert_allclose(transmission_zeros(rotated), [1.3], rtol=1e-12)

    def test_continuous_time(self):
        # 1 / (s + 1) + 1 = (s + 2) / (s + 1)
        model = LinearSSM([[-1.0]], [[1.0]], [[1.0]], [[1.0]], dt=0.0)
        assert transmission_zeros(model) == pytest.approx([-2.0])

    def test_none(self):
        static = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]])
        assert transmission_zeros(static).shape == (0,)
        assert transmission_zeros(LinearSSM([[0.5]], [[1.0]], [[1.0]])).shape == (0,)

    def test_without_inputs_it_says_what_to_take(self):
        model = random_innovation(np.random.default_rng(4), 2, 0, 1)
        with pytest.raises(ValueError, match=r"InnovationSSM has no inputs.*LinearSSM\(A, K, C,"):
            transmission_zeros(model)
        with pytest.raises(TypeError, match="`model` must be a LinearSSM or"):
            transmission_zeros(control.ss([[0.5]], [[1.0]], [[1.0]], 0, True))

    def test_a_wrong_zero_is_caught(self, monkeypatch):
        model = random_linear(np.random.default_rng(5), 3, 1, 1)
        monkeypatch.setattr(
            realization.response.scipy.linalg, "eigvals", lambda F, E: np.array([7.0])
        )
        with pytest.raises(AccuracyError, match="does not lose rank at the computed zero") as error:
            transmission_zeros(model)
        assert error.value.residual > 1e-8


def test_random_dynamics_of_the_tests_are_stable():
    assert np.abs(np.linalg.eigvals(random_dynamics(np.random.default_rng(0), 9))).max() < 0.951
