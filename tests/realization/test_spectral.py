import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process

from realization import (
    CovarianceModel,
    InnovationSSM,
    NotMinimalError,
    NotPositiveRealError,
    NumericalWarning,
    frequency_response,
    innovation_form,
    kyp_matrix,
    maximal_covariance,
    realization_family,
    spectral_density,
    spectral_factor,
    to_covariance,
)

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = (st.integers(0, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1]), st.integers(0, 10**6))
KINDS = ("minimum_phase", "maximum_phase", "coanalytic")


def grid(dt):
    return np.linspace(0.0, np.pi / dt, 33) if dt else np.geomspace(1e-2, 1e2, 33)


def factor_values(cov, kind, flip=None):
    """W on the stability boundary; the coanalytic record is read backwards."""
    W = spectral_factor(cov, kind=kind, flip=flip)
    omega = grid(cov.dt)
    return W, frequency_response(W, -omega if kind == "coanalytic" else omega)


def mismatch(cov, values):
    density = spectral_density(cov, grid(cov.dt))
    product = values @ np.swapaxes(values.conj(), 1, 2)
    return np.linalg.norm(product - density) / np.linalg.norm(density)


def inverse_dynamics(W):
    return W.A - W.B @ np.linalg.solve(W.D, W.C)


def zeros_of(W):
    return np.linalg.eigvals(inverse_dynamics(W))


def log_determinant_mean(cov, count=4096):
    theta = 2 * np.pi * np.arange(count) / count / cov.dt
    return np.linalg.slogdet(spectral_density(cov, theta))[1].mean()


@SETTINGS
@given(*SIZES)
def test_factors_reproduce_the_density(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    # directions that the outputs hardly see make P_+ and with it B large
    size = 1 + np.linalg.norm(maximal_covariance(cov))
    for kind in KINDS:
        W, values = factor_values(cov, kind)
        assert mismatch(cov, values) <= 3e-13 * size
        assert (W.dt, W.n_inputs, W.n_outputs) == (dt, p, p)
        np.testing.assert_array_equal(W.D, np.tril(W.D))
        assert (np.diagonal(W.D) >= 0).all()


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_factors_at_the_tightest_tolerance(kind, dt):
    for seed in range(10):
        cov = to_covariance(random_process(np.random.default_rng(seed), 4, 2, dt=dt))
        _, values = factor_values(cov, kind)
        assert mismatch(cov, values) <= 3e-13


@SETTINGS
@given(*SIZES)
def test_where_the_zeros_are(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    inside = zeros_of(spectral_factor(cov))
    outside = zeros_of(spectral_factor(cov, kind="maximum_phase"))
    if dt:
        assert (np.abs(inside) < 1).all()
        assert (np.abs(outside) > 1).all()
    else:
        assert (inside.real < 0).all()
        assert (outside.real > 0).all()


def test_flipped_zeros_are_mirrored():
    for dt, tol in ((1.0, 2e-13), (0.0, 6e-13)):
        cov = to_covariance(random_process(np.random.default_rng(8), 4, 2, dt=dt))
        zeros = zeros_of(spectral_factor(cov))
        for zero in zeros[zeros.imag >= 0]:
            flip = [zero] if zero.imag == 0 else [zero, zero.conj()]
            W, values = factor_values(cov, "flipped", flip)
            assert mismatch(cov, values) <= 3e-13
            found = zeros_of(W)
            for old in zeros:
                new = (1 / old if dt else -old) if old in flip else old
                assert np.abs(found - new).min() <= tol * np.linalg.norm(inverse_dynamics(W))


@SETTINGS
@given(st.integers(1, 5), *SIZES[1:])
def test_flipped_factor_is_the_model_of_the_family(n, p, dt, seed):
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))
    zeros = zeros_of(spectral_factor(cov))
    flip = [zeros[0], zeros[0].conj()]
    W, values = factor_values(cov, "flipped", flip)
    P = realization_family(cov, flip)
    size = 1 + np.linalg.norm(P)
    assert mismatch(cov, values) <= 1e-12 * size
    gain = np.vstack([W.B, W.D])
    assert np.linalg.norm(kyp_matrix(cov, P) - gain @ gain.T) <= 1e-12 * size**2


def test_all_zeros_flipped_is_maximum_phase():
    cov = to_covariance(random_process(np.random.default_rng(2), 3, 2))
    zeros = zeros_of(spectral_factor(cov))
    _, flipped = factor_values(cov, "flipped", zeros)
    _, maximum = factor_values(cov, "maximum_phase")
    assert np.linalg.norm(flipped - maximum) <= 1e-11 * np.linalg.norm(maximum)
    _, nothing = factor_values(cov, "flipped", [])
    _, minimum = factor_values(cov, "minimum_phase")
    np.testing.assert_array_equal(nothing, minimum)


