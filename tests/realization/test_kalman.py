import dataclasses
from functools import partial

import closeness
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_gaussian import JointGaussian, random_gaussian, with_gaps
from processes import random_process
from systems import random_dynamics

from realization import (
    AccuracyError,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    innovation_form,
    kalman_filter,
    log_likelihood,
    predict,
    simulate,
    smooth,
    to_gaussian,
)
from realization.smoothing import smoothed_moments

assert_close = partial(closeness.assert_close, tolerance=1e-10, scale=1.0)
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
SIZES = {"n": st.integers(0, 5), "m": st.integers(0, 2), "p": st.integers(1, 4)}
KINDS = st.sampled_from(["full", "singular", "innovation"])


def draw(seed, n, m, p, T, kind, gaps):
    """Return a model, a record of it with inputs, and the record's joint Gaussian law."""
    rng = np.random.default_rng(seed)
    if kind == "innovation":
        model = random_process(rng, n, p, m)
    else:
        model = random_gaussian(rng, n, m, p, singular=kind == "singular")
    u = rng.standard_normal((T, m))
    y = simulate(model, u, noise=True, rng=rng).y
    return model, with_gaps(rng, y) if gaps else y, u, JointGaussian(model, T, u)


# ---- the whole joint Gaussian --------------------------------------------------------------------


@SETTINGS
@given(**SIZES, T=st.integers(0, 8), kind=KINDS, gaps=st.booleans(), seed=st.integers(0, 10**6))
def test_filter_is_conditioning_on_the_past(n, m, p, T, kind, gaps, seed):
    model, y, u, joint = draw(seed, n, m, p, T, kind, gaps)
    result = kalman_filter(model, y, u)
    for t in range(T + 1):
        x, P = joint.given(y, t)(joint.x_map[t], joint.x_mean[t])
        assert_close(result.x_pred[t], x)
        assert_close(result.P_pred[t], P)
    for t in range(T):
        x, P = joint.given(y, t + 1)(joint.x_map[t], joint.x_mean[t])
        assert_close(result.x_filt[t], x)
        assert_close(result.P_filt[t], P)
        mean, Re = joint.given(y, t)(joint.y_map[t], joint.y_mean[t])
        assert_close(result.Re[t], Re)
        np.testing.assert_array_equal(np.isnan(result.innovations[t]), np.isnan(y[t]))
        assert_close(np.nan_to_num(result.innovations[t]), np.nan_to_num(y[t] - mean))
    expected = joint.log_density(y)
    assert result.log_likelihood == pytest.approx(expected, rel=1e-10, abs=1e-10)
    assert log_likelihood(model, y, u) == pytest.approx(expected, rel=1e-10, abs=1e-10)


@SETTINGS
@given(**SIZES, T=st.integers(0, 8), kind=KINDS, gaps=st.booleans(), seed=st.integers(0, 10**6))
def test_smoothers_are_conditioning_on_the_record(n, m, p, T, kind, gaps, seed):
    model, y, u, joint = draw(seed, n, m, p, T, kind, gaps)
    condition = joint.given(y, T)
    rts_exists = kind == "full" or n == 0  # the others have singular state covariances
    for method in ("bryson_frazier", "rts") if rts_exists else ("bryson_frazier",):
        result = smooth(model, y, u, method=method)
        cross = smoothed_moments(model, y, u, method=method, cross=True)[2]
        for t in range(T + 1):
            x, P = condition(joint.x_map[t], joint.x_mean[t])
            assert_close(result.x[t], x)
            assert_close(result.P[t], P)
        for t in range(T):
            _, both = condition(
                np.vstack([joint.x_map[t + 1], joint.x_map[t]]),
                np.concatenate([joint.x_mean[t + 1], joint.x_mean[t]]),
            )
            assert_close(cross[t], both[:n, n:])


# ---- other implementations -----------------------------------------------------------------------


