import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process
from systems import random_dynamics

from realization import (
    CovarianceModel,
    InnovationSSM,
    innovation_form,
    is_positive_real,
    kyp_matrix,
    make_positive_real,
    maximal_covariance,
    minimal_covariance,
    spectral_density,
    to_covariance,
)

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
SIZES = (st.integers(0, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1]), st.integers(0, 10**6))


def arbitrary_data(rng, n, p, dt, largest=0.95):
    """Covariance data of no process in particular."""
    A = random_dynamics(rng, n, largest=largest) - (0.0 if dt else 1.0) * np.eye(n)
    F = rng.standard_normal((p, p))
    return CovarianceModel(
        A,
        rng.standard_normal((p, n)),
        rng.standard_normal((n, p)),
        F @ F.T + 0.1 * np.eye(p),
        dt=dt,
    )


def grid(cov, count=2001):
    if cov.dt:
        return np.linspace(0.0, np.pi / cov.dt, count)
    return np.concatenate([[0.0], np.geomspace(1e-4, 1e4, count)])


def lowest_density(cov, omega):
    return np.linalg.eigvalsh(spectral_density(cov, omega))[..., 0]


@SETTINGS
@given(*SIZES)
def test_margin_is_the_minimum_of_the_density(n, p, dt, seed):
    cov = arbitrary_data(np.random.default_rng(seed), n, p, dt)
    test = is_positive_real(cov)
    scale = np.linalg.norm(cov.Lambda0) + np.abs(spectral_density(cov, grid(cov))).max()
    assert test.margin <= lowest_density(cov, grid(cov)).min() + 1e-13 * scale
    if np.isfinite(test.frequency):
        there = lowest_density(cov, test.frequency)
    else:
        there = np.linalg.eigvalsh(cov.Lambda0)[0]
    assert abs(there - test.margin) <= 1e-12 * scale
    assert test.ok == (test.margin >= 0)


