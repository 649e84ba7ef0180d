"""Time reversal of Gaussian models, and the diffusion models that follow from it."""

from .backward_sampling import sample_backward
from .retiming import irreversibility, retime
from .reversal import BackwardSSM, backward_model, reverse
from .smoothing import two_filter_smooth

__all__ = [
    "BackwardSSM",
    "backward_model",
    "irreversibility",
    "retime",
    "reverse",
    "sample_backward",
    "two_filter_smooth",
]
