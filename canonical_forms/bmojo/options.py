"""What the options of a layer must satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from realization.internal import as_integer, as_real

__all__ = ["check_options", "check_tensor", "mode_sizes"]


def mode_sizes(name: str, modes: Any) -> tuple[int, ...]:
    """Return the sizes of modes as a tuple of plain ints."""
    if isinstance(modes, str) or not isinstance(modes, Iterable):
        raise TypeError(f"`{name}` must be a sequence of integers; got {modes!r}.")
    return tuple(as_integer(name, size) for size in modes)


def check_tensor(name: str, value: Any) -> None:
    """Raise unless a signal is a tensor of real numbers."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"`{name}` must be a torch.Tensor; got {type(value).__name__}. Take torch.as_tensor."
        )
    if value.is_complex():
        raise TypeError(f"`{name}` must be real; got {value.dtype}.")


def check_options(
    n_inputs: int,
    n_outputs: int,
    target: str,
    window: int,
    eidetic: int,
    n_heads: int,
    head_dim: int | None,
    tie_kv: bool | None,
    alpha: float,
    chunk: int | None,
    dtype: Any,
) -> None:
    """Raise on options that are out of range or contradict each other."""
    if target not in ("output", "input"):
        raise ValueError(f"`target` must be 'output' or 'input'; got {target!r}.")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"`dtype` must be float32 or float64, the precision of the recurrence; got {dtype}. "
            "For lower precision elsewhere run the layer under torch.autocast."
        )
    counts = {
        "n_inputs": (n_inputs, 0 if target == "output" and not window else 1),
        "n_outputs": (n_outputs, 1), "window": (window, 0), "eidetic": (eidetic, 0),
        "n_heads": (n_heads, 1), "head_dim": (head_dim, 1), "chunk": (chunk, 1),
    }  # fmt: skip
    for name, (value, least) in counts.items():
        if value is not None:
            as_integer(name, value, minimum=least)
    if eidetic and not window:
        raise ValueError(
            f"`eidetic` must be 0 without a window; got {eidetic}. Attention reads both: set "
            "`window` to at least 1."
        )
    if tie_kv and n_inputs != n_outputs:
        raise ValueError(
            f"`tie_kv` needs as many outputs as inputs; got {n_outputs} and {n_inputs}."
        )
    if not 0 < as_real("alpha", alpha) < 1:
        raise ValueError(f"`alpha` must be between 0 and 1, a probability; got {alpha}.")
