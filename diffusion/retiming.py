r"""The same stationary process at another speed, and how it differs from its reverse."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import scipy

from realization import (
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    NotEmbeddable,
    NumericalWarning,
    to_covariance,
    to_gaussian,
)
from realization.internal import (
    as_flag,
    as_instance,
    as_real,
    covariance_factor,
    lyapunov_factor,
    real_logarithm,
    require_discrete,
    require_real,
    solve_lyapunov,
    symmetrize,
)

from ._factors import row_space
from .reversal import reverse

__all__ = ["irreversibility", "retime"]


def retime(
    model: CovarianceModel | GaussianSSM | InnovationSSM, speed: float, *, nearest: bool = False
) -> GaussianSSM:
    r"""Play a stationary process faster, slower or backwards, at the same stationary law.

    At speed h the state advances by h samples at a time,

    .. math::

        A_h = A^h = e^{h \log A}, \qquad Q_h = P - A_h P A_h^\top, \qquad S_h = A^{h-1} S,

    with the state covariance P, `C` and `R` as they were: every frame has the law of the
    original's, and at a whole speed k the result is every k-th frame.

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM or CovarianceModel
        A model without inputs. The latter two are read through ``to_gaussian``.
    speed : float
        Samples of the original for each sample of the result: 2 is twice as fast, 0.5 half, a
        negative speed runs backwards: ``retime(model, -h)`` is ``reverse(retime(model, h))``.
    nearest : bool, default False
        Where no such process exists, take the noise covariance nearest to the one that would be
        needed (least squares, the state measured in its own standard deviations), and warn.

    Returns
    -------
    GaussianSSM
        With the sample time and the initial law of `model`, in the same state coordinates. In
        continuous time :math:`(hA, C)` with noise :math:`(hQ, R/h, S)`.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If `speed` is zero or not finite, or the model has inputs.
    NotEmbeddable
        If `speed` is not whole and there is no such process: A is singular (a delay of whole
        samples) or has a negative real eigenvalue, so that it has no real logarithm
        (``violation`` is inf; `nearest` does not help), or the noise covariance needed is not
        positive semidefinite.
    UnstableModelError
        If `model` is not stable, unless `speed` is a positive whole number.

    Warns
    -----
    NumericalWarning
        If the noise covariance had to be replaced; the text says by how much the stationary
        covariance grows.

    See Also
    --------
    reverse : Speed -1.

    Notes
    -----
    Whole speeds always exist; they are computed by repeated doubling, O(n^3 log k). A fractional
    speed exists for every h if :math:`-(P F^\top + F P) \succeq 0` with :math:`F = \log A`
    (the process is then a sampled one, see ``continuize``); otherwise only the one requested is
    examined.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import retime
    >>> from realization import GaussianSSM
    >>> A = [[0.9, 0.2], [-0.2, 0.9]]
    >>> model = GaussianSSM(A, [[1.0, 0.0]], 0.2 * np.eye(2), [[0.1]])
    >>> slow = retime(model, 0.5)
    >>> again = retime(slow, 2)
    >>> bool(np.allclose(again.A, model.A) and np.allclose(again.Q, model.Q))
    True
    """
    as_instance("model", model, (CovarianceModel, GaussianSSM, InnovationSSM))
    require_real(model, "retime")
    as_flag("nearest", nearest)
    if (h := as_real("speed", speed)) == 0.0:
        raise ValueError("`speed` must not be zero: a process that stands still is a constant.")
    if model.n_inputs:
        raise ValueError(
            f"`model` must have no inputs: they have a speed of their own; got {model.n_inputs}. "
            "Retime to_covariance(model), the process around its response."
        )
    if h < 0:
        return reverse(retime(model, -h, nearest=nearest))
    model = to_gaussian(model)
    if model.dt == 0.0:
        return replace(model, A=h * model.A, Q=h * model.Q, R=model.R / h)
    if h == int(h):
        A, Q, before = _whole_steps(model.A, model.Q, int(h))
        return replace(model, A=A, Q=Q, S=before @ model.S)
    return _fractional(model, h, nearest)


def irreversibility(model: CovarianceModel | GaussianSSM | InnovationSSM) -> float:
    r"""Return how far a process is from its own time reversal.

    .. math:: \max_{k \ge 1} \|\Lambda_k - \Lambda_k^\top\|_F \,/\, \|\Lambda_0\|_F,

    zero if and only if the process and its reversal have the same law.

    Parameters
    ----------
    model : CovarianceModel, GaussianSSM or InnovationSSM
        A stable discrete-time model.

    Returns
    -------
    float
        Zero for one output: a scalar stationary Gaussian process is reversible.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model is in continuous time (:math:`\Lambda_0` is then not finite).
    UnstableModelError
        If `model` is not stable.

    See Also
    --------
    reverse : The other process.

    Notes
    -----
    Lags are computed in blocks until a bound on all later ones, from the observability Gramian,
    falls below the maximum found (or below rounding).

    Examples
    --------
    A rotation in one direction is not one in the other:

    >>> import numpy as np
    >>> from diffusion import irreversibility
    >>> from realization import GaussianSSM
    >>> A = 0.9 * np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> model = GaussianSSM(A, np.eye(2), np.eye(2), np.zeros((2, 2)))
    >>> bool(np.isclose(irreversibility(model), 2 * 0.9))
    True
    """
    as_instance("model", model, (CovarianceModel, GaussianSSM, InnovationSSM))
    require_discrete(model, "irreversibility")
    require_real(model, "irreversibility")
    cov = to_covariance(model)
    size = np.abs(cov.Lambda0).max(initial=0.0)
    gain = np.abs(cov.C).max(initial=0.0)
    if cov.n_outputs == 1 or size == 0.0 or gain == 0.0:
        return 0.0
    p, C, N = cov.n_outputs, cov.C / gain, cov.N / size * gain
    scale = np.linalg.norm(cov.Lambda0 / size)
    tail = lyapunov_factor(cov.A.T, C.T, dt=cov.dt).T  # |C A^j v| <= |tail v| for all j
    count = 64
    rows = [C]
    for _ in range(count - 1):
        rows.append(rows[-1] @ cov.A)
    observe, advance = np.concatenate(rows), np.linalg.matrix_power(cov.A, count)
    largest = 0.0
    while 2 * np.linalg.norm(tail @ N) > max(largest, 1e-16 * scale):
        lags = (observe @ N).reshape(count, p, p)
        gaps = np.linalg.norm(lags - np.swapaxes(lags, 1, 2), axis=(1, 2))
        largest, N = max(largest, float(gaps.max())), advance @ N
    return float(largest / scale)


def _whole_steps(A: np.ndarray, Q: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return A^k, the noise covariance of k steps, and A^(k - 1), by doubling."""
    power, noise, before = np.eye(len(A)), np.zeros_like(Q), np.linalg.matrix_power(A, k - 1)
    while k:
        if k % 2:
            power, noise = A @ power, A @ noise @ A.T + Q
        A, Q = A @ A, A @ Q @ A.T + Q
        k //= 2
    return power, symmetrize(noise), before


