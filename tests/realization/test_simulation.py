import dataclasses
import pickle

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_gaussian import JointGaussian, random_gaussian, with_gaps
from processes import random_process
from systems import random_innovation, random_linear

from realization import (
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    forecast,
    predict,
    simulate,
)

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
SIZES = {"n": st.integers(0, 5), "m": st.integers(0, 3), "p": st.integers(1, 4)}
SEEDS = st.integers(0, 10**6)


def random_model(rng, kind, n, m, p):
    if kind == "linear":
        return random_linear(rng, n, m, p)
    return random_process(rng, n, p, m) if kind == "innovation" else random_gaussian(rng, n, m, p)


# ---- simulate ------------------------------------------------------------------------------------


@SETTINGS
@given(
    **SIZES,
    kind=st.sampled_from(["linear", "innovation"]),
    T=st.sampled_from([0, 1, 2, 63, 300]),
    batch=st.sampled_from([(), (3,), (2, 1)]),
    seed=SEEDS,
)
def test_simulation_is_the_recursion(n, m, p, kind, T, batch, seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, kind, n, m, p)
    u, x0 = rng.standard_normal((*batch, T, m)), rng.standard_normal((*batch, n))
    kept = u.copy()
    path = simulate(model, u, x0=x0)
    np.testing.assert_array_equal(u, kept)
    assert path.x.shape == (*batch, T + 1, n)
    assert_close(path.x[..., 0, :], x0)
    assert_close(path.x[..., 1:, :], path.x[..., :-1, :] @ model.A.T + u @ model.B.T)
    assert_close(path.y, path.x[..., :-1, :] @ model.C.T + u @ model.D.T, 1e-12)


def test_the_default_start_is_the_models():
    rng = np.random.default_rng(0)
    for model, start in (
        (random_gaussian(rng, 2, 0, 1), "m0"),
        (random_process(rng, 2, 1), "x0"),
    ):
        np.testing.assert_array_equal(simulate(model, steps=3).x[0], getattr(model, start))
    np.testing.assert_array_equal(simulate(random_linear(rng, 2, 1, 1), np.ones(3)).x[0], 0.0)


def test_states_are_computed_when_read_and_only_then():
    model = random_linear(np.random.default_rng(1), 2, 1, 1)
    path = simulate(model, np.ones(5))
    assert "x" not in vars(path)
    assert path.x is path.x
    assert repr(path) == "Simulation(y[5, 1])"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(simulate(model, np.ones(5)))).x, path.x)


def test_states_do_not_follow_a_later_change_of_the_input():
    model, u = random_linear(np.random.default_rng(2), 2, 1, 1), np.ones((5, 1))
    path, expected = simulate(model, u), simulate(model, u).x
    u[:] = 7.0
    np.testing.assert_array_equal(path.x, expected)


def test_views_lists_and_one_channel():
    rng = np.random.default_rng(3)
    model = random_linear(rng, 3, 1, 2)
    wide = rng.standard_normal((200, 4))
    expected = simulate(model, wide[:, 1:2].copy()).y
    np.testing.assert_array_equal(simulate(model, wide[:, 1]).y, expected)
    np.testing.assert_array_equal(simulate(model, list(wide[:, 1])).y, expected)
    np.testing.assert_array_equal(simulate(model, wide[::-1][::-1, 1:2]).y, expected)


def test_a_batch_of_starts_shares_its_input():
    rng = np.random.default_rng(4)
    model = random_linear(rng, 3, 1, 2)
    u, x0 = rng.standard_normal((90, 1)), rng.standard_normal((4, 3))
    y = simulate(model, u, x0=x0).y
    for i in range(4):
        assert_close(y[i], simulate(model, u, x0=x0[i]).y)


def test_complex_coordinates_give_the_same_output():
    rng = np.random.default_rng(5)
    model = random_innovation(rng, 4, 1, 2)
    values, T = np.linalg.eig(model.A)
    modal = InnovationSSM(
        np.diag(values),
        model.C @ T,
        np.linalg.solve(T, model.K),
        model.Re,
        B=np.linalg.solve(T, model.B),
        D=model.D,
    )
    u, y = rng.standard_normal((100, 1)), rng.standard_normal((100, 2))
    assert_close(simulate(modal, u).y, simulate(model, u).y + 0j, 1e-11)
    assert_close(predict(modal, y, u, horizon=3), predict(model, y, u, horizon=3) + 0j, 1e-11)
    with pytest.raises(TypeError, match="noise=True needs a model with real matrices"):
        simulate(modal, u, noise=True)


