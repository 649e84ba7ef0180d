"""
What does a state-space model do?
=================================

A model with two states, a lightly damped oscillation, is built from its matrices, asked for its
response, run with and without noise, and used to predict. The question at the end: how much of
the output can be predicted one step ahead, and does a simulated record agree?
"""

# %%
# A model is a record
# -------------------
# :math:`x_{t+1} = A x_t + B u_t + K e_t`, :math:`y_t = C x_t + D u_t + e_t`. The innovation
# :math:`e_t` is the part of :math:`y_t` that the past does not tell. The record checks its arrays
# once and cannot change afterwards.

import matplotlib.pyplot as plt
import numpy as np

import realization

radius, period, dt = 0.95, 20.0, 0.1
angle = 2 * np.pi / period
A = radius * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
model = realization.InnovationSSM(
    A, C=[[1.0, 0.0]], K=[[0.8], [0.3]], Re=[[0.04]], B=[[0.0], [0.3]], dt=dt
)
model

# %%
# Its poles say the same in two numbers: :math:`0.95\, e^{\pm 2\pi i / 20}`.

poles = realization.poles(model)
assert np.allclose(np.abs(poles), radius)
assert np.allclose(np.abs(np.angle(poles)), 2 * np.pi / period)

# %%
# One response, seen three ways
# -----------------------------
# The Markov parameters :math:`h_0 = D`, :math:`h_k = C A^{k-1} B` are the response to an impulse,
# and their Fourier transform is the frequency response. Neither depends on the coordinates of the
# state. A simulated impulse gives the same numbers.

count = 150
impulse = np.zeros(count)
impulse[0] = 1.0
markov = realization.markov_parameters(model, count)
simulated = realization.simulate(model, impulse).y
assert np.allclose(simulated, markov[:, :, 0], rtol=0, atol=1e-12)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
realization.plot_impulse(model, ax=axes[0])
realization.plot_bode(model, phase=False, ax=axes[1])
realization.plot_poles(model, ax=axes[2])
plt.show()

# %%
# With and without noise
# ----------------------
# ``noise=True`` draws the innovations from the model's own law; the seed makes it repeatable.

steps = 4000
u = np.sign(np.sin(2 * np.pi * np.arange(steps) / 120.0))
quiet = realization.simulate(model, u).y
noisy = realization.simulate(model, u, noise=True, rng=1).y

# %%
# Prediction
# ----------
# Row :math:`t` of a prediction uses the outputs up to :math:`t - h`. With the horizon the error
# grows from the innovation variance to the variance of the whole noise part of the output.

horizons = np.arange(1, 61)
errors = [np.var(noisy - realization.predict(model, noisy, u, horizon=int(h))) for h in horizons]
noise_part = np.var(noisy - quiet)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
window, time = slice(200, 320), np.arange(steps) * dt
left.plot(time[window], noisy[window], color="0.6", label="simulated with noise")
left.plot(time[window], quiet[window], color="k", lw=1, label="without noise")
left.plot(time[window], realization.predict(model, noisy, u)[window], lw=1, label="one step ahead")
left.set(xlabel="time (s)", ylabel="y")
left.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
right.plot(horizons * dt, errors, ".-")
right.axhline(noise_part, color="k", lw=1, ls="--", label="variance of the noise part")
right.set(xlabel="horizon (s)", ylabel="error variance", ylim=(0, None))
right.legend(fontsize="small")
plt.show()

# %%
# The answer
# ----------
# A good model makes its prediction error unpredictable. One step ahead, what remains is white noise
# with the variance that the model promised, 0.04. A sample variance of :math:`T` Gaussian samples
# has standard deviation :math:`0.04\sqrt{2/T}`, a sample correlation :math:`1/\sqrt{T}`: four of
# each is the bound.

residual = (noisy - realization.predict(model, noisy, u))[:, 0]
variance = float(np.var(residual))
correlation = float(np.corrcoef(residual[1:], residual[:-1])[0, 1])
print(f"variance {variance:.4f}, correlation of neighbours {correlation:+.4f}")
assert abs(variance - 0.04) < 4 * 0.04 * np.sqrt(2 / steps)
assert abs(correlation) < 4 / np.sqrt(steps)
