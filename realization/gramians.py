r"""Gramians of bilinear models: when they exist, what they measure, reduction by balancing.

::

    discrete time     P = A P A' + sum_i N_i P N_i' + B B'
    continuous time   0 = A P + P A' + sum_i N_i P N_i' + B B'

Glossary: ``P``, ``Q`` reachability and observability Gramian; L the Lyapunov part of the equation
and S(P) = sum_i N_i P N_i' its bilinear part; rho(L^-1 S) < 1 with A stable is the existence
condition, and its square root the factor by which the inputs must at least be divided.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy

from ._linalg import covariance_factor, stability_margin, symmetrize
from ._validation import as_instance, as_integer
from .bilinear import BilinearSSM, in_coordinates
from .exceptions import AccuracyError, NumericalWarning, UnstableModelError
from .lyapunov import solve_lyapunov
from .models import GaussianSSM, InnovationSSM, LinearSSM

__all__ = ["bilinear_gramians", "bilinear_truncate", "h2_norm"]

DENSE_ORDER = 20  # up to here the (n^2, n^2) matrices of the equations are formed


def bilinear_gramians(model: BilinearSSM) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the reachability and observability Gramians of a bilinear model.

    .. math::

        P = A P A^\top + \sum_i N_i P N_i^\top + B B^\top, \qquad
        Q = A^\top Q A + \sum_i N_i^\top Q N_i + C^\top C

    (discrete time; in continuous time :math:`A P + P A^\top + \sum_i N_i P N_i^\top + B B^\top = 0`
    and its dual). They exist, unique and positive semidefinite, exactly when
    :math:`\rho(A \otimes A + \sum_i N_i \otimes N_i) < 1` (continuous time: all eigenvalues of
    :math:`A \otimes I + I \otimes A + \sum_i N_i \otimes N_i` in the open left half plane).

    Parameters
    ----------
    model : BilinearSSM
        The model; its initial state, gain and feedthrough do not enter.

    Returns
    -------
    P : (n, n) ndarray
        In discrete time the stationary covariance of the state when the inputs are independent
        white noise with zero mean and unit variance.
    Q : (n, n) ndarray
        The same for the transposed model.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM.
    UnstableModelError
        If the existence condition fails. The message has the measured spectral radius (abscissa)
        and the factor by which the inputs must be divided for the Gramians to exist.
    AccuracyError
        If the relative residual of a computed Gramian exceeds 1e-8.

    See Also
    --------
    h2_norm : The norm that they give.
    bilinear_truncate : Reduction by balancing them.

    Notes
    -----
    The condition asks for more than a stable A: it is stability in mean square with random inputs.
    With inputs measured in another unit, u = v / g, the matrices are N / g and B / g: a large
    enough g always makes it hold when A is stable, and the message names the smallest.

    Orders up to 20 are solved as a linear system in the entries of P, :math:`O(n^6)`; larger ones
    by GMRES preconditioned with a Lyapunov solver, :math:`O(n^3)` for each iteration.

    References
    ----------
    L. Zhang and J. Lam, "On H2 model reduction of bilinear systems", Automatica 38, 2002.
    P. Benner and T. Damm, "Lyapunov equations, energy functionals, and model order reduction of
    bilinear and stochastic systems", SIAM Journal on Control and Optimization 49, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, bilinear_gramians
    >>> A, N, B = np.diag([0.5, -0.3]), 0.4 * np.eye(2), np.ones((2, 1))
    >>> model = BilinearSSM(A, [N], B, [[1.0, 0.0]])
    >>> P, Q = bilinear_gramians(model)
    >>> bool(np.allclose(P, A @ P @ A.T + N @ P @ N.T + B @ B.T, rtol=1e-13))
    True
    """
    as_instance("model", model, (BilinearSSM,))
    _require_gramians(model)
    A, N, B, C = model.A, model.N, model.B, model.C
    P = _solve(A, N, B @ B.conj().T, model.dt)
    Q = _solve(A.conj().T, N.conj().swapaxes(1, 2), C.conj().T @ C, model.dt)
    return P, Q


