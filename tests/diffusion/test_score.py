"""The reverse of any diffusion: Fokker-Planck, geometric Brownian motion, linear processes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion import LinearSDE, VariancePreserving, reverse_time_sde, sample_reverse

SETTINGS = settings(max_examples=20, deadline=None, derandomize=True)


def log_normal_score(x, t):
    """Return the score of geometric Brownian motion dx = x dw, x_0 = 1."""
    return -(1.0 + (np.log(x) + t / 2) / t) / x


def test_linear_process_is_a_special_case():
    sde = LinearSDE([[-1.0, 2.0], [0.0, -0.5]], [[1.0], [2.0]], P0=np.eye(2))
    x = np.random.default_rng(0).standard_normal((3, 2))
    for eta in (0.0, 0.4, 1.0):
        general = reverse_time_sde(sde.drift, sde.G, sde.score, eta=eta)
        own = sde.reverse_sde(eta)
        np.testing.assert_allclose(general.drift(x, 0.3), own.drift(x, 0.3), rtol=1e-13)
        np.testing.assert_allclose(general.diffusion(x, 0.3), eta * sde.G)
        np.testing.assert_allclose(general.drift(x[0], 0.3), own.drift(x, 0.3)[0], rtol=1e-13)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_geometric_brownian_motion(eta):
    x = np.array([[[0.5], [2.0]], [[1.0], [0.1]]])
    exact = -0.5 * (1 + eta**2) * (2 * x + x**2 * log_normal_score(x, 0.7))
    parts = (lambda x, t: 0 * x, lambda x, t: x[..., None], log_normal_score)
    given = reverse_time_sde(*parts, divergence=lambda x, t: 2 * x, eta=eta)
    np.testing.assert_allclose(given.drift(x, 0.7), exact, rtol=1e-14)
    numeric = reverse_time_sde(*parts, eta=eta)
    np.testing.assert_allclose(numeric.drift(x, 0.7), exact, rtol=1e-9)
    assert numeric.diffusion(x, 0.7).shape == (2, 2, 1, 1)
    assert numeric.drift(x[0, 0], 0.7).shape == (1,)
    assert numeric.diffusion(x[0, 0], 0.7).shape == (1, 1)


@settings(parent=SETTINGS)
@given(st.integers(0, 1000))
def test_divergence_of_a_matrix_field(seed):
    """a_ij = sum_k G_ik G_jk with G linear in x: the divergence is a polynomial."""
    rng = np.random.default_rng(seed)
    n, k = 3, 2
    M = rng.standard_normal((n, k, n))

    def diffusion(x, t):
        return np.einsum("ikj,...j->...ik", M, x)

    x = rng.standard_normal((4, n))
    zero = lambda x, t: 0.0 * x  # noqa: E731
    found = -reverse_time_sde(zero, diffusion, zero).drift(x, 0.0)
    G = diffusion(x, 0.0)
    exact = np.einsum("ikj,...jk->...i", M, G) + np.einsum("...ik,jkj->...i", G, M)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8 * np.abs(exact).max())


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_reverse_equation_keeps_the_density(eta):
    """-d p/dt = -div(-b~ p) + (eta^2/2) (a p)'': Fokker-Planck with time running backwards."""
    x, t, h = np.linspace(0.4, 2.0, 9)[:, None], 0.5, 1e-3

    def p(x, t):
        return np.exp(-((np.log(x) + t / 2) ** 2) / (2 * t)) / (x * np.sqrt(2 * np.pi * t))

    backward = reverse_time_sde(
        lambda x, t: 0 * x, lambda x, t: x[..., None], log_normal_score, eta=eta
    )

    def flux(x):
        return backward.drift(x, t) * p(x, t)

    def spread(x):
        return (eta * x) ** 2 * p(x, t)

    rate = (p(x, t + h) - p(x, t - h)) / (2 * h)
    second = (spread(x + h) - 2 * spread(x) + spread(x - h)) / (2 * h**2)
    found = -(flux(x + h) - flux(x - h)) / (2 * h) - second
    np.testing.assert_allclose(found, rate, rtol=0, atol=2e-5 * np.abs(rate).max() + 2e-5)


def test_refusals():
    zero = lambda x, t: 0.0 * x  # noqa: E731
    with pytest.raises(ValueError, match="`eta` must not be negative"):
        reverse_time_sde(zero, zero, zero, eta=-0.5)
    wrong = reverse_time_sde(zero, lambda x, t: np.ones((3, 2)), zero)
    with pytest.raises(ValueError, match=r"`diffusion` must return \(2, k\)"):
        wrong.drift(np.zeros((4, 2)), 0.0)
    root = reverse_time_sde(
        zero, lambda x, t: np.sqrt(np.abs(x) - x)[..., None] / 0.0 * x[..., None], zero
    )
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="`divergence` must be given"):
        root.drift(np.ones((4, 1)), 0.0)
    assert VariancePreserving().probability_flow().drift(np.ones(1), 0.5).shape == (1,)


def test_answers_of_another_shape_are_refused():
    backward = reverse_time_sde(lambda x, t: -x, np.eye(2), lambda x, t: x[..., :1])
    with pytest.raises(ValueError, match=r"`score` must return the shape of its points, \(1, 2\)"):
        backward.drift(np.zeros(2), 0.5)
    with pytest.raises(TypeError, match="`drift` must be a function of"):
        reverse_time_sde(1.0, np.eye(2), lambda x, t: x)
    with pytest.raises(ValueError, match=r"`score` must return the shape of its points"):
        sample_reverse(
            VariancePreserving(), [[0.0]], [1.0, 0.5], score=lambda x, t: 0.0, method="exponential"
        )
