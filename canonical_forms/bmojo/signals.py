"""What a layer is called with: signals and states that fit, and numbers that stay numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["check_finite", "check_signal", "check_state", "require_finite_output"]

INTEGERS = ("time", "position")  # fields of a state that count; all others are of the layer's dtype


def check_signal(
    name: str, value: Any, channels: int, like: torch.Tensor, *, ndim: int | None = None
) -> None:
    """Raise unless a signal is a finite real tensor (B, L, channels), or (B, channels), at hand.

    `like` is a tensor of the layer; without `ndim` any number of leading axes will do.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"`{name}` must be a torch.Tensor; got {type(value).__name__}. Take torch.as_tensor."
        )
    if value.is_complex():
        raise TypeError(f"`{name}` must be real; got {value.dtype}.")
    if value.is_nested or value.layout != torch.strided:
        raise TypeError(f"`{name}` must be a dense tensor; got {value.layout}. Take to_dense().")
    if ndim not in (None, value.ndim) or value.ndim == 0 or value.shape[-1] != channels:
        axes = {None: "..., ", 2: "B, ", 3: "B, L, "}[ndim]
        raise ValueError(f"`{name}` must have shape ({axes}{channels}); got {tuple(value.shape)}.")
    if 0 in value.shape[:-1]:
        raise ValueError(
            f"`{name}` must hold at least one token; its shape is {tuple(value.shape)}."
        )
    if value.device != like.device:
        raise ValueError(
            f"`{name}` must be on {like.device}, where the layer is; it is on {value.device}. Move "
            "one of them with to()."
        )
    check_finite(name, value)


def check_finite(name: str, value: torch.Tensor) -> None:
    """Raise if a tensor holds NaN or infinity."""
    if _finite(value):
        return
    bad = ~torch.isfinite(value)
    where = tuple(int(i) for i in bad.nonzero()[0])
    raise ValueError(
        f"`{name}` must be finite; found {float(value[where])}, first at index {where}. A state "
        "would never lose it: fill such entries in, or leave their sequence out."
    )


def check_state(name: str, state: Any, shapes: Any, like: torch.Tensor) -> None:
    """Raise unless a state is a record of tensors of these shapes, on the device of `like`."""
    if type(state) is not type(shapes):
        raise TypeError(
            f"`{name}` must be a {type(shapes).__name__}, from initial_state(batch) or an earlier "
            f"call; got {type(state).__name__}."
        )
    for field, value, shape in zip(shapes._fields, state, shapes, strict=True):
        if hasattr(shape, "_fields"):
            check_state(f"{name}.{field}", value, shape, like)
            continue
        dtype = torch.int64 if field in INTEGERS else like.dtype
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"`{name}.{field}` must be a torch.Tensor; got {type(value).__name__}. Take what "
                "initial_state(batch) or an earlier call returns."
            )
        if value.shape != shape or value.dtype != dtype or value.device != like.device:
            raise ValueError(
                f"`{name}.{field}` must be {dtype} of shape {shape} on {like.device}; got "
                f"{value.dtype} of shape {tuple(value.shape)} on {value.device}. A state serves "
                "the layer and the batch size that it comes from: take initial_state(batch)."
            )


def require_finite_output(module: torch.nn.Module, outputs: Any, **given: Any) -> None:
    """Raise if an output is not finite; say whether state, parameters or size of input are why.

    The first of the `given` is the input; it and the others are tensors, states or None.
    """
    if all(_finite(output) for output in outputs if output is not None):
        return
    for name, value in given.items():
        for whole, tensor in _leaves(name, value):
            check_finite(whole, tensor)
    for name, tensor in module.state_dict().items():
        if not _finite(tensor):
            raise ValueError(
                f"The parameter {name} of the layer must be finite; it holds NaN or infinity. "
                "Training has diverged: go back to the last good state_dict, and take smaller "
                "steps or clip the gradients."
            )
    name, tensor = next(iter(given.items()))
    raise ValueError(
        f"`{name}` must be small enough for the output to be finite: with entries up to "
        f"{float(tensor.abs().max()):.3g} it overflows. Scale the signals to about 1; inputs of "
        "gated memories need a bound, see provenance['memory_input_bound']."
    )


def _finite(value: torch.Tensor) -> bool:
    """Say whether all entries are finite; yes where a graph is recorded and none has a value."""
    if torch.compiler.is_compiling() or value.is_meta:
        return True
    value = value.detach()
    return math.isfinite(float(value.sum())) or bool(torch.isfinite(value).all())


def _leaves(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a state with their names; scores may be infinite and are left out."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif value is not None:
        for field, part in zip(value._fields, value, strict=True):
            if field != "score":
                yield from _leaves(f"{name}.{field}", part)
