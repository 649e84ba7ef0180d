r"""What a model says about its outputs: impulse response, covariances, spectrum.

::

    markov_parameters   h_0 = D, h_k = C A^(k-1) B
    autocovariance      Lambda_k = E[y_(t+k) y_t'] = C A^(k-1) N, k >= 1
    spectral_density    Phi(z) = sum of Lambda_k z^-k

These do not depend on the choice of state: every change of coordinates preserves them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import stability_margin, symmetrize
from ._noise import covariance_data, noise_factor
from ._transfer import frequency_points, impulse_coefficients, transfer_values
from ._validation import as_instance, as_integer, require_discrete, require_memory
from .exceptions import UnstableModelError
from .models import AnyLinear, CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM

__all__ = ["autocovariance", "markov_parameters", "spectral_density"]

_RECORDS = (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel)


def markov_parameters(model: AnyLinear, count: int) -> np.ndarray:
    r"""Compute the Markov parameters from inputs to outputs.

    .. math:: h_0 = D, \qquad h_k = C A^{k-1} B, \quad k \ge 1.

    In discrete time these are the impulse response; in continuous time `D` and the derivatives of
    the impulse response at zero.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        Any model with a state; its noise plays no part.
    count : int
        Number of Markov parameters, at least 1.

    Returns
    -------
    (count, p, m) ndarray
        D first.

    Raises
    ------
    TypeError
        If `model` is no model with inputs, or `count` is not an integer.
    ValueError
        If `count` is below 1, or the parameters of an unstable model grow past the largest float.

    See Also
    --------
    ho_kalman : The way back: a model from its Markov parameters.

    Notes
    -----
    About :math:`\sqrt{\text{count}}` products with `A`, then one matrix product:
    :math:`O(p\,m\,n\,\text{count})` operations. The Markov parameters from the noise of an
    innovations model are those of ``LinearSSM(A, K, C, numpy.eye(p))``.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[2.0]], [[3.0]])
    >>> h = realization.markov_parameters(model, 4)
    >>> bool(np.allclose(h[:, 0, 0], [3.0, 2.0, 1.0, 0.5]))
    True
    """
    model = as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM))
    count = as_integer("count", count, minimum=1)
    require_memory(f"`count` = {count}", count * max(model.D.size, 1))
    tail = impulse_coefficients(model.C, model.A, model.B, count - 1)
    if not np.isfinite(tail).all():
        last = int(np.argmin(np.isfinite(tail).all(axis=(1, 2))))
        margin = stability_margin(model.A, 1.0)
        raise ValueError(
            f"`count` is too large for this unstable model: the Markov parameters overflow near "
            f"number {last + 1} (largest |eigenvalue| of A {1 - margin:.6g}). Ask for fewer."
        )
    return np.concatenate([model.D[np.newaxis], tail])


def autocovariance(model: AnyLinear | CovarianceModel, lags: int) -> np.ndarray:
    r"""Compute the autocovariance of the stationary output.

    .. math::

        \Lambda_k = E[y_{t+k} y_t^\top] = C A^{k-1} N, \quad k \ge 1,
        \qquad \Lambda_{-k} = \Lambda_k^\top,

    where :math:`N = A P C^\top + S`, :math:`\Lambda_0 = C P C^\top + R` and
    :math:`P = A P A^\top + Q`. Known inputs play no part.

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM, CovarianceModel or LinearSSM
        Stable, in discrete time. A LinearSSM is driven by white noise of unit covariance.
    lags : int
        Largest lag, at least 0.

    Returns
    -------
    (lags + 1, p, p) ndarray
        :math:`\Lambda_0` first; squared units of `y`.

    Raises
    ------
    TypeError
        If `model` is no linear record, or `lags` is not an integer.
    ValueError
        If `lags` is negative, or the model is in continuous time, where lags are not counted in
        samples: ``discretize(model, dt)`` first. (For :math:`\tau > 0` the continuous-time
        covariance is :math:`C e^{A\tau} N`.)
    UnstableModelError
        If `A` is not stable.

    Notes
    -----
    One Lyapunov equation, :math:`O(n^3)`, then as for :func:`markov_parameters`.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.InnovationSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])
    >>> covariances = realization.autocovariance(model, 2)
    >>> variance = 1 / (1 - 0.5**2)  # of the state
    >>> bool(np.allclose(covariances.ravel(), [variance + 1, 0.5 * variance + 1,
    ...                                        0.5 * (0.5 * variance + 1)]))
    True
    """
    model = as_instance("model", model, _RECORDS)
    require_discrete(model, "autocovariance")
    lags = as_integer("lags", lags)
    require_memory(f"`lags` = {lags}", lags * max(model.n_outputs, 1) ** 2)
    N, Lambda0 = covariance_data(model)
    return np.concatenate([Lambda0[np.newaxis], impulse_coefficients(model.C, model.A, N, lags)])


def spectral_density(model: AnyLinear | CovarianceModel, omega: ArrayLike) -> np.ndarray:
    r"""Compute the spectral density of the stationary output.

    .. math::

        \Phi(z) = \sum_{k=-\infty}^{\infty} \Lambda_k z^{-k}, \qquad z = e^{i\omega\,dt}
        \quad (dt > 0), \qquad
        \Phi(i\omega) = \int \Lambda(\tau) e^{-i\omega\tau} d\tau \quad (dt = 0).

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM, CovarianceModel or LinearSSM
        A stable model. A LinearSSM is driven by white noise of unit covariance; the known inputs
        of the others play no part.
    omega : array_like
        Angular frequencies in radians per unit of `dt`, of any shape.

    Returns
    -------
    (..., p, p) ndarray
        Complex Hermitian; the leading axes are those of `omega`. Positive semidefinite for the
        models with a state; for a CovarianceModel only if its covariances are those of a process.

    Raises
    ------
    TypeError
        If `model` is no linear record, or `omega` is complex.
    UnstableModelError
        If `A` is not stable.

    Notes
    -----
    Two-sided, and per sample in discrete time: white noise of covariance R has
    :math:`\Phi = R`, and :math:`\Lambda_0 = \frac{dt}{2\pi}\int_{-\pi/dt}^{\pi/dt}\Phi\,d\omega`.
    Multiply by `dt` for a density per Hz. The models with a state are evaluated as
    :math:`W W^*` with W the transfer function from the noise, a CovarianceModel as
    :math:`\Phi_+ + \Phi_+^*` with
    :math:`\Phi_+ = \tfrac12 \Lambda_0 + C (zI - A)^{-1} N`. The cost is that of
    :func:`frequency_response`.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.InnovationSSM([[0.5]], [[1.0]], [[1.0]], [[2.0]])
    >>> omega = np.linspace(-np.pi, np.pi, 400, endpoint=False)
    >>> density = realization.spectral_density(model, omega)
    >>> variance = realization.autocovariance(model, 0)[0]
    >>> bool(np.allclose(density.mean(axis=0), variance))
    True
    """
    model = as_instance("model", model, _RECORDS)
    points = frequency_points(omega, model.dt)
    if (margin := stability_margin(model.A, model.dt)) <= 0:
        raise UnstableModelError(
            "The spectral density exists for a stable model only; the stability margin of `A` is "
            f"{margin:.3g}. Identify with stable=True, or leave out the unstable states.",
            stability_margin=margin,
        )
    p = model.n_outputs
    if isinstance(model, CovarianceModel):
        half = transfer_values(model.A, model.N, model.C, model.Lambda0 / 2, points.ravel())
        density = half + np.swapaxes(half.conj(), 1, 2)
    else:
        B, D = noise_factor(model)
        W = transfer_values(model.A, B, model.C, D, points.ravel())
        density = symmetrize(W @ np.swapaxes(W.conj(), 1, 2))
    return density.reshape((*points.shape, p, p))
