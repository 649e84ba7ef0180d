"""
Which paths explain these outputs?
==================================

A smoother returns the mean path given the outputs, and its error bars. Neither is a path: the mean
is too smooth, the bars say nothing about how errors hang together. Whole paths, drawn from their
law given the outputs, answer questions that need one, such as how often a level was crossed. The
backward model draws them.
"""

# %%
# Outputs with gaps
# -----------------
# A slow oscillation, measured now and then.

import matplotlib.pyplot as plt
import numpy as np

import diffusion
import realization

angle = 2 * np.pi / 40
A = 0.99 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
model = realization.GaussianSSM(A, [[1.0, 0.0]], 0.02 * np.eye(2), [[0.3]])
path = realization.simulate(model, steps=160, noise=True, rng=5)
y = path.y.copy()
y[20:60] = np.nan
y[90:130] = np.nan

# %%
# Two filters, one smoother
# -------------------------
# One Kalman filter runs forward, another backward, on the backward model. Neither waits for the
# other, and what they say about each state can be added, once the prior is taken out: it was
# counted twice. The result is that of the smoother which runs there and back.

two, one = diffusion.two_filter_smooth(model, y), realization.smooth(model, y)
agreement = max(np.abs(two.x - one.x).max(), np.abs(two.P - one.P).max())

# %%
# Paths
# -----
# Forward filter, then backwards state by state.

draws = [diffusion.sample_backward(model, y=y, rng=seed).x[:, 0] for seed in range(150)]
step = np.arange(161)
figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
deviation = np.sqrt(one.P[:, 0, 0])
ax.fill_between(step, one.x[:, 0] - 2 * deviation, one.x[:, 0] + 2 * deviation, color="0.9")
for k, draw in enumerate(draws[:5]):
    ax.plot(step, draw, "C0", lw=0.8, alpha=0.7, label="possible paths" if k == 0 else None)
ax.plot(step, one.x[:, 0], "C1", label="smoothed mean")
ax.plot(step[:-1], y[:, 0], "k.", ms=3, label="measured")
ax.set(xlabel="step", ylabel="state")
ax.legend(frameon=False, ncols=3)
plt.show()

# %%
# A question about paths
# ----------------------
# How large was the largest excursion in the first gap? The mean path cannot say.

largest = np.max([np.abs(draw[20:60]) for draw in draws], axis=1)
from_mean = np.abs(one.x[20:60, 0]).max()
print(
    f"largest excursion: {largest.mean():.2f} +- {largest.std():.2f}, of the mean {from_mean:.2f}"
)
gap = np.mean(draws, axis=0) - one.x[:, 0]
score = np.abs(gap / deviation * np.sqrt(len(draws))).max()
print(f"the draws have the smoothed mean: {score:.1f} standard errors; two filters {agreement:.0e}")
assert largest.mean() > from_mean
assert score < 4.5
assert agreement < 1e-9

# %%
# The same as a diffusion model
# -----------------------------
# Take the path as one point in 322 dimensions, given the outputs, and diffuse it. The score at
# every noise level comes from the same smoother, without ever forming a covariance, and a reverse
# diffusion with that score draws from the same law.

sde = diffusion.VariancePreserving(2)
score_of_paths = diffusion.smoother_score(model, y, sde=sde)
times = np.concatenate([np.geomspace(1.0, 1e-3, 24), [1e-4]])
noise = np.random.default_rng(0).standard_normal((30, 161, 2))
drawn = diffusion.sample_reverse(sde, noise, times, score=score_of_paths, method="heun", eta=0.0)
ends = drawn[-1][..., 0]
spread = (ends.std(axis=0) / deviation).mean()
off = np.abs((ends.mean(axis=0) - one.x[:, 0]) / deviation * np.sqrt(len(ends))).max()
print(f"reverse diffusion: spread {spread:.3f} of the smoother's, mean within {off:.1f}")
assert abs(spread - 1) < 0.1
assert off < 4.5
