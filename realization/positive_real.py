r"""The positive real lemma: when covariance data belong to a process, and nearby data that do.

The covariances :math:`(A, C, N, \Lambda_0)` are those of a stationary process if and only if the
spectral density :math:`\Phi` is positive semidefinite at every frequency, if and only if some
:math:`P = P^\top` makes the Kalman-Yakubovich-Popov matrix :math:`M(P)` positive semidefinite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._linalg import symmetrize
from ._transfer import transfer_values
from ._validation import as_choice, as_instance, as_real, as_symmetric
from .models import CovarianceModel
from .riccati import RiccatiData, to_discrete_time

__all__ = [
    "PositiveRealRepair",
    "PositiveRealTest",
    "is_positive_real",
    "kyp_matrix",
    "make_positive_real",
]


@dataclass(frozen=True, slots=True)
class PositiveRealTest:
    """What `is_positive_real` found.

    Parameters
    ----------
    ok : bool
        Whether the data are those of a process.
    margin : float
        Minimum over frequency of the smallest eigenvalue of the spectral density.
    frequency : float
        Where it is reached, in radians per unit of `dt`; ``inf`` is possible in continuous
        time.
    """

    ok: bool
    margin: float
    frequency: float

    def __repr__(self) -> str:
        where = f"margin={self.margin:.3g}, frequency={self.frequency:.4g}"
        return f"PositiveRealTest(ok={self.ok}, {where})"


@dataclass(frozen=True, slots=True)
class PositiveRealRepair:
    r"""What `make_positive_real` changed.

    Parameters
    ----------
    method : str
        The method that was asked for.
    lift : float
        What was added to the diagonal of :math:`\Lambda_0`; 0.0 if nothing.
    scale : float
        What N was multiplied by; 1.0 if nothing.
    margin : float
        Minimum over frequency of the smallest eigenvalue of the spectral density, before.
    frequency : float
        Where it was reached, in radians per unit of `dt`.
    """

    method: str
    lift: float
    scale: float
    margin: float
    frequency: float

    def __repr__(self) -> str:
        change = f"{self.method}, lift={self.lift:.3g}, scale={self.scale:.4g}"
        where = f"margin={self.margin:.3g}, frequency={self.frequency:.4g}"
        return f"PositiveRealRepair({change}, {where})"


def kyp_matrix(cov: CovarianceModel, P: ArrayLike) -> np.ndarray:
    r"""Return the Kalman-Yakubovich-Popov matrix of covariance data at a state covariance.

    In discrete and in continuous time:

    .. math::

        M(P) = \begin{bmatrix} P - A P A^\top & N - A P C^\top \\
        (\cdot)^\top & \Lambda_0 - C P C^\top \end{bmatrix}, \qquad
        M(P) = \begin{bmatrix} -A P - P A^\top & N - P C^\top \\
        (\cdot)^\top & R \end{bmatrix}.

    P is the state covariance of a model of the process if and only if :math:`M(P) \succeq 0`; then
    :math:`M(P)` is the covariance of that model's noise :math:`(w_t, v_t)`.

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
    model needs; the smallest rank, p, is reached where P solves the Riccati equation.

    References
    ----------
    Faurre (1976); Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> P = realization.minimal_covariance(cov)
    >>> bool(abs(np.linalg.det(realization.kyp_matrix(cov, P))) < 1e-14)
    True
    """
    as_instance("cov", cov, (CovarianceModel,))
    P = as_symmetric("P", P, cov.n_states, because=f"to match `A` {cov.A.shape}")
    A, C, N, Lambda0 = cov.A, cov.C, cov.N, cov.Lambda0
    AP = A @ P
    if cov.dt == 0.0:
        state, cross, output = -AP - AP.conj().T, N - P @ C.conj().T, Lambda0
    else:
        PCt = P @ C.conj().T
        state, cross, output = P - AP @ A.conj().T, N - A @ PCt, Lambda0 - C @ PCt
    return symmetrize(np.block([[state, cross], [cross.conj().T, output]]))


def is_positive_real(cov: CovarianceModel, *, tol: float = 1e-10) -> PositiveRealTest:
    r"""Test whether covariance data are those of a stationary process.

    They are exactly when the spectral density is positive semidefinite at every frequency:

    .. math::

        \Phi(z) = \Phi_+(z) + \Phi_+(z)^* \succeq 0, \qquad
        \Phi_+(z) = \tfrac12 \Lambda_0 + C (z I - A)^{-1} N .

    No grid is used: a level :math:`\gamma` is crossed by an eigenvalue of :math:`\Phi` exactly
    where a matrix pencil made of :math:`(A, C, N, \Lambda_0 - \gamma I)` has an eigenvalue on the
    unit circle, and the level is lowered until there is no crossing.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data with a stable A (the record's own requirement).
    tol : float, default 1e-10
        A margin above ``-tol`` times the size of the terms of :math:`\Phi` counts as zero.

    Returns
    -------
    PositiveRealTest
        With `ok`, `margin` (the minimum over frequency of the smallest eigenvalue of
        :math:`\Phi`) and `frequency` (where it is reached).

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    ValueError
        If `tol` is negative.

    See Also
    --------
    make_positive_real : Repair data that fail.

    Notes
    -----
    Each level costs the eigenvalues of a pencil of size 2n + p, O((2n + p)^3); convergence is
    quadratic, and a handful of levels suffice. The margin is as accurate as :math:`\Phi` can be
    evaluated. Data are strictly positive real if the margin is positive; at margin zero the zeros
    of the spectral factors reach the stability boundary and models of the process lose half their
    digits. In continuous time the pencil is that of the Cayley transform of the data.

    References
    ----------
    Faurre (1976); Lindquist and Picci (2015) for the lemma; Boyd and Balakrishnan (1990) for the
    level-set iteration.

    Examples
    --------
    The covariances 2, 1 at lags 0 and 1 touch zero at the frequency pi: 2 + 2 cos(pi) = 0.

    >>> import numpy as np
    >>> import realization
    >>> test = realization.is_positive_real(
    ...     realization.CovarianceModel([[0.0]], [[1.0]], [[1.0]], [[2.0]])
    ... )
    >>> test.ok and abs(test.margin) < 1e-15 and bool(np.isclose(test.frequency, np.pi))
    True
    """
    as_instance("cov", cov, (CovarianceModel,))
    if as_real("tol", tol) < 0:
        raise ValueError(f"`tol` must be at least 0; got {tol:g}.")
    margin, frequency, size = _smallest_density(cov)
    return PositiveRealTest(bool(margin >= -tol * size), margin, frequency)


def make_positive_real(
    cov: CovarianceModel,
    *,
    method: Literal["white_noise", "shrink"] = "white_noise",
    margin: float = 0.0,
) -> tuple[CovarianceModel, PositiveRealRepair]:
    r"""Change covariance data as little as a method allows, until they are those of a process.

    Covariances estimated from few samples often belong to no process. With
    :math:`\mu = \min_\omega \lambda_{\min} \Phi < 0`,

    - ``"white_noise"`` adds white noise, :math:`\Lambda_0 \leftarrow \Lambda_0 + \delta I` with
      :math:`\delta = -\mu`: the covariances at nonzero lags are kept;
    - ``"shrink"`` shrinks them, :math:`N \leftarrow \alpha N`, so that
      :math:`\Phi \leftarrow (1 - \alpha) \Lambda_0 + \alpha \Phi`: the variance is kept.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data with a stable A.
    method : {"white_noise", "shrink"}
        What may change.
    margin : float, default 0.0
        What the repaired :math:`\Phi` must stay above, relative to :math:`\Lambda_0`: its largest
        eigenvalue times the identity (``"white_noise"``), or the matrix (``"shrink"``). Something
        like 1e-3 is wise if a model is computed next: at 0 the zeros lie on the stability boundary.

    Returns
    -------
    cov : CovarianceModel
        The repaired data; `cov` itself if it needed no repair.
    repair : PositiveRealRepair
        What was changed, by how much, and why.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    ValueError
        If `method` is unknown, `margin` is outside [0, 1), or ``"shrink"`` meets a singular
        :math:`\Lambda_0`.

    See Also
    --------
    is_positive_real : The test.

    Notes
    -----
    Costs as much as the test. Both repairs leave A and C, hence the poles, as they are.

    References
    ----------
    Van Overschee and De Moor (1996) discuss why identified covariance data may fail.

    Examples
    --------
    >>> import realization
    >>> bad = realization.CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]])
    >>> good, repair = realization.make_positive_real(bad)
    >>> abs(repair.lift - 0.4) < 1e-14 and realization.is_positive_real(good).ok
    True
    """
    as_instance("cov", cov, (CovarianceModel,))
    as_choice("method", method, ("white_noise", "shrink"))
    if margin != 0.0:
        margin = as_real("margin", margin, above=0.0, below=1.0)
    found, frequency, _ = _smallest_density(cov)
    repair = PositiveRealRepair(method, 0.0, 1.0, found, frequency)
    p = cov.n_outputs
    if method == "white_noise":
        lift = margin * float(np.linalg.norm(cov.Lambda0, 2)) - found
        if lift <= 0.0:
            return cov, repair
        return replace(cov, Lambda0=cov.Lambda0 + lift * np.eye(p)), replace(repair, lift=lift)
    try:
        factor = np.linalg.cholesky(cov.Lambda0)
    except np.linalg.LinAlgError:
        raise ValueError(
            "`Lambda0` must be positive definite for method 'shrink': no multiple of N is small "
            "enough otherwise. Use method='white_noise'."
        ) from None
    # in the units in which Lambda0 is the identity
    C = scipy.linalg.solve_triangular(factor, cov.C, lower=True)
    N = scipy.linalg.solve_triangular(factor, cov.N.T, lower=True).T
    lowest, _, _ = _smallest_density(CovarianceModel(cov.A, C, N, np.eye(p), dt=cov.dt))
    if lowest >= margin:
        return cov, repair
    scale = (1.0 - margin) / (1.0 - lowest)
    return replace(cov, N=scale * cov.N), replace(repair, scale=scale)


def _smallest_density(cov: CovarianceModel) -> tuple[float, float, float]:
    """Return min over frequency of the smallest eigenvalue of Phi, where, and the terms' size."""
    A, C, N, Lambda0, dt = cov.A, cov.C, cov.N, cov.Lambda0, cov.dt
    if any(np.iscomplexobj(matrix) for matrix in (A, C, N, Lambda0)):
        raise TypeError("`cov` must be real; got complex matrices.")
    size = float(np.linalg.norm(Lambda0, 2))
    if cov.n_states == 0:
        return float(np.linalg.eigvalsh(Lambda0)[0]), 0.0, size
    pencil, g = (A, C, N, Lambda0), 0.0
    if dt == 0.0:
        discrete, g = to_discrete_time(RiccatiData(A, C, np.zeros_like(A), Lambda0, N, 0.0))
        pencil = (discrete.A, discrete.C, discrete.S, discrete.R)
    angles = np.concatenate([[0.0, np.pi], np.abs(np.angle(np.linalg.eigvals(pencil[0])))])
    level, angle = np.inf, 0.0
    for _ in range(50):
        points = np.exp(1j * angles) if dt > 0.0 else 1j * g * np.tan(angles / 2)
        half = transfer_values(A, N, C, np.zeros_like(Lambda0), points)
        values = np.linalg.eigvalsh(Lambda0 + half + np.swapaxes(half.conj(), 1, 2))[:, 0]
        lowest = int(np.argmin(values))
        gain = level - values[lowest]
        if gain > 0.0:
            level, angle = float(values[lowest]), float(angles[lowest])
            size = float(np.linalg.norm(Lambda0, 2) + 2 * np.linalg.norm(half[lowest], 2))
        if gain <= 4 * np.finfo(float).eps * size:
            break
        angles = _crossings(*pencil[:3], pencil[3] - level * np.eye(cov.n_outputs))
    if dt > 0.0:
        return level, angle / dt, size
    return level, (np.inf if angle == np.pi else g * float(np.tan(angle / 2))), size


def _crossings(A: np.ndarray, C: np.ndarray, N: np.ndarray, Lambda0: np.ndarray) -> np.ndarray:
    """Return angles in [0, pi] that bracket every sign change of an eigenvalue of Phi.

    They are the angles of the zeros of Phi, the finite eigenvalues of a pencil, and the midpoints
    between neighbours. Zeros off the unit circle do no harm: they only add points to look at.
    """
    n, p = A.shape[0], C.shape[0]
    identity, zero = np.eye(n), np.zeros((n, n))
    pencil = np.block([[A, zero, N], [zero, -identity, C.T], [C, np.zeros((p, n)), Lambda0]])
    mass = scipy.linalg.block_diag(identity, -A.T, np.zeros((p, p)))
    mass[2 * n :, n : 2 * n] = -N.T
    alpha, beta = scipy.linalg.eigvals(pencil, mass, homogeneous_eigvals=True)
    finite = (np.abs(alpha) > 0) & (np.abs(beta) > 0)
    zeros = np.abs(np.angle(alpha[finite] * np.conj(beta[finite])))
    edges = np.unique(np.concatenate([[0.0, np.pi], zeros]))
    return np.concatenate([edges, (edges[1:] + edges[:-1]) / 2])
