from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from identification import Experiments, HankelFactor, hankel_factor, subspace_id, threads
from realization import InnovationSSM, markov_parameters


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


def by_qr(p: int, m: int, past: int, future: int, *records) -> HankelFactor:
    """Return the factor of separate records, made by QR alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hankel_factor, "CONDITION", 0.0)
        total = HankelFactor(p, m, past=past, future=future)
        for y, u in records:
            one = HankelFactor(p, m, past=past, future=future).update(y, u if m else None)
            total = total.merge(one)
        assert total.n_columns_by_qr == total.n_columns
        return total


def same_up_to_signs(R: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of two triangular factors, relative to their columns."""
    signs = np.where(np.diag(R) * np.diag(other) < 0, -1.0, 1.0)[:, np.newaxis]
    return float(np.abs((R - signs * other) / np.linalg.norm(other, axis=0)).max())


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
    assert repr(factor) == "HankelFactor(1 output, 0 inputs, past=2, future=2, 30 samples)"


def test_wrong_calls():
    y = np.zeros((20, 1))
    with pytest.raises(ValueError, match="factor is empty: update it with data first"):
        HankelFactor(1, 1, past=2, future=2).means()
    with pytest.raises(ValueError, match="`n_outputs` must be at least 1"):
        HankelFactor(0, 1, past=2, future=2)
    with pytest.raises(ValueError, match="`future` must be at least 2"):
        HankelFactor(1, 1, past=2, future=1)
    factor = HankelFactor(1, 1, past=2, future=2)
    with pytest.raises(ValueError, match="has 1 output and 1 input; got 1 and 0"):
        factor.update(y)
    with pytest.raises(ValueError, match="`y` must be one record"):
        factor.update([y, y], [y, y])
    with pytest.raises(ValueError, match="missing value"):
        factor.update(np.full((5, 1), np.nan), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="can be merged; got"):
        factor.merge(HankelFactor(1, 1, past=2, future=3))
    with pytest.raises(TypeError, match="`other` must be a HankelFactor; got ndarray"):
        factor.merge(factor.R)  # pyright: ignore[reportArgumentType]


# --- two routes to one factor -------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    p=st.integers(1, 3),
    m=st.integers(0, 3),
    past=st.integers(1, 6),
    future=st.integers(2, 6),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    unit=st.sampled_from([1.0, 1e-9, 1e9]),
    seed=st.integers(0, 10**6),
)
def test_gram_and_qr_agree_on_benign_data(p, m, past, future, offset, unit, seed):
    rng = np.random.default_rng(seed)
    w = scipy.signal.lfilter([1.0], [1.0, -0.5], rng.standard_normal((400, m + p)), axis=0)
    w = (w + offset) * np.append(np.ones(m + p - 1), unit)
    y, u = w[:, m:], w[:, :m]
    found = HankelFactor(p, m, past=past, future=future).update(y, u if m else None)
    assert found.n_columns_by_qr == 0
    # an offset of 1e6 costs QR of the raw data 6 digits; the Gram matrix is that of centred data
    tolerance = 1e-9 if offset < 1e6 else 1e-7
    assert same_up_to_signs(found.R, by_qr(p, m, past, future, (y, u)).R) < tolerance


PLANT = InnovationSSM(
    [[0.8, 0.3, 0.0], [-0.3, 0.8, 0.1], [0.0, 0.0, 0.5]],
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.5]],
    [[0.2, 0.0], [0.1, 0.1], [0.0, 0.1]],
    np.eye(2),
    B=[[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]],
)


@pytest.mark.parametrize("colour", [0.0, 0.9])
@pytest.mark.parametrize("scale", [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 0.0])
def test_the_switch_never_costs_accuracy(scale, colour):
    rng = np.random.default_rng(0)
    u = scipy.signal.lfilter([1.0], [1.0, -colour], rng.standard_normal((3000, 2)), axis=0)
    e = scale * rng.standard_normal((3000, 2))
    y = np.zeros((3000, 2))
    x = np.zeros(3)
    for t in range(3000):
        y[t] = PLANT.C @ x + e[t]
        x = PLANT.A @ x + PLANT.B @ u[t] + PLANT.K @ e[t]
    found = HankelFactor(2, 2, past=8, future=8).update(y, u)
    truth = markov_parameters(PLANT, 30)
    errors = []
    for factor in (found, by_qr(2, 2, 8, 8, (y, u))):
        model = subspace_id(factor=factor, order=3, method="n4sid", offset="none").model
        errors.append(np.linalg.norm(markov_parameters(model, 30) - truth))
    assert errors[0] <= 2 * errors[1]
    assert errors[0] < 20 * scale / np.sqrt(3000) + 1e-12  # both are what the noise allows
    # innovations of size 1e-4 and more leave the Gram matrix well conditioned; rounding does not
    if scale >= 1e-3:
        assert found.n_columns_by_qr == 0
    if scale <= 1e-6:
        assert found.n_columns_by_qr == found.n_columns


