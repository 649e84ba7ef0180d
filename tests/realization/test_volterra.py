"""Volterra kernels: analytic, from pulses and from correlations are the same numbers."""

import itertools

import numpy as np
import pytest
from bilinear_systems import loop, random_bilinear
from hypothesis import given, settings
from hypothesis import strategies as st

from realization import (
    BilinearSSM,
    LinearSSM,
    bilinear_hankel_realization,
    kernel_coefficients,
    markov_parameters,
    simulate,
    volterra_from_data,
    volterra_from_pulses,
    volterra_kernel,
    word_coefficients,
)

STEEP = BilinearSSM([[1e60]], [[[1.0]]], [[1.0]], [[1.0]])
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=25, deadline=None, derandomize=True)


def all_signs(steps, m):
    """Return every input sequence of +1 and -1: (2^(steps m), steps, m)."""
    return np.array(list(itertools.product([1.0, -1.0], repeat=steps * m))).reshape(-1, steps, m)


@some
@given(seeds, st.integers(0, 4), st.integers(0, 2), st.integers(1, 2), st.integers(1, 3))
def test_kernel_entries_are_the_products_of_the_definition(seed, n, m, p, degree):
    model = random_bilinear(np.random.default_rng(seed), n, m, p)
    lags = 4
    kernel = volterra_kernel(model, degree, lags)
    assert kernel.shape == (lags,) * degree + (p,) + (m,) * degree
    power = np.linalg.matrix_power
    for delays in itertools.product(range(1, lags + 1), repeat=degree):
        decreasing = all(a > b for a, b in itertools.pairwise(delays))
        for inputs in itertools.product(range(m), repeat=degree):
            found = kernel[(*(d - 1 for d in delays), slice(None), *inputs)]
            if not decreasing:
                assert not found.any()
                continue
            state = model.B[:, inputs[0]]
            for now, after, i in zip(delays, delays[1:], inputs[1:], strict=False):
                state = model.N[i] @ power(model.A, now - after - 1) @ state
            expected = model.C @ power(model.A, delays[-1] - 1) @ state
            np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_kernels_are_the_output():
    model = random_bilinear(np.random.default_rng(1), 3, 2, 2)
    lags = 5
    kernels = [volterra_kernel(model, k, lags) for k in range(1, lags + 1)]
    u = np.random.default_rng(2).standard_normal((lags + 1, 2))
    total = model.D @ u[-1]
    for k, kernel in enumerate(kernels, start=1):
        for delays in itertools.combinations(range(lags, 0, -1), k):
            part = kernel[tuple(d - 1 for d in delays)]
            for d in delays:
                part = np.tensordot(part, u[lags - d], axes=(1, 0))
            total = total + part
    np.testing.assert_allclose(total, loop(model, u)[0][-1], rtol=1e-13, atol=1e-13)


def test_degree_one_is_the_impulse_response():
    model = random_bilinear(np.random.default_rng(3), 3, 2, 2)
    h = markov_parameters(LinearSSM(model.A, model.B, model.C, model.D), 7)
    np.testing.assert_allclose(volterra_kernel(model, 1, 6), h[1:], atol=1e-14)


def test_no_lags_and_more_degree_than_lags():
    model = random_bilinear(np.random.default_rng(4), 2, 1, 1)
    assert volterra_kernel(model, 2, 0).shape == (0, 0, 1, 1, 1)
    assert not volterra_kernel(model, 3, 2).any()


@some
@given(seeds, st.integers(0, 4), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3))
def test_pulses_measure_the_kernel(seed, n, m, p, degree):
    model = random_bilinear(np.random.default_rng(seed), n, m, p)
    found = volterra_from_pulses(lambda u: loop(model, u)[0], degree, 4, n_inputs=m, amplitude=0.5)
    expected = volterra_kernel(model, degree, 4)
    np.testing.assert_allclose(found, expected, atol=3e-14 * 2**degree * (1 + abs(expected).max()))


def test_pulse_experiments_are_not_repeated():
    model = random_bilinear(np.random.default_rng(5), 2, 1, 1)
    runs = []

    def respond(u):
        runs.append(tuple(u[:, 0]))
        return simulate(model, u).y

    volterra_from_pulses(respond, 3, 5, n_inputs=1)
    assert len(runs) == len(set(runs)) == 1 + 1 + 4 + 6  # none, one, two, three pulses
    assert all(run[0] or not any(run) for run in runs)


def test_a_constant_output_does_not_enter():
    model = random_bilinear(np.random.default_rng(6), 2, 1, 1)
    found = volterra_from_pulses(lambda u: loop(model, u)[0] + 5.0, 2, 4, n_inputs=1)
    np.testing.assert_allclose(found, volterra_kernel(model, 2, 4), atol=1e-13)


