"""Random predictors, linear and bilinear, as the refinement sees them."""

from __future__ import annotations

import numpy as np

from identification.local_coordinates import System


def random_system(rng: np.random.Generator, n: int, m: int, p: int, letters: int) -> System:
    """Return a predictor with a stable A and small K and N; `letters` is the number of N."""
    A = rng.standard_normal((n, n))
    A *= 0.8 / max(np.abs(np.linalg.eigvals(A)).max(initial=0.0), 1.0)
    return System(
        A,
        0.1 * rng.standard_normal((letters, n, n)),
        rng.standard_normal((n, m)),
        rng.standard_normal((p, n)),
        rng.standard_normal((p, m)),
        0.1 * rng.standard_normal((n, p)),
    )
