"""The split into eidetic and fading memory: invariants 1, 11, 13 and section D3."""

import warnings

import numpy as np
import pytest
from every_model import (
    LINEAR,
    behaviour,
    check_form,
    difference,
    hard_matrices,
    jordan,
    mixed,
    record,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical_forms import eidetic_fading_form
from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NotMinimalError,
    NumericalWarning,
    UnstableModelError,
    markov_parameters,
    simulate,
)

NAMES = list(hard_matrices(np.random.default_rng(0)))
EXPECTED = {  # name: (Jordan sizes at zero)
    "order 1, zero": (1,),
    "zero": (1, 1, 1),
    "delay": (6,),
    "delay and modes": (4,),
    "delays": (3, 2, 1),
}


def hard(name):
    return hard_matrices(np.random.default_rng(1))[name]


def shift(size):
    return np.eye(size, k=1)


@pytest.mark.parametrize("fading", ["modal", "schur"])
@pytest.mark.parametrize("eidetic", ["jordan", "weyr"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", LINEAR)
def test_every_form_on_every_class(cls, name, eidetic, fading):
    model = record(cls, np.random.default_rng(2), hard(name), 2, 2, dt=0.25)
    form = eidetic_fading_form(model, eidetic=eidetic, fading=fading)
    check_form(model, form, tol=1e-10)
    lengths = EXPECTED.get(name, ())
    k = sum(lengths)
    weyr = tuple(sum(length > j for length in lengths) for j in range(max(lengths, default=0)))
    info = form.info
    assert (info["eidetic_order"], info["index"], info["weyr"]) == (k, len(weyr), weyr)
    assert info["sizes"][: info["eidetic_blocks"]] == (lengths if eidetic == "jordan" else weyr)
    assert sum(info["sizes"]) == model.n_states
    A = form.model.A
    assert not A[:k, k:].any()
    assert not A[k:, :k].any()
    assert not np.linalg.matrix_power(A[:k, :k], len(weyr)).any()
    if eidetic == "jordan":
        assert set(np.unique(A[:k, :k])) <= {0.0, 1.0}


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 13, 20])
@pytest.mark.parametrize("cond", [1.0, 30.0, 1e3])
def test_delay_line_of_every_depth(depth, cond):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        A = mixed(rng, [shift(depth), [[0.8]], jordan(0.3 + 0.4j, 1)], cond)
        model = record(LinearSSM, rng, A, 1, 1)
        form = eidetic_fading_form(model)
        assert form.info["index"] == depth
        assert form.info["sizes"][0] == depth
        assert form.info["gap"] > 100
        assert difference(model, form.model, depth + 10) < 1e-9


def test_eigenvalues_would_have_missed_it():
    A = mixed(np.random.default_rng(0), [shift(8)], 10.0)
    assert np.abs(np.linalg.eigvals(A)).max() > 1e-3
    form = eidetic_fading_form(LinearSSM(A, np.ones((8, 1)), np.ones((1, 8))))
    assert (form.info["index"], form.info["eidetic_order"]) == (8, 8)


def test_tail_is_fading_only():
    rng = np.random.default_rng(3)
    model = record(LinearSSM, rng, mixed(rng, [shift(3), shift(2), [[0.9]], [[-0.4]]], 50.0), 2, 2)
    form = eidetic_fading_form(model, eidetic="weyr", fading="schur")
    k = form.info["eidetic_order"]
    part = LinearSSM(form.model.A[k:, k:], form.model.B[k:], form.model.C[:, k:])
    tail = markov_parameters(part, 20)[form.info["index"] + 1 :]
    whole = markov_parameters(model, 20)
    assert np.abs(tail - whole[form.info["index"] + 1 :]).max() < 1e-11 * np.abs(whole).max()


@pytest.mark.parametrize("name", [name for name in NAMES if "Jordan" not in name])
@pytest.mark.parametrize("cls", LINEAR)
def test_complex_diagonal(cls, name):
    if name == "clustered":
        pytest.skip("eigenvalues 1e-9 apart share a block")
    model = record(cls, np.random.default_rng(4), hard(name), 1, 2)
    form = eidetic_fading_form(model, fading="complex_diagonal")
    check_form(model, form)
    k = form.info["eidetic_order"]
    A_F = form.model.A[k:, k:]
    assert not (A_F - np.diag(np.diag(A_F))).any()