@pytest.mark.parametrize(("m", "degree", "lags"), [(1, 1, 3), (1, 2, 4), (1, 3, 5), (2, 2, 3)])
@pytest.mark.parametrize("method", ["correlation", "least_squares"])
def test_correlations_over_all_sign_sequences_are_the_kernel(m, degree, lags, method):
    model = random_bilinear(np.random.default_rng(7), 3, m, 2)
    u = all_signs(lags + 1, m)
    y = np.array([loop(model, signs)[0] for signs in u])
    found = volterra_from_data(y, u, degree, lags, method=method)
    expected = volterra_kernel(model, degree, lags)
    tolerance = 1e-13
    if method == "least_squares" and degree < lags:
        tolerance = 1e-12  # higher degrees are orthogonal over all sign sequences
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_correlation_error_falls_with_the_root_of_the_samples():
    model = random_bilinear(np.random.default_rng(8), 2, 1, 1, radius=0.5)
    rng = np.random.default_rng(9)
    u = rng.standard_normal((20_000, 1))
    y = simulate(model, u).y
    found = volterra_from_data(y, u, 2, 3, method="correlation")
    error = np.abs(found - volterra_kernel(model, 2, 3)).max()
    # the standard deviation of y u1 u2 / sqrt(samples), u Gaussian: E u^4 = 3 for each factor
    assert error < 5 * 3 * y.std() / np.sqrt(len(u))


def test_least_squares_is_exact_for_a_system_of_finite_memory():
    A = np.diag(np.ones(2), -1)
    N = np.zeros((1, 3, 3))
    N[0, 1, 0] = 0.7  # nilpotent: products of at most two inputs, at most three samples old
    model = BilinearSSM(A, N, [[1.0], [0.0], [0.0]], [[1.0, 2.0, 3.0]], [[4.0]])
    u = np.random.default_rng(10).standard_normal((200, 1))
    found = volterra_from_data(simulate(model, u).y + 1.0, u, 2, 3)
    np.testing.assert_allclose(found, volterra_kernel(model, 2, 3), atol=1e-12)


@some
@given(seeds, st.integers(0, 3), st.integers(0, 2), st.integers(1, 2))
def test_kernels_hold_the_word_coefficients(seed, n, m, p):
    model = random_bilinear(np.random.default_rng(seed), n, m, p)
    found = kernel_coefficients([volterra_kernel(model, k, 4) for k in (1, 2, 3, 4)])
    expected = word_coefficients(model, 3)
    assert found.keys() == expected.keys()
    for word, c in expected.items():
        np.testing.assert_allclose(found[word], c, atol=1e-13)


def test_from_pulses_to_a_model():
    model = random_bilinear(np.random.default_rng(11), 2, 1, 1, radius=0.9, gate=0.8)
    kernels = [
        volterra_from_pulses(lambda u: simulate(model, u).y, k, 4, n_inputs=1) for k in (1, 2, 3, 4)
    ]
    found = bilinear_hankel_realization(kernel_coefficients(kernels), 2, D=model.D)
    u = np.random.default_rng(12).standard_normal((50, 1))
    expected = simulate(model, u).y
    np.testing.assert_allclose(simulate(found, u).y, expected, atol=1e-9 * np.abs(expected).max())


MODEL = BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
Y, U = np.ones((9, 1)), np.arange(9.0)[:, np.newaxis]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: volterra_kernel(1, 1, 1), TypeError, "`model` must be a BilinearSSM"),
        (lambda: volterra_kernel(MODEL, 0, 1), ValueError, "`degree` must be at least 1"),
        (lambda: volterra_kernel(MODEL, 1, 1.0), TypeError, "`lags` must be an integer"),
        (
            lambda: volterra_kernel(BilinearSSM(MODEL.A, MODEL.N, MODEL.B, MODEL.C, dt=0.0), 1, 1),
            ValueError,
            "volterra_kernel needs a discrete-time model",
        ),
        (
            lambda: volterra_from_pulses(lambda u: u[1:], 1, 3, n_inputs=1),
            ValueError,
            r"`respond` must return an array of shape \(4, p\); got \(3, 1\)",
        ),
        (
            lambda: volterra_from_pulses(lambda u: u + np.nan, 1, 3, n_inputs=1),
            ValueError,
            r"`respond\(u\)` must be finite",
        ),
        (
            lambda: volterra_from_pulses(lambda u: u, 1, 3, n_inputs=1, amplitude=0.0),
            ValueError,
            "`amplitude` must be finite and above 0",
        ),
        (lambda: volterra_from_pulses(lambda u: u, 1, 0, n_inputs=1), ValueError, "`lags` must"),
        (lambda: volterra_from_data(Y, U[1:], 1, 2), ValueError, "as many records and samples"),
        (lambda: volterra_from_data(Y, U, 1, 9), ValueError, "more than `lags` = 9 samples"),
        (lambda: volterra_from_data(Y, U, 3, 2), ValueError, "`lags` must be at least 3"),
        (lambda: volterra_from_data(Y, 0 * U, 1, 2), ValueError, "must excite every input"),
        (
            lambda: volterra_from_data(Y, Y, 1, 2),
            ValueError,
            "1 of 7 equations are independent, for 4",
        ),
        (
            lambda: volterra_from_data(Y, U, 1, 2, method="fit"),
            ValueError,
            "`method` must be one of 'least_squares', 'correlation'",
        ),
        (lambda: kernel_coefficients([]), ValueError, "must start with the kernel of degree 1"),
        (lambda: kernel_coefficients(3), TypeError, "`kernels` must be a list of kernels"),
        (lambda: volterra_kernel(STEEP, 1, 8), ValueError, "`lags` is too large for this unstable"),
        (
            lambda: kernel_coefficients([np.ones((2, 1, 1)), np.ones((2, 1, 1))]),
            ValueError,
            r"`kernels\[1\]` must have shape \(2, 2, 1, 1, 1\)",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