@SETTINGS
@given(*SIZES)
def test_processes_pass(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    test = is_positive_real(cov)
    assert test.ok
    assert test.margin > 0


def test_a_dip_that_no_grid_sees():
    """A resonance one part in 10^8 wide pulls the spectrum below zero."""
    radius, angle = 1 - 1e-8, 1.2345678
    A = radius * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    cov = CovarianceModel(A, [[1.0, 0.0]], [[-2e-8], [0.0]], [[1.0]])
    assert lowest_density(cov, grid(cov, 20001)).min() > 0.9
    test = is_positive_real(cov)
    assert not test.ok
    assert test.frequency == pytest.approx(angle, abs=1e-7)
    # a resonance -e^(-i angle) / (1 + i x), x the detuning in half widths: min over x of its part
    assert test.margin == pytest.approx(-np.cos(angle), abs=1e-6)


@SETTINGS
@given(*SIZES[:2], st.integers(0, 10**6))
def test_bisection_on_the_pencil_finds_the_same_margin(n, p, seed):
    """The least multiple of I that removes every unimodular zero, found independently."""
    cov = arbitrary_data(np.random.default_rng(seed), n, p, 1.0, largest=0.8)
    margin = is_positive_real(cov).margin

    def touches(level):
        Lambda0 = cov.Lambda0 - level * np.eye(p)
        if np.linalg.eigvalsh(spectral_density(cov, 0.0))[0] <= level:
            return True
        pencil = np.block(
            [
                [cov.A, np.zeros((n, n)), cov.N],
                [np.zeros((n, n)), -np.eye(n), cov.C.T],
                [cov.C, np.zeros((p, n)), Lambda0],
            ]
        )
        mass = scipy.linalg.block_diag(np.eye(n), -cov.A.T, np.zeros((p, p)))
        mass[2 * n :, n : 2 * n] = -cov.N.T
        alpha, beta = scipy.linalg.eigvals(pencil, mass, homogeneous_eigvals=True)
        modulus = np.abs(alpha) / np.maximum(np.abs(beta), 1e-300)
        return bool((np.abs(modulus - 1) < 1e-7).any())

    scale = np.linalg.norm(cov.Lambda0) + abs(margin)
    low, high = margin - scale, margin + 1e-3 * scale
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (low, middle) if touches(middle) else (middle, high)
    assert abs(low - margin) <= 2e-8 * scale


def test_zeros_of_the_pencil_are_the_zeros_and_their_reciprocals():
    model = random_process(np.random.default_rng(3), 4, 2)
    cov = to_covariance(model)
    zeros = np.linalg.eigvals(model.A - model.K @ model.C)
    pencil = np.block(
        [
            [cov.A, np.zeros((4, 4)), cov.N],
            [np.zeros((4, 4)), -np.eye(4), cov.C.T],
            [cov.C, np.zeros((2, 4)), cov.Lambda0],
        ]
    )
    mass = scipy.linalg.block_diag(np.eye(4), -cov.A.T, np.zeros((2, 2)))
    mass[8:, 4:8] = -cov.N.T
    found = scipy.linalg.eigvals(pencil, mass)
    found = found[np.isfinite(found) & (np.abs(found) < 1e6)]
    for zero in np.concatenate([zeros, 1 / zeros]):
        assert np.abs(found - zero).min() <= 1e-11 * max(1, abs(zero))


@SETTINGS
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_continuous_time_agrees_with_the_hamiltonian(n, p, seed):
    """Imaginary eigenvalues appear exactly where the spectral density is indefinite."""
    cov = arbitrary_data(np.random.default_rng(seed), n, p, 0.0, largest=0.8)
    A, C, N, R = cov.A, cov.C, cov.N, cov.Lambda0
    test = is_positive_real(cov)
    if abs(test.margin) < 1e-3 * np.linalg.norm(R):
        return
    F = A - N @ np.linalg.solve(R, C)
    hamiltonian = np.block([[F, N @ np.linalg.solve(R, N.T)], [-C.T @ np.linalg.solve(R, C), -F.T]])
    eigenvalues = np.linalg.eigvals(hamiltonian)
    imaginary = np.abs(eigenvalues.real) < 1e-8 * np.linalg.norm(hamiltonian)
    assert imaginary.any() == (not test.ok)


def test_hamiltonian_spectrum_mirrors_the_zeros():
    model = random_process(np.random.default_rng(6), 4, 2, dt=0.0)
    cov = to_covariance(model)
    A, C, N, R = cov.A, cov.C, cov.N, cov.Lambda0
    F = A - N @ np.linalg.solve(R, C)
    hamiltonian = np.block([[F, N @ np.linalg.solve(R, N.T)], [-C.T @ np.linalg.solve(R, C), -F.T]])
    found = np.linalg.eigvals(hamiltonian)
    zeros = np.linalg.eigvals(model.A - model.K @ model.C)
    for zero in np.concatenate([zeros, -zeros]):
        assert np.abs(found - zero).min() <= 3e-14 * np.linalg.norm(hamiltonian)


def test_frequency_is_in_radians_per_unit_of_time():
    discrete = CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]], dt=0.01)
    assert is_positive_real(discrete).frequency == pytest.approx(np.pi / 0.01)
    white = CovarianceModel([[-1.0]], [[1.0]], [[1.0]], [[0.5]], dt=0.0)
    test = is_positive_real(white)
    assert (test.ok, test.margin, test.frequency) == (True, pytest.approx(0.5), np.inf)


def test_touching_zero_counts_as_positive_real():
    cov = CovarianceModel([[0.0]], [[1.0]], [[1.0]], [[2.0]])
    assert is_positive_real(cov).ok
    short = CovarianceModel([[0.0]], [[1.0]], [[1.0]], [[2.0 - 1e-6]])
    assert not is_positive_real(short).ok
    assert is_positive_real(short, tol=1e-5).ok
    assert is_positive_real(cov, tol=0.0).margin == pytest.approx(0.0, abs=1e-15)


def test_order_zero():
    cov = CovarianceModel(np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((0, 2)), np.diag([3.0, 1.0]))
    assert is_positive_real(cov).margin == 1.0
    np.testing.assert_array_equal(kyp_matrix(cov, np.zeros((0, 0))), cov.Lambda0)
    for method in ("white_noise", "shrink"):
        assert make_positive_real(cov, method=method)[0] is cov


@SETTINGS
@given(*SIZES)
def test_white_noise_lifts_the_minimum_to_zero(n, p, dt, seed):
    cov = arbitrary_data(np.random.default_rng(seed), n, p, dt)
    before = is_positive_real(cov)
    repaired, repair = make_positive_real(cov)
    assert (repair.margin, repair.frequency) == (before.margin, before.frequency)
    assert repaired.dt == dt
    if before.ok:
        assert repaired is cov
        assert (repair.lift, repair.scale) == (0.0, 1.0)
        return
    assert repair.lift == pytest.approx(-before.margin)
    np.testing.assert_allclose(repaired.Lambda0, cov.Lambda0 + repair.lift * np.eye(p))
    after = is_positive_real(repaired)
    assert after.ok
    assert abs(after.margin) <= 1e-12 * (repair.lift + np.linalg.norm(cov.Lambda0))


