"""Companion and echelon forms: structure, uniqueness, and what they cost."""

import numpy as np
import pytest
from every_model import LINEAR, check_form, hard_matrices, jordan, mix, mixed, record
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical_forms import companion_form, echelon_form
from realization import (
    BilinearSSM,
    CovarianceModel,
    InnovationSSM,
    LinearSSM,
    NotMinimalError,
    NumericalWarning,
)

NAMES = list(hard_matrices(np.random.default_rng(0)))
FORMS = {
    "controllable": companion_form,
    "observable": lambda model, **options: companion_form(model, kind="observable", **options),
    "echelon": echelon_form,
}


def inputs(model):
    return model.N if isinstance(model, CovarianceModel) else model.B


def moved_model(model, T, Tinv):
    return LinearSSM(Tinv @ model.A @ T, Tinv @ model.B, model.C @ T, model.D, dt=model.dt)


def assert_companion(A, B, indices):
    """Check the pattern of the controllable companion form."""
    ends = np.cumsum(indices)
    for row in range(A.shape[0]):
        if row + 1 not in ends:
            assert (A[row] == np.eye(A.shape[0])[row + 1]).all()
            assert not B[row].any()
    for i, length in enumerate(indices):
        if length:
            assert B[ends[i] - 1, i] == 1.0
            assert not B[ends[i] - 1, :i].any()


def assert_echelon(A, C, indices):
    """Check the pattern of the echelon form."""
    place = [(k, i) for i, length in enumerate(indices) for k in range(length)]
    for row, (k, i) in enumerate(place):
        if k + 1 < indices[i]:
            assert (A[row] == np.eye(A.shape[0])[row + 1]).all()
        else:
            later = [other > (indices[i], i) for other in place]
            assert not A[row, later].any()
    starts = np.cumsum([0, *indices])
    for i, length in enumerate(indices):
        if length:
            assert (C[i] == np.eye(A.shape[0])[starts[i]]).all()


def cyclic(name):
    """Say whether one or two inputs reach all states of this matrix."""
    return name not in ("zero", "semisimple", "delays")


@pytest.mark.parametrize("kind", list(FORMS))
@pytest.mark.parametrize("name", [name for name in NAMES if cyclic(name)])
@pytest.mark.parametrize("cls", LINEAR)
@pytest.mark.filterwarnings("ignore::realization.NumericalWarning")
def test_every_class_on_hard_matrices(cls, name, kind):
    A = hard_matrices(np.random.default_rng(1))[name]
    model = record(cls, np.random.default_rng(2), A, 2, 2, dt=0.5)
    if name == "clustered":
        pytest.skip("eigenvalues 1e-9 apart: reachable by two inputs to rounding only")
    form = FORMS[kind](model)
    check_form(model, form, tol=1e-9)
    indices = form.info["indices"]
    assert sum(indices) == model.n_states
    if kind == "controllable":
        assert_companion(form.model.A, inputs(form.model), indices)
    elif kind == "observable":
        assert_companion(form.model.A.T, form.model.C.T, indices)
    else:
        assert_echelon(form.model.A, form.model.C, indices)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 7),
    m=st.integers(1, 3),
    p=st.integers(1, 3),
    kind=st.sampled_from(list(FORMS)),
    logcond=st.floats(0, 1.5),
    seed=st.integers(0, 10**6),
)
def test_unique_up_to_rounding(n, m, p, kind, logcond, seed):
    rng = np.random.default_rng(seed)
    model = LinearSSM(*(rng.standard_normal(s) for s in ((n, n), (n, m), (p, n), (p, m))))
    first = FORMS[kind](model)
    moved = moved_model(model, *mix(rng, n, 10**logcond))
    second = FORMS[kind](moved)
    assert first.info["indices"] == second.info["indices"]
    if max(first.info["cond"], second.info["cond"]) > 1e4:
        return
    for name in "ABCD":
        a, b = getattr(first.model, name), getattr(second.model, name)
        assert np.abs(a - b).max(initial=0.0) <= 1e-9 * max(np.abs(a).max(initial=0.0), 1.0)


@pytest.mark.parametrize("kind", list(FORMS))
@pytest.mark.parametrize("indices", [(3, 2), (2, 3), (1, 4), (2, 0, 2), (3, 1, 1), (0, 3)])
def test_canonical_data_are_recovered(kind, indices):
    """Arrays that are in the form already come back from random coordinates."""
    rng = np.random.default_rng(3)
    n, m = sum(indices), len(indices)
    place = [(k, i) for i, length in enumerate(indices) for k in range(length)]
    ends = np.cumsum(indices)
    A, C = np.eye(n, k=1), np.zeros((m, n))
    for i, length in enumerate(indices):
        earlier = np.array([other < (length, i) for other in place])
        if length:
            A[ends[i] - 1] = earlier * rng.uniform(-0.5, 0.5, n)
            C[i, ends[i] - length] = 1.0
        else:
            C[i] = earlier * rng.uniform(-0.5, 0.5, n)
    echelon = LinearSSM(A, rng.standard_normal((n, 2)), C)
    if kind == "echelon":
        want = echelon
    else:  # arrays of the form from one transformation; another must give the same
        model = LinearSSM(A.T, C.T, rng.standard_normal((2, n)))
        if kind == "observable":
            model = echelon
        want = FORMS[kind](model).model
    moved = moved_model(want, *mix(rng, n, 30.0))
    form = FORMS[kind](moved)
    assert form.info["indices"] == indices
    for name in "ABC":
        assert np.abs(getattr(form.model, name) - getattr(want, name)).max() < 1e-11


