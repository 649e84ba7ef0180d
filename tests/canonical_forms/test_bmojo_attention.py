"""The joint softmax and the eidetic memory against dense and sequential references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from canonical_forms.bmojo import BMojoLayer, from_model  # noqa: E402
from canonical_forms.bmojo.eidetic_memory import (  # noqa: E402
    EideticState,
    empty_slots,
    merge,
    normalized_innovation,
    schedule,
)
from realization import InnovationSSM, LinearSSM, simulate  # noqa: E402

torch.set_num_threads(1)  # small tensors: threads cost more than they bring
CHECKED = settings(max_examples=20, deadline=None, derandomize=True)


def random_layer(seed=0, m=3, p=2, **options):
    """Return a layer in double precision whose gate is open."""
    torch.manual_seed(seed)
    options = {"modes": (1, 2), "window": 4, "eidetic": 3, "dtype": torch.float64} | options
    layer = BMojoLayer(m, p, **options)
    if layer.gate is not None:
        layer.gate.data.normal_()
    return layer


def dense_attention(layer, x, memory_of=None):
    """Return the attention branch from one L by (L + L + L) mask: eidetic, fading, window.

    ``memory_of(i)`` lists the positions in the eidetic memory at time i.
    """
    attention, W, L = layer.attention, layer.window, x.shape[1]
    linear, _ = layer.memory(x)
    q = attention.queries(x)
    k, v = attention.token_memory(x)
    fk, fv = attention.fading_memory(linear)
    keys, values = torch.cat([k, fk, k], 1), torch.cat([v, fv, v], 1)
    i, j = torch.arange(L)[:, None], torch.arange(L)
    window = (j <= i) & (j > i - W)
    fading = (j <= i - W) & (j > i - 2 * W)
    chosen = torch.zeros(L, L, dtype=torch.bool)
    for time in range(L):
        for position in memory_of(time) if memory_of else ():
            chosen[time, position] = position <= time - 2 * W
    mask = torch.cat([chosen, fading, window], 1)
    logits = torch.einsum("bihd,bjhd->bhij", q, keys).masked_fill(~mask, -torch.inf)
    mixed = torch.einsum("bhij,bjhd->bihd", torch.softmax(logits, -1), values)
    return linear + layer.gate * attention.o_proj(mixed.flatten(2))


@CHECKED
@given(
    seed=st.integers(0, 2**31),
    length=st.integers(1, 40),
    window=st.integers(1, 9),
    heads=st.integers(1, 2),
    square=st.booleans(),
    tied=st.booleans(),
)
def test_without_eidetic_memory_it_is_a_dense_mask(seed, length, window, heads, square, tied):
    p = 3 if square else 2
    layer = random_layer(
        seed, 3, p, window=window, eidetic=0, n_heads=heads, tie_kv=tied and square
    )
    x = torch.randn(2, length, 3, dtype=torch.float64)
    assert (layer(x).y - dense_attention(layer, x)).abs().max() < 1e-12
    single = layer.float()
    assert (single(x.float()).y - dense_attention(single, x.float())).abs().max() < 1e-5


def kept(score, selected, slots, chunk):
    """Return, for every time, the positions that the memory holds: by sorting, chunk by chunk."""
    held, lists = [], []
    for time in range(len(score)):
        if time % chunk == 0:
            past = [j for j in range(time) if selected[j]]
            held = sorted(past, key=lambda j: (-score[j], -j))[:slots]
        lists.append(held)
    return lists


@CHECKED
@given(
    seed=st.integers(0, 2**31),
    length=st.integers(1, 50),
    window=st.integers(1, 4),
    slots=st.integers(1, 5),
    chunk=st.sampled_from([1, 2, 3, 7, 16, 100]),
)
def test_eidetic_memory_is_the_sorted_past(seed, length, window, slots, chunk):
    layer = random_layer(seed, window=window, eidetic=slots, chunk=chunk, threshold=1.0)
    x, y = (torch.randn(1, length, c, dtype=torch.float64) for c in (3, 2))
    out = layer(x, y=y)
    score = layer.surprise(out.innovation)[0].tolist()
    lists = kept(score, out.selected[0].tolist(), slots, chunk)
    assert torch.equal(out.selected, layer.surprise(out.innovation) > 1.0)
    assert (out.y - dense_attention(layer, x, lists.__getitem__)).abs().max() < 1e-12


def slots_of(score, position):
    """Return a memory whose keys carry the positions."""
    score = torch.tensor([score], dtype=torch.float64)
    position = torch.tensor([position])
    keys = position[..., None, None].double()
    return EideticState(keys, -keys, score, position)


def test_equal_scores_evict_the_oldest():
    none = -float("inf")
    memory = slots_of([5.0, 2.0, none], [4, 1, -1])
    memory = merge(memory, slots_of([2.0], [6]))
    assert memory.position.tolist() == [[4, 6, 1]]
    memory = merge(memory, slots_of([2.0, 7.0], [8, 9]))
    assert memory.position.tolist() == [[9, 4, 8]]
    assert memory.keys[0, :, 0, 0].tolist() == [9, 4, 8]
    assert memory.values[0, :, 0, 0].tolist() == [-9, -4, -8]


def test_schedule_leaves_an_empty_memory_empty():
    empty = empty_slots(torch.zeros(2, 1, 1, 1), 3, torch.float64)
    tokens = empty_slots(torch.zeros(2, 1, 1, 1), 10, torch.float64)
    read, committed, pending = schedule(empty, empty, tokens, 5, 4)
    assert read.score.shape == (2, 3, 3)
    for memory in (read, committed, pending):
        assert bool((memory.position == -1).all())


def test_normalized_innovation_is_the_quadratic_form():
    torch.manual_seed(0)
    e = torch.randn(4, 7, 3, dtype=torch.float64)
    root = torch.randn(3, 3, dtype=torch.float64).tril() + 3 * torch.eye(3)
    S = root @ root.mT
    expected = torch.einsum("bti,ij,btj->bt", e, torch.linalg.inv(S), e)
    torch.testing.assert_close(normalized_innovation(e, root), expected)


def test_gradients_flow_through_what_is_stored_and_not_through_the_choice():
    layer = random_layer(window=1, eidetic=4, threshold=0.5)
    x, y = (torch.randn(1, 12, c, dtype=torch.float64) for c in (3, 2))
    out = layer(x, y=y)
    out.y[:, -1].sum().backward()
    assert layer.attention.k_proj.weight.grad.abs().sum() > 0
    assert layer.predictor.B.grad is None
    layer(x, y=y).innovation.square().sum().backward()
    assert layer.predictor.B.grad.abs().sum() > 0


def test_memory_of_an_identified_model_holds_the_surprises():
    rng, steps = np.random.default_rng(0), 3000
    A = 0.97 * np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    B, C, K = np.array([[1.0], [0.3]]), np.array([[2.0, -1.0]]), np.array([[0.2], [-0.1]])
    events = np.sort(rng.choice(np.arange(20, steps), 12, replace=False))
    e = 0.5 * rng.standard_normal((steps, 1))
    e[events] += 0.5 * 8.0 * rng.choice([-1.0, 1.0], (12, 1))
    u = rng.standard_normal((steps, 1))
    y = simulate(LinearSSM(A, np.hstack([B, K]), C, [[0.0, 1.0]]), np.hstack([u, e])).y
    layer = from_model(
        InnovationSSM(A, C, K, [[0.25]], B=B), dtype=torch.float64, window=4, eidetic=12, alpha=1e-4
    )
    out = layer(torch.from_numpy(u)[None], y=torch.from_numpy(y)[None])
    chosen = set(np.flatnonzero(out.selected[0].numpy()))
    assert 2 * len(chosen & set(events)) >= 0.95 * (len(chosen) + len(events))  # F1
    stored = sorted(out.state.eidetic.position[0].tolist())
    assert len(set(stored) & set(events)) >= 11
