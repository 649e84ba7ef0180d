"""What a state-space model is, what it does, and stochastic realization theory."""

from .bilinear import BilinearSSM
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
    "BilinearSSM",
    "CovarianceModel",
    "GaussianSSM",
    "InnovationSSM",
    "LinearSSM",
    "NotEmbeddable",
    "NotPositiveRealError",
    "NumericalWarning",
    "UnstableModelError",
]
