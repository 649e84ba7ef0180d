"""
How many models does one process have?
======================================

The covariances of a process fix its poles and its spectrum, not its model. With as few noises as
outputs there are finitely many models, one for each choice of zeros inside or outside the unit
circle. This process has two real zeros and two conjugate pairs: sixteen models. Which is which,
how are they ordered, and can data tell them apart?
"""

# %%
# The process
# -----------
# Three resonances and six zeros, given by the model that a predictor would use: all zeros inside.

import itertools

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

import realization

poles = np.array([0.9 * np.exp(0.6j), 0.85 * np.exp(1.4j), 0.8 * np.exp(2.3j)])
zeros = np.array([0.4, -0.5, 0.6 * np.exp(1j), 0.7 * np.exp(1.9j)])
denominator = np.poly(np.concatenate([poles, poles.conj()])).real
numerator = np.poly(np.concatenate([zeros, zeros[2:].conj()])).real
A = np.eye(6, k=-1)
A[0] = -denominator[1:]
model = realization.InnovationSSM(A, [numerator[1:] - denominator[1:]], np.eye(6)[:, :1], [[1.0]])
cov, _, sigma = realization.stochastic_balance(realization.to_covariance(model))

# %%
# Sixteen factors of one spectral density
# ---------------------------------------
# Flipping a zero to the other side of the circle leaves the spectral density as it is, and gives
# another model of the same process with the same poles.

groups = [[z] if np.isreal(z) else [z, z.conj()] for z in zeros]
choices = [c for k in range(5) for c in itertools.combinations(range(4), k)]
flips = [[z for index in choice for z in groups[index]] for choice in choices]
factors = [realization.spectral_factor(cov, kind="flipped", flip=flip) for flip in flips]

turn = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
figure, axes = plt.subplots(2, 8, figsize=(11, 3.4), layout="constrained")
for ax, factor in zip(axes.flat, factors, strict=True):
    found = realization.transmission_zeros(factor)
    flipped = np.abs(found) > 1
    ax.plot(turn.real, turn.imag, color="0.8", linewidth=0.8)
    ax.plot(found.real[~flipped], found.imag[~flipped], "o", color="C0", fillstyle="none")
    ax.plot(found.real[flipped], found.imag[flipped], "o", color="C3")
    ax.set(xlim=(-2.6, 2.9), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[])
figure.suptitle("Zeros of the sixteen models: inside (open) and flipped (full)")
plt.show()

# %%
# Between the least and the greatest state covariance
# ---------------------------------------------------
# The sixteen models share (A, C, N) and differ in the covariance P of their state. Flipping more
# zeros makes P larger: :math:`P_- \preceq P \preceq P_+`. On the left the ellipses
# :math:`x^\top P^{-1} x = 1` of two states; on the right the order itself. Models that are joined
# by a line differ in one flip, and the higher of the two has the larger P.

covariances = [realization.realization_family(cov, flip) for flip in flips]
low, high = realization.minimal_covariance(cov), realization.maximal_covariance(cov)
for P in covariances:
    assert np.linalg.eigvalsh(P - low)[0] > -1e-12
    assert np.linalg.eigvalsh(high - P)[0] > -1e-12

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
for P, colour in [(P, "0.7") for P in covariances] + [(low, "C0"), (high, "C3")]:
    values, vectors = np.linalg.eigh(P[2:4, 2:4])
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    width, height = 2 * np.sqrt(values[::-1])
    left.add_patch(Ellipse((0, 0), width, height, angle=angle, fill=False, edgecolor=colour))
left.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xlabel="state 3", ylabel="state 4")
left.set_title(r"$P_-$ (blue), $P_+$ (red) and all between")

for (i, small), (j, large) in itertools.permutations(list(enumerate(choices)), 2):
    if set(small) < set(large) and len(large) == len(small) + 1:
        heights = [np.trace(covariances[i]), np.trace(covariances[j])]
        right.plot([len(small), len(large)], heights, color="0.8", linewidth=0.8, zorder=1)
traces = [np.trace(P) for P in covariances]
right.scatter([len(choice) for choice in choices], traces, color="C0", zorder=2)
right.set(xlabel="groups of zeros flipped", ylabel="trace of P", xticks=range(5))
right.set_title("The sixteen solutions of one Riccati equation")
plt.show()

# %%
# Can data tell them apart?
# -------------------------
# No: the spectral densities agree, and with them every covariance and every likelihood. A model is
# a choice. The one at the bottom has a state that can be computed from past outputs, the one at the
# top a state that can be computed from future outputs; the others need both.

omega = np.linspace(0, np.pi, 500)
density = realization.spectral_density(cov, omega)
error = max(
    np.abs(realization.spectral_density(factor, omega) / density - 1).max() for factor in factors
)
print(f"{len(factors)} models, spectral densities equal to {error:.1e}")
assert len(factors) == 16
assert error < 1e-11
