"""diagonal_scan: equal to its loop, for every kind of argument."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from realization.scan import diagonal, diagonal_scan

seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=60, deadline=None, derandomize=True)


def loop(lam, b, x0):
    """Return the states of one series, one step at a time."""
    x = [np.asarray(x0)]
    for t, bt in enumerate(b):
        x.append((lam if np.ndim(lam) == 1 else lam[t]) * x[-1] + bt)
    return np.array(x)


@some
@given(seeds, st.integers(0, 40), st.integers(0, 5), st.booleans(), st.booleans())
def test_it_is_the_loop(seed, T, n, varying, complex_decays):
    rng = np.random.default_rng(seed)
    lam = rng.uniform(-1, 1, (T, n) if varying else n)
    if complex_decays:
        lam = lam * np.exp(1j * rng.uniform(0, 6, lam.shape))
    b, x0 = rng.standard_normal((T, n)), rng.standard_normal(n)
    found = diagonal_scan(lam, b, x0)
    assert found.dtype == (complex if complex_decays else float)
    assert found.shape == (T + 1, n)
    assert_close(found, loop(lam, b, x0))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("shapes", [
    ((4,), (3, 9, 4), (4,)),
    ((9, 4), (3, 9, 4), (3, 4)),
    ((3, 9, 4), (9, 4), (4,)),
    ((2, 1, 9, 4), (3, 9, 4), (2, 3, 4)),
])  # fmt: skip
def test_leading_axes_are_broadcast(shapes, parallel):
    rng = np.random.default_rng(0)
    lam, b, x0 = (rng.uniform(-1, 1, shape) for shape in shapes)
    found = diagonal_scan(lam, b, x0, parallel=parallel)
    batch = np.broadcast_shapes(lam.shape[:-2], b.shape[:-2], x0.shape[:-1])
    wide = lam if lam.ndim == 1 else np.broadcast_to(lam, (*batch, 9, 4))
    b, x0 = np.broadcast_to(b, (*batch, 9, 4)), np.broadcast_to(x0, (*batch, 4))
    assert found.shape == (*batch, 10, 4)
    for i in np.ndindex(batch):
        own = wide if lam.ndim == 1 else wide[i]
        assert_close(found[i], loop(own, b[i], x0[i]))


def test_memory_layout_and_type_do_not_matter():
    rng = np.random.default_rng(1)
    lam, b, x0 = (rng.uniform(-1, 1, s) for s in ((7, 3), (7, 3), (3,)))
    expected = diagonal_scan(lam, b, x0)
    strided = np.zeros((14, 6))
    strided[::2, ::2] = b
    for other in (np.asfortranarray(b), strided[::2, ::2], b[::-1][::-1]):
        assert np.array_equal(diagonal_scan(np.asfortranarray(lam), other, x0), expected)
    before = b.copy()
    b.setflags(write=False)
    assert np.array_equal(diagonal_scan(lam, b, x0), expected)
    assert np.array_equal(b, before)
    whole = diagonal_scan([2], [[1], [0]], [1])
    assert np.array_equal(whole, [[1.0], [3.0], [6.0]])


def test_the_kernel_is_its_python_function():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 8, 3))
    lam = rng.uniform(-1, 1, (2, 7, 3))
    python = getattr(diagonal.diagonal_steps, "py_func", diagonal.diagonal_steps)
    for decays, stride, advance in ((lam, 1, 1), (lam[:1], 0, 1), (lam[:1, :1], 0, 0)):
        compiled, plain = x.copy(), x.copy()
        diagonal.diagonal_steps(np.ascontiguousarray(decays), stride, advance, compiled)
        python(decays, stride, advance, plain)
        np.testing.assert_allclose(compiled, plain, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.5, 0.5], np.ones((3, 1)), [0.0]), ValueError, r"`lam` must have shape \(1,\) or"),
        ((np.ones((2, 1)), np.ones((3, 1)), [0.0]), ValueError, r"`lam` .* \(\.\.\., 3, 1\)"),
        (([0.5], np.ones((3, 1)), [0.0, 1.0]), ValueError, r"`x0` must have shape \(\.\.\., 1\)"),
        (([0.5], [1.0], [0.0]), ValueError, "`b` must have at least 2 axes"),
        ((0.5, [[1.0]], [0.0]), ValueError, "`lam` must have at least 1 axes"),
        (([0.5], [["a"]], [0.0]), TypeError, "`b` must be numeric"),
        (([0.5], [[1.0], [1.0, 2.0]], [0.0]), TypeError, "`b` must be a numeric array"),
        (([0.5], [[np.nan]], [0.0]), ValueError, "`b` must be finite; found NaN"),
        (([np.inf], [[1.0]], [0.0]), ValueError, "`lam` must be finite; found inf"),
        (([0.0], [[1.0], [1.0]], [np.inf]), ValueError, "`x0` must be finite; found inf"),
        (([2.0], np.zeros((1500, 1)), [1.0]), OverflowError, "`x` overflows at step 1024"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        diagonal_scan(*arguments)
