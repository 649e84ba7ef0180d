"""The torch bridge: an identified model as a trainable layer with eidetic memory (extra: torch)."""

try:
    import safetensors  # noqa: F401 - asked for here, so that one message serves all
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        'layers need torch and safetensors: pip install "stochastic-realization[torch]".'
    ) from error

from .export import from_model
from .fading import FadingMemory
from .io import load, save
from .layer import BMojoLayer
from .recovery import to_model
from .stack import BMojoStack, StackOutput, Whiteness
from .state import BMojoOutput, BMojoState
from .targets import lru_parameters, mamba_parameters, s4d_parameters, s5_parameters

__all__ = [
    "BMojoLayer",
    "BMojoOutput",
    "BMojoStack",
    "BMojoState",
    "FadingMemory",
    "StackOutput",
    "Whiteness",
    "from_model",
    "load",
    "lru_parameters",
    "mamba_parameters",
    "s4d_parameters",
    "s5_parameters",
    "save",
    "to_model",
]
