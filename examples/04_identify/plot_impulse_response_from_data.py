"""
How sure is an impulse response?
================================

The impulse response is what most people want to know of a plant, and it can be had without a model
of any order: as many unknowns as lags. A prior that responses are smooth and decay makes that
usable; an order makes it better still, if the plant has one. Which is how good, and do they say so?
"""

# %%
# A drifting record
# -----------------
# Four hundred samples of a damped oscillation; the sensor drifts. The drift has nothing to do with
# the plant, so a line is taken out first.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

plant = realization.InnovationSSM(
    [[0.9, 0.35], [-0.35, 0.8]], [[1.0, 0.0]], [[0.4], [0.1]], [[0.6]], B=[[0.2], [0.4]]
)
u = identification.prbs(400, hold=2)
drift = np.linspace(0.0, 30.0, 400)[:, np.newaxis]
y = realization.simulate(plant, u, noise=True, rng=2).y + drift
data, removed = identification.detrend(y, u)
line = np.ptp(removed.y[0])

# %%
# Four estimates
# --------------
# Least squares on forty lags; the same with a kernel, tuned by the marginal likelihood; OKID,
# which realizes the response of a long predictor; and prediction-error refinement of it.

lags = 40
truth = realization.markov_parameters(plant, lags + 1)[:, 0, 0]
samples, inputs = data.y[0][:, 0], data.u[0][:, 0]
columns = [np.concatenate([np.zeros(k), inputs[: inputs.size - k]]) for k in range(lags + 1)]
plain = np.linalg.lstsq(np.transpose(columns), samples, rcond=None)[0]
smooth = identification.regularized_fir(data, lags=lags)
first = identification.okid(data, None, 2)
refined = identification.pem(first, data)
response = identification.impulse_response_uncertainty(refined, lags + 1)
estimates = {
    "least squares": plain,
    "with a kernel": smooth.markov[:, 0, 0],
    "okid, order 2": realization.markov_parameters(first.model, lags + 1)[:, 0, 0],
    "refined by pem": response.response[:, 0, 0],
}
bands = {
    "with a kernel": smooth.standard_deviation[:, 0, 0],
    "refined by pem": response.standard_deviation[:, 0, 0],
}

figure, axes = plt.subplots(1, 4, figsize=(13, 3.0), sharey=True, layout="constrained")
for ax, (name, values) in zip(axes, estimates.items(), strict=True):
    ax.plot(truth, "0.6", lw=3)
    ax.plot(values, "C0", lw=1)
    if name in bands:
        ax.fill_between(
            np.arange(lags + 1), values - 2 * bands[name], values + 2 * bands[name], alpha=0.3
        )
    ax.set(title=name, xlabel="lag", ylim=(-0.6, 0.9))
plt.show()

# %%
# How good, and how sure
# ----------------------

errors = {name: np.sqrt(np.mean((values - truth) ** 2)) for name, values in estimates.items()}
for name, error in errors.items():
    print(f"{name:<16} error {error:.4f}")
inside = np.mean(np.abs(estimates["refined by pem"] - truth) <= 2 * bands["refined by pem"])
print(f"share of lags within two standard deviations after pem: {inside:.2f}")
poles = identification.pole_uncertainty(refined)
deviation = np.sqrt(poles.covariance[0, 0, 0]), np.sqrt(poles.covariance[0, 1, 1])
print(f"pole {poles.poles[0]:.3f}, deviations {deviation[0]:.3f} and {deviation[1]:.3f}")
print(f"true {realization.poles(plant)[0]:.3f}; the line taken out spanned {line:.1f}")
assert errors["refined by pem"] < errors["with a kernel"] < errors["least squares"]
assert inside > 0.9
