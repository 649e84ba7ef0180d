"""The torch bridge: an identified model as a trainable layer with eidetic memory (extra: torch)."""

from .fading import FadingMemory
from .layer import BMojoLayer, BMojoOutput, BMojoState

__all__ = ["BMojoLayer", "BMojoOutput", "BMojoState", "FadingMemory"]
