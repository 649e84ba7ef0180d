"""
What does a model remember, and for how long?
=============================================

A state holds the past in two ways. A delay line holds the last inputs *verbatim*, and after its
last step nothing: eidetic memory. A mode holds a weighted sum of all inputs, and forgets slowly:
fading memory. Every discrete-time linear model is the sum of the two, in exactly one way. Which
part does what, and can it be read off the eigenvalues?
"""

# %%
# A model of both kinds
# ---------------------
# Eight samples of dead time in one path, two in another, and three modes, in mixed coordinates.

import matplotlib.pyplot as plt
import numpy as np
import scipy

import canonical_forms
from realization import LinearSSM, markov_parameters

rng = np.random.default_rng(0)
pair = 0.95 * np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
A = scipy.linalg.block_diag(np.eye(8, k=1), np.eye(2, k=1), pair, [[0.8]])
B = np.concatenate([np.eye(8)[7], np.eye(2)[1], [0.4, 0.0, 0.3]])[:, np.newaxis]
C = np.concatenate([[1.0, 0, 0, 0, -0.6, 0, 0, 0], [0.4, 0.8], [0.5, 0.2, 0.4]])[np.newaxis]
T = rng.standard_normal((13, 13))
model = LinearSSM(np.linalg.solve(T, A @ T), np.linalg.solve(T, B), C @ T)

# %%
# Eigenvalues do not show a delay
# -------------------------------
# The delay line has ten eigenvalues, all of them zero. Rounding errors of 1e-16 move them to a
# circle of radius 1e-16^(1/8), about 0.01: no threshold tells them from fast modes. Singular
# values, level by level, leave no doubt.

form = canonical_forms.eidetic_fading_form(model)
computed = np.linalg.eigvals(model.A)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(np.sort(np.abs(computed)), "o", color="C0")
left.set(yscale="log", ylim=(1e-3, 2), xlabel="eigenvalue, sorted", ylabel="modulus")
left.set_title("Eigenvalues: where does zero end?")
for level, values in enumerate(form.info["singular_values"], start=1):
    right.plot([level] * values.size, np.maximum(values, 1e-18), "o", color="C1", alpha=0.7)
right.axhspan(1e-19, form.info["tol"], color="0.92")
right.set(yscale="log", ylim=(1e-19, 3), xlabel="level", ylabel="relative singular value")
right.set_title("Staircase: zeros (grey) and the rest")
plt.show()

# %%
# Who remembers what
# ------------------

canonical_forms.plot_structure(form)
plt.show()
print(form.summary())

# %%
# The impulse response, divided
# -----------------------------
# The eidetic part answers for exactly eight steps. From then on only the fading part speaks.

k = form.info["eidetic_order"]
A, B, C = form.model.A, form.model.B, form.model.C
eidetic = markov_parameters(LinearSSM(A[:k, :k], B[:k], C[:, :k]), 40)[:, 0, 0]
fading = markov_parameters(LinearSSM(A[k:, k:], B[k:], C[:, k:]), 40)[:, 0, 0]
whole = markov_parameters(model, 40)[:, 0, 0]
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
lag = np.arange(40)
ax.bar(lag, fading, color="C0", label="fading")
ax.bar(lag, eidetic, bottom=np.where(eidetic * fading > 0, fading, 0), color="C1", label="eidetic")
ax.plot(lag, whole, "k.", label="impulse response")
ax.axvline(form.info["index"] + 0.5, color="0.5", linestyle=":")
ax.set(xlabel="lag", ylabel="response")
ax.legend(frameon=False)
plt.show()

# %%
# After eight steps the eidetic part is zero, not small.

error = np.abs(eidetic + fading - whole).max()
print(f"index {form.info['index']}, chains {form.info['sizes'][:2]}, sum of parts to {error:.0e}")
assert form.info["index"] == 8
assert not eidetic[9:].any()
assert error < 1e-10
