"""The Gram matrix by lagged products is that of the block-Hankel matrix."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from identification.structured_gram import gram_factor, hankel_gram


def hankel(w, window):
    """Return the rows of all windows, in the order of time."""
    return np.array([w[t : t + window].ravel() for t in range(len(w) - window + 1)])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    T=st.integers(2, 700),
    channels=st.integers(1, 4),
    window=st.integers(2, 30),
    seed=st.integers(0, 10**6),
)
def test_gram_and_sums(T, channels, window, seed):
    w = np.random.default_rng(seed).standard_normal((max(T, window), channels)) + 3.0
    H = hankel(w, window)
    for layout in (w, np.asfortranarray(w)):
        gram, sums = hankel_gram(layout, window)
        scale = np.finfo(float).eps * (w**2).sum() * window
        assert np.abs(gram - H.T @ H).max() <= 10 * scale
        assert np.abs(sums - H.sum(axis=0)).max() <= 10 * scale


def test_the_condition_number_is_that_of_centred_columns_of_length_one():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((2000, 3)) @ [[1.0, 0.0, 0.0], [0.0, 1e6, 0.0], [0.3, 0.0, 1.0]]
    found = gram_factor([w + np.array([5.0, 1e7, -3.0])], 1, 2, 2)
    assert found is not None
    H = np.column_stack([np.ones(1997), hankel(w - w.mean(axis=0), 4)])
    size = np.linalg.cond(H / np.linalg.norm(H, axis=0), 2)
    assert size / 2 < found[1] < 13 * size  # 1-norm against 2-norm: a factor d at most


def test_no_factor_of_a_singular_matrix():
    w = np.random.default_rng(1).standard_normal((100, 2))
    assert gram_factor([np.column_stack([w, np.zeros(100)])], 1, 2, 2) is None
    found = gram_factor([np.column_stack([w, w[:, 0]])], 1, 2, 2)
    assert found is None or found[1] > 1e7
