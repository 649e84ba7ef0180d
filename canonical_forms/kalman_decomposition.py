r"""What is reached, what is seen: the Kalman decomposition and the minimal form.

::

    T = [reached and unseen | reached and seen | unreached and unseen | unreached and seen]

Glossary: *reached* by what enters the state: inputs, noise, initial state; *seen* in the outputs.
Only the part that is both appears in the behaviour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from realization import AccuracyError, BilinearSSM, word_coefficients
from realization.internal import as_real, bilinear_minimal_coordinates, invariant_hull

from .result import (
    CanonicalForm,
    Linear,
    Model,
    change_coordinates,
    checked_model,
    entering_directions,
    finish,
)

__all__ = ["kalman_decomposition", "minimal_form"]

PARTS = (
    "reachable, unobservable",
    "reachable, observable",
    "unreachable, unobservable",
    "unreachable, observable",
)


def kalman_decomposition(model: Linear, *, tol: float | None = None) -> CanonicalForm:
    r"""Split the state by what reaches it and what sees it.

    .. math:: T^{-1} A T = \begin{bmatrix} A_{11} & A_{12} & A_{13} & A_{14} \\
        0 & A_{22} & 0 & A_{24} \\ 0 & 0 & A_{33} & A_{34} \\ 0 & 0 & 0 & A_{44} \end{bmatrix},
        \quad T^{-1} B = \begin{bmatrix} B_1 \\ B_2 \\ 0 \\ 0 \end{bmatrix}, \quad
        C T = \begin{bmatrix} 0 & C_2 & 0 & C_4 \end{bmatrix},

    with :math:`T = [\mathcal{R} \cap \bar{\mathcal{O}},\; \mathcal{R} \ominus,\;
    \bar{\mathcal{O}} \ominus,\; \text{rest}]` for the reachable subspace :math:`\mathcal{R}` and
    the unobservable subspace :math:`\bar{\mathcal{O}}`.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The model. Reachable is what inputs, noise (K, Q) and initial state (x0, m0, P0) move.
    tol : float, optional
        A direction counts when its singular value exceeds ``tol`` times the spectral norm of A (for
        the first directions: of what enters, each group scaled to one), times the factor by which
        earlier decisions have amplified rounding. Default: n times machine epsilon.

    Returns
    -------
    CanonicalForm
        ``info["sizes"]`` are the four dimensions, ``info["parts"]`` the same by name. The
        subspaces are unique, the coordinates in them are not.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    ValueError
        If `tol` is not positive.
    AccuracyError
        If the rank decisions at this `tol` contradict each other.

    See Also
    --------
    minimal_form : The second part alone.
    balanced_form : For parts that are nearly unreachable or nearly unobservable.

    Notes
    -----
    Bases by orthogonalised multiplication, O(n^3). Rank decisions of nearly unreachable models
    depend on `tol`: truncating a balanced form is then the robust way.

    References
    ----------
    R. E. Kalman, "Mathematical description of linear dynamical systems", SIAM Journal on Control
    1, 1963.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import kalman_decomposition
    >>> from realization import LinearSSM
    >>> model = LinearSSM(np.diag([0.9, 0.5, 0.2]), [[1.0], [0.0], [1.0]], [[1.0, 1.0, 0.0]])
    >>> form = kalman_decomposition(model)
    >>> form.info["sizes"]
    (1, 1, 0, 1)
    >>> bool(np.allclose(model.A @ form.T, form.T @ form.model.A))
    True
    """
    name = "Kalman decomposition"
    reason = "minimal_form and realization.reachable_subspace do this for bilinear models."
    checked_model(model, name, bilinear=reason)
    n, tol = model.n_states, _tolerance(model, tol)
    reached, seen, amplified, values = _reached_and_seen(model, tol)
    both = reached @ seen
    hidden = reached @ _complement(seen)
    whole, _, more = invariant_hull(
        model.C.T, model.A.T[np.newaxis], model.C, model.A[np.newaxis], tol, amplified
    )
    unseen = _complement(whole)
    count = unseen.shape[1] - hidden.shape[1]
    left, s, _ = np.linalg.svd(unseen - hidden @ (hidden.T @ unseen), full_matrices=False)
    extra = left[:, : max(count, 0)]
    spanned = np.concatenate([hidden, both, extra], axis=1)
    if count < 0 or spanned.shape[1] > n or (count and s[count - 1] < 0.5):
        raise AccuracyError(
            f"The rank decisions at tol = {tol:.1e} contradict each other: {unseen.shape[1]} "
            f"unobservable states, but {hidden.shape[1]} of them reachable and {both.shape[1]} "
            "reachable and observable. Choose another `tol`, or truncate(balanced_form(model)).",
            residual=float(s[count - 1]) if 0 < count <= s.size else 1.0,
        )
    T = np.concatenate([spanned, _complement(spanned)], axis=1)
    sizes = (hidden.shape[1], both.shape[1], extra.shape[1], n - spanned.shape[1])
    Tinv = np.linalg.inv(T)
    moved = change_coordinates(model, T, Tinv)
    part = np.repeat(np.arange(4), sizes)
    zero = {(1, 0), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}
    keep = np.array([[(i, j) not in zero for j in range(4)] for i in range(4)])
    exact = {"A": np.where(keep[part][:, part], moved.A, 0.0)}
    exact["C"] = np.where(np.isin(part, (1, 3)), moved.C, 0.0)
    inputs = "B" if hasattr(moved, "B") else "N"
    exact[inputs] = np.where((part < 2)[:, np.newaxis], getattr(moved, inputs), 0.0)
    return finish(
        model, T, Tinv, form=name, safer="truncate(balanced_form(model))", exact=exact, tol=tol,
        sizes=sizes, parts=dict(zip(PARTS, sizes, strict=True)),
        singular_values=np.concatenate([values, more]),
    )  # fmt: skip


def minimal_form(model: Model, *, tol: float | None = None) -> CanonicalForm:
    r"""Leave out every state that nothing reaches or no output sees.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        The model. Reachable is what inputs, noise (K, Q) and initial state (x0, m0, P0) move.
    tol : float, optional
        As for `kalman_decomposition`; for a BilinearSSM as for `realization.minimal_bilinear`.

    Returns
    -------
    CanonicalForm
        T (n, r) with orthonormal columns and Tinv its transpose. The outputs are the same for all
        inputs and all noise. ``info["residual"]`` compares Markov parameters (word coefficients).

    Raises
    ------
    TypeError
        If `model` is no record, or is complex.
    ValueError
        If `tol` is not positive.
    AccuracyError
        If the smaller model differs by more than 1e-6 in its Markov parameters: `tol` is too large.

    See Also
    --------
    kalman_decomposition : Keeps all parts, and shows them.
    truncate : Also leaves out what matters little, with an error bound.

    Notes
    -----
    The state is restricted to the reachable subspace, then to what is observable there, O(n^3).
    Two minimal models with the same behaviour are similar: see `similarity`.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import minimal_form
    >>> from realization import LinearSSM, markov_parameters
    >>> model = LinearSSM(np.diag([0.9, 0.5, 0.2]), [[1.0], [0.0], [1.0]], [[1.0, 1.0, 0.0]])
    >>> form = minimal_form(model)
    >>> form.model.n_states
    1
    >>> bool(np.allclose(markov_parameters(form.model, 5), markov_parameters(model, 5)))
    True
    """
    name = "minimal form"
    checked_model(model, name)
    values = np.zeros(0)
    if isinstance(model, BilinearSSM):
        T = bilinear_minimal_coordinates(model, tol)
        if tol is None:
            tol = (model.n_inputs + 1) * model.n_states * float(np.finfo(float).eps)
    else:
        tol = _tolerance(model, tol)
        reached, seen, _, values = _reached_and_seen(model, tol)
        T = reached @ seen
    residual = _behaviour_residual(model, change_coordinates(model, T, T.T), T)
    return finish(
        model, T, T.T, form=name, safer="a smaller `tol`", residual=residual, tol=tol,
        singular_values=values,
    )  # fmt: skip


def _tolerance(model: Linear, tol: float | None) -> float:
    """Return the tolerance, by default n eps."""
    if tol is None:
        return max(model.n_states, 1) * float(np.finfo(float).eps)
    return as_real("tol", tol, above=0.0)


def _reached_and_seen(
    model: Linear, tol: float
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Return a basis (n, r) of what is reached, one (r, s) of what is seen in it, amplification."""
    A, G = model.A[np.newaxis], entering_directions(model)
    reached, amplified, first = invariant_hull(G, A, G, A, tol, 1.0)
    restricted = (reached.T @ model.A @ reached).T[np.newaxis]
    shown = (model.C @ reached).T
    seen, _, second = invariant_hull(shown, restricted, model.C, A, tol, amplified)
    return reached, seen, amplified, np.concatenate([first, second])


def _complement(basis: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the orthogonal complement of independent columns."""
    complete, _ = np.linalg.qr(basis, mode="complete")
    return complete[:, basis.shape[1] :]


def _behaviour_residual(model: Any, moved: Any, T: np.ndarray) -> float:
    """Return the largest relative difference of what enters the outputs in the two models."""
    if isinstance(model, BilinearSSM):
        words, others = word_coefficients(model, 3), word_coefficients(moved, 3)
        before = np.array(list(words.values()))
        after = np.array([others[word] for word in words])
    else:
        G = entering_directions(model)
        H, before, after = T.T @ G, [], []
        for _ in range(2 * model.n_states + 1):
            before.append(model.C @ G)
            after.append(moved.C @ H)
            G, H = model.A @ G, moved.A @ H
        before, after = np.array(before), np.array(after)
    scale = float(np.abs(before).max(initial=0.0))
    return float(np.abs(before - after).max(initial=0.0)) / (scale or 1.0)
