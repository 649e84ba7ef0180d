"""
What did the layer learn?
=========================

A layer with sixteen states is trained by gradients on a plant with four. Brought back as a model it
can be balanced: how many states did it use, and is what they do the plant?
"""

# %%
# The plant, and a layer that is too large
# ----------------------------------------

import matplotlib.pyplot as plt
import numpy as np
import torch

from canonical_forms import balanced_form, truncate
from canonical_forms.bmojo import BMojoLayer, to_model
from realization import LinearSSM, frequency_response, poles, simulate

torch.set_num_threads(1)
torch.manual_seed(0)
rng = np.random.default_rng(0)
A = np.diag([0.95, 0.8]) + np.array([[0, 0.25], [-0.25, 0]])
A = np.block([[A, np.zeros((2, 2))], [np.full((2, 2), 0.2), np.array([[0.5, 0.6], [-0.6, 0.5]])]])
plant = LinearSSM(A, [[1.0], [0.0], [0.5], [0.0]], [[0.3, 0.1, 0.4, 0.2]])
u = rng.standard_normal((16, 200, 1))
y = np.stack([simulate(plant, row).y for row in u]) + 0.05 * rng.standard_normal((16, 200, 1))
layer = BMojoLayer(1, 1, (2, 7), window=0, eidetic=0, dtype=torch.float64)

# %%
# Train
# -----
# The modes stay stable whatever the steps do: the parameters know nothing else.

inputs, target = torch.from_numpy(u), torch.from_numpy(y)
optimizer = torch.optim.Adam(layer.memory.parameters(), lr=3e-2)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
for _ in range(500):
    loss = (layer(inputs).y - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
print(f"error {float(loss.detach()) ** 0.5:.4f}, noise 0.05")

# %%
# Bring it back
# -------------
# ``to_model`` returns the record, and everything in the toolkit works on it. Its Hankel singular
# values say how much each state matters, from inputs to outputs.

trained = to_model(layer, part="memory")
balanced = balanced_form(trained)
small = truncate(balanced, 4).model
sigma = balanced.info["hankel_singular_values"]
omega = np.linspace(0.01, np.pi, 400)
gains = {
    "plant, 4 states": frequency_response(plant, omega),
    "trained layer, 16 states": frequency_response(trained, omega),
    "the same, truncated to 4": frequency_response(small, omega),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.semilogy(np.arange(1, 17), sigma, "o")
left.semilogy(np.arange(1, 5), balanced_form(plant).info["hankel_singular_values"], "x", color="C3")
left.set(xlabel="state", title="Hankel singular values: layer (o), plant (x)")
for (name, gain), style in zip(gains.items(), ("-", "-", "--"), strict=True):
    wide = 4 if "plant" in name else 1.4
    color = "0.8" if "plant" in name else None
    right.semilogy(omega, np.abs(gain[:, 0, 0]), style, label=name, linewidth=wide, color=color)
right.set(xlabel="frequency in rad/sample", title="gain")
right.legend(frameon=False)
plt.show()

# %%
# Sixteen states of the layer, four of the plant. Training spreads one resonance over many
# modes, and their poles alone would not say so.

print("moduli of the poles:", np.sort(np.abs(poles(trained))).round(2))
truth = gains["plant, 4 states"]
for name, gain in gains.items():
    print(f"{name}: distance to the plant {np.abs(gain - truth).max() / np.abs(truth).max():.3f}")
small_error = np.abs(gains["the same, truncated to 4"] - truth).max() / np.abs(truth).max()
print(f"fifth singular value over the first: {sigma[4] / sigma[0]:.3f}")
assert sigma[4] < 0.1 * sigma[0]
assert small_error < 0.1
