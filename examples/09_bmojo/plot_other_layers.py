"""
Which other layers can hold an identified model?
================================================

S5, LRU, S4D and the scan inside Mamba are all diagonal linear recurrences, written in different
parameters. A model with distinct stable eigenvalues fits into each of them exactly, once its time
index is shifted: these layers let the newest input act at once, a classical model one step later.
"""

# %%
# One model
# ---------
# A mode that oscillates and one that decays; one input, one output.

import matplotlib.pyplot as plt
import numpy as np

from canonical_forms import bmojo
from realization import LinearSSM, markov_parameters

pair = 0.95 * np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
A = np.zeros((3, 3))
A[:2, :2], A[2, 2] = pair, 0.8
model = LinearSSM(A, [[1.0], [0.0], [0.7]], [[0.5, 1.0, -1.0]], [[0.2]])
steps = 80
response = markov_parameters(model, steps)[:, 0, 0]

# %%
# Four laws
# ---------
# Each in its own words: what the layer computes, as its authors wrote it down.


def s5(Lambda, B, C, D, log_step):
    """Hold the input over a step: x = exp(L d) x + (exp(L d) - 1)/L B u, y = Re(C x) + D u."""
    decay = np.exp(Lambda * np.exp(log_step))
    drive = ((decay - 1) / Lambda)[:, np.newaxis] * B
    return [np.real(C @ (decay**k * drive[:, 0]))[0] for k in range(steps)], D


def lru(nu_log, theta_log, gamma_log, B, C, D):
    """Put the modulus into a double exponential: x = exp(-exp(nu) + i exp(theta)) x + gamma B u."""
    decay = np.exp(-np.exp(nu_log) + 1j * np.exp(theta_log))
    drive = np.exp(gamma_log) * B[:, 0]
    return [np.real(C @ (decay**k * drive))[0] for k in range(steps)], D


def s4d(log_dt, log_A_real, A_imag, C, D):
    """Convolve with the kernel K_k = 2 Re sum C (exp(A d) - 1)/A exp(A d k)."""
    A, step = (-np.exp(log_A_real) + 1j * A_imag)[0], np.exp(log_dt[0])
    weights = C[0] * (np.exp(A * step) - 1) / A
    return [2 * np.real(weights @ np.exp(A * step * k)) for k in range(steps)], D


def mamba(A, B, C, D, delta):
    """Drive with an Euler step: h = exp(d A) h + d B u, y = 2 Re(C h) + D u."""
    decay, drive = np.exp(delta[0] * A[0]), delta[0] * B[0]
    gain = 2 if np.iscomplexobj(A) else 1
    return [gain * np.real(C[0] @ (decay**k * drive)) for k in range(steps)], D


laws = {
    "S5": (s5, bmojo.s5_parameters),
    "LRU": (lru, bmojo.lru_parameters),
    "S4D": (s4d, bmojo.s4d_parameters),
    "Mamba scan": (mamba, bmojo.mamba_parameters),
}

# %%
# The same response
# -----------------

figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
ax.plot(response, "k", lw=4, alpha=0.2, label="model")
errors = {}
for (name, (law, parameters)), style in zip(laws.items(), (":", "--", "-.", "-"), strict=True):
    kernel, direct = law(**parameters(model))
    kernel = np.array(kernel)
    kernel[0] += np.ravel(direct)[0]
    errors[name] = np.abs(kernel - response).max()
    ax.plot(kernel, style, lw=1, label=name)
ax.set(xlabel="lag", ylabel="impulse response")
ax.legend(frameon=False, ncols=5)
plt.show()
for name, error in errors.items():
    print(f"{name:<12} differs by {error:.0e}")
assert max(errors.values()) < 1e-12

# %%
# What has no exact map
# ---------------------
# The whole ``Mamba`` module is not one of these: its eigenvalues are real and positive, and a
# convolution, a gate and a nonlinearity stand around its scan. Models with eigenvalue zero, with
# equal eigenvalues in one chain, or with poles on the unit circle fit into none of the four. Each
# function says so.

delay = LinearSSM([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0]])
try:
    bmojo.lru_parameters(delay)
except ValueError as refusal:
    print(refusal)
