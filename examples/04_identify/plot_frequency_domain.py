"""
A frequency response was measured: which model has it?
======================================================

An analyser has measured gain and phase of a plant with two outputs, one frequency after the other,
densely around the resonances and sparsely elsewhere. No record in time exists. Which state-space
model has this response?
"""

# %%
# The measurement
# ---------------
# 120 frequencies on a logarithmic grid. The noise of each sample grows with the frequency, and the
# analyser says how large it is.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

plant = realization.LinearSSM(
    A=[[0.995, 0.06, 0, 0], [-0.06, 0.99, 0, 0], [0, 0, 0.8, 0.5], [0, 0, -0.5, 0.8]],
    B=[[0.0], [0.02], [0.0], [0.1]],
    C=[[1, 0, 0.5, 0], [0, 1, 0, -0.5]],
    D=[[0.0], [0.1]],
    dt=0.01,
)
omega = np.geomspace(0.5, np.pi / 0.01, 120)
rng = np.random.default_rng(0)
exact = realization.frequency_response(plant, omega)
size = 0.002 + 0.03 * omega / omega[-1]
noise = rng.standard_normal((2, *exact.shape)) * size[:, None, None]
measured = exact + noise[0] + 1j * noise[1]

# %%
# One call
# --------
# Real and imaginary parts are data as samples in time are; weights say how far to trust each.

model = identification.frequency_subspace_id(measured, omega, 4, dt=0.01, weights=1 / size)

# %%
# The response of the model
# -------------------------

found = realization.frequency_response(model, omega)
fig, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True)
for k in range(2):
    gain, phase = axes[0, k], axes[1, k]
    plant_angle = np.unwrap(np.angle(exact[:, k, 0]))
    for values, style, name in (
        (measured, ".", "measured"),
        (exact, "-", "plant"),
        (found, "--", "model"),
    ):
        gain.loglog(omega, np.abs(values[:, k, 0]), style, label=name)
        beyond = np.angle(values[:, k, 0] / exact[:, k, 0])  # no jumps where noise is all there is
        phase.semilogx(omega, np.degrees(plant_angle + beyond), style)
    gain.set_title(f"output {k + 1}")
    phase.set_xlabel("frequency in rad/s")
axes[0, 0].set_ylabel("gain")
axes[1, 0].set_ylabel("phase in degrees")
axes[0, 0].legend()
fig.tight_layout()
plt.show()

# %%
# The answer
# ----------
# The model is closer to the plant than the measurement: each of its few numbers is an average over
# many samples.

off, noise_level = np.linalg.norm(found - exact), np.linalg.norm(measured - exact)
print(f"error of the model {100 * off / noise_level:.0f} % of that of the measurement")
assert off < 0.4 * noise_level

# %%
# Without noise the plant itself comes back, to rounding.

clean = identification.frequency_subspace_id(exact, omega, 4, dt=0.01)
error = np.abs(realization.frequency_response(clean, omega) - exact).max()
print(f"largest error without noise {error:.1e}")
assert error < 1e-9
