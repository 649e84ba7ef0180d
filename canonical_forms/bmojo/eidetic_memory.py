r"""The eidetic memory: a fixed number of tokens, kept because they could not be predicted.

The innovation e_t is what the predictor did not know about the present; r_t = e_t' S^-1 e_t is its
size relative to what is expected, chi-squared with p degrees of freedom when the model is right. A
token is a candidate when r_t exceeds a quantile, and the memory keeps the E largest. The choice is
hard: gradients flow through what is stored, not through the decision.

Candidates are *pending* until their chunk of c tokens is complete and *committed* from then on: a
token reads what the chunks before its own have chosen. So a chunk can be computed in parallel, and
tokens that come one by one see the same memory.

Slots are sorted by score, largest first; of equal scores the younger one first, so that the oldest
is evicted. Empty slots have score -inf and position -1. This total order makes the E best of a
union the E best of the E best of its parts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["EideticState", "empty_slots", "merge", "normalized_innovation", "schedule"]


class EideticState(NamedTuple):
    """Stored tokens, in a fixed number of slots.

    Parameters
    ----------
    keys, values : (B, E, H, d) torch.Tensor
        Projected tokens.
    score : (B, E) torch.Tensor
        r_t of each, -inf where the slot is empty.
    position : (B, E) torch.Tensor
        Times at which they came, -1 where the slot is empty.
    """

    keys: torch.Tensor
    values: torch.Tensor
    score: torch.Tensor
    position: torch.Tensor


def empty_slots(keys: torch.Tensor, slots: int, score: torch.dtype) -> EideticState:
    """Return empty slots for keys of the shape (B, any, H, d)."""
    zeros = keys.new_zeros(keys.shape[0], slots, *keys.shape[2:])
    return EideticState(
        zeros,
        zeros.clone(),
        keys.new_full((keys.shape[0], slots), -torch.inf, dtype=score),
        keys.new_full((keys.shape[0], slots), -1, dtype=torch.int64),
    )


def normalized_innovation(innovation: torch.Tensor, S_chol: torch.Tensor) -> torch.Tensor:
    """Return r = e' S^-1 e of innovations (..., p), given the Cholesky factor of S (p, p)."""
    white = torch.linalg.solve_triangular(S_chol, innovation.mT, upper=False)
    return white.square().sum(-2)


def merge(memory: EideticState, others: EideticState) -> EideticState:
    """Return the best tokens of both, as many as the first has slots."""
    both = EideticState(*(torch.cat(pair, 1) for pair in zip(memory, others, strict=True)))
    return _take(both, _best(both.score, both.position, memory.score.shape[1]))


def schedule(
    committed: EideticState, pending: EideticState, tokens: EideticState, start: int, chunk: int
) -> tuple[EideticState, EideticState, EideticState]:
    """Decide what each chunk of a sequence reads.

    Parameters
    ----------
    committed, pending : EideticState
        The memory before the sequence, and what an unfinished chunk has collected.
    tokens : EideticState
        All L tokens of the sequence, with score -inf where the test rejects.
    start : int
        Time of the first of them.
    chunk : int
        Commitments happen at times that are multiples of it.

    Returns
    -------
    EideticState
        What each chunk reads: the axes are (B, chunks, E, ...).
    EideticState, EideticState
        Committed and pending memory after the sequence.
    """
    slots, length = committed.score.shape[1], tokens.score.shape[1]
    empty = empty_slots(tokens.keys, slots, tokens.score.dtype)
    pool = EideticState(
        *(torch.cat(parts, 1) for parts in zip(committed, pending, tokens, empty, strict=True))
    )
    score, position = pool.score.detach(), pool.position
    place = torch.arange(score.shape[1], device=score.device).expand_as(score)
    held, waiting, _, nothing = place.split([slots, slots, length, slots], 1)
    arriving = (tokens.score > -torch.inf).any(0).tolist()
    any_waiting = bool((pending.score > -torch.inf).any())
    reads, first = [], 0
    while first < length:
        reads.append(held)
        end = min(length, (start + first) // chunk * chunk + chunk - start)
        if any(arriving[first:end]):
            found = torch.cat([waiting, place[:, 2 * slots + first : 2 * slots + end]], 1)
            waiting, any_waiting = _choose(score, position, found, slots), True
        if (start + end) % chunk == 0 and any_waiting:
            held = _choose(score, position, torch.cat([held, waiting], 1), slots)
            waiting, any_waiting = nothing, False
        first = end
    every = torch.stack(reads, 1)
    read = _take(pool, every.flatten(1))
    read = EideticState(*(part.unflatten(1, every.shape[1:]) for part in read))
    return read, _take(pool, held), _take(pool, waiting)


def _best(score: torch.Tensor, position: torch.Tensor, count: int) -> torch.Tensor:
    """Return where the best tokens are: by score, then by youth (B, count)."""
    place = torch.argsort(position, dim=1, descending=True, stable=True)
    order = torch.argsort(score.gather(1, place), dim=1, descending=True, stable=True)
    return place.gather(1, order[:, :count])


def _choose(
    score: torch.Tensor, position: torch.Tensor, place: torch.Tensor, count: int
) -> torch.Tensor:
    """Return the best of the tokens at the given places of a pool, as places of the pool."""
    best = _best(score.gather(1, place), position.gather(1, place), count)
    return place.gather(1, best)


def _take(pool: EideticState, place: torch.Tensor) -> EideticState:
    """Return the tokens at the given places (B, count)."""
    wide = place[:, :, None, None].expand(-1, -1, *pool.keys.shape[2:])
    return EideticState(
        pool.keys.gather(1, wide),
        pool.values.gather(1, wide),
        pool.score.gather(1, place),
        pool.position.gather(1, place),
    )
