r"""Balanced and normal forms, and truncation with its error bound.

::

    balanced       P = Q = diag(sigma)        input-normal  P = I, Q = diag(sigma^2)
                                              output-normal P = diag(sigma^2), Q = I

Glossary: ``P``, ``Q`` reachability and observability Gramian, never formed: ``L_c L_c' = P`` and
``L_o L_o' = Q``; ``sigma`` the Hankel singular values, the singular values of L_o' L_c.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy

from realization import (
    BilinearSSM,
    CovarianceModel,
    NotMinimalError,
    NumericalWarning,
    bilinear_truncate,
    stochastic_balance,
)
from realization.internal import as_instance, as_integer, as_real, bilinear_balancing, counted
from realization.internal import lyapunov_factor as gramian_factor

from .result import (
    CanonicalForm,
    Linear,
    Model,
    change_coordinates,
    checked_model,
    condition,
    finish,
    input_matrix,
    sealed,
)

__all__ = ["balanced_form", "input_normal_form", "output_normal_form", "truncate"]

NORMAL_REASON = "only balanced_form balances the Gramians of a bilinear model."


def balanced_form(model: Model, *, tol: float | None = None) -> CanonicalForm:
    r"""Make every state as hard to reach as it is hard to see.

    .. math:: P = Q = \operatorname{diag}(\sigma_1, \dots, \sigma_n), \qquad
        \sigma_1 \ge \dots \ge \sigma_n > 0,

    with :math:`P = A P A^\top + B B^\top`, :math:`Q = A^\top Q A + C^\top C` (discrete time;
    :math:`A P + P A^\top + B B^\top = 0` and its dual in continuous time).

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        The model. The Gramians use its inputs B only, not its noise; those of covariance data are
        the minimal covariances of the process and of its time reversal, and the values canonical
        correlations. The Gramians of a bilinear model are `realization.bilinear_gramians`.
    tol : float, optional
        States whose Hankel singular value is at most ``tol`` times the largest are left out.
        Default: n times machine epsilon (bilinear: its square root).

    Returns
    -------
    CanonicalForm
        ``info["hankel_singular_values"]`` holds the values kept. The states of an unstable part
        come first, ``info["unstable"]`` of them; only the stable part is balanced.

    Raises
    ------
    TypeError
        If `model` is no record, or is complex.
    ValueError
        If `tol` is negative.
    NotMinimalError
        If nothing that is stable is both reached by B and seen by C, or covariance data are not
        minimal.
    UnstableModelError
        If the Gramians of a bilinear model do not exist.

    Warns
    -----
    NumericalWarning
        If states are left out, with their number and the bound on the error.

    See Also
    --------
    truncate : Leave out what matters least.
    minimal_form : Leave out what does not matter at all.

    Notes
    -----
    Square-root algorithm, O(n^3): the Gramians enter by their Cholesky factors (SLICOT SB03OD) and
    are never multiplied out. Distinct values make T unique up to signs. The unstable part is split
    off by an ordered Schur form and a Sylvester equation.

    References
    ----------
    B. C. Moore, "Principal component analysis in linear systems", IEEE Transactions on Automatic
    Control 26, 1981. For covariance data: Desai and Pal (1984).

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import balanced_form
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.9, 0.1], [0.0, 0.5]], [[1.0], [1.0]], [[1.0, 2.0]])
    >>> form = balanced_form(model)
    >>> A, B, P = form.model.A, form.model.B, np.diag(form.info["hankel_singular_values"])
    >>> bool(np.allclose(P, A @ P @ A.T + B @ B.T))
    True
    """
    return _balance(model, "balanced form", 0.5, tol)


def input_normal_form(model: Linear, *, tol: float | None = None) -> CanonicalForm:
    r"""Make all states equally easy to reach, ordered by how well they are seen.

    .. math:: P = I, \qquad Q = \operatorname{diag}(\sigma_1^2, \dots, \sigma_n^2).

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        As for `balanced_form`.
    tol : float, optional
        As for `balanced_form`.

    Returns
    -------
    CanonicalForm
        As for `balanced_form`.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    NotMinimalError
        As for `balanced_form`.

    See Also
    --------
    output_normal_form : The dual.
    balanced_form : Between the two; the Notes apply here.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import input_normal_form
    >>> from realization import LinearSSM
    >>> form = input_normal_form(LinearSSM([[0.9, 0.1], [0.0, 0.5]], np.ones((2, 1)), [[1.0, 2.0]]))
    >>> A, B = form.model.A, form.model.B
    >>> bool(np.allclose(A @ A.T + B @ B.T, np.eye(2)))
    True
    """
    checked_model(model, "input-normal form", bilinear=NORMAL_REASON)
    return _balance(model, "input-normal form", 0.0, tol)


def output_normal_form(model: Linear, *, tol: float | None = None) -> CanonicalForm:
    r"""Make all states equally easy to see, ordered by how well they are reached.

    .. math:: P = \operatorname{diag}(\sigma_1^2, \dots, \sigma_n^2), \qquad Q = I.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        As for `balanced_form`.
    tol : float, optional
        As for `balanced_form`.

    Returns
    -------
    CanonicalForm
        As for `balanced_form`.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex.
    NotMinimalError
        As for `balanced_form`.

    See Also
    --------
    input_normal_form : The dual.
    balanced_form : Between the two; the Notes apply here.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import output_normal_form
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.9, 0.1], [0.0, 0.5]], np.ones((2, 1)), [[1.0, 2.0]])
    >>> form = output_normal_form(model)
    >>> A, C = form.model.A, form.model.C
    >>> bool(np.allclose(A.T @ A + C.T @ C, np.eye(2)))
    True
    """
    checked_model(model, "output-normal form", bilinear=NORMAL_REASON)
    return _balance(model, "output-normal form", 1.0, tol)


def truncate(form: CanonicalForm, order: int) -> CanonicalForm:
    r"""Keep the leading states of a balanced or normal form.

    The error from inputs to outputs is bounded, in discrete and in continuous time, by

    .. math:: \|G - G_r\|_\infty \le 2 \sum_{i > r} \sigma_i.

    Parameters
    ----------
    form : CanonicalForm
        From `balanced_form`, `input_normal_form` or `output_normal_form`.
    order : int
        States to keep; at least the number of unstable ones.

    Returns
    -------
    CanonicalForm
        T (n, order) and Tinv (order, n) with Tinv T = I. ``info["error_bound"]`` is the bound, for
        the largest singular value of the frequency response from u to y: noise is reduced along,
        but not covered. Covariance data and bilinear models have no such bound.

    Raises
    ------
    TypeError
        If `form` is no CanonicalForm, or `order` no integer.
    ValueError
        If `form` is not balanced, or `order` is too large or below the number of unstable states.

    Warns
    -----
    NumericalWarning
        If `order` separates equal values: which state is kept is then arbitrary.

    See Also
    --------
    balanced_form : The coordinates.
    realization.bilinear_truncate : The same for bilinear models, with its conditions.

    Notes
    -----
    All truncations of the three forms of one model are similar. In continuous time the truncated
    model is balanced again; in discrete time it is stable, with Gramians that are not quite
    diagonal.

    References
    ----------
    K. Glover, "All optimal Hankel-norm approximations of linear multivariable systems and their
    L-infinity error bounds", International Journal of Control 39, 1984.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import balanced_form, truncate
    >>> from realization import LinearSSM, frequency_response
    >>> model = LinearSSM(np.diag([0.9, -0.3]), np.ones((2, 1)), [[1.0, 0.2]])
    >>> small = truncate(balanced_form(model), 1)
    >>> omega = np.linspace(0, np.pi, 50)
    >>> error = frequency_response(model, omega) - frequency_response(small.model, omega)
    >>> bool(np.abs(error).max() <= small.info["error_bound"])
    True
    """
    as_instance("form", form, (CanonicalForm,))
    order = as_integer("order", order)
    if "hankel_singular_values" not in form.info or form.Tinv is None:
        raise ValueError(
            f"`form` must be balanced or normal; got the {form.info['form']}. Call balanced_form "
            "first."
        )
    sigma, unstable = form.info["hankel_singular_values"], form.info["unstable"]
    if not unstable <= order <= form.model.n_states:
        raise ValueError(
            f"`order` must be between {unstable}, the number of unstable states, and "
            f"{form.model.n_states}, the order of `form`; got {order}."
        )
    info = form.info | {"form": f"truncated {form.info['form'].removeprefix('truncated ')}"}
    if isinstance(form.model, BilinearSSM):
        model = bilinear_truncate(form.model, order)
        V, Vinv, sigma = bilinear_balancing(form.model)
        T, Tinv = form.T @ V[:, :order], Vinv[:order] @ form.Tinv
        info |= {"hankel_singular_values": sigma[:order]}
    else:
        kept = order - unstable
        if 0 < kept < sigma.size and sigma[kept] > (1 - 1e-8) * sigma[kept - 1]:
            warnings.warn(
                f"Hankel singular values {kept} and {kept + 1} are equal ({sigma[kept]:.6g}): "
                "which state is kept is arbitrary. Keep one state more or one less.",
                NumericalWarning,
                stacklevel=2,
            )
        eye = np.eye(form.model.n_states)
        model = change_coordinates(form.model, eye[:, :order], eye[:order])
        T, Tinv = form.T[:, :order], form.Tinv[:order]
        if "error_bound" in form.info:
            info["error_bound"] = form.info["error_bound"] + 2 * float(sigma[kept:].sum())
        info["hankel_singular_values"] = sigma[:kept]
    residual = float(np.abs(Tinv @ T - np.eye(order)).max(initial=0.0))
    return sealed(model, T, Tinv, info | {"cond": condition(T), "residual": residual})


def _balance(model: Model, name: str, power: float, tol: float | None) -> CanonicalForm:
    """Return the form whose reachability Gramian is diag(sigma ** (2 * power))."""
    checked_model(model, name)
    if tol is not None:
        tol = as_real("tol", tol, above=-np.finfo(float).tiny)
    if isinstance(model, CovarianceModel):
        return _stochastic(model, name, power)
    if isinstance(model, BilinearSSM):
        T, Tinv, sigma = bilinear_balancing(model)
        if tol is not None:
            kept = int((sigma > tol * sigma.max(initial=0.0)).sum())
            T, Tinv, sigma = T[:, :kept], Tinv[:kept], sigma[:kept]
        dropped = None if T.shape[1] == model.n_states else np.nan
        tol = float(np.finfo(float).eps ** 0.5) if tol is None else tol
        return _finished(model, T, Tinv, name, sigma, sigma, 0, tol, dropped)
    if tol is None:
        tol = model.n_states * float(np.finfo(float).eps)
    V, Vinv, unstable = split_unstable(model.A, model.dt)
    A, B, C = Vinv @ model.A @ V, Vinv @ input_matrix(model), model.C @ V
    k = unstable
    X, Xinv, sigma = balancing(A[k:, k:], B[k:], C[:, k:], model.dt)
    kept = int((sigma > tol * sigma.max(initial=0.0)).sum())
    if kept == 0 and sigma.size:
        raise NotMinimalError(
            "`model` has no stable state that B reaches and C sees: there is nothing to balance "
            f"(inputs: {model.n_inputs}). For a process without inputs balance its covariances, "
            "balanced_form(to_covariance(model)).",
            singular_value=0.0,
        )
    weight = sigma[:kept] ** (0.5 - power)
    T = np.concatenate([V[:, :k], V[:, k:] @ (X[:, :kept] * weight)], axis=1)
    Tinv = np.concatenate([Vinv[:k], (Xinv[:kept] / weight[:, np.newaxis]) @ Vinv[k:]])
    dropped = None if kept == sigma.size else 2 * float(sigma[kept:].sum())
    return _finished(model, T, Tinv, name, sigma[:kept], sigma, k, tol, dropped)


def _finished(
    model: Model,
    T: np.ndarray,
    Tinv: np.ndarray,
    name: str,
    sigma: np.ndarray,
    values: np.ndarray,
    unstable: int,
    tol: float,
    dropped: float | None,
) -> CanonicalForm:
    """Check and return a balanced form; warn when states were left out."""
    if dropped is not None:
        bound = "" if np.isnan(dropped) else f"; the error is at most {dropped:.1e}"
        warnings.warn(
            f"{model.n_states - T.shape[1]} of {counted(model.n_states, 'state')} have Hankel "
            f"singular values below {tol:.1e} of the largest and were left out{bound}. "
            "minimal_form removes what is not reachable or not observable first.",
            NumericalWarning,
            stacklevel=4,
        )
    residual = None
    if T.shape[1] < model.n_states:
        residual = float(np.abs(Tinv @ T - np.eye(T.shape[1])).max(initial=0.0))
    extra: dict[str, Any] = {}
    if not isinstance(model, BilinearSSM):
        extra["error_bound"] = dropped or 0.0
    return finish(
        model, T, Tinv, form=name, safer="minimal_form or truncate", residual=residual, tol=tol,
        singular_values=values, hankel_singular_values=sigma, unstable=unstable, stacklevel=5,
        **extra,
    )  # fmt: skip


def _stochastic(model: CovarianceModel, name: str, power: float) -> CanonicalForm:
    """Return the stochastically balanced form of covariance data, scaled."""
    _, T, sigma = stochastic_balance(model)
    T = T * sigma ** (0.5 - power)
    return finish(
        model, T, np.linalg.inv(T), form=f"stochastically {name}", safer="minimal_form",
        singular_values=sigma, hankel_singular_values=sigma, unstable=0, stacklevel=5,
    )  # fmt: skip


def balancing(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return T, Tinv and all Hankel singular values of a stable system.

    Parameters
    ----------
    A, B, C : ndarray
        The system, A stable.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    T : (n, n) ndarray
        Balancing coordinates; only the columns of values that are not rounding mean something.
    Tinv : (n, n) ndarray
        Its left inverse, for the same rows.
    sigma : (n,) ndarray
        Descending.
    """
    from_inputs = gramian_factor(A, B, dt=dt)
    to_outputs = gramian_factor(A.T, C.T, dt=dt)
    left, sigma, right = np.linalg.svd(to_outputs.T @ from_inputs)
    root = np.sqrt(np.maximum(sigma, np.finfo(float).tiny))
    return from_inputs @ right.T / root, (left / root).T @ to_outputs.T, sigma


