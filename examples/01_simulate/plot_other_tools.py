"""
Is it the same plant in another tool?
=====================================

A model meets other tools on its way: a physical model arrives in continuous time from
python-control, a controller is tuned there, a filter is run by scipy. Each tool has its own
conventions for time and for the sample time. Does the plant survive the journey?
"""

# %%
# From a transfer function to a sampled record and back
# -----------------------------------------------------
# A motor with a flexible shaft, written down as a transfer function. Sampled at two rates with the
# input held between samples, it answers a step exactly like the continuous plant at these instants.

import tempfile
from pathlib import Path

import control
import matplotlib.pyplot as plt
import numpy as np
import scipy

import realization

motor = control.tf2ss(control.tf([20.0], [1.0, 1.2, 20.0]))
plant = realization.from_control(motor)
sampled = [realization.discretize(plant, dt) for dt in (0.05, 0.3)]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
realization.plot_step([plant, *sampled], labels=["motor", "0.05 s", "0.3 s"], duration=6.0, ax=left)
left.set_title("Step responses: one curve")
omega = np.geomspace(0.3, 60, 400)
for model, label in zip([plant, *sampled], ["motor", "0.05 s", "0.3 s"], strict=True):
    inside = omega < (np.pi / model.dt if model.dt else np.inf)
    gain = np.abs(realization.frequency_response(model, omega[inside])[:, 0, 0])
    right.loglog(omega[inside], gain, label=label)
right.set(xlabel="frequency (rad/s)", ylabel="gain", title="The hold filters: gains differ")
right.legend(frameon=False)
plt.show()

# %%
# Back to continuous time: exact, as long as no mode turns more than half a turn a sample.

errors = {}
for model in sampled:
    again = realization.continuize(model)
    errors[f"continuize from {model.dt} s"] = np.abs(
        np.sort_complex(realization.poles(again)) - np.sort_complex(realization.poles(plant))
    ).max()

# %%
# To scipy, to python-control, to a file
# --------------------------------------
# Each way is there and back; compared are Markov parameters, which know nothing of coordinates.

model = sampled[0]
routes = {
    "scipy": realization.from_scipy(realization.to_scipy(model)),
    "python-control": realization.from_control(realization.to_control(model)),
}
with tempfile.TemporaryDirectory() as folder:
    realization.save(model, Path(folder) / "motor.npz")
    routes["file"] = realization.load(Path(folder) / "motor.npz")
for name, other in routes.items():
    assert other.dt == model.dt
    there, here = (realization.markov_parameters(system, 100) for system in (other, model))
    errors[name] = np.abs(there - here).max()

# %%
# And do the tools agree on what the plant does?

u = np.random.default_rng(0).standard_normal((400, 1))
ours = realization.simulate(model, u).y
theirs = scipy.signal.dlsim(realization.to_scipy(model), u)[1]
errors["simulation against scipy"] = np.abs(ours - theirs).max()
for name, error in errors.items():
    print(f"{name:<26} {error:.0e}")
assert max(errors.values()) < 1e-10