def test_unequal_indices_leave_entries_in_B():
    rng = np.random.default_rng(4)
    A = rng.standard_normal((5, 5))
    b, a = rng.standard_normal(5), rng.standard_normal(5)
    second = A @ A @ b + 0.5 * A @ b + a * 0  # in the span of the first chain at once
    second = second + 1.0 * a
    model = LinearSSM(A, np.column_stack([b, second]), np.eye(5)[:1])
    form = companion_form(model)
    assert form.info["indices"] == (3, 2)
    assert form.model.B[2, 0] == 1.0
    assert form.model.B[4, 1] == 1.0
    assert not form.model.B[[0, 1, 3]].any()
    assert abs(form.model.B[2, 1]) > 1e-3


def test_one_input_gives_the_characteristic_polynomial():
    rng = np.random.default_rng(5)
    A = mixed(rng, [jordan(0.5 + 0.5j, 1), [[0.9]], [[-0.3]]])
    form = companion_form(LinearSSM(A, rng.standard_normal((4, 1)), rng.standard_normal((1, 4))))
    assert np.allclose(-form.model.A[-1, ::-1], np.poly(np.linalg.eigvals(A))[1:], atol=1e-11)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_transfer_function_agrees_with_python_control():
    control = pytest.importorskip("control")
    rng = np.random.default_rng(6)
    model = record(LinearSSM, rng, mixed(rng, [[[0.9]], [[-0.3]], [[0.4]]]), 1, 1)
    form = companion_form(model)
    theirs, _ = control.reachable_form(control.ss(model.A, model.B, model.C, model.D, True))
    assert np.allclose(np.sort(-theirs.A[0]), np.sort(-form.model.A[-1]), atol=1e-10)
    assert np.allclose(theirs.C[0][::-1], form.model.C[0], atol=1e-9)


def test_ill_conditioned_form_warns_with_the_number():
    rng = np.random.default_rng(7)
    A = np.diag(np.linspace(-0.9, 0.9, 22))
    model = LinearSSM(A, np.ones((22, 1)), rng.standard_normal((1, 22)))
    with pytest.warns(NumericalWarning, match=r"condition number \d\.\de\+\d+: .*Use modal_form"):
        form = companion_form(model)
    assert form.info["cond"] > 1e7


@pytest.mark.parametrize("kind", list(FORMS))
def test_missing_states_are_refused(kind):
    model = LinearSSM(np.diag([0.5, 0.2]), [[1.0], [0.0]], [[0.0, 1.0]])
    word = "reachable" if kind == "controllable" else "observable"
    with pytest.raises(
        NotMinimalError, match=f"needs every state to be {word}: the chains reach 1"
    ):
        FORMS[kind](model)
    none = LinearSSM(np.diag([0.5, 0.2]), np.zeros((2, 0)), [[0.0, 0.0]])
    with pytest.raises(NotMinimalError, match="the chains reach 0 of 2"):
        FORMS[kind](none)


def test_tolerance_is_used():
    model = LinearSSM(np.diag([0.5, 0.2]), [[1.0], [1e-6]], [[1.0, 1.0]])
    assert companion_form(model).info["indices"] == (2,)
    with pytest.raises(NotMinimalError, match="chains reach 1 of 2"):
        companion_form(model, tol=1e-4)
    form = companion_form(model, tol=1e-8)
    assert form.info["tol"] == 1e-8
    assert form.info["singular_values"].size == 2


def test_wrong_calls():
    rng = np.random.default_rng(8)
    model = record(LinearSSM, rng, np.eye(1) / 2, 1, 1)
    with pytest.raises(ValueError, match="`kind` must be one of"):
        companion_form(model, kind="reachable")
    for kind in FORMS:
        with pytest.raises(ValueError, match="`tol` must be"):
            FORMS[kind](model, tol=0.0)
        with pytest.raises(TypeError, match="the N_i have no companion structure"):
            FORMS[kind](record(BilinearSSM, rng, np.eye(2) / 2, 1, 1))


def test_order_zero_without_inputs():
    empty = InnovationSSM(np.zeros((0, 0)), np.zeros((1, 0)), np.zeros((0, 1)), [[1.0]])
    assert companion_form(empty).T.shape == (0, 0)
