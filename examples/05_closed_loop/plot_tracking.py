"""
Can a model follow a plant that changes?
========================================

A machine warms up and its resonance moves. One update per sample keeps a model of it, in memory
that does not grow. How much of the past should it remember?
"""

# %%
# A resonance that moves
# ----------------------
# It falls, it jumps when a load is taken off, and two hundred samples are lost.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

steps = 6000
t = np.arange(steps)
angle = np.where(t < 4000, 0.9 - 0.3 * t / 4000, 0.75)
rng = np.random.default_rng(0)
u, e = identification.prbs(steps)[:, 0], 0.8 * rng.standard_normal(steps)
x, y = np.zeros(2), np.empty(steps)
for k in range(steps):
    c, s = 0.97 * np.cos(angle[k]), 0.97 * np.sin(angle[k])
    y[k] = x[0] + e[k]
    x = np.array([[c, s], [-s, c]]) @ x + np.array([0.5, 0.2]) * u[k] + 0.3 * e[k]
y[2000:2200] = np.nan

# %%
# Four memories
# -------------
# ``forgetting`` is the weight of a sample relative to the next one: 0.96 remembers about 25
# samples, 0.99 a hundred, 0.998 five hundred, 1 everything.

forgetting = (0.96, 0.99, 0.998, 1.0)
trackers = [
    identification.RecursiveSubspace(1, 1, order=2, past=8, forgetting=value)
    for value in forgetting
]
times, angles = [], []
for k in range(steps):
    for tracker in trackers:
        tracker.update(y[k], u[k])
    if k >= 200 and k % 20 == 0:
        times.append(k)
        angles.append(
            [np.abs(np.angle(realization.poles(tracker.model))).max() for tracker in trackers]
        )
times, angles = np.array(times), np.array(angles)
print(trackers[1])

# %%
# Too long a memory averages over what is past; too short a one shows the noise.

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for value, line in zip(forgetting, angles.T, strict=True):
    ax.plot(times, line, lw=1, label=f"forgetting {value:g}")
ax.plot(t, angle, "k--", lw=1, label="plant")
ax.axvspan(2000, 2200, color="0.9")
ax.set(xlabel="sample", ylabel="angle of the pole, rad per sample", ylim=(0.5, 1.0))
ax.legend()
plt.show()

# %%
# The matrices move no more than the plant
# ----------------------------------------
# Coordinates of a state are free; the tracker turns each model so that it agrees best with the one
# before. So its matrices can be used as they are, for a controller that is tuned as it runs.

follower = identification.RecursiveSubspace(1, 1, order=2, past=8, forgetting=0.99)
entries = []
for k in range(1800):
    follower.update(y[k], u[k])
    if k >= 200 and k % 20 == 0:
        entries.append(follower.model.A.ravel())
fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
ax.plot(np.arange(200, 1800, 20), entries)
ax.set(xlabel="sample", ylabel="entries of A")
plt.show()

# %%
# The answer
# ----------
# As much as the plant leaves unchanged: here about a hundred samples.

errors = np.sqrt(np.mean((angles - angle[times][:, np.newaxis]) ** 2, axis=0))
for value, error in zip(forgetting, errors, strict=True):
    print(f"forgetting {value:g}: root mean square error {error:.4f} rad per sample")
assert np.argmin(errors) == 1
assert errors[1] < 0.025
assert errors[3] > 3 * errors[1]
