"""Mixtures: gradients, Bayes, the Fokker-Planck equation, empirical data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion import (
    CriticallyDampedLangevin,
    GaussianMixture,
    LinearSDE,
    VarianceExploding,
    VariancePreserving,
)
from realization import AccuracyError, load, save

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 3)


def random_mixture(seed, n, K=3, *, singular=False):
    """Return a mixture with well separated or overlapping components."""
    rng = np.random.default_rng(seed)
    L = rng.standard_normal((K, n, 1 if singular else n + 1))
    weights = rng.uniform(0.2, 1.0, K)
    return GaussianMixture(
        weights / weights.sum(), 2 * rng.standard_normal((K, n)), L @ np.swapaxes(L, 1, 2)
    )


def gaussian(x, mean, P):
    """Return the density of N(mean, P)."""
    d = x - mean
    quadratic = np.einsum("...i,ij,...j", d, np.linalg.inv(P), d)
    return np.exp(-0.5 * quadratic) / np.sqrt(np.linalg.det(2 * np.pi * P))


def density(mixture, x):
    """Return the density of a mixture as plainly as possible."""
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    return sum(w * gaussian(x, m, P) for w, m, P in parts)


class TestScore:
    @SETTINGS
    @given(seeds, sizes)
    def test_is_the_gradient_of_the_log_density(self, seed, n):
        mixture = random_mixture(seed, n)
        x = np.random.default_rng(seed).standard_normal((2, 3, n))
        np.testing.assert_allclose(np.exp(mixture.log_density(x)), density(mixture, x), rtol=1e-9)
        h = 1e-6
        steps = h * np.eye(n)
        slopes = [
            (mixture.log_density(x + e) - mixture.log_density(x - e)) / (2 * h) for e in steps
        ]
        found, expected = mixture.score(x), np.stack(slopes, axis=-1)
        curvature = max(1 / np.linalg.eigvalsh(P)[0] for P in mixture.covariances)
        assert np.abs(found - expected).max() < 1e-7 * (1 + np.abs(found).max() + curvature) ** 1.5

    def test_far_away_nothing_underflows(self):
        mixture = random_mixture(0, 2)
        far = np.array([1e6, -1e6])
        score = mixture.score(far)
        assert np.isfinite(score).all()
        assert np.isfinite(mixture.log_density(far))
        # the widest component in that direction dominates
        candidates = -np.array(
            [
                np.linalg.solve(P, far - m)
                for m, P in zip(mixture.means, mixture.covariances, strict=True)
            ]
        )
        assert np.isclose(candidates, score).all(axis=1).any()

    def test_one_component_is_the_gaussian(self):
        sde = VariancePreserving(2, m0=[1.0, 0.0], P0=[[2.0, 0.3], [0.3, 1.0]])
        mixture = GaussianMixture([1.0], [sde.m0], [sde.P0])
        x = np.random.default_rng(0).standard_normal((5, 2))
        late = mixture.diffuse(sde, 0.4)
        np.testing.assert_allclose(late.score(x), sde.score(x, 0.4), rtol=1e-12)
        assert late.score(x.astype(np.float32)).dtype == np.float32

    def test_a_component_without_weight_plays_no_part(self):
        one = GaussianMixture([1.0], [[0.0]], [[[1.0]]])
        two = GaussianMixture([1.0, 0.0], [[0.0], [3.0]], [[[1.0]], [[1.0]]])
        np.testing.assert_allclose(one.score([[2.0]]), two.score([[2.0]]))

    @pytest.mark.parametrize("n", [1, 2])
    def test_density_solves_the_fokker_planck_equation(self, n):
        """d p/dt = -div(b p) + tr(a hess p)/2, by differences."""
        rng = np.random.default_rng(n)
        sde = LinearSDE(rng.standard_normal((n, n)), np.eye(n), f=rng.standard_normal(n))
        mixture, x, t, h = random_mixture(n, n), rng.standard_normal((4, n)), 0.4, 1e-3

        def p(x, t):
            return np.exp(mixture.diffuse(sde, t).log_density(x))

        rate = (p(x, t + h) - p(x, t - h)) / (2 * h)
        spatial = 0.0
        for e in h * np.eye(n):
            flux = [sde.drift(x + k * e, t) @ e / h * p(x + k * e, t) for k in (1, -1)]
            spatial -= (flux[0] - flux[1]) / (2 * h)
            spatial += (p(x + e, t) - 2 * p(x, t) + p(x - e, t)) / (2 * h**2)
        np.testing.assert_allclose(rate, spatial, rtol=0, atol=2e-4 * np.abs(rate).max())


class TestDiffuse:
    @SETTINGS
    @given(seeds, sizes)
    def test_moments(self, seed, n):
        mixture, sde = random_mixture(seed, n, singular=True), VarianceExploding(n)
        late = mixture.diffuse(sde, 0.5)
        np.testing.assert_allclose(late.means, mixture.means)
        noise = sde.transition(0.0, 0.5)[2]
        np.testing.assert_allclose(late.covariances, mixture.covariances + noise, atol=1e-12)
        np.testing.assert_allclose(late.weights, mixture.weights, rtol=1e-15)

    def test_at_time_zero_is_the_law_itself(self):
        mixture = random_mixture(1, 2)
        same = mixture.diffuse(VariancePreserving(2), 0.0)
        assert np.array_equal(same.means, mixture.means)


class TestReverseKernel:
    @SETTINGS
    @given(seeds, st.sampled_from(["VP", "VE", "CLD", "dense"]))
    def test_is_bayes(self, seed, kind):
        rng = np.random.default_rng(seed)
        sde = {
            "VP": VariancePreserving(2),
            "VE": VarianceExploding(2, sigma_min=0.1, sigma_max=3.0),
            "CLD": CriticallyDampedLangevin(1),
            "dense": LinearSDE(rng.standard_normal((2, 2)), np.eye(2), f=[1.0, 0.0]),
        }[kind]
        mixture, s, t = random_mixture(seed, 2), 0.2, 0.6
        x_t, x_s = rng.standard_normal((2, 1, 2)), rng.standard_normal((7, 2))
        weights, means, covariances = mixture.reverse_kernel(sde, x_t, s, t)
        assert weights.shape == (2, 1, 3)
        assert means.shape == (2, 1, 3, 2)
        np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-12)
        Phi, offset, Q = sde.transition(s, t)
        early, late = mixture.diffuse(sde, s), mixture.diffuse(sde, t)
        for i in range(2):
            forward = gaussian(x_t[i, 0], x_s @ Phi.T + offset, Q)
            bayes = density(early, x_s) * forward / density(late, x_t[i, 0])
            found = sum(weights[i, 0, k] * gaussian(x_s, means[i, 0, k], covariances[k])
                        for k in range(3))  # fmt: skip
            np.testing.assert_allclose(found, bayes, rtol=1e-6, atol=1e-10 * bayes.max())

    def test_empirical_data_end_on_the_data(self):
        points = np.array([[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]])
        data = GaussianMixture(np.full(3, 1 / 3), points, np.zeros((3, 2, 2)))
        x = np.array([0.3, 0.2])
        weights, means, covariances = data.reverse_kernel(VariancePreserving(2), x, 0.0, 0.8)
        np.testing.assert_allclose(means, points, atol=1e-14)
        np.testing.assert_allclose(covariances, 0.0, atol=1e-14)
        assert weights.max() < 0.9
        with pytest.raises(AccuracyError, match="of component 0 is singular"):
            data.score(x)
        with pytest.raises(AccuracyError, match="of component 0 is singular"):
            data.log_density(x)

    def test_mean_is_tweedies(self):
        """E[x_0 | x_t] = Phi^-1 (x_t - offset + Q score), for a law that is not Gaussian."""
        mixture, sde = random_mixture(5, 2), VariancePreserving(2)
        x = np.random.default_rng(0).standard_normal((4, 2))
        weights, means, _ = mixture.reverse_kernel(sde, x, 0.0, 0.4)
        Phi, offset, Q = sde.transition(0.0, 0.4)
        score = mixture.diffuse(sde, 0.4).score(x)
        expected = np.linalg.solve(Phi, (x - offset + score @ Q).T).T
        found = (weights[..., None] * means).sum(-2)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


class TestRecord:
    def test_sample(self):
        mixture, count = random_mixture(3, 2), 40_000
        x = mixture.sample(count, rng=0)
        mean = mixture.weights @ mixture.means
        spread = mixture.means - mean
        second = np.einsum("k,kij->ij", mixture.weights, mixture.covariances)
        P = second + np.einsum("k,ki,kj->ij", mixture.weights, spread, spread)
        assert (np.abs(x.mean(0) - mean) < 5 * np.sqrt(np.diag(P) / count)).all()
        products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
        bound = 5 * products.std(0) / np.sqrt(count)
        assert (np.abs(products.mean(0) - P) < bound).all()
        assert np.array_equal(mixture.sample(5, rng=1), mixture.sample(5, rng=1))

    def test_save_and_load(self, tmp_path):
        mixture = random_mixture(0, 2)
        save(mixture, tmp_path / "mixture.npz")
        back = load(tmp_path / "mixture.npz")
        np.testing.assert_allclose(back.covariances, mixture.covariances, rtol=1e-15)
        assert repr(back) == "GaussianMixture(3 components, 2 states)"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([0.5, 0.6], [[0.0], [1.0]], np.ones((2, 1, 1))), "`weights` must sum to 1"),
            (([1.5, -0.5], [[0.0], [1.0]], np.ones((2, 1, 1))), "`weights` must be"),
            (([], np.zeros((0, 1)), np.ones((0, 1, 1))), "`weights` must be"),
            (([1.0], [[0.0], [1.0]], np.ones((2, 1, 1))), "`means` must have shape"),
            (([1.0], [[0.0]], [[1.0]]), "`covariances` must have shape"),
            (([1.0], [[0.0]], [[[-1.0]]]), r"`covariances\[0\]` must be positive semidefinite"),
        ],
    )
    def test_refusals(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            GaussianMixture(*arguments)

    def test_wrong_process(self):
        mixture = random_mixture(0, 2)
        with pytest.raises(ValueError, match="`sde` must have the 2 states"):
            mixture.diffuse(VariancePreserving(3), 0.1)
        with pytest.raises(TypeError, match="`sde` must be a LinearSDE or one of"):
            mixture.reverse_kernel("VP", [0.0, 0.0], 0.0, 0.1)
