import numpy as np
import pytest

from identification.lag_sums import lag_sums


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
