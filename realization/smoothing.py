r"""Fixed-interval smoothing: the state given the whole record, in discrete time.

Both methods are exact. Bryson-Frazier inverts innovation covariances only, so it takes any noise
(correlated, singular) and any covariance of the state. Rauch-Tung-Striebel inverts the covariance
of the predicted state and is written for uncorrelated noise; correlated noise is decorrelated
first, with :math:`R \succ 0`,

.. math:: A_d = A - S R^{-1} C, \qquad Q_d = Q - S R^{-1} S^\top.

The recursions are in ``realization/scan/smoothing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._linalg import stability_margin, symmetrize
from ._noise import noise_covariances
from ._validation import as_choice
from ._words import sized
from .exceptions import AccuracyError, UnstableModelError
from .kalman import Stochastic, checked_record, filter_gain, filter_records

__all__ = ["SmootherResult", "smooth"]


@dataclass(frozen=True, slots=True, eq=False)
class SmootherResult:
    """The state given all outputs; leading axes are batch.

    Parameters
    ----------
    x : (..., T + 1, n) ndarray
        Mean of the state; the last row, for which there is no output, is a prediction.
    P : (..., T + 1, n, n) ndarray
        Covariance of the state.
    """

    x: np.ndarray
    P: np.ndarray

    def __repr__(self) -> str:
        return f"SmootherResult({sized(x=self.x, P=self.P)})"


def smooth(
    model: Stochastic,
    y: ArrayLike,
    u: ArrayLike | None = None,
    *,
    method: Literal["bryson_frazier", "rts"] = "bryson_frazier",
) -> SmootherResult:
    r"""Compute mean and covariance of the states given the whole record.

    :math:`\hat x_{t|T} = E[x_t \mid y_0, \dots, y_{T-1}]` and
    :math:`P_{t|T} = \operatorname{cov}[x_t \mid y_0, \dots, y_{T-1}]`, for t = 0 .. T.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        A discrete-time model with real matrices.
    y : (..., T, p) array_like
        Outputs; NaN marks a missing entry. Leading axes are batch.
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any.
    method : {"bryson_frazier", "rts"}
        Bryson-Frazier works for every model. Rauch-Tung-Striebel needs positive definite state
        covariances, and a positive definite `R` if `S` is not zero.

    Returns
    -------
    SmootherResult
        `x` (..., T + 1, n) and `P` (..., T + 1, n, n).

    Raises
    ------
    ValueError
        If the model has inputs and `u` is missing, if shapes disagree, if `method` is unknown, or
        if the model is in continuous time.
    TypeError
        If the model has no noise (LinearSSM) or complex matrices.
    AccuracyError
        If the covariance of an innovation is singular to rounding; with ``method="rts"`` also if
        a predicted covariance is, or if `S` is not zero and `R` is singular.
    UnstableModelError
        If the state or its covariance overflows.

    Notes
    -----
    Costs O(n^3) a step. Bryson-Frazier finds the covariance as P - P M P: where the data say far
    more than the prediction did, the difference keeps an error of eps times the *predicted*
    covariance. Rauch-Tung-Striebel adds positive semidefinite terms only.

    References
    ----------
    Bierman, "Fixed interval smoothing with discrete measurements", Int. J. Control 18, 1973.

    Rauch, Tung and Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA J. 3,
    1965.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import GaussianSSM, kalman_filter, smooth
    >>> model = GaussianSSM([[0.9]], [[1.0]], [[0.19]], [[1.0]])
    >>> y = [0.5, np.nan, 1.0]
    >>> smoothed, filtered = smooth(model, y), kalman_filter(model, y)
    >>> bool(np.allclose(smoothed.x[2], filtered.x_filt[2]))
    True
    >>> bool((smoothed.P[:2] < filtered.P_filt[:2]).all())
    True
    """
    model, y, u = checked_record(model, y, u, "smooth")
    as_choice("method", method, ("bryson_frazier", "rts"))
    x, P, *_ = smoothed_moments(model, y, u, method=method)
    return SmootherResult(x, P)


def smoothed_moments(
    model: Stochastic,
    y: np.ndarray,
    u: np.ndarray,
    *,
    method: str = "bryson_frazier",
    cross: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Smooth checked records; what expectation-maximisation needs as well.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        The model.
    y : (..., T, p) ndarray
        Outputs; NaN marks a missing entry.
    u : (..., T, m) ndarray
        Inputs.
    method : str
        As in `smooth`.
    cross : bool, default False
        Compute the third result.

    Returns
    -------
    x : (..., T + 1, n) ndarray
        Smoothed means.
    P : (..., T + 1, n, n) ndarray
        Smoothed covariances.
    cross : (..., T, n, n) ndarray
        Covariances of x(t + 1) with x(t); without the T axis filled, (..., 0, n, n), if not asked.
    log_likelihood : float
        Of all records together.
    """
    x, P, K, log_likelihood = filter_records(model, y, u, hold=False)
    smooth_x, smooth_P = np.empty_like(x), np.empty_like(P)
    smooth_cross = np.empty((*P.shape[:-3], K.shape[-3] if cross else 0, *P.shape[-2:]))
    seen = np.broadcast_to(~np.isnan(y), (*P.shape[:-3], *y.shape[-2:]))
    innovations = np.where(seen, y - x[..., :-1, :] @ model.C.T - u @ model.D.T, 0.0)
    step = _bryson_frazier if method == "bryson_frazier" else _rauch_tung_striebel
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        for i in np.ndindex(P.shape[:-3]):
            filtered = (x[i], P[i], K[i], innovations[i], seen[i])
            step(model, filtered, (smooth_x[i], smooth_P[i], smooth_cross[i]))
    if not (np.isfinite(smooth_x).all() and np.isfinite(smooth_P).all()):
        margin = stability_margin(model.A - K.reshape(-1, *model.C.T.shape)[-1] @ model.C, 1.0)
        raise UnstableModelError(
            f"The smoother overflows: the stability margin of its predictor A - K C is {margin:.3g}"
            " (1 - max |eigenvalue|). Smooth shorter records, or find the innovations model of the "
            "same process.",
            stability_margin=margin,
        )
    return smooth_x, smooth_P, smooth_cross, log_likelihood