# ---- noise ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "innovation"])
def test_noise_has_the_models_law(kind):
    rng = np.random.default_rng(6)
    model = random_model(rng, kind, 2, 1, 2)
    N, T = 40_000, 3
    u = rng.standard_normal((T, 1))
    joint = JointGaussian(model, T, u)
    path = simulate(model, np.broadcast_to(u, (N, T, 1)), noise=True, rng=7)
    for drawn, rows, mean in (
        (path.y, joint.y_map, joint.y_mean),
        (path.x, joint.x_map, joint.x_mean),
    ):
        deviations = (drawn - mean).reshape(N, -1)
        H = rows.reshape(deviations.shape[1], -1)
        expected = H @ joint.covariance @ H.T
        variances = np.diag(expected)
        # five standard deviations of a sample mean and of a Gaussian sample covariance
        assert (np.abs(deviations.mean(0)) <= 5 * np.sqrt(variances / N) + 1e-12).all()
        error = np.abs(deviations.T @ deviations / N - expected)
        assert (error <= 5 * np.sqrt((np.outer(variances, variances) + expected**2) / N)).all()
    cross = (path.x - joint.x_mean)[:, 1].T @ (path.y - joint.y_mean)[:, 0] / N
    expected = joint.x_map[1] @ joint.covariance @ joint.y_map[0].T
    assert np.abs(cross - expected).max() <= 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("scale", [1.0, 1e-8])
def test_no_noise_where_the_covariance_has_none(scale):
    direction = np.array([1.0, scale * 0.3, -0.7])
    Q = np.outer(direction, direction)
    model = GaussianSSM(np.zeros((3, 3)), np.eye(3), Q, np.zeros((3, 3)), P0=Q)
    x = simulate(model, steps=50, noise=True, rng=0).x
    shape = x[:, 1] / x[:, 0]
    np.testing.assert_allclose(shape, direction[1], rtol=1e-13)


def test_noise_is_reproducible_and_a_given_start_is_kept():
    model = random_gaussian(np.random.default_rng(8), 2, 0, 1)
    a, b = (simulate(model, steps=20, noise=True, rng=1) for _ in range(2))
    np.testing.assert_array_equal(a.y, b.y)
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(simulate(model, steps=20, noise=True, rng=generator).y, a.y)
    assert not np.array_equal(simulate(model, steps=20, noise=True, rng=generator).y, a.y)
    assert not np.array_equal(a.x[0], model.m0)
    path = simulate(model, steps=20, x0=[1.0, 2.0], noise=True, rng=1)
    np.testing.assert_array_equal(path.x[0], [1.0, 2.0])
    batch = simulate(model, steps=4, x0=np.zeros((2, 2)), noise=True, rng=1).y
    assert not np.array_equal(batch[0], batch[1])


def test_simulated_innovations_are_the_predictors():
    model = random_process(np.random.default_rng(9), 3, 2, 1)
    u = np.random.default_rng(10).standard_normal((200, 1))
    path = simulate(model, u, noise=True, rng=11)
    e = path.y - predict(model, path.y, u)
    x = path.x
    assert_close(x[1:] - x[:-1] @ model.A.T - u @ model.B.T, e @ model.K.T, 1e-11)


# ---- predict -------------------------------------------------------------------------------------


@SETTINGS
@given(
    **SIZES,
    kind=st.sampled_from(["gaussian", "innovation"]),
    T=st.integers(0, 8),
    gaps=st.booleans(),
    seed=SEEDS,
)
def test_prediction_is_conditioning_on_the_past(n, m, p, kind, T, gaps, seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, kind, n, m, p)
    u = rng.standard_normal((T, m))
    joint = JointGaussian(model, T, u)
    y = simulate(model, u, noise=True, rng=rng).y
    y = with_gaps(rng, y) if gaps else y
    for horizon in (1, 2, 3, 5, T + 1, np.inf):
        y_hat = predict(model, y, u, horizon=horizon)
        for t in range(T):
            until = int(max(t - horizon + 1, 0))
            mean, _ = joint.given(y, until)(joint.y_map[t], joint.y_mean[t])
            assert_close(y_hat[t], mean, 1e-10)


@pytest.mark.parametrize("kind", ["linear", "gaussian", "innovation"])
def test_an_infinite_horizon_is_simulation(kind):
    rng = np.random.default_rng(12)
    model = random_model(rng, kind, 3, 1, 2)
    y, u, x0 = (rng.standard_normal(s) for s in ((2, 30, 2), (30, 1), (3,)))
    expected = np.broadcast_to(simulate(model, u, x0=x0).y, y.shape)
    for horizon in (np.inf, 31) if kind != "linear" else (1, np.inf):
        assert_close(predict(model, y, u, horizon=horizon, x0=x0), expected)


