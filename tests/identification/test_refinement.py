from __future__ import annotations

import numpy as np
import pytest
from systems import random_innovation

from identification import Experiments, subspace_id
from identification.refinement import MOST_STEPS, refined, steps
from identification.reidentification import subspace_again
from realization import markov_parameters, simulate


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
    start = subspace_id(y, u, 2, method="n4sid", offset="none", dt=0.5)
    data = Experiments.from_data(y, u, dt=0.5)
    found = refined(start, data, focus="prediction", estimate_offset=False, stable=False)
    assert found is not None
    assert found.model.Re[0, 0] <= start.model.Re[0, 0]
    assert found.model.dt == 0.5


@pytest.mark.parametrize("offset", ["estimate", "none"])
@pytest.mark.parametrize("focus", ["prediction", "simulation"])
def test_what_was_refined_is_refined_again(focus, offset):
    for seed in range(1, 30):
        y, u = _record(seed)
        result = subspace_id(y + 3.0, u, 2, past=10, focus=focus, offset=offset)
        if result.trials[0].refined:
            break
    again = subspace_again(result)(Experiments.from_data(y + 3.0, u))
    G = markov_parameters(result.model, 30)
    assert np.abs(markov_parameters(again.model, 30) - G).max() <= 1e-6 * np.abs(G).max()
    plain = subspace_id(
        *(y + 3.0, u, 2),
        method=result.method,
        past=10,
        focus=focus,
        bd=focus,
        offset=offset,
    )
    assert np.abs(markov_parameters(plain.model, 30) - G).max() > 1e-4 * np.abs(G).max()


def test_a_refinement_that_overflows_on_held_out_blocks_loses():
    y, u = _record(0)  # one of order 8 reaches 1e202 there
    assert np.isfinite(subspace_id(y + 3.0, u).trials[0].fit)


def test_weights_and_stability_are_asked_for_again():
    y, u = _record(3)
    result = subspace_id(y, u, 6, method="pbsid", weight="cva", stable=True, offset="none")
    again = subspace_again(result)(Experiments.from_data(y, u))
    assert again.options == result.options
    np.testing.assert_array_equal(again.model.A, result.model.A)


def test_a_named_method_is_not_refined():
    y, u = _record(2)
    assert not any(trial.refined for trial in subspace_id(y, u, 2, bd="prediction").trials)
    assert "refined by pem" in " ".join(str(trial) for trial in subspace_id(y, u, 2).trials)
