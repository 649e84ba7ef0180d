"""Simultaneous block-diagonal forms of bilinear models (section D4)."""

import numpy as np
import pytest
import scipy
from every_model import check_form, jordan, mix, record
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical_forms import simultaneous_form
from realization import AccuracyError, BilinearSSM, LinearSSM


def hidden_blocks(rng, blocks, m=2, cond=10.0, dt=1.0):
    """Return a bilinear model; blocks[k] lists the k-th diagonal blocks of A, N_1, ..., N_m."""
    stacks = [scipy.linalg.block_diag(*[block[i] for block in blocks]) for i in range(m + 1)]
    n = stacks[0].shape[0]
    T, Tinv = mix(rng, n, cond)
    A, *N = (T @ M @ Tinv for M in stacks)
    N = np.array(N).reshape(m, n, n)
    return BilinearSSM(
        A, N, rng.standard_normal((n, m)), rng.standard_normal((2, n)),
        K=rng.standard_normal((n, 2)), Re=np.eye(2), x0=rng.standard_normal(n), dt=dt,
    )  # fmt: skip


def random_blocks(rng, sizes, m=2):
    return [[0.4 * rng.standard_normal((s, s)) for _ in range(m + 1)] for s in sizes]


@pytest.mark.parametrize("sizes", [(1,), (3,), (2, 3), (1, 1, 1), (3, 3), (1, 2, 3, 4)])
@pytest.mark.parametrize("dt", [0.0, 0.5])
def test_blocks_are_found(sizes, dt):
    rng = np.random.default_rng(1)
    model = hidden_blocks(rng, random_blocks(rng, sizes), dt=dt)
    form = simultaneous_form(model)
    check_form(model, form)
    assert sorted(form.info["sizes"]) == sorted(sizes)
    assert form.info["commutant"] == len(sizes)
    part = np.repeat(np.arange(len(sizes)), form.info["sizes"])
    outside = part[:, None] != part
    for M in (form.model.A, *form.model.N):
        assert not M[outside].any()
    for M, moved in zip(model.N, form.model.N, strict=True):
        assert np.abs(M @ form.T - form.T @ moved).max() < 1e-11


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 6), m=st.integers(0, 3), logcond=st.floats(0, 3), seed=st.integers(0, 10**6)
)
def test_commuting_diagonalizable_matrices_become_diagonal(n, m, logcond, seed):
    rng = np.random.default_rng(seed)
    blocks = [[np.array([[rng.uniform(-0.9, 0.9)]]) for _ in range(m + 1)] for _ in range(n)]
    if n == 0:
        blocks = [[np.zeros((0, 0))] * (m + 1)]
    model = hidden_blocks(rng, blocks, m, 10**logcond)
    form = simultaneous_form(model)
    assert form.info["diagonal"]
    assert form.info["sizes"] == (1,) * n
    assert form.info["residual"] < 1e-10


def test_generic_matrices_do_not_split():
    rng = np.random.default_rng(2)
    form = simultaneous_form(hidden_blocks(rng, random_blocks(rng, (4,))))
    assert (form.info["sizes"], form.info["commutant"], form.info["diagonal"]) == ((4,), 1, False)


def test_commuting_defective_matrices_stay_one_block():
    rng = np.random.default_rng(3)
    J = jordan(0.5, 3)
    form = simultaneous_form(hidden_blocks(rng, [[J, J @ J, 0.3 * J - 0.1 * np.eye(3)]]))
    assert form.info["sizes"] == (3,)
    assert form.info["commutant"] == 3


def test_repeated_blocks_and_equal_eigenvalues():
    """Equal blocks make the commutant larger; A alone would not tell the blocks apart."""
    rng = np.random.default_rng(4)
    block = random_blocks(rng, (2,))[0]
    form = simultaneous_form(hidden_blocks(rng, [block, block]))
    assert form.info["sizes"] == (2, 2)
    assert form.info["commutant"] == 4
    other = [block[0], *random_blocks(rng, (2,))[0][1:]]
    assert simultaneous_form(hidden_blocks(rng, [block, other])).info["sizes"] == (2, 2)


def test_complex_pairs_are_two_by_two_blocks():
    rng = np.random.default_rng(5)
    pair = jordan(0.3 + 0.5j, 1)
    form = simultaneous_form(
        hidden_blocks(rng, [[pair, pair @ pair, np.eye(2)], [np.eye(1) / 2] * 3])
    )
    assert sorted(form.info["sizes"]) == [1, 2]
    assert not form.info["diagonal"]


def test_noise_needs_a_tolerance():
    rng = np.random.default_rng(6)
    model = hidden_blocks(rng, random_blocks(rng, (2, 2)))
    noisy = BilinearSSM(
        model.A + 1e-7 * rng.standard_normal((4, 4)), model.N, model.B, model.C
    )  # fmt: skip
    assert simultaneous_form(noisy).info["sizes"] == (4,)
    form = simultaneous_form(noisy, tol=1e-5)
    assert form.info["sizes"] == (2, 2)
    assert 0 < form.info["residual"] < 1e-6
    noisier = BilinearSSM(
        model.A + 1e-4 * rng.standard_normal((4, 4)), model.N, model.B, model.C
    )  # fmt: skip
    with pytest.raises(AccuracyError, match="The simultaneous form has residual"):
        simultaneous_form(noisier, tol=1e-2)


def test_wrong_calls():
    rng = np.random.default_rng(7)
    model = hidden_blocks(rng, random_blocks(rng, (2,)))
    with pytest.raises(TypeError, match="A linear model has one matrix to split: use modal_form"):
        simultaneous_form(record(LinearSSM, rng, np.eye(2) / 2, 1, 1))
    with pytest.raises(TypeError, match="`model` must be a BilinearSSM"):
        simultaneous_form(3)
    large = BilinearSSM(np.eye(41), np.zeros((1, 41, 41)), np.ones((41, 1)), np.ones((1, 41)))
    with pytest.raises(ValueError, match="at most 40 states"):
        simultaneous_form(large)
    with pytest.raises(ValueError, match="`tol` must be"):
        simultaneous_form(model, tol=0.0)
    with pytest.raises(ValueError, match="`condmax` must be at least 1"):
        simultaneous_form(model, condmax=0.5)
