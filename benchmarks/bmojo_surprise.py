"""Does the innovation test find the events, and does the size of the signal?

Run ``python benchmarks/bmojo_surprise.py``. Nothing is trained. Records of a resonant plant with
noise, into which rare pulses enter, are read by a layer that `from_model` made of the plant. A
token is a hit when a pulse arrived with it. For each size of the pulses (in standard deviations of
the innovation) the tables have the F1 score of the layer's own test (threshold: the chi-squared
quantile of one false alarm in 10 000), of a threshold on the norm of the signal and on that of its
increments, both given the threshold that is best for them in hindsight, and the share of the events
that the memory holds in the end, which has as many slots as there are events. In the first table
the pulses drive the plant, as its noise does. In the second they are errors of the sensor, which
the predictor takes for news: its next innovations are wrong as well.
"""

import numpy as np
import scipy
import torch

from canonical_forms.bmojo import from_model
from realization import InnovationSSM, LinearSSM, simulate

LENGTH, EVENTS, RECORDS = 4000, 20, 10


def plant():
    """Return a plant with two resonances, two inputs and two outputs."""
    blocks = [
        0.99 * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in (0.1, 0.37)
    ]
    rng = np.random.default_rng(0)
    A, B, C = scipy.linalg.block_diag(*blocks), rng.standard_normal((4, 2)), rng.standard_normal(
        (2, 4)
    )  # fmt: skip
    Q = 0.1 * np.eye(4)
    P = scipy.linalg.solve_discrete_are(A.T, C.T, Q, np.eye(2))
    Re = C @ P @ C.T + np.eye(2)
    return InnovationSSM(A, C, np.linalg.solve(Re, C @ P @ A.T).T, Re, B=B)


def record(model, size, sensor, rng):
    """Return inputs, outputs and where the pulses are."""
    u, e = rng.standard_normal((LENGTH, 2)), rng.standard_normal((LENGTH, 2))
    events = np.zeros(LENGTH, bool)
    events[rng.choice(np.arange(50, LENGTH), EVENTS, replace=False)] = True
    pulses = rng.standard_normal((LENGTH, 2)) * events[:, None]
    pulses *= size / np.linalg.norm(pulses, axis=1, keepdims=True).clip(1e-9)
    root = np.linalg.cholesky(model.Re)
    drive = (e if sensor else e + pulses) @ root.T
    driven = LinearSSM(model.A, np.hstack([model.B, model.K]), model.C, np.eye(2, 4, 2))
    y = simulate(driven, np.hstack([u, drive])).y
    return u, y + sensor * pulses @ root.T, events


def f1(chosen, events):
    """Return the harmonic mean of precision and recall."""
    return 2 * (chosen & events).sum() / max(chosen.sum() + events.sum(), 1)


def best_f1(score, events):
    """Return the F1 of the best threshold on a score."""
    order = np.argsort(-score)
    hits = np.cumsum(events[order])
    return float((2 * hits / (np.arange(1, len(score) + 1) + events.sum())).max())


if __name__ == "__main__":
    torch.set_num_threads(1)
    model = plant()
    layer = from_model(model, dtype=torch.float64, window=1, eidetic=EVENTS, alpha=1e-4)
    rng = np.random.default_rng(1)
    print(f"{RECORDS} records of {LENGTH} samples with {EVENTS} pulses each; means of F1")
    for sensor in (False, True):
        print("pulses of the sensor" if sensor else "pulses that drive the plant")
        print(f"{'size':>5} {'innovation':>11} {'signal':>8} {'increments':>11} {'in memory':>10}")
        for size in (4, 5, 6, 8, 10, 15):
            rows = []
            for _ in range(RECORDS):
                u, y, events = record(model, size, sensor, rng)
                with torch.no_grad():
                    out = layer(torch.as_tensor(u)[None], y=torch.as_tensor(y)[None])
                stored = out.state.eidetic.position[0].numpy()
                increments = np.diff(y, axis=0, prepend=y[:1])
                rows.append(
                    (
                        f1(out.selected[0].numpy(), events),
                        best_f1(np.linalg.norm(y, axis=1), events),
                        best_f1(np.linalg.norm(increments, axis=1), events),
                        events[stored[stored >= 0]].sum() / EVENTS,
                    )
                )
            print("{:5d} {:11.3f} {:8.3f} {:11.3f} {:10.3f}".format(size, *np.mean(rows, axis=0)))