@pytest.mark.parametrize("kind", ["gaussian", "innovation"])
@pytest.mark.parametrize("horizon", [1, 4])
def test_a_batch_of_predictions_is_its_records(kind, horizon):
    rng = np.random.default_rng(13)
    model = random_model(rng, kind, 3, 1, 2)
    y, u, x0 = (rng.standard_normal(s) for s in ((4, 70, 2), (70, 1), (4, 3)))
    y[3, 5, 0] = np.nan
    kept = y.copy()
    whole = predict(model, y, u, horizon=horizon, x0=x0)
    np.testing.assert_array_equal(y, kept)
    for i in range(4):
        one = predict(model, y[i], u, horizon=horizon, x0=x0[i])
        assert_close(whole[i], one, 1e-11)


def test_prediction_of_a_long_record_agrees_with_the_filter_without_holding():
    from realization import kalman_filter

    rng = np.random.default_rng(14)
    model = dataclasses.replace(random_gaussian(rng, 4, 1, 2), A=random_linear(rng, 4, 1, 2).A)
    u = rng.standard_normal((2000, 1))
    y = simulate(model, u, noise=True, rng=rng).y
    y[1500:1502] = np.nan
    x = kalman_filter(model, y, u).x_pred[:-1]
    assert_close(predict(model, y, u), x @ model.C.T + u @ model.D.T, 1e-12)


# ---- forecast ------------------------------------------------------------------------------------


@SETTINGS
@given(
    **SIZES,
    kind=st.sampled_from(["gaussian", "innovation"]),
    T=st.integers(0, 6),
    steps=st.integers(0, 4),
    gaps=st.booleans(),
    seed=SEEDS,
)
def test_forecast_is_conditioning_on_the_record(n, m, p, kind, T, steps, gaps, seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, kind, n, m, p)
    u = rng.standard_normal((T + steps, m))
    joint = JointGaussian(model, T + steps, u)
    y = simulate(model, u, noise=True, rng=rng).y
    y = with_gaps(rng, y) if gaps else y
    ahead = forecast(model, y[:T], u[:T], u_future=u[T:], steps=steps)
    assert ahead.mean.shape == (steps, p)
    assert ahead.covariance.shape == (steps, p, p)
    condition = joint.given(y, T)
    for k in range(steps):
        mean, covariance = condition(joint.y_map[T + k], joint.y_mean[T + k])
        assert_close(ahead.mean[k], mean, 1e-10)
        assert_close(ahead.covariance[k], covariance, 1e-10)


def test_forecast_of_a_linear_model_continues_its_simulation():
    rng = np.random.default_rng(15)
    model = random_linear(rng, 3, 2, 2)
    u = rng.standard_normal((50, 2))
    y = simulate(model, u).y
    ahead = forecast(model, y[:40], u[:40], u_future=u[40:], steps=10)
    assert_close(ahead.mean, y[40:], 1e-12)
    np.testing.assert_array_equal(ahead.covariance, np.zeros((10, 2, 2)))


def test_a_batch_of_forecasts_is_its_records():
    rng = np.random.default_rng(16)
    model = random_gaussian(rng, 3, 1, 2)
    y = with_gaps(rng, rng.standard_normal((3, 20, 2)))
    u, u_future = rng.standard_normal((20, 1)), rng.standard_normal((3, 5, 1))
    whole = forecast(model, y, u, u_future=u_future, steps=5)
    for i in range(3):
        one = forecast(model, y[i], u, u_future=u_future[i], steps=5)
        assert_close(whole.mean[i], one.mean)
        assert_close(whole.covariance[i], one.covariance)
    shared = forecast(model, y[0], u, u_future=u_future, steps=5)
    assert shared.covariance.shape == (3, 5, 2, 2)
    variances = np.einsum("...ii->...i", shared.covariance)
    np.testing.assert_array_equal(shared.standard_deviation, np.sqrt(variances))


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "innovation"])
def test_overflow_is_an_error_that_says_when(kind):
    model = LinearSSM([[10.0]], [[1.0]], [[1.0]])
    if kind == "innovation":
        model = InnovationSSM([[10.0]], [[1.0]], [[0.0]], [[1.0]], B=[[1.0]])
    u = np.ones((400, 1))
    with pytest.raises(UnstableModelError, match="output overflows at sample 310") as raised:
        simulate(model, u)
    assert raised.value.stability_margin == pytest.approx(-9.0)
    with pytest.raises(UnstableModelError, match="output overflows at sample 310"):
        predict(model, np.zeros((400, 1)), u)
    with pytest.raises(UnstableModelError, match="output overflows at sample 310"):
        predict(model, np.zeros((400, 1)), u, horizon=200)
    large = InnovationSSM([[1e100]], [[1e60]], [[1e-50]], [[1.0]])  # the states stay finite
    with pytest.raises(UnstableModelError, match="output overflows at sample 4"):
        predict(large, np.ones((5, 1)), horizon=2)
    assert np.isfinite(simulate(model, u[:300]).y).all()