def test_pieces_of_both_kinds_are_joined(monkeypatch):
    rng = np.random.default_rng(2)
    y, u = rng.standard_normal((900, 2)), rng.standard_normal((900, 1))
    y[300:600, 1] = y[300:600, 0]  # here the Gram matrix is singular
    whole = by_qr(2, 1, 3, 3, (y, u))
    monkeypatch.setattr(hankel_factor, "PIECE", 3 * 100)
    parts = HankelFactor(2, 1, past=3, future=3)
    for start in range(0, 900, 50):
        parts.update(y[start : start + 50], u[start : start + 50])
    assert 200 < parts.n_columns_by_qr < 500
    assert parts.n_columns == whole.n_columns
    assert same_up_to_signs(parts.R, whole.R) < 1e-9
    # the same for a record that comes at once, and cut in two factors that are merged
    data = Experiments.from_data([y[:450], y[450:]], [u[:450], u[450:]])
    together = HankelFactor.from_experiments(data, past=3, future=3)
    runs = list(zip(data.y, data.u, strict=True))
    halves = [HankelFactor(2, 1, past=3, future=3).update(y, u) for y, u in runs]
    expected = by_qr(2, 1, 3, 3, *runs).R
    for joined in (together, halves[0].merge(halves[1])):
        assert 0 < joined.n_columns_by_qr < joined.n_columns == 890
        assert same_up_to_signs(joined.R, expected) < 1e-9


def test_many_short_records_are_one_piece():
    rng = np.random.default_rng(3)
    runs = [(rng.standard_normal((T, 2)), rng.standard_normal((T, 1))) for T in range(5, 45)]
    data = Experiments.from_data([y for y, _ in runs], [u for _, u in runs])
    found = HankelFactor.from_experiments(data, past=4, future=4)
    H = np.vstack([hankel(y, u, 4, 4) for y, u in runs if len(y) >= 8])
    assert (found.n_columns, found.n_columns_by_qr) == (len(H), 0)
    assert np.abs(gram(found) - H.T @ H).max() < 1e-12 * len(H) * np.abs(H).max() ** 2


@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_constant_channel_goes_to_qr(constant):
    rng = np.random.default_rng(4)
    y, u = rng.standard_normal((200, 1)), np.full((200, 1), constant)
    found = HankelFactor(1, 1, past=3, future=3).update(y, u)
    H = hankel(y, u, 3, 3)
    assert found.n_columns_by_qr == 195
    assert np.abs(gram(found) - H.T @ H).max() < 1e-11


def test_waiting_samples_are_bounded_and_travel(monkeypatch):
    monkeypatch.setattr(hankel_factor, "PIECE", 4000)
    rng = np.random.default_rng(5)
    y = rng.standard_normal(30_000)
    factor, one = (HankelFactor(1, 0, past=5, future=5) for _ in range(2))
    for start in range(0, y.size, 100):
        factor.update(y[start : start + 100])
        if start == 15_000:
            assert len(pickle.dumps(factor)) < 8 * (4000 + 200) + 10_000
            factor = pickle.loads(pickle.dumps(factor))
    assert np.allclose(gram(factor), gram(one.update(y)), rtol=0, atol=1e-9 * 30_000)


def test_small_matrices_use_one_thread(monkeypatch):
    limited = []

    class Libraries:
        def limit(self, *, limits: int) -> object:
            limited.append(limits)
            return threads.nullcontext()

    monkeypatch.setattr(threads, "_libraries", Libraries)
    HankelFactor(1, 0, past=3, future=3).update(np.arange(9.0) ** 2).R  # noqa: B018
    assert limited == [1]
