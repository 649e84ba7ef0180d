"""Reverse sampling of a linear Gaussian diffusion: this package against torch and numpy.

Run ``python benchmarks/reverse_sampling.py``. Median CPU time of one call of ``sample_reverse``, a
step, on one thread; all in one run. The peers run the same sampler as a plain loop over kernels
that were computed beforehand; ``sample_reverse`` computes them in every call. All keep the whole
path. Beside each time stands the error of the covariance at time 0, in units of the root mean
square error that the number of particles alone makes: an exact sampler has 1 on average.
"""

from functools import partial

import numpy as np
from timing import cpu_seconds

from diffusion import LinearSDE, sample_reverse

STEPS = 100
SIZES = ((2, 100_000), (16, 10_000), (64, 10_000))  # states and particles


def random_process(n, rng):
    """Return a process with rotation, drift and a covariance that is not stationary."""
    F = rng.standard_normal((n, n)) / np.sqrt(n)
    F -= (np.linalg.eigvals(F).real.max() + 0.5) * np.eye(n)
    L = rng.standard_normal((n, n)) / np.sqrt(n)
    return LinearSDE(F, np.eye(n), m0=np.ones(n), P0=L @ L.T + 0.1 * np.eye(n))


def peers(sde, x_T, times):
    """Return the same sampler as loops over given kernels, in torch and in numpy."""
    import torch

    torch.set_num_threads(1)
    kernels = sde.reverse_kernels(times[::-1])[::-1]

    def in_torch(dtype):
        parts = [[torch.tensor(np.array(M), dtype=dtype) for M in kernel] for kernel in kernels]
        start = torch.tensor(x_T, dtype=dtype)

        def run():
            path = torch.empty((len(times), *start.shape), dtype=dtype)
            path[0] = start
            for i, (J, offset, factor) in enumerate(parts):
                noise = torch.randn(len(start), factor.shape[1], dtype=dtype)
                path[i + 1] = path[i] @ J.T + offset + noise @ factor.T
            return path.numpy()

        return run

    def in_numpy():
        rng = np.random.default_rng(1)
        path = np.empty((len(times), *x_T.shape))
        path[0] = x_T
        for i, (J, offset, factor) in enumerate(kernels):
            noise = rng.standard_normal((len(x_T), factor.shape[1]))
            path[i + 1] = path[i] @ J.T + offset + noise @ factor.T
        return path

    return in_torch(torch.float32), in_torch(torch.float64), in_numpy


def relative_error(path, sde):
    """Return the error of the final covariance in units of its expected sampling error."""
    x, P = path[-1] - sde.m0, sde.P0
    error = np.linalg.norm(x.T @ x / len(x) - P)
    return error / np.sqrt((np.trace(P) ** 2 + np.linalg.norm(P) ** 2) / len(x))


def main():
    """Print one table for each number of states."""
    print(f"{STEPS} steps; milliseconds a step, CPU, one thread")
    for n, particles in SIZES:
        rng = np.random.default_rng(n)
        sde = random_process(n, rng)
        mean, P = sde.marginal(1.0)
        x_T = mean + rng.standard_normal((particles, n)) @ np.linalg.cholesky(P).T
        fine, coarse = np.linspace(1.0, 0.0, STEPS + 1), np.linspace(1.0, 0.0, STEPS // 10 + 1)
        single, double, plain = peers(sde, x_T, fine)
        default = partial(sample_reverse, sde, x_T, rng=1)
        calls = {
            "here, default": partial(default, fine),
            "here, float32": partial(default, fine, dtype=np.float32),
            "here, every tenth time": partial(default, coarse),
            "torch float32": single,
            "torch float64": double,
            "numpy": plain,
        }
        seconds = cpu_seconds(calls, repeats=7)
        title = f"{n} states, {particles} particles"
        print(f"\n{title:27} {'ms/step':>8} {'torch float32 =':>16} {'error/noise':>12}")
        for name, call in calls.items():
            ratio = seconds["torch float32"] / seconds[name]
            print(f"{name:27} {seconds[name] / STEPS * 1e3:8.3f} {ratio:15.2f}x", end="")
            print(f" {relative_error(call(), sde):12.2f}")
        gain = seconds["here, default"] / seconds["here, every tenth time"]
        print(f"composed exact steps on a 10:1 coarser grid: {gain:.1f}x cheaper (goal 8x)")


if __name__ == "__main__":
    main()
