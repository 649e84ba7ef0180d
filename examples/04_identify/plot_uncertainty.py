"""
How sure is the frequency response?
===================================

A model from 600 noisy samples is one of many that other records of the same plant would have
given. How far apart would they be? Three answers: the covariance of the refined model, to first
order; the bootstrap, which identifies simulated records; and here, where the plant is known, the
truth.
"""

# %%
# A resonant plant and one record
# -------------------------------

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

angle = 0.5
turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
plant = realization.InnovationSSM(
    A=0.95 * np.array(turn), B=[[0.3], [0.5]], C=[[1.0, 0.0]], K=[[0.3], [0.1]], Re=[[0.3]], dt=0.1
)


def experiment(seed):
    """Return outputs and inputs of one experiment of a minute."""
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((600, 1))
    return realization.simulate(plant, u, noise=True, rng=rng).y, u


y, u = experiment(0)

# %%
# Refine, then ask
# ----------------
# ``pem`` maximises the likelihood, and its result carries the covariance of the entries. Entries
# depend on the basis of the state, poles and responses do not: their bands are in the figures.

start = identification.subspace_id(y, u, 2, method="cva", dt=0.1)
result = identification.pem(start, y, u)
identification.plot_bode({"plant": plant, "refined": result})
plt.show()

# %%
# The bootstrap
# -------------
# The innovations of the record are drawn again and drive the model; every simulated record is
# identified as the first was. The middle 95 % of the magnitudes needs no linearization.

omega = np.geomspace(0.3, np.pi / 0.1, 120)
drawn = identification.bootstrap(result, y, u, samples=200, rng=1)
magnitudes = np.abs(drawn.frequency_response(omega))[:, :, 0, 0]
found = identification.frequency_response_uncertainty(result, omega)
size = np.abs(found.response[:, 0, 0])
bands = {
    "first order": [limit[:, 0, 0] for limit in found.magnitude_band()],
    "bootstrap": drawn.band(magnitudes),
}

# %%
# And the truth
# -------------
# Sixty other minutes of the plant: the spread that both try to foresee from one.

truth = np.abs(realization.frequency_response(plant, omega))[:, 0, 0]
spread, inside = [], []
for seed in range(1, 61):
    other = identification.pem(result, *experiment(seed))
    of_other = identification.frequency_response_uncertainty(other, omega)
    spread.append(np.abs(of_other.response[:, 0, 0]))
    low, high = (limit[:, 0, 0] for limit in of_other.magnitude_band())
    inside.append((low < truth) & (truth < high))
bands["sixty experiments"] = np.quantile(spread, [0.025, 0.975], axis=0)

fig, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
for number, (name, (low, high)) in enumerate(bands.items()):
    width = 100 * (high - low) / 2 / truth
    ax.semilogx(omega, width, color=f"C{number}", label=name)
ax.set(xlabel="frequency (rad/s)", ylabel="half width of the 95 % band, % of the magnitude")
ax.legend()
plt.show()

# %%
# The poles
# ---------
# Dots are the bootstrap's, the ellipse is first order's.

ax = identification.plot_poles({"plant": plant, "refined": result})
dots = drawn.poles().ravel()
ax.plot(dots.real, dots.imag, ".", color="0.5", ms=2, zorder=0)
pole = result.model.A.trace() / 2 + 1j * np.max(np.linalg.eigvals(result.model.A).imag)
ax.set(xlim=(pole.real - 0.06, pole.real + 0.06), ylim=(pole.imag - 0.06, pole.imag + 0.06))
plt.show()

# %%
# The answer
# ----------
# The two bands agree, and both are as wide as other experiments say. A band of 95 % holds the truth
# in about that many experiments; which ones, no single record can tell.

widths = [np.mean(np.log((high - low) / truth)) for low, high in bands.values()]
print(f"bootstrap / first order: {np.exp(widths[1] - widths[0]):.2f}")
print(f"experiments / first order: {np.exp(widths[2] - widths[0]):.2f}")
print(f"bands of the experiments that hold the truth: {100 * np.mean(inside):.0f} %")
assert abs(widths[1] - widths[0]) < 0.15
assert abs(widths[2] - widths[0]) < 0.25
assert 0.85 < np.mean(inside) < 1.0
