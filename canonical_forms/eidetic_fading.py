r"""The eidetic-fading form: what a model remembers verbatim, and what it lets fade.

Every real matrix splits, uniquely, into a nilpotent and an invertible part (Fitting)::

    T^-1 A T = diag(A_N, A_F)        A_N^index = 0        A_F invertible

The states of A_N hold the last inputs exactly and then nothing: a delay line. The states of A_F
never forget completely. This is a discrete-time notion: in continuous time the eigenvalue 0 is an
integrator.

Glossary: *eidetic* part A_N, *fading* part A_F (fading if its spectral radius is below one);
``index`` the number of steps after which A_N has forgotten; ``weyr`` the dimensions that each step
loses, not increasing; ``W`` the staircase, A in orthogonal coordinates that reveal both.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import scipy

from realization import (
    AccuracyError,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    NotMinimalError,
    NumericalWarning,
    UnstableModelError,
)
from realization.internal import (
    as_choice,
    as_real,
    nilpotent_staircase,
    rank_tolerance,
    stability_margin,
)

from .balanced import balancing
from .modal import block_diagonal, complex_blocks, jordan_chains, real_schur, schur_blocks
from .result import (
    ILL_CONDITIONED,
    RESIDUAL_LIMIT,
    CanonicalForm,
    Linear,
    as_condmax,
    checked_model,
    condition,
    finish,
    input_matrix,
    sealed,
)

__all__ = ["eidetic_fading_form"]

NAME = "eidetic-fading form"
BILINEAR = (
    "A and the N_i need not preserve the same split. simultaneous_form finds the common one, if "
    "there is one."
)


def eidetic_fading_form(
    model: Linear,
    *,
    tol: float | None = None,
    eidetic: Literal["jordan", "weyr", "delay_line"] = "jordan",
    fading: Literal["modal", "complex_diagonal", "schur", "balanced"] = "modal",
    condmax: float = 1e4,
) -> CanonicalForm:
    r"""Split a model into a part that remembers verbatim and a part that fades.

    .. math:: T^{-1} A T = \begin{bmatrix} A_N & 0 \\ 0 & A_F \end{bmatrix}, \qquad
        A_N^\nu = 0, \quad \det A_F \ne 0.

    The impulse response is :math:`C_N A_N^{k-1} B_N + C_F A_F^{k-1} B_F`; its first term is
    exactly zero after :math:`\nu` steps.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The model, in discrete time.
    tol : float, optional
        A singular value counts as zero up to ``tol`` times the spectral norm of A. It must exceed
        the errors in A and stay below the smallest genuine singular value: compare
        ``info["singular_values"]`` and ``info["gap"]``. Default: 10 n times machine epsilon,
        times the factor by which earlier levels amplify rounding, at most 1 / sqrt(eps).
    eidetic : {"jordan", "weyr", "delay_line"}
        The eidetic part: shift registers of length ``info["sizes"]``; strictly block upper
        triangular in orthogonal coordinates (the safe choice); or one shift register for all
        inputs, of length ``info["index"]``. The last is an embedding: it may have more states than
        the model, T only intertwines (:math:`A T = T \tilde A`, ``Tinv`` is None), and it keeps
        what inputs (and innovations) reach.
    fading : {"modal", "complex_diagonal", "schur", "balanced"}
        The fading part: blocks as in `modal_form`; diagonal and complex; quasi-triangular (the
        safe choice); or balanced, which needs it stable, reachable and observable.
    condmax : float, default 1e4
        For ``fading="modal"``: the largest condition number of the split of the fading part.

    Returns
    -------
    CanonicalForm
        Eidetic states first. ``info`` has ``eidetic_order``, ``index``, ``weyr``, ``sizes`` (of
        all diagonal blocks), ``singular_values`` (one array for each level, relative to the norm
        of A) and ``gap``, the smallest kept over the largest neglected singular value.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is complex; or a GaussianSSM for ``"delay_line"``: its
        noise has no input of its own to delay.
    ValueError
        If `model` is in continuous time, where 0 is an integrator and not a delay; if `tol` is not
        between 0 and 1, `condmax` below 1, or an option is not one of those listed; or for
        ``"delay_line"`` an initial state that no past input produces.
    UnstableModelError, NotMinimalError
        If ``fading="balanced"`` and the fading part is not stable, or not reachable and observable.
    AccuracyError
        If the rank decisions contradict each other (errors in A, or coordinates with a condition
        number above about 1e4: set `tol`); if the fading part is defective and
        ``fading="complex_diagonal"``; or if the residual of the form exceeds 1e-6.

    Warns
    -----
    NumericalWarning
        If the decision is doubtful (``gap`` below 100) or T is ill-conditioned.

    See Also
    --------
    modal_form : When no eigenvalue is zero.
    jordan_form : Chains for all eigenvalues, ill-posed.

    Notes
    -----
    Eigenvalues are never compared with a threshold: those of an 8-step delay line are computed with
    modulus 0.01, eps^(1/8). The staircase decides ranks by singular values, O(n^4) at worst and
    O(n^3) for few levels, and a Sylvester equation splits.

    That the split exists is universal; that A_F can be made diagonal is generic and not universal:
    ``"complex_diagonal"`` raises for a defective A_F, the other three always exist. A mode that is
    small but not zero is fading: after L steps its trace is about :math:`|\lambda|^L`.

    References
    ----------
    L. Zancato et al., "B'MOJO: Hybrid state space realizations of foundation models with eidetic
    and fading memory", arXiv:2407.06324, 2024.

    Examples
    --------
    A delay of three steps followed by a mode at 0.9:

    >>> import numpy as np
    >>> from canonical_forms import eidetic_fading_form
    >>> from realization import LinearSSM, markov_parameters
    >>> A = np.eye(4, k=-1)
    >>> A[3, 3] = 0.9
    >>> model = LinearSSM(A, np.eye(4)[:, :1], np.eye(4)[3:])
    >>> form = eidetic_fading_form(model)
    >>> form.info["index"], form.info["sizes"]
    (3, (3, 1))
    >>> bool(np.allclose(markov_parameters(form.model, 9), markov_parameters(model, 9)))
    True
    """
    checked_model(model, NAME, bilinear=BILINEAR)
    if model.dt == 0.0:
        raise ValueError(
            "Eidetic memory is a discrete-time notion: in continuous time an eigenvalue 0 is an "
            "integrator, not a delay. Call discretize(model, dt) first, or use modal_form."
        )
    as_choice("eidetic", eidetic, ("jordan", "weyr", "delay_line"))
    as_choice("fading", fading, ("modal", "complex_diagonal", "schur", "balanced"))
    if tol is not None:
        tol = as_real("tol", tol, above=0.0, below=1.0)
    condmax = as_condmax(condmax)
    if eidetic == "delay_line" and isinstance(model, GaussianSSM):
        raise TypeError(
            "`model` must not be a GaussianSSM for eidetic='delay_line': its state noise has no "
            "input to delay. Use innovation_form(model), or eidetic='jordan'."
        )
    W, T, Tinv, weyr, info = _fitting_split(model.A, tol)
    k = sum(weyr)
    A_F, X, Xinv, fading_sizes = _fading_part(model, W[k:, k:], T[:, k:], Tinv[k:], fading, condmax)
    if eidetic == "delay_line":
        return _delay_line(model, W[:k, :k], T, Tinv, weyr, (A_F, X, Xinv, fading_sizes), info)
    A_N, sizes = W[:k, :k], weyr
    if eidetic == "jordan":
        chains, sizes = jordan_chains(A_N, weyr)
        A_N = scipy.linalg.block_diag(np.zeros((0, 0)), *[np.eye(size, k=1) for size in sizes])
        T_N, T_Ninv = T[:, :k] @ chains, np.linalg.solve(chains, Tinv[:k])
    else:
        T_N, T_Ninv = T[:, :k], Tinv[:k]
    return finish(
        model,
        np.concatenate([T_N, T[:, k:] @ X], axis=1),
        np.concatenate([T_Ninv, Xinv @ Tinv[k:]]),
        form=NAME,
        safer="eidetic='weyr', fading='schur'",
        exact={"A": scipy.linalg.block_diag(A_N, A_F)},
        sizes=(*sizes, *fading_sizes),
        eidetic=eidetic,
        eidetic_blocks=len(sizes),
        **info,
    )


def _fitting_split(
    A: np.ndarray, tol: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int], dict[str, Any]]:
    """Return diag(W_N, W_F), T and Tinv with T^-1 A T equal to it, the Weyr sizes and the info."""
    n = A.shape[0]
    Q, W, weyr, values = nilpotent_staircase(A, tol)
    k = sum(weyr)
    if list(weyr) != sorted(weyr, reverse=True):
        raise AccuracyError(
            f"Level by level {tuple(weyr)} dimensions are lost; these numbers must not increase: "
            "the errors in A are not separated from its genuine singular values. Set `tol` above "
            "the errors in A, or use schur_form.",
            residual=float(values[len(weyr) - 1][-weyr[-1]]),
        )
    X = np.zeros((k, n - k))
    if 0 < k < n:
        X = scipy.linalg.solve_sylvester(W[:k, :k], -W[k:, k:], -W[:k, k:])
        W[:k, k:] = 0.0
    T = np.concatenate([Q[:, :k], Q[:, :k] @ X + Q[:, k:]], axis=1)
    Tinv = np.concatenate([Q[:, :k].T - X @ Q[:, k:].T, Q[:, k:].T])
    neglected = [s[s.size - size :] for s, size in zip(values, weyr, strict=False)]
    kept = [s[: s.size - size] for s, size in zip(values, [*weyr, 0], strict=False)]
    below = float(np.concatenate([np.zeros(1), *neglected]).max())
    above = float(np.concatenate([np.full(1, np.inf), *kept]).min())
    gap = above / max(below, float(np.finfo(float).eps))
    if gap < 100:
        warnings.warn(
            f"The split into eidetic and fading states is doubtful: the smallest singular value "
            f"kept is {above:.1e}, the largest neglected {below:.1e} (relative to the norm of A). "
            "Set `tol` above the errors in A.",
            NumericalWarning,
            stacklevel=3,
        )
    if tol is None:
        tol = 10 * n * float(np.finfo(float).eps)
    info = {
        "tol": tol, "singular_values": values, "gap": gap, "weyr": tuple(weyr),
        "index": len(weyr), "eidetic_order": k,
    }  # fmt: skip
    return W, T, Tinv, weyr, info


def _fading_part(
    model: Linear, A: np.ndarray, T: np.ndarray, Tinv: np.ndarray, kind: str, condmax: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Return the fading matrix in its form, X and Xinv with X^-1 A X equal to it, block sizes."""
    if kind == "modal":
        blocks, X, Xinv, sizes = block_diagonal(A, condmax)
        return blocks, X, Xinv, tuple(sizes)
    if kind == "complex_diagonal":
        return _diagonal(A)
    if kind == "schur" or A.shape[0] == 0:
        S, U = real_schur(A)
        return S, U, U.T, schur_blocks(S)
    if (margin := stability_margin(A, model.dt)) <= 0:
        raise UnstableModelError(
            f"fading='balanced' needs a stable fading part; its stability margin is {margin:.3g}. "
            "Use fading='modal'.",
            stability_margin=margin,
        )
    X, Xinv, sigma = balancing(A, Tinv @ input_matrix(model), model.C @ T, model.dt)
    if sigma[-1] <= rank_tolerance(A.shape, sigma[0]):
        raise NotMinimalError(
            "fading='balanced' needs a reachable and observable fading part; its smallest Hankel "
            f"singular value is {sigma[-1]:.1e} (largest {sigma[0]:.1e}). Call minimal_form first, "
            "or use fading='modal'.",
            singular_value=float(sigma[-1] / sigma[0]) if sigma[0] > 0 else 0.0,
        )
    return Xinv @ A @ X, X, Xinv, (A.shape[0],)