@SETTINGS
@given(*SIZES)
def test_shrinking_keeps_the_variance(n, p, dt, seed):
    cov = arbitrary_data(np.random.default_rng(seed), n, p, dt)
    repaired, repair = make_positive_real(cov, method="shrink")
    np.testing.assert_array_equal(repaired.Lambda0, cov.Lambda0)
    assert repair.lift == 0.0
    if is_positive_real(cov).ok:
        assert repaired is cov
        return
    assert 0 < repair.scale < 1
    np.testing.assert_allclose(repaired.N, repair.scale * cov.N)
    after = is_positive_real(repaired)
    assert after.ok
    assert abs(after.margin) <= 1e-13 * np.linalg.norm(cov.Lambda0)


@pytest.mark.parametrize("method", ["white_noise", "shrink"])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_a_repair_with_a_margin_can_be_factored(method, dt):
    cov = arbitrary_data(np.random.default_rng(2), 4, 2, dt)
    cov = CovarianceModel(cov.A, cov.C, 5 * cov.N, cov.Lambda0, dt=dt)
    assert not is_positive_real(cov).ok
    repaired, _ = make_positive_real(cov, method=method, margin=1e-2)
    assert is_positive_real(repaired).margin > 0
    predictor = innovation_form(repaired)
    closed = np.linalg.eigvals(predictor.A - predictor.K @ predictor.C)
    assert (np.abs(closed) < 1).all() if dt else (closed.real < 0).all()
    if method == "shrink":  # Phi - margin Lambda0 touches zero
        rest = CovarianceModel(
            repaired.A, repaired.C, repaired.N, 0.99 * np.asarray(repaired.Lambda0), dt=dt
        )
        assert abs(is_positive_real(rest).margin) <= 1e-12 * np.linalg.norm(cov.Lambda0)


@SETTINGS
@given(*SIZES)
def test_kyp_matrix_is_the_noise_covariance(n, p, dt, seed):
    """At the state covariance of a model; linear in P; rank p at both ends."""
    model = random_process(np.random.default_rng(seed), n, p, dt=dt)
    cov = to_covariance(model)
    low, high = minimal_covariance(cov), maximal_covariance(cov)
    gain = np.vstack([model.K, np.eye(p)])
    expected = gain @ model.Re @ gain.T
    scale = np.linalg.norm(high) + np.linalg.norm(cov.Lambda0) + np.linalg.norm(expected)
    M = kyp_matrix(cov, low)
    assert np.linalg.norm(M - expected) <= 1e-12 * scale
    middle = kyp_matrix(cov, (low + high) / 2)
    assert np.linalg.norm(middle - (M + kyp_matrix(cov, high)) / 2) <= 1e-14 * scale
    for P in (low, high):
        values = np.linalg.eigvalsh(kyp_matrix(cov, P))
        assert np.abs(values[:n]).max(initial=0.0) <= 1e-12 * scale


def test_arguments_are_checked():
    cov = CovarianceModel([[0.5]], [[1.0]], [[0.2]], [[1.0]])
    model = InnovationSSM([[0.5]], [[1.0]], [[0.2]], [[1.0]])
    for function in (is_positive_real, make_positive_real):
        with pytest.raises(TypeError, match="must be a CovarianceModel"):
            function(model)
    with pytest.raises(ValueError, match="`tol` must be"):
        is_positive_real(cov, tol=-1.0)
    with pytest.raises(ValueError, match="`method` must be one of"):
        make_positive_real(cov, method="clip")
    with pytest.raises(ValueError, match="`margin` must be"):
        make_positive_real(cov, margin=1.0)
    with pytest.raises(ValueError, match=r"`P` must have shape \(1, 1\)"):
        kyp_matrix(cov, np.eye(2))
    with pytest.raises(ValueError, match="`P` must be symmetric"):
        kyp_matrix(arbitrary_data(np.random.default_rng(0), 2, 1, 1.0), [[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(TypeError, match="`cov` must be real"):
        is_positive_real(CovarianceModel([[0.5j]], [[1.0]], [[0.2]], [[1.0]]))
    flat = CovarianceModel([[0.5]], [[1.0], [0.0]], [[2.0, 0.0]], np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match="`Lambda0` must be positive definite for method 'shrink'"):
        make_positive_real(flat, method="shrink")
