"""Other speeds at the same stationary law, what has none, and the distance to the reverse."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from gaussian_paths import random_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process

from diffusion import irreversibility, retime, reverse
from realization import (
    CovarianceModel,
    GaussianSSM,
    LinearSSM,
    NotEmbeddable,
    NumericalWarning,
    UnstableModelError,
    autocovariance,
    discretize,
    spectral_density,
    to_covariance,
)
from realization.internal import solve_lyapunov

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(0, 4)
channels = st.integers(1, 3)


def sampled(seed, n, p, *, S=False):
    """Return the samples of a continuous-time model: every speed exists."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    if n:
        A -= (np.linalg.eigvals(A).real.max() + 0.3) * np.eye(n)
    G, F = rng.standard_normal((n, n)), rng.standard_normal((p, p))
    model = GaussianSSM(A, np.zeros((p, n)), G @ G.T, np.eye(p), dt=0.0)
    model = discretize(model, 0.2)
    deviation = np.sqrt(np.linalg.eigvalsh(model.Q).min(initial=1.0)) * np.linalg.norm(F, -2)
    cross = 0.3 * deviation * np.linalg.qr(rng.standard_normal((n + p, p)))[0][:n] if S else None
    return GaussianSSM(model.A, rng.standard_normal((p, n)), model.Q, F @ F.T, cross)


def assert_same_model(found, expected, tol=1e-10):
    """Compare in the state coordinates, which retime keeps."""
    for name in ("A", "C", "Q", "R", "S"):
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=tol * max(1.0, np.abs(b).max(initial=0.0)))


