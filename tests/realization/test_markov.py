"""Markov parameters, autocovariances and spectra against brute force and each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics, random_innovation, random_linear

from realization import (
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    autocovariance,
    frequency_response,
    markov_parameters,
    spectral_density,
    to_covariance,
    to_gaussian,
)

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(0, 6)
channels = st.integers(1, 3)


def gaussian(seed, n, p, m=1):
    """Return a random stable GaussianSSM with correlated, rank-deficient noise."""
    rng = np.random.default_rng(seed)
    L = rng.standard_normal((n + p, max(1, (n + p) // 2)))
    joint = L @ L.T
    return GaussianSSM(
        random_dynamics(rng, n),
        rng.standard_normal((p, n)),
        joint[:n, :n],
        joint[n:, n:],
        joint[:n, n:],
        B=rng.standard_normal((n, m)),
        D=rng.standard_normal((p, m)),
    )


def state_covariance(A, Q):
    """Solve P = A P A' + Q as one linear system."""
    n = A.shape[0]
    return np.linalg.solve(np.eye(n * n) - np.kron(A, A), Q.ravel()).reshape(n, n)


class TestMarkovParameters:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(seeds, orders, st.integers(0, 3), channels, st.integers(1, 40))
    def test_are_the_products_one_by_one(self, seed, n, m, p, count):
        model = random_linear(np.random.default_rng(seed), n, m, p)
        expected, column = [model.D], model.B
        for _ in range(count - 1):
            expected.append(model.C @ column)
            column = model.A @ column
        found = markov_parameters(model, count)
        assert found.shape == (count, p, m)
        scale = 1 + np.linalg.norm(model.C) * np.linalg.norm(model.B)
        np.testing.assert_allclose(found, expected, rtol=0, atol=100 * (n + 1) * EPS * scale * 10)

    def test_similarity_leaves_them(self):
        rng = np.random.default_rng(1)
        model = random_linear(rng, 5, 2, 3)
        T = rng.standard_normal((5, 5))
        other = LinearSSM(
            np.linalg.solve(T, model.A @ T), np.linalg.solve(T, model.B), model.C @ T, model.D
        )
        h = markov_parameters(model, 50)
        tolerance = 1e3 * EPS * np.linalg.cond(T) * np.abs(h).max()
        np.testing.assert_allclose(markov_parameters(other, 50), h, atol=tolerance)

    def test_a_delay_is_exact(self):
        delay = LinearSSM(np.eye(8, k=-1), np.eye(8)[:, :1], np.eye(8)[7:])
        h = markov_parameters(delay, 100).ravel()
        assert h[8] == 1.0
        assert np.count_nonzero(h) == 1

    def test_noise_plays_no_part(self):
        innovation = random_innovation(np.random.default_rng(2), 3, 2, 2)
        plain = LinearSSM(innovation.A, innovation.B, innovation.C, innovation.D)
        assert np.array_equal(markov_parameters(innovation, 9), markov_parameters(plain, 9))

    def test_continuous_time_gives_the_derivatives_of_the_impulse_response(self):
        model = LinearSSM([[-2.0]], [[3.0]], [[1.0]], [[5.0]], dt=0.0)
        assert np.allclose(markov_parameters(model, 4).ravel(), [5.0, 3.0, -6.0, 12.0])

    def test_complex_coordinates_of_a_real_model(self):
        model = random_linear(np.random.default_rng(3), 4, 1, 2)
        eigenvalues, T = np.linalg.eig(model.A)
        modal = LinearSSM(np.diag(eigenvalues), np.linalg.solve(T, model.B), model.C @ T, model.D)
        np.testing.assert_allclose(
            markov_parameters(modal, 20), markov_parameters(model, 20), atol=1e-12
        )

    def test_stable_models_never_overflow(self):
        model = LinearSSM([[0.5, 1e8], [0.0, -0.5]], [[0.0], [1.0]], [[1.0, 0.0]])
        assert np.isfinite(markov_parameters(model, 100_000)).all()

    def test_overflow_is_refused(self):
        with pytest.raises(ValueError, match=r"`count` is too large .* overflow near number 102"):
            markov_parameters(LinearSSM([[2.0]], [[1.0]], [[1.0]]), 2000)

    @pytest.mark.parametrize("count", [0, -1])
    def test_count_below_one(self, count):
        with pytest.raises(ValueError, match="`count` must be at least 1"):
            markov_parameters(LinearSSM([[0.5]], [[1.0]], [[1.0]]), count)

    def test_kinds(self):
        with pytest.raises(TypeError, match="`count` must be an integer; got 2"):
            markov_parameters(LinearSSM([[0.5]], [[1.0]], [[1.0]]), 2.0)
        with pytest.raises(TypeError, match="`model` must be a LinearSSM or GaussianSSM or Inno"):
            markov_parameters(CovarianceModel([[0.5]], [[1.0]], [[1.0]], [[2.0]]), 2)


