import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_gaussian import random_gaussian, with_gaps

import realization
from realization import AccuracyError, GaussianSSM
from realization.scan import kalman_scan, linear_scan
from realization.scan._kalman_steps import filter_steps
from realization.scan.linear import linear_response, linear_states, propagate
from realization.scan.smoothing import bryson_frazier_steps, rts_steps

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10**6)


def twin(kernel):
    """Return the Python function that a kernel was compiled from."""
    return getattr(kernel, "py_func", kernel)


def stable(rng, n, radius=0.95):
    A = rng.standard_normal((n, n))
    return A * radius / np.abs(np.linalg.eigvals(A)).max() if n else A


def loop(A, B, C, D, u, x):
    """Return outputs (..., T, p) and states (..., T + 1, n), one step at a time."""
    states, outputs = [x], []
    for t in range(u.shape[-2]):
        outputs.append(x @ C.T + u[..., t, :] @ D.T)
        x = x @ A.T + u[..., t, :] @ B.T
        states.append(x)
    empty = np.zeros((*x.shape[:-1], 0, C.shape[0]))
    return np.stack(outputs, axis=-2) if outputs else empty, np.stack(states, axis=-2)


# ---- linear_scan ---------------------------------------------------------------------------------


@SETTINGS
@given(
    st.integers(0, 9),
    st.sampled_from([0, 1, 2, 50, 200]),
    st.sampled_from([(), (1,), (2, 3), (0,)]),
    st.booleans(),
    SEEDS,
)
def test_linear_scan_is_the_loop(n, T, batch, parallel, seed):
    rng = np.random.default_rng(seed)
    A, b, x0 = stable(rng, n), rng.standard_normal((*batch, T, n)), rng.standard_normal((*batch, n))
    kept = A.copy(), b.copy(), x0.copy()
    identity, zero = np.eye(n), np.zeros((n, n))
    expected = loop(A, identity, identity, zero, b, x0)[1]
    assert_close(linear_scan(A, b, x0, parallel=parallel), expected)
    for array, before in zip((A, b, x0), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_linear_scan_takes_views_and_shares_what_is_not_batched():
    rng = np.random.default_rng(0)
    A, b = np.asfortranarray(stable(rng, 3)), rng.standard_normal((5, 3, 80)).swapaxes(1, 2)[:, ::2]
    x0 = rng.standard_normal(6)[::2]
    x = linear_scan(A, b, x0)
    identity, zero = np.eye(3), np.zeros((3, 3))
    start = np.broadcast_to(x0, (5, 3))
    assert_close(x, loop(A, identity, identity, zero, b, start)[1])
    assert_close(linear_scan(A, b[0], start)[4], linear_scan(A, b[0], x0))


def test_linear_scan_of_complex_numbers():
    rng = np.random.default_rng(1)
    A = stable(rng, 4) * np.exp(0.3j)
    b = rng.standard_normal((30, 4))
    x = linear_scan(A, b, np.zeros(4))
    assert x.dtype == complex
    assert_close(x[1:], x[:-1] @ A.T + b)


def test_linear_scan_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"`b` must have shape \(..., T, 2\).*got \(4, 3\)"):
        linear_scan(np.eye(2), np.zeros((4, 3)), np.zeros(2))
    with pytest.raises(ValueError, match=r"`x0` must have shape \(..., 2\).*got \(3,\)"):
        linear_scan(np.eye(2), np.zeros((4, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"`A` must be a square matrix"):
        linear_scan(np.zeros((2, 3)), np.zeros((4, 2)), np.zeros(2))
    with pytest.raises(ValueError, match=r"`b` must be finite; found NaN, first at index \(1, 0\)"):
        linear_scan([[0.5]], [[1.0], [np.nan]], [0.0])
    with pytest.raises(OverflowError, match=r"`x` overflows at step 3\d\d"):
        linear_scan([[10.0]], np.ones((400, 1)), [0.0])


def test_scan_is_an_attribute_that_loads_when_read():
    assert realization.scan.linear_scan is linear_scan
    with pytest.raises(AttributeError, match="no attribute 'scam'"):
        realization.scam  # noqa: B018


# ---- linear_response -----------------------------------------------------------------------------


@SETTINGS
@given(
    st.integers(0, 6),
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([0, 1, 63, 64, 129, 1000, 4099]),
    st.sampled_from([(), (2,), (0,)]),
    SEEDS,
)
def test_blocks_are_the_loop(n, m, p, T, batch, seed):
    rng = np.random.default_rng(seed)
    A, B, C = stable(rng, n), rng.standard_normal((n, m)), rng.standard_normal((p, n))
    D, u, x0 = (rng.standard_normal(s) for s in ((p, m), (*batch, T, m), (*batch, n)))
    expected, states = loop(A, B, C, D, u, x0)
    y, last = linear_response(A, B, C, D, u, x0)
    assert_close(y, expected)
    assert_close(last, states[..., -1, :])


def test_blocks_cross_chunks_and_broadcast_the_start():
    rng = np.random.default_rng(2)
    A, B, C, D = stable(rng, 20), *(rng.standard_normal(s) for s in ((20, 2), (2, 20), (2, 2)))
    u, x0 = rng.standard_normal((2, 20_001, 2))[:, ::-1], rng.standard_normal(20)
    y, last = linear_response(A, B, C, D, u, x0)
    x = linear_states(A, u @ B.T, x0)
    assert_close(y, x[:, :-1] @ C.T + u @ D.T)
    assert_close(last, x[:, -1])


def test_blocks_of_an_explosive_system_do_not_turn_zero_into_nan():
    A, u = np.diag([1e30, 0.5]), np.zeros((4000, 1))
    y, last = linear_response(A, np.ones((2, 1)), np.ones((1, 2)), np.zeros((1, 1)), u, np.zeros(2))
    np.testing.assert_array_equal(y, 0.0)
    np.testing.assert_array_equal(last, 0.0)


def test_growth_that_stays_finite_is_exact():
    u, x0 = np.zeros((900, 1)), np.ones(1)
    y, _ = linear_response(*(np.array([[v]]) for v in (2.0, 0.0, 1.0, 0.0)), u, x0)
    np.testing.assert_array_equal(y[:, 0], 2.0 ** np.arange(900))


# ---- kernels against their Python twins ----------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_propagate_is_its_python_twin(n):
    rng = np.random.default_rng(n)
    At, w = stable(rng, n).T.copy(), rng.standard_normal((2, 7, n))
    compiled = np.zeros((2, 8, n))
    compiled[:, 0] = 1.0
    plain = compiled.copy()
    propagate(At, w, compiled)
    twin(propagate)(At, w, plain)
    assert_close(compiled, plain)


def filter_arguments(model, y, u, hold, keep):
    T, n, p = len(y), model.n_states, model.n_outputs
    matrices = (model.A.T, model.B.T, model.C, model.D, model.Q, model.R, model.S.T, y, u)
    x, P = np.zeros((T + 1 if keep else 2, n)), np.zeros((T + 1 if keep else 2, n, n))
    x[0], P[0] = model.m0, model.P0
    Kt, L = np.zeros((T if keep else 1, p, n)), np.zeros((p, p))
    return [np.array(M, order="C") for M in matrices], (hold, False, x, P, Kt, L)


@pytest.mark.parametrize(("n", "m", "p"), [(0, 1, 2), (1, 0, 1), (3, 2, 2), (4, 0, 6), (17, 1, 2)])
@pytest.mark.parametrize("keep", [True, False])
def test_filter_steps_is_its_python_twin(n, m, p, keep):
    rng = np.random.default_rng(10 * n + p)
    model = random_gaussian(rng, n, m, p)
    y, u = with_gaps(rng, rng.standard_normal((12, p))), rng.standard_normal((12, m))
    inputs, compiled = filter_arguments(model, y, u, True, keep)
    _, plain = filter_arguments(model, y, u, True, keep)
    found = filter_steps(*inputs, *compiled)
    expected = twin(filter_steps)(*inputs, *plain)
    assert found[0] == expected[0] == 12
    assert found[2] == expected[2] == -1.0
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)
    for a, b in zip(compiled[2:], plain[2:], strict=True):
        assert_close(a, b)


@pytest.mark.parametrize(("n", "p"), [(1, 1), (3, 2)])
def test_smoother_steps_are_their_python_twins(n, p):
    rng = np.random.default_rng(n)
    T = 6
    A, C, Kt = stable(rng, n), rng.standard_normal((p, n)), rng.standard_normal((T, p, n))
    Z, w = rng.standard_normal((T, p, n)), rng.standard_normal((T, p))
    x, F = rng.standard_normal((T + 1, n)), rng.standard_normal((T + 1, n, n))
    P = F @ F.swapaxes(1, 2) + np.eye(n)
    steps = {
        bryson_frazier_steps: (A, C, Kt, Z, w, x, P),
        rts_steps: (A[None], np.eye(n)[None], np.zeros(T, int), x, P, x[1:], P[1:]),
    }
    for kernel, inputs in steps.items():
        compiled = np.zeros((T + 1, n)), np.zeros((T + 1, n, n)), np.zeros((T, n, n))
        plain = tuple(array.copy() for array in compiled)
        assert kernel(*inputs, *compiled) == twin(kernel)(*inputs, *plain)
        for a, b in zip(compiled, plain, strict=True):
            assert_close(a, b)


# ---- kalman_scan ---------------------------------------------------------------------------------


@SETTINGS
@given(st.integers(0, 5), st.integers(0, 2), st.integers(1, 4), st.integers(0, 12), SEEDS)
def test_kalman_scan_is_the_textbook_loop(n, m, p, T, seed):
    rng = np.random.default_rng(seed)
    model = random_gaussian(rng, n, m, p)
    y, u = with_gaps(rng, rng.standard_normal((T, p))), rng.standard_normal((T, m))
    x, P, log_likelihood = model.m0, model.P0, 0.0
    path = kalman_scan(
        *(model.A, model.C, model.Q, model.R, model.S, y, x, P), B=model.B, D=model.D, u=u
    )
    for t in range(T):
        seen = ~np.isnan(y[t])
        C, R, S = model.C[seen], model.R[np.ix_(seen, seen)], model.S[:, seen]
        assert_close(path.x[t], x, 1e-11)
        assert_close(path.P[t], P, 1e-11)
        Re = C @ P @ C.T + R
        K = np.linalg.solve(Re, (model.A @ P @ C.T + S).T).T
        assert_close(path.K[t][:, seen], K, 1e-11)
        np.testing.assert_array_equal(path.K[t][:, ~seen], 0.0)
        e = (y[t] - model.C @ x - model.D @ u[t])[seen]
        log_likelihood -= 0.5 * (e @ np.linalg.solve(Re, e) + np.linalg.slogdet(2 * np.pi * Re)[1])
        x = model.A @ x + model.B @ u[t] + K @ e
        P = model.A @ P @ model.A.T + model.Q - K @ Re @ K.T
    assert path.log_likelihood == pytest.approx(log_likelihood, rel=1e-11, abs=1e-11)


def test_kalman_scan_holds_the_covariance_without_a_trace():
    rng = np.random.default_rng(3)
    model = random_gaussian(rng, 3, 0, 2)
    y = rng.standard_normal((500, 2))
    y[200:203] = np.nan
    y[300:, 0] = np.nan
    arguments = (model.A, model.C, model.Q, model.R, model.S, y, model.m0, model.P0)
    exact, held = kalman_scan(*arguments), kalman_scan(*arguments, hold=True)
    for name in ("x", "P", "K"):
        assert_close(getattr(held, name), getattr(exact, name), 1e-13)
    assert held.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-13)
    np.testing.assert_array_equal(held.P[190], held.P[200])
    assert not np.array_equal(held.P[200], held.P[202])
    np.testing.assert_array_equal(held.P[450], held.P[500])


