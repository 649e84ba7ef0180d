"""
Which plant made this record?
=============================

Two inputs move two outputs through four states, and a noise of its own disturbs them. From one
record of inputs and outputs: which order has the plant, how good is the model on data that it has
not seen, and is its frequency response that of the plant?
"""

# %%
# A record
# --------
# In its place goes your own data: arrays with time along the first axis. Here the plant is known,
# so that the answer can be checked. The inputs switch at random between two levels and hold each
# for a while, as they do in a plant; the noise is coloured, because it goes through the state.

import matplotlib.pyplot as plt
import numpy as np

import identification
import realization

plant = realization.InnovationSSM(
    A=[[0.9, 0.3, 0, 0], [-0.3, 0.9, 0, 0], [0, 0, 0.7, 0], [0, 0, 0, 0.95]],
    B=[[0, 0.1], [0.2, 0], [0.5, 0.2], [0, 0.1]],
    C=[[1, 0, 0.5, 0], [0, 0, 0.5, 1]],
    K=[[0.4, 0], [0.1, 0.1], [0, 0.1], [0.1, 0.3]],
    Re=[[0.04, 0.01], [0.01, 0.02]],
    dt=0.1,
)
u = np.random.default_rng(0).choice([-1.0, 1.0], (500, 2)).repeat(6, axis=0)
y = realization.simulate(plant, u, noise=True, rng=1).y

# %%
# Keep the second half for validation: a model is judged on data that it has not seen.

first, second = identification.split(y, u, dt=0.1)

# %%
# One call
# --------
# No order, no starting values, no iterations. The result holds the model and the evidence for it;
# its summary says what was chosen and why, and ends with the modes and the fit on this record.

result = identification.subspace_id(first)
print(result.summary())

# %%
# The order
# ---------
# Four canonical correlations between past and future stand out: four numbers are what the past
# has to say about the future. The criteria make that precise, each in its way.

identification.plot_order(result)
plt.show()

# %%
# New data
# --------
# A simulation knows the inputs only. What it misses is the noise: the plant itself misses as much.

models = {"plant": plant, "model": result}
simulation = identification.compare(models, second)
print(simulation)
for ax in identification.plot_compare(simulation).ravel():
    ax.set_xlim(0, 40)
plt.show()

# %%
# A prediction also knows the outputs up to the sample before.

prediction = identification.compare(models, second, horizon=1)
print(prediction)

# %%
# What is left
# ------------
# The errors of a good prediction cannot be predicted: they are not correlated with their own past
# nor with past inputs. The blue bands hold all correlations of a perfect model at once in 99 of
# 100 records. The test asks whether the model has taken from its record what there was to take; on
# new data the small errors of its parameters show as well.

tests = identification.residual_tests(result, first)
print(tests)
identification.plot_residuals(tests)
plt.show()

# %%
# The plant behind it
# -------------------
# Matrices cannot be compared, for the state is a choice. Frequency responses can.

identification.plot_bode(models)
plt.show()

# %%
# The answer
# ----------
# The order is right. The model loses less than one point of fit to the plant itself, and its
# frequency response is nowhere further from the plant's than a tenth of the largest gain.

omega = np.linspace(0, np.pi / 0.1, 500)
response = realization.frequency_response(plant, omega)
error = realization.frequency_response(result.model, omega) - response
distance = np.linalg.norm(error, 2, axis=(1, 2)).max()
distance /= np.linalg.norm(response, 2, axis=(1, 2)).max()
lost = (simulation.fits[0] - simulation.fits[1]).max()
print(f"order {result.n_states}, fit lost {lost:.2f} points, distance {100 * distance:.1f} %")
assert result.n_states == 4
assert lost < 1.0
assert distance < 0.1