def h2_norm(model: LinearSSM | BilinearSSM) -> float:
    r"""Return the H2 norm: the size of the output when the input is white noise.

    .. math:: \|G\|_{H_2}^2 = \operatorname{tr}(C P C^\top) + \operatorname{tr}(D D^\top)

    with the reachability Gramian P.

    Parameters
    ----------
    model : LinearSSM or BilinearSSM
        The model. A bilinear one with N = 0 has the norm of its linear part.

    Returns
    -------
    float
        In discrete time the standard deviation of the output (root of the summed variances) under
        independent white inputs of unit variance; for a linear model also the root of the summed
        squares of its Markov parameters. For a bilinear model the same sum runs over all words.

    Raises
    ------
    TypeError
        If `model` is neither.
    ValueError
        If the model is in continuous time with D not zero: the norm is infinite.
    UnstableModelError
        If the Gramian does not exist.
    AccuracyError
        If the relative residual of the Gramian exceeds 1e-8.

    See Also
    --------
    bilinear_gramians : The Gramians and when they exist.

    References
    ----------
    L. Zhang and J. Lam, "On H2 model reduction of bilinear systems", Automatica 38, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import LinearSSM, h2_norm
    >>> bool(np.isclose(h2_norm(LinearSSM([[0.6]], [[1.0]], [[2.0]])), 2.0 / 0.8))
    True
    """
    if isinstance(given := model, (GaussianSSM, InnovationSSM)):
        raise TypeError(
            f"`model` must be a LinearSSM or BilinearSSM; this {type(given).__name__} has "
            "two inputs, u and the noise. Choose one: LinearSSM(A, B, C, D, dt=dt) for u; for the "
            "noise the norm is the root of the trace of autocovariance(model, 0)[0]."
        )
    as_instance("model", model, (LinearSSM, BilinearSSM))
    if model.dt == 0.0 and model.D.any():
        raise ValueError(
            "`model` must have D = 0: in continuous time the H2 norm of a model with feedthrough "
            f"is infinite; found |D| up to {np.abs(model.D).max():.3g}."
        )
    W = model.B @ model.B.conj().T
    if isinstance(model, BilinearSSM):
        _require_gramians(model)
        P = _solve(model.A, model.N, W, model.dt)
    else:
        P = solve_lyapunov(model.A, W, dt=model.dt)
    squared = np.trace(model.C @ P @ model.C.conj().T).real + np.linalg.norm(model.D) ** 2
    return float(np.sqrt(max(squared, 0.0)))


def bilinear_truncate(model: BilinearSSM, order: int) -> BilinearSSM:
    r"""Reduce a bilinear model by balanced truncation.

    In balanced coordinates both Gramians are :math:`\operatorname{diag}(\sigma_1, \dots,
    \sigma_n)`; the `order` states with the largest :math:`\sigma` are kept.

    Parameters
    ----------
    model : BilinearSSM
        A model whose Gramians exist.
    order : int
        Number of states to keep.

    Returns
    -------
    BilinearSSM
        The reduced model, with x0 and K carried along.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM or `order` is not an integer.
    ValueError
        If `order` exceeds the number of states that the Gramians show (all, for a minimal model).
    UnstableModelError
        If the Gramians of `model` do not exist.
    AccuracyError
        If the relative residual of a Gramian exceeds 1e-8.

    Warns
    -----
    NumericalWarning
        If the reduced model has no Gramians, or if the last value kept equals the first one left
        out, so that the choice between them is arbitrary.

    See Also
    --------
    minimal_bilinear : Leaves out only what has no effect at all.

    Notes
    -----
    A heuristic: unlike for linear models no bound on the error is known, and the reduced model need
    not satisfy the existence condition of its own Gramians, which is therefore checked. Gramians
    are formed, so values below the square root of machine epsilon times the largest are rounding.

    References
    ----------
    P. Benner and T. Damm, "Lyapunov equations, energy functionals, and model order reduction of
    bilinear and stochastic systems", SIAM Journal on Control and Optimization 49, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, bilinear_truncate, h2_norm
    >>> model = BilinearSSM(np.diag([0.5, 0.4]), [0.3 * np.eye(2)], [[1.0], [1e-3]], [[1.0, 1e-3]])
    >>> small = bilinear_truncate(model, 1)
    >>> small.n_states, bool(abs(h2_norm(small) / h2_norm(model) - 1) < 1e-5)
    (1, True)
    """
    as_instance("model", model, (BilinearSSM,))
    order = as_integer("order", order)
    T, Tinv, sigma = bilinear_balancing(model)
    if order > sigma.size:
        raise ValueError(
            f"`order` must be at most {sigma.size}, the number of states that the Gramians show; "
            f"got {order}. The model of order {model.n_states} is not minimal to working precision."
        )
    reduced = in_coordinates(model, T[:, :order], Tinv[:order])
    if 0 < order < sigma.size and sigma[order] > (1 - 1e-8) * sigma[order - 1]:
        warnings.warn(
            f"Balanced values {order} and {order + 1} are equal ({sigma[order]:.6g}): which state "
            "is kept is arbitrary. Keep one state more or one less.",
            NumericalWarning,
            stacklevel=2,
        )
    stable = stability_margin(reduced.A, reduced.dt) > 0
    factor = _least_scaling(*_real(reduced.A, reduced.N), dt=reduced.dt) if stable else np.inf
    if factor >= 1:
        warnings.warn(
            f"The reduced model of order {order} has no Gramians: its inputs would have to be "
            f"divided by more than {factor:.4g}. Choose another order or scale the inputs first.",
            NumericalWarning,
            stacklevel=2,
        )
    return reduced


