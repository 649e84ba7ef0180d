"""What method="auto" chooses under feedback, among all methods and among those that allow for it.

Run ``python benchmarks/feedback_choice.py``. Relative error of the impulse response of what is
chosen, method, horizon and order, on 1000 samples: median (largest) over random plants of order 2
to 4 with coloured noise, u(t) = reference - 0.4 y(t - delay), two records each, without delay and
with one sample, the reference half as large as the innovations. "all methods" switches off what
``subspace_id`` does where it suspects feedback. ``focus="simulation"`` fits and compares the
simulated output, which feedback biases whatever the method.
"""

import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from feedback import feedback_record
from systems import random_innovation

from identification import subspace_id
from identification.data_checks import suspected_feedback
from realization import markov_parameters, poles

SAMPLES, PLANTS, GAIN, COUNT = 1000, 8, 0.4, 80
RULES = {"all methods": lambda *_, **__: "", "those that allow for it": suspected_feedback}


def regulated_plants():
    """Return random plants without feedthrough that the gain keeps stable."""
    found, seed = [], 0
    while len(found) < PLANTS:
        rng = np.random.default_rng([7, seed])
        plant = random_innovation(rng, int(rng.integers(2, 5)), 1, 1)
        plant = replace(plant, D=np.zeros((1, 1)))
        closed = replace(plant, A=plant.A - GAIN * plant.B @ plant.C)
        size = np.linalg.norm(markov_parameters(plant, COUNT))
        if np.abs(poles(closed)).max() < 0.97 and size > 0.3:
            found.append(plant)
        seed += 1
    return found


def error(plant, y, u, focus, rule):
    """Return the relative error of the impulse response of what is chosen."""
    with patch("identification.subspace.suspected_feedback", RULES[rule]):
        model = subspace_id(y, u, focus=focus, feedthrough=False).model
    expected = markov_parameters(plant, COUNT)
    return np.linalg.norm(markov_parameters(model, COUNT) - expected) / np.linalg.norm(expected)


def main():
    """Print the table."""
    errors = {(focus, rule): [] for focus in ("prediction", "simulation") for rule in RULES}
    for number, plant in enumerate(regulated_plants()):
        for delay in (0, 1):
            rng = np.random.default_rng([number, delay, 3])
            y, u = feedback_record(plant, GAIN, SAMPLES, rng, delay=delay, reference=0.5)
            for (focus, rule), values in errors.items():
                values.append(error(plant, y, u, focus, rule))
    print(f"{'focus':12}{'compared':26}{'error':>8}{'largest':>10}")
    for (focus, rule), values in errors.items():
        print(f"{focus:12}{rule:26}{np.median(values):8.2f}{max(values):10.2f}")


if __name__ == "__main__":
    main()
