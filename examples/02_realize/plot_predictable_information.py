"""
How much does the past know about the future?
=============================================

Of a Gaussian process: a number of bits, however long past and future are. It is the least that a
state must carry, and it splits into independent directions. How many bits does a process with
three resonances have, how long a past is needed to collect them, and what does a smaller model
lose?
"""

# %%
# The process
# -----------
# Three resonances, seen by two sensors in white noise.

import matplotlib.pyplot as plt
import numpy as np

import realization

A = np.zeros((6, 6))
for i, (radius, angle) in enumerate([(0.99, 0.25), (0.95, 0.9), (0.8, 2.0)]):
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, s], [-s, c]]
C = np.array([[1.0, 0.0, 0.8, 0.0, 0.5, 0.0], [0.4, 0.6, -0.5, 0.5, 0.0, 0.7]])
model = realization.GaussianSSM(A, C, Q=np.diag([0.05, 0.05, 0.3, 0.3, 1, 1]), R=np.eye(2))
cov = realization.to_covariance(model)

# %%
# Bits per direction
# ------------------
# The canonical correlations :math:`\sigma_i` of past and future are the cosines of the angles
# between them. Direction i carries :math:`-\tfrac12 \log_2(1 - \sigma_i^2)` bits, and all of them
# together the mutual information of past and future.

sigma = realization.canonical_correlations(cov)
bits = -0.5 * np.log2(1 - sigma**2)
total = realization.past_future_information(cov) / np.log(2)
assert np.isclose(bits.sum(), total)

# %%
# How long a past is needed?
# --------------------------
# The same number from first principles: the log-determinants of the covariance of the last h
# outputs, of the next h, and of both together. It grows with h to the bits of the state.


def toeplitz(lags, count):
    """Return the covariance of `count` successive outputs."""
    rows = range(count)
    return np.block([[lags[i - j] if i >= j else lags[j - i].T for j in rows] for i in rows])


lengths = np.array([1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 130])
lags = realization.autocovariance(cov, 2 * lengths[-1])
log_volume = {
    h: np.linalg.slogdet(toeplitz(lags, h))[1] for h in {*lengths.tolist(), *(2 * lengths).tolist()}
}
collected = np.array([2 * log_volume[h] - log_volume[2 * h] for h in lengths.tolist()])
collected = collected / 2 / np.log(2)

# %%
# What does a smaller model lose?
# -------------------------------
# Stochastic truncation keeps the leading directions. The reduced models are models of processes,
# by construction. Their own predictable information stays below the sum of the leading bits, and
# grows in steps of two states: half a resonance says little.

orders = np.arange(7)
kept = [
    realization.past_future_information(realization.stochastic_truncate(cov, int(order)))
    / np.log(2)
    for order in orders
]

figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
axes[0].bar(np.arange(1, 7), bits, color="C0")
axes[0].set(xlabel="direction of the state", ylabel="bits", title=f"{total:.2f} bits in all")
axes[1].semilogx(lengths, collected, "o-", color="C0")
axes[1].axhline(total, color="C3", linestyle="--", linewidth=1)
axes[1].set(xlabel="length of past and future", ylabel="bits", title="collected by a finite past")
axes[2].plot(orders, kept, "o-", color="C0", label="reduced model")
axes[2].plot(orders, np.append(0, np.cumsum(bits)), "x", color="C3", label="sum of leading bits")
axes[2].set(xlabel="states kept", ylabel="bits", title="stochastic truncation")
axes[2].legend()
plt.show()

# %%
# The long past has collected what the state carries, and not more.

print(f"state: {total:.6f} bits; {lengths[-1]} outputs: {collected[-1]:.6f} bits")
assert (np.diff(collected) > 0).all()
assert (kept <= np.append(0, np.cumsum(bits)) + 1e-9).all()
assert abs(collected[-1] - total) < 1e-6