def _diagonal(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Diagonalize over the complex numbers, slowest mode first, or raise if A is defective."""
    n = A.shape[0]
    blocks, X, Xinv, sizes = complex_blocks(*block_diagonal(A, ILL_CONDITIONED))
    if max(sizes, default=1) > 1:
        # Repeated eigenvalues share a block: it is diagonal unless it is defective.
        off = float(np.linalg.norm(np.triu(blocks, 1)) / np.linalg.norm(A))
        if off > 100 * n * np.finfo(float).eps * condition(X):
            raise AccuracyError(
                f"The fading part is defective: {max(sizes)} eigenvalues share one block with "
                f"off-diagonal entries of {off:.1e} (relative), which no diagonal form has. Use "
                "fading='modal' or 'schur'.",
                residual=off,
            )
    return np.diag(np.diag(blocks)), X, Xinv, (1,) * n


def _delay_line(
    model: Any,
    W: np.ndarray,
    T: np.ndarray,
    Tinv: np.ndarray,
    weyr: list[int],
    fading: tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]],
    info: dict[str, Any],
) -> CanonicalForm:
    """Embed the eidetic part in a shift register of the last inputs (and innovations)."""
    k, depth, n = W.shape[0], len(weyr), model.n_states
    A_F, X, Xinv, sizes = fading
    T_F, T_Finv = T[:, k:] @ X, Xinv @ Tinv[k:]
    entering = [input_matrix(model)] + ([model.K] if isinstance(model, InnovationSSM) else [])
    G = np.concatenate(entering, axis=1)
    taps = [Tinv[:k] @ G]
    for _ in range(depth - 1):
        taps.append(W @ taps[-1])
    width, length = G.shape[1], G.shape[1] * depth
    T_N = T[:, :k] @ np.concatenate([np.zeros((k, 0)), *taps[:depth]], axis=1)
    A = scipy.linalg.block_diag(np.eye(length, k=-width) if width else np.zeros((0, 0)), A_F)
    first = np.eye(length, width)
    new: dict[str, np.ndarray] = {"A": A}
    names = ["N" if isinstance(model, CovarianceModel) else "B", "K"]
    start = 0
    for name, M in zip(names, entering, strict=False):
        new[name] = np.concatenate([first[:, start : start + M.shape[1]], T_Finv @ M])
        start += M.shape[1]
    whole = np.concatenate([T_N.reshape(n, length), T_F], axis=1)
    new["C"] = model.C @ whole
    if isinstance(model, InnovationSSM):
        new["x0"] = np.concatenate(
            [_past_inputs(model, T_N, Tinv[:k], T[:, :k]), T_Finv @ model.x0]
        )
    moved = replace(model, **new)
    errors = [
        (model.A @ whole - whole @ A, np.linalg.norm(model.A) * np.linalg.norm(whole)),
        *(
            (M - whole @ new[name], np.linalg.norm(M))
            for name, M in zip(names, entering, strict=False)
        ),
    ]
    residual = max(float(np.linalg.norm(e)) / (float(s) or 1.0) for e, s in errors)
    if not residual <= RESIDUAL_LIMIT:
        raise AccuracyError(
            f"The delay line reproduces the eidetic part with residual {residual:.1e} (limit "
            f"{RESIDUAL_LIMIT:.0e}). Use eidetic='weyr', fading='schur'.",
            residual=residual,
        )
    values = np.linalg.svd(whole, compute_uv=False) if whole.size else np.ones(1)
    positive = values[values > rank_tolerance(whole.shape, values[0])]
    cond = float(positive[0] / positive[-1]) if positive.size else 1.0
    info = {
        "form": NAME, "cond": cond, "residual": residual,
        "sizes": (*(width,) * depth, *sizes), "eidetic": "delay_line", "eidetic_blocks": depth,
    } | info | {"eidetic_order": length}  # fmt: skip
    return sealed(moved, whole, None, info)


def _past_inputs(
    model: InnovationSSM, T_N: np.ndarray, Tinv_N: np.ndarray, basis: np.ndarray
) -> np.ndarray:
    """Return past inputs and innovations that lead to the eidetic part of x0."""
    target = basis @ (Tinv_N @ model.x0)
    z = np.linalg.lstsq(T_N, target, rcond=None)[0] if T_N.size else np.zeros(T_N.shape[1])
    error = float(np.linalg.norm(T_N @ z - target))
    if error > 1e-8 * max(float(np.linalg.norm(model.x0)), np.finfo(float).tiny):
        raise ValueError(
            "`model.x0` has an eidetic part that no past input or innovation produces (distance "
            f"{error:.1e}): a delay line cannot hold it. Use eidetic='jordan'."
        )
    return z
