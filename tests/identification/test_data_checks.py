from __future__ import annotations

import numpy as np
import pytest
import scipy
from feedback import feedback_record
from realdata import daisy
from systems import random_innovation, random_linear

from identification import Experiments, HankelFactor, data_checks, multisine, prbs, subspace_id
from identification.closed_loop import CLOSED_LOOP
from identification.data_checks import FEEDBACK_LEVEL, feedback_test, suspected_feedback
from identification.projections import FactorBlocks
from realization import InnovationSSM, markov_parameters, simulate

PLANT = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
)
WHITE_NOISE = InnovationSSM(PLANT.A, PLANT.C, [[0.0], [0.0]], PLANT.Re, B=PLANT.B)


def compressed(y: np.ndarray, u: np.ndarray, horizon: int = 10) -> FactorBlocks:
    """Return the blocks of a record."""
    factor = HankelFactor(y.shape[1], u.shape[1], past=horizon, future=horizon).update(y, u)
    return FactorBlocks.from_factor(factor, remove_means=True)


# --- feedback -------------------------------------------------------------------------------------


def open_loop_input(kind: str, T: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return an input chosen without looking at the output."""
    e = rng.standard_normal((T, m))
    if kind == "white":
        return e
    if kind == "slow":
        return scipy.signal.lfilter([1.0], [1.0, -0.98], e, axis=0)
    if kind == "held":
        return np.sign(e[: -(-T // 6)]).repeat(6, axis=0)[:T]
    if kind == "integrated":
        return np.cumsum(e, axis=0)
    return e - 0.99 * np.vstack([np.zeros((1, m)), e[:-1]])  # no power at frequency 0


@pytest.mark.parametrize("kind", ["white", "slow", "held", "integrated", "differenced"])
@pytest.mark.parametrize(("T", "m", "p"), [(250, 1, 1), (600, 2, 2)])
def test_false_alarms_are_as_rare_as_they_should_be(kind, T, m, p):
    rng = np.random.default_rng(0)
    values = []
    for _ in range(100):
        plant = random_innovation(rng, 3, m, p)
        u = open_loop_input(kind, T, m, rng)
        y = simulate(plant, u, noise=True, rng=rng).y
        values.append(feedback_test(compressed(y, u, 8), feedthrough=True).p_value)
    p_values = np.array(values)
    # 100 draws: at level q more than this many alarms have probability below 1e-4
    for level in (0.001, 0.01, 0.05):
        assert np.sum(p_values < level) <= scipy.stats.binom.isf(1e-4, 100, level)
    assert np.sum(p_values < FEEDBACK_LEVEL) <= 2


def test_a_slow_plant_with_white_noise_raises_no_alarm():
    # the predictor forgets as slowly as the plant: the past is far too short for it
    plant = InnovationSSM(
        [[0.985, 0.1], [-0.1, 0.985]], [[1.0, 0.0]], [[0.0], [0.0]], [[25.0]], B=[[0.5], [1.0]]
    )
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(60):
        u = open_loop_input("slow", 1000, 1, rng)
        y = simulate(plant, u, noise=True, rng=rng).y
        alarms += feedback_test(compressed(y, u, 8), feedthrough=True).p_value < FEEDBACK_LEVEL
    assert alarms <= 2


def test_a_past_that_is_too_short_is_no_feedback():
    plant = InnovationSSM(
        [[0.985, 0.1], [-0.1, 0.985]], [[1.0, 0.0]], [[0.0], [0.0]], [[25.0]], B=[[0.5], [1.0]]
    )
    rng = np.random.default_rng(1)
    u = open_loop_input("differenced", 40000, 1, rng)
    y = simulate(plant, u, noise=True, rng=rng).y
    assert feedback_test(compressed(y, u, 8), feedthrough=True).p_value < FEEDBACK_LEVEL
    found = subspace_id(y, u, 2, method="moesp", past=8, future=8, bd="factor")
    assert not any("feedback" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("plant", "gain", "delay", "feedthrough"),
    [
        (PLANT, 0.5, 0, True),
        (PLANT, 0.2, 1, True),
        (PLANT, 0.2, 0, False),
        (WHITE_NOISE, 0.3, 1, True),
        (WHITE_NOISE, 0.15, 3, True),
        (WHITE_NOISE, 0.5, 0, False),
    ],
)
def test_feedback_is_found(plant, gain, delay, feedthrough):
    rng = np.random.default_rng(2)
    for _ in range(5):
        y, u = feedback_record(plant, gain, 4000, rng, delay=delay)
        test = feedback_test(compressed(y, u), feedthrough=feedthrough)
        assert test.p_value < FEEDBACK_LEVEL
        assert test.correlation > test.usual


def test_instantaneous_feedback_of_white_noise_looks_like_feedthrough():
    # the same law as an open-loop plant with a D: no test can tell them apart
    y, u = feedback_record(WHITE_NOISE, 0.5, 4000, np.random.default_rng(3))
    assert feedback_test(compressed(y, u), feedthrough=True).p_value > FEEDBACK_LEVEL


def test_the_warning_says_what_was_found_and_what_to_do():
    y, u = feedback_record(PLANT, 0.5, 2000, np.random.default_rng(4))
    found = subspace_id(y, u, 2, method="moesp", past=10, future=10)
    text = next(text for text in found.warnings if "feedback" in text)
    assert "later inputs and the innovations have correlation 0." in text
    assert "p-value" in text
    assert "method='ssarx' or 'pbsid' allows for it" in text
    assert text in found.summary()
    without = subspace_id(y, u, 2, method="moesp", past=10, future=10, feedthrough=False)
    assert any("present and later inputs" in text for text in without.warnings)
    for method in ("ssarx", "pbsid", "parsim"):
        found = subspace_id(y, u, 2, method=method, past=10, future=10)
        assert not any("feedback" in text for text in found.warnings)


def test_a_factor_alone_tells_feedback():
    y, u = feedback_record(PLANT, 0.5, 2000, np.random.default_rng(5))
    factor = HankelFactor(1, 1, past=10, future=10).update(y, u)
    found = subspace_id(order=2, factor=factor)
    assert found.method == "pbsid"
    assert any("feedback" in text for text in found.warnings)
    assert subspace_id(order=2, factor=factor, method="moesp").method == "moesp"


@pytest.mark.parametrize("focus", ["prediction", "simulation"])
def test_auto_tries_what_allows_for_feedback_and_says_so(focus):
    y, u = feedback_record(PLANT, 0.3, 800, np.random.default_rng(7), delay=1)
    found = subspace_id(y, u, 2, past=10, focus=focus)
    assert {trial.method for trial in found.trials} == {"ssarx", "pbsid"}
    text = next(text for text in found.warnings if "feedback" in text)
    assert "only methods that allow for it were tried; name a method to have another" in text
    assert ("A fit of the simulated output is biased too" in text) == (focus == "simulation")
    assert text in found.summary()
    named = subspace_id(y, u, 2, method="moesp", past=10, future=10)  # as asked, and said
    assert named.method == "moesp"
    assert any("which biases this method" in text for text in named.warnings)


def test_auto_on_a_short_record_under_feedback():
    y, u = feedback_record(PLANT, 0.5, 60, np.random.default_rng(8), delay=1, reference=0.2)
    found = subspace_id(y, u, 2, past=5)
    assert not found.trials  # its own fits choose
    assert found.method in CLOSED_LOOP
    assert any("only methods that allow for it were tried" in text for text in found.warnings)
    few = Experiments.from_data(y[:40], u[:40])
    assert not suspected_feedback(few, None, None, remove_means=True, feedthrough=True)


def test_a_fit_of_the_simulated_output_is_mentioned():
    y, u = feedback_record(PLANT, 0.5, 2000, np.random.default_rng(9))
    found = subspace_id(y, u, 2, method="ssarx", past=10, future=10, bd="simulation")
    assert any("A fit of the simulated output is biased too" in text for text in found.warnings)
    found = subspace_id(y, u, 2, method="ssarx", past=10, future=10)
    assert not any("feedback" in text for text in found.warnings)


@pytest.mark.slow
def test_auto_under_feedback_is_close_to_the_plant():
    # methods for open loop are biased, so is a fit of the simulated output: prediction is not
    errors = {"moesp": [], "prediction": [], "simulation": []}
    expected = markov_parameters(PLANT, 40)
    for seed in range(6):
        y, u = feedback_record(PLANT, 0.3, 4000, np.random.default_rng(seed), delay=1)
        for name, values in errors.items():
            options = {"method": name} if name == "moesp" else {"focus": name}
            model = subspace_id(y, u, 2, past=15, feedthrough=False, **options).model
            values.append(np.linalg.norm(markov_parameters(model, 40) - expected))
    assert np.median(errors["prediction"]) < 0.5 * np.median(errors["moesp"])
    assert np.median(errors["prediction"]) < np.median(errors["simulation"])


@pytest.mark.parametrize(("name", "closed"), [("CD_player_arm", True), ("dryer", False)])
def test_feedback_in_measured_plants(name, closed):
    y, u = daisy(name)  # the arm is held on its track by a controller
    found = subspace_id(y, u, 4, method="moesp", past=10, future=10)
    assert any("feedback" in text for text in found.warnings) == closed


def test_nothing_is_tested_where_nothing_is_left_to_chance():
    rng = np.random.default_rng(6)
    plant = random_linear(rng, 2, 1, 1)
    noisy = random_innovation(rng, 2, 1, 1)
    u = rng.standard_normal((400, 1))
    sines = multisine(20, periods=20, band=(0.3, 1.0))
    cases = [
        (simulate(plant, u).y, u),  # no noise
        (simulate(noisy, sines, noise=True, rng=rng).y, sines),  # an input its past determines
        (rng.standard_normal((400, 1)), np.zeros((400, 1))),
        (np.zeros((400, 1)), u),
        (rng.standard_normal((45, 1)), u[:45]),  # too few samples
    ]
    for y, inputs in cases:
        test = feedback_test(compressed(y, inputs), feedthrough=True)
        assert (test.p_value, test.correlation, test.usual) == (1.0, 0.0, 1.0)


# --- excitation -----------------------------------------------------------------------------------


def excitation_warnings(y: np.ndarray, u: np.ndarray, order: int, **options: object) -> list[str]:
    """Return what subspace_id says about the input."""
    result = subspace_id(y, u, order, past=8, future=8, **options)
    return [text for text in result.warnings if "persistently exciting" in text]


@pytest.mark.parametrize("method", ["moesp", "cva", "ssarx"])
def test_too_little_excitation_is_said_with_both_numbers(method):
    rng = np.random.default_rng(7)
    plant = random_innovation(rng, 2, 1, 1)
    poor = multisine(400, band=(0.5, 0.54))
    y = simulate(plant, poor, noise=True, rng=rng).y
    (text,) = excitation_warnings(y, poor, 2, method=method)
    assert "exciting of order 6; 10 are needed (future = 8 and 2 states)" in text
    rich = prbs(400)
    y = simulate(plant, rich, noise=True, rng=rng).y
    assert excitation_warnings(y, rich, 2, method=method) == []
    # just enough: five sines excite order 10
    enough = multisine(400, band=(0.5, 0.57))
    y = simulate(plant, enough, noise=True, rng=rng).y
    assert excitation_warnings(y, enough, 2, method=method) == []
    assert len(excitation_warnings(y, enough, 3, method=method)) == 1


def test_a_constant_input_excites_nothing():
    rng = np.random.default_rng(8)
    y = rng.standard_normal((300, 1))
    for level, offset, order in ((0.1, "estimate", 0), (1e6, "estimate", 0), (5.0, "none", 1)):
        u = np.full((300, 1), level)
        (text,) = excitation_warnings(y, u, 2, method="moesp", offset=offset)
        assert f"exciting of order {order};" in text
    factor = HankelFactor(1, 1, past=8, future=8).update(y, np.full((300, 1), 0.1))
    alone = subspace_id(order=2, factor=factor)
    assert any("exciting of order 0;" in text for text in alone.warnings)


# --- drift ----------------------------------------------------------------------------------------


def drift_warnings(y: np.ndarray, u: np.ndarray | None, **options: object) -> list[str]:
    """Return what subspace_id says about a drift."""
    result = subspace_id(y, u, 3, method="cva", past=10, future=10, **options)
    return [text for text in result.warnings if "straight line" in text]


def test_a_drift_that_became_a_pole_is_said():
    rng = np.random.default_rng(9)
    plant = random_innovation(rng, 2, 1, 1)
    u = rng.standard_normal((600, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    assert drift_warnings(y, u) == []
    line = np.linspace(-30.0, 30.0, 600)[:, np.newaxis] * y.std()
    (text,) = drift_warnings(y + line, u)
    assert "of the variance of output 'y'" in text
    assert "runs of 600 samples: unless the plant drifts, use detrend(y, u) first" in text


def test_a_slow_pole_without_a_drift_is_no_drift():
    rng = np.random.default_rng(10)
    t = np.arange(3000)
    y = (np.cos(2 * np.pi * t / 3000) + 0.1 * rng.standard_normal(3000))[:, np.newaxis]
    assert drift_warnings(y, None) == []


@pytest.mark.parametrize("feedthrough", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_feedback_by_one_triangle(monkeypatch, seed, feedthrough):
    rng = np.random.default_rng(seed)
    y, u = rng.standard_normal((500, 2)), rng.standard_normal((500, 1 + seed % 2))
    blocks = compressed(y + np.roll(u[:, :1], 1, axis=0), u)
    fast = feedback_test(blocks, feedthrough=feedthrough)
    monkeypatch.setattr(data_checks, "_by_triangle", lambda *rows: None)
    slow = feedback_test(blocks, feedthrough=feedthrough)
    assert np.isclose(fast.p_value, slow.p_value, rtol=1e-9)
    assert np.isclose(fast.correlation, slow.correlation, rtol=1e-9)
    assert fast.usual == slow.usual
