"""
How many states does a model need?
==================================

A flexible structure with twenty modes has forty states, and most of them hardly matter to what its
sensor sees. Balancing orders the states by how much they matter; leaving out the last ones costs
at most twice the sum of their Hankel singular values, at every frequency. How far can one go?
"""

# %%
# A structure with twenty modes
# -----------------------------
# Natural frequencies from 0.5 to 60 rad/s with one percent of damping, one force, one sensor; first
# in continuous time, then sampled.

import matplotlib.pyplot as plt
import numpy as np
import scipy

from canonical_forms import balanced_form, truncate
from realization import LinearSSM, discretize, frequency_response

rng = np.random.default_rng(0)
frequencies = np.geomspace(0.5, 60.0, 20)
blocks = [np.array([[0.0, 1.0], [-(w**2), -0.02 * w]]) for w in frequencies]
A = scipy.linalg.block_diag(*blocks)
force, shape = rng.uniform(0.3, 1.0, 20), rng.uniform(-1.0, 1.0, 20)
B = np.kron(force, [0.0, 1.0])[:, np.newaxis]
C = np.kron(shape, [1.0, 0.0])[np.newaxis]
plants = {"continuous time": LinearSSM(A, B, C, dt=0.0)}
plants["sampled, dt = 0.02"] = discretize(plants["continuous time"], 0.02)

# %%
# Balance and truncate
# --------------------
# Left: the Hankel singular values. Right: the frequency response of forty states, of sixteen, and
# the error between them, which stays below its bound.

order = 16
figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained", sharex="col")
reduced = {}
for (left, right), (name, plant) in zip(axes, plants.items(), strict=True):
    form = balanced_form(plant)
    reduced[name] = small = truncate(form, order)
    sigma, bound = form.info["hankel_singular_values"], small.info["error_bound"]
    number = np.arange(1, sigma.size + 1)
    left.semilogy(number[:order], sigma[:order], "o", color="C0", label="kept")
    left.semilogy(number[order:], sigma[order:], "o", color="0.7", label="left out")
    left.set(ylabel="Hankel singular value", title=name)
    left.legend(frameon=False)
    omega = np.geomspace(0.2, min(150.0, np.pi / plant.dt if plant.dt else np.inf), 4000)
    full = frequency_response(plant, omega)[:, 0, 0]
    error = np.abs(full - frequency_response(small.model, omega)[:, 0, 0])
    right.loglog(omega, np.abs(full), color="0.6", linewidth=2.5, label="40 states")
    approximation = np.abs(frequency_response(small.model, omega)[:, 0, 0])
    right.loglog(omega, approximation, color="C0", linewidth=1.0, label=f"{order} states")
    right.loglog(omega, error, color="C3", linewidth=1.0, label="error")
    right.axhline(bound, color="C3", linestyle="--", label="bound")
    right.set(ylabel="gain", ylim=(1e-6, None))
    assert error.max() <= bound
    print(f"{name}: error {error.max():.2e}, bound {bound:.2e}")
axes[1, 0].set_xlabel("state")
axes[1, 1].set_xlabel("frequency in rad/s")
axes[0, 1].legend(frameon=False, ncols=2, loc="lower left")
plt.show()

# %%
# Every order
# -----------
# The bound is a guarantee that needs no frequency response. It is not far from the truth: here
# within a factor of twelve at every order.

form = balanced_form(plants["sampled, dt = 0.02"])
omega = np.linspace(1e-3, np.pi / 0.02, 6000)
full = frequency_response(plants["sampled, dt = 0.02"], omega)
orders, bounds, errors = range(2, 40, 2), [], []
for r in orders:
    small = truncate(form, r)
    bounds.append(small.info["error_bound"])
    errors.append(np.abs(full - frequency_response(small.model, omega)).max())
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.semilogy(orders, bounds, "--", color="C3", label="bound")
ax.semilogy(orders, errors, "o-", color="C3", markersize=4, label="largest error")
ax.set(xlabel="order of the reduced model", ylabel="gain")
ax.legend(frameon=False)
plt.show()
ratio = np.array(bounds) / np.array(errors)
print(f"bound over error: {ratio.min():.1f} to {ratio.max():.1f}")
assert (ratio >= 1).all()
assert ratio.max() < 12