@pytest.mark.parametrize("name", ["Jordan 3", "Jordan pair"])
def test_defective_fading_part_is_refused(name):
    model = record(LinearSSM, np.random.default_rng(4), hard(name), 1, 1)
    with pytest.raises(AccuracyError, match="The fading part is defective"):
        eidetic_fading_form(model, fading="complex_diagonal")


@pytest.mark.parametrize("cls", LINEAR)
def test_balanced_fading_part(cls):
    rng = np.random.default_rng(5)
    model = record(cls, rng, mixed(rng, [shift(2), [[0.9]], [[-0.4]]]), 2, 2)
    form = eidetic_fading_form(model, fading="balanced")
    check_form(model, form)
    A = form.model.A[2:, 2:]
    B = (form.model.N if cls is CovarianceModel else form.model.B)[2:]
    P = np.linalg.solve(np.eye(4) - np.kron(A, A), (B @ B.T).ravel()).reshape(2, 2)
    assert abs(P[0, 1]) < 1e-12 * P[0, 0]


def test_balanced_fading_part_must_exist():
    rng = np.random.default_rng(5)
    with pytest.raises(UnstableModelError, match="needs a stable fading part"):
        eidetic_fading_form(record(LinearSSM, rng, np.diag([0.0, 1.5]), 1, 1), fading="balanced")
    model = LinearSSM(np.diag([0.0, 0.5]), [[1.0], [0.0]], [[1.0, 1.0]])
    with pytest.raises(NotMinimalError, match="reachable and observable fading part"):
        eidetic_fading_form(model, fading="balanced")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", [LinearSSM, InnovationSSM, CovarianceModel])
def test_delay_line_embedding(cls, name):
    rng = np.random.default_rng(6)
    model = record(cls, rng, hard(name), 2, 2)
    if cls is InnovationSSM:
        model = InnovationSSM(model.A, model.C, model.K, model.Re, B=model.B, D=model.D)
    form = eidetic_fading_form(model, eidetic="delay_line")
    index, depth = form.info["index"], form.info["eidetic_order"]
    assert depth == index * (4 if cls is InnovationSSM else 2)
    assert form.Tinv is None
    scale = np.linalg.norm(model.A) * np.linalg.norm(form.T) or 1.0
    assert np.linalg.norm(model.A @ form.T - form.T @ form.model.A) < 1e-11 * scale
    assert difference(model, form.model) < 1e-10
    assert set(np.unique(form.model.A[:depth, :depth])) <= {0.0, 1.0}


def test_delay_line_keeps_a_reachable_initial_state():
    rng = np.random.default_rng(7)
    A = mixed(rng, [shift(3), [[0.8]]])
    model = record(InnovationSSM, rng, A, 2, 2)
    form = eidetic_fading_form(model, eidetic="delay_line")
    assert np.allclose(form.T @ form.model.x0, model.x0)
    assert difference(model, form.model) < 1e-10
    u = rng.standard_normal((9, 2))
    assert np.allclose(simulate(form.model, u).y, simulate(model, u).y)
    bare = InnovationSSM(shift(2), [[1.0, 1.0]], np.zeros((2, 1)), [[1.0]], x0=[0.0, 1.0])
    with pytest.raises(ValueError, match="no past input or innovation produces"):
        eidetic_fading_form(bare, eidetic="delay_line")


def test_stationary_covariance_stays_implicit():
    rng = np.random.default_rng(8)
    model = record(GaussianSSM, rng, hard("delay and modes"), 1, 1)
    model = GaussianSSM(model.A, model.C, model.Q, model.R, model.S, B=model.B, D=model.D)
    form = eidetic_fading_form(model)
    assert form.model.P0 is None
    assert difference(model, form.model) < 1e-10


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 4), max_size=3),
    fading=st.lists(st.floats(0.1, 0.95), max_size=4),
    m=st.integers(0, 3),
    p=st.integers(1, 3),
    logcond=st.floats(0, 3),
    seed=st.integers(0, 10**6),
)
def test_structure_is_recovered(lengths, fading, m, p, logcond, seed):
    rng = np.random.default_rng(seed)
    A = mixed(rng, [*map(shift, lengths), *[[[value]] for value in fading]], 10**logcond)
    model = record(LinearSSM, rng, A, m, p)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        form = eidetic_fading_form(model)
    assert form.info["sizes"][: len(lengths)] == tuple(sorted(lengths, reverse=True))
    assert form.info["eidetic_order"] == sum(lengths)
    assert difference(model, form.model) < 1e-8


