r"""The set of all models of one process: its least and greatest elements, and the square ones.

All models of a process with the same (A, C, N) differ only in the covariance P of their state.
The set of all P is convex and has a least element :math:`P_-`, the covariance of the state that a
predictor can compute from the past, and a greatest element :math:`P_+`.

::

    K, Re     gain and innovation covariance at P_minus
    closed    A - K C; its eigenvalues are the zeros of the minimum-phase spectral factor
    basis     U, orthonormal basis of an invariant subspace of `closed`: the zeros to be flipped
    root      V with P - P_minus = V V'
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._linalg import symmetrize
from ._validation import as_array, as_instance
from .exceptions import AccuracyError, NotMinimalError, NotPositiveRealError, NumericalWarning
from .lyapunov import lyapunov_factor
from .models import CovarianceModel
from .positive_real import is_positive_real
from .riccati import solve_covariance_riccati

__all__ = [
    "FactorData",
    "boundary_zeros",
    "flip_all",
    "flip_listed",
    "innovation_data",
    "maximal_covariance",
    "minimal_covariance",
    "realization_family",
]

_Choice = Callable[[np.ndarray], np.ndarray]  # zeros -> which of them

_CLUSTER = 1e-5  # zeros closer than this, relatively, cannot be flipped apart
_BOUNDARY = 1e-7  # zeros this near the stability boundary are on it


def minimal_covariance(cov: CovarianceModel) -> np.ndarray:
    r"""Return the smallest state covariance of all models of a process.

    The stabilising solution of

    .. math:: P = A P A^\top + (N - A P C^\top)(\Lambda_0 - C P C^\top)^{-1}(N - A P C^\top)^\top,

    or in continuous time of
    :math:`A P + P A^\top + (N - P C^\top) R^{-1} (N - P C^\top)^\top = 0`. It belongs to the
    innovations model: its state is the best prediction of any other model's state from the past.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process.

    Returns
    -------
    (n, n) ndarray
        :math:`P_-`, symmetric positive semidefinite, singular where (A, N) is not reachable.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    NotPositiveRealError
        If the data are those of no process.
    AccuracyError
        If the spectral density is singular at every frequency: outputs are linearly dependent, or
        exactly predictable.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero: fewer than nine digits are determined.

    See Also
    --------
    maximal_covariance : The other end of the set.
    innovation_form : The model that belongs to it.

    Notes
    -----
    Three independent solvers, judged by their residual, O(n^3); see ``realization/riccati.py``.

    References
    ----------
    Faurre (1976); Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> P = realization.minimal_covariance(cov)
    >>> N, Lambda0 = cov.N - 0.5 * P, cov.Lambda0 - P
    >>> bool(np.isclose(P, 0.25 * P + N**2 / Lambda0).all())
    True
    """
    return innovation_data(cov)[0]


def maximal_covariance(cov: CovarianceModel) -> np.ndarray:
    r"""Return the largest state covariance of all models of a process.

    With the gain K, the innovation covariance :math:`R_e` and :math:`\Gamma = A - K C` of the
    innovations model,

    .. math::

        P_+ = P_- + Y^{-1}, \qquad Y = \Gamma^\top Y \Gamma + C^\top R_e^{-1} C,

    (continuous time: :math:`\Gamma^\top Y + Y \Gamma + C^\top R^{-1} C = 0`). Y is the information
    that the future outputs hold about the state. :math:`P_+^{-1}` is the minimal covariance of the
    process with time reversed.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process, with (C, A) observable.

    Returns
    -------
    (n, n) ndarray
        :math:`P_+`, symmetric.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    ValueError
        If `C` is so small that state covariances overflow.
    NotPositiveRealError
        If the data are those of no process.
    NotMinimalError
        If (C, A) is not observable: the set of state covariances is then unbounded.
    AccuracyError
        If the spectral density is singular at every frequency.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero. In the directions that belong to zeros on
        the stability boundary, :math:`P_+ = P_-`.

    See Also
    --------
    minimal_covariance : The other end of the set.

    Notes
    -----
    Costs one Riccati and one Lyapunov equation, O(n^3). No second Riccati equation is solved, so a
    zero at the origin (:math:`\Gamma` singular), where the Riccati equation is undefined at
    :math:`P_+`, needs no care.

    References
    ----------
    Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> reversed_in_time = realization.CovarianceModel(cov.A.T, cov.N.T, cov.C.T, cov.Lambda0)
    >>> P = realization.maximal_covariance(cov)
    >>> bool(np.allclose(P @ realization.minimal_covariance(reversed_in_time), 1.0))
    True
    """
    return flip_all(cov).P


def realization_family(cov: CovarianceModel, flip: ArrayLike) -> np.ndarray:
    r"""Return the state covariance of the square model with chosen zeros flipped.

    The models that need only p white noises belong to the solutions of the Riccati equation, and
    these to the choices of zeros: flipping moves the zeros :math:`\lambda` in `flip` of the
    minimum-phase spectral factor to :math:`1/\lambda` (continuous time: :math:`-\lambda`). With U a
    basis of the invariant subspace of :math:`\Gamma = A - K C` for those zeros,

    .. math::

        P = P_- + U Y_1^{-1} U^\top, \qquad
        Y_1 = \Gamma_1^\top Y_1 \Gamma_1 + C_1^\top R_e^{-1} C_1, \quad
        \Gamma U = U \Gamma_1,\; C_1 = C U .

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process, with (C, A) observable.
    flip : array_like
        Zeros of the minimum-phase factor, by value (to 1e-5, relative), closed under conjugation.
        Zeros closer to each other than 1e-5 are flipped together. Empty: :math:`P_-`; all:
        :math:`P_+`.

    Returns
    -------
    (n, n) ndarray
        Symmetric P with :math:`P_- \preceq P \preceq P_+`.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    ValueError
        If `flip` holds a number that is no zero, a complex zero without its conjugate, or a zero
        on the stability boundary.
    NotPositiveRealError
        If the data are those of no process.
    NotMinimalError
        If the outputs do not see a flipped direction.
    AccuracyError
        If the chosen zeros cannot be separated from the others.

    Warns
    -----
    NumericalWarning
        If the invariant subspace of the chosen zeros is determined to fewer than nine digits.

    See Also
    --------
    spectral_factor : The factor that belongs to P, with ``kind="flipped"``.
    transmission_zeros : The zeros, from ``spectral_factor(cov)``.

    Notes
    -----
    Costs one Riccati equation, one ordered Schur form and one Lyapunov equation, O(n^3). With k
    distinct real zeros and conjugate pairs there are :math:`2^k` such models.

    References
    ----------
    Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.InnovationSSM(
    ...     np.diag([0.9, -0.5]), [[1.0, 1.0]], [[0.5], [0.3]], [[1.0]]
    ... )
    >>> cov = realization.to_covariance(model)
    >>> zeros = np.linalg.eigvals(model.A - model.K @ model.C)
    >>> P = realization.realization_family(cov, zeros[:1])
    >>> noise = realization.kyp_matrix(cov, P)
    >>> bool(np.linalg.matrix_rank(noise, tol=1e-10) == 1)
    True
    """
    return flip_listed(cov, flip).P


class FactorData(NamedTuple):
    """A square model of the process: state covariance P and noise gains B (n, p), D (p, p)."""

    P: np.ndarray
    B: np.ndarray
    D: np.ndarray


def innovation_data(cov: CovarianceModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the minimal covariance, the gain and the innovation covariance of a process.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.

    Returns
    -------
    P : (n, n) ndarray
        Minimal covariance.
    K : (n, p) ndarray
        Gain.
    Re : (p, p) ndarray
        Innovation covariance.
    """
    as_instance("cov", cov, (CovarianceModel,))
    try:
        return solve_covariance_riccati(cov.A, cov.C, cov.N, cov.Lambda0, dt=cov.dt)
    except AccuracyError:
        test = is_positive_real(cov)
        if test.ok:
            raise
        raise NotPositiveRealError(
            "These covariances are not those of any process: the smallest eigenvalue of the "
            f"spectral density falls to {test.margin:.3g} at {test.frequency:.6g} rad per unit of "
            "time. Call make_positive_real(cov) first.",
            margin=test.margin,
            frequency=test.frequency,
        ) from None


