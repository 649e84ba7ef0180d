"""K and Re from the residuals of the state sequences: the noise half of a subspace model."""

from __future__ import annotations

import warnings

import numpy as np
import scipy

from realization import NumericalWarning
from realization.internal import solve_filter_riccati, symmetrize

from .projections import FactorBlocks, regress

__all__ = ["NOISE_FLOOR", "gain_from_residuals", "kalman_gain"]

NOISE_FLOOR = 1e-20  # error power over output power below which errors count as rounding


def kalman_gain(
    blocks: FactorBlocks, gamma: np.ndarray, A: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    r"""Estimate the Kalman gain and the innovation covariance.

    With the state sequences :math:`X_s = \Gamma^+ O_s` and
    :math:`X_{s+1} = \underline\Gamma^+ O_{s+1}` (:math:`\underline\Gamma` without its last block
    row), the residuals of :math:`[X_{s+1}; Y_s]` regressed on :math:`[X_s; U_f]` have covariance
    :math:`[Q, S; S^\top, R]`, and the filter Riccati equation gives K and Re (Van Overschee and
    De Moor 1996, section 4.4.3; SLICOT IB01BD).

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    gamma : (p future, n) ndarray
        Extended observability matrix.
    A : (n, n) ndarray
        State matrix, in the coordinates of `gamma`.
    C : (p, n) ndarray
        Output matrix.

    Returns
    -------
    K : (n, p) ndarray
        Kalman gain; zero when the data are noise-free to rounding.
    Re : (p, p) ndarray
        Innovation covariance.
    warnings : tuple of str
        What had to be said about it.
    """
    p = blocks.n_outputs
    present = _coordinates(gamma, blocks.projections(0)[0])
    following = _coordinates(gamma[:-p], blocks.projections(1)[0])
    targets = np.vstack([following, blocks.Yf[:p]])
    regressors = np.vstack([present, blocks.Uf])
    residuals = targets - regress(targets, regressors) @ regressors
    power = np.sum(blocks.Yf[:p] ** 2) / blocks.n_samples
    return gain_from_residuals(A, C, residuals / np.sqrt(blocks.n_samples), power)


def gain_from_residuals(
    A: np.ndarray, C: np.ndarray, residuals: np.ndarray, power: float
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return K, Re and what must be said, from residuals of the state and the output equation.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    C : (p, n) ndarray
        Output matrix.
    residuals : (n + p, k) ndarray
        Rows whose products are the joint noise covariance.
    power : float
        Power of the outputs, against which the data count as noise-free.

    Returns
    -------
    K : (n, p) ndarray
        Kalman gain; zero for noise-free data, or when none exists.
    Re : (p, p) ndarray
        Innovation covariance.
    said : tuple of str
        What had to be said about it.
    """
    n, p = A.shape[0], C.shape[0]
    covariance = symmetrize(residuals @ residuals.T)
    Q, S, R = covariance[:n, :n], covariance[:n, n:], covariance[n:, n:]
    if np.trace(R) <= NOISE_FLOOR * power:
        message = (
            "the data are noise-free to rounding (innovation power "
            f"{np.trace(R) / max(power, np.finfo(float).tiny):.1e} of the output power): K is 0"
        )
        return np.zeros((n, p)), R, (message,)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", NumericalWarning)
        try:
            _, K, Re = solve_filter_riccati(A, C, Q, R, S, dt=1.0)
        except np.linalg.LinAlgError as error:
            message = f"no Kalman gain was found, K is 0: {error}"
            return np.zeros((n, p)), R, (message,)
    return K, Re, tuple(str(warning.message) for warning in said)


def _coordinates(gamma: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the least-squares x in ``observed = gamma @ x``."""
    if gamma.shape[1] == 0:
        return np.zeros((0, observed.shape[1]))
    return scipy.linalg.lstsq(gamma, observed, lapack_driver="gelsd", check_finite=False)[0]
