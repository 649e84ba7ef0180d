from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identification import Experiments, HankelFactor


def hankel(y: np.ndarray, u: np.ndarray, past: int, future: int) -> np.ndarray:
    """Build the data matrix row by row, as the module's docstring defines it."""
    rows = []
    for t in range(len(y) - past - future + 1):
        now, end = t + past, t + past + future
        parts = [u[now:end], u[t:now], y[t:now], y[now:end]]
        rows.append(np.concatenate([[1.0], *[part.ravel() for part in parts]]))
    return np.array(rows)


def gram(factor: HankelFactor) -> np.ndarray:
    return factor.R.T @ factor.R


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    p=st.integers(1, 3),
    m=st.integers(0, 3),
    past=st.integers(1, 5),
    future=st.integers(2, 5),
    T=st.integers(12, 80),
    cut=st.integers(1, 11),
    seed=st.integers(0, 10**6),
)
def test_factor_is_that_of_the_hankel_matrix(p, m, past, future, T, cut, seed):
    rng = np.random.default_rng(seed)
    y, u = rng.standard_normal((T, p)), rng.standard_normal((T, m))
    whole = HankelFactor(p, m, past=past, future=future).update(y, u if m else None)
    H = hankel(y, u, past, future)
    np.testing.assert_allclose(gram(whole), H.T @ H, atol=1e-12 * T * (1 + np.abs(H).max() ** 2))
    assert np.abs(np.tril(whole.R, -1)).max() == 0.0
    assert whole.n_columns == H.shape[0]
    assert whole.n_samples == T
    parts = HankelFactor(p, m, past=past, future=future)
    for start in range(0, T, cut):
        parts.update(y[start : start + cut], u[start : start + cut] if m else None)
    np.testing.assert_allclose(gram(parts), gram(whole), atol=1e-11 * T)
    assert parts.n_columns == whole.n_columns


def test_merge_joins_separate_records():
    rng = np.random.default_rng(0)
    runs = [(rng.standard_normal((T, 2)), rng.standard_normal((T, 1))) for T in (50, 9, 120)]
    H = np.vstack([hankel(y, u, 4, 4) for y, u in runs])
    factors = [HankelFactor(2, 1, past=4, future=4).update(y, u) for y, u in runs]
    joined = factors[0].merge(factors[1]).merge(factors[2])
    np.testing.assert_allclose(gram(joined), H.T @ H, atol=1e-10)
    assert (joined.n_columns, joined.n_samples) == (H.shape[0], 179)
    data = Experiments.from_data([y for y, _ in runs], [u for _, u in runs])
    together = HankelFactor.from_experiments(data, past=4, future=4)
    np.testing.assert_allclose(gram(together), gram(joined), atol=1e-10)
    # the joined factor starts a new record: its past is not that of the last run
    more = rng.standard_normal((30, 2)), rng.standard_normal((30, 1))
    H = np.vstack([H, hankel(*more, 4, 4)])
    np.testing.assert_allclose(gram(joined.update(*more)), H.T @ H, atol=1e-10)


def test_means():
    rng = np.random.default_rng(1)
    y, u = rng.standard_normal((4000, 1)) + 5.0, rng.standard_normal((4000, 2)) - [1.0, 2.0]
    y0, u0 = HankelFactor(1, 2, past=3, future=3).update(y, u).means()
    # the mean over columns and lags differs from that over samples by the window's ends only
    assert abs(y0 - y.mean(axis=0)).max() < 6 * 5 / 4000 * np.abs(y).max()
    assert abs(u0 - u.mean(axis=0)).max() < 6 * 5 / 4000 * np.abs(u).max()


def test_update_keeps_the_data_untouched_and_returns_itself():
    y = np.arange(30.0)
    factor = HankelFactor(1, 0, past=2, future=2)
    assert factor.update(y) is factor
    np.testing.assert_array_equal(y, np.arange(30.0))
    assert repr(factor) == "HankelFactor(1 outputs, 0 inputs, past=2, future=2, 30 samples)"


def test_wrong_calls():
    y = np.zeros((20, 1))
    with pytest.raises(ValueError, match="`n_outputs` must be at least 1"):
        HankelFactor(0, 1, past=2, future=2)
    with pytest.raises(ValueError, match="`future` must be at least 2"):
        HankelFactor(1, 1, past=2, future=1)
    factor = HankelFactor(1, 1, past=2, future=2)
    with pytest.raises(ValueError, match="has 1 outputs and 1 inputs; got 1 and 0"):
        factor.update(y)
    with pytest.raises(ValueError, match="`y` must be one record"):
        factor.update([y, y], [y, y])
    with pytest.raises(ValueError, match="missing value"):
        factor.update(np.full((5, 1), np.nan), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="can be merged; got"):
        factor.merge(HankelFactor(1, 1, past=2, future=3))