@pytest.mark.parametrize(("n", "p"), [(1, 1), (4, 2), (10, 4)])
@pytest.mark.parametrize("gaps", [False, True])
def test_statsmodels_has_the_same_likelihood(n, p, gaps):
    statespace = pytest.importorskip("statsmodels.tsa.statespace.kalman_filter")
    rng = np.random.default_rng(n)
    model = to_gaussian(random_process(rng, n, p))
    model = dataclasses.replace(
        model, S=np.zeros((n, p)), Q=model.Q + 0.1 * np.eye(n), P0=2 * np.eye(n)
    )
    y = simulate(model, steps=2000, noise=True, rng=rng).y
    y = with_gaps(rng, y) if gaps else y
    peer = statespace.KalmanFilter(k_endog=p, k_states=n, tolerance=0.0)
    peer["design"], peer["transition"], peer["selection"] = model.C, model.A, np.eye(n)
    peer["state_cov"], peer["obs_cov"] = model.Q, model.R
    peer.initialize_known(model.m0, model.P0)
    peer.bind(y.copy())
    expected = peer.filter()
    assert log_likelihood(model, y) == pytest.approx(peer.loglike(), rel=1e-10)
    assert_close(kalman_filter(model, y).x_pred, expected.predicted_state.T)


# ---- invariants ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [False, True])
def test_steady_state_gives_the_same_numbers(gaps):
    rng = np.random.default_rng(0)
    model = dataclasses.replace(random_gaussian(rng, 4, 1, 2), A=random_dynamics(rng, 4))
    u = rng.standard_normal((3000, 1))
    y = simulate(model, u, x0=model.m0, noise=True, rng=rng).y
    if gaps:
        y[1000:1010] = np.nan
        y[2000, 0] = np.nan
    exact, held = (kalman_filter(model, y, u, steady_state=flag) for flag in (False, True))
    for field in dataclasses.fields(exact):
        a, b = getattr(held, field.name), getattr(exact, field.name)
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12 * np.nanmax(np.abs(b)))
    assert log_likelihood(model, y, u) == pytest.approx(exact.log_likelihood, rel=1e-12)


def test_coordinates_do_not_matter():
    rng = np.random.default_rng(1)
    model = random_gaussian(rng, 3, 1, 2)
    T = rng.standard_normal((3, 3))
    other = GaussianSSM(
        np.linalg.solve(T, model.A @ T),
        model.C @ T,
        np.linalg.solve(T, np.linalg.solve(T, model.Q).T),
        model.R,
        np.linalg.solve(T, model.S),
        B=np.linalg.solve(T, model.B),
        D=model.D,
        m0=np.linalg.solve(T, model.m0),
        P0=np.linalg.solve(T, np.linalg.solve(T, np.asarray(model.P0)).T),
    )
    y, u = with_gaps(rng, rng.standard_normal((50, 2))), rng.standard_normal((50, 1))
    assert log_likelihood(other, y, u) == pytest.approx(log_likelihood(model, y, u), rel=1e-10)
    a, b = smooth(model, y, u), smooth(other, y, u)
    assert_close(b.x @ T.T, a.x, tolerance=1e-9)


def test_the_filter_converges_to_the_innovations_model():
    rng = np.random.default_rng(2)
    model = to_gaussian(random_process(rng, 3, 2))
    y = simulate(model, steps=400, noise=True, rng=rng).y
    limit = innovation_form(model)
    result = kalman_filter(model, y)
    assert_close(result.Re[-1], limit.Re, tolerance=1e-9)
    assert_close(
        result.x_pred[-1] @ model.C.T, predict(limit, np.vstack([y, y[:1]]))[-1], tolerance=1e-6
    )


def test_an_innovations_model_is_its_own_filter():
    rng = np.random.default_rng(3)
    model = random_process(rng, 3, 2, 1)
    y, u = rng.standard_normal((40, 2)), rng.standard_normal((40, 1))
    result = kalman_filter(model, y, u)
    np.testing.assert_array_equal(result.P_pred, 0.0)
    np.testing.assert_array_equal(result.P_filt, 0.0)
    np.testing.assert_array_equal(result.x_filt, result.x_pred[:-1])
    e = result.innovations
    x = result.x_pred[:-1]
    assert_close(result.x_pred[1:], x @ model.A.T + u @ model.B.T + e @ model.K.T, tolerance=1e-13)
    assert_close(y - e, predict(model, y, u), tolerance=1e-12)
    assert_close(smooth(model, y, u).x, result.x_pred, tolerance=1e-13)


def test_a_predictor_that_is_not_stable_keeps_its_gain():
    # P = 0 solves the Riccati equation but rounding would leave it for the stabilising solution
    model = InnovationSSM([[0.5]], [[1.0]], [[2.0]], [[1.0]])  # A - K C = -1.5
    y = np.zeros((40, 1))
    y[0] = 1.0
    result = kalman_filter(model, y)
    assert_close(result.x_pred[1:, 0], 2.0 * (-1.5) ** np.arange(40), tolerance=1e-12)
    assert log_likelihood(model, y) == pytest.approx(result.log_likelihood)


