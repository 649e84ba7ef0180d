"""Data to model: subspace identification and everything around it."""

from .bilinear import bilinear_id
from .data import Experiments, detrend, split
from .excitation import Excitation, multisine, persistence_of_excitation, prbs
from .expectation_maximization import em
from .hankel_factor import HankelFactor
from .order import OrderTable, select_order
from .plotting import plot_compare, plot_order, plot_residuals
from .prediction_error import pem
from .residuals import ResidualTests, residual_tests
from .result import IdentificationResult
from .response_figures import plot_bode, plot_impulse, plot_poles
from .stochastic import sample_covariances, stochastic_id
from .subspace import subspace_id
from .validation import Comparison, compare, fit_percent
from .uncertainty import (
    FrequencyResponseUncertainty,
    ImpulseResponseUncertainty,
    PoleUncertainty,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pole_uncertainty,
)

__all__ = [
    "Comparison",
    "Excitation",
    "Experiments",
    "HankelFactor",
    "IdentificationResult",
    "FrequencyResponseUncertainty",
    "OrderTable",
    "ResidualTests",
    "ImpulseResponseUncertainty",
    "bilinear_id",
    "PoleUncertainty",
    "compare",
    "detrend",
    "em",
    "fit_percent",
    "multisine",
    "pem",
    "persistence_of_excitation",
    "plot_bode",
    "plot_compare",
    "frequency_response_uncertainty",
    "impulse_response_uncertainty",
    "plot_order",
    "plot_poles",
    "plot_residuals",
    "prbs",
    "residual_tests",
    "sample_covariances",
    "plot_impulse",
    "select_order",
    "split",
    "stochastic_id",
    "pole_uncertainty",
    "subspace_id",
]
