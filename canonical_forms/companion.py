r"""Companion form of models with several inputs or outputs (Luenberger, Brunovsky).

Glossary: ``mu_i`` the length of the chain b_i, A b_i, ..., A^(mu_i - 1) b_i of input i; ``sigma_i``
= mu_1 + ... + mu_i the row where the free entries of chain i stand.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from realization import CovarianceModel, NotMinimalError
from realization.internal import as_choice, as_real, counted

from .result import CanonicalForm, Linear, checked_model, finish, input_matrix

__all__ = ["companion_form"]

REASON = "the N_i have no companion structure. Use schur_form, modal_form or minimal_form."


def companion_form(
    model: Linear,
    *,
    kind: Literal["controllable", "observable"] = "controllable",
    tol: float | None = None,
) -> CanonicalForm:
    r"""Write A as chains of shifts with free entries in one row (column) for each input (output).

    For a reachable pair the vectors :math:`b_1, b_2, \dots, A b_1, A b_2, \dots` are searched in
    this order for independent ones; input i contributes a chain of length :math:`\mu_i`. In the
    controllable form

    .. math:: T^{-1} A T = \begin{bmatrix} 0 & 1 & & \\ & & \ddots & \\ * & * & \cdots & * \\
        & & & \ddots \end{bmatrix},

    rows :math:`\sigma_i = \mu_1 + \dots + \mu_i` are free, all others shift. B is zero but for
    the rows :math:`\sigma_i`, where it is unit upper triangular. With one input this is the usual
    companion form. The observable form is the transposed one of :math:`(A^\top, C^\top)`.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The model. Only B (N for covariance data) counts as an input, or C as an output.
    kind : {"controllable", "observable"}
        Which form.
    tol : float, optional
        A vector is independent of those before when its orthogonal part exceeds ``tol`` times its
        size, times the factor (at most 1 / sqrt(eps)) by which earlier decisions amplify
        rounding. Default: 10 n times machine epsilon.

    Returns
    -------
    CanonicalForm
        ``info["indices"]`` are the lengths of the chains, ``info["singular_values"]`` the relative
        sizes that `tol` was compared with. Unique for a given order of the inputs.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    ValueError
        If `kind` is neither, or `tol` is not positive.
    NotMinimalError
        If not all states are reachable (observable).
    AccuracyError
        If the residual exceeds 1e-6.

    Warns
    -----
    NumericalWarning
        If the condition number of T exceeds 1 / sqrt(eps).

    See Also
    --------
    echelon_form : The observable sibling with C as selection of states.
    modal_form, schur_form : Safe for large orders.

    Notes
    -----
    Costs O(n^3). The form is made for reading and for hand calculation: the condition number grows
    exponentially with the order. For random A with two inputs its median is 1e2 at n = 10, 5e3 at
    n = 20 and 3e5 at n = 30; with one input it grows faster.

    References
    ----------
    D. G. Luenberger, "Canonical forms for linear multivariable systems", IEEE Transactions on
    Automatic Control 12, 1967.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import companion_form
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.9, 0.1], [0.2, 0.5]], [[1.0], [1.0]], [[1.0, 2.0]])
    >>> form = companion_form(model)
    >>> bool(np.allclose(form.model.A, [[0.0, 1.0], [-0.43, 1.4]]))
    True
    >>> bool(np.allclose(model.A @ form.T, form.T @ form.model.A))
    True
    """
    checked_model(model, "companion form", bilinear=REASON)
    as_choice("kind", kind, ("controllable", "observable"))
    name = f"{kind} companion form"
    if kind == "controllable":
        indices, values, tol = chain_lengths(model.A, input_matrix(model), tol)
        require_all_states(indices, values, model.n_states, "reachable", name)
        T, Tinv, A, B = _luenberger(model.A, input_matrix(model), indices)
        exact = {"A": A, "N" if isinstance(model, CovarianceModel) else "B": B}
    else:
        indices, values, tol = chain_lengths(model.A.T, model.C.T, tol)
        require_all_states(indices, values, model.n_states, "observable", name)
        X, Xinv, A, B = _luenberger(model.A.T, model.C.T, indices)
        T, Tinv, exact = Xinv.T, X.T, {"A": A.T, "C": B.T}
    return finish(
        model, T, Tinv, form=name, safer="modal_form or schur_form", exact=exact, tol=tol,
        indices=tuple(indices), singular_values=values,
    )  # fmt: skip


def chain_lengths(
    A: np.ndarray, B: np.ndarray, tol: float | None
) -> tuple[list[int], np.ndarray, float]:
    """Search b_1, b_2, ..., A b_1, A b_2, ... for independent vectors.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    B : (n, m) ndarray
        Columns where the chains start.
    tol : float or None
        As in `companion_form`.

    Returns
    -------
    indices : list of int
        Length of the chain of each column. A column once rejected is never tried again.
    values : ndarray
        Relative size of the new part of each vector tried.
    tol : float
        The tolerance used.

    Notes
    -----
    The next candidate of a chain is A times the last orthonormal direction, not the power itself:
    the decisions are the same in exact arithmetic, and do not suffer from parallel powers.
    """
    n, m = B.shape
    if tol is None:
        tol = 10 * max(n, 1) * float(np.finfo(float).eps)
    tol = as_real("tol", tol, above=0.0)
    norm_A = float(np.linalg.norm(A, 2)) if n else 0.0
    basis = np.zeros((n, 0))
    indices, values, amplified = [0] * m, [], 1.0
    candidates = {i: (B[:, i], float(np.linalg.norm(B[:, i]))) for i in range(m)}
    while candidates and basis.shape[1] < n:
        for i, (v, scale) in list(candidates.items()):
            if basis.shape[1] == n:
                break
            for _ in range(2):  # twice is enough for orthogonality to rounding
                v = v - basis @ (basis.T @ v)
            size = float(np.linalg.norm(v))
            relative = size / scale if scale > 0 else 0.0
            values.append(relative)
            if relative <= tol * amplified:
                del candidates[i]
                continue
            amplified = min(amplified / relative, float(np.finfo(float).eps ** -0.5))
            basis = np.concatenate([basis, v[:, np.newaxis] / size], axis=1)
            indices[i] += 1
            candidates[i] = (A @ basis[:, -1], norm_A)
    return indices, np.array(values), tol


def require_all_states(
    indices: list[int], values: np.ndarray, n: int, word: str, form: str
) -> None:
    """Raise if the chains do not span the state space."""
    if sum(indices) == n:
        return
    smallest = float(values.min(initial=1.0))
    raise NotMinimalError(
        f"The {form} needs every state to be {word}: the chains reach {sum(indices)} of "
        f"{counted(n, 'state')} (smallest relative size {smallest:.1e}). Call minimal_form first, "
        "or see the parts with kalman_decomposition.",
        singular_value=smallest,
    )


def _luenberger(
    A: np.ndarray, B: np.ndarray, indices: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return T, Tinv, A and B of the controllable companion form, structure exact."""
    n, m = B.shape
    chains = []
    for i, length in enumerate(indices):
        v = B[:, i]
        for _ in range(length):
            chains.append(v)
            v = A @ v
    L = np.array(chains).reshape(n, n).T
    scale = np.linalg.norm(L, axis=0)
    ends = np.cumsum(indices, dtype=int)
    used = np.flatnonzero(indices)
    heads = np.linalg.solve((L / scale).T, np.eye(n)[:, ends[used] - 1]) / scale[ends[used] - 1]
    rows, free = [], []
    for q, i in zip(heads.T, used, strict=True):
        for _ in range(indices[i]):
            rows.append(q)
            q = q @ A
        free.append(q)
    Tinv = np.array(rows).reshape(n, n)
    weight = np.linalg.norm(Tinv, axis=1)
    T = np.linalg.inv(Tinv / weight[:, np.newaxis]) / weight
    A_new, B_new = np.eye(n, k=1), np.zeros((n, m))
    for q, i in zip(free, used, strict=True):
        row = ends[i] - 1
        A_new[row] = q @ T
        for j in range(i + 1, m):
            if indices[j] < indices[i]:
                B_new[row, j] = Tinv[row] @ B[:, j]
        B_new[row, i] = 1.0
    return T, Tinv, A_new, B_new
