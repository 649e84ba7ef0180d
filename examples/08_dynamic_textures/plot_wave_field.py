"""
Can the sea be played faster, slower, backwards?
================================================

Rewinding a film of waves shows the same waves again; slowing it down doubles its frames. A model of
the waves makes new ones at any speed and in either direction of time. ``python plot_wave_field.py
CLIP`` does the same with a clip of yours (a video file, a GIF, a folder of images).
"""

# %%
# A sea
# -----
# Twelve trains of waves roll mostly to the right, the short ones slower, as gravity has it:
# :math:`\omega = \sqrt{g k}`. Wind stirs each at random, so that it forgets its phase within some
# fifty frames; the picture is the slope of the surface, lit from the left.

import sys

import matplotlib.pyplot as plt
import numpy as np

import realization
from identification.dynamic_texture import learn, read_video, synthesize

own_clip = sys.argv[1] if len(sys.argv) > 1 else None
rng = np.random.default_rng(0)
waves = 12
row, column = np.mgrid[0:48, 0:96]
k = np.linspace(0.15, 0.6, waves)
heading = rng.uniform(-0.4, 0.4, waves)
poles = 0.98 * np.exp(-0.5j * np.sqrt(k))
along, across = k * np.cos(heading), k * np.sin(heading)
phases = np.multiply.outer(along, column) + np.multiply.outer(across, row)
size = 13 * (k[0] / k) ** 0.3


def sea(frames):
    """Return a film (frames, 48, 96) of the sea, uint8."""
    parts = rng.standard_normal((2, frames + 1, waves)) * size / np.sqrt(2)
    noise = parts[0] + 1j * parts[1]
    height = realization.scan.diagonal_scan(poles, noise[1:] * np.sqrt(1 - 0.98**2), noise[0])
    slopes = np.einsum("tw,whc->thc", height[:frames], np.exp(1j * phases)).real
    return np.rint(120 + slopes + rng.standard_normal(slopes.shape)).clip(0, 255).astype(np.uint8)


clip = read_video(own_clip or sea(1500), grey=True)
texture = learn(clip, "auto" if own_clip else 2 * waves)
print(texture.summary())

# %%
# What it found
# -------------
# The basis images are wave trains, in pairs a quarter of a wave apart: that is how two pictures
# make one that travels. The poles are those of the sea, as near as a minute of film tells.

figure, axes = plt.subplots(2, 4, figsize=(9, 2.8), layout="constrained")
for number, ax in enumerate(axes.flat):
    ax.imshow(texture.basis[:, number].reshape(texture.shape), cmap="RdBu")
    ax.set(xticks=[], yticks=[], title=f"basis image {number + 1}")
plt.show()

figure, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
if own_clip is None:
    ax.plot(poles.real, -poles.imag, "o", mfc="none", color="C1", ms=9, label="the sea")
realization.plot_poles(texture.model, labels=["texture"], ax=ax)
if own_clip is None:
    ax.set(xlim=(0.86, 1.0), ylim=(0.14, 0.42))
plt.show()

# %%
# Four films of one texture
# -------------------------
# One row of pixels over time: waves are slanted lines, steep when they are slow. Backwards is not a
# rewound film but the reversed process: waves that no camera has seen, rolling to the left.

frames = 300 if own_clip else 6000
films = {speed: synthesize(texture, frames, speed=speed, rng=1) for speed in (1, 2, 0.5, -1)}
original = next(clip.blocks(120))[..., 0]
panels = {"the clip": original, **{f"film, speed {s:g}": film[:120] for s, film in films.items()}}
figure, axes = plt.subplots(1, 5, figsize=(11, 3.4), layout="constrained", sharey=True)
for ax, (name, film) in zip(axes, panels.items(), strict=True):
    ax.imshow(film[:, film.shape[1] // 2], cmap="gray", aspect="auto")
    ax.set_title(name, fontsize="medium")
    ax.set(xlabel="column", xticks=[])
axes[0].set_ylabel("frame")
plt.show()

figure, axes = plt.subplots(3, 6, figsize=(11, 3.4), layout="constrained")
rows = {"the clip": original, "forwards": films[1], "backwards": films[-1]}
for line, (name, film) in zip(axes, rows.items(), strict=True):
    for number, ax in enumerate(line):
        ax.imshow(film[4 * number], cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        axes[0, number].set_title(f"+{4 * number}", fontsize="small")
    line[0].set_ylabel(name)
plt.show()

# %%
# The spectrum moves, the picture stays
# -------------------------------------
# The frequency is multiplied by the speed; the variance is what it was, but for chance.

figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
middle, variance = {}, {}  # half of the power lies below the middle frequency
for speed, film in films.items():
    z = (film.reshape(frames, -1) - texture.mean) @ texture.basis
    power = np.sum(np.abs(np.fft.rfft(z, axis=0)) ** 2, axis=1)
    hertz = np.arange(len(power)) / frames * texture.fps
    middle[speed] = hertz[np.searchsorted(np.cumsum(power), power.sum() / 2)]
    variance[speed] = z.var(axis=0).sum()
    ax.semilogy(hertz, np.convolve(power, np.ones(25), "same"), label=f"speed {speed:g}")
ax.set(xlabel="frequency (Hz)", ylabel="power")
ax.legend()
plt.show()

for speed in films:
    faster, larger = middle[speed] / middle[1], variance[speed] / variance[1]
    print(f"speed {speed:4g}: frequency x {faster:.2f}, variance x {larger:.2f}")
    assert own_clip or (abs(faster / abs(speed) - 1) < 0.05 and abs(larger - 1) < 0.1)