def _bryson_frazier(model: Stochastic, filtered: tuple, out: tuple) -> None:
    """Fill `out` (x, P, cross) from the filtered record (x, P, K, innovations, seen)."""
    from .scan.smoothing import bryson_frazier_steps

    x, P, K, innovations, seen = filtered
    Re = symmetrize(model.C @ P[:-1] @ model.C.T + noise_covariances(model)[1])
    L = np.linalg.cholesky(np.where(seen[:, :, None] & seen[:, None, :], Re, np.eye(len(model.C))))
    C = np.where(seen[:, :, None], model.C, 0.0)
    white = np.linalg.solve(L, np.concatenate([C, innovations[:, :, None]], axis=2))
    Z, w = np.ascontiguousarray(white[:, :, :-1]), np.ascontiguousarray(white[:, :, -1])
    Kt = np.ascontiguousarray(np.swapaxes(K, 1, 2))
    bryson_frazier_steps(model.A.copy(), model.C.copy(), Kt, Z, w, x, P, *out)


def _rauch_tung_striebel(model: Stochastic, filtered: tuple, out: tuple) -> None:
    """Fill `out` (x, P, cross) from the filtered record (x, P, K, innovations, seen)."""
    from .scan.smoothing import rts_steps

    x, P, _, innovations, seen = filtered
    Q, R, S = noise_covariances(model)
    Re = symmetrize(model.C @ P[:-1] @ model.C.T + R)
    M = filter_gain(P[:-1], model.C, Re, seen)
    G = np.eye(model.n_states) - M @ model.C
    P_filt = symmetrize(G @ P[:-1] @ np.swapaxes(G, 1, 2) + M @ R @ np.swapaxes(M, 1, 2))
    x_filt = x[:-1] + (M @ innovations[:, :, None])[:, :, 0]
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    dynamics = [_decorrelated(model, Q, R, S, pattern) for pattern in patterns]
    A_d, Q_d = (
        np.array([pair[k] for pair in dynamics]).reshape(len(patterns), *Q.shape) for k in (0, 1)
    )
    singular = rts_steps(A_d, Q_d, which.ravel(), x, P, x_filt, P_filt, *out)
    if singular >= 0:
        eigenvalues = np.linalg.eigvalsh(P[singular])
        ratio = eigenvalues[0] / eigenvalues[-1] if eigenvalues[-1] > 0 else 0.0
        raise AccuracyError(
            f"The predicted covariance at step {singular} is singular (smallest over largest "
            f'eigenvalue {ratio:.1e}), and method="rts" inverts it. Use '
            'method="bryson_frazier", which does not.',
            residual=float(ratio),
        )


def _decorrelated(
    model: Stochastic, Q: np.ndarray, R: np.ndarray, S: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return A - S R^-1 C and Q - S R^-1 S' over the `seen` outputs."""
    C, R, S = model.C[seen], R[seen][:, seen], S[:, seen]
    if not S.any():
        return model.A, Q
    try:
        factor = scipy.linalg.cho_factor(R)
    except np.linalg.LinAlgError:
        smallest = float(np.linalg.eigvalsh(R)[0])
        raise AccuracyError(
            f'`R` must be positive definite for method="rts" when `S` is not zero; its smallest '
            f'eigenvalue is {smallest:.3g}. Use method="bryson_frazier".',
            residual=smallest,
        ) from None
    gain = scipy.linalg.cho_solve(factor, S.T).T
    left = np.hstack([np.eye(len(Q)), -gain])
    return model.A - gain @ C, symmetrize(left @ np.block([[Q, S], [S.T, R]]) @ left.T)
