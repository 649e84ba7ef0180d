"""
How small can a bilinear model be?
==================================

Rank decides for linear models: what the inputs reach and the outputs show. For bilinear ones the
question has the same answer with words instead of powers, and one new twist: a state may be
reached by a *product* of inputs only.
"""

# %%
# A plant in pieces
# -----------------
# A chain of four modes through which the inputs multiply, next to two more that nothing reaches,
# in mixed coordinates.

import matplotlib.pyplot as plt
import numpy as np

import canonical_forms
import realization

rng = np.random.default_rng(4)
A = np.diag([0.8, 0.6, 0.5, 0.4, 0.7, 0.3])
N = np.zeros((2, 6, 6))
N[0][1, 0], N[1][2, 1], N[0][3, 2] = 0.7, 0.5, 0.3  # each step of the chain needs an input
N[1][5, 4] = 0.4
B = np.zeros((6, 2))
B[0] = 1.0, 0.2
C = np.array([[0.3, 0.6, 1.0, 0.9, 1.0, 1.0]])
T = rng.standard_normal((6, 6))
inverse = np.linalg.inv(T)
plant = realization.BilinearSSM(inverse @ A @ T, inverse @ N @ T, inverse @ B, C @ T)

# %%
# Reached and seen
# ----------------
# Both subspaces are found by multiplying new directions with all matrices until none is new; the
# exponentially many words are never formed. The minimal model has the same coefficient for every
# word, so the same output for every input.

reached = realization.reachable_subspace(plant)
hidden = realization.unobservable_subspace(plant)
minimal = realization.minimal_bilinear(plant)
words = realization.word_coefficients(plant, 5)
kept = realization.word_coefficients(minimal, 5)
error = max(np.abs(kept[word] - value).max() for word, value in words.items())
print(f"reached {reached.shape[1]} of 6, hidden {hidden.shape[1]}, minimal {minimal.n_states}")
print(f"{len(words)} words, largest difference {error:.0e}")
assert minimal.n_states == 4
assert error < 1e-12

# %%
# Smaller still
# -------------
# With white inputs the Gramians measure how strongly each state is moved and shown. Balanced
# truncation drops what matters least; the H2 norm of the difference is what the output loses.

P, Q = realization.bilinear_gramians(minimal)
balanced = np.sqrt(np.sort(np.linalg.eigvals(P @ Q).real)[::-1])
whole = realization.h2_norm(minimal)
losses = []
for order in (1, 2, 3):
    small = realization.bilinear_truncate(minimal, order)
    both = realization.BilinearSSM(
        np.block([[minimal.A, np.zeros((4, order))], [np.zeros((order, 4)), small.A]]),
        [np.block([[M, np.zeros((4, order))], [np.zeros((order, 4)), m]])
         for M, m in zip(minimal.N, small.N, strict=True)],
        np.vstack([minimal.B, small.B]),
        np.hstack([minimal.C, -small.C]),
    )  # fmt: skip
    losses.append(realization.h2_norm(both) / whole)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.semilogy(np.arange(1, 5), balanced, "o")
left.set(xlabel="state", ylabel="balanced value", xticks=range(1, 5))
right.bar([1, 2, 3], losses, width=0.5)
right.set(xlabel="order", ylabel="relative error of the output", xticks=[1, 2, 3])
plt.show()
print("relative error at orders 1, 2, 3:", np.round(losses, 3))
assert losses[0] > losses[1] > losses[2]

# %%
# Does it fall apart?
# -------------------
# A linear model always splits into modes. A bilinear one does only if A and all N split in the
# same coordinates, which is an exception. ``simultaneous_form`` finds the finest split there is:
# the chain holds together, the two spectators are a block of their own.

form = canonical_forms.simultaneous_form(plant)
print("blocks of sizes", form.info["sizes"])
assert sorted(form.info["sizes"]) == [2, 4]
