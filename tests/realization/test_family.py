import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process

from realization import (
    AccuracyError,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    NotMinimalError,
    NotPositiveRealError,
    NumericalWarning,
    canonical_correlations,
    innovation_form,
    kyp_matrix,
    maximal_covariance,
    minimal_covariance,
    realization_family,
    to_covariance,
)
from realization.lyapunov import solve_lyapunov

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = (st.integers(0, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1]), st.integers(0, 10**6))


def reverse(cov):
    return CovarianceModel(cov.A.T, cov.N.T, cov.C.T, cov.Lambda0, dt=cov.dt)


def lowest(matrix):
    return np.linalg.eigvalsh(matrix)[0] if matrix.size else 0.0


def riccati_defect(cov, P):
    """Residual of the Riccati equation at P, relative to its terms."""
    M, n = kyp_matrix(cov, P), cov.n_states
    gain = np.linalg.solve(M[n:, n:], M[n:, :n]).T
    scale = np.linalg.norm(P) + np.linalg.norm(gain, 2) ** 2 * np.linalg.norm(cov.Lambda0)
    return np.linalg.norm(M[:n, :n] - M[:n, n:] @ gain.T) / scale


def zeros_of(cov):
    """Zeros of the minimum-phase factor."""
    M, n = kyp_matrix(cov, minimal_covariance(cov)), cov.n_states
    return np.linalg.eigvals(cov.A - M[:n, n:] @ np.linalg.solve(M[n:, n:], cov.C))


def flips(zeros):
    """Every choice of real zeros and conjugate pairs."""
    groups = [[z] if z.imag == 0 else [z, z.conj()] for z in zeros if z.imag >= 0]
    for count in range(len(groups) + 1):
        for choice in itertools.combinations(groups, count):
            yield [z for group in choice for z in group]


@SETTINGS
@given(*SIZES)
def test_extremes_and_order(n, p, dt, seed):
    rng = np.random.default_rng(seed)
    model = random_process(rng, n, p, dt=dt)
    cov = to_covariance(model)
    low, high = minimal_covariance(cov), maximal_covariance(cov)
    assert low.shape == high.shape == (n, n)
    scale = np.linalg.norm(high) + np.linalg.norm(cov.Lambda0)
    own = solve_lyapunov(model.A, model.K @ model.Re @ model.K.T, dt=dt)
    assert np.linalg.norm(low - own) <= 1e-11 * np.linalg.norm(own)
    assert lowest(high - low) >= -1e-13 * scale
    for P in (low, high, (low + high) / 2):
        assert lowest(kyp_matrix(cov, P)) >= -1e-13 * scale
    # outside the set on either side the inequality fails (where there is an outside)
    if n and lowest(high - low) > 1e-6 * scale:
        for P in (low - 0.1 * (high - low), high + 0.1 * (high - low)):
            assert lowest(kyp_matrix(cov, P)) < 0


