"""
Which process has these covariances?
====================================

Covariances estimated from a short record look like covariances and are none: the spectrum that
they imply dips below zero, and no process has a negative power at any frequency. Then the
Riccati equation has no solution, and a toolbox that goes on anyway returns a model of nothing.
What can be done is to change them into covariances that some process has, and to say by how much.
"""

# %%
# A short record
# --------------
# Forty samples of an oscillation, and a model of order four of their covariances.

import matplotlib.pyplot as plt
import numpy as np

import realization

A = [[0.95 * np.cos(0.8), 0.95 * np.sin(0.8)], [-0.95 * np.sin(0.8), 0.95 * np.cos(0.8)]]
truth = realization.InnovationSSM(A, [[1.0, 0.0]], [[0.4], [-0.2]], [[1.0]])
y = realization.simulate(truth, steps=40, noise=True, rng=1).y[:, 0]
y = y - y.mean()
estimates = np.array([y[k:] @ y[: y.size - k] / (y.size - k) for k in range(13)])
cov = realization.covariance_realization(estimates.reshape(-1, 1, 1), 4, weighting="none")
test = realization.is_positive_real(cov)
print(test)
assert not test.ok

# %%
# The test needs no grid: a negative dip is an eigenvalue on the unit circle of a matrix pencil,
# found however narrow it is.
#
# Two repairs
# -----------
# White noise lifts the spectrum everywhere by the same amount; shrinking keeps the variance and
# pulls all other covariances towards zero. Both say what they changed.

repaired = {
    method: realization.make_positive_real(cov, method=method, margin=1e-3)
    for method in ("white_noise", "shrink")
}
omega = np.linspace(0, np.pi, 600)
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
models = [truth, cov, *(fixed for fixed, _ in repaired.values())]
labels = ["truth", "estimated", "with white noise", "shrunk"]
for model, label in zip(models, labels, strict=True):
    ax.plot(omega, realization.spectral_density(model, omega)[:, 0, 0].real, label=label)
ax.axhline(0.0, color="0.4", lw=0.8)
ax.plot(test.frequency, test.margin, "kv", ms=6)
ax.annotate("no process", (test.frequency, test.margin), (8, -14), textcoords="offset points")
ax.set(xlabel="frequency (rad/sample)", ylabel="spectral density")
ax.legend(frameon=False)
plt.show()
for method, (_, repair) in repaired.items():
    print(f"{method}: {repair}")

# %%
# Now there are models
# --------------------
# The repaired covariances have a model with a state, and an innovation form, whose noise covariance
# is what the Kalman-Yakubovich-Popov matrix says: positive semidefinite, of rank one at the least
# state covariance.

fixed = repaired["white_noise"][0]
P = realization.minimal_covariance(fixed)
eigenvalues = np.linalg.eigvalsh(realization.kyp_matrix(fixed, P))
with_state, predictor = realization.to_gaussian(fixed, P), realization.innovation_form(fixed)
covariances = realization.autocovariance(fixed, 40)
errors = [
    np.abs(realization.autocovariance(model, 40) - covariances).max()
    for model in (with_state, predictor)
]
print(f"eigenvalues of the KYP matrix: {eigenvalues.round(3)}")
print(f"covariances of the two models differ from those asked for by {max(errors):.0e}")
assert max(errors) < 1e-9 * covariances[0, 0, 0]
assert eigenvalues[0] > -1e-9 * eigenvalues[-1]
assert eigenvalues[-2] < 1e-9 * eigenvalues[-1]

figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
realization.plot_spectrum([truth, predictor], labels=["truth", "repaired model"], ax=ax)
plt.show()
