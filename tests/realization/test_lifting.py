"""Carleman lifting: exact cascades, convergence, both bases."""

import math

import numpy as np
import pytest
import scipy

from realization import carleman, carleman_state, simulate


def polynomial(field, x):
    """Evaluate sum_k F_k x^(k)."""
    total, power = 0.0, np.ones(1)
    for F in field:
        total = total + np.reshape(F, (len(x), -1)) @ power
        power = np.kron(power, x)
    return total


def solve(fields, x0, u, h):
    """Integrate the original system with held inputs; return x at the sample times."""
    x = [np.array(x0, float)]
    for ut in u:

        def rate(t, state, ut=ut):
            gated = (v * polynomial(f, state) for v, f in zip(ut, fields[1:], strict=True))
            return polynomial(fields[0], state) + sum(gated, np.zeros(len(state)))

        step = scipy.integrate.solve_ivp(
            rate, (0, h), x[-1], method="DOP853", rtol=1e-13, atol=1e-15
        )
        x.append(step.y[:, -1])
    return np.array(x)


def random_fields(rng, n, m, top):
    shapes = [(n, n**k) for k in range(top + 1)]
    fields = [[0.3 * rng.standard_normal(s) for s in shapes] for _ in range(m + 1)]
    fields[0][0][:] = 0.0
    fields[0][1] = fields[0][1] - np.eye(n)
    return fields


@pytest.mark.parametrize("basis", ["kronecker", "monomial"])
def test_a_cascade_is_exact(basis):
    # x1' = -x1 + u, x2' = -2 x2 + x1^2: closed by x1^2
    F1, F2 = np.diag([-1.0, -2.0]), np.zeros((2, 4))
    F2[1, 0] = 1.0
    fields = [[np.zeros(2), F1, F2], [[1.0, 0.0]]]
    model = carleman(fields, 2, x0=[0.5, -0.2], basis=basis)
    u = np.random.default_rng(0).standard_normal((20, 1))
    path = simulate(model, u, dt=0.3)
    expected = solve(fields, [0.5, -0.2], u, 0.3)
    np.testing.assert_allclose(path.y, expected[:-1], atol=2e-12)
    np.testing.assert_allclose(path.x[-1, :2], expected[-1], atol=2e-12)


@pytest.mark.parametrize("m", [0, 1, 2])
def test_the_lifted_field_is_the_derivative_of_the_powers(m):
    rng = np.random.default_rng(m)
    fields = random_fields(rng, 2, m, 3)
    degree = 4
    for basis in ("kronecker", "monomial"):
        # powers up to degree 2 of cubic fields need powers up to 4: nothing is dropped for them
        model = carleman(fields, degree, basis=basis)
        x, u = rng.standard_normal(2), rng.standard_normal(m)
        kept = carleman_state(x, 2, basis=basis).size
        z = carleman_state(x, degree, basis=basis)
        rate = model.A @ z + np.tensordot(u, model.N, 1) @ z + model.B @ u
        gated = sum((v * polynomial(f, x) for v, f in zip(u, fields[1:], strict=True)), np.zeros(2))
        velocity = polynomial(fields[0], x) + gated
        h = 1e-20  # complex step: derivative to rounding
        expected = carleman_state(x + 1j * h * velocity, 2, basis=basis).imag / h
        np.testing.assert_allclose(rate[:kept], expected, rtol=1e-12, atol=1e-12)


def test_blocks_follow_the_product_rule():
    rng = np.random.default_rng(3)
    fields = random_fields(rng, 2, 1, 2)
    model = carleman(fields, 2)
    F1, G0, G1 = fields[0][1], fields[1][0], fields[1][1]
    eye = np.eye(2)
    np.testing.assert_allclose(model.A[:2], np.hstack([F1, fields[0][2]]))
    np.testing.assert_allclose(model.A[2:, 2:], np.kron(F1, eye) + np.kron(eye, F1))
    np.testing.assert_allclose(model.N[0, 2:, :2], np.kron(G0, eye) + np.kron(eye, G0))
    np.testing.assert_allclose(model.N[0, :2, :2], G1)
    np.testing.assert_allclose(model.B[:, 0], [*G0[:, 0], 0, 0, 0, 0])
    assert np.array_equal(model.C, np.eye(2, 6))
    assert model.dt == 0.0


