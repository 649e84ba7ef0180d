"""Similarity and equivalence."""

import numpy as np
import pytest
from bilinear_systems import random_bilinear, with_copies
from every_model import EVERY, LINEAR, hard_matrices, mix, mixed, record
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import random_process

from canonical_forms import (
    are_equivalent,
    balanced_form,
    minimal_form,
    modal_form,
    schur_form,
    similarity,
)
from canonical_forms.result import change_coordinates
from realization import (
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NotMinimalError,
    innovation_form,
    to_covariance,
    to_gaussian,
)

NAMES = list(hard_matrices(np.random.default_rng(0)))


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("n", [0, 1, 3, 6, 12])
@pytest.mark.parametrize("cls", EVERY)
def test_similarity_returns_T(cls, n, dt):
    rng = np.random.default_rng(n)
    A = mixed(rng, [[[value]] for value in rng.uniform(-0.9, 0.9, n)]) - (dt == 0.0) * np.eye(n)
    model = record(cls, rng, A, 2, 2, dt=dt)
    T, Tinv = mix(rng, n, 20.0)
    moved = change_coordinates(model, T, Tinv)
    found, residual = similarity(model, moved)
    assert residual < 1e-9
    assert np.abs(found - T).max(initial=0.0) < 1e-7
    assert are_equivalent(model, moved)


def test_similarity_of_forms():
    rng = np.random.default_rng(1)
    model = record(InnovationSSM, rng, mixed(rng, [[[0.9]], [[-0.5]], [[0.2]]]), 2, 2)
    for function in (modal_form, schur_form, balanced_form):
        form = function(model)
        T, residual = similarity(model, form.model)
        assert residual < 1e-11
        assert np.allclose(T, form.T, atol=1e-9)
    complex_form = modal_form(model, complex=True)
    T, residual = similarity(model, complex_form.model)
    assert residual < 1e-11
    assert np.allclose(T, complex_form.T, atol=1e-9)


@pytest.mark.parametrize("cls", EVERY)
def test_different_models_are_not_similar(cls):
    rng = np.random.default_rng(2)
    A = mixed(rng, [[[0.9]], [[-0.5]], [[0.2]]])
    a, b = record(cls, rng, A, 2, 2), record(cls, rng, 0.9 * A, 2, 2)
    assert similarity(a, b)[1] > 1e-3
    assert not are_equivalent(a, b)


def test_large_similarity():
    rng = np.random.default_rng(3)
    A = mixed(rng, [[[value]] for value in rng.uniform(-0.95, 0.95, 60)])
    model = record(LinearSSM, rng, A, 3, 3)
    T, Tinv = mix(rng, 60, 10.0)
    found, residual = similarity(model, change_coordinates(model, T, Tinv))
    assert residual < 1e-8
    assert np.allclose(found, T, atol=1e-6)