def test_an_unstable_model_with_a_known_start():
    rng = np.random.default_rng(4)
    A = np.array([[1.1, 0.3], [0.0, 0.7]])
    model = GaussianSSM(A, [[1.0, 0.0]], np.eye(2), [[1.0]], P0=np.eye(2))
    y = simulate(model, steps=8, noise=True, rng=rng).y
    joint = JointGaussian(model, 8, np.zeros((8, 0)))
    assert log_likelihood(model, y) == pytest.approx(joint.log_density(y), rel=1e-12)


def test_a_slow_filter_is_not_held_too_early():
    # the closed loop forgets with rate 0.9999 a step; the exact filter is the reference
    model = GaussianSSM([[0.9999]], [[1.0]], [[1e-8]], [[1.0]], P0=[[1.0]])
    y = simulate(model, steps=30_000, noise=True, rng=5).y
    exact = kalman_filter(model, y)
    assert log_likelihood(model, y) == pytest.approx(exact.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_units_do_not_matter(scale):
    rng = np.random.default_rng(6)
    model = random_gaussian(rng, 2, 0, 1)
    y = rng.standard_normal((300, 1))
    scaled = GaussianSSM(
        model.A,
        scale * model.C,
        model.Q,
        scale**2 * model.R,
        scale * model.S,
        m0=model.m0,
        P0=model.P0,
    )
    expected = log_likelihood(model, y) - 300 * np.log(scale)
    assert log_likelihood(scaled, scale * y) == pytest.approx(expected, rel=1e-11)


# ---- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "innovation"])
def test_a_batch_is_its_records(kind):
    rng = np.random.default_rng(7)
    model, _, _, _ = draw(8, 3, 1, 2, 5, kind, False)
    y, u = with_gaps(rng, rng.standard_normal((2, 3, 20, 2))), rng.standard_normal((20, 1))
    whole, smoothed = kalman_filter(model, y, u), smooth(model, y, u)
    total = 0.0
    for i in np.ndindex(2, 3):
        one, path = kalman_filter(model, y[i], u), smooth(model, y[i], u)
        for field in dataclasses.fields(one)[:-1]:
            np.testing.assert_array_equal(
                getattr(whole, field.name)[i], getattr(one, field.name), strict=True
            )
        np.testing.assert_allclose(smoothed.x[i], path.x)
        np.testing.assert_allclose(smoothed.P[i], path.P)
        total += one.log_likelihood
    assert whole.log_likelihood == pytest.approx(total)
    assert log_likelihood(model, y, u) == pytest.approx(total)


def test_an_empty_batch_has_empty_results():
    model = random_gaussian(np.random.default_rng(9), 2, 0, 1)
    result = kalman_filter(model, np.zeros((0, 5, 1)))
    assert result.x_pred.shape == (0, 6, 2)
    assert result.P_filt.shape == (0, 5, 2, 2)
    assert smooth(model, np.zeros((0, 5, 1))).P.shape == (0, 6, 2, 2)
    assert log_likelihood(model, np.zeros((0, 5, 1))) == 0.0


def test_one_channel_may_be_one_dimensional_and_inputs_are_left_alone():
    rng = np.random.default_rng(10)
    model = random_gaussian(rng, 2, 1, 1)
    y, u = with_gaps(rng, rng.standard_normal((30, 1))), rng.standard_normal((30, 1))
    kept = y.copy(), u.copy()
    wide = np.hstack([y, y])[:, 1]
    np.testing.assert_array_equal(smooth(model, wide, u[:, 0]).x, smooth(model, y, u).x)
    assert log_likelihood(model, list(wide), u) == log_likelihood(model, y, u)
    np.testing.assert_array_equal(y, kept[0])
    np.testing.assert_array_equal(u, kept[1])


def test_nothing_observed_is_the_prior():
    model = random_gaussian(np.random.default_rng(11), 2, 0, 2)
    y = np.full((5, 2), np.nan)
    result = kalman_filter(model, y)
    assert result.log_likelihood == log_likelihood(model, y) == 0.0
    assert_close(result.x_pred[1:], result.x_pred[:-1] @ model.A.T, tolerance=1e-14)
    np.testing.assert_allclose(smooth(model, y).P, result.P_pred, rtol=1e-13)
    np.testing.assert_allclose(smooth(model, y, method="rts").P, result.P_pred, rtol=1e-10)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [kalman_filter, smooth, log_likelihood])
