from __future__ import annotations

import numpy as np
from systems import random_innovation

from identification import Experiments, subspace_id
from identification.refinement import MOST_STEPS, refined, steps
from realization import simulate


def _record(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((400, 1))
    return simulate(random_innovation(rng, 2, 1, 1), u, noise=True, rng=rng).y, u


def test_a_large_record_allows_fewer_steps():
    y, u = _record(0)
    model = subspace_id(y, u, 2, method="cva").model
    assert steps(model, Experiments.from_data(y, u)) == MOST_STEPS
    assert steps(model, Experiments.from_data(np.zeros(2_000_000), np.zeros(2_000_000))) < 10


def test_the_refined_model_fits_its_record_better():
    y, u = _record(1)
    start = subspace_id(y, u, 2, method="n4sid", offset="none")
    found = refined(
        start.model,
        0.0,
        Experiments.from_data(y, u),
        focus="prediction",
        estimate_offset=False,
        stable=False,
    )
    assert found is not None
    assert found.model.Re[0, 0] <= start.model.Re[0, 0]
    assert found.model.dt == 1.0


def test_a_named_method_is_not_refined():
    y, u = _record(2)
    assert not any(trial.refined for trial in subspace_id(y, u, 2, bd="prediction").trials)
    assert "refined by pem" in " ".join(str(trial) for trial in subspace_id(y, u, 2).trials)
