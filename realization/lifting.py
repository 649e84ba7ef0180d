r"""Carleman lifting: a polynomial vector field becomes a bilinear model of the monomials of x.

For :math:`\dot x = f_0(x) + \sum_i u_i f_i(x)` with polynomial fields
:math:`f_i(x) = \sum_k F_{i,k} x^{\otimes k}`, the lifted state :math:`z = (x, x^{\otimes 2}, \dots,
x^{\otimes N})` satisfies

.. math::

    \frac{d}{dt} x^{\otimes j} = \sum_k \Bigl(\sum_{l < j} I^{\otimes l} \otimes F_k \otimes
    I^{\otimes (j - 1 - l)}\Bigr) x^{\otimes (j + k - 1)},

which is linear in z; the drift gives A, the field of input i gives N_i and, through its constant
part, column i of B. Powers above N are dropped: that is the only approximation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_array, as_choice, as_integer, as_items, as_matrix, require_memory
from ._words import counted
from .bilinear import BilinearSSM

__all__ = ["carleman", "carleman_state"]

Power = tuple[int, ...]  # the indices of the factors of a product of states


def carleman(
    vector_fields: Sequence[Sequence[ArrayLike]],
    degree: int,
    *,
    x0: ArrayLike | None = None,
    basis: Literal["kronecker", "monomial"] = "kronecker",
) -> BilinearSSM:
    r"""Lift a polynomial control system to a bilinear model in continuous time.

    :math:`\dot x = f_0(x) + \sum_i u_i f_i(x)` with
    :math:`f_i(x) = \sum_k F_{i,k}\, x^{\otimes k}`.

    Parameters
    ----------
    vector_fields : sequence of sequences of array_like
        ``[f_0, f_1, ..., f_m]``, the drift first. Each field is the list of its matrices by
        Kronecker power, ``[F_0, F_1, F_2, ...]`` with ``F_k`` of shape (n, n^k); ``F_0`` may be
        (n,). Lists may end early.
    degree : int
        Highest power N that is kept, at least 1.
    x0 : (n,) array_like, optional
        Initial state of the original system; the model gets its lifted version. Default zero.
    basis : {"kronecker", "monomial"}
        Coordinates of the lifted state: all Kronecker powers, :math:`n + n^2 + \dots + n^N` of
        them, or each monomial once, :math:`\binom{n+N}{N} - 1`.

    Returns
    -------
    BilinearSSM
        With ``dt = 0``; its output is x, the first n lifted states.

    Raises
    ------
    TypeError
        If `vector_fields` is not a list of lists, `degree` is not an integer or an entry is not
        numeric.
    ValueError
        If shapes disagree, `degree` is below 1, or the drift has a constant part.

    See Also
    --------
    carleman_state : The lifted state of any point.
    simulate : With ``dt=`` for a model in continuous time.

    Notes
    -----
    Exact when the dropped terms have no effect on x, for instance in a cascade in which powers
    feed only later states. Otherwise the guarantee is local: for a small state and input and a
    bounded time the error falls geometrically with N; far from the origin it grows with N.

    The arrays are dense: (m + 1) size^2 numbers.

    A drift with :math:`f_0(0) \ne 0` has no equilibrium at the origin: shift the coordinates.

    References
    ----------
    A. J. Krener, "Bilinear and nonlinear realizations of input-output maps", SIAM Journal on
    Control 13(4), 1975.

    Examples
    --------
    The logistic equation :math:`\dot x = x (1 - x) + u` near its equilibrium 1, in x - 1:

    >>> import numpy as np
    >>> from realization import carleman, simulate
    >>> model = carleman([[[0.0], [[-1.0]], [[-1.0]]], [[1.0]]], degree=12, x0=[-0.3])
    >>> y = simulate(model, np.zeros((6, 1)), dt=0.5).y[:, 0]
    >>> t = 0.5 * np.arange(6)
    >>> bool(np.allclose(1 + y, 1 / (1 + (1 / 0.7 - 1) * np.exp(-t)), atol=1e-6))
    True
    """
    degree = as_integer("degree", degree, minimum=1)
    as_choice("basis", basis, ("kronecker", "monomial"))
    fields = _checked_fields(vector_fields)
    n = len(fields[0][0])
    if fields[0][0].any():
        raise ValueError(
            "`vector_fields[0]` must vanish at the origin: its constant part is "
            f"{fields[0][0][:, 0]}. Shift the coordinates to an equilibrium, or pass the constant "
            "part as the field of an input that is always 1."
        )
    if x0 is None:
        x0 = np.zeros(n)
    x0 = as_matrix("x0", x0, (n,), because="to match the fields")
    powers = _powers(n, degree, basis)
    size = len(powers)
    require_memory(f"`degree` = {degree} of {counted(n, 'state')}", size**2 * len(fields))
    lifted = [_lifted_field(field, powers, basis) for field in fields]
    N = np.array([matrix for matrix, _ in lifted[1:]]).reshape(-1, size, size)
    B = np.array([constant for _, constant in lifted[1:]]).reshape(-1, size).T
    state = carleman_state(x0, degree, basis=basis)
    return BilinearSSM(lifted[0][0], N, B, np.eye(n, size), x0=state, dt=0.0)


def carleman_state(
    x: ArrayLike, degree: int, *, basis: Literal["kronecker", "monomial"] = "kronecker"
) -> np.ndarray:
    r"""Return the lifted state of a point: its powers up to `degree`.

    Parameters
    ----------
    x : (..., n) array_like
        Points of the original system.
    degree : int
        Highest power N, at least 1.
    basis : {"kronecker", "monomial"}
        As in `carleman`.

    Returns
    -------
    (..., size) ndarray
        :math:`(x, x^{\otimes 2}, \dots, x^{\otimes N})`, or each monomial once, lower powers first.

    Raises
    ------
    TypeError
        If `x` is not numeric or `degree` is not an integer.
    ValueError
        If `x` is a single number or has no components, a power of it overflows, or `degree` is
        below 1.

    Examples
    --------
    >>> from realization import carleman_state
    >>> carleman_state([2.0, 3.0], 2)
    array([2., 3., 4., 6., 6., 9.])
    >>> carleman_state([2.0, 3.0], 2, basis="monomial")
    array([2., 3., 4., 6., 9.])
    """
    x = as_array("x", x)
    degree = as_integer("degree", degree, minimum=1)
    as_choice("basis", basis, ("kronecker", "monomial"))
    if x.ndim == 0 or x.shape[-1] == 0:
        found = "a single number" if x.ndim == 0 else x.shape
        raise ValueError(f"`x` must have shape (..., n), n at least 1; got {found}.")
    powers = _powers(x.shape[-1], degree, basis)
    with np.errstate(over="ignore"):
        z = np.stack([x[..., list(power)].prod(axis=-1) for power in powers], axis=-1)
    if not np.isfinite(z).all():
        raise ValueError(
            f"`x` is too large for degree {degree}: one of its powers overflows. Use other units."
        )
    return z


def _checked_fields(vector_fields: Sequence[Sequence[ArrayLike]]) -> list[list[np.ndarray]]:
    """Return the fields as lists of (n, n^k) matrices, at least the constant part of each."""
    fields = as_items("vector_fields", vector_fields, "fields [f_0, ..., f_m]")
    fields = [
        as_items(f"vector_fields[{i}]", field, "matrices by Kronecker power")
        for i, field in enumerate(fields)
    ]
    if not fields or not all(fields):
        raise ValueError(
            "`vector_fields` must be [f_0, ..., f_m], each field the list of its matrices by "
            "Kronecker power, the constant part first; got an empty list."
        )
    n = len(np.atleast_1d(as_array("vector_fields[0][0]", fields[0][0])))
    checked = []
    for i, field in enumerate(fields):
        matrices = []
        for k, matrix in enumerate(field):
            name = f"vector_fields[{i}][{k}]"
            array = as_array(name, matrix)
            if k == 0 and array.ndim == 1:
                array = array[:, np.newaxis]
            because = f"the matrix of Kronecker power {k} for {counted(n, 'state')}"
            matrices.append(as_matrix(name, array, (n, n**k), because=because))
        checked.append(matrices)
    return checked


def _powers(n: int, degree: int, basis: str) -> dict[Power, int]:
    """Return the lifted states: the indices of their factors, with their places."""
    count = n ** min(degree, 63) if n > 1 else degree
    if basis == "monomial":
        count = math.comb(n + degree, degree) - 1
    require_memory(f"`degree` = {degree} of {counted(n, 'state')}", count * degree)
    choose = itertools.combinations_with_replacement
    powers = []
    for j in range(1, degree + 1):
        of_degree = (
            choose(range(n), j) if basis == "monomial" else itertools.product(range(n), repeat=j)
        )
        powers.extend(of_degree)
    return {power: place for place, power in enumerate(powers)}


def _lifted_field(
    field: list[np.ndarray], powers: dict[Power, int], basis: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (size, size) of a field on the lifted state, and its constant part.

    By the product rule each factor of a power is replaced, in turn, by what the field makes of it.
    """
    n = len(field[0])
    terms: list[list[tuple[Power, float]]] = [[] for _ in range(n)]
    for k, F in enumerate(field):
        factors = list(itertools.product(range(n), repeat=k))
        for i, column in np.argwhere(F):
            terms[i].append((factors[column], F[i, column]))
    dtype = np.result_type(*field)
    matrix, constant = np.zeros((len(powers), len(powers)), dtype), np.zeros(len(powers), dtype)
    for power, row in powers.items():
        for place, factor in enumerate(power):
            for replacement, coefficient in terms[factor]:
                target = power[:place] + replacement + power[place + 1 :]
                if basis == "monomial":
                    target = tuple(sorted(target))
                if not target:
                    constant[row] += coefficient
                elif target in powers:
                    matrix[row, powers[target]] += coefficient
    return matrix, constant