class TestAutocovariance:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(seeds, orders, channels, st.integers(0, 20))
    def test_is_that_of_the_joint_process(self, seed, n, p, lags):
        model = gaussian(seed, n, p)
        A, C = model.A, model.C
        P = state_covariance(A, model.Q)
        expected = [C @ P @ C.T + model.R]
        for k in range(1, lags + 1):
            x_next_y = A @ P @ C.T + model.S
            expected.append(C @ np.linalg.matrix_power(A, k - 1) @ x_next_y)
        found = autocovariance(model, lags)
        assert found.shape == (lags + 1, p, p)
        scale = 1 + np.abs(expected[0]).max() + np.linalg.norm(P) * np.linalg.norm(C) ** 2
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)

    def test_of_a_long_simulated_response_by_hand(self):
        # y_t = e_t + 0.5 e_(t-1): Lambda_0 = 1.25, Lambda_1 = 0.5, then zero
        model = InnovationSSM([[0.0]], [[1.0]], [[0.5]], [[1.0]])
        assert np.allclose(autocovariance(model, 3).ravel(), [1.25, 0.5, 0.0, 0.0])

    def test_lags_are_not_transposed(self):
        # the second output is the first one sample later: E[y1_(t+1) y0_t] = 1
        model = LinearSSM([[0.0]], [[1.0]], [[0.0], [1.0]], [[1.0], [0.0]])
        assert np.allclose(autocovariance(model, 1)[1], [[0.0, 0.0], [1.0, 0.0]])

    @pytest.mark.parametrize("p", [1, 3])
    def test_every_record_of_one_process_agrees(self, p):
        innovation = random_innovation(np.random.default_rng(4), 4, 2, p)
        cov = to_covariance(innovation)
        root = np.linalg.cholesky(innovation.Re)
        shaping = LinearSSM(innovation.A, innovation.K @ root, innovation.C, root)
        expected = autocovariance(innovation, 12)
        for other in (cov, to_gaussian(innovation), shaping):
            np.testing.assert_allclose(
                autocovariance(other, 12), expected, atol=1e-11 * np.abs(expected).max()
            )

    def test_inputs_play_no_part(self):
        model = random_innovation(np.random.default_rng(5), 3, 2, 2)
        without = replace(model, B=np.zeros((3, 0)), D=np.zeros((2, 0)))
        assert np.array_equal(autocovariance(model, 4), autocovariance(without, 4))

    def test_continuous_time_says_how_to_sample(self):
        model = GaussianSSM([[-1.0]], [[1.0]], [[1.0]], [[1.0]], dt=0.0)
        with pytest.raises(ValueError, match=r"autocovariance needs a discrete-time .*discretize"):
            autocovariance(model, 2)

    def test_unstable(self):
        model = InnovationSSM([[1.1]], [[1.0]], [[0.5]], [[1.0]])
        with pytest.raises(UnstableModelError, match="margin is -0") as error:
            autocovariance(model, 2)
        assert error.value.stability_margin == pytest.approx(-0.1)

    def test_kinds(self):
        model = InnovationSSM([[0.1]], [[1.0]], [[0.5]], [[1.0]])
        with pytest.raises(ValueError, match="`lags` must be at least 0; got -1"):
            autocovariance(model, -1)
        bilinear = BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]])
        with pytest.raises(TypeError, match=r"`model` must be a LinearSSM or .*got BilinearSSM"):
            autocovariance(bilinear, 3)


