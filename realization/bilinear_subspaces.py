r"""What a bilinear model reaches and shows, and the model without the rest.

The reachable states span the smallest subspace that contains the columns of B (and of K, and x0)
and that A and every N_i map into itself; the unobservable states form the largest such subspace in
the kernel of C. New directions are multiplied by all matrices and orthogonalised, until none is
left; the exponentially wide matrix of all words is never formed.
"""

from __future__ import annotations

import numpy as np

from ._validation import as_instance, as_real
from .bilinear import BilinearSSM, in_coordinates, letters_of

__all__ = ["minimal_bilinear", "reachable_subspace", "unobservable_subspace"]


def reachable_subspace(model: BilinearSSM, *, tol: float | None = None) -> np.ndarray:
    r"""Return an orthonormal basis of the span of all states the model can reach.

    The smallest subspace that contains the columns of B and K and the vector x0, and that A and all
    N_i map into itself.

    Parameters
    ----------
    model : BilinearSSM
        The model.
    tol : float, optional
        A direction counts when its singular value exceeds ``tol`` times the largest spectral norm
        of A and N_i (for the first directions: of [B, K, x0]), times the factor by which earlier
        decisions have amplified rounding. Default: (m + 1) n times machine epsilon.

    Returns
    -------
    (n, r) ndarray
        Orthonormal columns; r = n for a span-reachable model.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM.
    ValueError
        If `tol` is not positive.

    See Also
    --------
    unobservable_subspace : The dual.
    minimal_bilinear : Keeps what is reachable and observable.

    Notes
    -----
    New directions are multiplied by A and N_i and orthogonalised twice, until none is left: at most
    n rounds and :math:`O((m+1) n^3)` operations in total, never the exponentially wide matrix of
    all words.

    Examples
    --------
    >>> import realization
    >>> model = realization.BilinearSSM(
    ...     [[0.5, 0.0], [0.0, 0.3]], [[[0.0, 0.0], [1.0, 0.0]]], [[1.0], [0.0]], [[1.0, 0.0]]
    ... )
    >>> realization.reachable_subspace(model).shape
    (2, 2)
    """
    as_instance("model", model, (BilinearSSM,))
    return _reached_directions(model, tol)[0]


def unobservable_subspace(model: BilinearSSM, *, tol: float | None = None) -> np.ndarray:
    r"""Return an orthonormal basis of the states that no output, for any input, can reveal.

    The largest subspace that C maps to zero and that A and all N_i map into itself.

    Parameters
    ----------
    model : BilinearSSM
        The model.
    tol : float, optional
        As in `reachable_subspace`, for the transposed model.

    Returns
    -------
    (n, q) ndarray
        Orthonormal columns; q = 0 for an observable model.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM.
    ValueError
        If `tol` is not positive.

    See Also
    --------
    reachable_subspace : The dual.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.BilinearSSM(np.diag([0.5, 0.3]), np.zeros((1, 2, 2)), np.ones((2, 1)),
    ...                                 [[1.0, 0.0]])
    >>> bool(np.allclose(abs(realization.unobservable_subspace(model)), [[0.0], [1.0]]))
    True
    """
    as_instance("model", model, (BilinearSSM,))
    seen = _observed_directions(model, model, tol, 1.0)
    complete, _ = np.linalg.qr(seen, mode="complete")
    return complete[:, seen.shape[1] :]


def minimal_bilinear(model: BilinearSSM, *, tol: float | None = None) -> BilinearSSM:
    r"""Return a model of least order with the same outputs for all inputs and innovations.

    Parameters
    ----------
    model : BilinearSSM
        The model.
    tol : float, optional
        As in `reachable_subspace`.

    Returns
    -------
    BilinearSSM
        Span-reachable and observable, in coordinates given by orthonormal columns. Two minimal
        models with the same outputs are similar (D'Alessandro, Isidori and Ruberti).

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM.
    ValueError
        If `tol` is not positive.

    See Also
    --------
    bilinear_truncate : A smaller model with nearly the same outputs.

    Notes
    -----
    The state is restricted to the reachable subspace, then what stays unobservable is left out. x0
    and K count as inputs, so the reduced model starts and predicts like the original.

    References
    ----------
    P. D'Alessandro, A. Isidori and A. Ruberti, "Realization and structure theory of bilinear
    dynamical systems", SIAM Journal on Control 12(3), 1974.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, minimal_bilinear, word_coefficients
    >>> A, N = np.diag([0.5, 0.3]), np.diag([0.2, 0.1])
    >>> model = BilinearSSM(A, [N], [[1.0], [1.0]], [[1.0, 0.0]])
    >>> small = minimal_bilinear(model)
    >>> before, after = word_coefficients(model, 3), word_coefficients(small, 3)
    >>> small.n_states, all(np.allclose(before[w], after[w]) for w in before)
    (1, True)
    """
    as_instance("model", model, (BilinearSSM,))
    T = bilinear_minimal_coordinates(model, tol)
    return in_coordinates(model, T, T.conj().T)


