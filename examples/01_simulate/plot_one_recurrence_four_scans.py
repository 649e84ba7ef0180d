"""
What does one step of a recurrence cost?
========================================

Every model here comes down to one recurrence, :math:`x_{t+1} = A_t x_t + b_t`. How it is written
decides what it costs: a Python loop pays for the interpreter, a compiled loop waits for the last
state, and a blocked one takes many steps as three products of matrices.
"""

# %%
# Four forms of the same recurrence
# ---------------------------------
# ``linear_scan`` has one A, ``bilinear_scan`` an A that depends on the input, ``diagonal_scan`` a
# diagonal that may change with time. Here A is constant and symmetric, so that all can run it, the
# last one in the coordinates of the eigenvectors.

import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from realization import scan

steps = 20_000
rng = np.random.default_rng(0)


def loop(A, b, x0):
    """Return the states of the recurrence, one Python step at a time."""
    x = np.empty((len(b) + 1, len(x0)))
    x[0] = x0
    for t in range(len(b)):
        x[t + 1] = A @ x[t] + b[t]
    return x


def nanoseconds_a_step(run):
    """Return the best of three runs after a first one, which compiles."""
    run()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1e9 * min(seconds) / steps


orders = (2, 8, 32)
costs, errors = {}, []
for n in orders:
    decay = 1 - rng.uniform(0.001, 0.5, n)
    u = rng.standard_normal((steps, 1))
    B, x0 = rng.standard_normal((n, 1)), rng.standard_normal(n)
    b = u @ B.T
    V = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A, gates, lam = V * decay @ V.T, np.zeros((1, n, n)), np.tile(decay, (steps, 1))
    runs = {
        "Python loop": partial(loop, A, b, x0),
        "linear_scan": partial(scan.linear_scan, A, b, x0),
        "bilinear_scan": partial(scan.bilinear_scan, A, gates, B, u, x0),
        "diagonal_scan": partial(scan.diagonal_scan, lam, b @ V, x0 @ V),
    }
    states = {name: run() for name, run in runs.items()}
    states["diagonal_scan"] = states["diagonal_scan"] @ V.T
    errors += [np.abs(x - states["Python loop"]).max() for x in states.values()]
    for name, run in runs.items():
        costs.setdefault(name, []).append(nanoseconds_a_step(run))

figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for i, (name, values) in enumerate(costs.items()):
    ax.bar(np.arange(len(orders)) + 0.2 * i - 0.3, values, 0.2, label=name)
ax.set(yscale="log", ylabel="nanoseconds a step", xticks=range(len(orders)))
ax.set_xticklabels([f"{n} states" for n in orders])
ax.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
plt.show()

# %%
# The bars are those of the machine that built this page. What does not depend on it: all four
# return the same states.

print(f"largest difference between the four: {max(errors):.0e}")
assert max(errors) < 1e-11
