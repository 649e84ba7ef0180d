"""
What does a controller do to the record?
========================================

A plant can often be measured only while its controller holds it. The inputs then answer the noise,
and methods that take them for chosen freely see a plant that is not there. Which methods do not?
"""

# %%
# A plant that needs its controller
# ---------------------------------
# It is unstable; a proportional controller holds it. A reference signal, added to what the
# controller says, excites the loop.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

plant = realization.InnovationSSM(
    A=[[1.02, 0.2], [0.0, 0.7]],
    B=[[0.1], [0.6]],
    C=[[1.0, 0.0]],
    K=[[0.6], [0.1]],
    Re=[[1.0]],
)
gain, steps = 0.8, 3000


def measure(seed):
    """Return outputs and inputs of the closed loop, computed sample by sample."""
    e = np.random.default_rng(seed).standard_normal(steps)
    reference = identification.prbs(steps, shift=97 * seed)[:, 0]
    x, y, u = np.zeros(2), np.empty((steps, 1)), np.empty((steps, 1))
    for t in range(steps):
        y[t] = plant.C @ x + e[t]
        u[t] = reference[t] - gain * y[t]
        x = plant.A @ x + plant.B @ u[t] + plant.K[:, 0] * e[t]
    return y, u


# %%
# One record
# ----------
# Nothing in the record says "closed loop", but the data do: what the outputs do unexpectedly shows
# in the inputs that follow. The methods that assume open loop test for that.

y, u = measure(0)
result = identification.subspace_id(y, u, 2, method="moesp", past=20, future=20, feedthrough=False)
print("\n".join(result.warnings))

# %%
# Forty records
# -------------
# Each gives a model by each method. What remains after averaging is bias: more data will not help.

methods = ("moesp", "n4sid", "ssarx", "pbsid")
found = {method: [] for method in methods}
for seed in range(40):
    y, u = measure(seed)
    for method in methods:
        model = identification.subspace_id(
            y, u, 2, method=method, past=20, future=20, feedthrough=False, bd="factor"
        ).model
        found[method].append(model)

# %%
# The unstable pole
# -----------------

truth = np.abs(realization.poles(plant)).max()
largest = {
    method: np.array([np.abs(realization.poles(model)).max() for model in models])
    for method, models in found.items()
}
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.boxplot([largest[method] for method in methods], orientation="horizontal")
ax.set_yticks(range(1, 5), methods)
ax.axvline(truth, color="k", lw=0.8)
ax.axvline(1.0, color="k", lw=0.8, ls=":")
ax.set_xlabel("largest modulus of the poles; line: the plant, dotted: the limit of stability")
plt.show()

# %%
# The impulse response
# --------------------
# Mean over the records, with the band that holds nine of ten.

lags = np.arange(1, 25)
response = {
    method: np.array([realization.markov_parameters(m, 25)[1:, 0, 0] for m in models])
    for method, models in found.items()
}
exact = realization.markov_parameters(plant, 25)[1:, 0, 0]
fig, axes = plt.subplots(2, 2, figsize=(8, 5), sharex=True, sharey=True, layout="constrained")
for ax, method in zip(axes.ravel(), methods, strict=True):
    low, high = np.quantile(response[method], [0.05, 0.95], axis=0)
    ax.fill_between(lags, low, high, alpha=0.3)
    ax.plot(lags, response[method].mean(axis=0), label=method)
    ax.plot(lags, exact, "k--", lw=1, label="plant")
    ax.legend(loc="upper right")
fig.supxlabel("lag")
plt.show()

# %%
# The answer
# ----------
# Bias of the impulse response, in standard errors of the mean over the records.

bias = {}
for method in methods:
    error = response[method].mean(axis=0) - exact
    bias[method] = np.abs(error / (response[method].std(axis=0, ddof=1) / np.sqrt(40))).max()
    print(f"{method:6} largest bias {bias[method]:6.1f} standard errors")
assert min(bias["moesp"], bias["n4sid"]) > 10
assert max(bias["ssarx"], bias["pbsid"]) < 5