def boundary_zeros(cov: CovarianceModel, zeros: np.ndarray) -> np.ndarray:
    """Return which zeros lie on the stability boundary, as far as can be told.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.
    zeros : (n,) ndarray
        Eigenvalues of A - K C.

    Returns
    -------
    (n,) ndarray of bool
        True on the boundary.
    """
    if cov.dt == 0.0:
        return -np.real(zeros) <= _BOUNDARY * np.linalg.norm(cov.A)
    return 1.0 - np.abs(zeros) <= _BOUNDARY


def flip_all(cov: CovarianceModel) -> FactorData:
    """Return the maximum-phase model: every zero flipped that is not on the boundary.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.

    Returns
    -------
    FactorData
        With the maximal covariance.
    """
    P, K, Re = innovation_data(cov)
    return _flip(cov, P, K, Re, lambda zeros: ~boundary_zeros(cov, zeros))


def flip_listed(cov: CovarianceModel, flip: ArrayLike) -> FactorData:
    """Return the square model with the listed zeros flipped.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data.
    flip : array_like
        Zeros by value.

    Returns
    -------
    FactorData
        The model.
    """
    P, K, Re = innovation_data(cov)
    wanted = as_array("flip", flip).ravel()
    return _flip(cov, P, K, Re, lambda zeros: _chosen(cov, zeros, wanted))


