"""
What does a bilinear system remember of two inputs?
===================================================

The output of a bilinear system is a polynomial in the past inputs: an impulse response, plus a
kernel for products of two inputs, of three, and so on. Here the kernel of degree two is computed
from a model, measured by pulses, and estimated from a noisy record. Do the three agree, and do
the kernels lead back to the model?
"""

# %%
# A model
# -------
# :math:`x_{t+1} = A x_t + u_t N x_t + B u_t`. The input reaches the first state; the second is
# reached only where an input meets what an earlier input left behind.

import matplotlib.pyplot as plt
import numpy as np

import realization

model = realization.BilinearSSM(
    A=[[0.8, 0.0], [0.0, 0.6]], N=[[[0.0, 0.0], [0.5, 0.0]]], B=[[1.0], [0.0]], C=[[0.3, 1.0]]
)
lags = 8
exact = realization.volterra_kernel(model, 2, lags)[:, :, 0, 0, 0]

# %%
# Pulses
# ------
# No instant enters twice in a product, so the response to two pulses, minus the responses to each
# alone, is the coefficient of their product: exact, from finitely many experiments at rest.


def experiment(u):
    """Return the response of the system at rest."""
    return realization.simulate(model, u).y


measured = realization.volterra_from_pulses(experiment, 2, lags, n_inputs=1)[:, :, 0, 0, 0]
print(f"pulses: largest error {np.abs(measured - exact).max():.1e}")
assert np.allclose(measured, exact, atol=1e-13)

# %%
# A record
# --------
# With a white input, the kernel is the correlation of the output with products of two past
# inputs. In that average the rest of the output acts as noise. Least squares fits all kernels up to
# the degree at once; what it does not know, here the products of inputs older than the lags, and
# the measurement noise, is all that is left.

rng = np.random.default_rng(0)
steps = 20_000
u = rng.choice([-1.0, 1.0], (steps, 1))
y = experiment(u) + 0.2 * rng.standard_normal((steps, 1))
estimates = {
    method: realization.volterra_from_data(y, u, 2, lags, method=method)[:, :, 0, 0, 0]
    for method in ("correlation", "least_squares")
}
errors = {name: np.abs(kernel - exact).max() for name, kernel in estimates.items()}
print({name: f"{error:.3f}" for name, error in errors.items()})
assert errors["least_squares"] < errors["correlation"] < 5 * y.std() / np.sqrt(steps)

# %%
# The kernel lives where the first delay exceeds the second: the earlier input is remembered by the
# first state, at rate 0.8, until the later one moves it to the second, where it decays at rate 0.6.

figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9), layout="constrained", sharey=True)
hidden = np.triu(np.ones((lags, lags), dtype=bool))  # no coefficients: delays must decrease
pictures = {"model = pulses": exact} | {
    f"error of {method.replace('_', ' ')}": kernel - exact for method, kernel in estimates.items()
}
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    largest = exact.max() if picture is exact else errors["correlation"]
    image = ax.imshow(
        np.ma.array(picture, mask=hidden),
        origin="lower",
        extent=(0.5, lags + 0.5, 0.5, lags + 0.5),
        cmap="RdBu_r",
        vmin=-largest,
        vmax=largest,
    )
    ax.set(title=title, xlabel=r"later input: $\tau_2$")
    figure.colorbar(image, ax=ax)
axes[0].set_ylabel(r"earlier input: $\tau_1$")
plt.show()

# %%
# Back to a model
# ---------------
# The kernels hold the coefficients of words, and those a Hankel matrix of rank two. The model found
# has other coordinates and the same outputs.

kernels = [
    realization.volterra_from_pulses(experiment, degree, 4, n_inputs=1) for degree in (1, 2, 3, 4)
]
found = realization.bilinear_hankel_realization(realization.kernel_coefficients(kernels), order=2)
error = np.abs(realization.simulate(found, u).y - experiment(u)).max()
print(f"outputs of the model found from pulses: largest error {error:.1e}")
assert error < 1e-10
