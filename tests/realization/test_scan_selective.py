"""selective_scan against a loop in extended precision, and its exponential at the edges."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from realization import BilinearSSM, diagonal_bilinear, simulate
from realization.scan import selective, selective_scan

seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=40, deadline=None, derandomize=True)
NAMES = ("delta", "a", "B", "C", "u", "x0")


def layer(rng, T, d, s, batch=(), dtype=float):
    """Return the arguments of a layer with decays between e^-3 and 1."""
    arguments = (
        rng.uniform(0.001, 1.0, (*batch, T, d)), -rng.uniform(0.1, 3.0, (d, s)),
        *(rng.standard_normal((*batch, T, w)) for w in (s, s, d)), rng.standard_normal((d, s)),
    )  # fmt: skip
    return [array.astype(dtype) for array in arguments]


def loop(delta, a, B, C, u, x0):
    """Return y and the last state of one series, in extended precision."""
    delta, a, B, C, u, h = (np.asarray(v, np.longdouble) for v in (delta, a, B, C, u, x0))
    y = np.empty(delta.shape, np.longdouble)
    for t in range(len(delta)):
        h = np.exp(delta[t][:, None] * a) * h + (delta[t] * u[t])[:, None] * B[t]
        y[t] = h @ C[t]
    return y.astype(float), h.astype(float)


@some
@given(seeds, st.integers(0, 30), st.integers(0, 9), st.integers(0, 5))
@pytest.mark.parametrize(("dtype", "tolerance"), [(float, 1e-13), (np.float32, 2e-6)])
def test_it_is_the_loop(dtype, tolerance, seed, T, d, s):
    arguments = layer(np.random.default_rng(seed), T, d, s, dtype=dtype)
    y, h = selective_scan(*arguments)
    assert y.dtype == h.dtype == dtype
    expected_y, expected_h = loop(*arguments)
    assert_close(y, expected_y, tolerance * (1 + s))
    assert_close(h, expected_h, tolerance)


def test_long_single_precision_layers_keep_six_digits():
    rng = np.random.default_rng(0)
    arguments = layer(rng, 2000, 16, 16, dtype=np.float32)
    arguments[0] *= 0.1
    y, h = selective_scan(*arguments)
    expected_y, expected_h = loop(*arguments)
    assert_close(y, expected_y, 1e-6)
    assert_close(h, expected_h, 1e-6)


@pytest.mark.parametrize("parallel", [False, True])
def test_leading_axes_are_broadcast(parallel):
    rng = np.random.default_rng(1)
    delta, a, B, C, u, x0 = layer(rng, 7, 3, 2, batch=(2, 3))
    x0 = rng.standard_normal((3, 3, 2))
    y, h = selective_scan(delta, a, B[0], C[:, :1], u, x0, parallel=parallel)
    assert y.shape == (2, 3, 7, 3)
    assert h.shape == (2, 3, 3, 2)
    for i in range(2):
        for j in range(3):
            expected = loop(delta[i, j], a, B[0, j], C[i, 0], u[i, j], x0[j])
            assert_close(y[i, j], expected[0], 1e-13)
            assert_close(h[i, j], expected[1], 1e-13)


def test_layout_and_inputs_are_left_alone():
    arguments = layer(np.random.default_rng(2), 9, 4, 3)
    before = [array.copy() for array in arguments]
    y, h = selective_scan(*arguments)
    for array, copy in zip(arguments, before, strict=True):
        assert np.array_equal(array, copy)
        array.setflags(write=False)
    other = selective_scan(*(np.asfortranarray(array) for array in arguments))
    assert np.array_equal(other[0], y)
    assert np.array_equal(other[1], h)


@pytest.mark.parametrize("dtype", [float, np.float32])
def test_the_kernel_is_its_python_function(dtype):
    kernel = selective.double_steps if dtype is float else selective.single_steps
    delta, a, B, C, u, x0 = layer(np.random.default_rng(3), 4, 3, 2, batch=(2,), dtype=dtype)
    results = []
    for function in (kernel, getattr(kernel, "py_func", kernel)):
        h = np.ascontiguousarray(np.broadcast_to(x0.T, (2, 2, 3)))
        y = np.zeros_like(delta)
        function(delta, np.ascontiguousarray(a.T), B, C, u, h, y, np.empty(3, dtype))
        results.append((y, h))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=20 * np.finfo(dtype).eps)


def powers(p):
    """Return 2 ** p as the kernels compute it, one number at a time."""
    function = selective.single_power if p.dtype == np.float32 else selective.double_power
    return np.array([function(value) for value in p], p.dtype)


@pytest.mark.parametrize(("dtype", "low", "high"), [(float, -1022, 1024), (np.float32, -126, 128)])
def test_the_power_is_accurate_over_its_whole_range(dtype, low, high):
    rng = np.random.default_rng(4)
    p = np.concatenate([rng.uniform(low, high, 4000), rng.uniform(-1, 1, 4000)])
    p = np.concatenate([p, np.arange(low, high), np.arange(-20, 20) / 2]).astype(dtype)
    p = p[p < high]
    expected = np.exp2(p.astype(np.longdouble))
    np.testing.assert_allclose(powers(p), expected, rtol=np.finfo(dtype).eps)


@pytest.mark.parametrize(("dtype", "edge"), [(float, 1024.0), (np.float32, 128.0)])
def test_the_power_outside_its_range(dtype, edge):
    p = np.array([edge, 2 * edge, 1e30, 1 - edge, -edge, -1e30], dtype)
    assert np.array_equal(powers(p), [np.inf, np.inf, np.inf, 0.0, 0.0, 0.0])
    between = powers(np.linspace(1 - edge, 2 - edge, 50).astype(dtype))
    assert np.all((between >= 0) & (between <= np.finfo(dtype).tiny))
    assert np.isnan(powers(np.array([np.nan], dtype))[0])


@pytest.mark.parametrize("dtype", [float, np.float32])
def test_strong_decays_forget(dtype):
    one = np.ones((1, 1), dtype)
    _, h = selective_scan(one, -1e4 * one, one, one, 3 * one, 1e30 * one)
    assert h == 3.0
    _, h = selective_scan(one, -10 * one, 0 * one, one, one, one)
    np.testing.assert_allclose(h, np.exp(-10), rtol=11 * np.finfo(dtype).eps)


# --- the statement about bilinear systems ---------------------------------------------------------


def test_any_layer_is_bilinear_in_its_gates_and_drives():
    """Lifted input (a(u), b(u)): lam = 0, one gate for each decay; states equal one step later."""
    rng = np.random.default_rng(5)
    delta, a, B, _, u, x0 = layer(rng, 40, 2, 3)
    C = np.broadcast_to(rng.standard_normal(3), (40, 3))
    y, h = selective_scan(delta, a, B, C, u, x0)
    decay = np.exp(delta[:, :, None] * a).reshape(40, 6)
    drive = ((delta * u)[:, :, None] * B[:, None, :]).reshape(40, 6)
    gates = np.vstack([np.eye(6), np.zeros((6, 6))])
    model = diagonal_bilinear(
        np.zeros(6), gates, np.hstack([np.zeros((6, 6)), np.eye(6)]),
        np.kron(np.eye(2), C[0]), x0=x0.ravel(),
    )  # fmt: skip
    path = simulate(model, np.hstack([decay, drive]))
    assert_close(path.x[-1], h.ravel(), 1e-13)
    assert_close(path.x[1:] @ model.C.T, y, 1e-13)
    assert_close(path.y[1:], y[:-1], 1e-13)


def test_an_affine_decay_with_constant_input_map_is_bilinear_in_the_raw_input():
    """exp(delta a) affine in u: here chosen so, by delta = log(lam + g u) / a."""
    rng = np.random.default_rng(6)
    u = rng.uniform(-1, 1, (50, 1))
    lam, gate = 0.6, 0.3
    delta = -np.log(lam + gate * u)
    model = diagonal_bilinear([lam], [[gate]], [[1.0]], [[2.0]])
    B = 1 / delta  # so that delta B u = u
    y, _ = selective_scan(delta, [[-1.0]], B, np.full((50, 1), 2.0), u, np.zeros((1, 1)))
    assert_close(simulate(model, np.vstack([u, [[0.0]]])).y[1:], y, 1e-13)


def test_a_finite_alphabet_makes_every_layer_bilinear():
    """One-hot input and one copy of the state for each letter absorb a(u), b(u) and c(u)."""
    rng = np.random.default_rng(7)
    letters, s, T = 4, 3, 60
    value, delta = rng.standard_normal(letters), rng.uniform(0.1, 1, letters)
    a = -rng.uniform(0.1, 3, s)
    B, C = rng.standard_normal((letters, s)), rng.standard_normal((letters, s))
    tokens = rng.integers(letters, size=T)
    y, _ = selective_scan(
        delta[tokens, None], a[None], B[tokens], C[tokens], value[tokens, None], np.zeros((1, s))
    )
    # z = e_k (x) h: z+ = sum_k u_k [(e_k 1') (x) diag(a_k)] z + sum_k u_k e_k (x) b_k
    unit = np.eye(letters)
    N = [
        np.kron(np.outer(unit[k], np.ones(letters)), np.diag(np.exp(delta[k] * a)))
        for k in range(letters)
    ]
    b = np.stack([np.kron(unit[k], delta[k] * value[k] * B[k]) for k in range(letters)], axis=1)
    model = BilinearSSM(np.zeros((letters * s, letters * s)), N, b, C.reshape(1, -1))
    found = simulate(model, np.vstack([unit[tokens], unit[:1]])).y[1:]
    assert_close(found, y, 1e-13)


def test_a_mamba_gate_is_not_bilinear_in_the_raw_input():
    """Bilinear decays are affine in u; exp(-softplus(u)) is not, but is to first order."""
    u = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    gate = np.exp(-np.logaddexp(0.0, 100 * u)), np.exp(-np.logaddexp(0.0, u))
    second = [np.abs(np.diff(g, 2)).max() for g in gate]
    assert second[0] > 1e-2
    assert second[1] < 1e-5
    # an affine function that stays in (0, 1) for every u has no slope: any slope leaves (0, 1)
    lam, slope = 0.5, 1e-3
    assert not 0 < lam + slope * 1e3 < 1


def test_diagonal_gates_forget_the_order_of_inputs_dense_ones_do_not():
    swap, turn = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]), np.roll(np.eye(3), 1, axis=0)
    words = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    start = np.array([1.0, 0.0, 0.0])
    tracker = BilinearSSM(np.zeros((3, 3)), [swap, turn], np.zeros((3, 2)), np.eye(3), x0=start)
    ends = [simulate(tracker, word).x[-1] for word in words]
    assert not np.array_equal(*ends)
    diagonal = diagonal_bilinear(np.zeros(3), [[0.2, 0.5, 0.9], [0.3, 0.1, 0.7]],
                                 np.zeros((3, 2)), np.eye(3), x0=start)  # fmt: skip
    ends = [simulate(diagonal, word).x[-1] for word in words]
    np.testing.assert_allclose(*ends, rtol=1e-15)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": np.ones((3, 2))}, ValueError, r"`a` must have shape \(2, 2\) to match `delta`"),
        ({"a": np.ones((1, 2, 3))}, ValueError, r"`a` must have shape \(2, 3\) to match"),
        ({"B": np.ones((4, 2))}, ValueError, r"`B` must have shape \(\.\.\., 4, 3\) to match"),
        ({"C": np.ones((5, 3))}, ValueError, r"`C` must have shape \(\.\.\., 4, 3\) to match"),
        ({"u": np.ones((4, 3))}, ValueError, r"`u` must have shape \(\.\.\., 4, 2\) to match"),
        ({"x0": np.ones((3, 2))}, ValueError, r"`x0` must have shape \(\.\.\., 2, 3\) to match"),
        ({"delta": np.ones(4)}, ValueError, "`delta` must have at least 2 axes"),
        ({"u": 1j * np.ones((4, 2))}, TypeError, "`u` must be real; got dtype complex128"),
        ({"u": np.full((4, 2), "a")}, TypeError, "`u` must be numeric"),
        ({"u": np.full((4, 2), np.inf)}, ValueError, "`u` must be finite; found inf"),
        ({"C": np.full((4, 3), np.nan)}, ValueError, "`C` must be finite; found NaN"),
        ({"a": 600 * np.ones((2, 3))}, OverflowError, "`h` overflows: the recursion is unstable"),
    ],
)
def test_refusals(change, error, message):
    parts = {
        "delta": np.ones((4, 2)), "a": -np.ones((2, 3)), "B": np.ones((4, 3)),
        "C": np.ones((4, 3)), "u": np.ones((4, 2)), "x0": np.ones((2, 3)),
    }  # fmt: skip
    with pytest.raises(error, match=message):
        selective_scan(**{**parts, **change})
