r"""Are two records the same model, and through which coordinates?

`similarity` looks for the T of x_a = T x_b. `are_equivalent` asks for less: the same behaviour,
whatever the states, even of different orders.

Glossary: ``G`` the columns that enter the state (B, K, x0, m0 side by side).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from realization import (
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NotMinimalError,
)
from realization.internal import as_instance, as_real, initial_moments, invariant_hull

from .kalman_decomposition import kalman_decomposition
from .result import Model, condition, input_matrix, norm

__all__ = ["are_equivalent", "similarity"]

CLASSES = (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel, BilinearSSM)
TRIES = 6  # random feedbacks; the one with the smallest residual is kept


def similarity(a: Model, b: Model) -> tuple[np.ndarray, float]:
    r"""Return the change of coordinates between two models of one class and order.

    .. math:: x_a = T x_b: \qquad A_a T = T A_b, \quad B_a = T B_b, \quad C_a T = C_b,

    and the same for all other arrays.

    Parameters
    ----------
    a, b : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        Two records of one class, order, sizes and `dt`. ``similarity(model, form.model)`` returns
        ``form.T``.

    Returns
    -------
    T : (n, n) ndarray
        The transformation that fits best.
    residual : float
        The largest relative residual of the equations, infinite if T is singular. About machine
        epsilon times the condition of the problem if the models are similar; of order one if not.

    Raises
    ------
    TypeError
        If the classes differ or are no records.
    ValueError
        If orders, sizes or `dt` differ.
    NotMinimalError
        If part of the state is neither reachable nor observable: then T is not unique.

    See Also
    --------
    are_equivalent : The same behaviour, without asking for T.

    Notes
    -----
    For any F and L a solution satisfies the Sylvester equation
    :math:`(A_a + L C_a) T - T (A_b - G_b F) = G_a F + L C_b`, where G has B, K and the initial
    state as columns. For random F and L its two matrices share no eigenvalues: O(n^3), and no power
    of A is formed. The smallest residual of six draws (of fixed seed) is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import modal_form, similarity
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.9, 0.1], [0.2, 0.5]], [[1.0], [1.0]], [[1.0, 2.0]])
    >>> form = modal_form(model)
    >>> T, residual = similarity(model, form.model)
    >>> bool(np.allclose(T, form.T)), residual < 1e-12
    (True, True)
    """
    _require_comparable(a, b)
    if type(a) is not type(b):
        raise TypeError(
            f"`a` and `b` must be of one class; got {type(a).__name__} and {type(b).__name__}. "
            "are_equivalent compares behaviour across classes."
        )
    if a.n_states != b.n_states:
        raise ValueError(
            f"`a` and `b` must have the same order; got {a.n_states} and {b.n_states}. Call "
            "minimal_form on both, or are_equivalent."
        )
    n = a.n_states
    if n == 0:
        return np.zeros((0, 0)), _residual(a, b, np.zeros((0, 0)))
    G_a, G_b = _entering(a), _entering(b)
    if _has_isolated_states(a, G_a):
        raise NotMinimalError(
            "`a` has states that are neither reachable nor observable: T is not unique. Call "
            "minimal_form on both models first.",
            singular_value=0.0,
        )
    scales = [norm(G) or 1.0 for G in (G_a, a.C)]
    rng = np.random.default_rng(0)
    best, residual = np.eye(n), np.inf
    for _ in range(TRIES):
        F = rng.standard_normal((G_b.shape[1], n)) * norm(a.A) / (scales[0] * np.sqrt(n))
        L = rng.standard_normal((n, a.C.shape[0])) * norm(a.A) / (scales[1] * np.sqrt(n))
        T = scipy.linalg.solve_sylvester(a.A + L @ a.C, G_b @ F - b.A, G_a @ F + L @ b.C)
        if np.isfinite(T).all() and (error := _residual(a, b, T)) < residual:
            best, residual = T, error
    return best, residual


def are_equivalent(a: Model, b: Model, *, tol: float = 1e-8) -> bool:
    r"""Say whether two models behave alike, in whatever coordinates and of whatever order.

    Parameters
    ----------
    a, b : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        Two records. An InnovationSSM and a GaussianSSM are compared as processes; other classes
        only with their own.
    tol : float, default 1e-8
        Differences up to ``tol`` times the largest entry compared count as none.

    Returns
    -------
    bool
        For LinearSSM: equal Markov parameters. InnovationSSM: also those of the innovations and of
        the initial state, and equal covariance of innovations: the same predictions. GaussianSSM
        (or mixed): the same mean and covariance of the outputs, from the given initial law on.
        CovarianceModel: equal covariances. BilinearSSM: equal outputs for all inputs, innovations
        and the initial state.

    Raises
    ------
    TypeError
        If the classes cannot be compared.
    ValueError
        If the numbers of inputs or outputs, or `dt`, differ; or `tol` is not positive.

    See Also
    --------
    similarity : The change of coordinates.

    Notes
    -----
    Orders :math:`n_a` and :math:`n_b` need :math:`n_a + n_b` Markov parameters to decide. Bilinear
    models are compared on the reachable subspace of both together, not word by word.

    Examples
    --------
    >>> from canonical_forms import are_equivalent
    >>> from realization import LinearSSM
    >>> a = LinearSSM([[0.5]], [[2.0]], [[1.0]])
    >>> b = LinearSSM([[0.5, 0.0], [0.0, 0.1]], [[1.0], [0.0]], [[2.0, 3.0]])
    >>> are_equivalent(a, b)
    True
    """
    _require_comparable(a, b)
    tol = as_real("tol", tol, above=0.0)
    processes = (GaussianSSM, InnovationSSM)
    if type(a) is not type(b) and not (isinstance(a, processes) and isinstance(b, processes)):
        raise TypeError(
            f"`a` and `b` cannot be compared: {type(a).__name__} and {type(b).__name__} say "
            "different things. Convert one: to_covariance, innovation_form, to_gaussian."
        )
    if isinstance(a, BilinearSSM) and isinstance(b, BilinearSSM):
        return _same_bilinear(a, b, tol)
    count = a.n_states + b.n_states + 1
    if isinstance(a, GaussianSSM) or isinstance(b, GaussianSSM):
        left, right = (_law(model, count) for model in (a, b))
    else:
        left, right = (_responses(model, count) for model in (a, b))
    return all(_close(x, y, tol) for x, y in zip(left, right, strict=True))


def _require_comparable(a: Any, b: Any) -> None:
    """Raise unless both are records with the same inputs, outputs and time axis."""
    as_instance("a", a, CLASSES)
    as_instance("b", b, CLASSES)
    for name in ("n_inputs", "n_outputs", "dt"):
        if getattr(a, name) != getattr(b, name):
            raise ValueError(
                f"`a` and `b` must agree in {name}; got {getattr(a, name)} and {getattr(b, name)}."
            )


def _entering(model: Model) -> np.ndarray:
    """Return the columns that a change of coordinates multiplies by Tinv."""
    columns = [input_matrix(model)]
    if isinstance(model, (InnovationSSM, BilinearSSM)):
        columns += [model.K, model.x0[:, np.newaxis]]
    if isinstance(model, GaussianSSM):
        columns += [model.m0[:, np.newaxis], model.S]
    return np.concatenate(columns, axis=1)


def _residual(a: Any, b: Any, T: np.ndarray) -> float:
    """Return the largest relative residual of the equations of a similarity."""
    if condition(T) > 1 / np.finfo(float).eps:
        return np.inf
    equations = [
        (a.A @ T, T @ b.A),
        (_entering(a), T @ _entering(b)),
        (a.C @ T, b.C),
    ]
    if isinstance(a, BilinearSSM):
        equations += [(F @ T, T @ G) for F, G in zip(a.N, b.N, strict=True)]
    if isinstance(a, GaussianSSM):
        equations.append((a.Q, T @ b.Q @ T.conj().T))
        if a.P0 is not None and b.P0 is not None:
            equations.append((a.P0, T @ b.P0 @ T.conj().T))
        elif (a.P0 is None) != (b.P0 is None):
            P_a, P_b = initial_moments(a)[1], initial_moments(b)[1]
            equations.append((P_a, T @ P_b @ T.conj().T))
    for name in ("D", "R", "Re", "Lambda0"):
        if getattr(a, name, None) is not None and getattr(b, name, None) is not None:
            equations.append((getattr(a, name), getattr(b, name)))
    return max(
        norm(left - right) / (max(norm(left), norm(right)) or 1.0) for left, right in equations
    )


def _has_isolated_states(model: Any, G: np.ndarray) -> bool:
    """Say whether part of the state is neither reached by G nor seen by C."""
    if isinstance(model, BilinearSSM) or np.iscomplexobj(model.A):
        return False
    plain = LinearSSM(model.A, G, model.C, dt=model.dt)
    return kalman_decomposition(plain).info["sizes"][2] > 0


def _responses(model: Any, count: int) -> list[np.ndarray]:
    """Return direct terms and the responses to all that enters, lag by lag."""
    G, seen = _entering(model), []
    for _ in range(count):
        seen.append(model.C @ G)
        G = model.A @ G
    groups = np.split(np.array(seen), np.cumsum(_widths(model))[:-1], axis=2)
    direct = [model.Lambda0] if isinstance(model, CovarianceModel) else [model.D]
    return direct + groups + ([model.Re] if isinstance(model, InnovationSSM) else [])


def _widths(model: Any) -> list[int]:
    """Return the numbers of columns of the groups that enter."""
    m, p = input_matrix(model).shape[1], model.n_outputs
    if isinstance(model, InnovationSSM):
        return [m, p, 1]
    return [m, 1, p] if isinstance(model, GaussianSSM) else [m]


def _law(model: Any, count: int) -> list[np.ndarray]:
    """Return what fixes mean and covariance of the outputs from the initial law on.

    With P_t the covariance of the state, cov(y_{t+k}, y_t) = C A^(k-1) (A P_t C' + S) for k > 0;
    in continuous time P and its derivatives at 0 take the place of P_0, P_1, ...
    """
    A, C = model.A, model.C
    if isinstance(model, InnovationSSM):
        m0, P = model.x0, np.zeros_like(A)
        Q, S, R = model.K @ model.Re @ model.K.conj().T, model.K @ model.Re, model.Re
    else:
        (m0, P), Q, S, R = initial_moments(model), model.Q, model.S, model.R
    columns, variances = [], []
    for k in range(2 * count):
        if model.dt == 0.0:
            columns.append(P @ C.conj().T + (S if k == 0 else 0.0))
            P = A @ P + P @ A.conj().T + (Q if k == 0 else 0.0)
        else:
            variances.append(C @ P @ C.conj().T + R)
            columns.append(A @ P @ C.conj().T + S)
            P = A @ P @ A.conj().T + Q
    G = np.concatenate([model.B, m0[:, np.newaxis], *columns], axis=1)
    seen = []
    for _ in range(count):
        seen.append(C @ G)
        G = A @ G
    m = model.n_inputs
    inputs, mean, noise = np.split(np.array(seen), [m, m + 1], axis=2)
    return [model.D, inputs, mean, noise, np.array(variances) if variances else R]


def _close(x: np.ndarray, y: np.ndarray, tol: float) -> bool:
    """Say whether two arrays agree to tol times their largest entry."""
    scale = max(np.abs(x).max(initial=0.0), np.abs(y).max(initial=0.0))
    return bool(np.abs(x - y).max(initial=0.0) <= tol * scale)


def _same_bilinear(a: BilinearSSM, b: BilinearSSM, tol: float) -> bool:
    """Compare outputs on the reachable subspace of both models side by side."""
    if not _close(a.D, b.D, tol) or (a.Re is None) != (b.Re is None):
        return False
    if a.Re is not None and b.Re is not None and not _close(a.Re, b.Re, tol):
        return False
    pairs = zip([a.A, *a.N], [b.A, *b.N], strict=True)
    letters = np.array([scipy.linalg.block_diag(F, G) for F, G in pairs])
    G = np.concatenate([_entering(a), _entering(b)])
    reached = invariant_hull(G, letters, G, letters, None, 1.0)[0]
    outputs = np.concatenate([a.C, -b.C], axis=1)
    return bool(norm(outputs @ reached) <= tol * norm(outputs))
