"""The torch bridge: an identified model as a trainable layer with eidetic memory (extra: torch)."""

from .fading import FadingMemory
from .layer import BMojoLayer
from .state import BMojoOutput, BMojoState
from .targets import lru_parameters, mamba_parameters, s4d_parameters, s5_parameters

__all__ = [
    "BMojoLayer",
    "BMojoOutput",
    "BMojoState",
    "FadingMemory",
    "lru_parameters",
    "mamba_parameters",
    "s4d_parameters",
    "s5_parameters",
]