def test_noise_needs_a_tolerance():
    rng = np.random.default_rng(9)
    A = mixed(rng, [shift(4), [[0.8]], [[0.5]]]) + 1e-7 * rng.standard_normal((6, 6))
    model = LinearSSM(A, np.ones((6, 1)), np.ones((1, 6)))
    assert eidetic_fading_form(model).info["eidetic_order"] == 0
    form = eidetic_fading_form(model, tol=1e-5, fading="schur")
    assert form.info["index"] == 4
    assert form.info["tol"] == 1e-5
    first = form.info["singular_values"][0]
    assert first[-1] < 1e-5 < first[-2]


def test_doubtful_decision_warns():
    A = np.diag([0.9, 1e-7, 4e-8])
    with pytest.warns(NumericalWarning, match="is doubtful: the smallest singular value kept"):
        eidetic_fading_form(LinearSSM(A, np.ones((3, 1)), np.ones((1, 3))), tol=6e-8)


def test_continuous_time_is_refused():
    model = LinearSSM(np.zeros((2, 2)), np.ones((2, 1)), np.ones((1, 2)), dt=0.0)
    with pytest.raises(ValueError, match="discrete-time notion"):
        eidetic_fading_form(model)


def test_wrong_calls():
    rng = np.random.default_rng(0)
    model = record(LinearSSM, rng, np.eye(2) / 2, 1, 1)
    with pytest.raises(TypeError, match="must be linear for eidetic-fading form"):
        eidetic_fading_form(record(BilinearSSM, rng, np.eye(2) / 2, 1, 1))
    with pytest.raises(TypeError, match="must not be a GaussianSSM"):
        eidetic_fading_form(record(GaussianSSM, rng, np.eye(2) / 2, 1, 1), eidetic="delay_line")
    with pytest.raises(ValueError, match="`eidetic` must be one of"):
        eidetic_fading_form(model, eidetic="chain")
    with pytest.raises(ValueError, match="`fading` must be one of"):
        eidetic_fading_form(model, fading="jordan")
    with pytest.raises(ValueError, match="`condmax` must be at least 1"):
        eidetic_fading_form(model, condmax=0.1)
    with pytest.raises(ValueError, match="`tol` must be"):
        eidetic_fading_form(model, tol=2.0)


def test_unreachable_parts_survive():
    model = LinearSSM(np.diag([0.0, 0.5, 0.0]), [[1.0], [0.0], [0.0]], [[1.0, 1.0, 0.0]])
    form = eidetic_fading_form(model)
    assert form.info["sizes"] == (1, 1, 1)
    assert behaviour(form.model)["inputs"][0] == pytest.approx(1.0)


@pytest.mark.parametrize("form", [("jordan", "modal"), ("weyr", "schur")])
def test_hopeless_coordinates_are_never_silently_wrong(form):
    """At condition 1e5 the decision can fail; then it raises or warns."""
    raised = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        A = mixed(rng, [shift(int(rng.integers(4, 16))), shift(3), [[0.8]]], 1e5)
        model = record(LinearSSM, rng, A, 2, 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = eidetic_fading_form(model, eidetic=form[0], fading=form[1])
            except AccuracyError:
                raised += 1
                continue
        right = found.info["eidetic_order"] == A.shape[0] - 1
        assert caught or (right and difference(model, found.model) < 1e-6)
    assert raised < 40


def test_contradicting_ranks_raise():
    rng = np.random.default_rng(0)
    A = mixed(rng, [shift(12), shift(5), [[0.8]]], 1e5)
    with pytest.raises(AccuracyError, match="these numbers must not increase"):
        eidetic_fading_form(record(LinearSSM, rng, A, 1, 1))
