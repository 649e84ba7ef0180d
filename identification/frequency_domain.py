r"""Subspace identification from a measured frequency response, on any grid of frequencies.

With :math:`z_k = e^{i \omega_k dt}` and :math:`X_k` the state response,
:math:`z_k X_k = A X_k + B`, :math:`G_k = C X_k + D`, every frequency satisfies

.. math::

    \begin{bmatrix} G_k \\ z_k G_k \\ \vdots \\ z_k^{q-1} G_k \end{bmatrix}
    = \Gamma X_k + H \begin{bmatrix} I \\ z_k I \\ \vdots \\ z_k^{q-1} I \end{bmatrix},

real and imaginary parts each. That is the data equation of time-domain subspace methods with
frequencies in place of times: the second term is projected out, what is left spans the extended
observability matrix :math:`\Gamma`, its shift gives A and C, and G is linear in B and D.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import LinearSSM, NumericalWarning, frequency_response
from realization.internal import (
    as_array,
    as_dt,
    as_integer,
    counted,
    stability_margin,
    triangular_factor,
)

from .model_repair import stabilize
from .projections import ROUNDING

__all__ = ["frequency_subspace_id"]


def frequency_subspace_id(
    response: ArrayLike,
    omega: ArrayLike,
    order: int,
    *,
    dt: float = 1.0,
    rows: int | None = None,
    weights: ArrayLike | None = None,
    feedthrough: bool = True,
    stable: bool = False,
) -> LinearSSM:
    r"""Identify a real state-space model from samples of its frequency response.

    Finds :math:`(A, B, C, D)` of order `order` with

    .. math:: G(e^{i\omega_k dt}) = D + C (e^{i\omega_k dt} I - A)^{-1} B \approx G_k,
              \quad k = 1, \dots, N,

    without iterations or starting values; exactly, when such a system made the samples.

    Parameters
    ----------
    response : (N, p, m) or (N,) array_like
        Measured frequency response, complex; one axis means one input and one output.
    omega : (N,) array_like
        Angular frequencies in radians per unit of `dt`, between 0 and pi / dt, in any order and
        with any spacing.
    order : int
        State dimension.
    dt : float, default 1.0
        Sample time.
    rows : int, optional
        Block rows q of the data equation, more than ``order / p``; default ``2 * order + 2``, as
        far as the frequencies allow.
    weights : (N,) array_like, optional
        Positive weight of each frequency, such as the inverse of the standard deviation of its
        noise; default equal.
    feedthrough : bool, default True
        Estimate D; otherwise it is 0.
    stable : bool, default False
        Move unstable eigenvalues of A inside the unit circle, with a warning, before B and D are
        fitted.

    Returns
    -------
    LinearSSM
        The model.

    Raises
    ------
    TypeError
        If the samples are not numbers.
    ValueError
        If shapes disagree, a sample is not finite, a frequency is out of range or measured twice,
        a weight is not positive, or there are too few frequencies for the order.

    Warns
    -----
    NumericalWarning
        If the model is unstable (or was made stable), or the response does not carry this order.

    See Also
    --------
    subspace_id : From records in time.
    realization.ho_kalman : From an impulse response.

    Notes
    -----
    Real and imaginary part of each sample are one equation each; the frequencies 0 and pi / dt give
    one. There must be at least rows + order of them. Cost: :math:`O(N m (q (m + p))^2)`. Exact for
    samples without noise, and consistent when their noise is independent, zero mean and, after
    weighting, equally strong at all frequencies. On a narrow band of frequencies the powers of z
    hardly differ, and the problem is ill-conditioned: take few rows, or a coarser `dt`.

    References
    ----------
    T. McKelvey, H. Akçay and L. Ljung, "Subspace-based multivariable system identification from
    frequency response data", IEEE Transactions on Automatic Control 41, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import frequency_subspace_id
    >>> from realization import LinearSSM, frequency_response
    >>> plant = LinearSSM([[0.8, 0.5], [-0.5, 0.8]], [[1.0], [0.0]], [[1.0, 0.3]], [[0.2]])
    >>> omega = np.geomspace(0.01, np.pi, 40)
    >>> model = frequency_subspace_id(frequency_response(plant, omega), omega, 2)
    >>> fine = np.linspace(0, np.pi, 500)
    >>> error = frequency_response(model, fine) - frequency_response(plant, fine)
    >>> bool(np.abs(error).max() < 1e-11)
    True
    """
    G, points, scale, dt = _checked(response, omega, weights, dt)
    order = as_integer("order", order)
    N, p, m = G.shape
    q = _block_rows(order, rows, _equations(points, dt), p)
    z = np.exp(1j * points * dt)
    A, C = _state_equation(G, z, scale, order, q)
    if (margin := stability_margin(A, 1.0)) <= 0:
        if stable:
            A, note = stabilize(A)
        else:
            note = f"A is unstable: largest modulus {1 - margin:.5f}; stable=True moves it inside"
        warnings.warn(note, NumericalWarning, stacklevel=2)
    # G_k = D + C (z_k I - A)^-1 B, least squares in [B; D]
    states = LinearSSM(A, np.eye(order), C, np.zeros((p, order)), dt=dt)
    regressors = frequency_response(states, points)
    if feedthrough:
        regressors = np.concatenate([regressors, np.broadcast_to(np.eye(p), (N, p, p))], axis=2)
    left = _real_rows(scale[:, None, None] * regressors).reshape(2 * N * p, -1)
    right = _real_rows(scale[:, None, None] * G).reshape(2 * N * p, m)
    solution = np.linalg.lstsq(left, right, rcond=None)[0]
    D = solution[order:] if feedthrough else np.zeros((p, m))
    return LinearSSM(A, solution[:order], C, D, dt=dt)


def _checked(
    response: ArrayLike, omega: ArrayLike, weights: ArrayLike | None, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return response (N, p, m), frequencies, weights and sample time, checked."""
    G = as_array("response", response)
    G = G[:, np.newaxis, np.newaxis] if G.ndim == 1 else G
    dt = as_dt(dt)
    if dt == 0.0:
        raise ValueError("`dt` must be positive: the model is in discrete time; got 0.0.")
    points = as_array("omega", omega)
    if G.ndim != 3 or points.shape != G.shape[:1] or np.iscomplexobj(points):
        raise ValueError(
            "`response` must have shape (N, p, m) and `omega` be real of shape (N,); got "
            f"{G.shape} and {points.shape}."
        )
    if 0 in G.shape:
        raise ValueError(
            f"`response` must have at least one frequency, output and input; got shape {G.shape}."
        )
    limit = np.pi / dt
    outside = (points < 0) | (points > limit * (1 + 1e-12))
    if outside.any():
        raise ValueError(
            f"`omega` must lie between 0 and pi / dt = {limit:.6g}; got {points[outside][0]:.6g}. "
            "Negative frequencies carry the complex conjugate: leave them out."
        )
    if np.unique(points).size < points.size:
        ordered = np.sort(points)
        twice = ordered[1:][np.diff(ordered) == 0][0]
        raise ValueError(
            f"`omega` holds {twice:.6g} more than once: average the samples of a frequency."
        )
    scale = np.ones(points.size) if weights is None else as_array("weights", weights)
    if scale.shape != points.shape or np.iscomplexobj(scale) or not (scale > 0).all():
        raise ValueError(
            f"`weights` must be positive numbers of shape ({points.size},), one a frequency."
        )
    return G, points, scale, dt