def _fractional(model: GaussianSSM, h: float, nearest: bool) -> GaussianSSM:
    """Return the model at a speed that is no whole number, in units of the state's deviations."""
    W = covariance_factor(model.Q)
    P = row_space(lyapunov_factor(model.A, W, dt=model.dt))
    try:
        A = scipy.linalg.expm(h * real_logarithm(model.A)) if model.n_states else model.A
    except NotEmbeddable as error:
        raise NotEmbeddable(
            f"There is no process at speed {h:g}: {error} Whole speeds exist.", violation=np.inf
        ) from error
    S = A @ np.linalg.solve(model.A, model.S)
    R = row_space(covariance_factor(model.R))
    step, known = P.inverse @ A @ P.factor, P.inverse @ S @ R.inverse.T
    values, vectors = np.linalg.eigh(np.eye(len(step)) - step @ step.T - known @ known.T)
    least, largest = values.min(initial=0.0), np.abs(values).max(initial=0.0)
    if least < -1e-9 * largest:
        growth = solve_lyapunov(step, vectors * (-values).clip(min=0.0) @ vectors.T, dt=model.dt)
        what = (
            f"There is no process at speed {h:g} with this stationary law: its noise covariance "
            f"would have an eigenvalue of {least:.3g} (in units of the state's variance)."
        )
        if not nearest:
            raise NotEmbeddable(
                f"{what} Take a whole speed, or nearest=True, which changes the stationary "
                f"covariance by up to {100 * np.linalg.norm(growth, 2):.3g} %.",
                violation=float(-least / largest),
            )
        warnings.warn(
            f"{what} The nearest one is used; the stationary covariance grows by up to "
            f"{100 * np.linalg.norm(growth, 2):.3g} %.",
            NumericalWarning,
            stacklevel=3,
        )
    noise = P.factor @ np.hstack([vectors * np.sqrt(values.clip(min=0.0)), known])
    return replace(model, A=A, Q=noise @ noise.T, S=P.factor @ known @ R.factor.T)
