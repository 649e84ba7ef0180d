r"""The set of all models of one process, and its distinguished elements.

P is the covariance of the state of a model of the process; `minimal_covariance` is
:math:`P_-`, `maximal_covariance` is :math:`P_+`.
"""

from __future__ import annotations

import numpy as np

from ._validation import as_instance
from .models import CovarianceModel
from .riccati import solve_covariance_riccati

__all__ = ["innovation_data", "minimal_covariance"]


def innovation_data(cov: CovarianceModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the minimal covariance P, the gain K and the innovation covariance Re."""
    return solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=cov.dt)


def minimal_covariance(cov: CovarianceModel) -> np.ndarray:
    """Return the smallest state covariance of all models of a process.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.

    Returns
    -------
    (n, n) ndarray
        The minimal covariance.
    """
    as_instance("cov", cov, (CovarianceModel,))
    return innovation_data(cov)[0]
