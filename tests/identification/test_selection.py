from __future__ import annotations

import numpy as np
import pytest
from systems import random_innovation

from identification import subspace_id
from identification.subspace import SEARCHED
from realization import InnovationSSM, simulate

OSCILLATION = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.9]], [[1.0, 0.0]], [[0.5], [0.1]], [[0.01]], B=[[0.0], [0.2]]
)


@pytest.mark.slow
def test_auto_finds_the_order_of_a_benign_plant():
    orders = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        u = rng.choice([-1.0, 1.0], (1000, 1))
        y = simulate(OSCILLATION, u, noise=True, rng=rng).y
        orders.append(subspace_id(y, u).n_states)
    assert orders.count(2) >= 10


def test_every_trial_is_kept_and_the_choice_comes_first():
    rng = np.random.default_rng(1)
    u = rng.standard_normal((600, 1))
    y = simulate(OSCILLATION, u, noise=True, rng=rng).y
    result = subspace_id(y, u, focus="simulation")
    chosen, *others = result.trials
    assert result.method == chosen.method
    assert result.n_states == chosen.order
    assert result.options["past"] == result.options["future"] == chosen.horizon
    assert result.options["criterion"] == "held-out"
    fits = [trial.fit for trial in others]
    assert fits == sorted(fits, reverse=True)
    assert f"chosen among {len(result.trials)} models by their fit on held-out" in result.summary()
    assert str(chosen) in result.summary()
    again = subspace_id(y, u, focus="simulation")
    assert [str(t) for t in again.trials] == [str(t) for t in result.trials]


def test_what_is_given_is_kept():
    rng = np.random.default_rng(2)
    plant = random_innovation(rng, 3, 1, 1)
    u = rng.standard_normal((800, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    result = subspace_id(y, u, 5, past=12)
    assert {trial.order for trial in result.trials} == {5}
    assert {trial.horizon for trial in result.trials} == {12}
    assert {trial.method for trial in result.trials} == set(SEARCHED)
    with pytest.raises(ValueError, match="held-out blocks takes equal horizons"):
        subspace_id(y, u, past=12, future=8)


def test_held_out_order_of_a_named_method():
    rng = np.random.default_rng(3)
    u = rng.standard_normal((800, 1))
    y = simulate(OSCILLATION, u, noise=True, rng=rng).y
    result = subspace_id(y, u, method="cva", criterion="cv", past=10)
    assert {trial.method for trial in result.trials} == {"cva"}
    assert result.n_states == result.trials[0].order == 2


def test_a_record_too_short_for_blocks_falls_back_to_the_criterion():
    rng = np.random.default_rng(4)
    u = rng.standard_normal((60, 1))
    y = simulate(OSCILLATION, u, noise=True, rng=rng).y
    result = subspace_id(y, u)
    assert result.trials == ()
    assert result.options["criterion"] == "svc"
    assert "chosen among" not in result.summary()


def test_a_record_of_one_sample_is_too_short():
    with pytest.raises(ValueError, match=r"too few samples: .* got 1 in 1 experiment \(0 of the"):
        subspace_id([1.0], [1.0], 2)
