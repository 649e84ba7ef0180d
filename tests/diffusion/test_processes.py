"""Linear processes: transitions, marginals, scores, reverse kernels, stiff and singular cases."""

import pickle
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics

from diffusion import (
    CriticallyDampedLangevin,
    LinearSDE,
    OrnsteinUhlenbeck,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from realization import (
    AccuracyError,
    GaussianSSM,
    NotEmbeddable,
    UnstableModelError,
    autocovariance,
    simulate,
)

EPS = np.finfo(float).eps
SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)

NAMED = [
    OrnsteinUhlenbeck(0.7, 1.3, 2),
    VariancePreserving(2),
    VarianceExploding(2, sigma_min=0.1, sigma_max=5.0),
    SubVariancePreserving(2),
    CriticallyDampedLangevin(1, beta=3.0, mass=0.5),
]


def random_process(seed, n, k=None, *, P0="full"):
    """Return a constant LinearSDE; F need not be stable."""
    rng = np.random.default_rng(seed)
    L = rng.standard_normal((n, n if P0 == "full" else max(n - 1, 1)))
    return LinearSDE(
        rng.standard_normal((n, n)),
        rng.standard_normal((n, n if k is None else k)),
        f=rng.standard_normal(n),
        m0=rng.standard_normal(n),
        P0=(P0 != "zero") * L @ L.T,
    )


def as_functions(sde):
    """Return the same process with its coefficients as functions of time, to be integrated."""
    parts = [partial(lambda i, t: sde.coefficients(t)[i], i) for i in range(3)]
    return LinearSDE(parts[0], parts[2], f=parts[1], m0=sde.m0, P0=sde.P0)


def assert_moments(found, expected, tol):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tol * max(1.0, np.abs(b).max()))


