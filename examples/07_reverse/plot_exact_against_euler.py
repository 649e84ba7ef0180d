"""
How many steps does a sampler need?
===================================

A mixture of eight Gaussians is diffused into noise and recovered. For a mixture the score and the
conditional laws are known exactly, so nothing is learned and every error is the sampler's own. The
exact kernels take five steps. What do 10, 50 and 250 steps of the usual method buy?
"""

# %%
# Data, noise and back
# --------------------
# Eight narrow clusters on a circle, unequal in weight.

import matplotlib.pyplot as plt
import numpy as np

import diffusion

angles = 2 * np.pi * np.arange(8) / 8
means = 1.5 * np.column_stack([np.cos(angles), np.sin(angles)])
along = np.column_stack([-np.sin(angles), np.cos(angles)])
covariances = 0.004 * np.eye(2) + 0.04 * along[:, :, None] * along[:, None, :]
data = diffusion.GaussianMixture(np.arange(1, 9) / 36, means, covariances)
sde = diffusion.VariancePreserving(2)

particles = 8_000
noise = data.diffuse(sde, 1.0).sample(particles, rng=0)

# %%
# Exact kernels on five steps; Euler and Maruyama on grids that get finer towards the data, where
# the equation is stiff; Heun on the same grids.

paths = {
    f"exact, {count}": diffusion.sample_reverse(
        sde, noise, np.linspace(1, 0, count + 1), score=data, rng=1
    )
    for count in (1, 5)
}
for method, name in (("euler_maruyama", "Euler"), ("heun", "Heun")):
    for count in (10, 50, 250):
        times = np.linspace(1, 0.02, count + 1) ** 2
        paths[f"{name}, {count}"] = diffusion.sample_reverse(
            sde, noise, times, score=data, method=method, rng=1
        )

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
fresh = data.sample(particles, rng=2)
shown = {"data": fresh} | {
    f"{name} steps": paths[name][-1] for name in ("exact, 5", "Euler, 10", "Euler, 50", "Heun, 10")
}
for ax, (name, x) in zip(axes, shown.items(), strict=True):
    ax.plot(*x[:3000].T, ",", alpha=0.6)
    ax.set(title=name, xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), aspect="equal", xticks=[], yticks=[])
plt.show()

# %%
# Measuring the error
# -------------------
# Two errors that matter: the shares of the clusters, as total variation, and the spread inside
# them, as the mean of the squared distance from the own mean in units of the own covariance, which
# should be 2. A fresh sample of the data shows what chance alone does.


def errors(x):
    """Return the error of the cluster shares and of the spread inside the clusters."""
    own = np.argmax(data.responsibilities(x), axis=1)
    shares = np.bincount(own, minlength=8) / len(x)
    gap = x - means[own]
    spread = np.einsum("ni,nij,nj->n", gap, np.linalg.inv(covariances)[own], gap)
    return 0.5 * np.abs(shares - data.weights).sum(), abs(np.median(spread) / np.log(4) - 1)


chance = np.array([errors(data.sample(particles, rng=k)) for k in range(20)]).mean(0)
table = {name: errors(path[-1]) for name, path in paths.items()}
for name, (share, spread) in table.items():
    print(f"{name:10} shares {share:.4f} ({chance[0]:.4f} by chance)  spread {spread:.4f}", end="")
    print(f" ({chance[1]:.4f})")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, index, title in zip(axes, (0, 1), ("shares of the clusters", "spread inside"), strict=True):
    for name in ("Euler", "Heun"):
        counts = (10, 50, 250)
        ax.loglog(counts, [table[f"{name}, {c}"][index] for c in counts], "o-", label=name)
    ax.loglog([5], [table["exact, 5"][index]], "s", color="C2", label="exact")
    ax.axhline(chance[index], color="0.5", ls=":", label="chance")
    ax.set(xlabel="steps", title=f"error of the {title}")
axes[0].legend(fontsize="small")
plt.show()

# %%
# The exact kernels are at the level of chance with five steps, and with one. Euler's spread is
# wrong by most of its size with 10 steps, and its error falls at least like 1/steps; Heun's method,
# of second order, takes two scores a step and is near the level of chance already.

for steps in (1, 5):
    share, spread = np.array(table[f"exact, {steps}"]) / chance
    print(f"exact, steps: {steps}, shares {share:.1f}, spread {spread:.1f} x chance")
    assert share < 3
    assert spread < 4
assert table["Euler, 10"][1] > 5 * table["Euler, 50"][1] > 25 * table["Euler, 250"][1]