@SETTINGS
@given(st.integers(1, 6), *SIZES[1:])
def test_maximal_covariance_is_the_inverse_of_the_reversed_minimal_one(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    high, backward = maximal_covariance(cov), minimal_covariance(reverse(cov))
    error = np.linalg.norm(high @ backward - np.eye(n))
    assert error <= 1e-12 * np.linalg.norm(high) * np.linalg.norm(backward)


@pytest.mark.parametrize(("dt", "tol"), [(1.0, 2e-14), (0.0, 7e-14)])
def test_maximal_covariance_two_ways_at_the_tightest_tolerance(dt, tol):
    for seed in range(10):
        cov = to_covariance(random_process(np.random.default_rng(seed), 4, 2, dt=dt))
        high, backward = maximal_covariance(cov), minimal_covariance(reverse(cov))
        error = np.linalg.norm(high @ backward - np.eye(4))
        assert error <= tol * np.linalg.norm(high) * np.linalg.norm(backward)


def test_reversed_minimal_covariance_in_balanced_coordinates():
    """P_- and its time-reversed twin are the same number for a scalar state and output."""
    cov = CovarianceModel([[0.7]], [[0.8]], [[0.8]], [[2.0]])
    assert abs(minimal_covariance(cov) - minimal_covariance(reverse(cov)))[0, 0] <= 4e-15


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_every_choice_of_zeros(dt):
    """2^k solutions of the Riccati equation, each with its own closed-loop spectrum."""
    cov = to_covariance(random_process(np.random.default_rng(8), 4, 2, dt=dt))
    low, high = minimal_covariance(cov), maximal_covariance(cov)
    zeros = zeros_of(cov)
    solutions = []
    for flip in flips(zeros):
        P = realization_family(cov, flip)
        solutions.append(P)
        scale = np.linalg.norm(P)
        assert riccati_defect(cov, P) <= 6e-14
        assert lowest(P - low) >= -1e-13 * scale
        assert lowest(high - P) >= -1e-13 * scale
        values = np.linalg.eigvalsh(kyp_matrix(cov, P))
        assert np.abs(values[:4]).max() <= 1e-12 * scale  # rank p
        M = kyp_matrix(cov, P)
        found = np.linalg.eigvals(cov.A - M[:4, 4:] @ np.linalg.solve(M[4:, 4:], cov.C))
        for zero in zeros:
            mirrored = (1 / zero if dt else -zero) if zero in flip else zero
            assert np.abs(found - mirrored).min() <= 1e-10 * abs(mirrored)
    pairs = sum(z.imag >= 0 for z in zeros)
    assert len(solutions) == 2**pairs
    np.testing.assert_allclose(solutions[0], low, atol=1e-13 * np.linalg.norm(low))
    np.testing.assert_allclose(solutions[-1], high, atol=1e-12 * np.linalg.norm(high))
    for a, b in itertools.combinations(solutions, 2):
        assert np.linalg.norm(a - b) > 1e-6 * np.linalg.norm(low)


@SETTINGS
@given(st.integers(1, 5), *SIZES[1:])
def test_flipped_covariances_lie_in_the_set(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    low, high = minimal_covariance(cov), maximal_covariance(cov)
    zeros = zeros_of(cov)
    first = [z for z in zeros if z in (zeros[0], zeros[0].conj())]
    P = realization_family(cov, first)
    scale = np.linalg.norm(high) + np.linalg.norm(cov.Lambda0)
    assert lowest(P - low) >= -1e-12 * scale
    assert lowest(high - P) >= -1e-12 * scale
    assert np.abs(np.linalg.eigvalsh(kyp_matrix(cov, P))[:n]).max() <= 1e-11 * scale


def moving_average(*zeros):
    """The process with W(z) = (1 - z_1/z)(1 - z_2/z)..., state = past noises."""
    n = len(zeros)
    gains = np.poly(zeros)[1:]
    A = np.eye(n, k=-1)
    K = np.eye(n)[:, :1]
    return to_covariance(InnovationSSM(A, gains[np.newaxis], K, [[1.0]]))


def test_empty_flip_and_order_zero():
    cov = moving_average(0.5, -0.3)
    np.testing.assert_array_equal(realization_family(cov, []), minimal_covariance(cov))
    nothing = CovarianceModel(np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((0, 2)), np.eye(2))
    for function in (minimal_covariance, maximal_covariance):
        assert function(nothing).shape == (0, 0)
    assert realization_family(nothing, []).shape == (0, 0)


def test_nilpotent_dynamics_and_zeros_at_the_origin():
    """A is singular, and so is A - K C; the state covariance is known."""
    cov = moving_average(0.0, 0.0, 0.6)
    np.testing.assert_allclose(minimal_covariance(cov), np.eye(3), atol=1e-12)
    assert np.isfinite(canonical_correlations(cov)).all()
    with pytest.raises(NotMinimalError, match="not observable"):
        maximal_covariance(cov)  # two of the three noises never reach the output


def test_zero_at_the_origin_can_be_flipped():
    """A - K C is singular: the Riccati equation is undefined at P_+, P_+ is not."""
    A, C = np.diag([0.5, 0.8]), np.array([[1.0, 1.0]])
    # Ackermann's formula puts the zeros at 0 and 0.3
    polynomial = A @ (A - 0.3 * np.eye(2))
    K = polynomial @ np.linalg.solve(np.vstack([C, C @ A]), [[0.0], [1.0]])
    cov = to_covariance(InnovationSSM(A, C, K, [[1.0]]))
    high, backward = maximal_covariance(cov), minimal_covariance(reverse(cov))
    error = np.linalg.norm(high @ backward - np.eye(2))
    assert error <= 9e-13 * np.linalg.norm(high) * np.linalg.norm(backward)
    for P in (high, realization_family(cov, [0.0])):
        M = kyp_matrix(cov, P)
        assert np.abs(np.linalg.eigvalsh(M)[:2]).max() <= 1e-12 * np.linalg.norm(P)  # rank 1
        assert abs(M[2, 2]) <= 1e-12 * np.linalg.norm(P)  # Lambda0 - C P C' vanishes


def test_unreachable_state_gives_a_singular_minimal_covariance():
    cov = CovarianceModel(np.diag([0.5, 0.3]), [[1.0, 1.0]], [[0.5], [0.0]], [[2.0]])
    P = minimal_covariance(cov)
    assert lowest(P) == pytest.approx(0.0, abs=1e-15)
    assert np.linalg.matrix_rank(P, tol=1e-12) == 1


def test_unobservable_state_has_no_maximal_covariance():
    cov = CovarianceModel(np.diag([0.5, 0.3]), [[1.0, 0.0]], [[0.5], [0.2]], [[2.0]])
    with pytest.raises(NotMinimalError, match="not observable") as caught:
        maximal_covariance(cov)
    assert caught.value.singular_value < 1e-13


def test_zeros_on_the_unit_circle():
    """P_+ = P_- along them; everything to half the digits, with a warning."""
    cov = moving_average(np.exp(0.7j), np.exp(-0.7j))
    with pytest.warns(NumericalWarning, match="touches zero"):
        low = minimal_covariance(cov)
    with pytest.warns(NumericalWarning, match="touches zero"):
        high = maximal_covariance(cov)
    np.testing.assert_allclose(low, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(high, np.eye(2), atol=1e-6)
    mixed = moving_average(1.0, 0.5)
    with pytest.warns(NumericalWarning, match="touches zero"):
        difference = maximal_covariance(mixed) - minimal_covariance(mixed)
    values = np.linalg.eigvalsh(difference)
    assert abs(values[0]) <= 1e-6
    assert values[1] > 0.1
    with (
        pytest.warns(NumericalWarning, match="touches zero"),
        pytest.raises(ValueError, match="its own mirror image"),
    ):
        realization_family(mixed, [1.0])


def test_repeated_zeros_are_flipped_together():
    cov = moving_average(0.5, 0.5, -0.4)
    P = realization_family(cov, [0.5])
    assert riccati_defect(cov, P) <= 1e-9
    M = kyp_matrix(cov, P)
    found = np.sort(np.linalg.eigvals(cov.A - M[:3, 3:] / M[3, 3] @ cov.C).real)
    np.testing.assert_allclose(found, [-0.4, 2.0, 2.0], atol=1e-5)


def test_a_cluster_is_flipped_as_a_whole():
    """Three uncoupled moving averages, neighbours within the tolerance, the ends not."""
    zeros = 0.5 + np.array([0.0, 8e-6, 16e-6])
    cov = to_covariance(InnovationSSM(np.zeros((3, 3)), -np.diag(zeros), np.eye(3), np.eye(3)))
    P = realization_family(cov, [0.5])
    np.testing.assert_allclose(P, np.diag(1 / zeros**2), rtol=1e-12, atol=1e-12)


def test_barely_separated_zeros():
    close = moving_average(0.3, 0.301, 0.302, 0.303)
    with pytest.warns(NumericalWarning, match="barely separated"):
        realization_family(close, [0.302])


def test_inseparable_zeros():
    close = moving_average(*(0.3 + 0.05 * np.arange(12)))
    predictor = innovation_form(close)
    zeros = np.sort(np.linalg.eigvals(predictor.A - predictor.K @ predictor.C).real)
    with pytest.raises(AccuracyError, match="cannot be separated"):
        realization_family(close, zeros[6:7])


def test_flip_is_checked():
    cov = moving_average(0.5, 0.6j, -0.6j)
    with pytest.raises(ValueError, match=r"0\.7 is none of them: \[.*0\.5"):
        realization_family(cov, [0.7])
    with pytest.raises(ValueError, match="closed under conjugation"):
        realization_family(cov, [0.6j])
    P = realization_family(cov, [0.6j, -0.6j])
    assert riccati_defect(cov, P) <= 1e-12


def test_data_of_no_process_are_named():
    bad = CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]])
    for function in (minimal_covariance, maximal_covariance, canonical_correlations):
        with pytest.raises(NotPositiveRealError, match="make_positive_real") as caught:
            function(bad)
        assert caught.value.margin == pytest.approx(-0.4)
        assert caught.value.frequency == pytest.approx(np.pi)


def test_singular_spectrum_is_named():
    cov = to_covariance(GaussianSSM([[0.5]], [[1.0], [2.0]], [[1.0]], np.zeros((2, 2))))
    with pytest.raises(AccuracyError, match="outputs are linearly dependent"):
        minimal_covariance(cov)


def test_other_records_are_refused():
    with pytest.raises(TypeError, match="must be a CovarianceModel"):
        minimal_covariance(InnovationSSM([[0.5]], [[1.0]], [[0.2]], [[1.0]]))


def test_outputs_that_hardly_see_the_state_are_refused_in_words():
    A, N = np.array([[0.8, 0.2], [-0.1, 0.7]]), np.array([[0.5, 0.1], [0.2, 0.3]])
    with pytest.raises(NotMinimalError, match=r"not observable .*0\.0e\+00, relative"):
        maximal_covariance(CovarianceModel(A, np.zeros((2, 2)), N, 3 * np.eye(2)))
    with pytest.raises(ValueError, match=r"`C` is so small \(largest entry 1.0e-300\)"):
        maximal_covariance(CovarianceModel(A, 1e-300 * np.eye(2), N, 3 * np.eye(2)))
