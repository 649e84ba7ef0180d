"""Sampling and its inverse: block exponentials, semigroup, round trips, refusals."""

from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics, random_linear

import realization.sampling
from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NotEmbeddable,
    autocovariance,
    continuize,
    discretize,
    innovation_form,
    markov_parameters,
    spectral_density,
    to_covariance,
)

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(0, 5)
channels = st.integers(1, 3)
steps = st.sampled_from([1e-3, 0.05, 0.4])


def continuous(seed, n, p, m=1, *, stable=True):
    """Return a random continuous-time GaussianSSM with correlated noise."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    if n and stable:
        A -= (np.linalg.eigvals(A).real.max() + 0.2) * np.eye(n)
    L = rng.standard_normal((n + p, n + p))
    joint = L @ L.T
    return GaussianSSM(
        A,
        rng.standard_normal((p, n)),
        joint[:n, :n],
        joint[n:, n:],
        joint[:n, n:],
        B=rng.standard_normal((n, m)),
        D=rng.standard_normal((p, m)),
        m0=rng.standard_normal(n),
        P0=None if stable else np.eye(n),
        dt=0.0,
    )


def assert_same(found, expected, tol):
    """Compare two records of one class field by field, relative to the largest entry."""
    assert type(found) is type(expected)
    for f in fields(expected):
        a, b = getattr(found, f.name), getattr(expected, f.name)
        if b is None or isinstance(b, float):
            assert a == b, f.name
        else:
            scale = np.abs(b).max(initial=0.0) or 1.0
            np.testing.assert_allclose(a, b, rtol=0, atol=tol * scale, err_msg=f.name)


def over_one_interval(model, h):
    """Return Phi, its input column and the noise covariance of [x; average of y] by Van Loan."""
    n, p, m = model.n_states, model.n_outputs, model.n_inputs
    F = np.zeros((n + p, n + p))
    F[:n, :n], F[n:, :n] = model.A, model.C
    W = np.block([[model.Q, model.S], [model.S.T, model.R]])
    zero = np.zeros_like(F)
    E = scipy.linalg.expm(np.block([[-F, W], [zero, F.T]]) * h)
    Phi = E[n + p :, n + p :].T
    noise = Phi @ E[: n + p, n + p :]
    G = np.zeros((n + p + m, n + p + m))
    G[: n + p, : n + p] = F
    G[: n + p, n + p :] = np.vstack([model.B, model.D])
    Gamma = scipy.linalg.expm(G * h)[: n + p, n + p :]
    unit = np.diag(np.concatenate([np.ones(n), np.full(p, 1 / h)]))
    return unit @ Phi, unit @ Gamma, unit @ noise @ unit


class TestDiscretize:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(seeds, orders, st.integers(0, 2), channels, st.floats(1e-3, 2.0))
    def test_linear_equals_scipy(self, seed, n, m, p, h):
        plain = random_linear(np.random.default_rng(seed), n, m, p)
        model = LinearSSM(plain.A - 0.5 * np.eye(n), plain.B, plain.C, plain.D, dt=0.0)
        sampled = discretize(model, h)
        Ad, Bd, *_ = scipy.signal.cont2discrete((model.A, model.B, model.C, model.D), h)
        np.testing.assert_allclose(sampled.A, Ad, rtol=0, atol=1e-13)
        np.testing.assert_allclose(
            sampled.B, Bd, rtol=0, atol=1e-13 * (1 + np.abs(Bd).max(initial=0))
        )
        assert np.array_equal(sampled.C, model.C)
        assert np.array_equal(sampled.D, model.D)
        assert sampled.dt == h

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(seeds, orders, channels, steps, st.booleans())
    def test_gaussian_equals_the_block_exponentials(self, seed, n, p, h, stable):
        model = continuous(seed, n, p, 2, stable=stable)
        sampled = discretize(model, h)
        Phi, Gamma, noise = over_one_interval(model, h)
        dynamics = np.vstack([sampled.A, sampled.C])
        inputs = np.vstack([sampled.B, sampled.D])
        found = np.block([[sampled.Q, sampled.S], [sampled.S.T, sampled.R]])
        for a, b in ((dynamics, Phi[:, :n]), (inputs, Gamma), (found, noise)):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * np.abs(b).max(initial=1.0))
        assert np.array_equal(sampled.m0, model.m0)

    @pytest.mark.parametrize("stable", [True, False])
    def test_two_short_intervals_make_a_long_one(self, stable):
        model = continuous(1, 3, 2, stable=stable)
        short, long = discretize(model, 0.1), discretize(model, 0.2)
        # over two short intervals: x2 = A x1 + w2, and y is the mean of y1 and y2
        A, C, B = short.A, short.C, short.B
        noise = np.block([[short.Q, short.S], [short.S.T, short.R]])
        first = np.block([[A, np.zeros((3, 2))], [C / 2, np.eye(2) / 2]])
        second = np.block([[np.eye(3), np.zeros((3, 2))], [np.zeros((2, 3)), np.eye(2) / 2]])
        expected = first @ noise @ first.T + second @ noise @ second.T
        found = np.block([[long.Q, long.S], [long.S.T, long.R]])
        np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())
        np.testing.assert_allclose(long.A, A @ A, atol=1e-14)
        np.testing.assert_allclose(long.B, A @ B + B, atol=1e-13)
        np.testing.assert_allclose(long.C, (C + C @ A) / 2, atol=1e-13)
        np.testing.assert_allclose(long.D, short.D + C @ B / 2, atol=1e-13)

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(seeds, orders, channels, steps)
    def test_commutes_with_to_covariance(self, seed, n, p, h):
        model = continuous(seed, n, p)
        a, b = to_covariance(discretize(model, h)), discretize(to_covariance(model), h)
        assert_same(a, b, 1e-10)

    def test_innovations_model_has_the_same_averages(self):
        model = continuous(2, 4, 2)
        expected = autocovariance(discretize(model, 0.3), 8)
        innovation = discretize(innovation_form(model), 0.3)
        assert isinstance(innovation, InnovationSSM)
        found = autocovariance(innovation, 8)
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())
        loop = np.linalg.eigvals(innovation.A - innovation.K @ innovation.C)
        assert np.abs(loop).max() < 1.0

    def test_spectrum_of_averages_approaches_that_of_the_process(self):
        model = continuous(3, 2, 1)
        omega = np.array([0.0, 0.5])
        h = 1e-3
        found = h * spectral_density(discretize(model, h), omega)
        expected = spectral_density(model, omega)
        # folding and the averaging filter change it by O((omega h)^2 + h |tail|)
        np.testing.assert_allclose(found, expected, rtol=1e-3)

    def test_the_stationary_variance_of_the_state_is_kept(self):
        model = continuous(4, 4, 1)
        P = scipy.linalg.solve_continuous_lyapunov(model.A, -model.Q)
        sampled = discretize(model, 0.7)
        error = sampled.A @ P @ sampled.A.T + sampled.Q - P
        assert np.abs(error).max() < 1e-12 * np.abs(P).max()
        assert sampled.P0 is None

    def test_initial_law_is_carried(self):
        model = continuous(5, 3, 1, stable=False)
        assert np.array_equal(discretize(model, 0.1).P0, np.eye(3))
        start = replace(innovation_form(continuous(5, 3, 1)), x0=[1.0, 2.0, 3.0])
        assert np.array_equal(discretize(start, 0.1).x0, [1.0, 2.0, 3.0])

    def test_point_samples_with_a_sensor_noise_of_their_own(self):
        model, h = continuous(9, 3, 2), 0.25
        sampled = discretize(model, h)
        points = replace(sampled, C=model.C, D=model.D, R=np.eye(2), S=0 * sampled.S)
        P = scipy.linalg.solve_continuous_lyapunov(model.A, -model.Q)
        found = autocovariance(points, 4)
        for k in range(5):
            expected = model.C @ scipy.linalg.expm(model.A * h * k) @ P @ model.C.T
            expected = expected + np.eye(2) * (k == 0)
            np.testing.assert_allclose(found[k], expected, atol=1e-11 * np.abs(found).max())

    @pytest.mark.parametrize("h", [1e-9, 2.0, 400.0])
    def test_stiff(self, h):
        model = GaussianSSM(np.diag([-400.0, -1.0]), [[1, 1]], np.eye(2), [[1.0]], dt=0.0)
        sampled = discretize(model, h)
        expected = -np.expm1(-2 * h * np.array([400.0, 1.0])) / [800.0, 2.0]
        np.testing.assert_allclose(np.diag(sampled.Q), expected, rtol=1e-10)
        assert np.isfinite(sampled.R).all()

    def test_random_walk_and_integrated_white_noise(self):
        A = [[0.0, 1.0], [0.0, 0.0]]
        model = GaussianSSM(A, [[1.0, 0.0]], np.diag([0, 1.0]), [[0.0]], P0=np.eye(2), dt=0.0)
        h = 0.5
        sampled = discretize(model, h)
        np.testing.assert_allclose(sampled.A, [[1, h], [0, 1]], atol=1e-16)
        np.testing.assert_allclose(sampled.Q, [[h**3 / 3, h**2 / 2], [h**2 / 2, h]], rtol=1e-14)
        np.testing.assert_allclose(sampled.R, [[h**3 / 20]], rtol=1e-13)  # var of the mean position
        np.testing.assert_allclose(sampled.S, [[h**3 / 8], [h**2 / 6]], rtol=1e-13)

    def test_white_noise_averages_to_intensity_over_time(self):
        model = GaussianSSM(np.zeros((0, 0)), np.zeros((1, 0)), np.zeros((0, 0)), [[3.0]], dt=0.0)
        assert pytest.approx(30.0) == discretize(model, 0.1).R

    @pytest.mark.parametrize("unit", [1e-12, 1e9])
    def test_units_of_the_output_do_not_matter(self, unit):
        model = continuous(6, 3, 1)
        scaled = GaussianSSM(
            model.A, unit * model.C, model.Q, unit**2 * model.R, unit * model.S, dt=0.0
        )
        a, b = discretize(model, 0.1), discretize(scaled, 0.1)
        np.testing.assert_allclose(b.R, unit**2 * a.R, rtol=1e-13)
        np.testing.assert_allclose(b.Q, a.Q, rtol=1e-13, atol=1e-15)

    def test_complex_coordinates(self):
        model = continuous(7, 4, 2)
        eigenvalues, T = np.linalg.eig(model.A)
        Ti = np.linalg.inv(T)
        modal = GaussianSSM(
            np.diag(eigenvalues),
            model.C @ T,
            Ti @ model.Q @ Ti.conj().T,
            model.R,
            Ti @ model.S,
            B=Ti @ model.B,
            D=model.D,
            dt=0.0,
        )
        a, b = discretize(model, 0.2), discretize(modal, 0.2)
        np.testing.assert_allclose(T @ b.Q @ T.conj().T, a.Q, atol=1e-11)
        np.testing.assert_allclose(b.R, a.R, atol=1e-11)
        np.testing.assert_allclose(markov_parameters(b, 9), markov_parameters(a, 9), atol=1e-11)

    @pytest.mark.parametrize(
        "model",
        [
            LinearSSM([[800.0]], [[1.0]], [[1.0]], dt=0.0),
            GaussianSSM([[800.0]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]], dt=0.0),
        ],
    )
    def test_growth_past_the_largest_float(self, model):
        with pytest.raises(ValueError, match=r"`dt` is too long for .* grows by exp\(800\)"):
            discretize(model, 1.0)

    def test_a_singular_innovation_covariance_is_refused(self):
        model = InnovationSSM([[-1.0]], [[1.0]], [[0.0]], [[0.0]], dt=0.0)
        with pytest.raises(AccuracyError, match="Riccati"):
            discretize(model, 0.1)

    def test_calls(self):
        model = continuous(8, 1, 1)
        with pytest.raises(ValueError, match="`dt` must be finite and above 0; got 0"):
            discretize(model, 0)
        with pytest.raises(TypeError, match="`dt` must be a real number"):
            discretize(model, "0.1")
        with pytest.raises(ValueError, match=r"continuous-time model .* has dt = 0\.1.*continuize"):
            discretize(discretize(model, 0.1), 0.2)
        bilinear = BilinearSSM([[-0.5]], [[[0.1]]], [[1.0]], [[1.0]], dt=0.0)
        with pytest.raises(TypeError, match="`model` must be a linear record: the exact step of a"):
            discretize(bilinear, 0.1)
        with pytest.raises(TypeError, match="`model` must be a LinearSSM or"):
            discretize("model", 0.1)


class TestContinuize:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(seeds, orders, channels, steps, st.booleans())
    def test_undoes_discretize(self, seed, n, p, h, stable):
        gaussian = continuous(seed, n, p, 2, stable=stable)
        linear = LinearSSM(gaussian.A, gaussian.B, gaussian.C, gaussian.D, dt=0.0)
        models = [gaussian, linear]
        if stable:
            models += [to_covariance(gaussian)]
        for model in models:
            assert_same(continuize(discretize(model, h)), model, 1e-11 / h)

    @pytest.mark.parametrize("seed", range(5))
    def test_undoes_discretize_for_innovations_models(self, seed):
        model = innovation_form(continuous(seed, 3, 2, 2))
        assert_same(continuize(discretize(model, 0.2)), model, 1e-10)

    def test_an_innovations_model_with_an_integrator(self):
        A = np.array([[0.0, 1.0], [0.0, -0.5]])
        model = InnovationSSM(A, [[1.0, 0.0]], [[1.0], [0.5]], [[2.0]], dt=0.0)
        assert_same(continuize(discretize(model, 0.2)), model, 1e-10)

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(seeds, st.integers(1, 5), channels)
    def test_discretize_undoes_it(self, seed, n, p):
        rng = np.random.default_rng(seed)
        model = replace(random_linear(rng, n, 2, p), dt=0.3)
        try:
            there = continuize(model)
        except NotEmbeddable:
            assert (np.linalg.eigvals(model.A).real < 0).any()
            return
        assert there.dt == 0.0
        assert_same(discretize(there, 0.3), model, 1e-9)

    def test_stiff(self):
        model = GaussianSSM(np.diag([-25.0, -0.1]), np.eye(2), np.eye(2), np.eye(2), dt=0.0)
        assert_same(continuize(discretize(model, 1.0)), model, 1e-9)

    def test_scalar_closed_form(self):
        model = GaussianSSM([[0.5]], [[0.0]], [[3.0]], [[1.0]], dt=0.1)
        found = continuize(model)
        rate = np.log(2.0) / 0.1
        assert pytest.approx(-rate) == found.A
        assert pytest.approx(2 * rate * 3.0 / (1 - 0.25)) == found.Q
        assert pytest.approx(0.1) == found.R

    def test_noise_free_output_stays_noise_free(self):
        model = GaussianSSM([[-1.0]], [[1.0]], [[1.0]], [[0.0]], dt=0.0)
        back = continuize(discretize(model, 0.1))
        assert abs(back.R[0, 0]) < 1e-14
        assert np.linalg.eigvalsh(np.block([[back.Q, back.S], [back.S.T, back.R]])).min() > -1e-15

    def test_badly_scaled_state(self):
        model = LinearSSM([[0.5, 1e12], [-1e-13, 0.6]], [[1e6], [1.0]], [[1e-6, 1.0]], dt=0.1)
        h = markov_parameters(discretize(continuize(model), 0.1), 20)
        np.testing.assert_allclose(h, markov_parameters(model, 20), rtol=1e-10)

    def test_complex_models_may_have_negative_poles(self):
        model = LinearSSM([[-0.5 + 0j]], [[1.0]], [[1.0]], dt=0.1)
        assert pytest.approx(10 * (np.log(0.5) + 1j * np.pi)) == continuize(model).A

    @pytest.mark.parametrize(
        ("A", "message"),
        [
            ([[0.0, 1.0], [0.0, 0.0]], "`A` must be invertible .* singular value is 0"),
            (np.eye(8, k=-1), "`A` must be invertible"),
            ([[-0.5]], "`A` must have no negative real eigenvalue .* it has -0.5"),
            (np.diag([0.9, -0.2]), "no real logarithm"),
            (-0.5 * np.eye(2), "oscillation at the Nyquist frequency"),
        ],
    )
    def test_no_real_logarithm(self, A, message):
        n = len(A)
        with pytest.raises(NotEmbeddable, match=message) as error:
            continuize(LinearSSM(A, np.ones((n, 1)), np.ones((1, n))))
        assert error.value.violation == np.inf

    def test_a_state_without_continuous_noise(self):
        # rotating fast, driven in one direction only: no white noise of constant intensity does it
        A = 0.9 * np.array([[np.cos(2), np.sin(2)], [-np.sin(2), np.cos(2)]])
        model = GaussianSSM(A, [[1.0, 0.0]], np.diag([1.0, 0.0]), [[1.0]])
        with pytest.raises(NotEmbeddable, match="model with this state has these") as error:
            continuize(model)
        assert 0 < error.value.violation <= 1

    def test_a_state_that_another_choice_saves(self):
        process = discretize(continuous(1, 2, 1), 0.2)
        gain = innovation_form(process)
        state_known = GaussianSSM(
            gain.A, gain.C, gain.K @ gain.Re @ gain.K.T, gain.Re, gain.K @ gain.Re, dt=0.2
        )
        with pytest.raises(NotEmbeddable, match="its noise intensity would have an"):
            continuize(state_known)
        found = continuize(innovation_form(state_known))
        expected = autocovariance(process, 6)
        np.testing.assert_allclose(
            autocovariance(discretize(found, 0.2), 6), expected, atol=1e-10 * expected.max()
        )

    def test_outputs_that_vary_too_little(self):
        for model in (
            InnovationSSM([[0.5]], [[1.0]], [[1.2]], [[1.0]]),
            CovarianceModel([[0.5]], [[1.0]], [[0.9]], [[1.0]]),
        ):
            with pytest.raises(NotEmbeddable, match="not the averages of a continuous") as error:
                continuize(model)
            assert 0 < error.value.violation <= 1

    def test_an_indefinite_continuous_spectrum(self):
        # white part fine, but the spectrum of the continuous-time process would dip below zero
        A = 0.6 * np.array([[np.cos(1.0), np.sin(1.0)], [-np.sin(1.0), np.cos(1.0)]])
        model = InnovationSSM(A, [[1.0, 0.0]], [[-1.0], [0.5]], [[1.0]])
        with pytest.raises(NotEmbeddable, match="its spectral density would have an") as error:
            continuize(model)
        assert 0 < error.value.violation <= 1

    def test_an_inaccurate_logarithm_is_caught(self, monkeypatch):
        monkeypatch.setattr(realization.sampling.scipy.linalg, "logm", lambda A: A)
        with pytest.raises(AccuracyError, match="The logarithm of `A`, taken to") as error:
            continuize(LinearSSM([[0.5]], [[1.0]], [[1.0]]))
        assert error.value.residual > 1e-8

    def test_calls(self):
        model = continuous(1, 1, 1)
        with pytest.raises(ValueError, match="continuize needs a discrete-time model"):
            continuize(model)
        with pytest.raises(TypeError, match="continuize needs real matrices in a stochastic model"):
            continuize(InnovationSSM([[0.5j]], [[1.0]], [[0.1]], [[1.0]]))
        with pytest.raises(TypeError, match="`model` must be a LinearSSM or"):
            continuize(np.eye(2))


def test_order_64_in_good_time():
    rng = np.random.default_rng(0)
    A = scipy.linalg.logm(random_dynamics(rng, 1) ** 2) * np.eye(64) / 0.2
    A = A + 0.1 * rng.standard_normal((64, 64))
    L = rng.standard_normal((68, 68))
    joint = L @ L.T
    model = GaussianSSM(
        A,
        rng.standard_normal((4, 64)),
        joint[:64, :64],
        joint[64:, 64:],
        joint[:64, 64:],
        P0=np.eye(64),
        dt=0.0,
    )
    assert_same(continuize(discretize(model, 0.1)), model, 1e-9)


@pytest.mark.parametrize("size", [1e-200, 1e-12])
def test_fast_poles_have_a_logarithm(size):
    model = LinearSSM(size * np.eye(2), np.ones((2, 1)), np.ones((1, 2)))
    np.testing.assert_allclose(continuize(model).A, np.log(size) * np.eye(2), rtol=1e-14)


def test_a_badly_scaled_state_is_sampled():
    model = LinearSSM([[0.5, 1e60], [0.0, 0.3]], np.ones((2, 1)), np.ones((1, 2)))
    corner = 1e60 * (np.log(0.5) - np.log(0.3)) / 0.2  # of the logarithm of a triangular matrix
    assert continuize(model).A[0, 1] == pytest.approx(corner, rel=1e-13)


def test_tiny_dynamics_have_a_logarithm():
    A = np.array([[0.5, 0.2], [-0.2, 0.7]])
    tiny = continuize(LinearSSM(1e-300 * A, [[1.0], [1.0]], [[1.0, 0.0]]))
    plain = continuize(LinearSSM(A, [[1.0], [1.0]], [[1.0, 0.0]]))
    np.testing.assert_allclose(tiny.A, plain.A - 300 * np.log(10) * np.eye(2), rtol=1e-12)


def test_a_random_walk_in_noise_is_continuized():
    walk = InnovationSSM([[1.0]], [[1.0]], [[0.5]], [[1.0]])
    back = discretize(continuize(walk), 1.0)
    np.testing.assert_allclose([back.A[0, 0], back.K[0, 0], back.Re[0, 0]], [1.0, 0.5, 1.0])


@pytest.mark.parametrize(("noise", "gain"), [(1e300, 1.0), (1e-300, 1.0), (1.0, 1e-300)])
def test_noise_in_extreme_units_is_sampled_and_taken_back(noise, gain):
    A, C, S = [[0.8, 0.2], [-0.1, 0.7]], np.array([[1.0, 0.5]]), np.array([[0.2], [0.1]])
    Q, R = np.eye(2), np.eye(1)
    plain = continuize(GaussianSSM(A, C, Q, R, S))
    if gain == 1.0:
        found = continuize(GaussianSSM(A, C, noise * Q, noise * R, noise * S))
        np.testing.assert_allclose(found.Q / noise, plain.Q, rtol=1e-10)
        np.testing.assert_allclose(found.S / noise, plain.S, rtol=1e-10)
        np.testing.assert_allclose(found.R / noise, plain.R, rtol=1e-10)
    else:  # what the outputs do not see of the state leaves their own noise
        found = continuize(GaussianSSM(A, gain * C, noise * Q, noise * R))
        np.testing.assert_allclose(found.R, R, rtol=1e-12)
        np.testing.assert_allclose(found.Q, plain.Q, rtol=1e-10)
    again = discretize(found, 1.0)
    np.testing.assert_allclose(again.Q / noise, Q, atol=1e-10)
    np.testing.assert_allclose(again.R / noise, R, atol=1e-10)