def test_kalman_scan_takes_views_and_leaves_them_alone():
    rng = np.random.default_rng(4)
    model = random_gaussian(rng, 2, 1, 1)
    y, u = rng.standard_normal((60, 3))[::2, :1], np.asfortranarray(rng.standard_normal((30, 1)))
    matrices = (np.asfortranarray(model.A), model.C, model.Q, model.R, model.S)
    kept = y.copy(), u.copy()
    path = kalman_scan(*matrices, y, model.m0, model.P0, B=model.B, D=model.D, u=u)
    again = kalman_scan(
        *matrices, y.copy(), model.m0, model.P0, B=model.B, D=model.D, u=np.array(u)
    )
    np.testing.assert_array_equal(path.x, again.x)
    np.testing.assert_array_equal(y, kept[0])
    np.testing.assert_array_equal(u, kept[1])


def test_kalman_scan_says_what_is_wrong():
    one, y = np.eye(1), np.zeros((3, 1))
    with pytest.raises(ValueError, match="`u` must be given: the model has 1 input"):
        kalman_scan(one, one, one, one, None, y, [0.0], one, B=one)
    with pytest.raises(ValueError, match="must be one record"):
        kalman_scan(one, one, one, one, None, np.zeros((2, 3, 1)), [0.0], one)
    with pytest.raises(ValueError, match=r"`y` must have shape \(T, 1\)"):
        kalman_scan(one, one, one, one, None, np.zeros((3, 2)), [0.0], one)
    with pytest.raises(TypeError, match="kalman_scan needs a model with real matrices"):
        kalman_scan(one, 1j * one, one, one, None, y, [0.0], one)
    with pytest.raises(ValueError, match="`P0` must be positive semidefinite"):
        kalman_scan(one, one, one, one, None, y, [0.0], -one)


@pytest.mark.parametrize("first", [0, 2])
def test_singular_innovations_are_refused_with_the_step(first):
    # no noise at all: after two steps the outputs determine the state
    A, C = np.array([[0.9, 0.3], [-0.3, 0.9]]), np.array([[1.0, 0.0]])
    P0, zero = (np.zeros((2, 2)) if first == 0 else np.eye(2)), np.zeros((2, 2))
    with pytest.raises(AccuracyError, match=f"innovation at step {first} is singular") as raised:
        kalman_scan(A, C, zero, [[0.0]], None, np.zeros((5, 1)), np.zeros(2), P0)
    assert 0.0 <= raised.value.residual <= 1e-14


def test_one_output_given_twice_is_refused():
    model = GaussianSSM([[0.5]], [[1.0], [1.0]], [[1.0]], np.zeros((2, 2)))
    with pytest.raises(AccuracyError, match="one output given twice"):
        realization.log_likelihood(model, np.zeros((3, 2)))
