"""Random systems for tests: known order, poles away from each other's and the boundary."""

from __future__ import annotations

import numpy as np
import scipy

from realization import InnovationSSM, LinearSSM


def random_dynamics(
    rng: np.random.Generator, n: int, *, smallest: float = 0.3, largest: float = 0.95
) -> np.ndarray:
    """Return a random (n, n) matrix with eigenvalue moduli in [smallest, largest]."""
    blocks = []
    size = 0
    while size < n:
        radius = rng.uniform(smallest, largest)
        if n - size >= 2 and rng.random() < 0.6:
            angle = rng.uniform(0.2, 2.8)
            c, s = radius * np.cos(angle), radius * np.sin(angle)
            blocks.append(np.array([[c, s], [-s, c]]))
        else:
            blocks.append(np.array([[radius * rng.choice([-1.0, 1.0])]]))
        size += blocks[-1].shape[0]
    T = scipy.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.5, 2.0, n)
    return T @ scipy.linalg.block_diag(*blocks) @ np.linalg.inv(T) if n else np.zeros((0, 0))


def random_linear(rng: np.random.Generator, n: int, m: int, p: int, **kwargs: float) -> LinearSSM:
    """Return a random stable LinearSSM."""
    return LinearSSM(
        random_dynamics(rng, n, **kwargs),
        rng.standard_normal((n, m)),
        rng.standard_normal((p, n)),
        rng.standard_normal((p, m)),
    )


def random_innovation(
    rng: np.random.Generator, n: int, m: int, p: int, *, noise: float = 1.0
) -> InnovationSSM:
    """Return a random stable InnovationSSM whose predictor is stable too."""
    A = random_dynamics(rng, n)
    C = rng.standard_normal((p, n))
    K = rng.standard_normal((n, p)) / max(n, 1)
    for _ in range(60):
        if n == 0 or np.abs(np.linalg.eigvals(A - K @ C)).max() < 0.95:
            break
        K = 0.8 * K
    F = np.eye(p) + 0.3 * rng.standard_normal((p, p))
    return InnovationSSM(
        A,
        C,
        K,
        noise**2 * F @ F.T,
        B=rng.standard_normal((n, m)),
        D=rng.standard_normal((p, m)),
    )
