r"""Past and future of a process: realization from covariances, canonical correlations, reduction.

The canonical correlation coefficients :math:`\sigma_i` of past and future are invariants of the
process. They measure how much of the future each direction of the state predicts: they give the
predictable information, and the order in which directions may be left out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._linalg import rank_tolerance, stability_margin, symmetrize
from ._validation import as_array, as_choice, as_dt, as_integer
from ._words import counted
from .exceptions import AccuracyError, NotMinimalError, UnstableModelError
from .family import boundary_zeros, innovation_data, lower_root
from .lyapunov import lyapunov_factor
from .models import CovarianceModel

__all__ = [
    "canonical_correlations",
    "covariance_realization",
    "past_future_information",
    "stochastic_balance",
    "stochastic_truncate",
]


def covariance_realization(
    covariances: ArrayLike,
    order: int,
    *,
    weighting: Literal["cva", "none", "one_sided"] = "cva",
    dt: float = 1.0,
) -> CovarianceModel:
    r"""Realize a sequence of covariances by a model of given order.

    The block Hankel matrix of the covariances factors into observability and reachability,

    .. math::

        H = [\Lambda_{i+j-1}]_{i,j \ge 1} = \mathcal{O}\,\mathcal{C}, \qquad
        L_+^{-1} H L_-^{-\top} = U \Sigma V^\top,

    where :math:`L_+ L_+^\top` and :math:`L_- L_-^\top` are the covariances of the stacked future
    and past, and the singular values the canonical correlations between them.

    Parameters
    ----------
    covariances : (L, p, p) array_like
        :math:`\Lambda_k = E[y_{t+k} y_t^\top]`, k = 0..L-1. All are used: future and past are
        ``(L + 1) // 2`` and ``L // 2`` samples long.
    order : int
        State dimension, at most the rank of H, ``(L - 1) // 2 * p`` and ``L // 2 * p``.
    weighting : {"cva", "none", "one_sided"}
        Which singular values decide what is kept: canonical correlations (Akaike), those of H
        itself (Ho-Kalman, Kung), or those with only the past normalised, which weighs the error of
        the predicted future.
    dt : float, default 1.0
        Sample time.

    Returns
    -------
    CovarianceModel
        Exact if the covariances are those of a process of order `order`; otherwise an
        approximation, which need not be positive real. With ``"cva"`` the state is nearly balanced:
        the minimal covariance tends to the diagonal matrix of canonical correlations.

    Raises
    ------
    TypeError
        If `covariances` are not numbers, or `order` is not an integer.
    ValueError
        If `covariances` has another shape, :math:`\Lambda_0` is not a covariance, `order` is too
        large, or (for ``"cva"`` and ``"one_sided"``) the block Toeplitz matrix of the covariances
        is not positive definite.
    UnstableModelError
        If the realized A is not stable.

    See Also
    --------
    make_positive_real : Repair an approximation that belongs to no process.
    ho_kalman : The same for an impulse response.

    Notes
    -----
    Costs a singular value decomposition of size L p / 2, O((L p)^3). A comes from a least-squares
    problem, not from a squared matrix. Divide sample covariances by T, not by T - k: only then
    the Toeplitz matrices are positive semidefinite.

    References
    ----------
    Akaike (1975) for the canonical variables; Desai and Pal (1984) for the balanced coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.CovarianceModel(
    ...     [[0.8, 0.2], [-0.2, 0.5]], [[1.0, 0.0]], [[1.0], [0.5]], [[3.0]]
    ... )
    >>> covariances = realization.autocovariance(model, 9)
    >>> realized = realization.covariance_realization(covariances, 2)
    >>> bool(np.allclose(realization.autocovariance(realized, 9), covariances))
    True
    """
    sequence = as_array("covariances", covariances)
    if sequence.ndim != 3 or sequence.shape[1] != sequence.shape[2] or np.iscomplexobj(sequence):
        raise ValueError(
            "`covariances` must be real with shape (L, p, p); got shape "
            f"{sequence.shape}, dtype {sequence.dtype}."
        )
    as_choice("weighting", weighting, ("cva", "none", "one_sided"))
    order = as_integer("order", order)
    count, p = sequence.shape[:2]
    rows, columns = (count + 1) // 2, count // 2
    if order > p * min(rows - 1, columns):
        raise ValueError(
            f"`order` must be at most {p * max(min(rows - 1, columns), 0)} for "
            f"{counted(count, 'covariance')} of {counted(p, 'output')}; got {order}. Pass more "
            "lags."
        )
    if order == 0:
        empty = np.zeros((0, 0)), np.zeros((p, 0)), np.zeros((0, p))
        return CovarianceModel(*empty, sequence[0], dt=as_dt(dt))
    lags = np.arange(rows)[:, np.newaxis] + np.arange(columns) + 1
    hankel = _blocks(sequence[lags])
    future = np.eye(rows * p)
    past = np.eye(columns * p)
    if weighting == "cva":
        future = _toeplitz_root(sequence[:rows], transpose=False)
    if weighting != "none":
        past = _toeplitz_root(sequence[:columns], transpose=True)
    weighted = scipy.linalg.solve_triangular(future, hankel, lower=True)
    weighted = scipy.linalg.solve_triangular(past, weighted.T, lower=True).T
    U, sigma, Vt = scipy.linalg.svd(weighted, full_matrices=False)
    if sigma[order - 1] <= rank_tolerance(weighted.shape, sigma[0]):
        rank = int((sigma > rank_tolerance(weighted.shape, sigma[0])).sum())
        raise ValueError(
            f"`order` must be at most {rank}, the rank of the Hankel matrix of `covariances`; "
            f"got {order}."
        )
    balance = np.sqrt(sigma[:order])
    observability = future @ (U[:, :order] * balance)
    N = (balance[:, np.newaxis] * Vt[:order]) @ past[:p].T
    A = scipy.linalg.lstsq(observability[:-p], observability[p:])[0]
    if (margin := stability_margin(A, 1.0)) <= 0:
        raise UnstableModelError(
            f"The realized `A` is not stable (stability margin {margin:.3g}): covariances of a "
            "process decay. Use weighting='cva', another order, or more data.",
            stability_margin=margin,
        )
    return CovarianceModel(A, observability[:p], N, sequence[0], dt=as_dt(dt))


def canonical_correlations(cov: CovarianceModel) -> np.ndarray:
    r"""Return the canonical correlation coefficients of the past and the future of a process.

    .. math::

        \sigma_i^2 = \lambda_i(P_- P_+^{-1}) = \lambda_i(P_- \bar P_-), \qquad
        1 \ge \sigma_1 \ge \dots \ge \sigma_n \ge 0,

    where :math:`\bar P_-` is the minimal covariance of the process with time reversed.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process.

    Returns
    -------
    (n,) ndarray
        Descending. A zero means that (A, C, N) is not minimal.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    NotPositiveRealError
        If the data are those of no process.
    AccuracyError
        If the spectral density is singular at every frequency.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero; at a touch one coefficient is 1.

    See Also
    --------
    past_future_information : What they amount to in nats.
    stochastic_balance : The coordinates in which they are the state covariance.

    Notes
    -----
    Costs two Riccati and two Lyapunov equations, O(n^3). The Gramians enter by their Cholesky
    factors, so small coefficients keep their digits.

    References
    ----------
    Akaike (1975); Desai and Pal (1984); Lindquist and Picci (2015).

    Examples
    --------
    For a first-order moving average with the zero z the coefficient is abs(z).

    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.0]], [[1.0]], [[0.6]], [[1.36]])
    >>> bool(np.allclose(realization.canonical_correlations(cov), 0.6))
    True
    """
    return _past_and_future(cov)[2]


def past_future_information(cov: CovarianceModel) -> float:
    r"""Return the mutual information of the past and the future of a Gaussian process, in nats.

    .. math:: I = -\tfrac12 \sum_i \log(1 - \sigma_i^2),

    the predictable information: what the past says about the future, and the least that a state
    must carry.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process.

    Returns
    -------
    float
        Nats; divide by log 2 for bits. ``inf`` if the spectral density touches zero.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    NotPositiveRealError
        If the data are those of no process.
    AccuracyError
        If the spectral density is singular at every frequency, or a canonical correlation
        coefficient is 1 to rounding though it touches zero nowhere.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero.

    See Also
    --------
    canonical_correlations : The terms of the sum.

    Notes
    -----
    Costs as much as `canonical_correlations`.

    References
    ----------
    Lindquist and Picci (2015) for the canonical correlations. The sum is the mutual information of
    two jointly Gaussian vectors in canonical coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.0]], [[1.0]], [[0.6]], [[1.36]])
    >>> bool(np.isclose(realization.past_future_information(cov), -0.5 * np.log(1 - 0.36)))
    True
    """
    _, _, sigma, K = _past_and_future(cov)
    if boundary_zeros(cov, np.linalg.eigvals(cov.A - K @ cov.C)).any():
        return np.inf
    if sigma.size and sigma[0] == 1.0:
        raise AccuracyError(
            "A canonical correlation coefficient is 1 to rounding, so the information is larger "
            f"than can be computed; the stability margin is {stability_margin(cov.A, cov.dt):.1e}."
            " Likely cause: a pole on the stability boundary to rounding; leave its mode out.",
            residual=1.0,
        )
    return float(-0.5 * np.log1p(-(sigma**2)).sum())


def stochastic_balance(cov: CovarianceModel) -> tuple[CovarianceModel, np.ndarray, np.ndarray]:
    r"""Change the state so that past and future see it alike.

    In the new coordinates, x = T z, the minimal covariances of the process and of its time reversal
    are the same diagonal matrix,

    .. math::

        T^{-1} P_- T^{-\top} = T^\top P_+^{-1} T = \operatorname{diag}(\sigma_1, \dots, \sigma_n),

    the canonical correlation coefficients.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process, (A, C, N) minimal.

    Returns
    -------
    balanced : CovarianceModel
        :math:`(T^{-1} A T, C T, T^{-1} N, \Lambda_0)`.
    T : (n, n) ndarray
        The change of state, x = T z.
    sigma : (n,) ndarray
        Canonical correlation coefficients, descending.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    NotPositiveRealError
        If the data are those of no process.
    NotMinimalError
        If a coefficient is zero to working precision.
    AccuracyError
        If the spectral density is singular at every frequency.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero.

    See Also
    --------
    stochastic_truncate : Leave out the directions that matter least.

    Notes
    -----
    Square-root algorithm, O(n^3): the singular value decomposition of the product of the Cholesky
    factors of both Gramians. Distinct coefficients make T unique up to signs.

    References
    ----------
    Desai and Pal (1984); Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.InnovationSSM(
    ...     [[0.9, 0.3], [0.0, 0.5]], [[1.0, 1.0]], [[0.5], [0.4]], [[1.0]]
    ... )
    >>> balanced, T, sigma = realization.stochastic_balance(realization.to_covariance(model))
    >>> bool(np.allclose(realization.minimal_covariance(balanced), np.diag(sigma)))
    True
    """
    past, future, sigma, _ = _past_and_future(cov)
    T, Tinv = _balancing(past, future, sigma, cov.n_states)
    return _project(cov, T, Tinv), T, sigma


def stochastic_truncate(cov: CovarianceModel, order: int) -> CovarianceModel:
    r"""Reduce a process to the directions of its state that predict most.

    Keeps the leading `order` states of the stochastically balanced coordinates, and
    :math:`\Lambda_0`.

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process; it need not be minimal.
    order : int
        States to keep, at most the number of nonzero canonical correlations.

    Returns
    -------
    CovarianceModel
        Positive real. In continuous time it is again balanced; in discrete time it is not quite.

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex; or `order` is not an integer.
    ValueError
        If `order` is negative, above n, or splits equal canonical correlations.
    NotPositiveRealError
        If the data are those of no process.
    NotMinimalError
        If `order` exceeds the number of nonzero coefficients.
    UnstableModelError
        If the reduced A is not stable.
    AccuracyError
        If the spectral density is singular at every frequency.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero.

    See Also
    --------
    canonical_correlations : What is left out, before leaving it out.

    Notes
    -----
    Costs as much as `stochastic_balance`. The diagonal matrix of the kept coefficients satisfies
    the positive real lemma for the reduced data, which is why they are those of a process.

    References
    ----------
    Desai and Pal (1984); Lindquist and Picci (2015).

    Examples
    --------
    >>> import realization
    >>> model = realization.InnovationSSM(
    ...     [[0.9, 0.3], [0.0, 0.5]], [[1.0, 1.0]], [[0.5], [0.4]], [[1.0]]
    ... )
    >>> reduced = realization.stochastic_truncate(realization.to_covariance(model), 1)
    >>> reduced.n_states == 1 and realization.is_positive_real(reduced).ok
    True
    """
    order = as_integer("order", order)
    past, future, sigma, _ = _past_and_future(cov)
    n = cov.n_states
    if order > n:
        raise ValueError(f"`order` must be at most the number of states {n}; got {order}.")
    if 0 < order < n and sigma[order - 1] - sigma[order] <= 1e-8 * sigma[order - 1]:
        raise ValueError(
            f"`order` must not separate equal canonical correlations; number {order} and the next "
            f"are {sigma[order - 1]:.6g} and {sigma[order]:.6g}. Take another order."
        )
    return _project(cov, *_balancing(past, future, sigma, order))


def _past_and_future(
    cov: CovarianceModel,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return factors of P_- and of the reversed P_-, the coefficients, and the gain K."""
    _, K, Re = innovation_data(cov)
    past = lyapunov_factor(cov.A, K @ lower_root(Re), dt=cov.dt)
    reverse = CovarianceModel(cov.A.T, cov.N.T, cov.C.T, cov.Lambda0, dt=cov.dt)
    _, Kb, Rb = innovation_data(reverse)
    future = lyapunov_factor(reverse.A, Kb @ lower_root(Rb), dt=cov.dt)
    sigma = np.linalg.svd(future.T @ past, compute_uv=False)
    return past, future, np.minimum(sigma, 1.0), K


