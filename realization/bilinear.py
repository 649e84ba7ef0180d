r"""Bilinear state-space models: linear in the state, linear in the input, with their product.

::

    discrete time     x+    = A x + sum_i u_i N_i x + B u + K e     y = C x + D u + e
    continuous time   dx/dt = A x + sum_i u_i N_i x + B u           y = C x + D u

Glossary: ``N`` (m, n, n) stacks the matrices N_i; a *word* w = (w_1, ..., w_k) is a tuple of
letters, 0 for A and i for N_i, and c(w) = C A_{w_k} ... A_{w_1} B is its coefficient (the first
letter acts first). The coefficients of all words are what a Markov parameter sequence is to a
linear model: two models with equal coefficients have the same outputs for every input.

This file holds the record and its word coefficients. The rest is split by topic:

=============================  ================================================================
``bilinear_subspaces.py``      what is reachable and what is observable; the minimal model
``gramians.py``                Gramians, their existence test, H2 norm, balanced truncation
``bilinear_realization.py``    from word coefficients back to a model (Hankel matrix)
``volterra.py``                kernels: of a model, from pulse experiments, from recorded data
``lifting.py``                 polynomial vector fields lifted to bilinear models
``bilinear_simulation.py``     simulate, predict, forecast; the exact step in continuous time
``scan/bilinear.py``           the compiled recurrence
=============================  ================================================================
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_covariance, as_dt, as_instance, as_integer, as_matrix, require_memory
from .models import (
    AnyLinear,
    _checked_dynamics,
    _checked_inputs,
    _checked_state,
    _WithInputs,
)

__all__ = [
    "BilinearSSM",
    "diagonal_bilinear",
    "word_coefficients",
]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class BilinearSSM(_WithInputs):
    r"""Bilinear model: the input also multiplies the state.

    .. math::

        x_{t+1} = A x_t + \sum_{i=1}^m u_{t,i} N_i x_t + B u_t + K e_t, \quad
        y_t = C x_t + D u_t + e_t, \quad \operatorname{cov} e_t = R_e.

    In continuous time the left-hand side is :math:`\dot x`. Without `K` the model is of output
    error type: its predictor does not correct the state.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix.
    N : (m, n, n) array_like
        One matrix for each input; ``N[i]`` multiplies ``u[i] * x``.
    B : (n, m) array_like
        Input matrix.
    C : (p, n) array_like
        Output matrix, at least one row.
    D : (p, m) array_like, optional
        Feedthrough; default zero.
    K : (n, p) array_like, optional
        Predictor gain; default zero.
    Re : (p, p) array_like, optional
        Innovation covariance (an intensity when ``dt = 0``). None (kept as None) means that
        nothing is said about noise.
    x0 : (n,) array_like, optional
        Initial state; default zero.
    dt : float, default 1.0
        Sample time; 0.0 means continuous time.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or `Re` is not positive semidefinite.

    Examples
    --------
    >>> import realization
    >>> realization.BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
    BilinearSSM(1 state, 1 input, 1 output, dt=1)
    """

    A: np.ndarray
    N: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    K: np.ndarray
    Re: np.ndarray | None
    x0: np.ndarray
    dt: float

    def __init__(
        self,
        A: ArrayLike,
        N: ArrayLike,
        B: ArrayLike,
        C: ArrayLike,
        D: ArrayLike | None = None,
        *,
        K: ArrayLike | None = None,
        Re: ArrayLike | None = None,
        x0: ArrayLike | None = None,
        dt: float = 1.0,
    ) -> None:
        A, C, n, p = _checked_dynamics(A, C)
        B = as_matrix("B", B, (n, None), because=f"to match `A` {A.shape}")
        N = as_matrix(
            "N", N, (B.shape[1], n, n), because=f"to match `A` {A.shape} and `B` {B.shape}"
        )
        B, D = _checked_inputs(B, D, n, p)
        K = np.zeros((n, p)) if K is None else K
        K = as_matrix("K", K, (n, p), because=f"to match `A` {A.shape} and `C` {C.shape}")
        if Re is not None:
            Re = as_covariance("Re", Re, p, because=f"to match `C` {C.shape}")
        x0 = _checked_state("x0", x0, n)
        self._store(A=A, N=N, B=B, C=C, D=D, K=K, Re=Re, x0=x0, dt=as_dt(dt))


AnyModel = AnyLinear | BilinearSSM
"""The four records with a state."""


def diagonal_bilinear(
    lam: ArrayLike,
    gates: ArrayLike,
    B: ArrayLike,
    C: ArrayLike,
    D: ArrayLike | None = None,
    *,
    x0: ArrayLike | None = None,
    dt: float = 1.0,
) -> BilinearSSM:
    r"""Build the bilinear model whose matrices are all diagonal: a selective state-space model.

    .. math::

        x_{t+1} = \Bigl(\lambda + \sum_i u_{t,i}\, g_i\Bigr) \odot x_t + B u_t, \quad
        y_t = C x_t + D u_t.

    Parameters
    ----------
    lam : (n,) array_like
        Decays :math:`\lambda` at zero input; complex values give a complex record.
    gates : (m, n) array_like
        Row i is :math:`g_i`, what one unit of input i adds to the decays.
    B : (n, m) array_like
        Input matrix.
    C : (p, n) array_like
        Output matrix, at least one row.
    D : (p, m) array_like, optional
        Feedthrough; default zero.
    x0 : (n,) array_like, optional
        Initial state; default zero.
    dt : float, default 1.0
        Sample time; 0.0 means continuous time.

    Returns
    -------
    BilinearSSM
        With ``A = diag(lam)`` and ``N[i] = diag(gates[i])``.

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite.

    See Also
    --------
    realization.scan.bilinear_scan : Takes `lam` and `gates` as they are.
    realization.scan.selective_scan : The recurrence of a Mamba layer.

    Notes
    -----
    **When is a selective (Mamba-style) layer a bilinear system?** Such a layer runs
    :math:`h_t = a(u_t) \odot h_{t-1} + b(u_t)`, :math:`z_t = c(u_t) h_t`.

    - It is bilinear in `u` exactly when `a` is affine and `b` is linear in `u`, `c` constant. Then
      :math:`x_{t+1} = h_t`, so :math:`z_t` is the output of this model one step later.
    - A gate that is affine in `u` and stays in (0, 1) for *every* real input is constant. So
      :math:`a = \exp(\Delta(u)\lambda)` with :math:`\Delta` = softplus is never bilinear in the raw
      input; its first-order expansion is, for small inputs.
    - It is always bilinear in the lifted input :math:`\varphi(u) = (a(u), b(u))`: take ``lam = 0``,
      one gate for each different decay, and B for the rest (`c` constant; otherwise only the state
      is reproduced).
    - On a finite alphabet of inputs it is exactly bilinear in the one-hot input, with ``N[k] =
      diag(a(k))``; a token-dependent `c` is absorbed by one copy of the state for each letter.

    Diagonal matrices commute: the state is a sum of products that forgets the *order* of the gates,
    so such a model cannot track a state machine with non-commuting moves. Dense N can.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import diagonal_bilinear
    >>> model = diagonal_bilinear([0.5, 0.9], [[0.1, -0.2]], [[1.0], [1.0]], [[1.0, 1.0]])
    >>> bool(np.array_equal(model.N[0], np.diag([0.1, -0.2])))
    True
    """
    lam = as_matrix("lam", lam, (None,))
    gates = as_matrix("gates", gates, (None, lam.size), because=f"to match `lam` {lam.shape}")
    N = gates[:, :, np.newaxis] * np.eye(lam.size)
    return BilinearSSM(np.diag(lam), N, B, C, D, x0=x0, dt=dt)


def word_coefficients(model: BilinearSSM, length: int) -> dict[tuple[int, ...], np.ndarray]:
    r"""Return the coefficients of all words of at most `length` letters.

    .. math:: c(w_1 \dots w_k) = C A_{w_k} \cdots A_{w_1} B, \qquad A_0 = A,\; A_i = N_i.

    Parameters
    ----------
    model : BilinearSSM
        The model; its feedthrough, initial state and gain do not enter.
    length : int
        Greatest number of letters, at least 0.

    Returns
    -------
    dict
        From tuples of letters (0 for A, i for N_i; the first letter acts first) to (p, m) arrays,
        shorter words first. The empty word gives C B.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM or `length` is not an integer.
    ValueError
        If `length` is negative, or so large that a coefficient overflows.

    Notes
    -----
    There are :math:`\sum_{k \le L} (m+1)^k` words; each costs one product with an (n, n) matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
    >>> coefficients = realization.word_coefficients(model, 2)
    >>> bool(np.isclose(coefficients[0, 1], 2.0 * 0.2 * 0.5 * 1.0).all())
    True
    """
    as_instance("model", model, (BilinearSSM,))
    length = as_integer("length", length)
    letters = letters_of(model)
    words = len(letters) ** min(length, 63) if len(letters) > 1 else length
    require_memory(f"`length` = {length}", words * (length + model.D.size))
    coefficients = {}
    states = model.B[np.newaxis]  # (words, n, m): A_{w_k} ... A_{w_1} B for all words of length k
    for k in range(length + 1):
        words = itertools.product(range(len(letters)), repeat=k)
        with np.errstate(over="ignore", invalid="ignore"):
            values = model.C @ states
            if k < length:
                states = letters @ states[:, np.newaxis]  # the new letter acts last
                states = states.reshape(len(letters) ** (k + 1), *model.B.shape)
        if not np.isfinite(values).all():
            raise ValueError(
                f"`length` is too large for this model: a coefficient of {k} letters overflows. "
                "Ask for shorter words, or scale the inputs down."
            )
        coefficients.update(zip(words, values, strict=True))
    return coefficients


def in_coordinates(model: BilinearSSM, T: np.ndarray, Tinv: np.ndarray) -> BilinearSSM:
    """Return the model with state z, x = T z, for T (n, r) and Tinv (r, n) with Tinv T = I."""
    return replace(
        model,
        A=Tinv @ model.A @ T,
        N=Tinv @ model.N @ T,
        B=Tinv @ model.B,
        C=model.C @ T,
        K=Tinv @ model.K,
        x0=Tinv @ model.x0,
    )


def letters_of(model: BilinearSSM) -> np.ndarray:
    """Return A and all N_i as one array (m + 1, n, n)."""
    return np.concatenate([model.A[np.newaxis], model.N])