def test_overflow_of_a_state_or_a_covariance_is_an_error_too():
    path = simulate(LinearSSM([[10.0]], [[1.0]], [[1.0]]), np.ones((310, 1)))
    assert np.isfinite(path.y).all()
    with pytest.raises(UnstableModelError, match="state overflows at sample 310"):
        path.x  # noqa: B018
    model = GaussianSSM([[10.0]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]])
    with pytest.raises(UnstableModelError, match="covariance overflows at sample 15"):
        forecast(model, np.zeros((3, 1)), steps=300)


def test_wrong_simulations_say_what_is_wrong():
    model = random_linear(np.random.default_rng(17), 2, 2, 1)
    u = np.zeros((5, 2))
    with pytest.raises(TypeError, match=r"`model` must be a LinearSSM or .*; got str"):
        simulate("model", u)
    with pytest.raises(ValueError, match=r"`u` must be given: the model has 2 inputs.*zeros\(\(T"):
        simulate(model, steps=5)
    with pytest.raises(ValueError, match=r"`u` must have shape \(T, 2\); got \(2, 5\).*`u.T`"):
        simulate(model, u.T)
    with pytest.raises(ValueError, match="`steps` must agree with `u`, which has 5 samples; got 4"):
        simulate(model, u, steps=4)
    with pytest.raises(ValueError, match=r"`x0` must have shape \(2,\).*got \(3,\)"):
        simulate(model, u, x0=np.zeros(3))
    with pytest.raises(ValueError, match="`noise` must be False for a LinearSSM"):
        simulate(model, u, noise=True)
    with pytest.raises(ValueError, match="simulate needs a discrete-time model"):
        simulate(dataclasses.replace(model, dt=0.0), u)
    with pytest.raises(ValueError, match="`dt` belongs to the linear record"):
        simulate(model, u, dt=0.1)
    with pytest.raises(ValueError, match="`u` must be finite; found NaN"):
        simulate(model, u * np.nan)
    free = random_process(np.random.default_rng(18), 2, 1)
    with pytest.raises(ValueError, match="`steps` must be given when `u` is not"):
        simulate(free)
    with pytest.raises(ValueError, match="`steps` must be at least 0; got -1"):
        simulate(free, steps=-1)


def test_wrong_predictions_say_what_is_wrong():
    model = random_innovation(np.random.default_rng(19), 2, 1, 2)
    y, u = np.zeros((5, 2)), np.zeros((5, 1))
    with pytest.raises(TypeError, match="got ndarray"):
        predict(np.eye(2), y)
    with pytest.raises(ValueError, match="`u` must be given: the model has 1 input"):
        predict(model, y)
    with pytest.raises(ValueError, match="`u` must have as many samples as `y`, 5; got 4"):
        predict(model, y, u[:4])
    with pytest.raises(ValueError, match="`horizon` must be at least 1; got 0"):
        predict(model, y, u, horizon=0)
    with pytest.raises(TypeError, match=r"`horizon` must be an integer; got 1\.5"):
        predict(model, y, u, horizon=1.5)
    with pytest.raises(TypeError, match="`horizon` must be an integer; got -inf"):
        predict(model, y, u, horizon=-np.inf)
    with pytest.raises(ValueError, match="predict needs a discrete-time model"):
        predict(dataclasses.replace(model, dt=0.0), y, u)
    with pytest.raises(ValueError, match="forecast needs a discrete-time model"):
        forecast(dataclasses.replace(model, dt=0.0), y, u, steps=1)
    with pytest.raises(ValueError, match="`u_future` must be given: the model has inputs"):
        forecast(model, y, u, steps=3)
    with pytest.raises(ValueError, match="`u_future` must have `steps` = 3 samples; got 2"):
        forecast(model, y, u, u_future=np.zeros((2, 1)), steps=3)
