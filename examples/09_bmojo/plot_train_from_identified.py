"""
Where should training start?
============================

A resonant plant with a saturating sensor is a linear model followed by a static curve. A linear
layer followed by a small network can learn it, from a random start or from the linear model that a
subspace method finds. What is the better start worth?
"""

# %%
# The plant
# ---------
# Three lightly damped resonances; the sensor reads :math:`\tanh(0.8 v) + 0.15 v^2`.

import matplotlib.pyplot as plt
import numpy as np
import scipy
import torch

from canonical_forms.bmojo import BMojoLayer, from_model
from identification import subspace_id
from realization import LinearSSM, simulate

torch.set_num_threads(1)
rng = np.random.default_rng(0)
turns = [
    r * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    for r, a in zip((0.97, 0.95, 0.93), (0.3, 0.9, 1.9), strict=True)
]
plant = LinearSSM(scipy.linalg.block_diag(*turns), 0.2 * np.ones((6, 1)), rng.normal(size=(1, 6)))


def records(count):
    """Return inputs and outputs, one record a row."""
    u = rng.standard_normal((count, 300, 1))
    v = np.stack([simulate(plant, row).y for row in u])
    y = np.tanh(0.8 * v) + 0.15 * v**2
    return u, y + 0.02 * rng.standard_normal(y.shape)


train, test = records(16), records(16)

# %%
# Two starts of the same network
# ------------------------------
# ``from_model`` puts the identified model into the layer; the network behind it starts as the
# identity. A new layer has random modes.

identified = subspace_id(list(train[1]), list(train[0]), 6, stable=True, focus="simulation")
print(identified.model)
size = {"window": 0, "eidetic": 0}
torch.manual_seed(0)
starts = {
    "identified": (from_model(identified.model, **size, tol=1e-3), 5e-3),
    "random": (BMojoLayer(1, 1, (0, 3), **size), 3e-2),
}

# %%
# Train both
# ----------


class Sensor(torch.nn.Module):
    """A layer and a static curve, which starts as the identity."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.hidden, self.out = torch.nn.Linear(1, 16), torch.nn.Linear(16, 1)
        torch.nn.init.zeros_(self.out.weight)

    def forward(self, u):
        """Return outputs (B, L, 1)."""
        v = self.layer(u).y
        return v + self.out(torch.tanh(self.hidden(v)))


(u, y), (u_new, y_new) = ([torch.tensor(x, dtype=torch.float32) for x in s] for s in (train, test))
errors = {}
for name, (layer, rate) in starts.items():
    network = Sensor(layer)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    errors[name] = []
    for _ in range(300):
        with torch.no_grad():
            e = (network(u_new) - y_new)[:, 50:]
            errors[name].append(float(e.std() / y_new[:, 50:].std()))
        loss = (network(u) - y)[:, 50:].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# The error on new records, relative to the size of the output. The linear model starts at what the
# curve costs; the random start has the dynamics still to find.

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, error in errors.items():
    ax.semilogy(error, label=name)
ax.axhline(0.02 / float(y_new.std()), color="0.6", linestyle="--", label="noise")
ax.set(xlabel="step", ylabel="relative error on new records")
ax.legend(frameon=False)
plt.show()
print({name: (round(e[0], 3), round(e[-1], 3)) for name, e in errors.items()})
assert errors["identified"][0] < 0.5 * errors["random"][0]
assert errors["identified"][-1] < errors["random"][-1]

# %%
# This is one plant, and a plant with a good linear approximation. The theory page has the table:
# five plants, the best of three rates for the random start, and the case :math:`v^2`, which has no
# linear approximation and where the identified start is worth nothing.
