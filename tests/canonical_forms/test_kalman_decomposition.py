"""The Kalman decomposition and the minimal form."""

import numpy as np
import pytest
import scipy
from bilinear_systems import random_bilinear, with_copies
from every_model import (
    EVERY,
    LINEAR,
    check_form,
    difference,
    hard_matrices,
    jordan,
    mix,
    mixed,
    record,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical_forms import kalman_decomposition, minimal_form
from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    minimal_bilinear,
)

NAMES = list(hard_matrices(np.random.default_rng(0)))


def four_parts(rng, sizes, m=2, p=2, cond=10.0):
    """Return a model whose Kalman decomposition has these sizes."""
    part = np.repeat(np.arange(4), sizes)
    n = part.size
    zero = {(1, 0), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}
    A = rng.standard_normal((n, n)) * 0.4
    A[[[(i, j) in zero for j in part] for i in part] if n else np.zeros((0, 0), bool)] = 0.0
    B = rng.standard_normal((n, m)) * (part < 2)[:, None]
    C = rng.standard_normal((p, n)) * np.isin(part, (1, 3))
    T, Tinv = mix(rng, n, cond)
    return LinearSSM(T @ A @ Tinv, T @ B, C @ Tinv)


SIZES = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1)]
SIZES += [(1, 3, 2, 1), (2, 2, 2, 2), (1, 2, 0, 1), (3, 3, 3, 3)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("cond", [1.0, 100.0])
def test_sizes_are_recovered(sizes, cond):
    for seed in range(4):
        model = four_parts(np.random.default_rng(seed), sizes, cond=cond)
        form = kalman_decomposition(model)
        check_form(model, form)
        assert form.info["sizes"] == sizes
        assert list(form.info["parts"].values()) == list(sizes)
        a, b, c = np.cumsum(sizes)[:3]
        A, B, C = form.model.A, form.model.B, form.model.C
        assert not A[b:, :b].any()
        assert not A[a:b, :a].any()
        assert not A[a:b, b:c].any()
        assert not A[c:, b:c].any()
        assert not B[b:].any()
        assert not C[:, :a].any()
        assert not C[:, b:c].any()
        small = minimal_form(model)
        assert small.model.n_states == sizes[1]
        assert difference(model, small.model, 8) < 1e-10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", LINEAR)
def test_every_class_on_hard_matrices(cls, name):
    A = hard_matrices(np.random.default_rng(1))[name]
    model = record(cls, np.random.default_rng(2), A, 1, 1, dt=0.5)
    form = kalman_decomposition(model)
    # eigenvalues 1e-9 apart: a rank is decided within rounding, and the residual says so
    check_form(model, form, tol=1e-7 if name == "clustered" else 1e-9)
    assert sum(form.info["sizes"]) == model.n_states


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", EVERY)
def test_minimal_form_of_every_class(cls, name):
    A = hard_matrices(np.random.default_rng(1))[name]
    model = record(cls, np.random.default_rng(2), A, 1, 2, dt=0.5)
    form = minimal_form(model)
    r = form.model.n_states
    assert type(form.model) is cls
    assert form.model.dt == 0.5
    assert form.T.shape == (model.n_states, r)
    assert np.abs(form.Tinv @ form.T - np.eye(r)).max(initial=0.0) < 1e-13
    assert difference(model, form.model) < 1e-9
    assert form.info["residual"] < 1e-9
    assert minimal_form(form.model).model.n_states == r


def test_noise_and_initial_state_reach():
    A, C, B = np.diag([0.9, 0.5, 0.2]), np.ones((1, 3)), [[1.0], [0.0], [0.0]]
    e = np.eye(3)
    assert minimal_form(LinearSSM(A, B, C)).model.n_states == 1
    assert minimal_form(InnovationSSM(A, C, e[:, 1:2], [[1.0]], B=B)).model.n_states == 2
    started = InnovationSSM(A, C, e[:, 1:2], [[1.0]], B=B, x0=[0.0, 0.0, 1.0])
    assert minimal_form(started).model.n_states == 3
    for extra in ({}, {"m0": e[1]}, {"P0": np.diag([0.0, 1.0, 1.0])}):
        model = GaussianSSM(A, C, np.diag([0.0, 0.0, 1.0]), [[1.0]], B=B, **extra)
        assert minimal_form(model).model.n_states == 2 + bool(extra)
    assert minimal_form(CovarianceModel(A, C, 1e-6 * e[:, :1], [[1.0]])).model.n_states == 1


def test_bilinear_minimal_form_is_that_of_realization():
    rng = np.random.default_rng(3)
    small = random_bilinear(rng, 3, 2, 2, noise=True)
    model = with_copies(small, rng)
    form = minimal_form(model)
    assert form.model.n_states == minimal_bilinear(model).n_states == 3
    assert difference(model, form.model, 6) < 1e-9


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(*[st.integers(0, 3)] * 4),
    m=st.integers(0, 2),
    p=st.integers(1, 2),
    seed=st.integers(0, 10**6),
)
def test_invariance_under_coordinates(sizes, m, p, seed):
    rng = np.random.default_rng(seed)
    model = four_parts(rng, sizes, m, p)
    T, Tinv = mix(rng, model.n_states, 10.0)
    moved = LinearSSM(Tinv @ model.A @ T, Tinv @ model.B, model.C @ T)
    a, b = kalman_decomposition(model), kalman_decomposition(moved)
    assert a.info["sizes"] == b.info["sizes"]
    assert difference(model, b.model, 6) < 1e-8


