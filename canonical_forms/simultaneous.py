r"""One change of coordinates that splits all matrices of a bilinear model.

Glossary: *commutant* the matrices X with A X = X A and N_i X = X N_i. Its dimension says how far
the model splits: one (multiples of the identity) means not at all.
"""

from __future__ import annotations

import numpy as np

from realization import BilinearSSM
from realization.internal import as_instance, as_real

from .modal import block_diagonal
from .result import (
    CanonicalForm,
    as_condmax,
    change_coordinates,
    checked_model,
    condition,
    finish,
)

__all__ = ["simultaneous_form"]

LARGEST = 40  # the commutant is the null space of a matrix with n^2 columns
DRAWS = 8  # random elements tried: equal blocks split only where an element has real eigenvalues
CLUSTER = 1e-5  # eigenvalues of a random element of the commutant this close are one


def simultaneous_form(
    model: BilinearSSM, *, tol: float = 1e-10, condmax: float = 1e4
) -> CanonicalForm:
    r"""Make A and all N_i block-diagonal together, as finely as they allow.

    .. math:: T^{-1} A T = \operatorname{diag}(A^{(1)}, \dots, A^{(k)}), \qquad
        T^{-1} N_i T = \operatorname{diag}(N_i^{(1)}, \dots, N_i^{(k)}).

    Each block is a bilinear model of its own, driven by the same input. Generic matrices have no
    common invariant subspaces, and then there is one block.

    Parameters
    ----------
    model : BilinearSSM
        The model, of order 40 at most.
    tol : float, default 1e-10
        A singular value of the commutant's equations counts as zero up to ``tol`` times the
        largest. It must exceed the relative errors in A and N_i.
    condmax : float, default 1e4
        Largest condition number of T.

    Returns
    -------
    CanonicalForm
        ``info["sizes"]`` lists the blocks, ``info["commutant"]`` the dimension of the commutant and
        ``info["diagonal"]`` says whether all matrices became diagonal. They do if and only if all
        commute and are diagonalizable over the real numbers; a complex pair is a 2 by 2 block.

    Raises
    ------
    TypeError
        If `model` is no BilinearSSM (a linear model has modal_form), or is complex.
    ValueError
        If the order exceeds 40, `tol` is not between 0 and 1, or `condmax` is below 1.
    AccuracyError
        If the blocks leave a residual above 1e-6 or above a hundred times `tol`.

    See Also
    --------
    modal_form : Block-diagonal A alone.

    Notes
    -----
    Random elements of the commutant (of fixed seed) are split by their eigenvalues: their invariant
    subspaces are those of all matrices, and the finest split is taken. Costs a singular value
    decomposition with n^2 columns, O(m n^6). Commuting matrices make a solvable Lie algebra: a
    model that becomes diagonal is a selective state-space model and cannot track general state
    changes.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import simultaneous_form
    >>> from realization import BilinearSSM
    >>> T = np.array([[1.0, 1.0], [0.0, 1.0]])
    >>> A, N = (T @ np.diag(d) @ np.linalg.inv(T) for d in ([0.5, 0.3], [0.2, -0.1]))
    >>> form = simultaneous_form(BilinearSSM(A, [N], np.ones((2, 1)), np.ones((1, 2))))
    >>> form.info["diagonal"]
    True
    >>> bool(np.allclose(N @ form.T, form.T @ form.model.N[0]))
    True
    """
    name = "simultaneous form"
    if not isinstance(model, BilinearSSM) and hasattr(model, "A"):
        raise TypeError(
            f"`model` must be a BilinearSSM for the {name}; got {type(model).__name__}. A linear "
            "model has one matrix to split: use modal_form."
        )
    as_instance("model", model, (BilinearSSM,))
    checked_model(model, name)
    tol = as_real("tol", tol, above=0.0, below=1.0)
    condmax, n = as_condmax(condmax), model.n_states
    if n > LARGEST:
        raise ValueError(
            f"`model` must have at most {LARGEST} states: the commutant's equations have n^2 "
            f"columns; got {n}. Reduce it with bilinear_truncate first."
        )
    commutant, values = _commutant([model.A, *model.N], tol)
    rng = np.random.default_rng(0)
    elements = np.einsum("kd,dij->kij", rng.standard_normal((DRAWS, len(commutant))), commutant)
    splits = [block_diagonal(element, condmax, cluster=CLUSTER) for element in elements]
    _, T, Tinv, sizes = max(splits, key=lambda split: (len(split[3]), -condition(split[1])))
    moved = change_coordinates(model, T, Tinv)
    part = np.repeat(np.arange(len(sizes)), sizes)
    mask = part[:, np.newaxis] == part
    A, N = np.where(mask, moved.A, 0.0), np.where(mask, moved.N, 0.0)
    off = [np.abs(M - np.diag(np.diag(M))).max(initial=0.0) for M in (A, *N)]
    return finish(
        model, T, Tinv, form=name, safer="schur_form", exact={"A": A, "N": N},
        limit=min(1e-6, 100 * tol), sizes=tuple(sizes), tol=tol, singular_values=values,
        commutant=len(commutant), diagonal=bool(max(off) == 0.0), condmax=condmax,
    )  # fmt: skip


def _commutant(matrices: list[np.ndarray], tol: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a basis (d, n, n) of the matrices that commute with all, and the singular values."""
    n = matrices[0].shape[0]
    if n == 0:
        return np.zeros((0, 0, 0)), np.zeros(0)
    eye = np.eye(n)
    stacked = [np.kron(M, eye) - np.kron(eye, M.T) for M in _scaled(matrices)]
    equations = np.linalg.qr(np.concatenate(stacked), mode="r")
    _, s, Vt = np.linalg.svd(equations)
    kept = int((s > tol * max(float(s[0]), 1.0)).sum())
    return Vt[kept:].reshape(-1, n, n), s


def _scaled(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """Return the matrices that are not zero, each with norm one; at least one matrix."""
    norms = [float(np.linalg.norm(M, 2)) for M in matrices]
    scaled = [M / norm for M, norm in zip(matrices, norms, strict=True) if norm > 0]
    return scaled or matrices[:1]
