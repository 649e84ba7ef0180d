"""Coordinates in which a stable matrix is a contraction, as the blocks of a fading memory are."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import UnstableModelError

__all__ = ["contraction_coordinates", "require_fading"]


def contraction_coordinates(A: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Find coordinates in which a stable matrix shortens every vector.

    .. math:: T^{-1} A T = \bar A, \qquad \|\bar A\|_2 < 1.

    T is orthogonal times diagonal: the real Schur form, its 2 by 2 blocks made normal, and then
    the entries above the diagonal scaled down by powers of one number. Entries that are zero stay
    zero, so nothing is lost that the condition number of T would suggest.

    Parameters
    ----------
    A : (r, r) array_like
        Real, with spectral radius below 1.

    Returns
    -------
    (r, r), (r, r), (r, r) numpy.ndarray
        The contraction, T and its inverse.

    Raises
    ------
    UnstableModelError
        If the spectral radius is not below 1.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[0.9, 5.0], [0.0, 0.9]])
    >>> contraction, T, Tinv = contraction_coordinates(A)
    >>> bool(np.linalg.norm(contraction, 2) < 1 and np.allclose(T @ contraction @ Tinv, A))
    True
    """
    A = np.asarray(A, dtype=np.float64)
    r = A.shape[0]
    if r == 0:
        return A, A, A
    S, U = scipy.linalg.schur(A, output="real")
    scale, level, radius, i = np.ones(r), np.zeros(r, int), 0.0, 0
    while i < r:
        pair = i + 1 < r and S[i + 1, i] != 0
        level[i : i + 1 + pair] = i
        if pair:
            # [[a, b], [c, a]] with bc < 0 becomes [[a, s], [-s, a]], which is normal.
            scale[i + 1] = np.sqrt(-S[i + 1, i] / S[i, i + 1])
            radius = max(radius, np.hypot(S[i, i], np.sqrt(-S[i, i + 1] * S[i + 1, i])))
        else:
            radius = max(radius, abs(S[i, i]))
        i += 1 + pair
    require_fading("the matrix", float(radius))
    limit = 0.5 * (1 + radius)
    grade = 1.0
    while True:
        d = scale * grade**level
        contraction = S * d / d[:, None]
        norm = np.linalg.norm(contraction, 2)
        if norm <= limit:
            return contraction, U * d, (U / d).T
        grade *= 0.7


def require_fading(what: str, modulus: float) -> None:
    """Raise unless the modulus is below 1: no parameter has another."""
    if modulus < 1:
        return
    raise UnstableModelError(
        f"A fading memory must fade: {what} has modulus {modulus:.6g}, not below 1. Stabilize the "
        "model, or keep an exact integrator outside the layer.",
        stability_margin=1.0 - modulus,
    )