def _equations(points: np.ndarray, dt: float) -> int:
    """Return how many real equations the frequencies give, per input."""
    real = (points == 0) | np.isclose(points * dt, np.pi, rtol=1e-12, atol=0.0)
    return 2 * points.size - int(real.sum())


def _block_rows(order: int, rows: int | None, equations: int, p: int) -> int:
    """Return the number of block rows; refuse too few frequencies."""
    least = -(-order // p) + 1
    wanted = 2 * order + 2 if rows is None else as_integer("rows", rows, minimum=2)
    if wanted < least:
        raise ValueError(
            f"`rows` must be at least {least} for order {order} with {counted(p, 'output')}; got "
            f"{wanted}."
        )
    q = wanted if rows is not None else max(min(wanted, equations - order), least)
    if equations < q + order:
        raise ValueError(
            f"too few frequencies: order {order} with {q} block rows needs {q + order} real "
            f"equations (two a frequency, one at 0 and at pi / dt); got {equations}. Measure more "
            f"frequencies, or take a smaller order{' or fewer rows' if q > least else ''}."
        )
    return q


def _state_equation(
    G: np.ndarray, z: np.ndarray, scale: np.ndarray, order: int, q: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return A and C from the observability matrix that the projected response spans."""
    N, p, m = G.shape
    powers = scale[:, np.newaxis] * z[:, np.newaxis] ** np.arange(q)  # (N, q)
    # one row per frequency and input; columns: q blocks of m inputs, q blocks of p outputs
    inputs = np.einsum("kr,ij->kirj", powers, np.eye(m)).reshape(N * m, q * m)
    outputs = np.einsum("kr,kji->kirj", powers, G).reshape(N * m, q * p)
    R = triangular_factor(_real_rows(np.hstack([inputs, outputs])))
    gamma, sizes, _ = scipy.linalg.svd(R[q * m :, q * m :].T, full_matrices=False)
    rank = int(np.sum(sizes > ROUNDING * max(R.shape) * sizes[0])) if sizes.size else 0
    if rank < order:
        warnings.warn(
            f"the response carries a model of order {rank} only; what `order` = {order} adds is "
            "rounding",
            NumericalWarning,
            stacklevel=3,
        )
    gamma = gamma[:, :order]
    return np.linalg.lstsq(gamma[:-p], gamma[p:], rcond=None)[0], gamma[:p]


def _real_rows(rows: np.ndarray) -> np.ndarray:
    """Stack the real parts of the rows on their imaginary parts."""
    return np.concatenate([np.real(rows), np.imag(rows)])
