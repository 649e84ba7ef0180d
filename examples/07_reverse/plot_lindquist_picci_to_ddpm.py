"""
From Lindquist and Picci to DDPM, on one page
=============================================

The equation that runs a diffusion backwards in time was derived for linear stochastic models by
Lindquist and Picci in 1979, and for general nonlinear stochastic differential equations by Anderson
in 1982. (Nelson's reverse drift and the backward Markovian models of Ljung, Verghese and Kailath
came before.) The image generators of today run it. How much of DDPM, the denoising diffusion model
of 2020, is the backward model of 1979?
"""

# %%
# 1979: the backward model
# ------------------------
# For :math:`x_{t+1} = A x_t + w_t` with state covariances :math:`P_t` the reverse is
# :math:`x_t = J_t x_{t+1} + \eta_t`, :math:`J_t = P_t A^\top P_{t+1}^{-1}`. Take the forward
# process of DDPM, :math:`x_{t+1} = \sqrt{\alpha}\, x_t + \sqrt{1-\alpha}\, \varepsilon_t` with one
# of its :math:`\alpha`, from a known start :math:`x_0`: its covariance is zero.

import matplotlib.pyplot as plt
import numpy as np

import diffusion
import realization

alpha, x_0, T = 0.98, 1.5, 8
model = realization.GaussianSSM(
    [[np.sqrt(alpha)]], [[1.0]], [[1 - alpha]], [[1.0]], m0=[x_0], P0=[[0.0]]
)
backward = diffusion.backward_model(model, steps=T)

# %%
# 2020: the posterior of DDPM
# ---------------------------
# Ho, Jain and Abbeel write the mean and the variance of :math:`q(x_{t-1} \mid x_t, x_0)` as
#
# .. math::
#
#     \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\, x_0
#     + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\, x_t, \qquad
#     \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\, \beta_t .

t = np.arange(1, T + 1)
bar, before, beta = alpha**t, alpha ** (t - 1), 1 - alpha
to_x0, to_xt = np.sqrt(before) * beta / (1 - bar), np.sqrt(alpha) * (1 - before) / (1 - bar)
variance = (1 - before) / (1 - bar) * beta

J, eta = backward.J[:, 0, 0], backward.covariance[:, 0, 0]
offset = backward.m[:-1, 0] - J * backward.m[1:, 0]
print(" t     J_t  to x_t    offset   to x_0    var eta   beta~")
for k in range(0, T, 2):
    print(f"{k + 1:2d} {J[k]:7.4f} {to_xt[k]:7.4f} {offset[k]:9.4f} {to_x0[k] * x_0:8.4f}", end="")
    print(f" {eta[k]:10.5f} {variance[k]:7.5f}")
gap = max(np.abs(J - to_xt).max(), np.abs(offset - to_x0 * x_0).max(), np.abs(eta - variance).max())

# %%
# They are the same numbers. The posterior of DDPM is the backward model of a Gaussian model whose
# initial covariance is zero.
#
# What the network adds
# ---------------------
# Data are many points :math:`x_0`, and the reverse step is a mixture over them: each component is
# the backward model of its point, weighted by how likely the point is given :math:`x_t`. Its mean
# needs one thing only, the expectation of the data (or of the noise) given :math:`x_t`. That
# function is what a network learns; here it is known, for the data -1 (a third) and 1.

sde = diffusion.VariancePreserving(P0=[[0.0]])
data = diffusion.GaussianMixture([1 / 3, 2 / 3], [[-1.0], [1.0]], np.zeros((2, 1, 1)))


def denoiser(x, time):
    """Return the noise that a perfectly trained network would predict."""
    weights, points, _ = data.reverse_kernel(sde, x, 0.0, time)
    Phi, _, Q = sde.transition(0.0, time)
    return (x - np.sum(weights[..., np.newaxis] * points, axis=-2) @ Phi.T) / np.sqrt(Q[0, 0])


score = diffusion.score_from_denoiser(denoiser, sde, predicts="noise")
x = np.linspace(-3, 3, 7)[:, np.newaxis]
assert np.allclose(score(x, 0.4), data.diffuse(sde, 0.4).score(x))

# %%
# Sampling
# --------
# DDPM runs a thousand steps of its own approximation: the predicted mean with the variance
# :math:`\tilde\beta`, which is ``method="exponential"`` for ``P0 = 0``. With the mixture itself
# known, the exact kernels need one step or five.

start = np.random.default_rng(0).standard_normal((2000, 1))
ddpm = diffusion.sample_reverse(
    sde, start, np.linspace(1, 0.001, 1000), score=score, method="exponential", rng=1
)
five = diffusion.sample_reverse(sde, start, np.linspace(1, 0, 6), score=data, rng=1)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, times, path, name in (
    (axes[0], np.linspace(1, 0.001, 1000), ddpm, "DDPM, 1000 steps"),
    (axes[1], np.linspace(1, 0, 6), five, "exact kernels, 5 steps"),
):
    ax.plot(times, path[:, :60, 0], color="C0", lw=0.5, alpha=0.6)
    ax.set(xlim=(1, 0), xlabel="time", title=name)
axes[0].set_ylabel("x")
plt.show()

shares = [float(np.mean(path[-1] > 0)) for path in (ddpm, five)]
print(f"share of +1: DDPM {shares[0]:.3f}, exact {shares[1]:.3f}, data 0.667")
print(f"largest difference of the coefficients of 1979 and 2020: {gap:.1e}")
assert gap < 1e-14
assert max(abs(share - 2 / 3) for share in shares) < 4 * np.sqrt(2 / 9 / 2000)
