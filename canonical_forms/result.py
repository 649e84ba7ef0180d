r"""A model in other coordinates, the transformation, and what it cost.

One convention everywhere, x = T z::

    A -> Tinv A T    B -> Tinv B    C -> C T    N_i -> Tinv N_i T    K, S, x0, m0 -> Tinv (.)
    Q, P0 -> Tinv (.) Tinv'         D, R, Re, Lambda0, dt unchanged

Glossary: ``model`` the record before, ``form.model`` the record after; *exact* arrays are those
whose zeros and ones the form prescribes: they are written, not computed, and the residual of
A T = T A_new says what that changed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from realization import (
    AccuracyError,
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
)
from realization.internal import (
    as_instance,
    as_real,
    counted,
    covariance_factor,
    in_coordinates,
    register_record,
)

__all__ = ["CanonicalForm"]

Linear = LinearSSM | GaussianSSM | InnovationSSM | CovarianceModel
"""The records that are linear in the state."""
Model = Linear | BilinearSSM
"""Every record of a model."""

ILL_CONDITIONED = float(np.finfo(float).eps ** -0.5)
"""The condition number from which a transformation is warned about."""

RESIDUAL_LIMIT = 1e-6
"""The residual from which a form is refused."""


@register_record
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CanonicalForm:
    r"""A model in the coordinates of a form: x = T z.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel or BilinearSSM
        The model in the new coordinates, of the same class and `dt` as the original.
    T : (n, r) ndarray
        The transformation; r = n but for forms that leave states out or embed the model.
    Tinv : (r, n) ndarray or None
        Its (left) inverse. None where T only intertwines, :math:`A T = T \tilde A` (an embedding).
    info : dict
        What was decided and what it cost. Always ``form`` (its name), ``cond`` (condition number of
        T), ``residual``, ``tol`` (the tolerance used, None where nothing was decided) and
        ``singular_values`` (what it was compared with). Where they exist: ``indices`` (lengths of
        the chains), ``sizes`` (of the diagonal blocks), ``index`` (steps until the eidetic part
        has forgotten), ``weyr``, ``eidetic_order``, ``gap``, ``hankel_singular_values``,
        ``error_bound``, ``unstable``.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms import schur_form
    >>> from realization import LinearSSM
    >>> model = LinearSSM([[0.5, 0.2], [0.1, 0.4]], [[1.0], [0.0]], [[1.0, 1.0]])
    >>> form = schur_form(model)
    >>> bool(np.allclose(model.A @ form.T, form.T @ form.model.A))
    True
    """

    model: Any
    T: np.ndarray
    Tinv: np.ndarray | None
    info: dict[str, Any]

    def __repr__(self) -> str:
        parts = [self.info["form"], repr(self.model)]
        if "sizes" in self.info:
            parts.append(f"blocks {_listed(self.info['sizes'])}")
        if "indices" in self.info:
            parts.append(f"indices {_listed(self.info['indices'])}")
        return f"CanonicalForm({', '.join(parts)}, cond {self.info['cond']:.3g})"

    def summary(self) -> str:
        """Return a few lines that say which structure was found and how reliably.

        Returns
        -------
        str
            One line for each fact, ready to print.
        """
        info = self.info
        lines = [f"{info['form']}: {self.model!r}"]
        if (depth := info.get("eidetic_order")) is not None:
            lines.append(
                f"  eidetic part     {counted(depth, 'state')}, forgets after "
                f"{counted(info['index'], 'step')}; Weyr sizes {_listed(info['weyr'])}"
            )
            lines.append(f"  fading part      {counted(self.model.n_states - depth, 'state')}")
        labels = {
            "sizes": ("diagonal blocks", ""),
            "indices": ("chain lengths", ""),
            "parts": ("parts", ""),
            "unstable": ("unstable states", ""),
            "hankel_singular_values": ("Hankel values", ", what each state passes on"),
            "error_bound": ("error bound", ", of the frequency response"),
            "gap": ("gap", ", smallest value kept over largest taken as zero"),
        }
        for key, (label, meaning) in labels.items():
            if key in info:
                lines.append(f"  {label:<16} {_listed(info[key])}{meaning}")
        lines.append(f"  condition of T   {info['cond']:.3g}, where x = T z")
        lines.append(f"  residual         {info['residual']:.1e}, relative")
        if info["tol"] is not None:
            lines.append(f"  tolerance        {info['tol']:.1e}, relative: smaller counts as zero")
        return "\n".join(lines)


def _listed(value: Any) -> str:
    """Return a short text of a number or a sequence."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {entry}" for key, entry in value.items())
    if isinstance(value, (list, tuple, np.ndarray)):
        texts = [f"{entry:.4g}" for entry in value]
        shown = texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]]
        return f"({', '.join(shown)})"
    return f"{value:.4g}"


def checked_model(model: Any, form: str, *, bilinear: str | None = None) -> Any:
    """Return a real model of a class that has this form, or raise.

    `bilinear` says why a BilinearSSM has none; None accepts it.
    """
    if isinstance(model, BilinearSSM) and bilinear is not None:
        raise TypeError(f"`model` must be linear for {form}: {bilinear}")
    as_instance(
        "model", model, (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel, BilinearSSM)
    )
    if any(np.iscomplexobj(array) for array in (model.A, input_matrix(model), model.C)):
        raise TypeError(f"`model` must be real for {form}; got complex arrays.")
    return model


def as_condmax(condmax: Any) -> float:
    """Return a bound on a condition number."""
    if as_real("condmax", condmax) < 1:
        raise ValueError(f"`condmax` must be at least 1, a condition number; got {condmax:g}.")
    return float(condmax)


