"""Schur, modal and Jordan forms."""

import numpy as np
import pytest
from every_model import EVERY, LINEAR, check_form, hard_matrices, jordan, mixed, record

from canonical_forms import jordan_form, modal_form, schur_form
from realization import AccuracyError, BilinearSSM, LinearSSM, NumericalWarning

NAMES = list(hard_matrices(np.random.default_rng(0)))


def hard(name, seed=1):
    return hard_matrices(np.random.default_rng(seed))[name]


def off_blocks(A, sizes):
    """Return the largest entry outside the diagonal blocks."""
    mask = np.ones(A.shape, dtype=bool)
    start = 0
    for size in sizes:
        mask[start : start + size, start : start + size] = False
        start += size
    assert start == A.shape[0]
    return np.abs(A[mask]).max(initial=0.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", EVERY)
def test_schur(cls, name):
    model = record(cls, np.random.default_rng(2), hard(name), 2, 2)
    form = schur_form(model)
    check_form(model, form, cond=1 + 1e-12)
    assert off_blocks(np.tril(form.model.A), form.info["sizes"]) == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", EVERY)
def test_modal(cls, name):
    model = record(cls, np.random.default_rng(3), hard(name), 2, 2, dt=0.5)
    form = modal_form(model)
    check_form(model, form, cond=1e4 * (1 + 1e-9), tol=1e-11)
    assert off_blocks(form.model.A, form.info["sizes"]) == 0


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("benign", (1, 2, 1, 1)),
        ("order 12", (2,) * 6),
        ("Jordan 3", (1, 3)),
        ("Jordan pair", (4, 1)),
        ("semisimple", (1, 3)),
        ("semisimple pairs", (1, 4)),
        ("mixed to 1e3", (1, 2, 1)),
    ],
)
def test_modal_blocks(name, sizes):
    A = hard(name)
    form = modal_form(LinearSSM(A, np.ones((A.shape[0], 1)), np.ones((1, A.shape[0]))))
    assert form.info["sizes"] == sizes


def test_jordan_cycle_stays_one_well_conditioned_block():
    A = mixed(np.random.default_rng(0), [jordan(0.5, 3)], 3.0)
    form = modal_form(LinearSSM(A, np.ones((3, 1)), np.ones((1, 3))))
    assert form.info["sizes"] == (3,)
    assert form.info["cond"] < 10
    assert form.info["residual"] < 1e-14


def test_modal_pair_is_a_rotation():
    model = record(
        LinearSSM,
        np.random.default_rng(0),
        mixed(np.random.default_rng(1), [jordan(0.3 + 0.6j, 1)]),
        1,
        1,
    )
    A = modal_form(model).model.A
    assert np.allclose(A, [[0.3, 0.6], [-0.6, 0.3]], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", EVERY)
def test_complex_modal(cls, name):
    model = record(cls, np.random.default_rng(3), hard(name), 1, 2)
    form = modal_form(model, complex=True)
    check_form(model, form, tol=1e-11)
    assert np.iscomplexobj(form.model.A)
    assert np.abs(np.tril(form.model.A, -1)).max(initial=0.0) == 0
    if max(form.info["sizes"], default=1) == 1:
        assert np.abs(np.triu(form.model.A, 1)).max(initial=0.0) == 0


def test_continuous_time_orders_by_real_part():
    rng = np.random.default_rng(4)
    model = record(
        LinearSSM, rng, mixed(rng, [[[-5.0]], jordan(-0.1 + 3j, 1), [[-1.0]]]), 1, 1, dt=0.0
    )
    form = modal_form(model)
    check_form(model, form)
    assert form.info["sizes"] == (2, 1, 1)
    assert np.allclose(np.diag(form.model.A), [-0.1, -0.1, -1.0, -5.0])


@pytest.mark.parametrize("condmax", [1.0, 10.0, 1e3, 1e6])
def test_condmax_is_kept(condmax):
    rng = np.random.default_rng(5)
    A = mixed(rng, [np.diag([0.9, 0.5, 0.49, 0.1])], 300.0)
    form = modal_form(LinearSSM(A, np.ones((4, 1)), np.ones((1, 4))), condmax=condmax)
    assert form.info["cond"] <= condmax * (1 + 1e-9)
    assert (len(form.info["sizes"]) == 4) == (condmax >= 1e3)


@pytest.mark.parametrize(
    ("blocks", "sizes"),
    [
        ([jordan(0.5, 3), jordan(0.5, 1), [[-0.8]]], (1, 3, 1)),
        ([jordan(0.4 + 0.5j, 2), [[0.1]]], (4, 1)),
        ([0.5 * np.eye(3)], (1, 1, 1)),
        ([jordan(0.0, 3), jordan(0.0, 2), [[0.9]]], (1, 3, 2)),
        ([], ()),
    ],
)
@pytest.mark.parametrize("cls", LINEAR)
def test_jordan_recovers_the_blocks(cls, blocks, sizes):
    rng = np.random.default_rng(6)
    model = record(cls, rng, mixed(rng, blocks, 10.0), 2, 2)
    with pytest.warns(NumericalWarning, match="not a continuous function"):
        form = jordan_form(model)
    check_form(model, form, tol=1e-9)
    assert form.info["sizes"] == sizes
    want = [np.asarray(block)[0, 0] for block in blocks]
    assert all(np.abs(form.info["eigenvalues"].real - w).min() < 1e-10 for w in want)


def test_jordan_errors():
    rng = np.random.default_rng(7)
    chain = LinearSSM(np.diag(0.5 + 4e-5 * np.arange(60)), np.ones((60, 1)), np.ones((1, 60)))
    with pytest.raises(AccuracyError, match="have no Jordan form at tol"):
        jordan_form(chain)
    model = record(LinearSSM, rng, np.diag([0.5, 0.2]), 1, 1)
    with pytest.raises(ValueError, match="`tol` must be"):
        jordan_form(model, tol=0.0)
    with pytest.raises(TypeError, match="must be linear for Jordan form"):
        jordan_form(record(BilinearSSM, rng, np.eye(2) / 2, 1, 1))


def test_wrong_calls():
    model = LinearSSM(np.eye(2) / 2, np.ones((2, 1)), np.ones((1, 2)))
    with pytest.raises(ValueError, match="`condmax` must be at least 1"):
        modal_form(model, condmax=0.5)
    with pytest.raises(TypeError, match="must be a LinearSSM or"):
        schur_form(np.eye(2))
    with pytest.raises(TypeError, match="must be real for modal form"):
        modal_form(LinearSSM(1j * np.eye(2), np.ones((2, 1)), np.ones((1, 2))))
