"""
What do three centuries of sunspots say about the next year?
============================================================

The yearly sunspot numbers from 1700 to 2008 have no input that anybody could measure. A model of
the series alone, made from its first half: what is its period, how well does it predict the second
half, and is that any better than an autoregression?
"""

# %%
# The series
# ----------
# It comes with statsmodels. High counts swing more than low ones. Their square roots swing
# evenly, as those of a linear model do.

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import sunspots
from statsmodels.tsa.ar_model import AutoReg

import identification
import realization

table = sunspots.load_pandas().data
years, y = table["YEAR"].to_numpy(), np.sqrt(table["SUNACTIVITY"].rename("root of sunspots"))
first, second = identification.split(y)
known = first.n_samples

# %%
# The order
# ---------
# Without inputs the past of the series alone explains its future. Two canonical correlations stand
# out: an oscillation. Those after them are worth something too; without an order ``subspace_id``
# takes the one that predicts held-out blocks of the first half best.

small = identification.subspace_id(first, order=2)
result = identification.subspace_id(first)
identification.plot_order(result)
plt.show()

# %%
# Its period and how long it remembers
# ------------------------------------
# A pair of poles :math:`r e^{\pm i\theta}` is an oscillation with period :math:`2\pi/\theta` that
# forgets with the time constant :math:`-1/\log r`. That of the two states, which are nothing else:

pole = realization.poles(small.model)[0]
period, memory = 2 * np.pi / np.angle(pole), -1 / np.log(np.abs(pole))
print(f"period {period:.1f} years, time constant {memory:.1f} years")

# %%
# One year ahead
# --------------
# Each prediction uses the years before it, back to 1700. Persistence (next year is like this year)
# is what every predictor must beat; an autoregression is the usual one.


def autoregression(lags):
    """Predict the whole series one year ahead from a fit to its first half."""
    constant, *weights = AutoReg(y[:known].to_numpy(), lags).fit().params
    past = np.lib.stride_tricks.sliding_window_view(y.to_numpy(), lags)[:-1, ::-1]
    return np.concatenate([np.full(lags, np.nan), constant + past @ np.array(weights)])


predictions = {
    "persistence": np.concatenate([[np.nan], y[:-1]]),
    "autoregression, 2 lags": autoregression(2),
    "model of order 2": small.predict(y)[:, 0],
    "autoregression, 9 lags": autoregression(9),
    "model": result.predict(y)[:, 0],
}
fits = {
    name: float(identification.fit_percent(y[known:], y_hat[known:])[0])
    for name, y_hat in predictions.items()
}
for name, fit in fits.items():
    print(f"{name:24} {fit:5.1f} % of the second half, one step ahead")

# %%
# What is left in the first half cannot be predicted from its own past (the test passes); in the
# second half the sun was more active than the model knows.

print(identification.residual_tests(result, first))

# %%
# The years to come
# -----------------
# A forecast knows its own uncertainty, which grows to that of not knowing anything.

steps = 25
ahead = result.forecast(y, steps=steps)
mean, deviation = ahead.mean[:, 0], np.sqrt(ahead.covariance[:, 0, 0])
coming = years[-1] + 1 + np.arange(steps)

figure, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
ax.plot(years[-60:], y[-60:] ** 2, color="0.4", label="measured")
ax.plot(years[-60:], predictions["model"][-60:] ** 2, label="one year ahead")
ax.plot(coming, mean**2, color="C1", label="forecast")
low, high = np.maximum(mean - deviation, 0) ** 2, (mean + deviation) ** 2
ax.fill_between(coming, low, high, color="C1", alpha=0.25, lw=0, label="one standard deviation")
ax.set(xlabel="year", ylabel="sunspots")
ax.legend(fontsize="small", ncols=2)
plt.show()

# %%
# The answer
# ----------
# The sun's cycle of eleven to twelve years is found, and one year ahead the model is some twenty
# points of fit better than persistence. Two states do what two lags do, some more what nine do.

gain = fits["model"] - fits["persistence"]
print(f"{gain:.1f} points better than persistence")
assert 11.0 < period < 12.0
assert 15.0 < gain < 25.0
assert abs(fits["model of order 2"] - fits["autoregression, 2 lags"]) < 2.0
assert abs(fits["model"] - fits["autoregression, 9 lags"]) < 2.0