class TestRetime:
    @SETTINGS
    @given(seeds, orders, channels, st.integers(1, 7))
    def test_whole_speed_keeps_every_kth_output(self, seed, n, p, k):
        model = random_gaussian(seed, n, p, "stationary")
        lags = autocovariance(model, 3 * k)[::k]
        found = autocovariance(retime(model, k), 3)
        np.testing.assert_allclose(found, lags, rtol=0, atol=1e-10 * np.abs(lags).max())

    def test_whole_speed_of_an_unstable_model(self):
        model = GaussianSSM([[1.1]], [[1.0]], [[1.0]], [[1.0]], [[0.3]], P0=[[2.0]], m0=[1.0])
        fast = retime(model, 3)
        np.testing.assert_allclose(fast.A, 1.1**3)
        np.testing.assert_allclose(fast.Q, 1 + 1.1**2 + 1.1**4)
        np.testing.assert_allclose(fast.S, 1.1**2 * 0.3)
        assert np.array_equal(fast.P0, model.P0)

    @SETTINGS
    @given(seeds, orders, channels, st.sampled_from([0.5, 0.2, 0.25]))
    def test_slow_steps_compose_to_the_original(self, seed, n, p, h):
        model = sampled(seed, n, p)
        slow = retime(model, h)
        assert_same_model(retime(slow, round(1 / h)), model, tol=1e-9)
        law = [solve_lyapunov(m.A, m.Q, dt=1.0) for m in (slow, model)]
        np.testing.assert_allclose(*law, rtol=0, atol=1e-9 * np.abs(law[1]).max(initial=1.0))

    @SETTINGS
    @given(seeds, st.integers(1, 3))
    def test_speeds_multiply(self, seed, n):
        model = sampled(seed, n, 2, S=True)
        a = retime(retime(model, 1.7, nearest=True), 2)
        assert_same_model(a, retime(model, 3.4), tol=1e-9)

    def test_a_tiny_speed_keeps_its_digits(self):
        model = sampled(0, 3, 1)
        h = 1e-7
        slow = retime(model, h)
        P = solve_lyapunov(model.A, model.Q, dt=1.0)
        F = scipy.linalg.logm(model.A)
        np.testing.assert_allclose(slow.Q / h, -(F @ P + P @ F.T), rtol=0, atol=1e-6)

    @SETTINGS
    @given(seeds, orders, channels, st.sampled_from([1, 2, 0.5]))
    def test_negative_speed_is_the_reverse(self, seed, n, p, k):
        model = sampled(seed, n, p)
        assert_same_model(retime(model, -k), reverse(retime(model, k)))
        lags = autocovariance(retime(model, k), 4)
        found = autocovariance(retime(model, -k), 4)
        tol = 1e-9 * np.abs(lags).max()
        np.testing.assert_allclose(found, np.swapaxes(lags, 1, 2), rtol=0, atol=tol)

    @pytest.mark.parametrize("speed", [2.0, 0.3, -1.5])
    def test_continuous_time_scales_frequency(self, speed):
        process = random_process(np.random.default_rng(1), 3, 2, dt=0.0)
        fast, omega = retime(process, speed), np.linspace(-2, 2, 5)
        # the density of y(ht) is that of y at omega / h, divided by |h|
        expected = spectral_density(process, omega / speed) / abs(speed)
        np.testing.assert_allclose(spectral_density(fast, omega), expected, rtol=1e-9)

    def test_takes_processes_without_a_gaussian_state(self):
        cov = to_covariance(random_process(np.random.default_rng(3), 2, 2))
        lags = autocovariance(cov, 4)[::2]
        np.testing.assert_allclose(autocovariance(retime(cov, 2), 2), lags, atol=1e-9)

    def test_singular_state_covariance(self):
        A = scipy.linalg.expm(0.3 * np.array([[-1.0, 0.4], [0.0, -0.5]]))
        model = GaussianSSM(A, np.eye(2), np.diag([1.0, 0.0]), np.zeros((2, 2)))
        slow = retime(model, 0.5)
        np.testing.assert_allclose(slow.A @ slow.A, A, atol=1e-14)
        np.testing.assert_allclose(slow.Q[0, 0] * (1 + slow.A[0, 0] ** 2), 1.0, rtol=1e-12)
        assert not slow.Q[1].any()

    def test_delay_has_no_fraction(self):
        model = GaussianSSM([[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0]], np.diag([0.0, 1.0]), [[1.0]])
        for nearest in (False, True):
            with pytest.raises(NotEmbeddable, match=r"speed 0\.5.*must be invertible") as error:
                retime(model, 0.5, nearest=nearest)
            assert error.value.violation == np.inf
        assert not retime(model, 2).A.any()

    def test_negative_pole_has_no_fraction(self):
        model = GaussianSSM([[-0.5]], [[1.0]], [[1.0]], [[1.0]])
        with pytest.raises(NotEmbeddable, match="negative real eigenvalue"):
            retime(model, 0.5)
        np.testing.assert_allclose(retime(model, 2).A, 0.25)

    @pytest.mark.parametrize("speed", [0.5, -0.5])
    def test_noise_that_cannot_be_divided(self, speed):
        A = scipy.linalg.expm([[-0.2, 1.0], [-1.0, -0.2]])
        model = GaussianSSM(A, np.eye(2), np.diag([1.0, 0.0]), np.eye(2))
        with pytest.raises(NotEmbeddable, match=r"no process at speed 0\.5") as error:
            retime(model, speed)
        assert 0.01 < error.value.violation < 1
        with pytest.warns(NumericalWarning, match="stationary covariance grows by up to"):
            near = retime(model, speed, nearest=True)
        before, after = (solve_lyapunov(m.A, m.Q, dt=1.0) for m in (model, near))
        growth = scipy.linalg.eigvalsh(after, before) - 1
        assert growth.min() > -1e-9
        assert 0.001 < growth.max() < 1

    def test_the_nearest_noise_is_the_projection(self):
        A = scipy.linalg.expm([[-0.2, 1.0], [-1.0, -0.2]])
        model = GaussianSSM(A, np.eye(2), np.diag([1.0, 0.0]), np.eye(2))
        with pytest.warns(NumericalWarning):
            near = retime(model, 0.5, nearest=True)
        P = solve_lyapunov(A, model.Q, dt=1.0)
        needed = P - near.A @ P @ near.A.T
        L = np.linalg.cholesky(P)
        gap = np.linalg.solve(L, np.linalg.solve(L, near.Q - needed).T)
        values = np.linalg.eigvalsh(np.linalg.solve(L, np.linalg.solve(L, needed).T))
        np.testing.assert_allclose(np.linalg.eigvalsh(gap), [0.0, -values[0]], atol=1e-12)
        assert np.linalg.eigvalsh(near.Q)[0] > -1e-14

    def test_refusals(self):
        model = random_gaussian(0, 2, 1, "stationary")
        with pytest.raises(ValueError, match="`speed` must not be zero"):
            retime(model, 0)
        with pytest.raises(ValueError, match="`speed` must be finite"):
            retime(model, np.inf)
        with pytest.raises(TypeError, match="`speed` must be a real number"):
            retime(model, "2")
        with pytest.raises(ValueError, match="`model` must have no inputs"):
            retime(replace(model, B=np.ones((2, 1)), D=[[0.0]]), 2)
        with pytest.raises(TypeError, match="`model` must be a CovarianceModel"):
            retime(LinearSSM([[0.5]], [[1.0]], [[1.0]]), 2)
        with pytest.raises(UnstableModelError):
            retime(GaussianSSM([[1.1]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]]), 0.5)