def test_minimal_order_agrees_with_slycot():
    slycot = pytest.importorskip("slycot")
    for seed in range(5):
        model = four_parts(np.random.default_rng(seed), (1, 3, 2, 1))
        A, B, C = (np.array(M) for M in (model.A, model.B, model.C))
        order = slycot.tb01pd(7, 2, 2, A, B, C, tol=1e-9)[-1]
        assert minimal_form(model).model.n_states == order == 3


def test_tolerance_decides():
    model = LinearSSM(np.diag([0.9, 0.5]), [[1.0], [1e-7]], np.ones((1, 2)))
    assert minimal_form(model).model.n_states == 2
    form = minimal_form(model, tol=1e-5)
    assert form.model.n_states == 1
    assert form.info["tol"] == 1e-5
    assert kalman_decomposition(model, tol=1e-5).info["sizes"] == (0, 1, 0, 1)
    assert form.info["singular_values"].size > 0


def test_a_tolerance_that_is_too_large_is_noticed():
    rng = np.random.default_rng(4)
    model = record(LinearSSM, rng, mixed(rng, [[[0.9]], jordan(0.5, 3)], 10.0), 1, 1)
    with pytest.raises(AccuracyError, match="The minimal form has residual"):
        minimal_form(model, tol=0.3)
    with pytest.raises(AccuracyError, match=r"contradict each other|has residual"):
        kalman_decomposition(model, tol=0.3)


def test_wrong_calls():
    rng = np.random.default_rng(5)
    model = record(LinearSSM, rng, np.eye(2) / 2, 1, 1)
    for function in (kalman_decomposition, minimal_form):
        with pytest.raises(ValueError, match="`tol` must be"):
            function(model, tol=0.0)
        with pytest.raises(TypeError, match="must be a LinearSSM or"):
            function(1.0)
    with pytest.raises(TypeError, match="must be linear for Kalman decomposition"):
        kalman_decomposition(record(BilinearSSM, rng, np.eye(2) / 2, 1, 1))


def test_coordinates_of_the_parts_are_subspaces():
    """The reachable unobservable part is the intersection of both subspaces."""
    model = four_parts(np.random.default_rng(6), (1, 2, 1, 1))
    form = kalman_decomposition(model)
    powers = [np.linalg.matrix_power(model.A, k) for k in range(5)]
    reach = np.hstack([P @ model.B for P in powers])
    seen = np.vstack([model.C @ P for P in powers])
    unseen = scipy.linalg.null_space(seen, rcond=1e-10)
    assert scipy.linalg.subspace_angles(form.T[:, :3], scipy.linalg.orth(reach, 1e-10)).max() < 1e-6
    assert scipy.linalg.subspace_angles(form.T[:, [0, 3]], unseen).max() < 1e-6
