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
    LinearSSM,
    NotPositiveRealError,
    NumericalWarning,
    UnstableModelError,
    autocovariance,
    innovation_form,
    markov_parameters,
    maximal_covariance,
    minimal_covariance,
    spectral_density,
    to_covariance,
    to_gaussian,
)
from realization.lyapunov import solve_lyapunov

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = (
    st.integers(0, 6),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 10**6),
)


def same_process(a, b, tol=1e-12):
    """Compare spectral densities, which decide everything about the stationary process."""
    assert a.dt == b.dt
    omega = np.linspace(0.0, np.pi / a.dt, 17) if a.dt else np.geomspace(1e-2, 1e2, 17)
    left, right = spectral_density(a, omega), spectral_density(b, omega)
    return np.linalg.norm(left - right) <= tol * np.linalg.norm(left)


@SETTINGS
@given(*SIZES)
def test_every_conversion_keeps_the_process_the_inputs_and_dt(n, p, m, dt, seed):
    model = random_process(np.random.default_rng(seed), n, p, m, dt=dt)
    gaussian = to_gaussian(model)
    cov = to_covariance(model)
    np.testing.assert_array_equal(gaussian.P0, np.zeros((n, n)))
    np.testing.assert_array_equal(gaussian.m0, model.x0)
    back = innovation_form(gaussian)
    np.testing.assert_array_equal(back.x0, model.x0)
    for other in (gaussian, back):
        assert other.n_inputs == m
        np.testing.assert_array_equal(markov_parameters(other, 4), markov_parameters(model, 4))
    scale = 1e-11 * np.linalg.norm(cov.Lambda0) * np.linalg.norm(np.linalg.inv(model.Re))
    assert np.linalg.norm(back.Re - model.Re) <= scale
    assert np.linalg.norm(back.K - model.K) <= scale * (1 + np.linalg.norm(model.K))
    for other in (gaussian, cov, back, innovation_form(cov), to_gaussian(cov)):
        assert same_process(model, other)
    high = maximal_covariance(cov)
    for P in (minimal_covariance(cov), high, 0.5 * high + 0.5 * minimal_covariance(cov)):
        for source in (cov, model, gaussian):
            other = to_gaussian(source, P)
            assert same_process(model, other, 1e-12 * (1 + np.linalg.norm(P)))
            stationary = solve_lyapunov(other.A, other.Q, dt=dt)
            assert np.linalg.norm(stationary - P) <= 1e-10 * (1 + np.linalg.norm(P))
            assert other.n_inputs == source.n_inputs


@pytest.mark.parametrize("dt", [0.0, 0.5])
def test_shaping_filter(dt):
    rng = np.random.default_rng(1)
    A = np.array([[0.5, 0.3], [-0.2, 0.1]]) - (0.0 if dt else 1.0) * np.eye(2)
    model = LinearSSM(
        A,
        rng.standard_normal((2, 3)),
        rng.standard_normal((2, 2)),
        rng.standard_normal((2, 3)),
        dt=dt,
    )
    for other in (to_covariance(model), to_gaussian(model), innovation_form(model)):
        assert other.n_inputs == 0
        assert same_process(model, other)


def test_covariances_by_hand():
    """Not symmetric, two outputs: a transposed convention would show."""
    model = GaussianSSM(
        [[0.5, 0.4], [0.0, 0.3]],
        [[1.0, 0.0], [0.0, 2.0]],
        [[2.0, 0.5], [0.5, 1.0]],
        [[1.0, 0.2], [0.2, 1.0]],
        [[0.3, 0.0], [0.1, 0.2]],
    )
    cov = to_covariance(model)
    P = np.zeros((2, 2))
    for _ in range(200):
        P = model.A @ P @ model.A.T + model.Q
    lag1 = model.C @ (model.A @ P @ model.C.T + model.S)
    assert np.abs(lag1 - lag1.T).max() > 0.1
    np.testing.assert_allclose(autocovariance(cov, 1)[1], lag1, rtol=1e-13)
    np.testing.assert_allclose(autocovariance(model, 1)[1], lag1, rtol=1e-13)
    np.testing.assert_allclose(cov.Lambda0, model.C @ P @ model.C.T + model.R, rtol=1e-13)


