"""The test for feedback inside subspace_id: false alarms in open loop, detections in closed loop.

Run ``python benchmarks/feedback_warning.py``. Share of records, in percent, at which
``subspace_id`` warns (nominally one in 1000 in open loop), with its standard error. Open loop:
random plants of order 3 with coloured noise, five kinds of input; horizons of 10, too short a past
for the slowest of them, which shows in long records. Closed loop: one plant of order 2, white
reference, u(t) = reference(t) - gain y(t - delay).
"""

import sys
from pathlib import Path

import numpy as np
import scipy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from feedback import feedback_record
from systems import random_innovation

from identification import HankelFactor
from identification.data_checks import FEEDBACK_LEVEL, NEGLIGIBLE, feedback_test
from identification.projections import FactorBlocks
from realization import InnovationSSM, simulate

LENGTHS = (300, 1000, 4000)
RECORDS = {300: 1000, 1000: 1000, 4000: 300}
COLOURED = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
)
WHITE = InnovationSSM(COLOURED.A, COLOURED.C, [[0.0], [0.0]], COLOURED.Re, B=COLOURED.B)
LOOPS = {
    "gain 0.5": (COLOURED, 0.5, 0),
    "gain 0.2": (COLOURED, 0.2, 0),
    "gain 0.2, delay 1": (COLOURED, 0.2, 1),
    "gain 0.1, delay 1": (COLOURED, 0.1, 1),
    "white noise, gain 0.3, delay 1": (WHITE, 0.3, 1),
    "white noise, gain 0.5, delay 0": (WHITE, 0.5, 0),
}
INPUTS = {
    "white": lambda e: e,
    "slow (pole 0.98)": lambda e: scipy.signal.lfilter([1.0], [1.0, -0.98], e, axis=0),
    "binary, held 6": lambda e: np.sign(e[: -(-len(e) // 6)]).repeat(6, axis=0)[: len(e)],
    "integrated": lambda e: np.cumsum(e, axis=0),
    "differenced": lambda e: np.diff(e, axis=0, prepend=0.0),
}


def alarm(y, u):
    """Tell whether subspace_id would warn, at horizons of 10."""
    factor = HankelFactor(y.shape[1], u.shape[1], past=10, future=10).update(y, u)
    blocks = FactorBlocks.from_factor(factor, remove_means=True)
    test = feedback_test(blocks, feedthrough=True)
    return test.p_value < FEEDBACK_LEVEL and test.correlation >= NEGLIGIBLE


def row(name, make, counts):
    """Print the share of alarms for each length."""
    print(f"{name:32}", end="")
    for T in LENGTHS:
        rng, count = np.random.default_rng(T), counts[T]
        share = np.mean([alarm(*make(T, rng)) for _ in range(count)])
        print(f" {100 * share:8.2f} ({100 * np.sqrt(share * (1 - share) / count):4.2f})", end="")
    print()


def open_loop(shape):
    """Return a function that makes a record with this input."""

    def make(T, rng):
        plant = random_innovation(rng, 3, 1, 1)
        u = shape(rng.standard_normal((T, 1)))
        return simulate(plant, u, noise=True, rng=rng).y, u

    return make


def main():
    """Print the two tables."""
    print(f"{'false alarms, %':32}" + "".join(f" {f'T = {T}':>15}" for T in LENGTHS))
    for name, shape in INPUTS.items():
        row(name, open_loop(shape), RECORDS)
    print(f"{'detections, %':32}")
    for name, (plant, gain, delay) in LOOPS.items():
        row(
            name,
            lambda T, rng, plant=plant, gain=gain, delay=delay: feedback_record(
                plant, gain, T, rng, delay=delay
            ),
            {300: 100, 1000: 60, 4000: 20},
        )


if __name__ == "__main__":
    main()
