"""Data to model: subspace identification and everything around it."""

from .bilinear import bilinear_id
from .data import Experiments, split
from .expectation_maximization import em
from .hankel_factor import HankelFactor
from .order import OrderTable, select_order
from .plotting import plot_bode, plot_compare, plot_order, plot_poles, plot_residuals
from .prediction_error import pem
from .residuals import ResidualTests, residual_tests
from .result import IdentificationResult
from .stochastic import sample_covariances, stochastic_id
from .subspace import subspace_id
from .validation import Comparison, compare, fit_percent

__all__ = [
    "Comparison",
    "Experiments",
    "HankelFactor",
    "IdentificationResult",
    "OrderTable",
    "ResidualTests",
    "bilinear_id",
    "compare",
    "em",
    "fit_percent",
    "pem",
    "plot_bode",
    "plot_compare",
    "plot_order",
    "plot_poles",
    "plot_residuals",
    "residual_tests",
    "sample_covariances",
    "select_order",
    "split",
    "stochastic_id",
    "subspace_id",
]
