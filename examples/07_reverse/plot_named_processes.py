"""
Which noise process should a diffusion model use?
=================================================

The literature has a zoo of them: variance preserving, variance exploding, critically damped. All
are linear stochastic differential equations, and everything about them is known in closed form:
the transition, the marginal law, the score, the way back. So they can be compared without training
anything.
"""

# %%
# Five ways to forget a picture
# -----------------------------
# The data are two numbers; the first axis is shown. Each process carries the same three points
# away, and what is left of them is the signal-to-noise ratio.

import matplotlib.pyplot as plt
import numpy as np

import diffusion

processes = {
    "Ornstein-Uhlenbeck": diffusion.OrnsteinUhlenbeck(2.0, 2.0),
    "variance preserving": diffusion.VariancePreserving(),
    "sub-variance preserving": diffusion.SubVariancePreserving(),
    "variance exploding": diffusion.VarianceExploding(sigma_max=10.0),
    "critically damped": diffusion.CriticallyDampedLangevin(),
}
times = np.linspace(0.0, 1.0, 201)
figure, axes = plt.subplots(1, 6, figsize=(14, 2.8), layout="constrained")
for ax, (name, sde) in zip(axes[1:], processes.items(), strict=True):
    start = np.zeros((3, sde.n_states))
    start[:, 0] = -1.0, 0.0, 1.0
    path = diffusion.sample_forward(sde, start, times, rng=1)
    ax.plot(times, path[..., 0])
    ax.set_title(name, fontsize="small")
    ax.set(xlabel="t")
    ratio = []
    for t in times[1:]:
        Phi, _, Q = sde.transition(0.0, t)
        ratio.append(Phi[0, 0] ** 2 / Q[0, 0])
    axes[0].semilogy(times[1:], ratio, label=name)
axes[0].set(xlabel="t", ylim=(1e-6, 1e5))
axes[0].set_title("signal to noise", fontsize="small")
axes[0].legend(frameon=False, fontsize="xx-small")
plt.show()

# %%
# And the way back
# ----------------
# Whatever was chosen, the reverse kernel is exact at any step. Two clusters come back in two
# steps, from every process; the law does not depend on the noise that hid it.

weights = [0.25, 0.75]
errors = {}
for name, sde in processes.items():
    n = sde.n_states
    centres = np.zeros((2, n))
    centres[:, 0] = -1.0, 1.0
    data = diffusion.GaussianMixture(weights, centres, 0.01 * np.tile(np.eye(n), (2, 1, 1)))
    late = data.diffuse(sde, 1.0).sample(20_000, rng=2)
    back = diffusion.sample_reverse(sde, late, [1.0, 0.4, 0.0], score=data, rng=3)[-1]
    errors[name] = abs((back[:, 0] > 0).mean() - 0.75)
    print(f"{name:<24} weight of the right cluster {(back[:, 0] > 0).mean():.3f}")
assert max(errors.values()) < 5 * np.sqrt(0.25 * 0.75 / 20_000)

# %%
# A process of your own
# ---------------------
# ``LinearSDE`` takes any F and G; here one that rotates while it forgets. And a diffusion that is
# not linear at all reverses by the same equation, once its score is known: geometric Brownian
# motion, whose noise grows with the state, needs the divergence of the noise as well.

spiral = diffusion.LinearSDE([[-1.0, 6.0], [-6.0, -1.0]], np.eye(2), P0=np.diag([4.0, 0.1]))
K, _, V = spiral.reverse_kernel(0.0, 1.0)
returned = K @ spiral.marginal(1.0)[1] @ K.T + V
spiral_error = np.abs(returned - np.diag([4.0, 0.1])).max()


def score(x, t):
    """Return the score of exp(N(-t/2, t)), the law of dx = x dw from x = 1."""
    return -(1.0 + (np.log(x) + t / 2) / t) / x


backward = diffusion.reverse_time_sde(lambda x, t: 0 * x, lambda x, t: x[..., None], score)
late = np.exp(np.random.default_rng(0).standard_normal((20_000, 1)) - 0.5)
path = diffusion.sample_reverse(
    backward, late, np.geomspace(1.0, 0.05, 400), method="euler_maruyama", rng=1
)
logs = np.log(path[-1, :, 0])
print(f"spiral: start returns to {spiral_error:.0e}")
print(f"geometric Brownian motion at t = 0.05: variance of the log {logs.var():.4f}, exact 0.05")
assert spiral_error < 1e-13
assert abs(logs.var() / 0.05 - 1) < 0.05
