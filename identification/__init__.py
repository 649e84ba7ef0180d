"""Data to model: subspace identification and everything around it."""

from .bilinear import bilinear_id
from .data import Experiments, detrend, split
from .estimator import SubspaceID
from .excitation import Excitation, multisine, persistence_of_excitation, prbs
from .expectation_maximization import em
from .frequency_domain import frequency_subspace_id
from .hankel_factor import HankelFactor
from .observer_markov import okid
from .order import OrderTable, select_order
from .plotting import plot_compare, plot_order, plot_residuals
from .prediction_error import pem
from .recursive import RecursiveSubspace
from .regularized import ImpulseResponse, regularized_fir
from .resampling import Bootstrap, bootstrap
from .residuals import ResidualTests, residual_tests
from .response_figures import plot_bode, plot_impulse, plot_poles
from .result import IdentificationResult
from .stochastic import sample_covariances, stochastic_id
from .subspace import subspace_id
from .uncertainty import (
    FrequencyResponseUncertainty,
    ImpulseResponseUncertainty,
    PoleUncertainty,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pole_uncertainty,
)
from .validation import Comparison, compare, fit_percent

__all__ = [
    "Bootstrap",
    "Comparison",
    "Excitation",
    "Experiments",
    "FrequencyResponseUncertainty",
    "HankelFactor",
    "IdentificationResult",
    "ImpulseResponse",
    "ImpulseResponseUncertainty",
    "OrderTable",
    "PoleUncertainty",
    "RecursiveSubspace",
    "ResidualTests",
    "SubspaceID",
    "bilinear_id",
    "bootstrap",
    "compare",
    "detrend",
    "em",
    "fit_percent",
    "frequency_response_uncertainty",
    "frequency_subspace_id",
    "impulse_response_uncertainty",
    "multisine",
    "okid",
    "pem",
    "persistence_of_excitation",
    "plot_bode",
    "plot_compare",
    "plot_impulse",
    "plot_order",
    "plot_poles",
    "plot_residuals",
    "pole_uncertainty",
    "prbs",
    "regularized_fir",
    "residual_tests",
    "sample_covariances",
    "select_order",
    "split",
    "stochastic_id",
    "subspace_id",
]
