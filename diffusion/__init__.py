"""Time reversal of Gaussian models, and the diffusion models that follow from it."""

from .backward_sampling import sample_backward
from .denoisers import score_from_denoiser, smoother_score
from .mixture import GaussianMixture
from .named_processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from .processes import LinearSDE
from .retiming import irreversibility, retime
from .reversal import BackwardSSM, backward_model, reverse
from .samplers import sample_forward, sample_reverse
from .score import ReverseSDE, reverse_time_sde
from .smoothing import two_filter_smooth

__all__ = [
    "BackwardSSM",
    "CriticallyDampedLangevin",
    "GaussianMixture",
    "LinearSDE",
    "OrnsteinUhlenbeck",
    "ReverseSDE",
    "SubVariancePreserving",
    "VarianceExploding",
    "VariancePreserving",
    "backward_model",
    "irreversibility",
    "retime",
    "reverse",
    "reverse_time_sde",
    "sample_backward",
    "sample_forward",
    "sample_reverse",
    "score_from_denoiser",
    "smoother_score",
    "two_filter_smooth",
]
