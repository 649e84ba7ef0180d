import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process
from systems import random_dynamics

from realization import (
    AccuracyError,
    GaussianSSM,
    NumericalWarning,
    autocovariance,
    riccati,
    to_covariance,
)
from realization.lyapunov import solve_lyapunov
from realization.riccati import (
    RiccatiData,
    solve_covariance_riccati,
    solve_filter_riccati,
    to_discrete_time,
)

EPS = np.finfo(float).eps
SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = (st.integers(0, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1]), st.integers(0, 10**6))


def random_gaussian(rng, n, p, dt):
    A = random_dynamics(rng, n, largest=0.9) - (0.0 if dt else 1.0) * np.eye(n)
    F = rng.standard_normal((n + p, n + p + 2))
    noise = F @ F.T
    return GaussianSSM(
        A,
        rng.standard_normal((p, n)),
        noise[:n, :n],
        noise[n:, n:],
        noise[:n, n:],
        dt=dt,
    )


def defect(cov, P, K, Re):
    moved = cov.A @ P @ cov.A.T - P if cov.dt else cov.A @ P + P @ cov.A.T
    return np.linalg.norm(moved + K @ Re @ K.T)


@SETTINGS
@given(*SIZES)
def test_filter_and_covariance_equations_share_the_innovations(n, p, dt, seed):
    """P of the state = P of its prediction + P of the prediction error."""
    model = random_gaussian(np.random.default_rng(seed), n, p, dt)
    cov = to_covariance(model)
    error, K, Re = solve_filter_riccati(model.A, model.C, model.Q, model.R, model.S, dt=dt)
    P, K2, Re2 = solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=dt)
    total = solve_lyapunov(model.A, model.Q, dt=dt)
    scale = np.linalg.norm(total) + np.linalg.norm(cov.Lambda0)
    condition = scale * np.linalg.norm(np.linalg.inv(Re))
    assert np.linalg.norm(total - error - P) <= 1e-12 * scale
    assert np.linalg.norm(Re - Re2) <= 1e-12 * scale
    assert np.linalg.norm(K - K2) <= 1e-12 * condition * (1 + np.linalg.norm(K))
    assert defect(cov, P, K2, Re2) <= 1e-13 * scale
    if n:
        closed = np.linalg.eigvals(cov.A - K @ cov.C)
        assert (np.abs(closed) < 1).all() if dt else (closed.real < 0).all()
        assert np.linalg.eigvalsh(P)[0] >= -1e-13 * scale


@SETTINGS
@given(st.integers(1, 6), *SIZES[1:])
def test_three_independent_routes_agree(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    equation = RiccatiData(cov.A, cov.C, np.zeros_like(cov.A), cov.Lambda0, cov.N, dt)
    expected, _, _ = solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=dt)
    for route in (riccati._pencil, riccati._doubling, riccati._recursion):
        found = riccati._polish(equation, route(equation))
        assert found.residual <= 1e-13
        assert np.linalg.norm(found.X + expected) <= 1e-11 * np.linalg.norm(expected), route


@pytest.mark.parametrize(("route", "tol"), [("_recursion", 2e-13), ("_doubling", 1e-11)])
def test_iterations_converge_without_polish(route, tol):
    for seed in range(5):
        cov = to_covariance(random_process(np.random.default_rng(seed), 4, 2))
        equation = RiccatiData(cov.A, cov.C, np.zeros((4, 4)), cov.Lambda0, cov.N, 1.0)
        expected, _, _ = solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=1.0)
        found = -getattr(riccati, route)(equation)
        assert np.linalg.norm(found - expected) <= tol * np.linalg.norm(expected)


def test_scalar_solution_in_closed_form():
    """Moving average 1 - theta z: P = Re = 1; its mirror image is the other root."""
    for theta in (0.0, 0.3, -0.9):
        A, C = np.zeros((1, 1)), np.ones((1, 1))
        N, Lambda0 = np.array([[-theta]]), np.array([[1 + theta**2]])
        P, K, Re = solve_covariance_riccati(A, C, N, Lambda0, dt=1.0)
        assert P[0, 0] == pytest.approx(theta**2, abs=1e-14)
        assert Re[0, 0] == pytest.approx(1.0, abs=1e-14)
        assert K[0, 0] == pytest.approx(-theta, abs=1e-14)


def test_recursion_is_the_finite_past_predictor():
    """After t steps of Faurre's iteration, X is minus cov(E[x_t | t past outputs])."""
    cov = to_covariance(random_process(np.random.default_rng(4), 3, 2))
    equation = RiccatiData(cov.A, cov.C, np.zeros((3, 3)), cov.Lambda0, cov.N, 1.0)
    lags = autocovariance(cov, 6)
    previous = np.zeros((3, 3))
    for steps in range(1, 7):
        past = np.block(
            [[lags[j - i] if j >= i else lags[i - j].T for j in range(steps)] for i in range(steps)]
        )
        cross = np.hstack([np.linalg.matrix_power(cov.A, k) @ cov.N for k in range(steps)])
        expected = cross @ np.linalg.solve(past, cross.T)
        found = -riccati._recursion(equation, steps)
        np.testing.assert_allclose(found, expected, atol=1e-13 * np.linalg.norm(expected))
        assert np.linalg.eigvalsh(found - previous)[0] >= -1e-14  # monotone
        previous = found


