"""
What can be done with a record?
===============================

One record goes through the whole toolkit: a model from data, all models of the same process, what
the model remembers, the same process with time running backwards, and the model as a neural layer.
Each of the six panels is a chapter of this gallery. (The last one needs the ``torch`` extra.)
"""

# %%
# A record
# --------
# A plant with four samples of dead time, a damped oscillation, and two outputs of which one leads
# the other. The noise is coloured.

import matplotlib.pyplot as plt
import numpy as np
import torch

import canonical_forms
import diffusion
import identification
import realization
from canonical_forms import bmojo

angle = 2 * np.pi / 25
A = np.zeros((6, 6))
A[:2, :2] = 0.96 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
A[2:, 2:] = np.eye(4, k=1)
A[:2, 2] = 0.5, 0.1  # the end of the delay line drives the oscillation
B, C = np.eye(6)[:, 5:], np.hstack([[[1.0, 0.0], [0.4, 1.0]], np.zeros((2, 4))])
K = np.vstack([[[0.1, 0.05], [-0.05, 0.2]], np.zeros((4, 2))])
plant = realization.InnovationSSM(A, C, K, 0.05 * np.eye(2), B=B)
u = np.random.default_rng(0).choice([-1.0, 1.0], (2000, 1))
y = realization.simulate(plant, u, noise=True, rng=1).y

# %%
# A model
# -------
# Found on the first 1500 samples, without options; shown is what it predicts on the others.

result = identification.subspace_id(y[:1500], u[:1500])
predicted = result.predict(y, u)
model = result.model

# %%
# All models of the same process
# ------------------------------
# The noise of the model has a spectrum, and that spectrum has many models. Their state covariances
# form an interval, of which the predictor and its mirror image are the ends.

process = canonical_forms.minimal_form(
    realization.InnovationSSM(plant.A, plant.C, plant.K, plant.Re)
).model
cov = realization.to_covariance(process)
smallest, largest = realization.minimal_covariance(cov), realization.maximal_covariance(cov)

# %%
# What it remembers
# -----------------
# A delay line, which holds the last inputs exactly, next to an oscillation, which fades.

form = canonical_forms.eidetic_fading_form(plant)

# %%
# Time backwards
# --------------
# The reversed process has the same outputs in the opposite order: what led now follows.

backwards = diffusion.reverse(cov)

# %%
# A neural layer
# --------------
# Exported to torch, the model is a B'MOJO layer that starts as what was identified.

network = bmojo.from_model(model, dtype=torch.float64)
impulse = np.zeros((60, 1))
impulse[0] = 1.0
with torch.no_grad():
    answer = network(torch.tensor(impulse)[None]).y[0].numpy()
response = realization.markov_parameters(model, 60)[:, :, 0]
error = np.abs(answer - response).max()
print(f"layer and model differ by {error:.0e}")
assert error < 1e-10

# %%
# All six

figure, axes = plt.subplots(2, 3, figsize=(12, 6.4), layout="constrained")
(record, spectrum, sides), (memory, time, layer) = axes
late, omega = slice(1500, 1600), np.linspace(0.0, np.pi, 400)
record.plot(y[late, 0], "k.", ms=4, label="measured")
record.plot(predicted[late, 0], "C0", label="predicted one step ahead")
record.set(title=f"1  Data to model: order {model.n_states}", xlabel="step")
record.legend(frameon=False, fontsize="x-small")
for weight in np.linspace(0.0, 1.0, 7):
    P = (1 - weight) * smallest + weight * largest
    circle = np.linalg.cholesky(P) @ [np.cos(2 * omega), np.sin(2 * omega)]
    sides.plot(*circle, color=plt.colormaps["viridis"](weight), lw=1)
sides.set(title="3  All models: their state covariances", aspect="equal")
for k, name in enumerate(("leading", "following")):
    density = realization.spectral_density(cov, omega)[:, k, k].real
    spectrum.plot(omega, 10 * np.log10(density), label=f"{name} output")
spectrum.set(title="2  The process: its spectrum in dB", xlabel="frequency")
spectrum.legend(frameon=False, fontsize="x-small")
canonical_forms.plot_structure(form, ax=memory)
memory.set_title("4  Its memory: exact (orange), fading (blue)")
lags = np.arange(-15, 16)
for system, label in ((cov, "forward"), (backwards, "reversed")):
    right = realization.autocovariance(system, 15)[:, 0, 1]
    left = realization.autocovariance(system, 15)[:, 1, 0]
    time.plot(lags, np.concatenate([left[:0:-1], right]), ".-", label=label)
time.set(title="5  The same process, time reversed", xlabel="lag between the outputs")
time.legend(frameon=False, fontsize="x-small")
layer.plot(response, "o", mfc="none", ms=4, color="C0")
layer.plot(answer, "C1", lw=1)
layer.set(title="6  A layer that answers like the model", xlabel="step")
plt.show()
