"""What a state-space model is, what it does, and stochastic realization theory."""

from .exceptions import (
    AccuracyError,
    NotEmbeddable,
    NotPositiveRealError,
    NumericalWarning,
    UnstableModelError,
)
from .models import CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM

__all__ = [
    "AccuracyError",
    "CovarianceModel",
    "GaussianSSM",
    "InnovationSSM",
    "LinearSSM",
    "NotEmbeddable",
    "NotPositiveRealError",
    "NumericalWarning",
    "UnstableModelError",
]
