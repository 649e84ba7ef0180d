"""RecursiveSubspace: time of an update and of reading the model, against a batch every time.

Run ``python benchmarks/recursive.py``. Median CPU time on one thread, all in one run. "direct"
folds every sample into the triangular factor by a QR factorisation of its own; "batch" is
``subspace_id`` on the same samples. The errors are the largest difference of Markov parameters,
relative, of tracker (no forgetting) and batch from the plant that made the record.
"""

import numpy as np
from timing import cpu_seconds

import identification
import realization
from realization import InnovationSSM

STEPS = 2000
SIZES = ((1, 1, 2), (2, 2, 4), (4, 4, 8))  # outputs, inputs, order


def plant_of(p, m, n, rng):
    """Return a plant with pole radius 0.9 and a stable predictor."""
    A = rng.standard_normal((n, n))
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max()
    C, B = rng.standard_normal((p, n)), rng.standard_normal((n, m))
    K = rng.standard_normal((n, p)) / n
    while np.abs(np.linalg.eigvals(A - K @ C)).max() > 0.95:
        K *= 0.8
    return InnovationSSM(A, C, K, 0.01 * np.eye(p), B=B)


def feed(tracker, y, u):
    """Update with every sample and return the tracker."""
    for y_t, u_t in zip(y, u, strict=True):
        tracker.update(y_t, u_t)
    return tracker


def direct(y, width):
    """Fold one row of the same width per sample, by QR."""
    R = np.zeros((width, width))
    row = np.zeros((1, width))
    for t in range(200):
        row[0, : y.shape[1]] = y[t]
        R = np.linalg.qr(np.vstack([R, row]), mode="r")
    return R


def main():
    """Print one line for each size."""
    rng = np.random.default_rng(0)
    print(f"past = 10, {STEPS} samples; microseconds of CPU, one thread")
    print(
        f"{'p':>2} {'m':>2} {'n':>2} {'columns':>8} {'update':>8} {'direct':>8} {'ratio':>7}",
        end="",
    )
    print(f" {'model':>8} {'batch':>9} {'ratio':>7} {'error':>9} {'batch error':>12}")
    for p, m, n in SIZES:
        plant = plant_of(p, m, n, rng)
        u = rng.standard_normal((STEPS, m))
        y = realization.simulate(plant, u, noise=True, rng=rng).y
        width = 1 + 11 * (p + m)

        def tracker(p=p, m=m, n=n):
            return identification.RecursiveSubspace(p, m, order=n, past=10)

        ready = feed(tracker(), y, u)

        def read(ready=ready, y=y, u=u):
            ready.update(y[0], u[0])  # a new sample makes the old model void
            return ready.model

        def batch(y=y, u=u, n=n):
            return identification.subspace_id(
                y, u, n, method="pbsid", past=10, future=10, bd="factor"
            ).model

        expected = realization.markov_parameters(plant, 20)
        errors = [
            np.abs(realization.markov_parameters(model, 20) - expected).max()
            / np.abs(expected).max()
            for model in (ready.model, batch())
        ]
        seconds = cpu_seconds(
            {
                "update": lambda tracker=tracker, y=y, u=u: feed(tracker(), y, u),
                "direct": lambda y=y, width=width: direct(y, width),
                "model": read,
                "batch": batch,
            },
            repeats=5,
        )
        update, slow = 1e6 * seconds["update"] / STEPS, 1e6 * seconds["direct"] / 200
        model, whole = 1e6 * seconds["model"], 1e6 * seconds["batch"]
        print(
            f"{p:2d} {m:2d} {n:2d} {width:8d} {update:8.1f} {slow:8.1f} {slow / update:6.1f}x",
            end="",
        )
        print(
            f" {model:8.0f} {whole:9.0f} {whole / model:6.1f}x {errors[0]:9.1e} {errors[1]:12.1e}"
        )


if __name__ == "__main__":
    main()
