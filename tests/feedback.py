"""Records under feedback, for tests and benchmarks."""

from __future__ import annotations

import numpy as np

from realization import InnovationSSM


def feedback_record(
    plant: InnovationSSM,
    gain: float,
    T: int,
    rng: np.random.Generator,
    *,
    delay: int = 0,
    reference: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate u(t) = reference(t) - gain y(t - delay), sample by sample, one input and output.

    The plant has no feedthrough. Returns y (T, 1) and u (T, 1).
    """
    x = np.zeros(plant.n_states)
    r = reference * rng.standard_normal(T)
    e = rng.standard_normal(T) * np.sqrt(plant.Re.item())
    y, u = np.zeros(T), np.empty(T)
    for t in range(T):
        y[t] = (plant.C @ x).item() + e[t]
        u[t] = r[t] - gain * (y[t - delay] if t >= delay else 0.0)
        x = plant.A @ x + plant.B[:, 0] * u[t] + plant.K[:, 0] * e[t]
    return y[:, np.newaxis], u[:, np.newaxis]
