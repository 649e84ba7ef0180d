"""Random stationary processes for tests, given by their innovations model."""

from __future__ import annotations

import numpy as np
from systems import random_dynamics

from realization import InnovationSSM


def random_process(
    rng: np.random.Generator,
    n: int,
    p: int,
    m: int = 0,
    *,
    dt: float = 1.0,
    largest: float = 0.9,
    margin: float = 0.05,
) -> InnovationSSM:
    """Return an innovations model with poles and zeros well inside the stability region.

    Discrete time: pole and zero moduli are at most `largest` and 1 - `margin`; continuous time:
    real parts are at most `largest` - 1 and -`margin`.
    """
    A = random_dynamics(rng, n, largest=largest)
    if dt == 0.0:
        A = A - np.eye(n)
    C = rng.standard_normal((p, n))
    K = rng.standard_normal((n, p))
    while n and _distance(A - K @ C, dt) < margin:
        K = 0.8 * K
    F = np.linalg.qr(rng.standard_normal((p, p)))[0] * rng.uniform(0.5, 2.0, p)
    return InnovationSSM(
        A,
        C,
        K,
        F @ F.T,
        B=rng.standard_normal((n, m)),
        D=rng.standard_normal((p, m)),
        x0=rng.standard_normal(n),
        dt=dt,
    )


def _distance(A: np.ndarray, dt: float) -> float:
    """Return how far the eigenvalues lie from the stability boundary."""
    eigenvalues = np.linalg.eigvals(A)
    return float(-eigenvalues.real.max() if dt == 0.0 else 1 - np.abs(eigenvalues).max())
