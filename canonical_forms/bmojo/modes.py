r"""From a model to its modes, one number each, and from modes back to a model.

::

    model   x_{t+1} = A x_t + B u_t             y_t = C x_t + D u_t
    modes   s_{t+1} = lam s_t + b u_t           y_t = Re(c s_t) + D u_t

Glossary: of a conjugate pair of eigenvalues only the member with positive imaginary part is kept
and ``c`` is doubled; ``T`` the real basis, [Re v, Im v] for a pair and v for a real eigenvalue.
With z = T^-1 x a pair has the state s = (z_a - i z_b) / 2. Forming V^-1 B with complex
eigenvectors and then dropping one of two almost equal conjugates would lose what the real solve
keeps: the two halves are exact conjugates in exact arithmetic only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from realization import AccuracyError, UnstableModelError

from ..eidetic_fading import eidetic_fading_form
from ..result import ILL_CONDITIONED, CanonicalForm, condition

__all__ = [
    "Modes",
    "block_slices",
    "diagonal_modes",
    "fading_modes",
    "geometric_horizon",
    "initial_state",
    "named_eigenvalues",
    "require_stable",
]

LONGEST = 2048  # samples of an impulse response that an error is measured over


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Scalar modes s+ = lam s + b u, y = Re(c s), one of each conjugate pair.

    Parameters
    ----------
    lam : (N,) complex ndarray
        Eigenvalues with imaginary part at least zero.
    b : (N, m) complex ndarray
        Input rows, real for real eigenvalues.
    c : (p, N) complex ndarray
        Output columns, doubled for pairs, real for real eigenvalues.
    start : (N,) complex ndarray
        States at time zero.
    cond : float
        Condition number of the real eigenvectors.
    """

    lam: np.ndarray
    b: np.ndarray
    c: np.ndarray
    start: np.ndarray
    cond: float

    def scaled(self) -> Modes:
        """Return modes whose states have variance one when all inputs are white of variance one.

        A mode that no input reaches keeps its scale.
        """
        if not (radius := float(np.abs(self.lam).max(initial=0.0))) < 1:
            raise AccuracyError(
                f"A is stable, but the eigenvalues of its modes have modulus {radius:.6g}: it is "
                "too far from normal. Start from balanced_form(model).model.",
                residual=radius,
            )
        size = np.linalg.norm(self.b, axis=1)
        factor = np.sqrt(1 - np.abs(self.lam) ** 2) / np.where(size > 0, size, 1.0)
        factor[size == 0] = 1.0
        b = self.b * factor[:, np.newaxis]
        return Modes(self.lam, b, self.c / factor, self.start * factor, self.cond)


def diagonal_modes(model: Any, *, purpose: str) -> Modes:
    """Return the modes of a stable model that has scalar modes only; or say why not.

    `purpose` names the layer in messages.
    """
    with np.errstate(all="ignore"):  # what overflows has no finite residual, and is refused for it
        form = eidetic_fading_form(model, fading="modal", condmax=ILL_CONDITIONED)
    require_stable(model.A, purpose)
    if depth := form.info["eidetic_order"]:
        raise ValueError(
            f"`model` must have an invertible A for {purpose}, whose state answers the input at "
            f"once: the delay of x_(t+1) = A x_t + B u_t moves into C / lam. Here {depth} "
            f"{'state is' if depth == 1 else 'states are'} eidetic (eigenvalue 0). Use from_model, "
            "whose delay line holds them."
        )
    return fading_modes(form, ILL_CONDITIONED)


def fading_modes(form: CanonicalForm, condmax: float) -> Modes:
    """Return the modes of the fading part of an eidetic-fading form with modal blocks, scaled.

    `condmax` bounds the condition number of the eigenvectors inside a block.
    """
    model = form.model
    lam, b, c, start, bases = [], [], [], [], [np.zeros((0, 0))]
    sizes = form.info["sizes"][form.info["eidetic_blocks"] :]
    for part in block_slices(sizes, first=form.info["eidetic_order"]):
        values, vectors = _eigenvectors(model.A[part, part], condmax)
        pair = np.imag(values) > 0
        basis = np.concatenate([np.real(vectors), np.imag(vectors)[:, pair]], axis=1)
        z = np.linalg.solve(basis, np.column_stack([model.B[part], initial_state(model)[part]]))
        s = z[: values.size].astype(complex)
        s[pair] = (s[pair] - 1j * z[values.size :]) / 2
        bases.append(basis)
        lam.append(values)
        b.append(s[:, :-1])
        start.append(s[:, -1])
        c.append(model.C[:, part] @ vectors * np.where(pair, 2.0, 1.0))
    return Modes(
        np.concatenate([np.zeros(0, complex), *lam]),
        np.concatenate([np.zeros((0, model.n_inputs), complex), *b]),
        np.concatenate([np.zeros((model.n_outputs, 0), complex), *c], axis=1),
        np.concatenate([np.zeros(0, complex), *start]),
        condition(form.T[:, form.info["eidetic_order"] :] @ scipy.linalg.block_diag(*bases)),
    ).scaled()


def block_slices(sizes: Sequence[int], first: int = 0) -> list[slice]:
    """Return the slices of consecutive blocks, the first of which starts at `first`."""
    edges = first + np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def initial_state(model: Any) -> np.ndarray:
    """Return the initial state of a record: x0, the mean m0, or zero."""
    return getattr(model, "x0", getattr(model, "m0", np.zeros(model.n_states)))


def _eigenvectors(block: np.ndarray, condmax: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues with imaginary part at least zero and their eigenvectors."""
    values, vectors = np.linalg.eig(block)
    if (cond := condition(vectors)) > condmax:
        raise AccuracyError(
            f"{values.size} eigenvalues near {named_eigenvalues(values[:1])} have eigenvectors of "
            f"condition number {cond:.1e} (limit {condmax:.0e}): A is defective, or so nearly that "
            "a diagonal form has no digits left. Use from_model, which keeps such blocks whole.",
            residual=cond * float(np.finfo(float).eps),
        )
    kept = np.imag(values) >= 0
    return values[kept].astype(complex), vectors[:, kept].astype(complex)


def require_stable(A: np.ndarray, purpose: str) -> None:
    """Raise with the eigenvalues that are on or outside the unit circle."""
    values = np.linalg.eigvals(A)
    outside = values[np.abs(values) >= 1]
    if outside.size:
        raise UnstableModelError(
            f"`model` must be stable for {purpose}, whose decays are below one; its eigenvalues "
            f"{named_eigenvalues(outside)} are not. from_model(model, stabilize='reflect') moves "
            "them inside and reports the change.",
            stability_margin=1 - float(np.abs(outside).max()),
        )


def named_eigenvalues(values: np.ndarray) -> str:
    """Return a few eigenvalues as text, one of each conjugate pair."""
    shown = [
        f"{value.real:.6g}" if value.imag == 0 else f"{value.real:.6g} +- {value.imag:.6g}i"
        for value in np.asarray(values, complex)
        if value.imag >= 0
    ]
    return ", ".join(shown[:6]) + (", ..." if len(shown) > 6 else "")


def geometric_horizon(A: np.ndarray) -> int:
    """Return how many samples of an impulse response tell: ten time constants, 64 to 2048."""
    radius = float(np.abs(np.linalg.eigvals(A)).max(initial=0.0))
    return LONGEST if radius >= 1 else int(np.clip(10 / (1 - radius), 64, LONGEST))