def _chosen(cov: CovarianceModel, zeros: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return which zeros to flip, clusters as a whole."""

    def near(value: complex) -> np.ndarray:
        floor = 1e-10 * np.linalg.norm(cov.A) if cov.dt == 0.0 else 1.0
        return np.abs(zeros - value) <= _CLUSTER * np.maximum(np.abs(zeros), floor)

    chosen = np.zeros(zeros.size, dtype=bool)
    for value in wanted:
        listed = ", ".join(f"{zero:.6g}" for zero in zeros)
        if not (hit := near(value)).any():
            raise ValueError(
                f"`flip` must hold zeros of the minimum-phase factor; {value:.6g} is none of them: "
                f"[{listed}]."
            )
        if not any(near(other.conj())[hit].any() for other in wanted):
            raise ValueError(
                f"`flip` must be closed under conjugation; {value:.6g} is there without its "
                "conjugate."
            )
        chosen |= hit
    while (grown := chosen | np.any([near(z) for z in zeros[chosen]], axis=0)).sum() > chosen.sum():
        chosen = grown
    if (chosen & boundary_zeros(cov, zeros)).any():
        raise ValueError(
            "`flip` holds a zero on the stability boundary: it is its own mirror image. Leave it "
            "out."
        )
    return chosen


def _flip(
    cov: CovarianceModel, P: np.ndarray, K: np.ndarray, Re: np.ndarray, choose: _Choice
) -> FactorData:
    """Return the square model with the zeros flipped for which `choose` returns True.

    The minimum-phase factor times an all-pass factor: in coordinates with Y = I the columns of
    [Gamma; Re^(-1/2) C] are orthonormal, and their orthogonal complement holds the gains of the
    all-pass factor. No difference is formed, so zeros at the origin do no harm.
    """
    A, C, dt = cov.A, cov.C, cov.dt
    half = lower_root(Re)
    if cov.n_states == 0:
        return FactorData(P, K @ half, half)
    closed = A - K @ C
    basis, block = _invariant_subspace(closed, choose)
    k = block.shape[0]
    if k == 0:
        return FactorData(P, K @ half, half)
    seen = scipy.linalg.solve_triangular(half, C @ basis, lower=True)
    information = lyapunov_factor(block.T, seen.T, dt=dt)  # Y = F F', F upper triangular
    sizes = np.linalg.svd(information, compute_uv=False)
    smallest = float(sizes[-1] / (sizes[0] or 1.0))
    if smallest <= 1e-13:
        raise NotMinimalError(
            "The state covariances of this process are unbounded: (C, A) is not observable "
            f"(smallest singular value {smallest:.1e}, relative). Reduce the model first, for "
            "example with stochastic_truncate.",
            singular_value=smallest,
        )
    root = scipy.linalg.solve_triangular(information, basis.T).T
    with np.errstate(over="ignore", invalid="ignore"):
        flipped = symmetrize(P + root @ root.T)
    if not np.isfinite(flipped).all():
        raise ValueError(
            f"`C` is so small (largest entry {np.abs(C).max():.1e}) that state covariances of this "
            "process overflow. Express the state in other units."
        )
    # C in the coordinates with Y = I
    outward = scipy.linalg.solve_triangular(information, seen.T).T
    if dt == 0.0:
        return FactorData(flipped, K @ half - root @ outward.T, half)
    inward = scipy.linalg.solve_triangular(information, (information.T @ block).T).T
    complement = scipy.linalg.qr(np.vstack([inward, outward]))[0][:, k:]
    B = root @ complement[:k] + K @ (half @ complement[k:])
    return FactorData(flipped, *_lower_triangular(B, half @ complement[k:]))


def _invariant_subspace(A: np.ndarray, choose: _Choice) -> tuple[np.ndarray, np.ndarray]:
    """Return an orthonormal basis U and A_1 with A U = U A_1, for the chosen eigenvalues."""
    n = A.shape[0]
    T, Z = scipy.linalg.schur(A, output="real")
    reorder = scipy.linalg.lapack.dtrsen
    real, imaginary = reorder(np.zeros(n, dtype=int), T, Z, job=b"N")[2:4]
    chosen = choose(real + 1j * imaginary)
    k = int(chosen.sum())
    if k in (0, n):
        return (np.eye(n), A) if k else (np.zeros((n, 0)), np.zeros((0, 0)))
    work = 2 * n * n
    T, Z, _, _, _, _, separation, info = reorder(
        chosen.astype(int), T, Z, job=b"V", lwork=work, liwork=work
    )
    doubt = np.finfo(float).eps * np.linalg.norm(A) / max(separation, np.finfo(float).tiny)
    if info != 0 or doubt > 1e-3:
        raise AccuracyError(
            "The zeros in `flip` cannot be separated from the others: flip the whole cluster.",
            residual=float(doubt),
        )
    if doubt > 1e-9:
        warnings.warn(
            "The zeros in `flip` are barely separated from the others: the result is determined "
            f"only to about {doubt:.0e} (relative).",
            NumericalWarning,
            stacklevel=5,
        )
    return Z[:, :k], T[:k, :k]


def lower_root(R: np.ndarray) -> np.ndarray:
    """Return the lower triangular L with L L' = R and a non-negative diagonal.

    Parameters
    ----------
    R : (p, p) ndarray
        Symmetric positive semidefinite matrix.

    Returns
    -------
    (p, p) ndarray
        The Cholesky factor, also of a singular matrix.
    """
    try:
        return np.linalg.cholesky(R)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(R)
        return _lower_triangular(vectors, vectors * np.sqrt(np.maximum(values, 0.0)))[1]


def _lower_triangular(B: np.ndarray, D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return B Q and D Q, Q orthogonal, with D Q lower triangular, diagonal non-negative."""
    Q, R = np.linalg.qr(D.T)
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return (B @ Q) * signs, np.tril(R.T * signs)
