"""
How good is a model made with no options at all?
================================================

A hair dryer blows air through a tube; the voltage of its heater is switched at random, and the
temperature of the air at the far end is measured. Who identifies it has to choose a method, a
horizon and an order. Here nothing is chosen: half of the record is given, the other half judges.
"""

# %%
# The record
# ----------
# The real one (L. Ljung's laboratory dryer, in the DaISy collection) is read where the environment
# variable STOCHASTIC_REALIZATION_DATA names a folder that holds it. Everywhere else a simulated
# twin takes its place: three modes, a dead time of two samples, noise of its own.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

folder = Path(os.environ.get("STOCHASTIC_REALIZATION_DATA", ""))
file = folder / "daisy" / "dryer.dat"
if file.is_file():
    u, y = np.loadtxt(file, usecols=(0, 1)).T
    origin = "measured"
else:
    twin = realization.InnovationSSM(
        A=[[0.95, 0.05, 0, 0, 0], [0, 0.75, 0.3, 0, 0], [0, -0.1, 0.6, 0.3, 0], [0, 0, 0, 0, 1],
           [0, 0, 0, 0, 0]],
        B=[[0], [0], [0], [0], [1]],
        C=[[0.3, 1, 0, 0, 0]],
        K=[[0.3], [0.7], [0.4], [0], [0]],
        Re=[[0.0015]],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    u = 5.0 + rng.choice([-1.4, 1.4], 200).repeat(5)
    y = 4.9 + realization.simulate(twin, u - 5.0, noise=True, rng=rng).y[:, 0]
    origin = "simulated"
first, second = identification.split(y, u, dt=0.08)
print(f"{origin}: {len(u)} samples of 0.08 s")

# %%
# No options
# ----------
# Methods, horizons and orders compete on blocks that are held out in turn, all within the first
# half. The summary says what was tried, what it scored, and what won.

result = identification.subspace_id(first)
print(result.summary())

# %%
# The other half
# --------------
# The model for prediction also knows the outputs up to the sample before; one made for simulation
# (``focus="simulation"``) knows the input alone.

simulator = identification.subspace_id(first, focus="simulation")
prediction = identification.compare({"no options": result}, second, horizon=1)
simulation = identification.compare({"no options": simulator}, second)
print(prediction, simulation, sep="\n\n")

axes = identification.plot_compare(simulation).ravel()
for ax in axes:
    ax.set_xlim(0, 20)
plt.show()

# %%
# The answer
# ----------
# Would somebody who tries every order by hand, and looks at the second half to choose, do better?

by_hand = max(
    identification.compare(
        identification.subspace_id(first, order=order, method=method), second, horizon=1
    ).fits.mean()
    for method in ("n4sid", "moesp", "cva")
    for order in range(1, 9)
)
fit = prediction.fits.mean()
print(f"one-step fit {fit:.2f} %, the best of 24 models picked by hand {by_hand:.2f} %")
assert fit > by_hand - 0.5