def test_both_bases_are_the_same_system():
    rng = np.random.default_rng(4)
    fields = random_fields(rng, 2, 1, 2)
    u = 0.1 * rng.standard_normal((15, 1))
    large, small = (
        carleman(fields, 4, x0=[0.1, -0.1], basis=basis) for basis in ("kronecker", "monomial")
    )
    assert (large.n_states, small.n_states) == (2 + 4 + 8 + 16, math.comb(2 + 4, 4) - 1)
    np.testing.assert_allclose(
        simulate(large, u, dt=0.2).y, simulate(small, u, dt=0.2).y, atol=1e-13
    )


def test_the_error_falls_geometrically_near_the_origin():
    rng = np.random.default_rng(5)
    fields = random_fields(rng, 2, 1, 2)
    x0 = np.array([0.1, -0.1])
    u = 0.05 * rng.standard_normal((10, 1))
    expected = solve(fields, x0, u, 0.2)[:-1]
    errors = [
        np.abs(simulate(carleman(fields, N, x0=x0, basis="monomial"), u, dt=0.2).y - expected).max()
        for N in (1, 2, 3, 4, 5)
    ]
    rates = np.array(errors[1:]) / errors[:-1]
    assert np.all(rates < 0.35)
    assert errors[-1] < 1e-5


def test_states_are_powers():
    x = np.array([[2.0, 3.0], [1.0, -1.0]])
    powers = carleman_state(x, 3)
    assert powers.shape == (2, 14)
    np.testing.assert_array_equal(powers[0, 6:], np.kron(np.kron(x[0], x[0]), x[0]))
    np.testing.assert_array_equal(
        carleman_state([2.0, 3.0], 3, basis="monomial"), [2, 3, 4, 6, 9, 8, 12, 18, 27]
    )
    assert carleman([[[0.0], [[-1.0]]]], 3).n_inputs == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: carleman([[[1.0], [[-1.0]]]], 2), ValueError, "must vanish at the origin"),
        (lambda: carleman([], 2), ValueError, "got an empty list"),
        (lambda: carleman([[]], 2), ValueError, "got an empty list"),
        (
            lambda: carleman({"a": [1.0]}, 2),  # as a DataFrame, which has keys too
            TypeError,
            r"`vector_fields` must be a list of fields \[f_0, ..., f_m\]; got dict",
        ),
        (
            lambda: carleman([0.5], 2),
            TypeError,
            r"`vector_fields\[0\]` must be a list of matrices by Kronecker power; got float",
        ),
        (
            lambda: carleman(np.array(0.5), 2),
            TypeError,
            "`vector_fields` must be a list of fields .*; got a single number",
        ),
        (
            lambda: carleman([[[0.0]]], 2, basis=np.ones(2)),
            ValueError,
            "`basis` must be one of 'kronecker', 'monomial'",
        ),
        (lambda: carleman_state([1e200], 2), ValueError, "`x` is too large for degree 2"),
        (lambda: carleman_state([], 2), ValueError, r"n at least 1; got \(0,\)"),
        (lambda: carleman([[[0.0], [[-1.0]]]], 0), ValueError, "`degree` must be at least 1"),
        (
            lambda: carleman([[[0.0, 0.0], np.eye(2), np.eye(2)]], 2),
            ValueError,
            r"`vector_fields\[0\]\[2\]` must have shape \(2, 4\) the matrix of Kronecker power 2",
        ),
        (lambda: carleman([[[0.0]]], 2, x0=[1.0, 2.0]), ValueError, r"`x0` must have shape \(1,\)"),
        (lambda: carleman([[[0.0]]], 2, basis="both"), ValueError, "`basis` must be one of"),
        (lambda: carleman_state(1.0, 2), ValueError, "got a single number"),
        (lambda: carleman_state([1.0], 2.0), TypeError, "`degree` must be an integer"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
