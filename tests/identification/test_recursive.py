from __future__ import annotations

import numpy as np
import pytest
from feedback import feedback_record
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation, random_linear

from identification import RecursiveSubspace, subspace_id
from identification.preparation import OrderError
from realization import InnovationSSM, NumericalWarning, markov_parameters, poles, predict, simulate

PLANT = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
)


def track(y: np.ndarray, u: np.ndarray | None, **options: object) -> RecursiveSubspace:
    """Return a tracker that has seen a record."""
    m = 0 if u is None else u.shape[1]
    tracker = RecursiveSubspace(y.shape[1], m, **options)
    for t in range(y.shape[0]):
        tracker.update(y[t], None if u is None else u[t])
    return tracker


def noisy_record(seed: int, n: int, m: int, p: int, T: int) -> tuple:
    """Return a plant and a record of it."""
    rng = np.random.default_rng(seed)
    plant = random_innovation(rng, n, m, p)
    u = rng.standard_normal((T, m))
    return plant, simulate(plant, u, noise=True, rng=rng).y + 5.0, u - 2.0


def by_hand(y: np.ndarray, u: np.ndarray, n: int, s: int, weights: np.ndarray) -> np.ndarray:
    """Return Markov parameters by the equations as they are written, from all rows at once."""
    T, m, p = y.shape[0], u.shape[1], y.shape[1]
    root = np.sqrt(weights)[:, np.newaxis]
    mean = lambda rows: rows - weights @ rows / weights.sum()  # noqa: E731
    past = [np.concatenate([u[t - s : t].ravel(), y[t - s : t].ravel()]) for t in range(s, T)]
    after = [
        np.concatenate([u[t - s + 1 : t + 1].ravel(), y[t - s + 1 : t + 1].ravel()])
        for t in range(s, T)
    ]
    Z, Zn, U, Y = (root * mean(np.array(rows)) for rows in (past, after, u[s:], y[s:]))
    theta = np.linalg.lstsq(np.hstack([Z, U]), Y, rcond=None)[0].T
    observed = np.zeros((s * p, s * (m + p)))
    for i in range(s):
        for k in range(i, s):  # sample k of the past acts on the future as sample k - i now
            j = k - i
            observed[i * p : (i + 1) * p, k * m : (k + 1) * m] = theta[:, j * m : (j + 1) * m]
            at, to = s * m + j * p, s * m + k * p
            observed[i * p : (i + 1) * p, to : to + p] = theta[:, at : at + p]
    left, _, _ = np.linalg.svd(observed @ Z.T, full_matrices=False)
    L = left[:, :n].T @ observed
    X, Xn = Z @ L.T, Zn @ L.T
    out = np.linalg.lstsq(np.hstack([X, U]), Y, rcond=None)[0].T
    E = Y - np.hstack([X, U]) @ out.T
    step = np.linalg.lstsq(np.hstack([X, U, E]), Xn, rcond=None)[0].T
    A, B, K = step[:, :n], step[:, n : n + m], step[:, n + m :]
    C, D = out[:, :n], out[:, n:]
    joint = [np.hstack([D, np.eye(p)])]
    state = np.hstack([B, K])
    for _ in range(15):
        joint.append(C @ state)
        state = A @ state
    return np.array(joint)


def joint_markov(model: InnovationSSM) -> np.ndarray:
    """Return the Markov parameters from [u, e] to y."""
    noise = InnovationSSM(model.A, model.C, model.K, model.Re, B=model.K, D=np.eye(model.n_outputs))
    return np.concatenate([markov_parameters(model, 16), markov_parameters(noise, 16)], axis=2)


@pytest.mark.parametrize("forgetting", [1.0, 0.99])
@pytest.mark.parametrize(("n", "m", "p"), [(1, 1, 1), (3, 2, 2), (2, 1, 3), (4, 0, 2)])
def test_equals_the_batch_estimator(forgetting, n, m, p):
    _, y, u = noisy_record(n, n, m, p, 500)
    tracker = track(y, u if m else None, order=n, past=6, forgetting=forgetting)
    weights = forgetting ** np.arange(493.0, -1.0, -1.0)
    expected = by_hand(y, u, n, 6, weights)
    found = joint_markov(tracker.model)
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    y0, u0 = tracker.offset
    np.testing.assert_allclose(y0, weights @ y[6:] / weights.sum(), rtol=1e-10)
    np.testing.assert_allclose(u0, weights @ u[6:] / weights.sum(), rtol=1e-10)