def test_isolated_states_make_T_arbitrary():
    model = LinearSSM(np.diag([0.5, 0.2]), [[1.0], [0.0]], [[1.0, 0.0]])
    T, Tinv = mix(np.random.default_rng(4), 2, 3.0)
    with pytest.raises(NotMinimalError, match="neither reachable nor observable"):
        similarity(model, change_coordinates(model, T, Tinv))
    assert are_equivalent(model, LinearSSM([[0.5]], [[1.0]], [[1.0]]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", LINEAR)
def test_equivalence_sees_through_every_form(cls, name):
    model = record(
        cls, np.random.default_rng(5), hard_matrices(np.random.default_rng(1))[name], 1, 2
    )
    for function in (modal_form, schur_form, minimal_form):
        assert are_equivalent(model, function(model).model)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(1, 5), m=st.integers(0, 2), p=st.integers(1, 2), seed=st.integers(0, 10**6))
def test_one_changed_entry_is_noticed(n, m, p, seed):
    rng = np.random.default_rng(seed)
    model = record(LinearSSM, rng, mixed(rng, [[[v]] for v in rng.uniform(0.2, 0.9, n)]), m + 1, p)
    C = np.array(model.C)
    C[0, 0] += 1e-3
    assert not are_equivalent(model, LinearSSM(model.A, model.B, C, model.D))
    D = np.array(model.D)
    D[0, 0] += 1e-3
    assert not are_equivalent(model, LinearSSM(model.A, model.B, model.C, D))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_models_of_one_process(dt):
    """One process as innovations model and as GaussianSSM with another state covariance."""
    source = random_process(np.random.default_rng(6), 3, 2, dt=dt)
    cov = to_covariance(source)
    gaussian = to_gaussian(cov)
    assert are_equivalent(to_covariance(gaussian), cov)
    started = GaussianSSM(
        source.A, source.C, source.K @ source.Re @ source.K.T, source.Re, source.K @ source.Re,
        m0=source.x0, P0=np.zeros((3, 3)), B=source.B, D=source.D, dt=dt,
    )  # fmt: skip
    assert are_equivalent(source, started)
    assert are_equivalent(started, source)
    assert not are_equivalent(source, gaussian)
    stationary = innovation_form(gaussian)
    assert not are_equivalent(stationary, gaussian)  # it starts without uncertainty
    more = GaussianSSM(
        gaussian.A, gaussian.C, 1.1 * gaussian.Q, 1.1 * gaussian.R, 1.1 * gaussian.S, dt=dt
    )
    assert not are_equivalent(gaussian, more)
    half = GaussianSSM(
        gaussian.A, gaussian.C, gaussian.Q, gaussian.R, gaussian.S, P0=np.eye(3), dt=dt
    )  # fmt: skip
    assert not are_equivalent(gaussian, half)


def test_bilinear_with_hidden_states():
    rng = np.random.default_rng(7)
    small = random_bilinear(rng, 3, 2, 2, noise=True)
    assert are_equivalent(small, with_copies(small, rng))
    other = BilinearSSM(
        small.A, 1.01 * small.N, small.B, small.C, small.D, K=small.K, Re=small.Re, x0=small.x0
    )  # fmt: skip
    assert not are_equivalent(small, other)
    silent = BilinearSSM(small.A, small.N, small.B, small.C, small.D, K=small.K, x0=small.x0)
    assert not are_equivalent(small, silent)
    louder = BilinearSSM(
        small.A, small.N, small.B, small.C, small.D, K=small.K, Re=2 * small.Re, x0=small.x0
    )  # fmt: skip
    assert not are_equivalent(small, louder)
    assert similarity(small, louder)[1] > 0.1


def test_wrong_calls():
    rng = np.random.default_rng(8)
    a = record(LinearSSM, rng, np.eye(2) / 2, 1, 1)
    b = record(LinearSSM, rng, np.eye(3) / 2, 1, 1)
    with pytest.raises(ValueError, match="must have the same order; got 2 and 3"):
        similarity(a, b)
    with pytest.raises(TypeError, match="must be of one class"):
        similarity(a, record(InnovationSSM, rng, np.eye(2) / 2, 1, 1))
    with pytest.raises(TypeError, match="cannot be compared: LinearSSM and InnovationSSM"):
        are_equivalent(a, record(InnovationSSM, rng, np.eye(2) / 2, 1, 1))
    with pytest.raises(ValueError, match="must agree in n_inputs; got 1 and 2"):
        are_equivalent(a, record(LinearSSM, rng, np.eye(2) / 2, 2, 1))
    with pytest.raises(ValueError, match="must agree in dt"):
        similarity(a, record(LinearSSM, rng, np.eye(2) / 2, 1, 1, dt=0.1))
    with pytest.raises(TypeError, match="`b` must be a LinearSSM or"):
        similarity(a, 1)
    with pytest.raises(ValueError, match="`tol` must be"):
        are_equivalent(a, a, tol=0.0)
    cov = record(CovarianceModel, rng, np.eye(2) / 2, 1, 1)
    with pytest.raises(TypeError, match="Convert one: to_covariance"):
        are_equivalent(cov, record(GaussianSSM, rng, np.eye(2) / 2, 0, 1))
