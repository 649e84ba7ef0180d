"""
How many states does an impulse response need?
==============================================

Ho and Kalman answered in 1966: put the response into a Hankel matrix and take its rank. Noise
makes every rank full; the singular values then say how many directions stand out, and the same
decomposition gives the model.
"""

# %%
# A struck bell
# -------------
# Three modes, measured with one part in a thousand of noise.

import matplotlib.pyplot as plt
import numpy as np
import scipy

import realization

modes = [(0.99, 0.25), (0.97, 0.6), (0.95, 1.1)]  # radius, radians per sample
A = scipy.linalg.block_diag(
    *(r * np.array([[np.cos(w), np.sin(w)], [-np.sin(w), np.cos(w)]]) for r, w in modes)
)
bell = realization.LinearSSM(A, np.ones((6, 1)), [[1.0, 0, 0.7, 0, 0.5, 0]])
clean = realization.markov_parameters(bell, 200)
measured = clean + 1e-3 * np.random.default_rng(0).standard_normal(clean.shape)

# %%
# Two steps in the singular values
# --------------------------------
# Without noise they fall to rounding after the sixth. With noise they level off at its size. The
# model of order six has the poles of the bell.

model = realization.ho_kalman(measured, 6)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for response, label in ((clean, "exact"), (measured, "measured")):
    hankel = scipy.linalg.hankel(response[1:101, 0, 0], response[100:, 0, 0])
    left.semilogy(np.arange(1, 21), np.linalg.svd(hankel)[1][:20], "o", ms=4, label=label)
left.axvline(6.5, color="0.6", linestyle=":")
left.set(xlabel="index", ylabel="singular value of the Hankel matrix", ylim=(1e-16, 1e3))
left.legend(frameon=False)
circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
right.plot(circle.real, circle.imag, color="0.8")
for system, style, label in ((bell, "o", "bell"), (model, "x", "from the measured response")):
    poles = realization.poles(system)
    right.plot(poles.real, poles.imag, style, mfc="none", ms=8, label=label)
right.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xlabel="real", ylabel="imaginary")
right.legend(frameon=False, fontsize="small", loc="center left")
plt.show()

# %%
# How good is it?
# ---------------
# Its response is closer to the truth than the data are: the order is a constraint, and constraints
# average noise.

exact = realization.ho_kalman(clean, 6)
rounding = np.abs(realization.markov_parameters(exact, 200) - clean).max()
noise = np.sqrt(np.mean((measured - clean) ** 2))
left_over = np.sqrt(np.mean((realization.markov_parameters(model, 200) - clean) ** 2))
print(f"from the exact response: {rounding:.0e}")
print(f"from the measured one: error {left_over:.1e}, that of the data {noise:.1e}")
assert rounding < 1e-11
assert left_over < 0.4 * noise
