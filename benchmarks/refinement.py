"""Refinement by pem: what it gains on the record, and on one that it has not seen.

Run ``STOCHASTIC_REALIZATION_DATA=folder python benchmarks/refinement.py``, or with the names of
some sets; ten minutes. For each measured plant and focus: the model of ``subspace_id`` with the
published horizon and order ("same"), and with no options at all ("free"), before and after ``pem``
with the same focus, which stops at the optimum of the record, or where held-out blocks of the
record speak against more steps. Fits are 100 (1 - |y - y_hat| / |y - mean y|), averaged over the
outputs, of the horizon of the focus; the first half of a record estimates, the second validates.
What ``pem`` minimises is the log det of the error covariance, so the mean fit of several outputs
may fall a little where it gains.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from measured_plants import SETS, halves

from identification import IdentificationResult, compare, pem, subspace_id

STOPS = ("optimum", "held-out")


def mean_fit(result: IdentificationResult, y: np.ndarray, u: np.ndarray, horizon: float) -> float:
    return float(compare(result, y, u, horizon=horizon).fits.mean())


def main() -> None:
    root = os.environ.get("STOCHASTIC_REALIZATION_DATA")
    if not root:
        sys.exit("set STOCHASTIC_REALIZATION_DATA to the folder with the measured records")
    print(f"{'':30} {'optimum of the record':^36} {'held-out blocks':^27}")
    print(
        f"{'':24} order {'estimation':>16} {'validation':>16} {'gain':>6} {'steps':>6} {'gain':>6}"
    )
    worst = dict.fromkeys(STOPS, np.inf)
    for name in sys.argv[1:] or SETS:
        y, u, y_new, u_new = halves(Path(root), name)
        *_, horizon, order, _, _ = SETS[name]
        for focus, steps in (("simulation", np.inf), ("prediction", 1)):
            for start, options in (
                ("same", {"order": order, "past": horizon, "future": horizon}),
                ("free", {}),
            ):
                before = subspace_id(y, u, focus=focus, **options)
                found = [before, *(pem(before, y, u, focus=focus, stop=stop) for stop in STOPS)]
                seen = [mean_fit(result, y, u, steps) for result in found]
                unseen = [mean_fit(result, y_new, u_new, steps) for result in found]
                gains = np.array(unseen[1:]) - unseen[0]
                for stop, gain in zip(STOPS, gains, strict=True):
                    worst[stop] = min(worst[stop], gain)
                print(
                    f"{name:9} {focus:10} {start} {before.n_states:4} "
                    f"{seen[0]:7.2f} -> {seen[1]:6.2f} {unseen[0]:7.2f} -> {unseen[1]:6.2f} "
                    f"{gains[0]:6.2f} {found[2].options['iterations']:6} {gains[1]:6.2f}",
                    flush=True,
                )
    for stop, loss in worst.items():
        ok = "reached" if loss >= -0.5 else "MISSED"
        print(f"bar, stop={stop!r}: at most half a point lost on validation ({loss:.2f}): {ok}")


if __name__ == "__main__":
    main()
