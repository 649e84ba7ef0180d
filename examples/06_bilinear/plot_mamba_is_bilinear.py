r"""
Is Mamba a bilinear system?
===========================

A selective layer chooses its decays by the input: :math:`h_t = a(u_t) \odot h_{t-1} + b(u_t)`. A
bilinear system multiplies its state by the input. Are they the same thing? In the right input,
exactly; in the raw one, to first order. Both halves of that answer are computed here.
"""

# %%
# A layer
# -------
# Two channels with three states each, as in Mamba: :math:`\Delta_t = \operatorname{softplus}(w
# u_t)`, :math:`a = e^{\Delta_t \lambda}`, :math:`b = \Delta_t B_t u_t`, with :math:`B_t` depending
# on the input. The output map is held constant.

import matplotlib.pyplot as plt
import numpy as np

import realization
from realization.scan import selective_scan

rng = np.random.default_rng(0)
channels, states, steps = 2, 3, 400
rates = -np.array([[0.2, 0.6, 1.5], [0.1, 0.4, 1.0]])
weight, mix = 0.5, rng.standard_normal((channels, states))
read = rng.standard_normal(states)
u = rng.standard_normal((steps, channels))

delta, B = np.logaddexp(0.0, weight * u), 1.0 + u @ mix
z, _ = selective_scan(delta, rates, B, np.tile(read, (steps, 1)), u, np.zeros((channels, states)))

# %%
# The lifted input
# ----------------
# Give the decays and the drives as inputs, :math:`\varphi(u) = (a(u), b(u))`, with one gate for
# each decay (:math:`N_j = e_j e_j^\top`, :math:`A = 0`). The bilinear model shows the state before
# the sample acts, the layer after it: the outputs are one step apart.

n = channels * states
decays = np.exp(delta[:, :, None] * rates).reshape(steps, n)
drives = ((delta * u)[:, :, None] * B[:, None, :]).reshape(steps, n)
bilinear = realization.diagonal_bilinear(
    lam=np.zeros(n),
    gates=np.vstack([np.eye(n), np.zeros((n, n))]),
    B=np.hstack([np.zeros((n, n)), np.eye(n)]),
    C=np.kron(np.eye(channels), read),
)
lifted = np.vstack([np.hstack([decays, drives]), np.zeros((1, 2 * n))])
y = realization.simulate(bilinear, lifted).y[1:]
exact = np.abs(y - z).max() / np.abs(z).max()
print(f"lifted input: largest difference {exact:.1e}")
assert exact < 1e-13

# %%
# The raw input
# -------------
# A decay that is affine in :math:`u` and stays between 0 and 1 for all :math:`u` is constant, so no
# bilinear system in :math:`u` itself is this layer. It can be the expansion at zero,
# :math:`a(u) \approx a(0) + a'(0) u`. To see the decays alone, one channel whose drive is linear,
# :math:`b(u) = \Delta(0) u`, is compared with that model and with its linear part.

step = np.log(2.0)  # softplus(0); its slope there is 1/2
lam = np.exp(step * rates[0])
slope = lam * rates[0] * weight / 2
models = [
    realization.diagonal_bilinear(lam, gates[None], step * np.ones((states, 1)), read[None])
    for gates in (np.zeros(states), slope)
]
sizes = np.logspace(-2, 0.5, 11)
errors = np.empty((2, len(sizes)))
for j, size in enumerate(sizes):
    v = size * u[:, :1]
    own = np.logaddexp(0.0, weight * v)
    target, _ = selective_scan(
        own, rates[:1], step / own * np.ones(states), np.tile(read, (steps, 1)), v,
        np.zeros((1, states)),
    )  # fmt: skip
    for i, model in enumerate(models):
        y = realization.simulate(model, np.vstack([v, [[0.0]]])).y[1:]
        errors[i, j] = np.abs(y - target).max() / np.abs(target).max()

grid = np.linspace(-12, 12, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
gate = np.exp(np.logaddexp(0.0, weight * grid) * rates[0, 1])
left.plot(grid, gate, lw=2, label=r"Mamba: $e^{\Delta(u) \lambda}$")
left.plot(grid, lam[1] + slope[1] * grid, "--", label="bilinear: affine")
left.axhspan(0, 1, color="0.93", zorder=0)
left.set(xlabel="u", ylabel="decay of one state", ylim=(-0.6, 1.6))
left.legend(fontsize="small")
right.loglog(sizes, errors[0], "s-", label="linear: constant decays")
right.loglog(sizes, errors[1], "o-", label="bilinear: affine decays")
right.set(xlabel="size of the input", ylabel="largest error, relative")
right.legend(fontsize="small")
plt.show()

# %%
# The answer
# ----------
# In the lifted input, to rounding. In the raw input the relative error falls with the square of its
# size, against the first power for a linear layer.

orders = [float(np.polyfit(np.log(sizes[:5]), np.log(row[:5]), 1)[0]) for row in errors]
print(f"orders of the error: linear {orders[0]:.2f}, bilinear {orders[1]:.2f}")
assert abs(orders[0] - 1) < 0.1
assert abs(orders[1] - 2) < 0.1
