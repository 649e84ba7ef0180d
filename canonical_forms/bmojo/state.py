"""What a layer carries from token to token, and what it returns."""

from __future__ import annotations

from typing import NamedTuple

import torch

from realization.internal import counted, sized

from .eidetic_memory import EideticState
from .fading import FadingState

__all__ = ["BMojoOutput", "BMojoState"]


class BMojoState(NamedTuple):
    """Everything a `BMojoLayer` carries from one token to the next, of fixed shapes.

    Parameters
    ----------
    memory, predictor : FadingState
        States of the two linear models.
    window_keys, window_values : (B, W, H, d) torch.Tensor
        The last W tokens, oldest first.
    fading_keys, fading_values : (B, 2W, H, d) torch.Tensor
        The last 2W outputs of the fading memory, oldest first.
    eidetic : EideticState
        Tokens that can be read.
    pending : EideticState
        Tokens that were chosen in the unfinished chunk.
    time : () torch.Tensor
        Number of tokens seen, an integer.
    """

    memory: FadingState
    predictor: FadingState
    window_keys: torch.Tensor
    window_values: torch.Tensor
    fading_keys: torch.Tensor
    fading_values: torch.Tensor
    eidetic: EideticState
    pending: EideticState
    time: torch.Tensor

    def __repr__(self) -> str:
        sizes = sized(window_keys=self.window_keys, fading_keys=self.fading_keys)
        return f"BMojoState({sizes}, time {self.time})"


class BMojoOutput(NamedTuple):
    """What a `BMojoLayer` returns; without the time axis from ``step``.

    Parameters
    ----------
    y : (B, L, p) torch.Tensor
        Outputs.
    state : BMojoState
        State after the last token.
    innovation : (B, L, q) torch.Tensor or None
        Target minus prediction; None when the target is an output that was not given.
    selected : (B, L) torch.Tensor
        Whether the token passed the innovation test.
    """

    y: torch.Tensor
    state: BMojoState
    innovation: torch.Tensor | None
    selected: torch.Tensor

    def __repr__(self) -> str:
        tokens = counted(self.selected.numel(), "token")
        return f"BMojoOutput({sized(y=self.y)}, {self.selected.sum()} of {tokens} selected)"
