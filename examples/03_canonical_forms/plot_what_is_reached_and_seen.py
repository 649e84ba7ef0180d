"""
Which states does a model need?
===============================

A model put together from parts has states that no input moves, and states that no output shows.
They cost time and spoil every algorithm that asks for a minimal model. Kalman's decomposition sorts
the state space into four parts; one of them is the model that the outside world can know.
"""

# %%
# A plant with a spectator
# ------------------------
# Two tanks in a row, a third that they fill and nobody measures, and one next door that leaks into
# the measurement. The coordinates are mixed.

import matplotlib.pyplot as plt
import numpy as np

import canonical_forms
from realization import LinearSSM, markov_parameters

A = np.array(
    [
        [0.9, 0.0, 0.0, 0.0],
        [0.1, 0.8, 0.0, 0.0],
        [0.0, 0.2, 0.5, 0.0],  # shown by no output
        [0.0, 0.0, 0.0, 0.7],  # moved by no input
    ]
)
B, C = np.eye(4)[:, :1], np.array([[0.0, 1.0, 0.0, 0.3]])
T = np.random.default_rng(2).standard_normal((4, 4))
plant = LinearSSM(np.linalg.solve(T, A @ T), np.linalg.solve(T, B), C @ T)

# %%
# Four parts
# ----------
# Reached and seen; reached only; seen only; neither. White entries are exact zeros: what is not
# reached gets nothing from B, what is not seen gives nothing to C.

kalman = canonical_forms.kalman_decomposition(plant)
minimal = canonical_forms.minimal_form(plant)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
canonical_forms.plot_structure(kalman, ax=left)
canonical_forms.plot_structure(minimal, ax=right)
plt.show()
print(kalman.summary())

# %%
# What the outside knows
# ----------------------
# The minimal form has the same responses, and with no input can they be told apart.

difference = markov_parameters(minimal.model, 100) - markov_parameters(plant, 100)
error = np.abs(difference).max()
print(f"minimal order {minimal.model.n_states}, responses differ by {error:.0e}")
assert minimal.model.n_states == 2
assert error < 1e-12
assert canonical_forms.are_equivalent(minimal.model, plant)

# %%
# Importance without balance
# --------------------------
# Among the minimal models the input-normal form has unit reachability Gramian, the output-normal
# form unit observability Gramian. All the importance of a state is then in the other one, and it
# is the square of its Hankel singular value.

from_input = canonical_forms.input_normal_form(minimal.model)
from_output = canonical_forms.output_normal_form(minimal.model)
for form in (from_input, from_output):
    print(form.info["form"], form.info["hankel_singular_values"].round(4))
assert canonical_forms.are_equivalent(from_input.model, from_output.model)

# %%
# A word of caution
# -----------------
# The Jordan form of textbooks is the one form that rounding destroys: whether two eigenvalues are
# one is a question that floating point cannot answer. It exists here for exercises, takes a
# tolerance, and always warns.

import warnings

double = LinearSSM([[0.5, 1.0], [1e-12, 0.5]], [[0.0], [1.0]], [[1.0, 0.0]])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    jordan = canonical_forms.jordan_form(double)
print(str(said[0].message)[:120], "...")
print("blocks of sizes", jordan.info["sizes"])
