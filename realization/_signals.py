"""Inputs, outputs and initial states, checked against the model that they belong to."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import ArrayLike

from ._validation import as_array, as_integer, as_signal, require_memory
from ._words import counted
from .bilinear import AnyModel, BilinearSSM
from .models import GaussianSSM, InnovationSSM, StateSpaceRecord

__all__ = ["first_overflow", "initial_state", "matching_input", "model_input", "require_real"]


def require_real(model: StateSpaceRecord, task: str) -> None:
    """Raise if a model has complex matrices: `task` is defined for real Gaussian noise."""
    if any(np.iscomplexobj(getattr(model, field.name)) for field in fields(model)):  # pyright: ignore[reportArgumentType]
        raise TypeError(
            f"{task} needs a model with real matrices; this {type(model).__name__} has complex "
            "ones. Bring it to real coordinates first."
        )


def model_input(
    model: AnyModel, u: ArrayLike | None, steps: int | None, *, name: str = "u"
) -> np.ndarray:
    """Return the inputs (..., T, m); a model without inputs gets T = `steps` empty samples."""
    m = model.n_inputs
    if u is None:
        if m:
            raise ValueError(
                f"`{name}` must be given: the model has {counted(m, 'input')}; for a free "
                f"response pass numpy.zeros((T, {m}))."
            )
        if steps is None:
            raise ValueError(
                f"`steps` must be given when `{name}` is not: it says how many samples to make."
            )
        steps = as_integer("steps", steps)
        require_memory(f"`steps` = {steps}", steps * max(model.n_outputs, 1))
        return np.zeros((steps, 0))
    u = as_signal(name, u, m)
    if steps is not None and u.shape[-2] != as_integer("steps", steps):
        raise ValueError(
            f"`steps` must agree with `{name}`, which has {counted(u.shape[-2], 'sample')}; got "
            f"{steps}. Leave `steps` out."
        )
    return u


def matching_input(model: AnyModel, y: np.ndarray, u: ArrayLike | None) -> np.ndarray:
    """Return the inputs (..., T, m) that belong to the outputs y (..., T, p)."""
    T = y.shape[-2]
    u = np.zeros((T, 0)) if u is None and not model.n_inputs else model_input(model, u, None)
    if u.shape[-2] != T:
        raise ValueError(f"`u` must have as many samples as `y`, {T}; got {u.shape[-2]}.")
    return u


def initial_state(model: AnyModel, x0: ArrayLike | None) -> np.ndarray:
    """Return the initial state (..., n): the caller's, or the model's own."""
    n = model.n_states
    if x0 is None:
        if isinstance(model, GaussianSSM):
            return model.m0
        return model.x0 if isinstance(model, (InnovationSSM, BilinearSSM)) else np.zeros(n)
    x0 = as_array("x0", x0)
    if x0.ndim == 0 or x0.shape[-1] != n:
        raise ValueError(f"`x0` must have shape ({n},) to match the model's order; got {x0.shape}.")
    return x0


def first_overflow(values: np.ndarray) -> int | None:
    """Return the first sample of (..., T, p) that is not finite; None where all are."""
    if np.isfinite(np.vdot(values, values)) or np.isfinite(values).all():
        return None
    axes = tuple(i for i in range(values.ndim) if i != values.ndim - 2)
    return int(np.argmin(np.isfinite(values).all(axis=axes)))
