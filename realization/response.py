r"""Poles, zeros and the frequency response.

::

    frequency_response   G(z) = D + C (zI - A)^-1 B    at z = exp(i omega dt), or s = i omega
    poles                eigenvalues of A
    transmission_zeros   z where [[A - zI, B], [C, D]] loses rank
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._transfer import frequency_points, transfer_values
from ._validation import as_instance
from .exceptions import AccuracyError
from .models import AnyLinear, GaussianSSM, InnovationSSM, LinearSSM, StateSpaceRecord

__all__ = ["frequency_response", "poles", "transmission_zeros"]


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
        Angular frequencies in radians per unit of `dt`, of any shape. In discrete time
        the response is periodic with period 2 pi / dt.

    Returns
    -------
    (..., p, m) ndarray
        Complex; the leading axes are those of `omega`.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or `omega` is complex.
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

    Raises
    ------
    TypeError
        If `model` is another kind of object.

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


def transmission_zeros(model: AnyLinear) -> np.ndarray:
    r"""Compute the transmission zeros from inputs to outputs.

    They are the finite numbers z at which the system matrix

    .. math:: \begin{bmatrix} A - zI & B \\ C & D \end{bmatrix}

    has a smaller rank than at almost every other z: there an input :math:`u_t = u_0 z^t` and an
    initial state exist for which the output stays zero (if the rank falls in the columns).

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        A model with inputs; as many outputs as inputs or not. Its noise plays no part.

    Returns
    -------
    (k,) ndarray
        Complex, by decreasing modulus, repeated by multiplicity; those at infinity are left out.
        Empty for most systems with unequal numbers of inputs and outputs.

    Raises
    ------
    TypeError
        If `model` is another kind of object.
    ValueError
        If the model has no inputs.
    AccuracyError
        If the system matrix does not lose rank at a computed zero: its decisive singular value
        exceeds 1e-8 of the largest.

    See Also
    --------
    poles, frequency_response

    Notes
    -----
    These are the invariant zeros of the model as it stands. They are the zeros of the transfer
    function if the model is minimal; otherwise poles that the inputs do not reach, or that the
    outputs do not see, may be among them: reduce with ``canonical_forms.minimal_form`` first.

    Inputs, outputs and state are scaled to comparable size (the zeros do not depend on that). The
    pencil is then deflated by orthogonal transformations to a regular one of the size of the
    number of zeros (Emami-Naeini and Van Dooren, 1982; SLICOT AB08ND). A singular value counts as
    zero below :math:`\sqrt{(n+p)(n+m)}\,\epsilon` times the largest. :math:`O(n^3)`, and as much
    for the check of each zero. A zero of multiplicity k is known to about :math:`\epsilon^{1/k}`.

    The zeros from the innovations of a model to its outputs, which decide whether it is minimum
    phase, are the eigenvalues of :math:`A - KC`, or the zeros of
    ``LinearSSM(A, K, C, numpy.eye(p))``.

    References
    ----------
    Emami-Naeini and Van Dooren (1982), Computation of zeros of linear multivariable systems.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5, 1.0], [0.0, 0.2]], [[0.0], [1.0]], [[-0.8, 1.0]])
    >>> zeros = realization.transmission_zeros(model)
    >>> bool(np.allclose(zeros, [1.3]))
    True
    """
    model = as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM))
    n, m, p = model.n_states, model.n_inputs, model.n_outputs
    if m == 0:
        raise ValueError(
            f"This {type(model).__name__} has no inputs, so there is no transfer function to have "
            "zeros. For the zeros from the innovations to the outputs take "
            "LinearSSM(A, K, C, numpy.eye(p))."
        )
    if n == 0:
        return np.zeros(0, dtype=complex)
    import slycot

    scaled = _equilibrated(np.block([[model.A, model.B], [model.C, model.D]]), n)
    A, B, C, D = scaled[:n, :n], scaled[:n, n:], scaled[n:, :n], scaled[n:, n:]
    deflate = slycot.ab08nz if any(map(np.iscomplexobj, (A, B, C, D))) else slycot.ab08nd
    workspace = 8 * (n + m + p)  # the wrapper's default is too small for wide and tall models
    count, rank, *_, F, E = deflate(n, m, p, A, B, C, D, "S", 0, workspace)[:10]
    zeros = np.asarray(scipy.linalg.eigvals(F[:count, :count], E[:count, :count]), dtype=complex)
    for z in zeros:
        pencil = np.block([[A - z * np.eye(n), B], [C, D]])
        values = np.linalg.svd(pencil, compute_uv=False)
        if not values[n + rank - 1] <= 1e-8 * values[0]:
            residual = float(values[n + rank - 1] / values[0])
            raise AccuracyError(
                f"The system matrix does not lose rank at the computed zero {complex(z):.6g}: "
                f"relative singular value {residual:.2e}. Likely cause: a badly scaled state; "
                "balance the model first.",
                residual=residual,
            )
    return zeros[np.lexsort((-np.imag(zeros), -np.abs(zeros)))]


def _equilibrated(matrix: np.ndarray, n: int) -> np.ndarray:
    """Return the compound [[A, B], [C, D]] in units of inputs, outputs and state that fit it.

    In turn, until nothing changes: each input column and output row gets norm one, and the row and
    the column of each state norms alike. Scales are powers of two, so that nothing is rounded.
    """
    matrix = np.array(matrix)
    for _ in range(50):
        before = matrix.copy()
        for i in range(n):
            others = np.arange(max(matrix.shape)) != i
            row = np.linalg.norm(matrix[i, others[: matrix.shape[1]]])
            column = np.linalg.norm(matrix[others[: matrix.shape[0]], i])
            if row > 0 and column > 0:
                scale = _power_of_two(np.sqrt(row) / np.sqrt(column))
                matrix[i] /= scale
                matrix[:, i] *= scale
        matrix[:, n:] /= _power_of_two(np.linalg.norm(matrix[:, n:], axis=0))
        matrix[n:] /= _power_of_two(np.linalg.norm(matrix[n:], axis=1, keepdims=True))
        if np.array_equal(matrix, before):
            break
    return matrix


def _power_of_two(sizes: np.ndarray) -> np.ndarray:
    """Return the powers of two nearest to positive numbers, one for zero."""
    return np.exp2(np.round(np.log2(np.where(sizes > 0, sizes, 1.0))))
