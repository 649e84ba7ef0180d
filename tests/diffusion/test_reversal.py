"""Backward models: the whole path's covariance, whiteness, double reversal, likelihood."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from bilinear_systems import random_bilinear
from gaussian_paths import KINDS, backward_covariance, forward_covariance, random_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process
from systems import random_dynamics

from diffusion import BackwardSSM, backward_model, reverse
from diffusion._whitening import run_filter, whiten
from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    autocovariance,
    load,
    log_likelihood,
    maximal_covariance,
    minimal_covariance,
    save,
    simulate,
    spectral_density,
    to_covariance,
)
from realization.internal import initial_moments, solve_lyapunov

EPS = np.finfo(float).eps
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(0, 5)
channels = st.integers(1, 3)
kinds = st.sampled_from(KINDS)


def relative(found, expected):
    """Return the largest difference relative to the largest entry."""
    return np.abs(found - expected).max(initial=0.0) / np.abs(expected).max(initial=1e-300)


class TestBackwardModel:
    @SETTINGS
    @given(seeds, orders, channels, kinds, st.integers(0, 6))
    def test_whole_path_has_the_same_covariance(self, seed, n, p, kind, T):
        model = random_gaussian(seed, n, p, kind)
        backward = backward_model(model, steps=T)
        found, expected = backward_covariance(backward, T), forward_covariance(model, T)
        assert relative(found, expected) < 1e-12
        m = [np.linalg.matrix_power(model.A, t) @ model.m0 for t in range(T + 1)]
        np.testing.assert_allclose(backward.m, m, atol=1e-12)
        np.testing.assert_allclose(backward.mu, backward.m[:-1] @ model.C.T, atol=1e-12)

    @pytest.mark.parametrize("scale", [1e-8, 1e8])
    def test_badly_scaled_states(self, scale):
        model = random_gaussian(3, 4, 2)
        T = np.diag([1.0, scale, 1.0, scale**-0.5])
        moved = GaussianSSM(
            np.linalg.solve(T, model.A @ T),
            model.C @ T,
            np.linalg.solve(T, np.linalg.solve(T, model.Q).T),
            model.R,
            np.linalg.solve(T, model.S),
            P0=np.linalg.solve(T, np.linalg.solve(T, model.P0).T),
        )
        a, b = backward_model(model, steps=5), backward_model(moved, steps=5)
        assert relative(T @ b.J @ np.linalg.inv(T), a.J) < 1e-12
        both = np.diag([*np.diag(T), 1.0, 1.0])
        assert relative(both @ b.covariance @ both, a.covariance) < 1e-12

    def test_unstable_and_noiseless_dynamics(self):
        rng = np.random.default_rng(0)
        A = np.linalg.qr(rng.standard_normal((3, 3)))[0] * 1.2
        model = GaussianSSM(A, np.eye(3)[:2], np.zeros((3, 3)), np.eye(2), P0=np.eye(3))
        backward = backward_model(model, steps=8)
        assert relative(backward_covariance(backward, 8), forward_covariance(model, 8)) < 1e-12
        np.testing.assert_allclose(backward.J[0], np.linalg.inv(A), atol=1e-14)

    @SETTINGS
    @given(seeds, st.integers(1, 4), channels, st.sampled_from(["stationary", "full"]))
    def test_equations_of_the_text(self, seed, n, p, kind):
        model = random_gaussian(seed, n, p, kind)
        backward = backward_model(model, steps=4)
        P = initial_moments(model)[1]
        Sigma = np.block([[model.Q, model.S], [model.S.T, model.R]])
        for t in range(4):
            following = model.A @ P @ model.A.T + model.Q
            N = model.A @ P @ model.C.T + model.S
            G = np.vstack([P @ model.A.T, N.T]) @ scipy.linalg.pinvh(following)
            found = np.vstack([backward.J[t], backward.H[t]])
            tol = 1e3 * EPS * np.linalg.cond(following) * np.abs(G).max()
            np.testing.assert_allclose(found, G, rtol=0, atol=tol)
            Z = np.vstack([np.eye(n), model.C])
            E = np.block([[-G[:n], np.zeros((n, p))], [-G[n:], np.eye(p)]])
            joseph = (Z - G @ model.A) @ P @ (Z - G @ model.A).T + E @ Sigma @ E.T
            np.testing.assert_allclose(backward.covariance[t], joseph, rtol=0, atol=tol)
            P = following

    @SETTINGS
    @given(seeds, orders, channels)
    def test_stationary_model(self, seed, n, p):
        model = random_gaussian(seed, n, p, "stationary")
        backward = backward_model(model)
        assert backward.steps is None
        found, expected = backward_covariance(backward, 5), forward_covariance(model, 5)
        assert relative(found, expected) < 1e-11
        # reversal is not inversion: the same poles, not their inverses
        ours, theirs = (np.poly(M) if n else np.ones(1) for M in (backward.J, model.A))
        np.testing.assert_allclose(ours, theirs, atol=1e-7)

    def test_stationary_ignores_the_initial_state(self):
        model = random_gaussian(1, 3, 2, "stationary")
        started = replace(model, P0=np.eye(3), m0=np.ones(3))
        a, b = backward_model(model), backward_model(started)
        assert np.array_equal(a.J, b.J)
        assert not b.m.any()

    def test_unreachable_states(self):
        A = np.array([[0.5, 0.2], [0.0, 0.7]])
        model = GaussianSSM(A, [[1.0, 1.0]], np.diag([1.0, 0.0]), [[1.0]])
        backward = backward_model(model)
        assert relative(backward_covariance(backward, 4), forward_covariance(model, 4)) < 1e-13
        np.testing.assert_allclose(backward.J, [[0.5, 0.0], [0.0, 0.0]], atol=1e-14)

    @SETTINGS
    @given(seeds, st.integers(0, 3), st.integers(1, 2), st.booleans())
    def test_known_inputs(self, seed, n, m, bilinear):
        rng = np.random.default_rng(seed)
        process = random_process(rng, n, 2, m)
        u = rng.standard_normal((5, m))
        N = 0.3 * rng.standard_normal((m, n, n)) * bilinear
        A, B, C, D, K, Re = (getattr(process, name) for name in ("A", "B", "C", "D", "K", "Re"))
        model = BilinearSSM(A, N, B, C, D, K=K, Re=Re, x0=process.x0) if bilinear else process
        backward = backward_model(model, u)
        x, P = process.x0, np.zeros((n, n))
        for t in range(5):
            At = A + np.tensordot(u[t], N, axes=1)
            np.testing.assert_allclose(backward.m[t], x, atol=1e-12)
            np.testing.assert_allclose(backward.mu[t], C @ x + D @ u[t], atol=1e-12)
            J, V = backward.J[t], backward.covariance[t]
            following = At @ P @ At.T + K @ Re @ K.T
            scale = max(np.abs(following).max(initial=0.0), 1.0)
            np.testing.assert_allclose(J @ following, P @ At.T, atol=1e-12 * scale)
            cross = At @ P @ C.T + K @ Re
            np.testing.assert_allclose(backward.H[t] @ following, cross.T, atol=1e-12 * scale)
            whole = np.block([[P, P @ C.T], [C @ P, C @ P @ C.T + Re]])
            G = np.vstack([J, backward.H[t]])
            np.testing.assert_allclose(V + G @ following @ G.T, whole, atol=1e-11 * scale)
            x, P = At @ x + B @ u[t], following
        np.testing.assert_allclose(
            backward.P_end, P, atol=1e-12 * max(1.0, np.abs(P).max(initial=0))
        )

    @pytest.mark.parametrize("driven", [True, False])
    def test_bilinear_with_white_inputs_in_the_wide_sense(self, driven):
        """Second moments over all 2^T sequences of inputs +1, -1."""
        rng = np.random.default_rng(5)
        model = random_bilinear(rng, 2, 1, 1)
        model = replace(model, N=0.4 * model.N)
        if driven:
            model = replace(model, K=rng.standard_normal((2, 1)), Re=[[0.5]])
        backward = backward_model(model)
        P = backward.P_end
        Re = model.Re if driven else np.zeros((1, 1))
        gates = model.N[0] @ P @ model.N[0].T
        noise = gates + model.B @ model.B.T + model.K @ Re @ model.K.T
        np.testing.assert_allclose(P, model.A @ P @ model.A.T + noise, atol=1e-12)
        np.testing.assert_allclose(backward.J @ P, P @ model.A.T, atol=1e-12)
        N = model.A @ P @ model.C.T + model.B @ model.D.T + model.K @ Re
        np.testing.assert_allclose(backward.H @ P, N.T, atol=1e-12)

    def test_long_path_tends_to_the_stationary_model(self):
        model = replace(random_gaussian(2, 3, 2, "stationary"), P0=np.zeros((3, 3)))
        late, limit = backward_model(model, steps=400), backward_model(model)
        np.testing.assert_allclose(late.J[-1], limit.J, atol=1e-8)
        np.testing.assert_allclose(late.covariance[-1], limit.covariance, atol=1e-8)

    def test_record(self, tmp_path):
        model = random_gaussian(0, 2, 1)
        backward = backward_model(model, steps=3)
        assert repr(backward) == "BackwardSSM(2 states, 1 output, 3 steps, dt=1)"
        assert "stationary" in repr(backward_model(random_gaussian(0, 2, 1, "stationary")))
        assert backward.n_inputs == 0
        with pytest.raises(ValueError, match="read-only"):
            backward.J[0] = 0.0
        save(backward, tmp_path / "backward.npz")
        back = load(tmp_path / "backward.npz")
        assert isinstance(back, BackwardSSM)
        assert np.array_equal(back.covariance, backward.covariance)

    def test_carries_the_sample_time(self):
        model = replace(random_gaussian(0, 2, 1), dt=0.25)
        assert backward_model(model, steps=2).dt == 0.25
        assert reverse(replace(model, P0=None)).dt == 0.25

    def test_refusals(self):
        model = random_gaussian(0, 2, 1)
        with pytest.raises(TypeError, match="`model` must be a GaussianSSM"):
            backward_model(LinearSSM([[0.5]], [[1.0]], [[1.0]]))
        with pytest.raises(TypeError, match="real matrices"):
            backward_model(GaussianSSM([[0.5j]], [[1.0]], [[1.0]], [[1.0]]))
        with pytest.raises(ValueError, match="continuous time"):
            backward_model(replace(model, dt=0.0), steps=3)
        with pytest.raises(ValueError, match="`u` must be given"):
            backward_model(replace(model, B=np.ones((2, 1)), D=[[0.0]]), steps=3)
        with pytest.raises(ValueError, match="one record"):
            backward_model(replace(model, B=np.ones((2, 1)), D=[[0.0]]), np.zeros((2, 3, 1)))
        with pytest.raises(UnstableModelError, match="stable"):
            backward_model(GaussianSSM([[1.1]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]]))


class TestLikelihood:
    @SETTINGS
    @given(seeds, st.integers(0, 4), channels, st.sampled_from(KINDS[:1] + KINDS[2:]))
    def test_reversed_data_have_the_same_likelihood(self, seed, n, p, kind):
        model = random_gaussian(seed, n, p, kind)
        y = simulate(model, steps=8, noise=True, rng=0).y
        y[2, 0] = np.nan
        path = whiten(model, np.zeros((8, 0)))
        forward = run_filter(path.forward, y - path.mu, path.factors[0].shape[1])[2]
        backward = run_filter(path.backward[::-1], (y - path.mu)[::-1], path.factors[-1].shape[1])[
            2
        ]
        assert forward == pytest.approx(backward, rel=1e-11, abs=1e-11)
        assert forward == pytest.approx(log_likelihood(model, y), rel=1e-11, abs=1e-11)

    def test_reversed_model_by_the_ordinary_filter(self):
        model = replace(random_gaussian(4, 3, 2, "stationary"), m0=np.zeros(3))
        y = simulate(model, steps=300, noise=True, rng=0).y
        backwards = log_likelihood(reverse(model), y[::-1])
        assert backwards == pytest.approx(log_likelihood(model, y), rel=1e-12)
        assert abs(log_likelihood(model, y[::-1]) - backwards) > 1.0

    def test_singular_innovation(self):
        model = GaussianSSM([[0.5]], [[1.0], [2.0]], [[1.0]], np.zeros((2, 2)))
        path = whiten(model, np.zeros((2, 0)))
        with pytest.raises(AccuracyError, match="step 0 of the filter is singular"):
            run_filter(path.forward, np.ones((2, 2)), 1)


class TestReverse:
    @SETTINGS
    @given(seeds, st.integers(1, 4), channels)
    def test_twice_is_the_identity(self, seed, n, p):
        model = replace(random_gaussian(seed, n, p, "stationary"), m0=np.zeros(n))
        again = reverse(reverse(model))
        P = solve_lyapunov(model.A, model.Q, dt=1.0)
        tol = 1e3 * EPS * np.linalg.cond(P)
        for name in ("A", "C", "Q", "R", "S"):
            found, expected = getattr(again, name), getattr(model, name)
            scale = max(np.abs(expected).max(), np.abs(P).max() * (name in "QRS"), 1.0)
            np.testing.assert_allclose(found, expected, rtol=0, atol=tol * scale)

    @SETTINGS
    @given(seeds, orders, channels, st.sampled_from([0.0, 0.5]))
    def test_covariance_data_are_transposed(self, seed, n, p, dt):
        process = random_process(np.random.default_rng(seed), n, p, dt=dt)
        cov = to_covariance(process)
        backwards = reverse(cov)
        assert np.array_equal(backwards.A, cov.A.T)
        assert np.array_equal(backwards.N, cov.C.T)
        assert np.array_equal(reverse(backwards).N, cov.N)
        assert backwards.dt == dt
        omega = np.linspace(-3, 3, 7)
        found, density = spectral_density(backwards, omega), spectral_density(cov, -omega)
        scale = np.abs(density).max()
        np.testing.assert_allclose(found, density, rtol=0, atol=1e-10 * scale)

    @SETTINGS
    @given(seeds, orders, channels, st.sampled_from([0.0, 1.0]))
    def test_every_class_describes_the_same_reversed_process(self, seed, n, p, dt):
        process = random_process(np.random.default_rng(seed), n, p, dt=dt)
        omega = np.linspace(-3, 3, 7)
        density = spectral_density(process, -omega)
        gaussian = GaussianSSM(
            process.A,
            process.C,
            process.K @ process.Re @ process.K.T + 0.1 * np.eye(n),
            process.Re,
            process.K @ process.Re,
            dt=dt,
        )
        scale = np.abs(density).max()
        for model in (process, gaussian):
            backwards = reverse(model)
            assert type(backwards) is type(model)
            found, density = spectral_density(backwards, omega), spectral_density(model, -omega)
            np.testing.assert_allclose(found, density, rtol=0, atol=1e-9 * scale)

    def test_innovations_of_the_reverse(self):
        cov = to_covariance(random_process(np.random.default_rng(2), 3, 2))
        low, high = minimal_covariance(reverse(cov)), maximal_covariance(cov)
        np.testing.assert_allclose(low, np.linalg.inv(high), atol=1e-8 * np.abs(low).max())
        model = random_process(np.random.default_rng(2), 3, 2)
        again = reverse(reverse(model))
        np.testing.assert_allclose(again.A, model.A, atol=1e-12)
        np.testing.assert_allclose(again.K, model.K, atol=1e-8)
        np.testing.assert_allclose(again.Re, model.Re, atol=1e-8)

    @SETTINGS
    @given(seeds, st.integers(1, 4), channels)
    def test_continuous_time_keeps_the_state(self, seed, n, p):
        process = random_process(np.random.default_rng(seed), n, p, dt=0.0)
        S = process.K @ process.Re
        Q = S @ process.K.T + np.eye(n)
        model = GaussianSSM(process.A, process.C, Q, process.Re, S, dt=0.0)
        P = solve_lyapunov(model.A, Q, dt=0.0)
        backwards = reverse(model)
        tol = 1e2 * EPS * np.linalg.cond(P) * np.abs(model.A).max()
        # the reverse drift A + Q P^-1 of the text, for time running backwards
        expected = -(model.A + Q @ np.linalg.inv(P))
        np.testing.assert_allclose(backwards.A, expected, rtol=0, atol=10 * tol)
        np.testing.assert_allclose(solve_lyapunov(backwards.A, Q, dt=0.0), P, rtol=1e-7, atol=1e-9)
        again = reverse(backwards)
        np.testing.assert_allclose(again.C, model.C, rtol=0, atol=10 * tol * np.abs(model.C).max())

    def test_continuous_time_with_unreachable_states(self):
        A = np.array([[-0.5, 0.2], [0.0, -0.7]])
        model = GaussianSSM(A, np.eye(2), np.diag([1.0, 0.0]), np.eye(2), dt=0.0)
        backwards = reverse(model)
        a, b = to_covariance(model), to_covariance(backwards)
        np.testing.assert_allclose(b.C @ b.N, (a.C @ a.N).T, atol=1e-14)
        np.testing.assert_allclose(b.C @ b.A @ b.N, (a.C @ a.A @ a.N).T, atol=1e-14)

    def test_one_output_is_reversible_and_two_are_not(self):
        model = random_gaussian(7, 3, 1, "stationary")
        np.testing.assert_allclose(
            autocovariance(reverse(model), 6), autocovariance(model, 6), rtol=1e-10
        )
        model = random_gaussian(7, 3, 2, "stationary")
        lags = autocovariance(model, 6)
        found = autocovariance(reverse(model), 6)
        np.testing.assert_allclose(found, np.swapaxes(lags, 1, 2), atol=1e-10 * np.abs(lags).max())
        assert relative(found, lags) > 1e-2

    def test_refusals(self):
        with pytest.raises(TypeError, match="`model` must be a CovarianceModel"):
            reverse(LinearSSM([[0.5]], [[1.0]], [[1.0]]))
        with pytest.raises(ValueError, match="`model` must have no inputs"):
            reverse(InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]], B=[[1.0]]))
        with pytest.raises(TypeError, match="real matrices"):
            reverse(CovarianceModel([[0.5j]], [[1.0]], [[1.0]], [[2.0]]))
        with pytest.raises(UnstableModelError):
            reverse(
                GaussianSSM(
                    random_dynamics(np.random.default_rng(0), 1) * 9,
                    [[1.0]],
                    [[1.0]],
                    [[1.0]],
                    P0=[[1.0]],
                )
            )
