r"""Poles, zeros and the frequency response.

::

    frequency_response   G(z) = D + C (zI - A)^-1 B    at z = exp(i omega dt), or s = i omega
    poles                eigenvalues of A
    transmission_zeros   z where [[A - zI, B], [C, D]] loses rank
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._transfer import frequency_points, transfer_values
from ._validation import as_instance
from .models import AnyLinear, GaussianSSM, InnovationSSM, LinearSSM, StateSpaceRecord

__all__ = ["frequency_response", "poles"]


def frequency_response(model: AnyLinear, omega: ArrayLike) -> np.ndarray:
    r"""Compute the frequency response from inputs to outputs.

    .. math::

        G(z) = D + C (zI - A)^{-1} B, \qquad
        z = e^{i\omega\,dt} \;(dt > 0) \quad\text{or}\quad z = i\omega \;(dt = 0).

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        Any model with a state; its noise plays no part. It need not be stable.
    omega : array_like
        Angular frequencies in radians per unit of `dt` (rad/s), of any shape. In discrete time
        the response is periodic with period 2 pi / dt.

    Returns
    -------
    (..., p, m) ndarray
        Complex; the leading axes are those of `omega`.

    Raises
    ------
    ValueError
        If a frequency is not finite, or the model has a pole exactly there.

    See Also
    --------
    spectral_density : The power spectrum of the output noise.

    Notes
    -----
    One complex Schur form of A, then one back substitution per frequency, done for all
    frequencies at once: :math:`O(n^3)` once and :math:`O(n^2 \min(m, p))` per frequency. The
    solution is backward stable at every frequency; its accuracy is that of solving with
    :math:`zI - A` itself. The response from the noise of an innovations model is that of
    ``LinearSSM(A, K, C, numpy.eye(p))``.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[1.0]])
    >>> response = realization.frequency_response(model, [0.0, np.pi])
    >>> bool(np.allclose(response[:, 0, 0], [1 / (1 - 0.5), 1 / (-1 - 0.5)]))
    True
    """
    model = as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM))
    points = frequency_points(omega, model.dt)
    values = transfer_values(model.A, model.B, model.C, model.D, points.ravel())
    return values.reshape(points.shape + values.shape[1:])


def poles(model: StateSpaceRecord) -> np.ndarray:
    r"""Compute the poles: the eigenvalues of the state matrix.

    Parameters
    ----------
    model : record
        Any record with a state matrix `A`.

    Returns
    -------
    (n,) ndarray
        Complex, the slowest first: by decreasing modulus in discrete time, by decreasing real
        part in continuous time. The two of a complex pair are neighbours, the one with positive
        imaginary part first.

    Notes
    -----
    A pole of multiplicity k is known to about :math:`\epsilon^{1/k}` only: a delay of eight
    samples shows eight computed poles of modulus near 0.01, not 0.

    Examples
    --------
    >>> import realization
    >>> model = realization.LinearSSM([[0.0, -0.5], [0.5, 0.0]], [[1.0], [0.0]], [[1.0, 0.0]])
    >>> realization.poles(model)
    array([0.+0.5j, 0.-0.5j])
    """
    model = as_instance("model", model, (StateSpaceRecord,))
    values = np.asarray(np.linalg.eigvals(model.A), dtype=complex)
    slowness = np.real(values) if model.dt == 0.0 else np.abs(values)
    height = np.imag(values)
    return values[np.lexsort((-height, -np.abs(height), -slowness))]