def input_matrix(model: Any) -> np.ndarray:
    """Return B, or for covariance data N, which takes its place."""
    return model.N if isinstance(model, CovarianceModel) else model.B


def entering_directions(model: Any) -> np.ndarray:
    """Return columns that span all that moves the state: inputs, noise, initial state.

    Each group of columns is scaled to norm one: units do not matter.
    """
    groups = [input_matrix(model)]
    if isinstance(model, (InnovationSSM, BilinearSSM)):
        groups += [model.K, model.x0[:, np.newaxis]]
    if isinstance(model, GaussianSSM):
        groups += [model.Q, model.m0[:, np.newaxis]]
        groups += [] if model.P0 is None else [model.P0]
    scaled = [group / np.abs(group).max() for group in groups if group.any()]
    scaled = [group / np.linalg.norm(group) for group in scaled]
    return np.concatenate([np.zeros((model.n_states, 0)), *scaled], axis=1)


def change_coordinates(model: Any, T: np.ndarray, Tinv: np.ndarray, **exact: np.ndarray) -> Any:
    """Return the record with state z, x = T z; `exact` arrays are taken as given.

    Parameters
    ----------
    model : record
        Any of the five.
    T : (n, r) ndarray
        The transformation.
    Tinv : (r, n) ndarray
        With Tinv T = I.
    **exact : ndarray
        Arrays of the new record whose structure the form prescribes.

    Returns
    -------
    record
        Of the same class; covariances go through a factor and stay positive semidefinite.
    """
    if isinstance(model, BilinearSSM):
        moved = in_coordinates(model, T, Tinv)
        return replace(moved, **exact) if exact else moved
    new: dict[str, Any] = {"A": Tinv @ model.A @ T, "C": model.C @ T}
    if isinstance(model, CovarianceModel):
        new["N"] = Tinv @ model.N
        return replace(model, **(new | exact))
    new["B"] = Tinv @ model.B
    if isinstance(model, InnovationSSM):
        new |= {"K": Tinv @ model.K, "x0": Tinv @ model.x0}
    if isinstance(model, GaussianSSM):
        n = model.n_states
        F = covariance_factor(np.block([[model.Q, model.S], [model.S.conj().T, model.R]]))
        F, G = Tinv @ F[:n], F[n:]
        new |= {"Q": F @ F.conj().T, "S": F @ G.conj().T}
        new["m0"] = Tinv @ model.m0
        if model.P0 is not None:
            F = Tinv @ covariance_factor(model.P0)
            new["P0"] = F @ F.conj().T
    return replace(model, **(new | exact))


def finish(
    model: Any,
    T: np.ndarray,
    Tinv: np.ndarray,
    *,
    form: str,
    safer: str,
    exact: dict[str, np.ndarray] | None = None,
    residual: float | None = None,
    limit: float = RESIDUAL_LIMIT,
    stacklevel: int = 3,
    **info: Any,
) -> CanonicalForm:
    """Return the form, after checking its residual and warning about its condition.

    `safer` names the form to use when this one is too ill-conditioned; `residual` replaces the
    residual of A T = T A_new for forms that leave states out.
    """
    moved = change_coordinates(model, T, Tinv, **(exact or {}))
    if residual is None:
        residual = intertwining_residual(model, moved, T)
    cond = condition(T)
    if not residual <= limit:
        raise AccuracyError(
            f"The {form} has residual {residual:.1e} (limit {limit:.0e}; condition of T "
            f"{cond:.1e}). Use {safer}.",
            residual=residual,
        )
    if cond > ILL_CONDITIONED:
        warnings.warn(
            f"The transformation to the {form} has condition number {cond:.1e}: about "
            f"{min(np.log10(cond), 16):.0f} of 16 digits are lost. Use {safer}.",
            NumericalWarning,
            stacklevel=stacklevel,
        )
    defaults = {"form": form, "cond": cond, "residual": residual, "tol": None}
    return sealed(moved, T, Tinv, defaults | {"singular_values": np.zeros(0)} | info)


def sealed(model: Any, T: np.ndarray, Tinv: np.ndarray | None, info: dict) -> CanonicalForm:
    """Return the form with read-only arrays."""
    T = np.array(T)
    T.setflags(write=False)
    if Tinv is not None:
        Tinv = np.array(Tinv)
        Tinv.setflags(write=False)
    return CanonicalForm(model, T, Tinv, info)


def norm(matrix: np.ndarray) -> float:
    """Return the Frobenius norm, of entries whose squares overflow or vanish as well."""
    largest = np.abs(matrix).max(initial=0.0)
    return float(largest) * float(np.linalg.norm(np.abs(matrix) / largest)) if largest > 0 else 0.0


def condition(T: np.ndarray) -> float:
    """Return the condition number of T; 1 for order 0."""
    return float(np.linalg.cond(T)) if T.size else 1.0


def intertwining_residual(model: Any, moved: Any, T: np.ndarray) -> float:
    """Return the largest relative residual of A T = T A_new, B = T B_new, C T = C_new."""
    pairs = [
        (model.A @ T, T @ moved.A),
        (input_matrix(model), T @ input_matrix(moved)),
        (model.C @ T, moved.C),
    ]
    scales = [
        norm(model.A) * norm(T),
        norm(T) * norm(input_matrix(moved)),
        norm(model.C) * norm(T),
    ]
    if isinstance(model, BilinearSSM):
        pairs += [(F @ T, T @ G) for F, G in zip(model.N, moved.N, strict=True)]
        scales += [norm(F) * norm(T) for F in model.N]
    errors = [norm(left - right) for left, right in pairs]
    return max(e / s if s > 0 else e for e, s in zip(errors, scales, strict=True))
