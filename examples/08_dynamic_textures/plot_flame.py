"""
How many numbers does a flame need?
===================================

A flame flickers for ever and never twice the same. Sixteen seconds of one are enough to learn a
model that plays on: a mean picture, a few basis images, and noise that moves them. ``python
plot_flame.py CLIP`` does the same with a clip of yours (a video file, a GIF, a folder of images).
"""

# %%
# A flame
# -------
# Heat rises and sways, spreads and cools; at the bottom it is fed at random. Its colour is that of
# hot soot, from black over red and yellow to white. Nothing in this is linear.

import sys

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

import realization
from identification.dynamic_texture import evaluate, learn, read_video, synthesize

height, width = 64, 48
rng = np.random.default_rng(0)


def flame(frames):
    """Yield the frames (64, 48, 3) of a flame, uint8, once it burns."""
    row, column = np.mgrid[0:height, 0:width].astype(float)
    heat, sway, fuel = np.zeros((height, width)), 0.0, np.zeros(width)
    wick = np.exp(-(((np.arange(width) - width / 2) / 8.0) ** 4))
    for frame in range(-100, frames):
        sway = 0.9 * sway + 0.15 * rng.standard_normal()
        fuel = 0.7 * fuel + 0.3 * 6 * gaussian_filter(rng.standard_normal(width), 3)
        inward = 0.25 * (width / 2 - column) / 8.0 * np.exp(-((column - width / 2) ** 2) / 200)
        source = [row + 2.0, column - sway * (height - row) / height - inward]
        heat = map_coordinates(heat, source, order=1, mode="constant")
        heat = np.maximum(gaussian_filter(heat, 0.6) * 0.985 - 0.012, 0.0)
        heat[-3:] = wick * np.clip(1.0 + fuel, 0.2, 1.8)
        if frame >= 0:
            colour = np.stack([2.2 * heat, 2.2 * heat - 0.75, 2.2 * heat - 1.6], axis=2)
            yield np.rint(255 * colour.clip(0, 1)).astype(np.uint8)


own_clip = sys.argv[1] if len(sys.argv) > 1 else None
source = read_video(own_clip or flame(500))
clip = np.concatenate(list(source.blocks(100)))
seen, unseen = clip[: len(clip) * 4 // 5], clip[len(clip) * 4 // 5 :]

# %%
# What is learned
# ---------------
# The order is that which predicts best, inside the first four fifths of the film. The last fifth
# tells how well: the next frame is predicted better than by repeating the last one.

texture = learn(read_video(seen, fps=source.fps))
metrics = evaluate(texture, unseen)
print(texture.summary())
print(metrics.summary())

images = [texture.mean, *texture.basis.T[:7]]
figure, axes = plt.subplots(1, 8, figsize=(11, 2), layout="constrained")
for number, (ax, image) in enumerate(zip(axes, images, strict=False)):
    picture = image / 255 if number == 0 else 0.5 + 0.5 * image / np.abs(image).max()
    ax.imshow(picture.reshape(texture.shape))
    ax.set(xticks=[], yticks=[], title=f"basis image {number}" if number else "mean frame")
plt.show()

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
realization.plot_poles(texture.model, ax=left)
right.semilogy(metrics.frequencies, metrics.clip_spectrum, color="0.5", label="unseen frames")
right.semilogy(metrics.frequencies, metrics.model_spectrum, label="texture")
right.set(xlabel="frequency (Hz)", ylabel="power")
right.legend()
plt.show()

# %%
# A flame that never repeats
# --------------------------
# Two films from one seed, forwards and backwards: in the second, flames are born in the air, sink
# and gather at the wick. Nothing but noise feeds them, and neither fades.

frames = 300 if own_clip else 2000
films = [synthesize(texture, frames, speed=speed, rng=0) for speed in (1, -1)]
rows = {"the clip": seen, "forwards": films[0], "backwards": films[1]}
figure, axes = plt.subplots(3, 8, figsize=(11, 5.2), layout="constrained")
for line, (name, film) in zip(axes, rows.items(), strict=True):
    for number, ax in enumerate(line):
        ax.imshow(film[3 * number])
        ax.set(xticks=[], yticks=[])
        axes[0, number].set_title(f"+{3 * number}", fontsize="small")
    line[0].set_ylabel(name)
plt.show()

# %%
# How many numbers?
# -----------------
# Mean frame and basis images are most of them: a texture is no codec for short clips. But these
# are all, however long the film is. It neither fades nor grows; on the screen it varies less than
# the model says, because what is darker than black or brighter than white is cut off.

print(f"{texture.n_parameters} numbers, {2 * texture.n_states**2} of them for the motion")
print(f"in the clip: {seen.size}; in the film: {films[0].size}, and so on")
quarters = [np.var(part, axis=0).sum() for part in np.split(films[0].astype(np.float32), 4)]
print("variance of the film, by quarters:", ", ".join(f"{q / quarters[0]:.2f}" for q in quarters))
on_screen = sum(quarters) / 4 / np.var(seen, axis=0).sum()
print(f"variance over that of the clip: model {metrics.covariance_ratio:.2f}, film {on_screen:.2f}")
assert own_clip or metrics.one_step_psnr > metrics.persistence_psnr
assert own_clip or (min(quarters) / max(quarters) > 0.8 and 0.8 < metrics.covariance_ratio < 1.25)