@SETTINGS
@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_determinants(n, p, seed):
    """Forward and backward innovations have the same volume: Szego and Kolmogorov's."""
    model = random_process(np.random.default_rng(seed), n, p)
    cov = to_covariance(model)
    forward = 2 * np.log(np.diagonal(spectral_factor(cov).D)).sum()
    backward = 2 * np.log(np.diagonal(spectral_factor(cov, kind="coanalytic").D)).sum()
    density = np.linalg.eigvalsh(spectral_density(cov, 2 * np.pi * np.arange(256) / 256))
    condition = p * density.max() / density.min()
    assert abs(forward - backward) <= 1e-14 * condition
    assert abs(forward - log_determinant_mean(cov)) <= 2e-14 * condition
    assert abs(forward - np.linalg.slogdet(model.Re)[1]) <= 2e-14 * condition


@SETTINGS
@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_maximum_phase_determinant_counts_the_zeros(n, p, seed):
    """Jensen: flipping z multiplies det D by 1/|z|... and D is the factor's value at infinity."""
    cov = to_covariance(random_process(np.random.default_rng(seed), n, p))
    W = spectral_factor(cov)
    zeros = zeros_of(W)
    V = spectral_factor(cov, kind="maximum_phase")
    expected = np.prod(np.diagonal(W.D)) * np.prod(np.abs(zeros))
    assert abs(np.prod(np.diagonal(V.D)) - expected) <= 1e-11 * np.prod(np.diagonal(W.D))


def test_zero_at_the_origin():
    """Flipping it makes D singular; the factor exists all the same."""
    cov = to_covariance(InnovationSSM([[0.5]], [[1.0]], [[0.5]], [[2.0]]))
    W, values = factor_values(cov, "maximum_phase")
    assert W.D[0, 0] == pytest.approx(0.0, abs=1e-14)
    assert mismatch(cov, values) <= 1e-14
    _, values = factor_values(cov, "flipped", [0.0])
    assert mismatch(cov, values) <= 1e-14


def test_zeros_on_the_unit_circle():
    model = InnovationSSM([[0.5]], [[1.0]], [[1.5]], [[1.0]])  # zero at -1
    cov = to_covariance(model)
    for kind in KINDS:
        with pytest.warns(NumericalWarning, match="touches zero"):
            _, values = factor_values(cov, kind)
        assert np.isfinite(values).all()
        assert mismatch(cov, values) <= 1e-6


def test_more_outputs_than_states_and_order_zero():
    cov = to_covariance(random_process(np.random.default_rng(1), 1, 4))
    for kind in KINDS:
        assert mismatch(cov, factor_values(cov, kind)[1]) <= 3e-13
    flat = CovarianceModel(
        np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((0, 2)), [[4.0, 2.0], [2.0, 1.0]]
    )
    for kind in KINDS:  # a singular Lambda0 is no obstacle without dynamics
        W = spectral_factor(flat, kind=kind)
        np.testing.assert_allclose(W.D @ W.D.T, flat.Lambda0, atol=1e-15)
        np.testing.assert_array_equal(W.D, np.tril(W.D))


def test_minimum_phase_is_the_innovations_model():
    cov = to_covariance(random_process(np.random.default_rng(4), 3, 2))
    W, predictor = spectral_factor(cov), innovation_form(cov)
    np.testing.assert_allclose(W.D @ W.D.T, predictor.Re, rtol=1e-13)
    np.testing.assert_allclose(W.B, predictor.K @ W.D, rtol=1e-12)


def test_arguments_are_checked():
    cov = to_covariance(InnovationSSM([[0.5]], [[1.0]], [[0.2]], [[1.0]]))
    with pytest.raises(TypeError, match="must be a CovarianceModel"):
        spectral_factor(innovation_form(cov))
    with pytest.raises(ValueError, match="`kind` must be one of"):
        spectral_factor(cov, kind="outer")
    with pytest.raises(ValueError, match="kind='flipped' without `flip`"):
        spectral_factor(cov, kind="flipped")
    with pytest.raises(ValueError, match="kind='minimum_phase' with `flip`"):
        spectral_factor(cov, flip=[0.3])
    with pytest.raises(ValueError, match="is none of them"):
        spectral_factor(cov, kind="flipped", flip=[0.9])
    with pytest.raises(NotPositiveRealError, match="not those of any process"):
        spectral_factor(CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]]))
    blind = CovarianceModel(np.diag([0.5, 0.3]), [[1.0, 0.0]], [[0.5], [0.2]], [[2.0]])
    with pytest.raises(NotMinimalError, match="not observable"):
        spectral_factor(blind, kind="maximum_phase")