def test_reading_the_model_changes_nothing():
    _, y, u = noisy_record(0, 2, 1, 1, 400)
    quiet = track(y, u, order=2, past=5, forgetting=0.99)
    read = RecursiveSubspace(1, 1, order=2, past=5, forgetting=0.99)
    for t in range(400):
        read.update(y[t], u[t])
        if t > 50 and t % 7 == 0:
            assert read.model is read.model
    np.testing.assert_allclose(
        joint_markov(read.model), joint_markov(quiet.model), atol=1e-11 * np.abs(y).max()
    )


def test_agrees_with_subspace_id_up_to_the_ends_of_the_record():
    plant, y, u = noisy_record(1, 2, 1, 1, 4000)
    batch = subspace_id(y, u, 2, method="pbsid", past=10, future=10, bd="factor").model
    online = track(y, u, order=2).model
    error = np.abs(markov_parameters(batch, 15) - markov_parameters(plant, 15)).max()
    between = np.abs(markov_parameters(batch, 15) - markov_parameters(online, 15)).max()
    assert between < 0.2 * error  # 9 of 4000 equations differ


@settings(max_examples=15, deadline=None, derandomize=True)
@given(n=st.integers(1, 4), m=st.integers(1, 3), p=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_noise_free_plants_are_recovered(n, m, p, seed):
    rng = np.random.default_rng(seed)
    plant = random_linear(rng, n, m, p)
    u = rng.standard_normal((300, m))
    y = simulate(plant, u, x0=rng.standard_normal(n)).y
    tracker = track(y, u, order=n, past=n + 3)
    with pytest.warns(NumericalWarning, match="noise-free to rounding"):
        model = tracker.model
    expected = markov_parameters(plant, 20)
    assert np.abs(markov_parameters(model, 20) - expected).max() < 1e-6 * np.abs(expected).max()


def drifting_record(T: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outputs, inputs and the pole, which moves from 0.5 to 0.9."""
    pole = np.linspace(0.5, 0.9, T)
    u, e = rng.standard_normal(T), 0.1 * rng.standard_normal(T)
    x, y = 0.0, np.empty(T)
    for t in range(T):
        y[t] = x + e[t]
        x = pole[t] * x + u[t] + 0.3 * e[t]
    return y[:, np.newaxis], u[:, np.newaxis], pole


def test_a_drifting_pole_is_tracked():
    y, u, pole = drifting_record(8000, np.random.default_rng(2))
    trackers = {
        forgetting: RecursiveSubspace(1, 1, order=1, past=6, forgetting=forgetting)
        for forgetting in (1.0, 0.99)
    }
    errors = {forgetting: [] for forgetting in trackers}
    for t in range(8000):
        for forgetting, tracker in trackers.items():
            tracker.update(y[t], u[t])
            if t > 500 and t % 100 == 0:
                errors[forgetting].append(poles(tracker.model)[0].real - pole[t])
    # it lags by its memory of 100 samples, in which the pole moves by 100 * 0.4 / 8000 = 0.005;
    # the noise of a memory of 200 independent samples is sqrt((1 - a^2) s^2 / 200) < 0.01
    assert np.abs(np.mean(errors[0.99])) < 2 * 0.005
    assert np.std(errors[0.99]) < 0.01
    assert np.abs(errors[1.0][-1]) > 0.05


def test_memory_does_not_grow():
    tracker = RecursiveSubspace(2, 1, order=2, past=4)
    rng = np.random.default_rng(3)

    def numbers() -> int:
        return sum(v.size for v in vars(tracker).values() if isinstance(v, np.ndarray))

    sizes = set()
    for t in range(3000):
        tracker.update(rng.standard_normal(2), rng.standard_normal(1))
        if t % 500 == 499:
            assert tracker.model.n_states == 2
            sizes.add(numbers())
    assert len(sizes) == 1
    assert tracker.n_samples == 3000


def test_matrices_change_slowly():
    # two modes whose sizes cross: sorted singular vectors would swap them
    rng = np.random.default_rng(4)
    T, x = 3000, np.zeros(2)
    gains = np.column_stack([np.linspace(1.0, 0.3, T), np.linspace(0.3, 1.0, T)])
    tracker = RecursiveSubspace(1, 1, order=2, past=8, forgetting=0.99)
    before, steps = None, []
    for t in range(T):
        u, e = rng.standard_normal(), 0.01 * rng.standard_normal()
        tracker.update(gains[t] @ x + e, u)
        x = np.array([0.9, -0.7]) * x + u
        if t >= 300 and t % 20 == 0:
            A = tracker.model.A
            if before is not None:
                steps.append(np.abs(A - before).max())
            before = A
    assert max(steps) < 0.1


def test_feedback_does_not_bias_the_tracker():
    rng = np.random.default_rng(5)
    expected = markov_parameters(PLANT, 10)[1:]
    found = []
    for _ in range(6):
        y, u = feedback_record(PLANT, 0.5, 4000, rng)
        model = track(y, u, order=2, past=15, feedthrough=False).model
        assert not model.D.any()
        found.append(markov_parameters(model, 10)[1:])
    spread = np.std(found, axis=0, ddof=1) / np.sqrt(6)
    assert (np.abs(np.mean(found, axis=0) - expected) < 5 * spread + 2e-3).all()


def test_the_state_predicts_the_sample_to_come():
    plant, y, u = noisy_record(6, 2, 1, 2, 3000)
    tracker = track(y[:2000], u[:2000], order=2, past=8, dt=0.5)
    model, (y0, u0) = tracker.model, tracker.offset
    assert model.dt == 0.5
    errors = []
    for t in range(2000, 3000):
        model, (y0, u0), state = tracker.model, tracker.offset, tracker.state
        errors.append(y[t] - y0 - model.C @ state - model.D @ (u[t] - u0))
        tracker.update(y[t], u[t])
    optimal = y[2000:] - 5.0 - predict(plant, y - 5.0, u + 2.0)[2000:]
    # a model from 2000 samples loses a few percent of the innovation power
    assert np.sum(np.square(errors)) < 1.05 * np.sum(optimal**2)


# --- missing samples, too few samples -------------------------------------------------------------


def test_missing_samples_are_left_out_with_their_equations():
    _, y, u = noisy_record(7, 2, 1, 1, 600)
    gappy = y.copy()
    gappy[[200, 205, 206, 400]] = np.nan
    tracker = track(gappy, u, order=2, past=5, offset="none")
    assert (tracker.n_samples, tracker.n_missing) == (600, 4)
    pieces = RecursiveSubspace(1, 1, order=2, past=5, offset="none")
    for piece in (slice(0, 200), slice(207, 400), slice(401, 600)):
        for t in range(piece.start, piece.stop):
            pieces.update(y[t], u[t])
        pieces.update(np.nan, 0.0)  # the next piece does not continue this one
    np.testing.assert_allclose(
        joint_markov(tracker.model), joint_markov(pieces.model), atol=1e-10 * np.abs(y).max()
    )
    assert tracker.state.shape == (2,)
    with pytest.raises(ValueError, match="needs `past` = 5 samples in a row; 0 came since"):
        _ = pieces.state


def test_too_few_samples_are_refused_with_the_number_needed():
    rng = np.random.default_rng(8)
    tracker = RecursiveSubspace(1, 1, order=1, past=3)
    needed = 3 + 9
    for _ in range(needed - 1):
        tracker.update(rng.standard_normal(), rng.standard_normal())
    for read in ("model", "offset", "state"):
        with pytest.raises(ValueError, match="past = 3 needs 12 in a row; got 11, 0 of them miss"):
            getattr(tracker, read)
    for _ in range(40):  # as many equations as coefficients would do, for a model of no use
        tracker.update(rng.standard_normal(), rng.standard_normal())
    assert tracker.model.n_states == 1


def test_data_that_do_not_carry_the_order():
    constant = track(np.ones((60, 1)), np.ones((60, 1)), order=1, past=3, offset="none")
    with pytest.warns(NumericalWarning):
        assert constant.model.n_states == 1
    silent = track(np.zeros((60, 1)), np.zeros((60, 1)), order=1, past=3)
    with pytest.raises(OrderError, match="tells of the future has rank 0"):
        _ = silent.model


def test_order_zero_and_units():
    rng = np.random.default_rng(9)
    u = rng.standard_normal((300, 2))
    y = u @ [[2.0], [-1.0]] + 0.1 * rng.standard_normal((300, 1))
    np.testing.assert_allclose(
        track(y, u, order=0, past=2).model.D, [[2.0, -1.0]], atol=6 * 0.1 / np.sqrt(300)
    )
    _, y, u = noisy_record(10, 2, 1, 1, 300)
    plain = track(y, u, order=2, past=4).model
    large = track(1e60 * y, 1e-60 * u, order=2, past=4).model
    np.testing.assert_allclose(
        markov_parameters(large, 10) / 1e60 / 1e60, markov_parameters(plain, 10), rtol=1e-8
    )


# --- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": -1}, ValueError, "`order` must be at least 0"),
        ({"order": 1.0}, TypeError, "`order` must be an integer"),
        ({"order": 7}, ValueError, "= 7 cannot be had with past = 5 and future = 5: at most 5"),
        ({"future": 1, "order": 2}, ValueError, "at most 1"),
        ({"past": 0}, ValueError, "`past` must be at least 1"),
        ({"future": 0}, ValueError, "`future` must be at least 1"),
        ({"forgetting": 0.0}, ValueError, "`forgetting` must be finite and above 0"),
        ({"forgetting": 1.01}, ValueError, "`forgetting` must be at most 1; got 1.01"),
        ({"forgetting": np.nan}, ValueError, "`forgetting` must be finite"),
        ({"forgetting": 0.9}, ValueError, r"remembers 10.0 samples;.*Take at least 0.92"),
        ({"offset": "mean"}, ValueError, "`offset` must be one of"),
        ({"dt": 0.0}, ValueError, "`dt` must be positive"),
        ({"dt": -1.0}, ValueError, "`dt` must be finite"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        RecursiveSubspace(1, 1, **{"order": 1, "past": 5, **options})


@pytest.mark.parametrize(
    ("sample", "error", "message"),
    [
        (([1.0], [1.0, 2.0]), ValueError, r"`y_t` must be one sample of shape \(2,\); got \(1,\)"),
        (([[1.0, 2.0]], [1.0, 2.0]), ValueError, r"got \(1, 2\)"),
        (([1.0, 2.0], [1.0]), ValueError, r"`u_t` must be one sample of shape \(2,\)"),
        (([1.0, 2.0],), ValueError, "`u_t` is missing: this tracker has 2 inputs"),
        (([1.0, 2.0], [1.0, np.nan]), ValueError, "Mark the sample as missing by a NaN in `y_t`"),
        (([1.0, np.inf], [1.0, 2.0]), ValueError, "`y_t` must be finite; found inf"),
        (([1.0, 1e200], [1.0, 2.0]), ValueError, "`y_t` has size 1e\\+200"),
        (([1.0, 2.0j], [1.0, 2.0]), TypeError, "`y_t` must be real"),
        (("a", [1.0, 2.0]), TypeError, "`y_t` must be numeric"),
        (([], [1.0, 2.0]), ValueError, r"got \(0,\)"),
    ],
)
def test_wrong_samples(sample, error, message):
    tracker = RecursiveSubspace(2, 2, order=1)
    with pytest.raises(error, match=message):
        tracker.update(*sample)
    assert tracker.n_samples == 0


def test_an_input_of_a_process_without_inputs():
    tracker = RecursiveSubspace(1, 0, order=1)
    with pytest.raises(ValueError, match=r"`u_t` must be one sample of shape \(0,\); got \(1,\)"):
        tracker.update(1.0, 1.0)
    assert "1 output, 0 inputs, order=1, past=10, forgetting=1, 0 samples" in repr(tracker)
