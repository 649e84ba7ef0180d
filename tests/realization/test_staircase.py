"""The rank staircase of the nilpotent part of a matrix."""

import numpy as np
import pytest
from every_model import mixed
from hypothesis import given, settings
from hypothesis import strategies as st

from realization.internal import nilpotent_staircase


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 6), max_size=3),
    others=st.lists(st.floats(0.1, 2.0), max_size=3),
    logcond=st.floats(0, 3),
    seed=st.integers(0, 10**6),
)
def test_identities_and_sizes(lengths, others, logcond, seed):
    rng = np.random.default_rng(seed)
    blocks = [np.eye(length, k=1) for length in lengths] + [[[value]] for value in others]
    A = mixed(rng, blocks, 10**logcond)
    Q, W, sizes, values = nilpotent_staircase(A, None)
    n, k = A.shape[0], sum(sizes)
    assert sizes == [sum(length > j for length in lengths) for j in range(max(lengths, default=0))]
    assert np.abs(Q.T @ Q - np.eye(n)).max(initial=0.0) < 1e-13
    assert np.linalg.norm(A @ Q - Q @ W) <= 1e-11 * max(np.linalg.norm(A), 1e-300)
    assert not W[k:, :k].any()
    assert not np.linalg.matrix_power(W[:k, :k], len(sizes)).any()
    assert len(values) == len(sizes) + bool(others)


@pytest.mark.parametrize("tol", [1e-14, 1e-12, 1e-10, 1e-8, 1e-6])
def test_any_reasonable_tolerance_agrees(tol):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        A = mixed(rng, [np.eye(3, k=1), np.eye(2, k=1), np.zeros((1, 1)), [[0.8]], [[-0.5]]], 10.0)
        assert nilpotent_staircase(A, tol)[2] == [3, 2, 1]


def test_complex_and_trivial():
    A = np.array([[1j, 1.0], [1.0, -1j]])  # nilpotent of index 2
    Q, W, sizes, _ = nilpotent_staircase(A, None)
    assert sizes == [1, 1]
    assert np.allclose(Q @ W @ Q.conj().T, A)
    assert nilpotent_staircase(np.zeros((0, 0)), None)[2] == []
    assert nilpotent_staircase(np.zeros((2, 2)), None)[2] == [2]
    assert nilpotent_staircase(np.eye(2), None)[2] == []
