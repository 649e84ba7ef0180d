"""
What does a plant look like in other coordinates?
=================================================

A model of a plant is one of infinitely many: every invertible T gives another, with other matrices
and the same outputs. A good choice of T makes one property readable: the modes, the parameters, the
importance of each state, or what the inputs cannot reach. Here is one plant in six forms.
"""

# %%
# The plant
# ---------
# A conveyor: three samples of dead time, then a resonance and a slow mode. In the coordinates that
# identification delivers, nothing of this can be seen.

import matplotlib.pyplot as plt
import numpy as np
import scipy

import canonical_forms
from realization import LinearSSM, markov_parameters

angle = 2 * np.pi / 12
resonance = 0.9 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
A = scipy.linalg.block_diag(np.eye(3, k=1), resonance, [[0.98]])
A[3:, 0] = [0.5, 0.2, 0.1]  # the end of the delay drives the modes
B, C = np.eye(6)[:, 2:3], np.array([[0.0, 0.0, 0.0, 1.0, 0.5, 1.0]])
T = np.random.default_rng(1).standard_normal((6, 6))
plant = LinearSSM(np.linalg.solve(T, A @ T), np.linalg.solve(T, B), C @ T)

# %%
# Six forms
# ---------
# White entries are exact zeros. Schur is orthogonal and safe. Modal shows time constants. The
# eidetic-fading form separates what is remembered exactly (orange) from what fades (blue). The
# companion form holds the coefficients of the transfer function, the echelon form the parameters
# that data can determine, the balanced form orders states by importance.

forms = [
    canonical_forms.schur_form(plant),
    canonical_forms.modal_form(plant),
    canonical_forms.eidetic_fading_form(plant),
    canonical_forms.companion_form(plant),
    canonical_forms.echelon_form(plant),
    canonical_forms.balanced_form(plant),
]
figure, axes = plt.subplots(2, 3, figsize=(12, 6.6), layout="constrained")
for ax, form in zip(axes.flat, forms, strict=True):
    canonical_forms.plot_structure(form, ax=ax)
    ax.set_xlim(-0.7, 13.5)  # room for the labels
plt.show()

# %%
# The modal form could not tell three eigenvalues at zero apart, and says so by keeping them in one
# block; the eidetic-fading form knows what they are.

print(forms[2].summary())

# %%
# The same plant?
# ---------------
# Yes: all six have the same impulse response, and `similarity` finds the way from one to another.

response = markov_parameters(plant, 60)
errors = [np.abs(markov_parameters(form.model, 60) - response).max() for form in forms]
for form, error in zip(forms, errors, strict=True):
    print(f"{form.info['form']:<32} cond {form.info['cond']:8.1f}   error {error:.0e}")
found, residual = canonical_forms.similarity(forms[1].model, forms[5].model)
print(f"from balanced to modal: residual {residual:.0e}")
assert max(errors) < 1e-9 * np.abs(response).max()
assert residual < 1e-9
assert max(forms[1].info["sizes"]) == forms[2].info["index"] == 3
