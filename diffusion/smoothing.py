r"""The two-filter smoother: one Kalman filter forwards, one on the backward model.

In the coordinates of unit variance of ``_whitening``, with the covariances ``f`` of the state given
the earlier outputs and ``b`` given its own and the later ones::

    P_s^-1 = P_f^-1 + P_b^-1 - P^-1      becomes      s = f w^-1 b,   w = f + b - b f

which inverts neither of the three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from realization import AccuracyError, SmootherResult
from realization.internal import as_signal, matching_input, symmetrize

from ._whitening import AnyGaussian, run_filter, whiten
from .reversal import checked_model

__all__ = ["two_filter_smooth"]


def two_filter_smooth(
    model: AnyGaussian, y: ArrayLike, u: ArrayLike | None = None
) -> SmootherResult:
    r"""Compute mean and covariance of the states given the whole record, by two filters.

    One Kalman filter runs forwards, the same filter runs on the backward model over the reversed
    data, and with the covariances :math:`P_f, P_b` of their predictions and :math:`P` of the state

    .. math::

        P_s^{-1} = P_f^{-1} + P_b^{-1} - P^{-1}, \qquad
        x_s = m + P_s \bigl( P_f^{-1} (x_f - m) + P_b^{-1} (x_b - m) \bigr) :

    the prior, which both know, is taken off once.

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model with real matrices. In a BilinearSSM the known inputs change the
        dynamics.
    y : (..., T, p) array_like
        Outputs; NaN marks a missing entry. Leading axes are batch.
    u : (..., T, m) array_like, optional
        Inputs; needed if the model has any.

    Returns
    -------
    SmootherResult
        `x` (..., T + 1, n) and `P` (..., T + 1, n, n); the last row is a prediction.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model is in continuous time, `u` is missing, or shapes disagree.
    AccuracyError
        If the covariance of an innovation is singular, in either direction, or if past and future
        outputs both determine the same direction of the state without error.

    See Also
    --------
    smooth : The same by Bryson-Frazier or Rauch-Tung-Striebel, compiled: the one to use for speed.

    Notes
    -----
    The two filters do not wait for each other, and neither depends on the other's data: the
    forward one can be kept and updated online. Both run in coordinates in which the state has unit
    variance, so a singular or ill-conditioned state covariance does no harm. O(n^3) a step.

    References
    ----------
    Lindquist and Picci (1979, 2015) for the backward model; the combination of the two estimates is
    that of two-filter smoothing with a prior counted twice.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import two_filter_smooth
    >>> from realization import GaussianSSM, smooth
    >>> model = GaussianSSM([[0.9]], [[1.0]], [[0.19]], [[1.0]], [[0.2]])
    >>> y = [0.5, np.nan, 1.0]
    >>> two, one = two_filter_smooth(model, y), smooth(model, y)
    >>> bool(np.allclose(two.x, one.x) and np.allclose(two.P, one.P))
    True
    """
    checked_model(model, "two_filter_smooth")
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    batch = np.broadcast_shapes(y.shape[:-2], u.shape[:-2])
    y, u = (np.broadcast_to(s, (*batch, *s.shape[-2:])) for s in (y, u))
    T, n = y.shape[-2], model.n_states
    x, P = np.empty((*batch, T + 1, n)), np.empty((*batch, T + 1, n, n))
    for i in np.ndindex(batch):
        x[i], P[i] = _smooth_record(model, y[i], u[i])
    return SmootherResult(x, P)


def _smooth_record(
    model: AnyGaussian, y: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smoothed means (T + 1, n) and covariances (T + 1, n, n) of one record."""
    path = whiten(model, u)
    z_f, L_f, _ = run_filter(path.forward, y - path.mu, path.factors[0].shape[1])
    last = path.factors[-1].shape[1]
    z_b, L_b, _ = run_filter(path.backward[::-1], (y - path.mu)[::-1], last)
    x, P = path.m.copy(), np.empty((*path.m.shape, path.m.shape[1]))
    for t, (F, zf, Lf, zb, Lb) in enumerate(
        zip(path.factors, z_f, L_f, reversed(z_b), reversed(L_b), strict=True)
    ):
        f, b = Lf @ Lf.T, Lb @ Lb.T
        try:
            gain = np.linalg.solve(f + b - b @ f, np.column_stack([b, zb]))
        except np.linalg.LinAlgError:
            raise AccuracyError(
                f"The state at step {t} is determined twice without error, by the outputs before "
                "it and by those after: leave outputs out, or give `R` their measurement noise.",
                residual=0.0,
            ) from None
        x[t] += F @ (f @ gain[:, -1] + gain[:, :-1].T @ zf)
        P[t] = symmetrize(F @ (f @ gain[:, :-1]) @ F.T)
    return x, P
