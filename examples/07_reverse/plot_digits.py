"""
Digits out of noise
===================

Scikit-learn's handwritten digits: 1797 images of 8 x 8 pixels. A diffusion model turns noise into
digits. Here the model of the data is Gaussian, one law for all digits or one for each, so that the
reverse process is known exactly and nothing is trained. How far does that go, and how many steps
does it take?
"""

# %%
# Two models of the data
# ----------------------
# Mean and covariance of all images; and of each digit by itself. Several pixels never change, so
# every one of these covariances is singular. The exact reverse kernels take them as they are.

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import diffusion

images, labels = load_digits(return_X_y=True)
images = images / 8.0 - 1.0
sde = diffusion.VariancePreserving(64, m0=images.mean(0), P0=np.cov(images.T))
own = [images[labels == k] for k in range(10)]
mixture = diffusion.GaussianMixture(
    [len(x) / len(images) for x in own],
    [x.mean(0) for x in own],
    [np.cov(x.T) for x in own],
)
print(f"rank of the covariances: {np.linalg.matrix_rank(sde.P0)} of 64 for all digits, ", end="")
print([int(np.linalg.matrix_rank(P)) for P in mixture.covariances], "for each")

# %%
# Forwards
# --------
# The variance-preserving process of DDPM turns an image into noise. The score of the diffused
# mixture says, for each noisy image, which digits it may have been.

times = np.linspace(0.0, 1.0, 9)
noisy = diffusion.sample_forward(sde, images[:1], times, rng=0)[:, 0]
late = [
    mixture.diffuse(sde, t).responsibilities(x) for t, x in zip(times[1:], noisy[1:], strict=True)
]

figure, axes = plt.subplots(2, 9, figsize=(10, 2.9), layout="constrained")
for k, (t, x) in enumerate(zip(times, noisy, strict=True)):
    axes[0, k].imshow(x.reshape(8, 8), cmap="gray_r", vmin=-1.5, vmax=1.5)
    axes[0, k].set(title=f"t = {t:.3g}", xticks=[], yticks=[])
    axes[1, k].bar(range(10), np.eye(10)[labels[0]] if k == 0 else late[k - 1])
    axes[1, k].set(ylim=(0, 1), xticks=[0, 5], yticks=[])
axes[1, 0].set_ylabel("which digit?")
plt.show()

# %%
# And back
# --------
# Ten steps from noise to images, with the exact kernels. One Gaussian law knows strokes, but no
# digits; the mixture writes legible ones. The last row is the path of its first image.

noise = np.random.default_rng(1).standard_normal((400, 64))
grid = np.linspace(1.0, 0.0, 11)
plain = diffusion.sample_reverse(sde, noise, grid, rng=2)
mixed = diffusion.sample_reverse(sde, noise, grid, score=mixture, rng=2)

figure, axes = plt.subplots(4, 12, figsize=(10, 3.6), layout="constrained")
rows = {"data": images, "one Gaussian": plain[-1], "mixture": mixed[-1], "first one": mixed[:, 0]}
for line, (name, batch) in zip(axes, rows.items(), strict=True):
    for ax, x in zip(line, batch, strict=False):
        ax.imshow(x.reshape(8, 8), cmap="gray_r", vmin=-1.2, vmax=1.2)
    for ax in line:
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
axes[3, 11].axis("off")
plt.show()

# %%
# Are they the digits they should be?
# -----------------------------------
# One hundred images from the law of each digit, judged by a nearest-neighbour classifier that has
# seen real digits only; beside it, the same classifier on real digits that it has not seen.

judge = KNeighborsClassifier(3).fit(images[:1200], labels[:1200])
right = []
for k in range(10):
    process = replace(sde, m0=mixture.means[k], P0=mixture.covariances[k])
    drawn = diffusion.sample_reverse(process, noise[:100], grid, rng=k)[-1]
    right.append(np.mean(judge.predict(drawn) == k))
real = judge.score(images[1200:], labels[1200:])
print(f"recognised: {np.mean(right):.1%} of the drawn digits, {real:.1%} of real ones")

# %%
# And is the law right? The covariance of many draws, against the sampling error that a draw from
# the data's own Gaussian law would have, for ten steps and for one.

many = np.random.default_rng(3).standard_normal((20_000, 64))
expected = np.sqrt((np.trace(sde.P0) ** 2 + np.linalg.norm(sde.P0) ** 2) / len(many))
ratios = {}
for count in (1, 10):
    x = diffusion.sample_reverse(sde, many, np.linspace(1, 0, count + 1), rng=4)[-1] - sde.m0
    ratios[count] = float(np.linalg.norm(x.T @ x / len(x) - sde.P0) / expected)
print(f"error of the covariance in units of sampling noise, by steps: {ratios}")
assert np.mean(right) > 0.9
assert all(ratio < 1.5 for ratio in ratios.values())