def bilinear_balancing(model: BilinearSSM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coordinates in which both Gramians are diagonal and equal.

    Parameters
    ----------
    model : BilinearSSM
        A model whose Gramians exist.

    Returns
    -------
    T : (n, r) ndarray
        x = T z; r is the number of values that stand out from rounding.
    Tinv : (r, n) ndarray
        With Tinv T = I.
    sigma : (r,) ndarray
        The balanced values, largest first.
    """
    P, Q = bilinear_gramians(model)
    from_inputs, to_outputs = covariance_factor(P), covariance_factor(Q)
    left, sigma, right = np.linalg.svd(to_outputs.conj().T @ from_inputs, full_matrices=False)
    keep = sigma > np.sqrt(np.finfo(float).eps) * sigma.max(initial=0.0)
    root = np.sqrt(sigma[keep])
    T = from_inputs @ right[keep].conj().T / root
    Tinv = (left[:, keep] / root).conj().T @ to_outputs.conj().T
    return T, Tinv, sigma[keep]


def _require_gramians(model: BilinearSSM) -> None:
    """Raise unless the Gramians exist, with the measured spectral radius and the scaling."""
    (A, N), dt = _real(model.A, model.N), model.dt
    if (margin := stability_margin(A, dt)) <= 0:
        raise UnstableModelError(
            f"The Gramians need a stable `A`: its stability margin is {margin:.3g}, and no scaling "
            "of the inputs changes that.",
            stability_margin=margin,
        )
    if (factor := _least_scaling(A, N, dt)) < 1:
        return
    bound = _moment_bound(A, N, dt)
    if dt > 0:
        measured = f"the spectral radius of kron(A, A) + sum kron(N_i, N_i) is {bound:.6g}, not < 1"
    else:
        measured = (
            "the spectral abscissa of kron(A, I) + kron(I, A) + sum kron(N_i, N_i) is "
            f"{bound:.6g}, not < 0"
        )
    raise UnstableModelError(
        f"The Gramians do not exist: {measured}. They exist for inputs divided by gamma > "
        f"{factor:.6g}: BilinearSSM(A, N / gamma, B / gamma, C, D / gamma, dt={dt:g}) gives the "
        "same outputs when its input is gamma * u.",
        stability_margin=1 - bound if dt > 0 else -bound,
    )


def _real(*matrices: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return complex (..., a, b) as real (..., 2a, 2b): products and adjoints are respected."""
    if not any(np.iscomplexobj(M) for M in matrices):
        return matrices
    return tuple(np.block([[np.real(M), -np.imag(M)], [np.imag(M), np.real(M)]]) for M in matrices)


def _operator_matrices(A: np.ndarray, N: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return L, S (n^2, n^2): the Gramian equation is L vec(P) = S vec(P) + vec(W)."""
    eye = np.eye(A.shape[0])
    L = np.kron(eye, eye) - np.kron(A, A) if dt > 0 else -np.kron(A, eye) - np.kron(eye, A)
    S = np.einsum("iab,icd->acbd", N, N).reshape(L.shape)
    return L, S


def _input_part(N: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Return sum_i N_i P N_i', symmetrised."""
    return symmetrize((N @ P @ N.swapaxes(1, 2)).sum(axis=0))


def _least_scaling(A: np.ndarray, N: np.ndarray, dt: float) -> float:
    """Return gamma, gamma^2 = rho(L^-1 S): for stable A the Gramians exist iff gamma < 1."""
    n = A.shape[0]
    if n == 0 or not N.any():
        return 0.0
    if n <= DENSE_ORDER:
        radius = np.abs(np.linalg.eigvals(np.linalg.solve(*_operator_matrices(A, N, dt)))).max()
    else:
        radius = _dominant_eigenvalue(
            lambda P: solve_lyapunov(A, _input_part(N, P), dt=dt), n, which="LM"
        )
    return float(np.sqrt(radius))


def _moment_bound(A: np.ndarray, N: np.ndarray, dt: float) -> float:
    """Return the spectral radius of P -> A P A' + S(P), or abscissa of P -> A P + P A' + S(P)."""
    n = A.shape[0]
    if n <= DENSE_ORDER:
        L, S = _operator_matrices(A, N, dt)
        if dt == 0.0:
            return float(np.linalg.eigvals(S - L).real.max())
        return float(np.abs(np.linalg.eigvals(S - L + np.eye(n * n))).max())
    if dt == 0.0:
        return _dominant_eigenvalue(lambda P: A @ P + P @ A.T + _input_part(N, P), n, which="LR")
    return _dominant_eigenvalue(lambda P: A @ P @ A.T + _input_part(N, P), n, which="LM")


def _dominant_eigenvalue(
    operator: Callable[[np.ndarray], np.ndarray], n: int, *, which: Literal["LM", "LR"]
) -> float:
    """Return the largest eigenvalue of a map that keeps matrices positive semidefinite.

    It is real, and its eigenvector is a semidefinite matrix: the identity is a safe start.
    """
    flat = scipy.sparse.linalg.LinearOperator(
        (n * n, n * n), matvec=lambda v: operator(v.reshape(n, n)).ravel(), dtype=float
    )
    values = scipy.sparse.linalg.eigs(
        flat, k=1, which=which, v0=np.eye(n).ravel(), maxiter=100 * n, return_eigenvectors=False
    )
    return float(values.real.max())


def _solve(A: np.ndarray, N: np.ndarray, W: np.ndarray, dt: float) -> np.ndarray:
    """Solve the Gramian equation with right-hand side W (n, n); its existence was checked."""
    n = A.shape[0]
    if n == 0:
        return np.zeros((0, 0))
    if any(np.iscomplexobj(matrix) for matrix in (A, N, W)):
        P = _solve(*_real(A, N, W), dt=dt)
        return P[:n, :n] + 1j * P[n:, :n]
    if n <= DENSE_ORDER:
        L, S = _operator_matrices(A, N, dt)
        P = symmetrize(np.linalg.solve(L - S, W.ravel()).reshape(n, n))
    else:
        P = _solve_iteratively(A, N, W, dt)
    with np.errstate(over="ignore", invalid="ignore"):  # then the residual is no number
        linear = A @ P @ A.T - P if dt > 0 else A @ P + P @ A.T
        size = np.linalg.norm(A) ** 2 + 1 if dt > 0 else 2 * np.linalg.norm(A)
        scale = (size + np.linalg.norm(N) ** 2) * np.linalg.norm(P) + np.linalg.norm(W)
        error = np.linalg.norm(linear + _input_part(N, P) + W)
        residual = float(error / scale) if scale > 0 else 0.0
    if not residual <= 1e-8:
        raise AccuracyError(
            f"The Gramian has relative residual {residual:.2e}. Likely causes: (a) the existence "
            "condition holds by a very small margin: scale the inputs down, (b) a badly scaled "
            "state: change coordinates first.",
            residual=residual,
        )
    return P


def _solve_iteratively(A: np.ndarray, N: np.ndarray, W: np.ndarray, dt: float) -> np.ndarray:
    """Solve P - L^-1 S(P) = L^-1 W by GMRES."""
    n = A.shape[0]
    flat = scipy.sparse.linalg.LinearOperator(
        (n * n, n * n),
        matvec=lambda v: v - solve_lyapunov(A, _input_part(N, v.reshape(n, n)), dt=dt).ravel(),
        dtype=float,
    )
    start = solve_lyapunov(A, W, dt=dt).ravel()
    solution, _ = scipy.sparse.linalg.gmres(flat, start, rtol=1e-14, restart=50, maxiter=20)
    return symmetrize(solution.reshape(n, n))