def split_unstable(A: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Return T, Tinv and k: T^-1 A T = diag(unstable (k, k), stable).

    Parameters
    ----------
    A : (n, n) ndarray
        The matrix. Eigenvalues on the stability boundary count as unstable.
    dt : float
        Sample time; 0.0 for continuous time.

    Returns
    -------
    T : (n, n) ndarray
        Block-diagonalising coordinates; the identity for a stable A.
    Tinv : (n, n) ndarray
        Its inverse.
    k : int
        Size of the unstable part.
    """
    n = A.shape[0]
    if n == 0:
        return np.eye(0), np.eye(0), 0
    region = "rhp" if dt == 0.0 else "ouc"
    values = np.linalg.eigvals(A)
    if (values.real < 0).all() if dt == 0.0 else (np.abs(values) < 1).all():
        return np.eye(n), np.eye(n), 0
    S, U, k = scipy.linalg.schur(A, output="real", sort=region)
    X = np.zeros((k, n - k))
    if 0 < k < n:
        X = scipy.linalg.solve_sylvester(S[:k, :k], -S[k:, k:], -S[:k, k:])
    T = np.concatenate([U[:, :k], U[:, :k] @ X + U[:, k:]], axis=1)
    Tinv = np.concatenate([U[:, :k].T - X @ U[:, k:].T, U[:, k:].T])
    return T, Tinv, k
