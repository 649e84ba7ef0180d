r"""The positive real lemma: when covariance data belong to a process, and the nearest data that do.

The covariances :math:`(A, C, N, \Lambda_0)` are those of a stationary process if and only if the
spectral density :math:`\Phi` is positive semidefinite at every frequency, if and only if some
:math:`P = P^\top` makes the Kalman-Yakubovich-Popov matrix :math:`M(P)` positive semidefinite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import symmetrize
from ._validation import as_instance, as_symmetric
from .models import CovarianceModel

__all__ = ["kyp_matrix"]


def kyp_matrix(cov: CovarianceModel, P: ArrayLike) -> np.ndarray:
    r"""Return the Kalman-Yakubovich-Popov matrix of covariance data at a state covariance.

    Discrete and continuous time:

    .. math::

        M(P) = \begin{bmatrix} P - A P A^\top & N - A P C^\top \\
        (\cdot)^\top & \Lambda_0 - C P C^\top \end{bmatrix}, \qquad
        M(P) = \begin{bmatrix} -A P - P A^\top & N - P C^\top \\
        (\cdot)^\top & R \end{bmatrix}.

    P is the state covariance of some model of the process if and only if :math:`M(P) \succeq 0`;
    then :math:`M(P)` is the covariance of that model's noise :math:`(w_t, v_t)`.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.
    P : (n, n) array_like
        Symmetric matrix.

    Returns
    -------
    (n + p, n + p) ndarray
        The symmetric matrix :math:`M(P)`.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel.
    ValueError
        If `P` has another shape or is not symmetric.

    See Also
    --------
    is_positive_real : The test that needs no P.
    to_gaussian : The model that belongs to a P.

    Notes
    -----
    Costs O(n^2 (n + p)). The set of all P with :math:`M(P) \succeq 0` is closed and convex, and
    bounded when (A, C, N) is minimal. The rank of :math:`M(P)` is the number of white noises the
    model needs; it is p exactly when P solves the Riccati equation.

    References
    ----------
    Faurre (1976); Lindquist and Picci (2015), the chapter on the positive real lemma.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> P = realization.minimal_covariance(cov)
    >>> bool(np.linalg.matrix_rank(realization.kyp_matrix(cov, P), tol=1e-12) == 1)
    True
    """
    as_instance("cov", cov, (CovarianceModel,))
    P = as_symmetric("P", P, cov.n_states, because=f"to match `A` {cov.A.shape}")
    A, C, N, Lambda0 = cov.A, cov.C, cov.N, cov.Lambda0
    AP = A @ P
    if cov.dt == 0.0:
        state, cross, output = -AP - AP.T, N - P @ C.T, Lambda0
    else:
        state, cross, output = P - AP @ A.T, N - AP @ C.T, Lambda0 - C @ P @ C.T
    return symmetrize(np.block([[state, cross], [cross.T, output]]))
