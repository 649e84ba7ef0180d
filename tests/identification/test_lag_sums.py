import numpy as np
import pytest

from identification.lag_sums import lag_sums, own_lag_sums


@pytest.mark.parametrize(
    ("T", "p", "q", "lags"),
    [(1, 1, 1, 0), (5, 2, 3, 9), (512, 1, 1, 3), (3000, 2, 1, 40), (20000, 3, 2, 700)],
)
def test_sums_equal_the_products_added_one_by_one(T, p, q, lags):
    rng = np.random.default_rng(T)
    a, b = rng.standard_normal((T, p)), rng.standard_normal((T, q))
    sums = lag_sums(a, b, lags)
    assert sums.shape == (lags + 1, p, q)
    direct = np.zeros_like(sums)
    for k in range(min(lags + 1, T)):
        direct[k] = a[k:].T @ b[: T - k]
    eps = np.finfo(float).eps
    bound = 10 * eps * np.log2(lags + 2) * np.linalg.norm(a) * np.linalg.norm(b)
    assert np.abs(sums - direct).max() <= bound


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("T", "c", "lags"),
    [(2, 1, 1), (40, 2, 39), (513, 1, 1), (1063, 2, 39), (5000, 3, 7), (70_000, 2, 80)],
)
def test_own_sums_are_the_sums_of_a_signal_with_itself(T, c, lags, order):
    w = np.asarray(np.random.default_rng(T).standard_normal((T, c)), order=order)
    expected = lag_sums(w, w[: T - lags], lags)
    eps = np.finfo(float).eps
    bound = 10 * eps * np.log2(lags + 2) * np.linalg.norm(w) ** 2
    assert np.abs(own_lag_sums(w, lags) - expected).max() <= bound
