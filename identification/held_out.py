"""Blocks of a record to be held out in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .data import Experiments

__all__ = ["held_out_blocks"]


def held_out_blocks(data: Experiments, count: int) -> list[tuple[Experiments, Experiments]]:
    """Return for each of `count` blocks of every run: what is left without it, and the block.

    What is left is separate runs, in the order of their times.
    """

    def block(k: int) -> Experiments:
        """Return block k of every run."""

        def cut(run: np.ndarray) -> np.ndarray:
            return run[run.shape[0] * k // count : run.shape[0] * (k + 1) // count]

        return replace(data, y=tuple(map(cut, data.y)), u=tuple(map(cut, data.u)))

    blocks = [block(k) for k in range(count)]
    pairs = []
    for k, held in enumerate(blocks):
        others = blocks[:k] + blocks[k + 1 :]
        y = tuple(run for other in others for run in other.y)
        u = tuple(run for other in others for run in other.u)
        pairs.append((replace(data, y=y, u=u), held))
    return pairs
