"""
Is the layer the model?
=======================

A plant with a transport delay is identified from a noisy record and loaded into a torch layer. How
far is the layer, before any training, from the model that it was given?
"""

# %%
# A plant and a record of it
# --------------------------
# Two resonances behind a delay of three samples. The delay is eidetic memory: it keeps inputs as
# they are and then forgets them completely. The resonances are fading memory.

import matplotlib.pyplot as plt
import numpy as np
import scipy
import torch

from canonical_forms import eidetic_fading_form
from canonical_forms.bmojo import from_model
from identification import subspace_id
from realization import LinearSSM, markov_parameters, predict, simulate

angles, rng = (0.2, 0.9), np.random.default_rng(0)
turns = [0.96 * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in angles]
A = scipy.linalg.block_diag(np.eye(3, k=-1), *turns)
A[3:, 2] = [0.4, 0.2, 0.5, -0.3]
plant = LinearSSM(A, np.eye(7)[:, :1], np.eye(7)[[3, 5]])
u = rng.standard_normal((3000, 1))
y = simulate(plant, u).y + 0.1 * rng.standard_normal((3000, 2))

# %%
# Identify, and load
# ------------------
# The identified model predicts as well as it simulates: it knows how the noise enters. The layer
# gets both, the simulation and the predictor, and the covariance of the innovations.

model = subspace_id(y, u, 7, delay=0).model
layers = {
    "float64": from_model(model, dtype=torch.float64, window=16, eidetic=8),
    "float32": from_model(model, dtype=torch.float32, window=16, eidetic=8),
}
print(layers["float64"].memory)
print({key: layer.provenance["error"] for key, layer in layers.items()})

# %%
# The impulse response
# --------------------
# Left: the plant, and the layer on top of it. Right: the distance between layer and model.

steps = 200
impulse = torch.zeros(1, steps, 1, dtype=torch.float64)
impulse[0, 0] = 1.0
expected = markov_parameters(model, steps)[:, :, 0]
responses = {key: layer(impulse).y[0].detach().numpy() for key, layer in layers.items()}
errors = {key: np.abs(response - expected) for key, response in responses.items()}

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
truth = markov_parameters(plant, steps)[:, 0, 0]
left.plot(truth[:80], color="0.7", linewidth=4, label="plant")
left.plot(responses["float32"][:80, 0], color="C0", linewidth=1.2, label="layer")
left.set(xlabel="lag", title="impulse response, first output")
left.legend(frameon=False)
for key, error in errors.items():
    right.semilogy(error.max(axis=1) + 1e-18, label=key)
right.set(xlabel="lag", title="layer minus identified model")
right.legend(frameon=False)
plt.show()

# %%
# The innovations are those of the model as well, so that a test of their size means what it says:
# one sample in a hundred passes a test at the level 0.01.

layer = layers["float64"]
out = layer(torch.from_numpy(u)[None], y=torch.from_numpy(y)[None])
difference = out.innovation[0].detach().numpy() - (y - predict(model, y, u))
print(f"innovations differ by {np.abs(difference).max():.1e}")
print(f"passed at level 0.01: {out.selected.double().mean():.4f}")
assert np.abs(difference).max() < 1e-10
assert 0.005 < out.selected.double().mean() < 0.015

# %%
# The delay
# ---------
# The plant itself, loaded as it is, gets a delay line of three taps. The identified model was told
# nothing of a delay: noise has made its zero eigenvalues small ones, and they became fast modes.

print("taps:", from_model(plant).memory.delay_taps, "and", layer.memory.delay_taps)
assert from_model(plant).memory.delay_taps == eidetic_fading_form(plant).info["index"] == 3
peak = np.abs(expected).max()
print({key: f"{error.max() / peak:.1e}" for key, error in errors.items()})
assert errors["float64"].max() < 1e-10 * peak
assert errors["float32"].max() < 1e-5 * peak
