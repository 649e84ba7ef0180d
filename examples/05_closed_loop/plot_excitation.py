"""
Which experiment tells most?
============================

A lightly damped plant may be moved by one unit up or down for five hundred samples, in noise. A
step, a signal that switches fast, one that switches slowly, or sines where the resonance is: which
of them finds the resonance best, and could one have known before the experiment?
"""

# %%
# A plant with a resonance
# ------------------------
# Its period is about 18 samples, its damping 3 %. It forgets a push in a hundred samples.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

pole = 0.99 * np.exp(0.35j)
plant = realization.InnovationSSM(
    A=[[2 * pole.real, -(abs(pole) ** 2)], [1.0, 0.0]],
    B=[[0.05], [0.0]],
    C=[[1.0, 0.0]],
    K=[[0.0], [0.0]],
    Re=[[1.0]],
)
steps = 500

# %%
# Four experiments of the same length and height
# ----------------------------------------------
# ``prbs`` is a binary signal as white as can be; held for nine samples, half a period, it has more
# power at low frequencies. ``multisine`` has power in a band and nowhere else, under the smallest
# peak that could be found. A subspace method with a future of 20 samples needs order 22 for two
# states: the step and the sines do not have it.

experiments = {
    "step": np.where(np.arange(steps) < 10, -1.0, 1.0)[:, np.newaxis],
    "prbs": identification.prbs(steps),
    "prbs, held 9": identification.prbs(steps, hold=9),
    "multisine": identification.multisine(steps, band=(0.2, 0.5)),
}
for name, u in experiments.items():
    crest = np.abs(u).max() / np.sqrt(np.mean(u**2))
    print(f"{name:13} crest factor {crest:.2f}; {identification.persistence_of_excitation(u)}")

# %%
# Before the experiment: power at the resonance
# ---------------------------------------------
# What an experiment tells about a mode is what the input does to the output near it, and that needs
# no more than a rough idea of the plant.

omega = 2 * np.pi * np.arange(1, steps // 2) / steps
gain = np.abs(realization.frequency_response(plant, omega)[:, 0, 0])
near, effect = np.abs(omega - np.angle(pole)) < 0.05, {}
fig, axes = plt.subplots(4, 1, figsize=(7, 7), sharex=True, layout="constrained")
for ax, (name, u) in zip(axes, experiments.items(), strict=True):
    power = np.abs(np.fft.rfft(u[:, 0])[1 : steps // 2]) ** 2 / steps
    effect[name] = np.sum((power * gain**2)[near])
    ax.semilogy(omega, power, label="input")
    ax.semilogy(omega, power * gain**2, label="effect on the output")
    ax.set_ylim(1e-4, 1e3)
    ax.set_title(name, loc="left", fontsize=10)
axes[0].legend(loc="upper right")
axes[-1].set_xlabel("frequency, rad per sample")
fig.supylabel("power")
plt.show()

# %%
# After it
# --------
# Sixty experiments of each kind, with new noise every time: where is the resonance?

errors = {}
rng = np.random.default_rng(0)
for name, u in experiments.items():
    found = []
    for _ in range(60):
        y = realization.simulate(plant, u, noise=True, rng=rng).y
        model = identification.subspace_id(
            y, u, 2, method="cva", past=20, future=20, feedthrough=False
        ).model
        poles = realization.poles(model)
        found.append(poles[np.argmin(np.abs(poles - pole))])
    errors[name] = np.array(found) - pole

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
for name, error in errors.items():
    size = np.median(np.abs(error))
    poles = pole + error
    ax.plot(poles.real, poles.imag, "o", ms=3, label=f"{name}: median error {size:.4f}")
ax.plot(pole.real, pole.imag, "k+", ms=14)
circle = np.exp(1j * np.linspace(0.3, 0.4, 100))
ax.plot(circle.real, circle.imag, "k", lw=0.5)
ax.set(xlabel="real part of the pole", ylabel="imaginary part", xlim=(0.9, 0.96), ylim=(0.31, 0.37))
ax.legend(loc="lower left")
plt.show()

# %%
# The answer
# ----------
# The slow binary signal, and both could be known before: its effect near the resonance is as large
# as that of the sines, and it excites all orders. The sines excite too few for this method, and the
# step has hardly any power at the resonance.

size = {name: np.median(np.abs(error)) for name, error in errors.items()}
ratio = size["step"] / size["prbs, held 9"]
print(f"median error of the pole: {', '.join(f'{k} {v:.4f}' for k, v in size.items())}")
print(f"the step is {ratio:.1f} times as far off as the slow binary signal")
assert min(size, key=lambda name: size[name]) == "prbs, held 9"
assert ratio > 10
assert effect["step"] < 0.1 * effect["prbs, held 9"]
assert abs(effect["multisine"] / effect["prbs, held 9"] - 1) < 0.1
