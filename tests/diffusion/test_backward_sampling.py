"""Paths drawn backwards have the law that dense conditioning says, singular cases included."""

from dataclasses import replace

import numpy as np
import pytest
from gaussian_paths import KINDS, forward_covariance, random_gaussian
from processes import random_process

from diffusion import backward_model, sample_backward
from realization import (
    BilinearSSM,
    GaussianSSM,
    LinearSSM,
    NumericalWarning,
    simulate,
    smooth,
)

DRAWS = 20_000


def means(model, T):
    """Return the mean of (x_0 .. x_T, y_0 .. y_{T-1}), flattened."""
    m = np.array([np.linalg.matrix_power(model.A, t) @ model.m0 for t in range(T + 1)])
    return np.concatenate([m.ravel(), (m[:-1] @ model.C.T).ravel()])


def flattened(path):
    """Return (draws, N): states, then outputs."""
    return np.concatenate([path.x.reshape(DRAWS, -1), path.y.reshape(DRAWS, -1)], axis=1)


def assert_law(sample, mean, cov):
    """Compare moments within five asymptotic standard deviations, sqrt((C_ii C_jj + C_ij^2)/N)."""
    deviation = np.sqrt(np.diag(cov).clip(min=0.0))
    rounding = 1e-9 * (1 + np.abs(mean).max() + deviation.max())
    assert (np.abs(sample.mean(0) - mean) <= 5 * deviation / np.sqrt(DRAWS) + rounding).all()
    spread = np.sqrt((np.outer(deviation, deviation) ** 2 + cov**2) / DRAWS)
    found = (sample - mean).T @ (sample - mean) / DRAWS
    assert (np.abs(found - cov) <= 5 * spread + rounding * (1 + deviation.max())).all()


@pytest.mark.parametrize("kind", KINDS)
def test_free_paths_have_the_law_of_the_model(kind):
    model, T = random_gaussian(11, 3, 2, kind), 4
    joint, n = forward_covariance(model, T), 3
    last = joint[T * n : (T + 1) * n, T * n : (T + 1) * n]
    mean = means(model, T)
    ends = np.random.default_rng(0).multivariate_normal(
        mean[T * n : (T + 1) * n], last, DRAWS, tol=1e-6
    )
    path = sample_backward(model, steps=T, final_state=ends, rng=1)
    assert np.array_equal(path.x[:, -1], ends)
    assert_law(flattened(path), mean, joint)


def test_given_a_final_state():
    model, T, n = random_gaussian(11, 3, 2), 4, 3
    joint, mean = forward_covariance(model, T), means(model, T)
    end, at = np.array([1.0, -2.0, 0.5]), slice(T * n, (T + 1) * n)
    gain = np.linalg.solve(joint[at, at], joint[at]).T
    path = sample_backward(model, steps=T, final_state=np.tile(end, (DRAWS, 1)), rng=1)
    assert_law(flattened(path), mean + gain @ (end - mean[at]), joint - gain @ joint[at])


@pytest.mark.parametrize("kind", ["full", "known_start", "stationary", "delay"])
@pytest.mark.parametrize("both", [False, True])
def test_given_outputs(kind, both):
    model, T, n = random_gaussian(12, 3, 2, kind), 4, 3
    y = simulate(model, steps=T, noise=True, rng=0).y
    y[1, 0], y[3] = np.nan, np.nan
    joint, mean = forward_covariance(model, T), means(model, T)
    seen = np.concatenate([np.zeros((T + 1) * n, bool), ~np.isnan(y).ravel()])
    end = np.array([0.3, -0.2, 0.1])
    values = np.concatenate([np.zeros((T + 1) * n), np.nan_to_num(y).ravel()])
    if both:
        seen[T * n : (T + 1) * n] = True
        values[T * n : (T + 1) * n] = end
    gain = np.linalg.solve(joint[np.ix_(seen, seen)], joint[seen]).T
    mean = mean + gain @ (values - mean)[seen]
    cov = joint - gain @ joint[seen]
    at = slice(T * n, (T + 1) * n)
    ends = np.random.default_rng(0).multivariate_normal(mean[at], cov[at, at], DRAWS, tol=1e-6)
    ends = np.tile(end, (DRAWS, 1)) if both else ends
    path = sample_backward(model, y=y, final_state=ends, rng=1)
    assert np.array_equal(path.y[5][~np.isnan(y)], y[~np.isnan(y)])
    assert_law(flattened(path), mean, cov)