class TestTransitions:
    @SETTINGS
    @given(seeds, sizes, st.floats(0.0, 1.5))
    def test_constant_coefficients_equal_the_block_exponential(self, seed, n, h):
        sde = random_process(seed, n, 2)
        Phi, offset, Q = sde.transition(0.3, 0.3 + h)
        F, f, G = sde.F, sde.f, sde.G
        block = np.block([[-F, G @ G.T], [np.zeros((n, n)), F.T]])
        E = scipy.linalg.expm(block * h)
        expected = E[n:, n:].T
        drift = np.block([[F, f[:, None]], [np.zeros((1, n + 1))]])
        scale = np.abs(E).max()
        np.testing.assert_allclose(Phi, expected, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(Q, expected @ E[:n, n:], rtol=0, atol=1e-12 * scale**2)
        shift = scipy.linalg.expm(drift * h)[:n, n]
        np.testing.assert_allclose(offset, shift, rtol=0, atol=1e-11 * scale)

    @pytest.mark.parametrize("sde", NAMED, ids=lambda s: type(s).__name__)
    def test_named_cases_equal_their_integrated_equations(self, sde):
        same = as_functions(sde)
        for s, t in [(0.0, 0.3), (0.2, 0.9), (0.999, 1.0), (0.4, 0.4)]:
            assert_moments(sde.transition(s, t), same.transition(s, t), 1e-11)

    @pytest.mark.parametrize("sde", [*NAMED, random_process(1, 3)], ids=lambda s: type(s).__name__)
    def test_steps_compose(self, sde):
        Phi, offset, Q = sde.transition(0.1, 0.5)
        Phi2, offset2, Q2 = sde.transition(0.5, 0.8)
        both = (Phi2 @ Phi, Phi2 @ offset + offset2, Phi2 @ Q @ Phi2.T + Q2)
        assert_moments(sde.transition(0.1, 0.8), both, 1e-13)

    def test_coefficients_that_do_not_commute(self):
        def F(t):
            return np.array([[-1.0, np.sin(5 * t)], [t, -0.5]])

        def G(t):
            return np.array([[1.0], [t]])

        sde = LinearSDE(F, G, f=lambda t: [t, 1.0], P0=np.eye(2))
        Phi, offset, Q = sde.transition(0.1, 0.9)
        count = 4000  # midpoint rule, second order: the error is about h^2
        h, total = 0.8 / count, (np.eye(2), np.zeros(2), np.zeros((2, 2)))
        for t in 0.1 + h * (np.arange(count) + 0.5):
            step = LinearSDE(F(t), G(t), f=[t, 1.0]).transition(0.0, h)
            total = (step[0] @ total[0], step[0] @ total[1] + step[1],
                     step[0] @ total[2] @ step[0].T + step[2])  # fmt: skip
        assert_moments((Phi, offset, Q), total, 5 * h**2)

    def test_scalar_schedule_is_a_change_of_clock(self):
        F0, G0 = np.array([[-1.0, 2.0], [-2.0, -0.5]]), np.array([[0.0], [1.0]])
        beta = lambda t: 1 + 3 * t**2  # noqa: E731
        sde = LinearSDE(lambda t: beta(t) * F0, lambda t: np.sqrt(beta(t)) * G0, P0=np.eye(2))
        clock = 0.9 + 0.9**3 - 0.2 - 0.2**3
        assert_moments(sde.transition(0.2, 0.9), LinearSDE(F0, G0).transition(0, clock), 1e-12)

    @pytest.mark.parametrize("h", [2.0, 2e3, 1e9])
    def test_stiff_steps_do_not_overflow(self, h):
        for F in (np.diag([-400.0, -1.0]), [[-400.0, 300.0], [0.0, -1.0]]):
            sde = LinearSDE(F, np.eye(2))
            Phi, _, Q = sde.transition(0.0, h)
            P = sde.marginal(0.0)[1]
            assert np.isfinite(Phi).all()
            np.testing.assert_allclose(Phi @ P @ Phi.T + Q, P, rtol=0, atol=1e-13 * np.abs(P).max())
            J, _, V = sde.reverse_kernel(0.0, h)
            np.testing.assert_allclose(V + J @ P @ J.T, P, rtol=0, atol=1e-13 * np.abs(P).max())

    def test_growth_past_the_largest_float(self):
        with pytest.raises(ValueError, match=r"grows by exp\(800\)"):
            LinearSDE([[400.0]], [[1.0]], P0=[[1.0]]).transition(0.0, 2.0)

    def test_variance_preserving_far_beyond_its_range(self):
        sde = VariancePreserving(1, beta_max=1e4, P0=[[4.0]])
        Phi, _, Q = sde.transition(0.0, 1.0)
        assert (Phi, Q) == (0.0, 1.0)
        J, _, V = sde.reverse_kernel(0.5, 1.0)
        assert J == 0.0
        np.testing.assert_allclose(V, 1.0)

    def test_small_steps_keep_their_digits(self):
        for h in (1e-4, 1e-8, 1e-12):
            beta = 4.0
            sde = CriticallyDampedLangevin(1, beta=beta, mass=0.25)
            Q = sde.transition(0.0, h)[2]
            F, _, G = sde.coefficients(0.0)
            q, w = F[0, 1], (G @ G.T)[1, 1]
            leading = [[q**2 * w * h**3 / 3, q * w * h**2 / 2], [q * w * h**2 / 2, w * h]]
            np.testing.assert_allclose(Q, leading, rtol=100 * h + 1e-13)
            assert np.linalg.eigvalsh(Q / np.sqrt(np.outer(*2 * [np.diag(Q)])))[0] > 0.1
            rate = sde._pair()[0]
            assert np.allclose(rate @ rate + 2 * 8 * rate + 64 * np.eye(2), 0)  # double eigenvalue

    def test_variance_formulas_of_the_literature(self):
        P0 = np.array([[2.0, 0.5], [0.5, 1.0]])
        t = 0.37
        a = np.exp(-0.5 * (0.1 * t + 0.5 * 19.9 * t**2))
        cases = [
            (VariancePreserving(2, P0=P0), a**2 * P0 + (1 - a**2) * np.eye(2)),
            (SubVariancePreserving(2, P0=P0), a**2 * P0 + (1 - a**2) ** 2 * np.eye(2)),
            (VarianceExploding(2, P0=P0), P0 + 1e-4 * (5000 ** (2 * t) - 1) * np.eye(2)),
            (
                OrnsteinUhlenbeck(2.0, 1.0, 2, P0=P0),
                np.exp(-4 * t) * P0 + (1 - np.exp(-4 * t)) / 4 * np.eye(2),
            ),
        ]
        for sde, expected in cases:
            np.testing.assert_allclose(sde.marginal(t)[1], expected, rtol=1e-13)

    @pytest.mark.parametrize(
        "sde", [s for s in NAMED if not isinstance(s, (VarianceExploding, SubVariancePreserving))],
        ids=lambda s: type(s).__name__,
    )  # fmt: skip
    def test_default_law_is_stationary(self, sde):
        start = sde.marginal(0.0)[1]
        np.testing.assert_allclose(sde.marginal(0.83)[1], start, atol=1e-14)


class TestReverseKernel:
    @SETTINGS
    @given(seeds, sizes, st.sampled_from(["full", "singular", "zero"]), st.floats(1e-3, 1.0))
    def test_is_the_conditional_law(self, seed, n, kind, h):
        sde = random_process(seed, n, 1, P0=kind)
        s, t = 0.1, 0.1 + h
        J, offset, V = sde.reverse_kernel(s, t)
        Phi = sde.transition(s, t)[0]
        (m_s, P_s), (m_t, P_t) = sde.marginal(s), sde.marginal(t)
        scale = np.abs(P_t).max() + np.abs(P_s).max()
        np.testing.assert_allclose(J @ P_t, P_s @ Phi.T, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(V + J @ P_t @ J.T, P_s, rtol=0, atol=1e-12 * scale)
        mean_scale = np.abs(m_t).max() + np.abs(m_s).max() + np.abs(J @ m_t).max()
        np.testing.assert_allclose(J @ m_t + offset, m_s, rtol=0, atol=1e-12 * mean_scale)
        assert np.linalg.eigvalsh(V)[0] > -1e-14 * np.abs(V).max()

    @SETTINGS
    @given(seeds, sizes, st.sampled_from(["full", "singular", "zero"]))
    def test_chain_has_the_covariances_of_the_process(self, seed, n, kind):
        sde = random_process(seed, n, P0=kind)
        times = np.array([0.0, 0.2, 0.25, 0.7, 1.0])
        kernels = sde.reverse_kernels(times)
        covariance = sde.marginal(1.0)[1]
        cross = covariance  # E[x_s x_1']
        for (s, _), kernel in reversed(list(zip(pairwise(times), kernels, strict=True))):
            cross = kernel.J @ cross
            noise = kernel.factor @ kernel.factor.T
            covariance = kernel.J @ covariance @ kernel.J.T + noise
            P_s, Phi = sde.marginal(s)[1], sde.transition(s, 1.0)[0]
            scale = np.abs(sde.marginal(1.0)[1]).max() * max(1.0, np.abs(kernel.J).max())
            np.testing.assert_allclose(covariance, P_s, rtol=0, atol=1e-12 * scale)
            np.testing.assert_allclose(cross, P_s @ Phi.T, rtol=0, atol=1e-12 * scale)

    @pytest.mark.parametrize("h", [1e-6, 1e-9, 1e-11])
    def test_small_steps_stay_semidefinite(self, h):
        sde = LinearSDE([[-1.0, 2.0], [-2.0, -0.3]], np.eye(2), P0=[[2.0, 0.1], [0.1, 1.0]])
        V = sde.reverse_kernel(0.5, 0.5 + h)[2]
        assert np.linalg.eigvalsh(V)[0] > 0
        np.testing.assert_allclose(V / h, np.eye(2), atol=10 * h + 10 * np.sqrt(EPS**2 / h))

    def test_the_difference_of_covariances_turns_indefinite(self):
        sde = CriticallyDampedLangevin()
        J, _, V = sde.reverse_kernel(0.5, 0.5 + 1e-6)
        (_, before), (_, after) = sde.marginal(0.5), sde.marginal(0.5 + 1e-6)
        assert np.linalg.eigvalsh(before - J @ after @ J.T)[0] < 0
        assert np.linalg.eigvalsh(V)[0] > 0

    def test_known_start_is_the_posterior_of_ddpm(self):
        sde = VariancePreserving(1, m0=[1.5], P0=[[0.0]])
        s, t = 0.4, 0.5
        alpha = sde.transition(s, t)[0][0, 0] ** 2
        bar_s, bar_t = (sde.transition(0.0, time)[0][0, 0] ** 2 for time in (s, t))
        J, offset, V = sde.reverse_kernel(s, t)
        np.testing.assert_allclose(J, np.sqrt(alpha) * (1 - bar_s) / (1 - bar_t))
        np.testing.assert_allclose(offset, np.sqrt(bar_s) * (1 - alpha) / (1 - bar_t) * 1.5)
        np.testing.assert_allclose(V, (1 - bar_s) / (1 - bar_t) * (1 - alpha))
        J, offset, V = sde.reverse_kernel(0.0, t)
        assert abs(J) < 1e-15
        np.testing.assert_allclose(offset, 1.5)
        assert abs(V) < 1e-15

    def test_other_coordinates(self):
        T = np.array([[2.0, 1.0], [0.0, 0.1]])
        sde = LinearSDE([[-1.0, 2.0], [0.0, -0.5]], np.eye(2), P0=np.eye(2))
        inverse = np.linalg.inv(T)
        other = LinearSDE(inverse @ sde.F @ T, inverse, P0=inverse @ inverse.T)
        (J, _, V), (K, _, W) = (process.reverse_kernel(0.2, 0.9) for process in (sde, other))
        np.testing.assert_allclose(T @ K @ inverse, J, rtol=1e-10)
        np.testing.assert_allclose(T @ W @ T.T, V, rtol=1e-10)

    def test_no_time_is_the_identity(self):
        J, offset, V = NAMED[0].reverse_kernel(0.3, 0.3)
        assert np.array_equal(J, np.eye(2))
        assert not offset.any()
        assert not V.any()

    @SETTINGS
    @given(seeds, sizes)
    def test_general_law_by_tweedie(self, seed, n):
        """E[x_s | x_t] = Phi^-1 (x_t - offset + Q score) for any law; here for the Gaussian one."""
        sde = random_process(seed, n)
        Phi, shift, Q = sde.transition(0.2, 0.6)
        J, offset, _ = sde.reverse_kernel(0.2, 0.6)
        x = np.random.default_rng(seed).standard_normal((3, n))
        mean = np.linalg.solve(Phi, (x - shift + sde.score(x, 0.6) @ Q).T).T
        scale = np.abs(mean).max() * np.linalg.cond(Phi) * np.linalg.cond(sde.marginal(0.6)[1])
        np.testing.assert_allclose(x @ J.T + offset, mean, rtol=0, atol=1e-12 * scale)


class TestReverseSDE:
    @pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize(
        "sde",
        [random_process(3, 3, 1), VariancePreserving(2, m0=[1, 2], P0=[[2, 1], [1, 1]])],
        ids=["constant", "VP"],
    )
    def test_integrated_moments_return_to_the_start(self, sde, eta):
        n, backward = sde.n_states, sde.reverse_sde(eta)

        def rate(t, packed):
            mean, P = packed[:n], packed[n:].reshape(n, n)
            A = (backward.drift(np.eye(n), t) - backward.drift(np.zeros((n, n)), t)).T
            G = backward.diffusion(mean, t)
            return np.concatenate([backward.drift(mean, t), (A @ P + P @ A.T - G @ G.T).ravel()])

        mean, P = sde.marginal(1.0)
        packed = np.concatenate([mean, P.ravel()])
        path = scipy.integrate.solve_ivp(rate, (1.0, 0.1), packed, "DOP853", rtol=1e-11, atol=1e-12)
        mean, P = sde.marginal(0.1)
        np.testing.assert_allclose(path.y[:n, -1], mean, atol=1e-8 * max(1, np.abs(packed).max()))
        np.testing.assert_allclose(
            path.y[n:, -1], P.ravel(), atol=1e-8 * max(1, np.abs(packed).max())
        )

    def test_stationary_drift_is_the_transposed_dynamics(self):
        F = random_dynamics(np.random.default_rng(2), 3) - np.eye(3)
        sde = LinearSDE(F, np.eye(3))
        P = sde.marginal(0.0)[1]
        drift = sde.reverse_sde().drift(np.eye(3), 0.4).T
        np.testing.assert_allclose(drift, -P @ F.T @ np.linalg.inv(P), atol=1e-12)

    def test_probability_flow_has_no_noise(self):
        flow = NAMED[1].probability_flow()
        assert not flow.diffusion(np.zeros(2), 0.5).any()

    @SETTINGS
    @given(seeds, sizes)
    def test_density_solves_the_fokker_planck_equation(self, seed, n):
        sde = random_process(seed, n)
        x = np.random.default_rng(seed).standard_normal(n)

        def log_density(x, t):
            mean, P = sde.marginal(t)
            return -0.5 * ((x - mean) @ np.linalg.solve(P, x - mean) + np.linalg.slogdet(P)[1])

        # d log p/dt = -div b - b.s + (tr(a grad s) + s.a s)/2
        h, t = 1e-5, 0.5
        rate = (log_density(x, t + h) - log_density(x, t - h)) / (2 * h)
        F, _, G = sde.coefficients(t)
        s, P = sde.score(x, t), sde.marginal(t)[1]
        curvature = -np.trace(G @ G.T @ np.linalg.inv(P))
        expected = -np.trace(F) - sde.drift(x, t) @ s + (curvature + s @ G @ G.T @ s) / 2
        terms = np.abs(sde.drift(x, t)) @ np.abs(s) + abs(curvature) + s @ G @ G.T @ s + 1
        assert abs(rate - expected) < 1e-6 * terms * np.linalg.cond(P)


class TestScore:
    @SETTINGS
    @given(seeds, sizes)
    def test_is_the_gradient(self, seed, n):
        sde = random_process(seed, n)
        mean, P = sde.marginal(0.4)
        x = np.random.default_rng(seed).standard_normal((2, 3, n))
        expected = -np.linalg.solve(P, (x - mean).reshape(6, n).T).T.reshape(2, 3, n)
        scale = np.abs(expected).max() * np.linalg.cond(P)
        np.testing.assert_allclose(sde.score(x, 0.4), expected, rtol=0, atol=1e-14 * scale)

    def test_units_do_not_matter(self):
        sde = LinearSDE(-np.eye(2), np.diag([1.0, 1e-12]))
        np.testing.assert_allclose(sde.score([1.0, 1e-12], 0.1), [-2.0, -2e12], rtol=1e-12)

    def test_single_precision_stays_single(self):
        x = np.ones((4, 2), np.float32)
        assert NAMED[1].score(x, 0.5).dtype == np.float32
        assert NAMED[1].drift(x, 0.5).dtype == np.float32
        assert NAMED[1].reverse_sde().drift(x, 0.5).dtype == np.float32
        assert NAMED[1].score([1, 1], 0.5).dtype == np.float64

    @pytest.mark.parametrize("P0", [np.zeros((2, 2)), np.ones((2, 2)), np.diag([1.0, 0.0])])
    def test_a_singular_law_has_none(self, P0):
        sde = VariancePreserving(2, P0=P0)
        with pytest.raises(AccuracyError, match="t = 0 is singular"):
            sde.score(np.zeros(2), 0.0)
        assert np.isfinite(sde.score(np.ones(2), 1e-6)).all()
        near = sde.reverse_sde().drift(np.ones(2), 1e-6)
        assert np.isfinite(near).all()


class TestModels:
    def test_from_model_and_back(self):
        F = random_dynamics(np.random.default_rng(2), 3) - np.eye(3)
        sde = LinearSDE(F, np.eye(3)[:, :2], m0=[1.0, 2.0, 3.0])
        model = sde.to_discrete(0.3)
        assert model.dt == 0.3
        back = LinearSDE.from_model(model)
        np.testing.assert_allclose(back.F, F, atol=1e-12)
        np.testing.assert_allclose(back.G @ back.G.T, sde.G @ sde.G.T, atol=1e-11)
        assert np.array_equal(back.m0, sde.m0)
        lags = autocovariance(replace(model, m0=None), 3)
        for k in range(4):
            Phi = sde.transition(0.0, 0.3 * k)[0]
            np.testing.assert_allclose(lags[k], Phi @ sde.marginal(0.0)[1], atol=1e-12)

    def test_from_continuous_model(self):
        model = GaussianSSM([[-1.0]], [[1.0]], [[2.0]], [[1.0]], P0=[[3.0]], dt=0.0)
        sde = LinearSDE.from_model(model)
        np.testing.assert_allclose(sde.marginal(0.5)[1], 1 + 2 * np.exp(-1.0))

    def test_offset_becomes_an_input(self):
        sde = LinearSDE([[-1.0]], [[0.0]], f=[2.0], m0=[1.0], P0=[[0.0]])
        model = sde.to_discrete(0.5)
        x = simulate(model, np.ones((4, 1))).x
        np.testing.assert_allclose(x[:, 0], [sde.marginal(0.5 * k)[0][0] for k in range(5)])

    def test_refusals(self):
        delay = GaussianSSM([[0.0]], [[1.0]], [[1.0]], [[1.0]])
        with pytest.raises(NotEmbeddable):
            LinearSDE.from_model(delay)
        with pytest.raises(ValueError, match="`model` must have no inputs"):
            LinearSDE.from_model(GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]], B=[[1.0]]))
        with pytest.raises(TypeError, match="`model` must be a GaussianSSM"):
            LinearSDE.from_model(NAMED[0])
        with pytest.raises(ValueError, match="needs constant coefficients"):
            LinearSDE(lambda t: [[-t]], [[1.0]]).to_discrete(0.1)