def test_what_is_already_there_is_returned():
    gaussian = GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])
    cov, predictor = to_covariance(gaussian), innovation_form(gaussian)
    assert to_gaussian(gaussian) is gaussian
    assert to_covariance(cov) is cov
    assert innovation_form(predictor) is predictor


def test_innovations_model_that_is_not_minimum_phase():
    """Its noise is not the prediction error: a new gain is needed."""
    model = InnovationSSM([[0.5]], [[1.0]], [[-1.5]], [[1.0]], x0=[0.7])
    predictor = innovation_form(model)
    assert abs(predictor.A - predictor.K @ predictor.C)[0, 0] == pytest.approx(0.5)
    assert predictor.Re[0, 0] == pytest.approx(4.0)
    assert predictor.x0[0] == 0.7
    assert same_process(model, predictor)


def test_unstable_model_has_a_predictor_and_no_covariances():
    model = GaussianSSM([[1.5]], [[1.0]], [[1.0]], [[1.0]], P0=[[1.0]])
    predictor = innovation_form(model)
    assert abs(predictor.A - predictor.K @ predictor.C)[0, 0] < 1
    for task in (lambda: to_covariance(model), lambda: to_gaussian(model, [[1.0]])):
        with pytest.raises(UnstableModelError, match="stability margin"):
            task()
    with pytest.raises(UnstableModelError, match="stability margin"):
        to_gaussian(LinearSSM([[1.5]], [[1.0]], [[1.0]]))


def test_zero_on_the_unit_circle_is_announced():
    """From a model it can be known exactly, from its covariances to half the digits."""
    model = LinearSSM([[0.0]], [[-1.0]], [[1.0]], [[1.0]])  # 1 - 1/z
    predictor = innovation_form(model)
    assert (predictor.Re[0, 0], predictor.K[0, 0]) == (1.0, -1.0)
    noisy = LinearSSM([[0.5]], [[-0.25, -0.25]], [[1.0]], [[0.5, 0.5]])  # (1 - 1/z) / (1 - 1/2z)
    with pytest.warns(NumericalWarning, match="touches zero"):
        innovation_form(to_covariance(noisy))
    with pytest.warns(NumericalWarning, match="touches zero"):
        gaussian = to_gaussian(to_covariance(model))
    assert same_process(model, gaussian, 1e-7)


def test_P_outside_the_set_is_refused():
    cov = to_covariance(InnovationSSM([[0.5]], [[1.0]], [[0.4]], [[1.0]]))
    low, high = minimal_covariance(cov), maximal_covariance(cov)
    for P in (0.5 * low, 1.5 * high):
        with pytest.raises(ValueError, match=r"`P` must be the state covariance of a model"):
            to_gaussian(cov, P)
    with pytest.raises(ValueError, match=r"`P` must have shape \(1, 1\)"):
        to_gaussian(cov, np.eye(2))


def test_data_of_no_process():
    bad = CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]])
    for task in (to_gaussian, innovation_form):
        with pytest.raises(NotPositiveRealError, match="not those of any process"):
            task(bad)


def test_dependent_outputs():
    model = GaussianSSM([[0.5]], [[1.0], [2.0]], [[1.0]], np.zeros((2, 2)))
    with pytest.raises(AccuracyError, match="linearly dependent"):
        innovation_form(model)


@pytest.mark.parametrize("task", [to_covariance, to_gaussian, innovation_form])
def test_other_objects_are_refused(task):
    with pytest.raises(TypeError, match="must be a CovarianceModel or GaussianSSM"):
        task(np.eye(2))