class TestIrreversibility:
    @SETTINGS
    @given(seeds, orders, st.integers(2, 3))
    def test_is_the_maximum_over_lags(self, seed, n, p):
        model = random_gaussian(seed, n, p, "stationary")
        lags = autocovariance(model, 400)
        gaps = np.linalg.norm(lags - np.swapaxes(lags, 1, 2), axis=(1, 2))
        expected = gaps.max() / np.linalg.norm(lags[0])
        assert irreversibility(model) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        cov = to_covariance(model)
        assert irreversibility(cov) == pytest.approx(
            irreversibility(reverse(cov)), rel=1e-7, abs=1e-12
        )

    def test_the_maximum_may_come_late(self):
        """Two slow poles whose difference cancels at first: 0.999^k - 0.99^k, largest near 250."""
        A, C = np.diag([0.999, 0.99]), np.array([[1.0, 1.0], [0.0, 0.0]])
        N = np.array([[0.0, 1.0], [0.0, -1.0]])
        model = CovarianceModel(A, C, N, 50 * np.eye(2))
        lags = autocovariance(model, 2000)
        gaps = np.linalg.norm(lags - np.swapaxes(lags, 1, 2), axis=(1, 2))
        assert gaps.argmax() > 200
        assert irreversibility(model) == pytest.approx(gaps.max() / np.linalg.norm(lags[0]))

    @pytest.mark.parametrize(("noise", "gain"), [(1e-300, 1.0), (1e150, 1.0), (1.0, 1e150)])
    def test_units_do_not_matter(self, noise, gain):
        A, eye = np.array([[0.8, 0.2], [-0.1, 0.7]]), np.eye(2)
        plain = irreversibility(GaussianSSM(A, eye, eye, 0 * eye))
        assert plain > 0.1
        found = irreversibility(GaussianSSM(A, gain * eye, noise * eye, 0 * eye))
        assert found == pytest.approx(plain, rel=1e-9)

    def test_zero_where_there_is_no_direction(self):
        assert irreversibility(random_gaussian(1, 3, 1, "stationary")) == 0.0
        noise = np.zeros((2, 2))
        assert irreversibility(GaussianSSM(noise, noise, noise, noise)) == 0.0
        symmetric = GaussianSSM(np.diag([0.9, 0.5]), np.eye(2), np.eye(2), np.eye(2))
        assert irreversibility(symmetric) == 0.0

    def test_refusals(self):
        with pytest.raises(ValueError, match="continuous time"):
            irreversibility(random_process(np.random.default_rng(0), 2, 2, dt=0.0))
        with pytest.raises(TypeError, match="`model` must be a CovarianceModel"):
            irreversibility(LinearSSM([[0.5]], [[1.0]], [[1.0]]))
