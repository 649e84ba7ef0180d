"""Arrays that agree to a part of their largest entry."""

from __future__ import annotations

import numpy as np


def assert_close(
    found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-13, *, scale: float = 0.0
) -> None:
    """Assert equal shapes, and a largest difference within `tolerance` of the largest entry.

    What may be zero is compared with `scale`, if that is larger.
    """
    assert np.shape(found) == np.shape(expected)
    scale = np.abs(expected).max(initial=scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
