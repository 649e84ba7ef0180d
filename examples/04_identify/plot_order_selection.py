"""
Which order, and why not the true one?
======================================

Every order criterion weighs what one state more explains against what chance would explain. For
an easy plant all of them agree with the truth. For a hard one they do not, at any honest price:
the order table says by how much, and how many samples it would take.
"""

# %%
# Two plants of order 4
# ---------------------
# The easy one: two resonances that the input excites and the output shows. The hard one: a
# resonance, and two real poles (0.3 and 0.6) that act on the output nearly as one would.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization


def resonance(radius, angle):
    """Return a real block with this pair of poles."""
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    return np.array([[c, s], [-s, c]])


zero = np.zeros((2, 2))
easy = realization.InnovationSSM(
    A=np.block([[resonance(0.9, 0.5), zero], [zero, resonance(0.85, 1.8)]]),
    B=[[1.0], [0.5], [0.5], [1.0]],
    C=[[1.0, 0.0, 0.0, 1.0]],
    K=[[0.3], [0.1], [0.2], [0.2]],
    Re=[[0.5]],
)
hard = realization.InnovationSSM(
    A=np.block([[resonance(0.9, 0.5), zero], [zero, np.diag([0.3, 0.6])]]),
    B=[[1.0], [0.5], [1.0], [0.6]],
    C=[[1.0, 0.0, 1.0, 1.0]],
    K=[[0.5], [0.1], [0.2], [0.0]],
    Re=[[1.0]],
)


def table_of(plant, samples):
    """Return the order table of one record of a plant."""
    rng = np.random.default_rng(0)
    u = rng.standard_normal((samples, 1))
    y = realization.simulate(plant, u, noise=True, rng=rng).y
    return identification.subspace_id(y, u, method="cva", past=10).order_table


# %%
# The easy plant
# --------------
# Four canonical correlations of past and future stand out, and 1000 samples are plenty.

short_easy = table_of(easy, 1000)
identification.plot_order(short_easy)
plt.show()
print(short_easy)

# %%
# The hard plant
# --------------
# The fourth correlation is one of the crowd, so order 4 is not found.

short_hard = table_of(hard, 1000)
identification.plot_order(short_hard)
plt.show()
print(short_hard)

# %%
# Why not
# -------
# ``svc`` takes the fourth state if the square of its correlation exceeds that of the fifth, which
# is chance, by a price of :math:`(2p + m) \log N / N`. Both fall with the number of samples N, but
# the square of a true correlation stays.


def advantage(table):
    """Return what the fourth state explains beyond the fifth, and what svc asks for it."""
    squares = table.canonical_correlations**2
    return squares[3] - squares[4], np.diff(table.svc - squares)[3]


lengths = np.array([1000, 3000, 10000, 30000, 100000])
tables = [table_of(hard, samples) for samples in lengths]
gains, prices = np.array([advantage(table) for table in tables]).T
fig, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
ax.loglog(lengths, np.maximum(gains, 1e-6), "o-", label="what the fourth state explains")
ax.loglog(lengths, prices, "s--", label="what svc asks for it")
ax.set(xlabel="samples", ylabel="squared correlation beyond chance")
ax.legend()
plt.show()

# %%
# The answer
# ----------
# The easy plant has order 4 by every criterion. The hard one has order 3 until the record is long
# enough.

for samples, table in zip(lengths, tables, strict=True):
    print(f"{samples:7} samples: order {table.best('svc')}")
found = {name: short_easy.best(name) for name in ("svc", "nic", "aic", "bic", "gap")}
print("easy:", found)
assert set(found.values()) == {4}
assert tables[0].best("svc") == 3
assert gains[0] < prices[0]
assert tables[-1].best("svc") == 4
assert gains[-1] > prices[-1]
