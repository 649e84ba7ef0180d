"""Held-out blocks: every sample in one block, and in all others' rests."""

import numpy as np
import pytest

from identification import Experiments
from identification.held_out import held_out_blocks


@pytest.mark.parametrize("count", [2, 3])
def test_blocks_cover_every_run_once(count):
    runs = [np.arange(10.0), np.arange(100.0, 107.0)]
    data = Experiments.from_data(runs, [-run for run in runs])
    pairs = held_out_blocks(data, count)
    assert len(pairs) == count
    for k, run in enumerate(runs):
        parts = [block.y[k][:, 0] for _, block in pairs]
        np.testing.assert_array_equal(np.concatenate(parts), run)
        assert np.ptp([len(part) for part in parts]) <= 1
    for rest, block in pairs:
        assert len(rest.y) == 2 * (count - 1)
        both = np.sort(np.concatenate([*rest.y, *block.y])[:, 0])
        np.testing.assert_array_equal(both, np.concatenate(runs))
        assert all((u == -y).all() for y, u in zip(rest.y + block.y, rest.u + block.u, strict=True))
