r"""Scores, and the reverse of a general diffusion that follows from one.

A score is a callable ``score(x, t)`` that returns :math:`\nabla \log p_t(x)` for points x (..., n).
The score of a linear process or of a mixture is a method of theirs, ``denoisers`` makes others; the
reverse-time equation here takes any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from realization.internal import as_array, as_numbers, as_real

__all__ = ["Field", "ReverseSDE", "checked_field", "reverse_time_sde"]

Field = Callable[[np.ndarray, float], np.ndarray]
MOST_NOISE = 1e6  # of a reverse equation, as a multiple of its own


@dataclass(frozen=True, slots=True, eq=False)
class ReverseSDE:
    """An equation for decreasing time, ``dx = drift dt + diffusion dw`` with ``dt < 0``.

    Parameters
    ----------
    drift : callable
        ``drift(x, t)`` (..., n) at points x (..., n).
    diffusion : callable
        ``diffusion(x, t)``: (n, k), or (..., n, k) where it depends on x.
    """

    drift: Field
    diffusion: Field

    def __repr__(self) -> str:
        return "ReverseSDE(drift(x, t), diffusion(x, t))"


def reverse_time_sde(
    drift: Field,
    diffusion: Field | ArrayLike,
    score: Field,
    *,
    divergence: Field | None = None,
    eta: float = 1.0,
) -> ReverseSDE:
    r"""Reverse a diffusion :math:`dx = b(x, t)\,dt + G(x, t)\,dw` whose score is known.

    With :math:`a = G G^\top` and :math:`(\nabla \cdot a)_i = \sum_j \partial_j a_{ij}`,

    .. math::

        dx = \bigl[ b - \tfrac12 (1 + \eta^2) (\nabla \cdot a + a \nabla \log p_t) \bigr] dt
        + \eta\, G\, d\bar w, \qquad dt < 0 .

    Parameters
    ----------
    drift : callable
        :math:`b`: ``drift(x, t)`` (..., n) at points x (..., n).
    diffusion : callable or (n, k) array_like
        :math:`G`: ``diffusion(x, t)`` of shape (..., n, k) if it depends on x, else (n, k).
    score : callable
        ``score(x, t)`` (..., n), the gradient of the logarithm of the density.
    divergence : callable, optional
        ``divergence(x, t)`` (..., n): :math:`\nabla \cdot a`. Default: zero where G does not
        depend on x, else by central differences.
    eta : float, default 1.0
        1 has the law of the whole path; 0 is the probability-flow equation, without noise; others
        agree in the marginals only.

    Returns
    -------
    ReverseSDE
        With `drift(x, t)` and `diffusion(x, t)`, for decreasing time.

    Raises
    ------
    TypeError
        If `drift`, `score` or `divergence` cannot be called.
    ValueError
        If `eta` is negative. Later, when the drift is evaluated: if a function returns another
        shape, or the differences of the diffusion are not finite and `divergence` is missing.

    Notes
    -----
    Integrate in the sense of Ito. Without `divergence`, a diffusion that depends on x costs 2 n
    evaluations more, and its derivative is accurate to about ten digits.

    References
    ----------
    Derived for linear stochastic models by Lindquist and Picci (1979); for general nonlinear
    stochastic differential equations by Anderson (1982). The reverse drift is Nelson's.

    Examples
    --------
    Geometric Brownian motion, dx = x dw, has the density of exp(N(-t/2, t)):

    >>> import numpy as np
    >>> from diffusion import reverse_time_sde
    >>> score = lambda x, t: -(1.0 + (np.log(x) + t / 2) / t) / x
    >>> backward = reverse_time_sde(lambda x, t: 0 * x, lambda x, t: x[..., None], score)
    >>> x = np.array([[0.5], [2.0]])
    >>> exact = -(2 * x + x**2 * score(x, 0.7))                  # (x^2)' = 2 x
    >>> bool(np.allclose(backward.drift(x, 0.7), exact, rtol=1e-9))
    True
    """
    eta = as_real("eta", eta)
    if not 0 <= eta <= MOST_NOISE:
        raise ValueError(f"`eta` must not be negative, nor above {MOST_NOISE:g}; got {eta:g}.")
    drift, score = checked_field("drift", drift), checked_field("score", score)
    if divergence is not None:
        divergence = checked_field("divergence", divergence)
    weight = 0.5 * (1.0 + eta**2)
    constant = None
    if not callable(diffusion):
        constant = as_array("diffusion", diffusion, real=True)

    def matrix(x: np.ndarray, t: float) -> np.ndarray:
        G = constant
        if callable(diffusion):
            G = as_numbers("diffusion(x, t)", diffusion(x, t), real=True)
        assert G is not None
        if G.ndim < 2 or G.shape[-2] != x.shape[-1] or G.shape[:-2] not in ((), x.shape[:-1]):
            raise ValueError(
                f"`diffusion` must return ({x.shape[-1]}, k), or {(*x.shape, 'k')} where it "
                f"depends on x; got {G.shape}."
            )
        return G.astype(x.dtype, copy=False)

    def reverse_drift(x: np.ndarray, t: float) -> np.ndarray:
        points = np.atleast_2d(x)
        G = matrix(points, t)
        pull = score(points, t)
        pull = pull @ (G @ G.T) if G.ndim == 2 else np.einsum("...ik,...jk,...j->...i", G, G, pull)
        if divergence is not None:
            pull = pull + divergence(points, t)
        elif G.ndim > 2:
            pull = pull + _divergence(matrix, points, t).astype(pull.dtype)
        return (drift(points, t) - weight * pull).reshape(np.shape(x))

    def reverse_diffusion(x: np.ndarray, t: float) -> np.ndarray:
        G = matrix(np.atleast_2d(x), t)
        return eta * (G if G.ndim == 2 else G.reshape(*np.shape(x), -1))

    return ReverseSDE(reverse_drift, reverse_diffusion)


def checked_field(name: str, field: Field) -> Field:
    """Return the function of (x, t) with its answers checked to have the shape of x."""
    if not callable(field):
        raise TypeError(f"`{name}` must be a function of (x, t); got {type(field).__name__}.")

    def checked(x: np.ndarray, t: float) -> np.ndarray:
        values = as_numbers(f"{name}(x, t)", field(x, t), real=True)
        if values.shape != x.shape:
            raise ValueError(
                f"`{name}` must return the shape of its points, {x.shape}; got {values.shape}."
            )
        return values

    return checked


def _divergence(matrix: Field, x: np.ndarray, t: float) -> np.ndarray:
    """Return sum_j of the derivative of (G G')_ij by x_j, by central differences."""
    x = x.astype(float)
    total = np.zeros_like(x)
    for j in range(x.shape[-1]):
        step = np.cbrt(np.finfo(float).eps) * np.maximum(np.abs(x[..., j]), 1e-3)
        columns = []
        for sign in (1.0, -1.0):
            moved = x.copy()
            moved[..., j] += sign * step
            G = matrix(moved, t)
            columns.append((moved[..., j], np.einsum("...ik,...k->...i", G, G[..., j, :])))
        (above, high), (below, low) = columns
        total += (high - low) / (above - below)[..., np.newaxis]
    if not np.isfinite(total).all():
        raise ValueError(
            "`divergence` must be given: the diffusion is not finite in a neighbourhood of the "
            "points, so it cannot be differentiated numerically."
        )
    return total
