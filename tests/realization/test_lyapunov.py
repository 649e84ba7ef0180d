import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics

from realization import AccuracyError, GaussianSSM, UnstableModelError, lyapunov
from realization.lyapunov import initial_moments, lyapunov_factor, solve_lyapunov

EPS = np.finfo(float).eps
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)


def stable(rng, n, dt):
    A = random_dynamics(rng, n)
    return A if dt else A - np.eye(n)


def brute_force(A, Q, dt):
    """Solve the linear equations for the entries of P."""
    n = A.shape[0]
    identity = np.eye(n)
    discrete = np.eye(n * n) - np.kron(A, A)
    operator = discrete if dt else -np.kron(identity, A) - np.kron(A, identity)
    return np.linalg.solve(operator, Q.ravel()).reshape(n, n) if n else np.zeros((0, 0))


@SETTINGS
@given(st.integers(0, 6), st.integers(0, 8), st.sampled_from([0.0, 0.5]), st.integers(0, 10**6))
def test_solution_and_factor_agree_with_brute_force(n, m, dt, seed):
    rng = np.random.default_rng(seed)
    A, B = stable(rng, n, dt), rng.standard_normal((n, m))
    kept = A.copy(), B.copy()
    expected = brute_force(A, B @ B.T, dt)
    scale = 1e4 * EPS * max(np.linalg.norm(expected), np.finfo(float).tiny)
    P, L = solve_lyapunov(A, B @ B.T, dt=dt), lyapunov_factor(A, B, dt=dt)
    assert np.linalg.norm(P - expected) <= scale
    assert np.linalg.norm(L @ L.T - expected) <= scale
    np.testing.assert_array_equal(L, np.triu(L))
    np.testing.assert_array_equal(A, kept[0])
    np.testing.assert_array_equal(B, kept[1])


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_order_one_hundred(dt):
    rng = np.random.default_rng(7)
    A, B = stable(rng, 100, dt), rng.standard_normal((100, 3))
    P = solve_lyapunov(A, B @ B.T, dt=dt)
    moved = A @ P @ A.T - P if dt else A @ P + P @ A.T
    assert np.linalg.norm(moved + B @ B.T) <= 1e3 * EPS * np.linalg.norm(P)
    L = lyapunov_factor(A, B, dt=dt)
    assert np.linalg.norm(L @ L.T - P) <= 1e-11 * np.linalg.norm(P)


def test_factor_keeps_the_digits_that_the_product_loses():
    # P_ij = 1 / (1 - a_i a_j) is a Cauchy matrix: its determinant is known without cancellation
    a = np.array([0.5, 0.5 + 1e-7])
    determinant = (a[0] - a[1]) ** 2 / (1 - a[0] * a[1]) ** 2 / np.prod(1 - a**2)
    L = lyapunov_factor(np.diag(a), np.ones((2, 1)), dt=1.0)
    assert np.prod(np.diagonal(L)) ** 2 / determinant == pytest.approx(1.0, rel=1e-7)
    P = solve_lyapunov(np.diag(a), np.ones((2, 2)), dt=1.0)
    assert np.linalg.det(P) / determinant != pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_complex_matrices(dt):
    rng = np.random.default_rng(3)
    A = np.diag([0.5j, -0.4 + 0.2j]) - (0.0 if dt else 1.0) * np.eye(2)
    B = rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2))
    Q = B @ B.conj().T
    P = solve_lyapunov(A, Q, dt=dt)
    moved = A @ P @ A.conj().T - P if dt else A @ P + P @ A.conj().T
    assert np.linalg.norm(moved + Q) <= 100 * EPS * np.linalg.norm(P)


@pytest.mark.parametrize(("A", "dt"), [(1.0, 1.0), (-1.2, 1.0), (0.0, 0.0), (0.3, 0.0)])
def test_unstable_matrices_are_refused(A, dt):
    matrix = np.array([[A]])
    for solve in (solve_lyapunov, lyapunov_factor):
        with pytest.raises(UnstableModelError, match="stability margin is") as caught:
            solve(matrix, np.eye(1), dt=dt)
        assert caught.value.stability_margin <= 0


def test_a_wrong_solution_is_noticed(monkeypatch):
    monkeypatch.setattr(lyapunov, "unchecked_lyapunov", lambda A, Q, *, dt: np.eye(1))
    with pytest.raises(AccuracyError, match="relative residual") as caught:
        solve_lyapunov(np.array([[0.5]]), np.eye(1), dt=1.0)
    assert caught.value.residual > 1e-8


def test_what_the_solver_refuses_is_named():
    A = np.array([[0.5, 1e60], [0.0, 0.3]])  # eigenvalues reciprocal to rounding, relative to 1e60
    with pytest.raises(AccuracyError, match="badly scaled state: balance the model"):
        solve_lyapunov(A, np.ones((2, 2)), dt=1.0)


def test_nearly_unstable_is_solved_without_noise():
    A = np.array([[1 - 1e-12]])
    P = solve_lyapunov(A, np.eye(1), dt=1.0)
    assert P[0, 0] == pytest.approx(1 / (1 - A[0, 0] ** 2), rel=1e-3)


def test_initial_moments():
    given_start = GaussianSSM([[2.0]], [[1.0]], [[1.0]], [[1.0]], m0=[3.0], P0=[[5.0]])
    m0, P0 = initial_moments(given_start)
    assert (m0[0], P0[0, 0]) == (3.0, 5.0)
    stationary = GaussianSSM([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    m0, P0 = initial_moments(stationary)
    assert (m0[0], P0[0, 0]) == (0.0, pytest.approx(4.0))


def test_same_solution_as_scipy():
    rng = np.random.default_rng(11)
    A, B = random_dynamics(rng, 12), rng.standard_normal((12, 2))
    expected = scipy.linalg.solve_discrete_lyapunov(A, B @ B.T)
    np.testing.assert_allclose(solve_lyapunov(A, B @ B.T, dt=1.0), expected, rtol=1e-9, atol=1e-12)
