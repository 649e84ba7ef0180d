"""Projections by a triangular solve are those of the least-squares regression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identification import HankelFactor, projections
from identification.excitation import excites_fully, input_excitation
from identification.projections import FactorBlocks, full_rank


def blocks_of(seed, p, m, past, future, remove_means=True):
    rng = np.random.default_rng(seed)
    factor = HankelFactor(p, m, past=past, future=future)
    y, u = rng.standard_normal((300, p)) + 2.0, rng.standard_normal((300, m))
    factor.update(y, u if m else None)
    return FactorBlocks.from_factor(factor, remove_means=remove_means)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    p=st.integers(1, 3),
    m=st.integers(0, 2),
    past=st.integers(1, 4),
    future=st.integers(2, 4),
    remove_means=st.booleans(),
)
def test_both_routes_agree(seed, p, m, past, future, remove_means):
    blocks = blocks_of(seed, p, m, past, future, remove_means)
    for shift in (0, 1):
        fast = blocks.projections(shift)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(projections, "full_rank", lambda triangle: False)
            slow = blocks.projections(shift)
        size = np.linalg.norm(blocks.Yf)
        for one, other in zip(fast, slow, strict=True):
            assert np.abs(one - other).max(initial=0.0) < 1e-12 * size


def test_full_rank_is_claimed_only_beyond_doubt():
    assert full_rank(np.zeros((0, 0)))
    assert full_rank(np.tril(np.ones((5, 5))))
    assert not full_rank(np.diag([1.0, 0.0]))
    assert not full_rank(np.diag([1.0, 1e-14]))


@pytest.mark.parametrize("kind", ["white", "two lines", "constant"])
def test_excitation_without_singular_values(kind):
    t = np.arange(300)
    u = {
        "white": np.random.default_rng(0).standard_normal(300),
        "two lines": np.cos(0.3 * t) + np.cos(t),
        "constant": np.full(300, 0.1),
    }[kind]
    factor = HankelFactor(1, 1, past=5, future=5)
    factor.update(np.random.default_rng(1).standard_normal(300), u)
    rows = FactorBlocks.from_factor(factor, remove_means=True).rows[:10, :10]
    scale = np.array([np.linalg.norm(u)])
    assert excites_fully(rows, scale) == (kind == "white")
    order = input_excitation(np.vstack([rows[5:], rows[:5]]), scale).order
    assert order == {"white": 10, "two lines": 4, "constant": 0}[kind]
