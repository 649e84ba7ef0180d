"""
Which filter makes sunspots out of white noise?
===============================================

A stationary series is white noise, filtered. Its covariances fix the gain of the filter at every
frequency, not its phase: many filters make the same series. From three centuries of sunspots to the
covariances, the spectrum, the filters, and the one among them that can be run backwards to tell how
much of each year was news.
"""

# %%
# Covariances
# -----------
# The yearly numbers come with statsmodels; their square roots swing evenly. Sample covariances are
# divided by T, not by the number of products, so that they are those of some process.

import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import sunspots

import identification
import realization

table = sunspots.load_pandas().data
years, y = table["YEAR"].to_numpy(), np.sqrt(table["SUNACTIVITY"].to_numpy())
lags = 60
sample = identification.sample_covariances(y, lags)[:, 0, 0]

# %%
# A finite sequence of covariances is realized by a model :math:`\Lambda_k = C A^{k-1} N`. Cut to a
# small order, it need not be that of any process; ``stochastic_id`` tests that, repairs it where it
# must, and reports the repair.

result = identification.stochastic_id(y, method="covariance", past=20)
cov = realization.to_covariance(result.model)
print(result, result.warnings or "nothing had to be repaired")
test = realization.is_positive_real(cov)
print(f"the spectral density is at least {test.margin:.3f}, at {test.frequency:.2f} rad per year")

# %%
# The spectrum
# ------------
# The model follows the covariances beyond the lags it was made from. The periodogram scatters
# around its spectral density, more often below it than above: squares of Gaussians do.

omega = 2 * np.pi * np.arange(1, y.size // 2) / y.size
periodogram = np.abs(np.fft.rfft(y - y.mean())[1 : y.size // 2]) ** 2 / y.size
density = realization.spectral_density(cov, omega)[:, 0, 0].real

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.plot(sample, ".", color="0.4", label="sample")
left.plot(realization.autocovariance(cov, lags)[:, 0, 0], color="C1", label="model")
left.axvspan(0, 39, color="0.95", zorder=0)
left.text(20, sample[0] * 0.9, "used", ha="center", color="0.5")
left.set(xlabel="lag (years)", ylabel="covariance")
left.legend(fontsize="small")
right.semilogy(omega / (2 * np.pi), periodogram, ".", color="0.6", ms=4, label="periodogram")
right.semilogy(omega / (2 * np.pi), density, color="C1", label="model")
right.set(xlabel="cycles per year", ylabel="spectral density", ylim=(1e-2, None))
right.legend(fontsize="small")
plt.show()

# %%
# The filters
# -----------
# A factor W with :math:`|W(e^{i\omega})|^2 = \Phi(\omega)` is a filter that makes the process from
# white noise of variance one. All stable ones have the same poles; each zero may lie inside the
# unit circle or be mirrored to the outside (of modulus 5 and more they are not drawn).

minimum = realization.spectral_factor(cov, kind="minimum_phase")
maximum = realization.spectral_factor(cov, kind="maximum_phase")
for factor in (minimum, maximum):
    gain = np.abs(realization.frequency_response(factor, omega)[:, 0, 0]) ** 2
    assert np.allclose(gain, density, rtol=1e-8)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
turn = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
left.plot(turn.real, turn.imag, color="0.7", lw=1)
poles = realization.poles(minimum)
left.plot(poles.real, poles.imag, "kx", label="poles")
for name, factor, marker in (("minimum phase", minimum, "C0o"), ("maximum phase", maximum, "C3s")):
    zeros = realization.transmission_zeros(factor)
    zeros = zeros[np.abs(zeros) < 5]
    left.plot(zeros.real, zeros.imag, marker, mfc="none", label=f"zeros, {name}")
    response = realization.markov_parameters(factor, 40)[:, 0, 0]
    right.plot(response, marker[:2] + ".-", label=name)
left.set(aspect="equal", xlabel="real", ylabel="imaginary")
left.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
right.set(xlabel="years after the impulse", ylabel="response of the filter")
right.legend(fontsize="small")
plt.show()

# %%
# Noise in, sunspots out
# ----------------------
# The same filter, fed with noise: another sun.

synthetic = result.simulate(steps=y.size, noise=True, rng=4).y[:, 0]
figure, axes = plt.subplots(2, 1, figsize=(9, 3.6), layout="constrained", sharex=True, sharey=True)
for ax, series, name in ((axes[0], y, "measured"), (axes[1], synthetic, "filtered noise")):
    ax.fill_between(years, np.maximum(series, 0) ** 2, color="C1", lw=0, alpha=0.7)
    ax.set(title=name, ylabel="sunspots")
axes[1].set(xlabel="year")
plt.show()

# %%
# The answer
# ----------
# The minimum-phase filter has a stable inverse: run over the record, it returns the noise, the part
# of each year that the years before did not tell. Its first coefficient is therefore the smallest
# error with which one year can be predicted, and Szegő and Kolmogorov read that from the spectrum:
# its square is the geometric mean of :math:`\Phi`.

circle = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
geometric = np.exp(np.mean(np.log(realization.spectral_density(cov, circle)[:, 0, 0].real)))
news = geometric / cov.Lambda0.item()
print(f"{news:.0%} of the variance of a year is news; the other {1 - news:.0%} was in the past")
assert np.isclose(geometric, minimum.D.item() ** 2, rtol=1e-9)
assert np.isclose(geometric, result.model.Re.item(), rtol=1e-9)