class TestSpectralDensity:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(seeds, orders, channels)
    def test_is_the_transform_of_the_autocovariance(self, seed, n, p):
        model = replace(gaussian(seed, n, p), dt=0.2)
        lags = autocovariance(model, 1200)  # slowest pole 0.95
        omega = np.array([-9.0, 0.0, 0.3, 4.0, np.pi / 0.2])
        waves = np.exp(-1j * np.outer(omega, 0.2 * np.arange(1, 1201)))
        half = np.tensordot(waves, lags[1:], axes=1)
        expected = lags[0] + half + np.swapaxes(half.conj(), 1, 2)
        scale = 1 + np.abs(lags).sum(axis=0).max()
        for record in (model, to_covariance(model)):
            found = spectral_density(record, omega)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(seeds, st.integers(1, 5), channels)
    def test_continuous_time(self, seed, n, p):
        rng = np.random.default_rng(seed)
        A = random_dynamics(rng, n) - np.eye(n)
        L = rng.standard_normal((n + p, n + p))
        joint = L @ L.T
        C = rng.standard_normal((p, n))
        model = GaussianSSM(A, C, joint[:n, :n], joint[n:, n:], joint[:n, n:], dt=0.0)
        omega = np.array([0.0, 0.7, -3.0, 50.0])
        for w, found in zip(omega, spectral_density(model, omega), strict=True):
            G = np.hstack([C @ np.linalg.inv(1j * w * np.eye(n) - A), np.eye(p)])
            expected = G @ joint @ G.conj().T
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
        found = spectral_density(to_covariance(model), omega)
        expected = spectral_density(model, omega)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())

    def test_of_a_shaping_filter(self):
        model = random_linear(np.random.default_rng(6), 3, 2, 2)
        omega = np.linspace(0, 3, 7)
        W = frequency_response(model, omega)
        expected = W @ np.swapaxes(W.conj(), 1, 2)
        np.testing.assert_allclose(spectral_density(model, omega), expected, atol=1e-12)

    def test_is_hermitian_and_semidefinite(self):
        density = spectral_density(gaussian(7, 4, 3), np.linspace(0, np.pi, 50))
        assert np.array_equal(density, np.swapaxes(density.conj(), 1, 2))
        values = np.linalg.eigvalsh(density)
        assert values.min() >= -1e-13 * values.max()

    def test_shapes_follow_omega(self):
        model = gaussian(8, 2, 3)
        assert spectral_density(model, 0.1).shape == (3, 3)
        assert spectral_density(model, np.zeros((4, 5))).shape == (4, 5, 3, 3)
        assert spectral_density(model, []).shape == (0, 3, 3)

    def test_noise_free(self):
        model = GaussianSSM([[0.5]], [[1.0]], [[0.0]], [[0.0]])
        assert np.array_equal(spectral_density(model, [0.0, 1.0]), np.zeros((2, 1, 1)))

    @pytest.mark.parametrize(("pole", "dt"), [(1.0, 1.0), (0.2, 0.0)])
    def test_unstable(self, pole, dt):
        model = InnovationSSM([[pole]], [[1.0]], [[0.5]], [[1.0]], dt=dt)
        with pytest.raises(UnstableModelError, match="spectral density exists for a stable model"):
            spectral_density(model, [0.1])

    def test_kinds(self):
        model = gaussian(9, 2, 1)
        with pytest.raises(TypeError, match="`omega` must be real angular frequencies"):
            spectral_density(model, [1j])
        with pytest.raises(ValueError, match="`omega` must be finite; found NaN"):
            spectral_density(model, [np.nan])
        with pytest.raises(TypeError, match="`model` must be a LinearSSM or"):
            spectral_density("model", [1.0])
