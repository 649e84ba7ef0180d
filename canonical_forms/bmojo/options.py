"""What the options of a layer must satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from realization.internal import as_choice, as_integer, as_real, require_memory

__all__ = ["as_device", "as_dtype", "check_memory", "check_options", "mode_sizes"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def as_dtype(dtype: Any) -> torch.dtype:
    """Return the precision of a layer, also from its name; None is torch's default."""
    found = torch.get_default_dtype() if dtype is None else dtype
    if isinstance(found, str):
        found = DTYPES.get(found)
    if not isinstance(found, torch.dtype) or found not in DTYPES.values():
        raise ValueError(
            "`dtype` must be float32 or float64, the precision of the recurrence; got "
            f"{dtype}. For lower precision elsewhere run the layer under torch.autocast."
        )
    return found


def as_device(device: Any) -> torch.device | None:
    """Return a device that this machine has; None stays, for torch's default."""
    if device is None:
        return None
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            "`device` must be a torch.device, or the name of one, that this torch can use, such as "
            f"'cpu'; got {device!r} (torch says: {str(error).splitlines()[0]})."
        ) from None
    return found


def mode_sizes(modes: Any) -> tuple[int, ...]:
    """Return the sizes of modes as a tuple of plain ints."""
    if isinstance(modes, str) or not isinstance(modes, Iterable):
        raise TypeError(f"`modes` must be a sequence of integers; got {modes!r}.")
    return tuple(as_integer("modes", size) for size in modes)


def check_memory(
    n_inputs: int,
    n_outputs: int,
    modes: tuple[int, ...],
    parameterization: str,
    delay_taps: int,
    feedthrough: int,
    gated: int,
) -> None:
    """Raise on sizes of a fading memory that are out of range or contradict each other."""
    as_choice("parameterization", parameterization, ("diagonal", "block"))
    diagonal = parameterization == "diagonal"
    if diagonal and len(modes) != 2:
        raise ValueError(
            f"`modes` must be (n_real, n_pairs) for parameterization='diagonal'; got {modes}."
        )
    if not diagonal and min(modes, default=1) < 1:
        raise ValueError(
            f"`modes` must be the positive block sizes for parameterization='block'; got {modes}."
        )
    counts = {"n_inputs": n_inputs, "n_outputs": n_outputs, "delay_taps": delay_taps}
    for name, value in counts.items():
        as_integer(name, value)
    for name, value in {"feedthrough": feedthrough, "gated": gated}.items():
        if as_integer(name, value) > n_inputs:
            raise ValueError(f"`{name}` must be at most n_inputs = {n_inputs}; got {value}.")
    states = modes[0] + 2 * modes[1] if diagonal else sum(modes) * (1 + max(modes, default=0))
    require_memory(
        f"A memory of {n_inputs} inputs, {n_outputs} outputs, modes {modes} and {delay_taps} taps",
        (states + delay_taps * n_outputs) * (n_inputs + 1) + n_outputs * (states + n_inputs),
    )


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
    threshold: float | None,
    chunk: int | None,
    dt: float,
) -> None:
    """Raise on options that are out of range or contradict each other."""
    as_choice("target", target, ("output", "input"))
    counts = {
        "n_inputs": (n_inputs, 0 if target == "output" and not window else 1),
        "n_outputs": (n_outputs, 1), "window": (window, 0), "eidetic": (eidetic, 0),
        "n_heads": (n_heads, 1), "head_dim": (head_dim, 1), "chunk": (chunk, 1),
    }  # fmt: skip
    for name, (value, least) in counts.items():
        if value is not None or name not in ("head_dim", "chunk"):
            as_integer(name, value, minimum=least)
    width = n_heads * (head_dim or 8)
    require_memory(
        f"`n_heads` = {n_heads} times `head_dim`", width * (3 * n_inputs + 3 * n_outputs)
    )
    if eidetic and not window:
        raise ValueError(
            f"`eidetic` must be 0 without a window; got {eidetic}. Attention reads both: set "
            "`window` to at least 1."
        )
    if not isinstance(tie_kv, (bool, type(None))):
        raise TypeError(f"`tie_kv` must be True, False or None; got {tie_kv!r}.")
    if tie_kv and n_inputs != n_outputs:
        raise ValueError(
            f"`tie_kv` needs as many outputs as inputs; got {n_outputs} and {n_inputs}."
        )
    as_real("alpha", alpha, above=0.0, below=1.0)
    as_real("dt", dt, above=0.0)
    if threshold is not None:
        as_real("threshold", threshold)
