r"""Bilinear state-space models: linear in the state, linear in the input, with their product.

::

    discrete time     x+    = A x + sum_i u_i N_i x + B u + K e     y = C x + D u + e
    continuous time   dx/dt = A x + sum_i u_i N_i x + B u           y = C x + D u

Glossary: ``N`` (m, n, n) stacks the matrices N_i; a *word* w = (w_1, ..., w_k) is a tuple of
letters, 0 for A and i for N_i, and c(w) = C A_{w_k} ... A_{w_1} B is its coefficient (the first
letter acts first). The coefficients of all words are what a Markov parameter sequence is to a
linear model: two models with equal coefficients have the same outputs for every input.

This file holds the record. What is computed from it is split by topic:

=========================  =====================================================================
``bilinear.py``            the record `BilinearSSM`
=========================  =====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_covariance, as_dt, as_matrix
from .models import _checked_dynamics, _checked_inputs, _checked_state, _WithInputs

__all__ = ["BilinearSSM"]


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