def test_final_state_is_drawn_when_it_is_not_given():
    model = random_gaussian(12, 2, 1)
    y = simulate(model, steps=3, noise=True, rng=0).y
    rng = np.random.default_rng(0)
    ends = np.array([sample_backward(model, y=y, rng=rng).x[-1] for _ in range(200)])
    smoothed = smooth(model, y)
    bound = 5 * np.sqrt(np.diag(smoothed.P[-1]) / 200)
    assert (np.abs(ends.mean(0) - smoothed.x[-1]) < bound).all()
    free = np.array([sample_backward(model, steps=3, rng=rng).x[-1] for _ in range(200)])
    P = backward_model(model, steps=3).P_end
    assert (np.abs(np.cov(free.T) - P) < 5 * np.sqrt(2 / 200) * np.abs(P).max()).all()


def test_stationary_model_samples_itself():
    model = random_gaussian(5, 2, 2, "stationary")
    backward = backward_model(model)
    path = backward.sample(steps=20_000, rng=0)
    assert path.x.shape == (20_001, 2)
    # neighbours: E[x_t x_{t+1}'] = P A'; the bound is for the slowest pole
    P = backward.P_end
    found = path.x[:-1].T @ path.x[1:] / 20_000
    slowest = np.abs(np.linalg.eigvals(model.A)).max()
    bound = 5 * np.abs(P).max() * np.sqrt(2 / 20_000 * (1 + slowest) / (1 - slowest))
    assert (np.abs(found - P @ model.A.T) < bound).all()


def test_inputs_and_bilinear_models():
    rng = np.random.default_rng(3)
    plain, u = random_process(rng, 2, 1, 1), np.ones((4, 1))
    parts = {name: getattr(plain, name) for name in ("A", "B", "C", "D", "K", "Re", "x0")}
    gate = 0.2 * rng.standard_normal((1, 2, 2))
    gated = BilinearSSM(N=gate, **parts)
    same = replace(plain, A=plain.A + gate[0])
    a, b = (sample_backward(model, u, rng=3) for model in (gated, same))
    np.testing.assert_allclose(a.x, b.x, atol=1e-12)
    a, b = (sample_backward(model, u, y=a.y, rng=3) for model in (gated, same))
    np.testing.assert_allclose(a.x, b.x, atol=1e-12)
    np.testing.assert_allclose(a.x[0], plain.x0, atol=1e-12)


def test_same_seed_same_path():
    model = random_gaussian(1, 2, 1)
    a, b = (sample_backward(model, steps=5, rng=7) for _ in range(2))
    assert np.array_equal(a.x, b.x)
    assert np.array_equal(a.y, b.y)


def test_a_final_state_that_no_draw_reaches():
    model = random_gaussian(0, 2, 1)
    with pytest.warns(NumericalWarning, match="standard deviations from the mean"):
        sample_backward(model, steps=3, final_state=[1e4, 0.0], rng=0)


def test_nearly_singular_stationary_covariance():
    """A chain of delays: three numbers a step fill sixty states through a smoothing channel."""
    n = 60
    A = np.eye(n, k=-1) * 0.6 + np.eye(n, k=-2) * 0.3
    G = np.zeros((n, 3))
    G[:3] = np.eye(3)
    model = GaussianSSM(A, np.eye(n)[-1:], G @ G.T, [[1.0]])
    backward = backward_model(model)
    assert np.linalg.cond(backward.P_end) > 1e12
    last = simulate(model, steps=200, noise=True, rng=0).x[-1]
    x = backward.sample(steps=100, final_state=np.tile(last, (500, 1)), rng=1).x
    deviation = np.sqrt(np.diag(backward.P_end))
    found = x[:, 0].std(0) / deviation  # a hundred steps back the last state is forgotten
    assert (np.abs(found - 1) < 5 / np.sqrt(2 * 500)).all()


def test_refusals():
    model = random_gaussian(0, 2, 1)
    with pytest.raises(TypeError, match="`model` must be a GaussianSSM"):
        sample_backward(LinearSSM([[0.5]], [[1.0]], [[1.0]]), steps=3)
    with pytest.raises(ValueError, match="`steps` must be given"):
        sample_backward(random_gaussian(0, 2, 1, "stationary"))
    with pytest.raises(ValueError, match="`steps` must be the model's own 3"):
        backward_model(model, steps=3).sample(steps=4)
    with pytest.raises(ValueError, match="`final_state` must have shape"):
        sample_backward(model, steps=3, final_state=[1.0])
    with pytest.raises(ValueError, match="`y` must be one record of `steps` samples"):
        sample_backward(model, steps=3, y=np.zeros((4, 1)))
    still = GaussianSSM([[1.0]], [[1.0]], [[0.0]], [[1.0]], P0=[[0.0]], m0=[2.0])
    with pytest.raises(ValueError, match="`final_state` must be a state that the model can reach"):
        sample_backward(still, steps=3, final_state=[2.5])
    assert sample_backward(still, steps=3, final_state=[2.0], rng=0).x[0, 0] == pytest.approx(2.0)


def test_no_outputs():
    model = GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])
    path = sample_backward(model, steps=0, y=[], rng=0)
    assert path.x.shape == (1, 1)
    assert path.y.shape == (0, 1)
