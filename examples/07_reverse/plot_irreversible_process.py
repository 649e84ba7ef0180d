"""
Which way does a process turn?
==============================

A scalar stationary Gaussian process looks the same in both directions of time: its covariances are
even. A vector process need not. This one drifts around the origin, always the same way, although
no single coordinate shows it. What does its reverse look like, and how many samples does it take to
see the direction of time?
"""

# %%
# A process that turns
# --------------------
# Two coordinates and a rotation, driven by noise that is stronger in one direction; seen in white
# noise.

import matplotlib.pyplot as plt
import numpy as np

import diffusion
import realization

turn, radius = 0.3, 0.9
A = radius * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
model = realization.GaussianSSM(A, np.eye(2), Q=np.diag([1.0, 0.2]), R=np.eye(2))
backwards = diffusion.reverse(model)

# %%
# The reverse is a model of the same class, with the same poles and the same state covariance. Its
# covariances are the transposed ones: what was :math:`E[y_{t+k} y_t^\top]` is now
# :math:`E[y_t y_{t+k}^\top]`.

lags = 30
forward, reverse = (realization.autocovariance(m, lags) for m in (model, backwards))
assert np.allclose(reverse, np.swapaxes(forward, 1, 2))
poles = (np.sort_complex(realization.poles(m)) for m in (model, backwards))
assert np.allclose(*poles)

figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.3), layout="constrained")
for ax, m, name in zip(axes, (model, backwards), ("forwards", "backwards"), strict=False):
    x = realization.simulate(m, steps=40, noise=True, rng=5).x
    ax.plot(*x.T, "-", color="0.7")
    ax.scatter(*x.T, c=np.arange(41), cmap="viridis", s=18, zorder=2)
    ax.set(title=f"states, {name} (dark to bright)", aspect="equal", xticks=[], yticks=[])
axes[2].plot(forward[:, 0, 0], color="0.6", label=r"$\Lambda_k^{11}$, both directions")
axes[2].plot(forward[:, 0, 1], label=r"$\Lambda_k^{12}$ forwards")
axes[2].plot(reverse[:, 0, 1], "--", label=r"$\Lambda_k^{12}$ backwards")
axes[2].set(xlabel="lag k")
axes[2].legend(fontsize="small")
plt.show()

# %%
# How irreversible?
# -----------------
# The largest :math:`\|\Lambda_k - \Lambda_k^\top\|` relative to :math:`\|\Lambda_0\|`. It is zero
# without rotation, and zero again where the process alternates, turning by half a circle a step:
# then left and right are the same.

angles = np.linspace(0, np.pi, 61)
values = []
for angle in angles:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    values.append(
        diffusion.irreversibility(
            realization.GaussianSSM(radius * rotation, np.eye(2), model.Q, model.R)
        )
    )

# %%
# Seeing the direction of time
# ----------------------------
# The log-likelihood of a record under the model, minus that of the same record read from its end,
# grows by a constant number of nats a sample: its mean is the relative entropy between the process
# and its reverse. A record read backwards has exactly the likelihood, under the reversed model,
# that it has read forwards under the model.

y = realization.simulate(model, np.zeros((200, 60, 0)), noise=True, rng=1).y
likelihood = realization.log_likelihood
gains = {
    steps: np.array([likelihood(model, r) - likelihood(model, r[::-1]) for r in y[:, :steps]])
    for steps in (10, 60)
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(angles / np.pi, values)
left.set(xlabel="turn a step (half circles)", ylabel="irreversibility", ylim=(0, None))
for steps, gain in gains.items():
    right.hist(gain, bins=25, label=f"{steps} samples")
right.axvline(0, color="k", lw=1)
right.set(xlabel="nats in favour of the true direction", ylabel="records")
right.legend()
plt.show()

# %%
# Ten samples leave a doubt, sixty none.

right = {steps: float(np.mean(gain > 0)) for steps, gain in gains.items()}
error = max(abs(likelihood(backwards, r[::-1]) / likelihood(model, r) - 1) for r in y)
print(f"records whose direction is found: {right}")
print(f"likelihood of the reversed records, relative difference: {error:.1e}")
assert right[60] == 1.0
assert error < 1e-12

# %%
# Speed is no way out
# -------------------
# Seen at every k-th sample the process forgets more and turns further, and every one of these has
# a direction. ``retime(model, -k)`` is the reverse of ``retime(model, k)``.

for k in (1, 3, 12):
    fast, slow = diffusion.retime(model, k), diffusion.retime(model, -k)
    print(f"speed {k}: irreversibility {diffusion.irreversibility(fast):.2f}")
    assert np.allclose(slow.A, diffusion.reverse(fast).A)
    assert diffusion.irreversibility(fast) > 0.1
