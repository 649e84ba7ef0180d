"""Held-out fits on measured plants: ours with the published orders, and with no options at all.

The first half of each record identifies, the second half validates; means of the first half are
removed by the identification itself; the initial state of the validation run is fitted. Fit is
100 (1 - |y - y_hat| / |y - mean y|), averaged over the outputs. The columns to compare with are the
best published figures of nfoursid, SIPPY, IPSID and PO-MOESP for the same split (for the last four
sets: a fixed horizon of 15 and a fixed order).

    STOCHASTIC_REALIZATION_DATA=folder python benchmarks/measured_plants.py
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from identification import compare, subspace_id

# file, columns of y and u, horizon, order, best published simulation and one-step fit
SETS = {
    "dryer": ("daisy/dryer.dat", [1], [0], 15, 4, 85.93, 95.48),
    "robot arm": ("daisy/robot_arm.dat", [1], [0], 20, 4, 96.17, 99.89),
    "CD arm": ("daisy/CD_player_arm.dat", [2, 3], [0, 1], 15, 8, 74.91, 93.9),
    "steam": ("daisy/steamgen.dat", [5, 6, 7, 8], [1, 2, 3, 4], 15, 9, 74.40, 94.14),
    "heating": ("daisy/heating_system.dat", [2], [1], 15, 4, 74.3, 90.4),
    "winding": ("daisy/winding.dat", [5, 6], [0, 1, 2, 3, 4], 15, 8, 55.35, 54.45),
    "pH": ("daisy/pHdata.dat", [3], [1, 2], 15, 4, -94.9, 35.5),
    "tanks": ("nonlinear/cascaded_tanks.csv", [], [], 15, 4, 73.0, 94.1),
}


def halves(root: Path, name: str) -> tuple[np.ndarray, ...]:
    """Return (y, u) for estimation and (y, u) for validation."""
    file, y, u, *_ = SETS[name]
    if name == "tanks":  # estimation and validation are columns
        table = np.genfromtxt(root / file, delimiter=",", skip_header=1, usecols=(0, 1, 2, 3))
        return table[:, [2]], table[:, [0]], table[:, [3]], table[:, [1]]
    table = np.loadtxt(root / file)
    half = len(table) // 2
    return table[:half, y], table[:half, u], table[half:, y], table[half:, u]


def main() -> None:
    root = os.environ.get("STOCHASTIC_REALIZATION_DATA")
    if not root:
        sys.exit("set STOCHASTIC_REALIZATION_DATA to the folder with the measured records")
    print(f"{'':10} {'focus':11} {'published':>9} {'same order':>10} {'no options':>10} {'s':>6}")
    for name in SETS:
        y, u, y_new, u_new = halves(Path(root), name)
        *_, horizon, order, simulation, prediction = SETS[name]
        for focus, steps, published in (
            ("simulation", np.inf, simulation),
            ("prediction", 1, prediction),
        ):
            same = subspace_id(y, u, order, past=horizon, future=horizon, focus=focus)
            start = time.process_time()
            free = subspace_id(y, u, focus=focus)
            seconds = time.process_time() - start
            fits = [
                compare(result, y_new, u_new, horizon=steps).fits.mean() for result in (same, free)
            ]
            print(
                f"{name:10} {focus:11} {published:9.2f} {fits[0]:10.2f} {fits[1]:10.2f} "
                f"{seconds:6.1f}  {free.trials[0]}",
                flush=True,
            )


if __name__ == "__main__":
    main()
