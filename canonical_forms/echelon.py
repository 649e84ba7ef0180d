r"""Observer echelon form: the outputs and their first predictions are the state.

Glossary: ``nu_i`` the structural index of output i, how many of the rows c_i, c_i A, c_i A^2, ...
are independent of the rows before them in the order C, CA, CA^2, ...
"""

from __future__ import annotations

import numpy as np

from .companion import REASON, chain_lengths, require_all_states
from .result import CanonicalForm, Linear, checked_model, finish

__all__ = ["echelon_form"]


def echelon_form(model: Linear, *, tol: float | None = None) -> CanonicalForm:
    r"""Take the first independent rows of the observability matrix as coordinates.

    The rows :math:`c_1, \dots, c_p, c_1 A, \dots, c_p A, c_1 A^2, \dots` are searched in this
    order; output i contributes :math:`c_i, c_i A, \dots, c_i A^{\nu_i - 1}`. These are the rows of
    :math:`T^{-1}`, so the state consists of outputs and their free predictions. A shifts along
    each chain, and the last row of chain i is free in the rows that come before
    :math:`c_i A^{\nu_i}` in the search and zero elsewhere; C selects states.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The model.
    tol : float, optional
        A row is independent of those before when its orthogonal part exceeds ``tol`` times its
        size, times the factor (at most 1 / sqrt(eps)) by which earlier decisions amplify
        rounding. Default: 10 n times machine epsilon.

    Returns
    -------
    CanonicalForm
        ``info["indices"]`` are the structural indices, ``info["singular_values"]`` the relative
        sizes that `tol` was compared with. Unique: the same system in other coordinates gives the
        same arrays.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    ValueError
        If `tol` is not positive.
    NotMinimalError
        If not all states are observable.
    AccuracyError
        If the residual exceeds 1e-6.

    Warns
    -----
    NumericalWarning
        If the condition number of T exceeds 1 / sqrt(eps).

    See Also
    --------
    companion_form : The form that shows the inputs' chains.
    schur_form : Safe for large orders.

    Notes
    -----
    Costs O(n^3). The free entries are an overlap-free parametrisation of all observable models with
    the same indices, which is what maximum likelihood needs; the condition number grows fast with
    the order.

    References
    ----------
    E. J. Hannan and M. Deistler, *The Statistical Theory of Linear Systems*, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import echelon_form
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.9, 0.1], [0.2, 0.5]], [[1.0], [1.0]], [[1.0, 2.0]])
    >>> form = echelon_form(model)
    >>> bool(np.allclose(form.model.A, [[0.0, 1.0], [-0.43, 1.4]]))
    True
    >>> bool((form.model.C == [[1.0, 0.0]]).all())
    True
    """
    name = "echelon form"
    checked_model(model, name, bilinear=REASON)
    A, C, n = model.A, model.C, model.n_states
    indices, values, tol = chain_lengths(A.T, C.T, tol)
    require_all_states(indices, values, n, "observable", name)
    rows, order, last = [], [], []
    for i, length in enumerate(indices):
        row = C[i]
        for power in range(length):
            rows.append(row)
            order.append((power, i))
            row = row @ A
        last.append(row)
    Tinv = np.array(rows).reshape(n, n)
    weight = np.linalg.norm(Tinv, axis=1)
    T = np.linalg.inv(Tinv / weight[:, np.newaxis]) / weight
    new_A, new_C = np.eye(n, k=1), np.zeros(C.shape)
    start = 0
    for i, length in enumerate(indices):
        earlier = np.array([place < (length, i) for place in order], dtype=bool)
        if length:
            new_A[start + length - 1] = np.where(earlier, last[i] @ T, 0.0)
            new_C[i, start] = 1.0
        else:
            new_C[i] = np.where(earlier, C[i] @ T, 0.0)
        start += length
    return finish(
        model, T, Tinv, form=name, safer="schur_form or balanced_form",
        exact={"A": new_A, "C": new_C}, tol=tol, indices=tuple(indices), singular_values=values,
    )  # fmt: skip
