"""
What can be said about months that nobody measured?
===================================================

Sixty years of sea-surface temperature in the eastern tropical Pacific, of which a third is taken
away: single months at random, and three gaps of two years. A model of what is left: does it know
the missing months better than a straight line through the gaps does, does it know how well, and
does it know itself as well as a model of the complete record would?
"""

# %%
# The record
# ----------
# It comes with statsmodels. What recurs every year is subtracted: the anomaly is El Niño.

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import elnino

import identification
import realization

monthly = elnino.load_pandas().data.iloc[:, 1:].to_numpy()
truth = (monthly - monthly.mean(axis=0)).ravel()
months = 1950 + np.arange(truth.size) / 12

rng = np.random.default_rng(0)
missing = rng.random(truth.size) < 0.25
for start in (150, 400, 600):
    missing[start : start + 24] = True
y = np.where(missing, np.nan, truth)
print(f"{missing.mean():.0%} of {truth.size} months are missing")

# %%
# A start, and maximum likelihood from there
# ------------------------------------------
# Subspace methods need complete records. Straight lines through the gaps make one, and a model of
# it is good enough to start from, though too smooth. ``em`` then climbs the exact likelihood of
# the months that were measured; the others are averaged over, as the model itself says.

time = np.arange(y.size)
lines = np.interp(time, time[~missing], y[~missing])
start = identification.stochastic_id(lines, 2, dt=1 / 12)
result = identification.em(start, y)
complete = identification.stochastic_id(truth, 2, dt=1 / 12)

for name, found in {"lines": start, "em": result, "complete record": complete}.items():
    deviation = np.sqrt(found.model.Re.item())
    print(f"{name:16} one month is predicted to within {deviation:.3f} degrees")
print(f"log-likelihood {result.log_likelihood[0]:.1f} -> {result.log_likelihood[-1]:.1f}")

# %%
# The missing months
# ------------------
# The smoother gives the state, given everything measured before and after. With the output made
# part of the state, :math:`z_{t+1} = (x_{t+1}, y_t)`, it gives the output too. Nothing is
# assumed between the samples: the band is wide where nothing was measured.


def fill(found):
    """Return mean and standard deviation of all outputs given the measured ones."""
    model, n = found.model, found.n_states
    A = np.block([[model.A, np.zeros((n, 1))], [model.C, np.zeros((1, 1))]])
    G = np.vstack([model.K, [[1.0]]])
    C, Q, R, P0 = np.eye(1, n + 1, n), G @ model.Re @ G.T, [[0.0]], np.zeros((n + 1, n + 1))
    extended = realization.GaussianSSM(A, C, Q, R, m0=np.append(found.x0[0], 0.0), P0=P0)
    smoothed = realization.smooth(extended, np.append(np.nan, y - found.offset[0]))
    mean, variance = smoothed.x[1:-1, n], smoothed.P[1:-1, n, n]
    return mean + found.offset[0], np.sqrt(np.maximum(variance, 0.0))


mean, deviation = fill(result)

figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
window = slice(130, 300)
band = {"color": "C1", "alpha": 0.3, "lw": 0, "label": "two deviations"}
low, high = mean - 2 * deviation, mean + 2 * deviation
ax.fill_between(months[window], low[window], high[window], **band)
ax.plot(months[window], mean[window], color="C1", label="given all that was measured")
hidden = np.where(missing, truth, np.nan)
ax.plot(months[window], hidden[window], ".", color="C3", ms=5, label="taken away")
ax.plot(months[window], y[window], ".", color="0.2", ms=4, label="measured")
ax.set(xlabel="year", ylabel="anomaly (degrees)", title="Sea-surface temperature")
ax.legend(fontsize="small", ncols=2)
plt.show()

# %%
# The months to come
# ------------------
# The last four years, predicted from what was measured before them.

known = truth.size - 48
ahead = result.forecast(y[:known], steps=48)
future, spread = ahead.mean[:, 0], 2 * np.sqrt(ahead.covariance[:, 0, 0])
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
ax.fill_between(months[known:], future - spread, future + spread, **band)
ax.plot(months[known:], future, color="C1", label="forecast")
ax.plot(months[known - 60 :], truth[known - 60 :], ".-", color="0.4", lw=0.6, ms=4, label="truth")
ax.set(xlabel="year", ylabel="anomaly (degrees)")
ax.legend(fontsize="small", loc="upper left")
plt.show()

# %%
# The answer
# ----------
# In the gaps the model is a fifth better than straight lines, and its band of two deviations holds
# as many of the missing months as it promises. Started from straight lines, the likelihood finds
# the innovation of the complete record again.

errors = np.abs(np.array([lines, mean]) - truth)[:, missing]
by_lines, by_model = np.sqrt(np.mean(errors**2, axis=1))
covered = np.mean(errors[1] < 2 * deviation[missing])
print(f"error: lines {by_lines:.3f}, model {by_model:.3f} degrees; band holds {covered:.1%}")
assert by_model < 0.8 * by_lines
assert 0.93 < covered < 0.98
assert abs(result.model.Re.item() / complete.model.Re.item() - 1) < 0.05