def test_wrong_calls_say_what_is_wrong(function):
    name = function.__name__
    model = random_gaussian(np.random.default_rng(12), 2, 1, 2)
    y, u = np.zeros((5, 2)), np.zeros((5, 1))
    with pytest.raises(TypeError, match="must be a GaussianSSM or InnovationSSM; got LinearSSM"):
        function(LinearSSM(model.A, model.B, model.C), y, u)
    with pytest.raises(ValueError, match="`u` must be given: the model has 1 input"):
        function(model, y)
    with pytest.raises(ValueError, match="`u` must have as many samples as `y`, 5; got 4"):
        function(model, y, u[:4])
    with pytest.raises(ValueError, match=r"`y` must have shape \(T, 2\); got \(2, 5\).*`y.T`"):
        function(model, y.T, u)
    with pytest.raises(ValueError, match="`y` must be finite; found inf"):
        function(model, y + np.inf, u)
    with pytest.raises(ValueError, match="`u` must be finite; found NaN"):
        function(model, y, u * np.nan)
    with pytest.raises(ValueError, match=f"{name} needs a discrete-time model"):
        function(dataclasses.replace(model, A=-np.eye(2), dt=0.0), y, u)
    with pytest.raises(TypeError, match="Kalman filter needs a model with real matrices"):
        function(dataclasses.replace(model, C=1j * model.C), y, u)


def test_singular_innovation_covariances_are_named():
    model = GaussianSSM([[0.5]], [[1.0]], [[0.0]], [[0.0]], P0=[[1.0]])
    for function in (kalman_filter, smooth, log_likelihood):
        with pytest.raises(AccuracyError, match="innovation at step 1 is singular"):
            function(model, np.zeros((3, 1)))
    degenerate = InnovationSSM([[0.5]], [[1.0], [1.0]], [[0.1, 0.1]], np.ones((2, 2)))
    with pytest.raises(AccuracyError, match="innovation at step 0 is singular"):
        log_likelihood(degenerate, np.zeros((3, 2)))
    assert predict(degenerate, np.ones((3, 2))).shape == (3, 2)


def test_overflow_is_an_error():
    blind = GaussianSSM(np.diag([0.5, 10.0]), [[1.0, 0.0]], np.eye(2), [[1.0]], P0=np.eye(2))
    gaps, y = np.full((200, 1), np.nan), np.zeros((800, 1))
    unstable = InnovationSSM([[0.5]], [[1.0]], [[20.0]], [[1.0]])
    y[0] = 1.0
    for function in (kalman_filter, log_likelihood, smooth):
        with pytest.raises(UnstableModelError, match=r"filter overflows: .* model is -9") as raised:
            function(blind, np.zeros((400, 1)))
        assert raised.value.stability_margin == pytest.approx(-9.0)
        with pytest.raises(UnstableModelError, match="filter overflows"):
            function(blind, gaps)
        with pytest.raises(UnstableModelError, match=r"predictor A - K C -18\.5"):
            function(unstable, y)
    with pytest.raises(UnstableModelError, match=r"output overflows at sample 239: .* -18\.5"):
        predict(unstable, y)
    with pytest.raises(UnstableModelError, match=r"smoother overflows: .* -18\.5"):
        smooth(unstable, np.zeros((800, 1)))


def test_rts_names_what_it_cannot_invert():
    singular = GaussianSSM(np.diag([0.5, 0.0]), [[1.0, 1.0]], np.diag([1.0, 0.0]), [[1.0]])
    with pytest.raises(AccuracyError, match=r'step 3 is singular.*method="bryson_frazier"'):
        smooth(singular, np.zeros((3, 1)), method="rts")
    correlated = GaussianSSM([[0.5]], [[1.0], [0.0]], [[1.0]], np.diag([1.0, 0.0]), [[0.5, 0.0]])
    correlated = dataclasses.replace(correlated, C=np.eye(2)[:, :1] + [[0.0], [1.0]])
    with pytest.raises(AccuracyError, match=r"`R` must be positive definite.*`S` is not zero"):
        smooth(correlated, np.zeros((3, 2)), method="rts")
    with pytest.raises(ValueError, match="`method` must be one of 'bryson_frazier', 'rts'"):
        smooth(singular, np.zeros((3, 1)), method="kalman")
