r"""From one description of a process to another: covariances, Gaussian model, innovations model.

Every record is read as a stationary process. A LinearSSM is read as a shaping filter: its input is
white noise of unit covariance (unit intensity in continuous time). Known inputs u of the other
records move the mean only: they pass through conversions between records with states, and the
covariances are those of y around its response to u.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import covariance_factor, stability_margin
from ._noise import covariance_data, noise_covariances
from ._validation import as_instance, as_symmetric
from .family import innovation_data
from .models import AnyLinear, CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM
from .positive_real import kyp_matrix
from .riccati import solve_filter_riccati

__all__ = ["innovation_form", "to_covariance", "to_gaussian"]

_RECORDS = (CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM)


def to_covariance(model: CovarianceModel | AnyLinear) -> CovarianceModel:
    r"""Return the covariances of the stationary process that a model describes.

    With :math:`P = A P A^\top + Q` (discrete) or :math:`A P + P A^\top + Q = 0` (continuous),

    .. math::

        N = A P C^\top + S, \quad \Lambda_0 = C P C^\top + R, \qquad\text{or}\qquad
        N = P C^\top + S, \quad \Lambda_0 := R.

    Parameters
    ----------
    model : CovarianceModel, GaussianSSM, InnovationSSM or LinearSSM
        A stable model. A LinearSSM is driven by white noise of unit covariance. The initial state
        (`m0`, `P0`, `x0`) and known inputs (`B`, `D`) do not enter: the covariances are those of
        the stationary part of y.

    Returns
    -------
    CovarianceModel
        With the same A, C and dt; a CovarianceModel is returned as it is.

    Raises
    ------
    TypeError
        If `model` is another kind of object.
    UnstableModelError
        If A is not stable: the process has no stationary covariances.

    See Also
    --------
    to_gaussian, innovation_form : Back to a model with a state.

    Notes
    -----
    Costs one Lyapunov equation, O(n^3). Two models describe the same process exactly when their
    covariances agree.

    References
    ----------
    Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.GaussianSSM([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    >>> cov = realization.to_covariance(model)
    >>> bool(np.isclose(cov.Lambda0[0, 0], 3.0 / (1 - 0.25) + 1.0))
    True
    """
    as_instance("model", model, _RECORDS)
    if isinstance(model, CovarianceModel):
        return model
    N, Lambda0 = covariance_data(model)
    return CovarianceModel(model.A, model.C, N, Lambda0, dt=model.dt)


def to_gaussian(model: CovarianceModel | AnyLinear, P: ArrayLike | None = None) -> GaussianSSM:
    r"""Return a Gaussian state-space model of the process, with a chosen state covariance.

    The set of all models of one process with one (A, C, N) is parametrised by the state covariance
    P: the blocks of the Kalman-Yakubovich-Popov matrix are the noise covariances,

    .. math::

        M(P) = \begin{bmatrix} Q & S \\ S^\top & R \end{bmatrix} \succeq 0.

    Parameters
    ----------
    model : CovarianceModel, GaussianSSM, InnovationSSM or LinearSSM
        The process. A LinearSSM is driven by white noise of unit covariance.
    P : (n, n) array_like, optional
        Stationary state covariance of the model wanted. Default: the model's own; for a
        CovarianceModel the minimal one, which gives the innovations model.

    Returns
    -------
    GaussianSSM
        With the inputs of `model`, if it has any. Without `P`, a GaussianSSM is returned as it is,
        and an InnovationSSM gives a model with ``m0 = x0`` and ``P0 = 0``: the same law. With `P`,
        the initial state has covariance `P`.

    Raises
    ------
    TypeError
        If `model` is another kind of object.
    ValueError
        If `P` has another shape, is not symmetric, or is not the covariance of any model of this
        process: :math:`M(P)` has a negative eigenvalue (below -1e-8, relative).
    NotPositiveRealError
        If a CovarianceModel is not that of any process.
    UnstableModelError
        If A is not stable and a stationary covariance is needed.

    See Also
    --------
    minimal_covariance, maximal_covariance, realization_family : Distinguished choices of P.
    innovation_form : The one model whose state can be computed from past outputs.

    Notes
    -----
    Costs one Lyapunov equation and one eigenvalue decomposition, O((n + p)^3). Eigenvalues of
    :math:`M(P)` that rounding made negative (above -1e-8, relative) are set to zero.

    References
    ----------
    Faurre (1976); Lindquist and Picci (2015), the chapter on the positive real lemma.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> low = realization.to_gaussian(cov, realization.minimal_covariance(cov))
    >>> high = realization.to_gaussian(cov, realization.maximal_covariance(cov))
    >>> a, b = realization.to_covariance(low), realization.to_covariance(high)
    >>> bool(np.allclose(a.N, b.N) and np.allclose(a.Lambda0, b.Lambda0))
    True
    """
    as_instance("model", model, _RECORDS)
    A, C, dt = model.A, model.C, model.dt
    if P is not None:
        return _gaussian_with_covariance(model, P)
    if isinstance(model, GaussianSSM):
        return model
    if isinstance(model, CovarianceModel):
        _, K, Re = innovation_data(model)
        Q, R, S = noise_covariances(InnovationSSM(A, C, K, Re, dt=dt))
        return GaussianSSM(A, C, Q, R, S, dt=dt)
    Q, R, S = noise_covariances(model)
    if isinstance(model, LinearSSM):
        return GaussianSSM(A, C, Q, R, S, dt=dt)
    P0 = np.zeros_like(A)
    return GaussianSSM(A, C, Q, R, S, B=model.B, D=model.D, m0=model.x0, P0=P0, dt=dt)


def innovation_form(model: CovarianceModel | AnyLinear) -> InnovationSSM:
    r"""Return the innovations model of a process: its steady-state Kalman predictor.

    .. math::

        x_{t+1} = A x_t + B u_t + K e_t, \quad y_t = C x_t + D u_t + e_t, \quad
        \operatorname{cov} e_t = R_e,

    with :math:`A - K C` stable: the state is a function of past outputs, and the noise is the
    part of y that they cannot predict.

    Parameters
    ----------
    model : CovarianceModel, GaussianSSM, InnovationSSM or LinearSSM
        The process. A LinearSSM is driven by white noise of unit covariance. A with poles on or
        outside the stability boundary is allowed where the outputs see them, except for a
        CovarianceModel.

    Returns
    -------
    InnovationSSM
        With the inputs and the initial mean of `model`; an InnovationSSM with a stable predictor
        is returned as it is.

    Raises
    ------
    TypeError
        If `model` is another kind of object.
    NotPositiveRealError
        If a CovarianceModel is not that of any process.
    AccuracyError
        If no stabilising solution of the Riccati equation exists, for example because outputs are
        linearly dependent.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero, so that K has lost digits.

    See Also
    --------
    minimal_covariance : The state covariance of this model.
    spectral_factor : The same model driven by normalised white noise.

    Notes
    -----
    Costs one Riccati equation, O(n^3). The innovations model is unique for a given basis of the
    state, and only for it is the likelihood of data a plain sum of squares.

    References
    ----------
    Anderson and Moore (1979); Lindquist and Picci (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.GaussianSSM([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    >>> predictor = realization.innovation_form(model)
    >>> a, b = realization.to_covariance(model), realization.to_covariance(predictor)
    >>> bool(np.allclose(a.N, b.N) and np.allclose(a.Lambda0, b.Lambda0))
    True
    """
    as_instance("model", model, _RECORDS)
    A, C, dt = model.A, model.C, model.dt
    if isinstance(model, CovarianceModel):
        _, K, Re = innovation_data(model)
        return InnovationSSM(A, C, K, Re, dt=dt)
    if isinstance(model, InnovationSSM) and stability_margin(A - model.K @ C, dt) >= 0:
        return model
    Q, R, S = noise_covariances(model)
    _, K, Re = solve_filter_riccati(A, C, Q, R, S, dt=dt)
    if isinstance(model, LinearSSM):
        return InnovationSSM(A, C, K, Re, dt=dt)
    x0 = model.m0 if isinstance(model, GaussianSSM) else model.x0
    return InnovationSSM(A, C, K, Re, B=model.B, D=model.D, x0=x0, dt=dt)


def _gaussian_with_covariance(model: CovarianceModel | AnyLinear, P: ArrayLike) -> GaussianSSM:
    """Return the model of the process whose stationary state covariance is P."""
    cov = to_covariance(model)
    n = cov.n_states
    P = as_symmetric("P", P, n, because=f"to match `A` {cov.A.shape}")
    M = kyp_matrix(cov, P)
    smallest = np.linalg.eigvalsh(M)[0]
    scale = max(np.linalg.norm(P, 2) if n else 0.0, np.linalg.norm(cov.Lambda0, 2))
    if smallest < -1e-8 * scale:
        raise ValueError(
            "`P` must be the state covariance of a model of this process: its "
            f"Kalman-Yakubovich-Popov matrix has the eigenvalue {smallest:.3g} (scale {scale:.3g})."
            " Every such P lies between minimal_covariance(cov) and maximal_covariance(cov)."
        )
    factor = covariance_factor(M)
    noise = factor @ factor.T
    Q, R, S = noise[:n, :n], noise[n:, n:], noise[:n, n:]
    if isinstance(model, (CovarianceModel, LinearSSM)):
        return GaussianSSM(cov.A, cov.C, Q, R, S, dt=cov.dt)
    m0 = model.m0 if isinstance(model, GaussianSSM) else model.x0
    return GaussianSSM(cov.A, cov.C, Q, R, S, B=model.B, D=model.D, m0=m0, dt=cov.dt)
