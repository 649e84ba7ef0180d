"""The two-filter smoother against Bryson-Frazier, Rauch-Tung-Striebel and dense conditioning."""

from dataclasses import replace

import numpy as np
import pytest
from gaussian_paths import forward_covariance, random_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process

from diffusion import two_filter_smooth
from realization import (
    AccuracyError,
    BilinearSSM,
    GaussianSSM,
    LinearSSM,
    simulate,
    smooth,
)

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
regular = st.sampled_from(
    ("full", "singular_P0", "known_start", "stationary", "singular_A", "delay")
)


def assert_close(a, b, tol):
    """Compare two smoother results relative to the size of the path."""
    for name in ("x", "P"):
        found, expected = getattr(a, name), getattr(b, name)
        scale = max(1.0, np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(found, expected, rtol=0, atol=tol * scale)


class TestTwoFilterSmooth:
    @SETTINGS
    @given(seeds, st.integers(0, 4), st.integers(1, 3), regular)
    def test_equals_bryson_frazier(self, seed, n, p, kind):
        model = random_gaussian(seed, n, p, kind)
        y = simulate(model, steps=9, noise=True, rng=0).y
        y[2], y[4, 0] = np.nan, np.nan
        assert_close(two_filter_smooth(model, y), smooth(model, y), 1e-10)

    @SETTINGS
    @given(seeds, st.integers(1, 3), st.integers(1, 2))
    def test_three_ways_and_dense_conditioning(self, seed, n, p):
        model = random_gaussian(seed, n, p)
        T = 5
        y = simulate(model, steps=T, noise=True, rng=0).y
        result = two_filter_smooth(model, y)
        assert_close(result, smooth(model, y), 1e-9)
        assert_close(result, smooth(model, y, method="rts"), 1e-7)
        joint, k = forward_covariance(model, T), (T + 1) * n
        mean = np.array([np.linalg.matrix_power(model.A, t) @ model.m0 for t in range(T + 1)])
        gain = np.linalg.solve(joint[k:, k:], joint[k:, :k]).T
        x = mean.ravel() + gain @ (y - mean[:-1] @ model.C.T).ravel()
        np.testing.assert_allclose(result.x.ravel(), x, atol=1e-9 * max(1, np.abs(x).max()))
        P = joint[:k, :k] - gain @ joint[k:, :k]
        for t in range(T + 1):
            block = P[t * n : (t + 1) * n, t * n : (t + 1) * n]
            np.testing.assert_allclose(result.P[t], block, atol=1e-9 * np.abs(joint).max())

    def test_ill_conditioned_state_covariance(self):
        model = replace(random_gaussian(3, 3, 1), P0=np.diag([1e12, 1.0, 1e-12]))
        y = simulate(model, steps=6, noise=True, rng=0).y
        result = two_filter_smooth(model, y)
        assert_close(result, smooth(model, y, method="rts"), 1e-8)
        assert np.linalg.eigvalsh(result.P).min() > -1e-9

    def test_outputs_without_noise(self):
        model = GaussianSSM([[0.9]], [[1.0]], [[1.0]], [[0.0]])
        y = simulate(model, steps=5, noise=True, rng=0).y
        result = two_filter_smooth(model, y)
        np.testing.assert_allclose(result.x[:-1], y, atol=1e-12)
        np.testing.assert_allclose(result.P[:-1], 0.0, atol=1e-14)

    def test_batches_and_inputs(self):
        model = random_process(np.random.default_rng(1), 3, 2, 1)
        u = np.random.default_rng(2).standard_normal((2, 7, 1))
        y = simulate(model, u, noise=True, rng=0).y
        assert_close(two_filter_smooth(model, y, u), smooth(model, y, u), 1e-10)

    def test_bilinear_model_is_linear_in_time(self):
        rng = np.random.default_rng(4)
        plain = random_process(rng, 2, 1, 1)
        u = rng.standard_normal((6, 1))
        y = rng.standard_normal((6, 1))
        parts = {name: getattr(plain, name) for name in ("A", "B", "C", "D", "K", "Re", "x0")}
        without = two_filter_smooth(BilinearSSM(N=np.zeros((1, 2, 2)), **parts), y, u)
        assert_close(without, smooth(plain, y, u), 1e-12)
        # constant input 1: the gate is part of A
        gate, ones = 0.2 * rng.standard_normal((1, 2, 2)), np.ones((6, 1))
        gated = two_filter_smooth(BilinearSSM(N=gate, **parts), y, ones)
        assert_close(gated, smooth(replace(plain, A=plain.A + gate[0]), y, ones), 1e-12)

    def test_refusals(self):
        model = random_gaussian(0, 2, 1)
        with pytest.raises(TypeError, match="`model` must be a GaussianSSM"):
            two_filter_smooth(LinearSSM([[0.5]], [[1.0]], [[1.0]]), [1.0])
        with pytest.raises(ValueError, match="continuous time"):
            two_filter_smooth(replace(model, dt=0.0), [1.0])
        with pytest.raises(ValueError, match="`y` must have shape"):
            two_filter_smooth(model, np.zeros((3, 2)))
        with pytest.raises(AccuracyError, match="filter is singular"):
            two_filter_smooth(
                GaussianSSM([[0.5]], [[1.0], [1.0]], [[1.0]], np.zeros((2, 2))), np.zeros((2, 2))
            )

    def test_state_determined_twice(self):
        """y_1 = x_1 is measured without error, and x_1 was computed from y_0 without error."""
        A, C = [[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
        model = GaussianSSM(A, C, np.diag([1.0, 0.0]), np.diag([0.0, 0.0]), P0=np.eye(2))
        with pytest.raises(AccuracyError, match="singular"):
            two_filter_smooth(model, np.zeros((3, 2)))


def test_no_outputs():
    model = GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])
    none = two_filter_smooth(model, [])
    np.testing.assert_allclose(none.P, [[[4 / 3]]])
