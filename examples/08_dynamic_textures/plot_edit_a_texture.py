"""
What can be changed in a texture?
=================================

A film is frames; a texture is a model of a process, and a model has handles. Its amplitude, its
fine structure, its speed, and its place between two others are each one number, and what the
change does to the covariances is known before a frame is drawn.
"""

# %%
# Two textures
# ------------
# Ripples that run to the right, and clouds that change in place. Both are learned from films that
# this script makes.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import realization
from identification.dynamic_texture import (
    blend,
    change_speed,
    intensify,
    learn,
    open_writer,
    read_video,
    scale_detail,
    synthesize,
)

size, frames = 48, 400
row, column = np.mgrid[0:size, 0:size].astype(float)


def film(waves, seed):
    """Return a film (400, 48, 48) of waves (rows, columns, cycles a frame) with random lives."""
    rng = np.random.default_rng(seed)
    picture = np.full((frames, size, size), 128.0)
    for across, along, rate in waves:
        phase = 2 * np.pi * (across * row + along * column) / size
        amplitude = np.zeros(2)
        turn = 0.97 * np.array(
            [[np.cos(2 * np.pi * rate), -np.sin(2 * np.pi * rate)],
             [np.sin(2 * np.pi * rate), np.cos(2 * np.pi * rate)]]
        )  # fmt: skip
        for t in range(frames):
            amplitude = turn @ amplitude + 4.0 * rng.standard_normal(2)
            picture[t] += amplitude[0] * np.cos(phase) + amplitude[1] * np.sin(phase)
    return picture.clip(0, 255).astype(np.uint8)


ripples = learn(film([(0, 6, 0.05), (1, 7, 0.06), (-1, 7, 0.06)], 0), 6)
clouds = learn(film([(1, 1, 0.01), (2, 0, 0.008), (0, 2, 0.012)], 1), 6)

# %%
# Five changes
# ------------

edited = {
    "ripples": ripples,
    "clouds": clouds,
    "half and half": blend(ripples, clouds, 0.5),
    "twice as strong": intensify(ripples, 2.0),
    "blurred": scale_detail(ripples, 0.2, size=2.0),
    "twice as fast": change_speed(ripples, 2.0),
}
figure, axes = plt.subplots(2, 6, figsize=(12, 4.2), layout="constrained")
for (upper, lower), (name, texture) in zip(axes.T, edited.items(), strict=True):
    shown = synthesize(texture, 120, rng=3)
    upper.imshow(shown[60], cmap="gray", vmin=0, vmax=255)
    upper.set(xticks=[], yticks=[])
    upper.set_title(name, fontsize="small")
    lower.imshow(shown[:, 24].astype(float), cmap="gray", vmin=0, vmax=255, aspect="auto")
    lower.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("a frame")
axes[1, 0].set_ylabel("one row over time")
plt.show()

# %%
# Known before it is drawn
# ------------------------
# Blending takes the mean of the covariances, a gain multiplies them by its square, speed leaves
# them alone. All of this is in the models; the films only show it.


def variance(texture):
    """Return the stationary variance of all pixels together."""
    return np.trace(realization.to_covariance(texture.model).Lambda0)


ratios = {
    "half and half": (variance(ripples) + variance(clouds)) / 2,
    "twice as strong": 4 * variance(ripples),
    "twice as fast": variance(ripples),
}
for name, expected in ratios.items():
    error = abs(variance(edited[name]) / expected - 1)
    print(f"{name:<16} variance as expected to {error:.0e}")
    assert error < 1e-6

# %%
# To a file
# ---------
# ``synthesize(..., out="film.mp4")`` streams to a file; frames of your own go through a writer.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "blend.gif"
    with open_writer(path, (size, size, 1), 25.0) as writer:
        writer.write(synthesize(edited["half and half"], 50, rng=0)[..., np.newaxis])
    print(f"{read_video(path).length} frames, {path.stat().st_size // 1024} kB")