def _balancing(
    past: np.ndarray, future: np.ndarray, sigma: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return T (n, order) and its left inverse, the leading balanced directions."""
    n = sigma.size
    if order and sigma[order - 1] <= rank_tolerance((n, n), sigma[0]):
        most = int((sigma > rank_tolerance((n, n), sigma[0])).sum())
        raise NotMinimalError(
            f"(A, C, N) is not minimal: canonical correlation {order} is {sigma[order - 1]:.1e}. "
            f"At most {counted(most, 'state')} can be kept: "
            "call stochastic_truncate with that order.",
            singular_value=float(sigma[order - 1] / sigma[0]) if sigma[0] > 0 else 0.0,
        )
    U, s, Vt = np.linalg.svd(future.T @ past)
    root = np.sqrt(s[:order])
    return past @ (Vt[:order].T / root), ((U[:, :order] / root).T) @ future.T


def _project(cov: CovarianceModel, T: np.ndarray, Tinv: np.ndarray) -> CovarianceModel:
    """Return the covariance data with A, C, N projected on the span of T."""
    return CovarianceModel(Tinv @ cov.A @ T, cov.C @ T, Tinv @ cov.N, cov.Lambda0, dt=cov.dt)


def _blocks(grid: np.ndarray) -> np.ndarray:
    """Return the (r p, c p) matrix of a grid (r, c, p, p) of blocks."""
    rows, columns, p, _ = grid.shape
    return grid.transpose(0, 2, 1, 3).reshape(rows * p, columns * p)


def _toeplitz_root(sequence: np.ndarray, *, transpose: bool) -> np.ndarray:
    """Return the Cholesky factor of the covariance of stacked outputs, forward or backward."""
    count = sequence.shape[0]
    lag = np.arange(count)[:, np.newaxis] - np.arange(count)
    grid = sequence[np.abs(lag)]
    swap = (lag >= 0) if transpose else (lag < 0)
    grid[swap] = np.swapaxes(grid[swap], 1, 2)
    matrix = symmetrize(_blocks(grid))
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(matrix)[0]
        raise ValueError(
            "`covariances` must make a positive definite block Toeplitz matrix; its smallest "
            f"eigenvalue is {smallest:.3g}. Divide sample covariances by T (not T - k), or use "
            "weighting='none'."
        ) from None