class TestRecords:
    @pytest.mark.parametrize("sde", [*NAMED, random_process(0, 2)], ids=lambda s: type(s).__name__)
    def test_frozen_and_picklable(self, sde):
        with pytest.raises(AttributeError):
            sde.m0 = 1.0
        with pytest.raises(ValueError, match="read-only"):
            sde.m0[0] = 1.0
        back = pickle.loads(pickle.dumps(sde))
        assert not back.m0.flags.writeable
        assert_moments(back.transition(0.1, 0.5), sde.transition(0.1, 0.5), 0.0)
        assert repr(sde) == f"{type(sde).__name__}(2 states)"

    def test_a_law_is_needed_only_where_it_is_used(self):
        for sde in (
            VarianceExploding(2),
            SubVariancePreserving(2),
            LinearSDE(lambda t: -np.eye(2), np.eye(2)),
        ):
            sde.transition(0.0, 1.0)
            with pytest.raises(ValueError, match="`P0` must be given"):
                sde.marginal(0.5)
            replace(sde, P0=np.zeros((2, 2))).marginal(0.5)
        with pytest.raises(UnstableModelError, match="stable"):
            LinearSDE([[1.0]], [[1.0]]).marginal(0.5)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: LinearSDE([[1.0, 2.0]], [[1.0]]), "`F` must be a square matrix"),
            (lambda: LinearSDE([[1.0]], [1.0]), "`G` must have shape"),
            (lambda: LinearSDE([[1.0]], [[1.0]], f=[1.0, 2.0]), "`f` must have shape"),
            (lambda: LinearSDE(lambda t: [[1.0]], lambda t: [1.0]), "`G` must have shape"),
            (lambda: LinearSDE([[1.0]], [[1.0]], m0=[1.0, 2.0]), "`m0` must have shape"),
            (lambda: VariancePreserving(2, P0=[[1.0]]), "`P0` must have shape"),
            (lambda: VariancePreserving(2, P0=-np.eye(2)), "`P0` must be positive semidefinite"),
            (lambda: VariancePreserving(0), "`n` must be at least 1"),
            (lambda: VariancePreserving(beta_min=0.0), "`beta_min` must be finite and above 0"),
            (lambda: VarianceExploding(sigma_max=0.001), "`sigma_max` must be finite and above"),
            (lambda: OrnsteinUhlenbeck(-1.0, 1.0), "`theta` must be finite and above 0"),
            (lambda: CriticallyDampedLangevin(mass=-1.0), "`mass` must be finite and above 0"),
            (lambda: NAMED[0].transition(0.5, 0.2), "must satisfy 0 <= s <= t"),
            (lambda: NAMED[0].reverse_kernel(-0.1, 0.2), "must satisfy 0 <= s <= t"),
            (lambda: NAMED[0].score([1.0], 0.2), r"`x` must have shape \(..., 2\)"),
            (lambda: NAMED[0].reverse_sde(-1.0), "`eta` must not be negative"),
        ],
    )
    def test_refusals(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    def test_wrong_kinds(self):
        with pytest.raises(TypeError, match="`x` must be real numbers"):
            NAMED[0].score(["a", "b"], 0.1)
        with pytest.raises(TypeError, match="`s` must be a real number"):
            NAMED[0].transition("a", 0.1)

    def test_failing_integration(self, monkeypatch):
        def gives_up(*args, **kwargs):
            return scipy.optimize.OptimizeResult(success=False, message="Step size too small.")

        monkeypatch.setattr(scipy.integrate, "solve_ivp", gives_up)
        with pytest.raises(AccuracyError, match="could not be integrated from 0 to 1"):
            LinearSDE(lambda t: [[-t]], [[1.0]]).transition(0.0, 1.0)
