"""
Where did the smoke come from?
==============================

Smoke rises from a vent that puffs at random, drifts in a swirling wind, thins out and leaves the
picture. Run backwards, it should gather from nowhere, sink and vanish into the vent. There are
three ways to run it backwards from its last frame: rewind the film, invert the dynamics, or
reverse the *process*. Which of them can be told apart?
"""

# %%
# Smoke as a linear model
# -----------------------
# Each frame is the last one, carried along by the wind (every pixel asks where its air came from)
# and thinned by two percent; the vent adds Gaussian puffs, small eddies a little everywhere. The
# 400 pixels are the state.

import matplotlib.pyplot as plt
import numpy as np

import diffusion
import realization

size = 20
row, column = np.mgrid[0:size, 0:size].astype(float)
swirl = 0.55 * np.sin(2 * np.pi * row / size)
from_row, from_column = row + 0.7, column - swirl  # row 0 is at the top: the wind blows upwards
A = np.zeros((size**2, size**2))
for i, (y, x) in enumerate(zip(from_row.ravel(), from_column.ravel(), strict=True)):
    for r in (int(np.floor(y)), int(np.floor(y)) + 1):
        for c in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= r < size and 0 <= c < size:
                A[i, r * size + c] = 0.98 * (1 - abs(y - r)) * (1 - abs(x - c))
vents = [np.exp(-((row - 17) ** 2 + (column - c) ** 2) / 4).ravel() for c in (8.0, 10.0, 12.0)]
Q = np.transpose(vents) @ vents + 0.003 * np.eye(size**2)
model = realization.GaussianSSM(A, np.eye(size**2), Q, np.zeros((size**2, size**2)))

# %%
# Forwards and backwards
# ----------------------
# ``reverse`` is the Lindquist-Picci backward model: the same stationary process, read from its end.
# Its state matrix :math:`P A^\top P^{-1}` has the eigenvalues of A, not their inverses, so nothing
# explodes.

steps = 40
backward = diffusion.backward_model(model)
film = realization.simulate(model, steps=2 * steps, noise=True, rng=3).x[steps:]
last = film[-1]
pasts = backward.sample(steps=steps, final_state=np.tile(last, (200, 1)), rng=1).x
inverse = np.linalg.lstsq(A, last, rcond=1e-12)[0]

shown = [0, 8, 16, 24, 32, 40]
figure, axes = plt.subplots(3, 6, figsize=(10, 5.4), layout="constrained")
rows = {"the film": film, "one possible past": pasts[0], "another": pasts[1]}
for line, (label, path) in zip(axes, rows.items(), strict=True):
    for ax, k in zip(line, shown, strict=True):
        ax.imshow(path[k].reshape(size, size), cmap="gray", vmin=-4, vmax=4)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(label)
for ax, k in zip(axes[0], shown, strict=True):
    ax.set_title(f"frame {k - steps}" if k < steps else "last frame")
plt.show()

# %%
# Inverting the dynamics amplifies what the wind has smeared out, already one frame back.

print(f"largest pixel: film {np.abs(film).max():.1f}, one frame back {np.abs(inverse).max():.0e}")

# %%
# Which way does time run?
# ------------------------
# One step of smoke tells: predict each frame from the one before, and each from the one after. The
# rewound film and the reversed process both read as "backwards". In law they are the same, and no
# statistic of a single film can tell them apart.


def arrow_of_time(path):
    """Return how much better the next frame is predicted than the last, in percent."""
    ahead = np.sum((path[1:] - path[:-1] @ A.T) ** 2)
    return 100 * (1 - ahead / np.sum((path[:-1] - path[1:] @ A.T) ** 2))


# every path is played in the direction in which it was made
arrows = {"film": film, "rewound film": film[::-1], "reversed process": pasts[0][::-1]}
arrows = {name: arrow_of_time(path) for name, path in arrows.items()}
print(", ".join(f"{name} {value:+.0f} %" for name, value in arrows.items()))

# %%
# Film or process?
# ----------------
# What tells them apart is the film itself. Rewinding returns the one past that happened. The
# reversed process draws from all pasts that could have led to the last frame, one of which is the
# film's own: k frames before the end, film and draw are two independent draws from
# :math:`N(J^k x_T, V_k)`, :math:`V_k = P - J^k P J^{k\top}`. So their difference has the
# covariance :math:`2 V_k`, while that of film and rewound film is zero.

lags = np.arange(1, steps + 1)
powers = [np.linalg.matrix_power(backward.J, k) for k in lags]
V = [backward.P_end - power @ backward.P_end @ power.T for power in powers]
gaps = np.array([pasts[:, -1 - k] - film[-1 - k] for k in lags])

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(lags, np.mean(np.sum(gaps**2, 2), 1), label="reversed process, mean of 200 draws")
ax.plot(lags, [2 * np.trace(v) for v in V], "k--", lw=1, label="two independent pasts, in the mean")
ax.axhline(0.0, color="C3", label="rewound film")
ax.set(xlabel="frames before the last", ylabel="squared distance to the film")
ax.legend(fontsize="small")
plt.show()

# %%
# As a test: in units of its covariance, the squared difference of one draw is a chi-square variable
# with 400 degrees of freedom. Twenty frames before the end:

k = 20
gap = gaps[k - 1, 0]
statistic = gap @ np.linalg.solve(2 * V[k - 1], gap) / size**2
print(f"process {statistic:.2f}, expected 1 +- {np.sqrt(2 / size**2):.2f}; rewound film 0")
assert abs(statistic - 1) < 5 * np.sqrt(2 / size**2)
assert arrows["film"] > 20 > -20 > max(arrows["rewound film"], arrows["reversed process"])