def bilinear_minimal_coordinates(model: BilinearSSM, tol: float | None) -> np.ndarray:
    """Return the orthonormal coordinates in which a bilinear model is minimal.

    Parameters
    ----------
    model : BilinearSSM
        The model.
    tol : float or None
        As in `reachable_subspace`.

    Returns
    -------
    (n, r) ndarray
        T with orthonormal columns; (T'AT, T'NT, T'B, CT) is minimal.
    """
    reached, amplified = _reached_directions(model, tol)
    restricted = in_coordinates(model, reached, reached.conj().T)
    return reached @ _observed_directions(restricted, model, tol, amplified)


def _reached_directions(model: BilinearSSM, tol: float | None) -> tuple[np.ndarray, float]:
    """Return an orthonormal basis (n, r) of the reachable subspace, and the amplified rounding."""
    generators, letters = np.column_stack([model.B, model.K, model.x0]), letters_of(model)
    return invariant_hull(generators, letters, generators, letters, tol, 1.0)[:2]


def _observed_directions(
    model: BilinearSSM, whole: BilinearSSM, tol: float | None, amplified: float
) -> np.ndarray:
    """Return an orthonormal basis (n, r) of the complement of the unobservable subspace.

    `model` may be a restriction of `whole`, whose norms decide what is small.
    """
    adjoint = letters_of(model).conj().swapaxes(1, 2)
    return invariant_hull(model.C.conj().T, adjoint, whole.C, letters_of(whole), tol, amplified)[0]


def invariant_hull(
    generators: np.ndarray,
    matrices: np.ndarray,
    generator_scale: np.ndarray,
    matrix_scale: np.ndarray,
    tol: float | None,
    amplified: float,
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return an orthonormal basis of the smallest invariant subspace containing the columns.

    A direction with relative singular value s carries the rounding errors before it, enlarged by
    1 / s, into all that follow: the threshold grows by that factor, up to 1 / sqrt(eps).

    Parameters
    ----------
    generators : (n, k) ndarray
        The columns.
    matrices : (count, n, n) ndarray
        The subspace is invariant under each.
    generator_scale, matrix_scale : ndarray
        Arrays whose spectral norms decide what is small, usually the arguments before.
    tol : float or None
        Relative singular value that counts; None is ``count * n * eps``.
    amplified : float
        The factor by which earlier decisions have amplified rounding, 1 at the start.

    Returns
    -------
    basis : (n, r) ndarray
        Orthonormal columns.
    amplified : float
        The factor after these decisions.
    values : ndarray
        The relative singular values that were compared, round after round.
    """
    n = generators.shape[0]
    if n == 0:
        return np.zeros((0, 0)), amplified, np.zeros(0)
    if tol is None:
        tol = len(matrices) * n * np.finfo(float).eps
    tol = as_real("tol", tol, above=0.0)
    scale = float(np.linalg.norm(generator_scale, 2))
    basis, amplified, values = _leading_directions(generators, scale, tol, amplified)
    compared = [values]
    scale = float(np.linalg.norm(matrix_scale, 2, axis=(1, 2)).max())
    new = basis
    while new.shape[1] and basis.shape[1] < n:
        images = np.concatenate(matrices @ new, axis=1)
        for _ in range(2):  # twice is enough for orthogonality to rounding
            images = images - basis @ (basis.conj().T @ images)
        new, amplified, values = _leading_directions(images, scale, tol, amplified)
        compared.append(values)
        # directions that stood out by little have kept some of the basis: once more
        new = np.linalg.qr(new - basis @ (basis.conj().T @ new))[0]
        basis = np.concatenate([basis, new], axis=1)
    return basis, amplified, np.concatenate(compared)


def _leading_directions(
    columns: np.ndarray, scale: float, tol: float, amplified: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the left singular vectors that stand out, the factor by which errors are now
    amplified, and the relative singular values.
    """
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    kept = values[values > tol * amplified * scale]
    if kept.size:
        amplified = min(amplified * scale / float(kept[-1]), float(np.finfo(float).eps ** -0.5))
    return left[:, : kept.size], amplified, values / scale if scale > 0 else values