@SETTINGS
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_cayley_transform_keeps_the_solution(n, p, seed):
    model = random_gaussian(np.random.default_rng(seed), n, p, 0.0)
    data = RiccatiData(model.A, model.C, model.Q, model.R, model.S, 0.0)
    discrete, g = to_discrete_time(data)
    assert g > 0
    P, _, _ = solve_filter_riccati(*data[:5], dt=0.0)
    Pd, _, _ = solve_filter_riccati(*discrete[:5], dt=1.0)
    assert np.linalg.norm(P - Pd) <= 1e-11 * np.linalg.norm(P)


def test_unstable_models_are_filtered_where_the_outputs_see_them():
    A, C = np.diag([1.5, 0.5]), np.array([[1.0, 1.0]])
    Q, R, S = np.eye(2), np.eye(1), np.zeros((2, 1))
    P, K, _ = solve_filter_riccati(A, C, Q, R, S, dt=1.0)
    np.testing.assert_allclose(P, scipy.linalg.solve_discrete_are(A.T, C.T, Q, R), rtol=1e-10)
    assert np.abs(np.linalg.eigvals(A - K @ C)).max() < 1


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_order_one_hundred(dt):
    cov = to_covariance(random_gaussian(np.random.default_rng(5), 100, 8, dt))
    P, K, Re = solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=dt)
    scale = np.linalg.norm(K) * np.linalg.norm(cov.N) + np.linalg.norm(P)
    assert defect(cov, P, K, Re) <= 1e-14 * scale


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_a_zero_on_the_boundary_is_announced(dt):
    """z - 1 over z, and s over s + 1: P is known exactly, half the digits are lost."""
    if dt:
        data, exact = (0.0, -1.0, 1.0, 2.0), 1.0
    else:
        data, exact = (-1.0, -1.0, 0.5, 1.0), 0.5
    A, C, N, Lambda0 = (np.array([[value]]) for value in data)
    with pytest.warns(NumericalWarning, match=r"touches zero: a zero lies .* from the stability"):
        P, _, _ = solve_covariance_riccati(A, C, N, Lambda0, dt=dt)
    assert P[0, 0] == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("z", [0.999, 0.9999, 0.99999, 1.0])
def test_the_announced_uncertainty_bounds_the_error(z):
    """A double zero near the circle loses digits much faster than a simple one."""
    A, B = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0], [0.0]])
    C = np.array([[-2 * z, z * z]])
    N, Lambda0 = A @ C.T + B, C @ C.T + 1.0
    with pytest.warns(NumericalWarning, match="determined only to about") as caught:
        P, _, _ = solve_covariance_riccati(A, C, N, Lambda0, dt=1.0)
    announced = float(str(caught[0].message).split("about ")[1].split(" ")[0])
    assert np.linalg.norm(P - np.eye(2)) <= 10 * announced
    assert z == 1.0 or announced < 0.05


@pytest.mark.parametrize("missing", [("_doubling",), ("_doubling", "_pencil")])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_routes_stand_in_for_each_other(monkeypatch, missing, dt):
    cov = to_covariance(random_process(np.random.default_rng(9), 3, 2, dt=dt))
    data = cov.A, cov.C, cov.N, cov.Lambda0
    expected, _, _ = solve_covariance_riccati(*data, dt=dt)
    for name in missing:
        monkeypatch.setattr(riccati, name, lambda equation: None)
    P, _, _ = solve_covariance_riccati(*data, dt=dt)
    assert np.linalg.norm(P - expected) <= 1e-12 * np.linalg.norm(expected)


def test_no_solution_is_named():
    one = np.ones((1, 1))
    with pytest.raises(AccuracyError, match="No stabilising solution") as caught:
        solve_covariance_riccati(0.5 * one, one, 5 * one, one, dt=1.0)
    assert caught.value.residual > 1e-9
    # an unstable mode that the output does not see
    with pytest.raises(AccuracyError, match="No stabilising solution"):
        solve_filter_riccati(
            np.diag([1.5, 0.5]), np.array([[0.0, 1.0]]), np.eye(2), one, np.zeros((2, 1)), dt=1.0
        )


def test_data_that_overflow_are_named():
    A, C = np.diag([1e100, 0.1]), np.full((2, 2), 1e-12)
    with pytest.raises(AccuracyError, match="No stabilising solution"):
        solve_filter_riccati(A, C, np.ones((2, 2)), 1e-24 * np.eye(2), np.zeros((2, 2)), dt=0.0)


@pytest.mark.parametrize(
    ("noise", "message"),
    [(0.0, "outputs are linearly dependent"), (1e-14, "Leave out the dependent outputs")],
)
def test_dependent_outputs_are_named(noise, message):
    cov = to_covariance(GaussianSSM([[0.5]], [[1.0], [2.0]], [[1.0]], noise * np.eye(2)))
    with pytest.raises(AccuracyError, match=message):
        solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=1.0)


def test_nearly_dependent_outputs_are_announced():
    cov = to_covariance(GaussianSSM([[0.5]], [[1.0], [2.0]], [[1.0]], 1e-9 * np.eye(2)))
    with pytest.warns(NumericalWarning, match="innovation covariance is nearly singular"):
        solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=1.0)


def test_complex_models_are_refused():
    one = np.ones((1, 1))
    with pytest.raises(TypeError, match="for real models"):
        solve_covariance_riccati(0.5j * one, one, one, 4 * one, dt=1.0)
