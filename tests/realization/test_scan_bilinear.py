"""bilinear_scan, and what simulate, predict and forecast make of it."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
from bilinear_systems import loop, random_bilinear
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from realization import (
    BilinearSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    diagonal_bilinear,
    discretize,
    forecast,
    predict,
    simulate,
)
from realization.scan import bilinear, bilinear_scan

seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=50, deadline=None, derandomize=True)


# --- the scan -----------------------------------------------------------------------------------


@some
@given(seeds, st.integers(0, 30), st.integers(0, 11), st.integers(0, 3))
def test_it_is_the_loop(seed, T, n, m):
    rng = np.random.default_rng(seed)
    model = random_bilinear(rng, n, m, 1)
    u, x0 = rng.uniform(-1, 1, (T, m)), rng.standard_normal(n)
    found = bilinear_scan(model.A, model.N, model.B, u, x0)
    assert found.shape == (T + 1, n)
    assert_close(found, loop(model, u, x0)[1])


@some
@given(seeds, st.integers(0, 30), st.integers(0, 9), st.integers(0, 3), st.booleans())
def test_diagonals_are_diagonal_matrices(seed, T, n, m, complex_decays):
    rng = np.random.default_rng(seed)
    lam, gates = rng.uniform(-0.9, 0.9, n), rng.uniform(-0.1, 0.1, (m, n))
    if complex_decays:
        lam = lam * np.exp(1j * rng.uniform(0, 6, n))
    model = diagonal_bilinear(lam, gates, rng.standard_normal((n, m)), np.ones((1, n)))
    u, x0 = rng.uniform(-1, 1, (T, m)), rng.standard_normal(n)
    expected = loop(model, u, x0)[1]
    assert_close(bilinear_scan(lam, gates, model.B, u, x0), expected)
    assert_close(bilinear_scan(model.A, model.N, model.B, u, x0), expected)
    assert_close(simulate(model, u, x0=x0).x, expected)


def test_complex_dense_matrices():
    rng = np.random.default_rng(0)
    model = random_bilinear(rng, 3, 2, 1)
    model = replace(model, A=0.5 * np.exp(1j) * model.A)
    u, x0 = rng.standard_normal((20, 2)), rng.standard_normal(3)
    assert_close(bilinear_scan(model.A, model.N, model.B, u, x0), loop(model, u, x0)[1])


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("diagonal", [False, True])
def test_leading_axes_are_broadcast(diagonal, parallel):
    rng = np.random.default_rng(1)
    model = random_bilinear(rng, 4, 2, 1)
    A, N = model.A, model.N
    if diagonal:
        A, N = np.diag(A).copy(), np.array([np.diag(M) for M in N])
        model = diagonal_bilinear(A, N, model.B, model.C)
    u, x0 = rng.uniform(-1, 1, (2, 1, 9, 2)), rng.standard_normal((3, 4))
    found = bilinear_scan(A, N, model.B, u, x0, parallel=parallel)
    assert found.shape == (2, 3, 10, 4)
    for i in range(2):
        for j in range(3):
            assert_close(found[i, j], loop(model, u[i, 0], x0[j])[1])


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(2)
    model = random_bilinear(rng, 3, 2, 1)
    u, x0 = rng.standard_normal((8, 2)), rng.standard_normal(3)
    expected = bilinear_scan(model.A, model.N, model.B, u, x0)
    wide = np.zeros((16, 4))
    wide[::2, ::2] = u
    for other in (np.asfortranarray(u), wide[::2, ::2]):
        found = bilinear_scan(
            np.asfortranarray(model.A), np.asfortranarray(model.N), model.B, other, x0
        )
        assert np.array_equal(found, expected)


def test_the_kernels_are_their_python_functions():
    rng = np.random.default_rng(3)
    S, T, n, m, q = 2, 5, 6, 2, 4
    v = rng.standard_normal((S, T, q))
    start = np.zeros((S, T + 1, n))
    start[:, 0] = rng.standard_normal((S, n))
    W = 0.3 * rng.standard_normal((n, (m + 1) * n + q))
    maps = 0.3 * rng.standard_normal((2, n + 1, n))
    rows = 0.3 * rng.standard_normal((2 * q + 1, n))
    index = rng.integers(2, size=(S, T))
    cases = [
        (bilinear.dense_steps, lambda x: (W, m, v, x, np.empty(W.shape[1]))),
        (bilinear.diagonal_steps, lambda x: (rows[0], rows[1 : q + 1], rows[q + 1 :], v, x)),
        (bilinear.switched_steps, lambda x: (maps, index, x)),
    ]
    for kernel, arguments in cases:
        compiled, plain = start.copy(), start.copy()
        kernel(*arguments(compiled))
        getattr(kernel, "py_func", kernel)(*arguments(plain))
        assert_close(compiled, plain, 1e-14)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"A": np.ones((2, 3))}, ValueError, r"`A` must have shape \(n, n\), or \(n,\)"),
        ({"A": np.ones(2)}, ValueError, r"`N` must have shape \(1, 2\) to match"),
        ({"N": np.ones((1, 2))}, ValueError, r"`N` must have shape \(1, 2, 2\)"),
        ({"B": np.ones((3, 1))}, ValueError, r"`B` must have shape \(2, any\)"),
        ({"u": np.ones((4, 2))}, ValueError, r"`u` must have shape \(\.\.\., T, 1\) to match"),
        ({"u": np.ones(4)}, ValueError, r"`u` must have shape \(\.\.\., T, 1\) to match"),
        ({"x0": np.ones(3)}, ValueError, r"`x0` must have shape \(\.\.\., 2\) to match"),
        ({"u": np.full((4, 1), np.nan)}, ValueError, "`u` must be finite"),
        ({"A": [["a"]]}, TypeError, "`A` must be numeric"),
        ({"u": np.full((9, 1), 1e60)}, OverflowError, "`x` overflows at step 6: the recursion"),
    ],
)
def test_refusals(change, error, message):
    parts = {
        "A": np.eye(2), "N": np.ones((1, 2, 2)), "B": np.ones((2, 1)), "u": np.ones((4, 1)),
        "x0": np.zeros(2),
    }  # fmt: skip
    with pytest.raises(error, match=message):
        bilinear_scan(**{**parts, **change})


# --- simulate -----------------------------------------------------------------------------------


@some
@given(seeds, st.integers(0, 20), st.integers(0, 5), st.integers(0, 2), st.integers(1, 3))
def test_simulation_is_the_loop(seed, T, n, m, p):
    rng = np.random.default_rng(seed)
    model = random_bilinear(rng, n, m, p, noise=True)
    u = rng.uniform(-1, 1, (T, m))
    path = simulate(model, u)
    y, x = loop(model, u)
    assert_close(path.y, y)
    assert_close(path.x, x)


def test_no_gates_is_a_linear_model():
    rng = np.random.default_rng(4)
    model = random_bilinear(rng, 3, 2, 2, noise=True)
    model = replace(model, N=np.zeros_like(model.N))
    linear = InnovationSSM(model.A, model.C, model.K, model.Re, B=model.B, D=model.D, x0=model.x0)
    u, y = rng.standard_normal((2, 30, 2)), rng.standard_normal((2, 30, 2))
    assert_close(simulate(model, u).y, simulate(linear, u).y, 1e-12)
    for horizon in (1, 2, 5, 40, np.inf):
        assert_close(
            predict(model, y, u, horizon=horizon), predict(linear, y, u, horizon=horizon), 1e-12
        )
    u_future = rng.standard_normal((2, 4, 2))
    ahead, expected = (forecast(one, y, u, u_future=u_future, steps=4) for one in (model, linear))
    assert_close(ahead.mean, expected.mean, 1e-12)
    assert_close(ahead.covariance, expected.covariance, 1e-12)


def test_noise_follows_the_innovations():
    model = random_bilinear(np.random.default_rng(5), 2, 1, 2, noise=True)
    u = np.random.default_rng(6).uniform(-1, 1, (4000, 1))
    path = simulate(model, u, noise=True, rng=7)
    e = path.y - path.x[:-1] @ model.C.T - u @ model.D.T
    y, x = loop(model, u, e=e)
    assert_close(path.x, x, 1e-12)
    assert_close(path.y, y, 1e-12)
    error = np.abs(e.T @ e / len(e) - model.Re).max()
    assert error < 5 * np.sqrt(2 / len(e)) * np.linalg.norm(model.Re)
    assert np.array_equal(path.y, simulate(model, u, noise=True, rng=7).y)
    batch = simulate(model, np.zeros((3, 9, 1)), noise=True, rng=8)
    assert batch.y.shape == (3, 9, 2)
    assert not np.array_equal(batch.y[0], batch.y[1])


def test_the_predictor_recovers_its_own_innovations():
    model = random_bilinear(np.random.default_rng(9), 3, 2, 2, noise=True)
    u = np.random.default_rng(10).uniform(-1, 1, (60, 2))
    path = simulate(model, u, noise=True, rng=11)
    e = path.y - path.x[:-1] @ model.C.T - u @ model.D.T
    assert_close(path.y - predict(model, path.y, u), e, 1e-11)


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_longer_horizons_by_definition(horizon):
    rng = np.random.default_rng(12)
    model = random_bilinear(rng, 3, 2, 2, noise=True)
    u, y = rng.uniform(-1, 1, (12, 2)), rng.standard_normal((12, 2))
    found = predict(model, y, u, horizon=horizon, x0=np.ones(3))
    for t in range(12):
        known = max(t - horizon + 1, 0)
        e, state = [], np.ones(3)
        for k in range(t + 1):
            yk = model.C @ state + model.D @ u[k]
            e.append(y[k] - yk if k < known else np.zeros(2))
            last = yk
            state = loop(model, u[k : k + 1], state, e=[e[-1]])[1][-1]
        np.testing.assert_allclose(found[t], last, atol=1e-12)


def test_forecast_covariance_by_definition():
    rng = np.random.default_rng(13)
    model = random_bilinear(rng, 2, 1, 1, noise=True)
    u, y = rng.uniform(-1, 1, (10, 1)), rng.standard_normal((10, 1))
    u_future = rng.uniform(-1, 1, (3, 1))
    found = forecast(model, y, u, u_future=u_future, steps=3)
    # the error of step k is the sum of the responses to e_0, ..., e_k
    for k in range(3):
        total = model.Re.copy()
        for j in range(k):
            state = model.K.copy()
            for i in range(j + 1, k):
                state = (model.A + u_future[i, 0] * model.N[0]) @ state
            response = model.C @ state
            total = total + response @ model.Re @ response.T
        np.testing.assert_allclose(found.covariance[k], total, rtol=1e-12)


# --- continuous time ------------------------------------------------------------------------------


def held(model, u, h):
    """Integrate with each input held for h."""
    x = [model.x0]
    for ut in u:
        A = model.A + np.tensordot(ut, model.N, 1)
        b = model.B @ ut
        step = scipy.integrate.solve_ivp(
            lambda t, x, A=A, b=b: A @ x + b, (0, h), x[-1], rtol=1e-12, atol=1e-13
        )
        x.append(step.y[:, -1])
    return np.array(x)


def test_continuous_time_is_exact_for_held_inputs():
    rng = np.random.default_rng(14)
    model = replace(random_bilinear(rng, 3, 2, 2, dt=0.0), x0=np.ones(3))
    u = rng.uniform(-1, 1, (15, 2))
    path = simulate(model, u, dt=0.4)
    expected = held(model, u, 0.4)
    np.testing.assert_allclose(path.x, expected, atol=1e-10)
    np.testing.assert_allclose(path.y, expected[:-1] @ model.C.T + u @ model.D.T, atol=1e-10)


@some
@given(seeds, st.integers(0, 12), st.integers(0, 4), st.integers(0, 2))
def test_two_half_intervals_are_one(seed, T, n, m):
    rng = np.random.default_rng(seed)
    model = random_bilinear(rng, n, m, 1, dt=0.0)
    u = rng.uniform(-1, 1, (2, T, m))
    x0 = rng.standard_normal((2, n))
    whole = simulate(model, u, x0=x0, dt=0.5).x
    halves = simulate(model, u.repeat(2, axis=1), x0=x0, dt=0.25).x
    assert_close(halves[:, ::2], whole, 1e-12)


def test_no_gates_is_the_exact_linear_sampling():
    rng = np.random.default_rng(15)
    model = random_bilinear(rng, 3, 1, 2, dt=0.0)
    model = replace(model, N=np.zeros_like(model.N))
    linear = discretize(LinearSSM(model.A, model.B, model.C, model.D, dt=0.0), 0.3)
    u = rng.choice([-1.0, 0.0, 2.0], (50, 1))
    assert_close(simulate(model, u, dt=0.3).y, simulate(linear, u).y, 1e-12)


def test_long_records_go_in_parts(monkeypatch):
    from realization import bilinear_simulation

    rng = np.random.default_rng(16)
    model = random_bilinear(rng, 2, 1, 1, dt=0.0)
    u = rng.uniform(-1, 1, (3, 25, 1))
    expected = simulate(model, u, dt=0.3).y
    monkeypatch.setattr(bilinear_simulation, "CHUNK", 12)
    assert_close(simulate(model, u, dt=0.3).y, expected, 1e-14)


CONTINUOUS = BilinearSSM([[-1.0]], [[[1.0]]], [[1.0]], [[1.0]], dt=0.0)
DISCRETE = BilinearSSM([[0.5]], [[[1.0]]], [[1.0]], [[1.0]])
ONES = np.ones((4, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: simulate(CONTINUOUS, ONES), ValueError, "`dt` must be given for a bilinear model"),
        (lambda: simulate(CONTINUOUS, ONES, dt=0.0), ValueError, "`dt` must be finite and above 0"),
        (lambda: simulate(CONTINUOUS, 9e5 * ONES, dt=1.0), ValueError, "`dt` must be smaller: the"),
        (
            lambda: simulate(CONTINUOUS, 400 * ONES, dt=1.0),
            UnstableModelError,
            "output overflows at sample 2: for these inputs",
        ),
        (
            lambda: simulate(CONTINUOUS, ONES, dt=1.0, noise=True),
            ValueError,
            "`noise` must be False for this model, which has no `Re`",
        ),
        (
            lambda: simulate(replace(CONTINUOUS, Re=[[1.0]]), ONES, dt=1.0, noise=True),
            ValueError,
            "`noise` must be False for this model, which is in continuous time",
        ),
        (lambda: simulate(DISCRETE, ONES, dt=2.0), ValueError, "`dt` must be left out"),
        (lambda: simulate(DISCRETE, ONES, noise=True), ValueError, "which has no `Re`"),
        (lambda: simulate(DISCRETE), ValueError, "`u` must be given"),
        (lambda: simulate(DISCRETE, np.ones((4, 2))), ValueError, r"`u` must have shape \(T, 1\)"),
        (
            lambda: simulate(DISCRETE, 1e60 * np.ones((9, 1))),
            UnstableModelError,
            r"output overflows at sample 6: for these inputs .* of `A` alone: 0\.5",
        ),
        (lambda: predict(CONTINUOUS, ONES, ONES), ValueError, "predict needs a discrete-time"),
        (
            lambda: predict(DISCRETE, [[0.0], [np.nan]], ONES[:2]),
            ValueError,
            r"`y` must be complete for a bilinear model.* index \(1, 0\)",
        ),
        (
            lambda: forecast(DISCRETE, ONES, ONES, u_future=ONES, steps=4),
            ValueError,
            "`model` must have `Re`",
        ),
        (lambda: discretize(CONTINUOUS, 0.1), TypeError, "not bilinear in the held input"),
        (
            lambda: simulate(LinearSSM([[0.5]], [[1.0]], [[1.0]]), ONES, dt=1.0),
            ValueError,
            "`dt` belongs to the linear record",
        ),
    ],
)
def test_simulation_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
