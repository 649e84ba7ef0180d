"""Ho-Kalman: exact recovery, reduction, and what the data must hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_linear

from realization import LinearSSM, ho_kalman, markov_parameters, poles

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds, st.integers(0, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 30))
def test_exact_markov_parameters_are_realized(seed, n, m, p, extra):
    model = random_linear(np.random.default_rng(seed), n, m, p)
    count = 2 * n + 1 + extra
    h = markov_parameters(model, count)
    found = ho_kalman(h, n)
    assert (found.n_states, found.n_inputs, found.n_outputs) == (n, m, p)
    # the smallest Hankel singular value bounds what the data determine
    blocks = np.block([[h[i + j + 1] for j in range(n)] for i in range(n)]) if n else np.eye(1)
    condition = np.linalg.cond(blocks)
    expected = markov_parameters(model, count + 10)
    tolerance = 1e-14 * (n + 1) * condition**2 * np.abs(expected).max()
    np.testing.assert_allclose(markov_parameters(found, count + 10), expected, atol=tolerance)


@pytest.mark.parametrize("shape", [(8, 4, 4), (8, 1, 1), (64, 4, 4)])
def test_longer_records(shape):
    model = random_linear(np.random.default_rng(1), *shape)
    h = markov_parameters(model, 120)
    found = ho_kalman(h, shape[0])
    np.testing.assert_allclose(markov_parameters(found, 120), h, atol=1e-9 * np.abs(h).max())


def test_balanced_coordinates():
    model = random_linear(np.random.default_rng(2), 4, 2, 3)
    found = ho_kalman(markov_parameters(model, 200), 4)
    powers = [np.linalg.matrix_power(found.A, k) for k in range(100)]
    observability = sum(Ak.T @ found.C.T @ found.C @ Ak for Ak in powers)
    reachability = sum(Ak @ found.B @ found.B.T @ Ak.T for Ak in powers)
    np.testing.assert_allclose(observability, np.diag(np.diag(observability)), atol=1e-10)
    np.testing.assert_allclose(observability, reachability, atol=1e-10)


def test_a_delay_line():
    h = np.zeros(20)
    h[8] = 1.0
    found = ho_kalman(h, 8)
    assert np.array_equal(markov_parameters(found, 20).ravel(), h)


def test_feedthrough_alone():
    found = ho_kalman([[[2.0, 3.0]]], 0)
    assert found.n_states == 0
    assert np.array_equal(found.D, [[2.0, 3.0]])


def test_reduction_keeps_the_slow_poles():
    model = LinearSSM(np.diag([0.95, 0.9, 0.1]), [[1.0], [1.0], [0.01]], [[1.0, -0.5, 0.01]])
    found = ho_kalman(markov_parameters(model, 200), 2)
    np.testing.assert_allclose(poles(found), [0.95, 0.9], atol=1e-3)


def test_noise_in_the_parameters_moves_the_answer_as_little():
    rng = np.random.default_rng(3)
    model = random_linear(rng, 3, 1, 2)
    h = markov_parameters(model, 200)
    noisy = h + 1e-6 * rng.standard_normal(h.shape)
    found = markov_parameters(ho_kalman(noisy, 3), 200)
    # fewer than 1e2 times the noise: the signal-to-noise ratio of a balanced truncation
    assert np.abs(found - h).max() < 1e-4


def test_dt_and_complex_data():
    h = 0.5j ** np.arange(8)
    found = ho_kalman(h, 1, dt=0.1)
    assert found.dt == 0.1
    np.testing.assert_allclose(markov_parameters(found, 8).ravel(), h, atol=1e-14)


def test_rows_and_columns():
    h = markov_parameters(random_linear(np.random.default_rng(4), 4, 2, 2), 40)
    for size in ({"rows": 5}, {"columns": 6}, {"rows": 7, "columns": 9}):
        found = ho_kalman(h, 4, **size)
        np.testing.assert_allclose(markov_parameters(found, 40), h, atol=1e-10 * np.abs(h).max())


def test_the_least_that_suffices():
    # one output, three inputs: four rows, one column
    model = random_linear(np.random.default_rng(5), 3, 3, 1)
    h = markov_parameters(model, 5)
    np.testing.assert_allclose(markov_parameters(ho_kalman(h, 3), 5), h, atol=1e-12)


class TestRefusals:
    h = markov_parameters(random_linear(np.random.default_rng(6), 3, 1, 1), 12)

    @pytest.mark.parametrize("shape", [(4, 2), (4, 1, 1, 1), (0, 1, 1), (4, 0, 1), (4, 1, 0)])
    def test_shape(self, shape):
        with pytest.raises(ValueError, match=r"`markov` must have shape \(count, p, m\), D first"):
            ho_kalman(np.ones(shape), 1)

    def test_order(self):
        with pytest.raises(TypeError, match="`order` must be an integer"):
            ho_kalman(self.h, 2.0)
        with pytest.raises(ValueError, match="`order` must be at least 0"):
            ho_kalman(self.h, -1)

    def test_too_few_parameters(self):
        with pytest.raises(ValueError, match=r"must hold at least 7 Markov parameters .* got 6"):
            ho_kalman(self.h[:6], 3)

    def test_order_above_the_rank(self):
        with pytest.raises(ValueError, match=r"must not exceed the rank 3 .* got 4"):
            ho_kalman(self.h, 4)
        with pytest.raises(ValueError, match="must not exceed the rank 0"):
            ho_kalman(np.zeros(9), 1)

    def test_rows_and_columns_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"`rows` \+ `columns` must not exceed .* 12; got 7"):
            ho_kalman(self.h, 3, rows=7, columns=6)
        with pytest.raises(ValueError, match="`rows` must be at least 4 and `columns` at least 3"):
            ho_kalman(self.h, 3, rows=3, columns=6)
        with pytest.raises(TypeError, match="`rows` must be an integer"):
            ho_kalman(self.h, 3, rows=3.5)
        with pytest.raises(ValueError, match="`columns` must be at least 1"):
            ho_kalman(self.h, 3, columns=0)

    def test_rows_too_few_for_a_long_chain_at_one_output(self):
        h = np.zeros((16, 2, 1))
        h[6, 0] = 1.0
        with pytest.raises(ValueError, match="6 is too small: 5 block rows can determine 5"):
            ho_kalman(h, 6, rows=6, columns=8)
        assert np.array_equal(markov_parameters(ho_kalman(h, 6, rows=7), 16), h)

    def test_not_finite(self):
        with pytest.raises(ValueError, match="`markov` must be finite; found NaN"):
            ho_kalman([1.0, np.nan, 1.0, 1.0], 1)
