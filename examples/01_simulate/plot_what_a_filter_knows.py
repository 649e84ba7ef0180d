"""
How much does a filter know, and when?
======================================

A Kalman filter is told outputs one by one, and its covariance says what it has learned. That
covariance never looks at the data: it can be computed before the first sample arrives, and it
settles. Where does it settle, and what is the settled filter?
"""

# %%
# A tracked object
# ----------------
# Position and velocity, pushed at random; the position is measured once per step with noise. At
# the start nothing is known. From step 40 to 60 the sensor is silent.

import matplotlib.pyplot as plt
import numpy as np

import realization
from realization import scan

A, C = np.array([[1.0, 1.0], [0.0, 0.98]]), np.array([[1.0, 0.0]])
Q, R = np.diag([0.0, 0.01]), np.array([[4.0]])
model = realization.GaussianSSM(A, C, Q, R, P0=100.0 * np.eye(2))
path = realization.simulate(model, steps=100, x0=[0.0, 0.5], noise=True, rng=3)
y = path.y.copy()
y[40:60] = np.nan
filtered = realization.kalman_filter(model, y)
smoothed = realization.smooth(model, y)

# %%
# Where it settles
# ----------------
# At the solution of a Riccati equation, whatever the start: the settled filter is the innovation
# form of the process, with a constant gain. ``innovation_form`` solves for it directly.

settled = realization.innovation_form(model)
P_settled = realization.kalman_filter(model, y[:40]).P_filt[-1]

figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
step = np.arange(100)
for x, P, label, colour in (
    (filtered.x_filt, filtered.P_filt, "filter: the past", "C0"),
    (smoothed.x[:-1], smoothed.P[:-1], "smoother: past and future", "C1"),
):
    deviation = np.sqrt(P[:, 0, 0])
    error = x[:, 0] - path.x[:-1, 0]
    top.plot(step, error, colour, label=label)
    top.fill_between(step, -2 * deviation, 2 * deviation, color=colour, alpha=0.15)
    bottom.plot(step, np.sqrt(P[:, 1, 1]), colour, label=label)
top.plot(step, y[:, 0] - path.x[:-1, 0], "k.", ms=3, label="measured")
top.set(ylabel="error of the position", ylim=(-8, 8))
top.legend(frameon=False, ncols=3, fontsize="small")
bottom.axhline(np.sqrt(P_settled[1, 1]), color="0.5", linestyle=":", label="settled")
bottom.set(xlabel="step", ylabel="standard deviation of the velocity", ylim=(0, 0.6))
bottom.legend(frameon=False, fontsize="small")
plt.show()

# %%
# The recurrence itself is a compiled scan; its last gain after many steps is that of the Riccati
# equation.

long = scan.kalman_scan(A, C, Q, R, None, np.zeros((2000, 1)), np.zeros(2), 100.0 * np.eye(2))
error = np.abs(long.K[-1] - settled.K).max()
print(f"gain of the settled filter {settled.K.ravel().round(4)}, recurrence differs by {error:.0e}")
assert error < 1e-12
