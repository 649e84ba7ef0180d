"""What a state-space model is, what it does, and stochastic realization theory."""

from .bilinear import BilinearSSM, diagonal_bilinear, word_coefficients
from .bilinear_realization import bilinear_hankel_realization
from .bilinear_subspaces import minimal_bilinear, reachable_subspace, unobservable_subspace
from .conversion import innovation_form, to_covariance, to_gaussian
from .covariance import (
    canonical_correlations,
    covariance_realization,
    past_future_information,
    stochastic_balance,
    stochastic_truncate,
)
from .exceptions import (
    AccuracyError,
    NotEmbeddable,
    NotMinimalError,
    NotPositiveRealError,
    NumericalWarning,
    UnstableModelError,
)
from .family import maximal_covariance, minimal_covariance, realization_family
from .gramians import bilinear_gramians, bilinear_truncate, h2_norm
from .hankel import ho_kalman
from .interop import from_control, from_scipy, to_control, to_scipy
from .io import load, save
from .kalman import FilterResult, kalman_filter, log_likelihood
from .lifting import carleman, carleman_state
from .markov import autocovariance, markov_parameters, spectral_density
from .models import CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM
from .plotting import plot_bode, plot_impulse, plot_poles, plot_spectrum, plot_step
from .positive_real import (
    PositiveRealRepair,
    PositiveRealTest,
    is_positive_real,
    kyp_matrix,
    make_positive_real,
)
from .response import frequency_response, poles, transmission_zeros
from .sampling import continuize, discretize
from .simulation import Forecast, Simulation, forecast, predict, simulate
from .smoothing import SmootherResult, smooth
from .spectral import spectral_factor
from .volterra import kernel_coefficients, volterra_from_data, volterra_from_pulses, volterra_kernel

__all__ = [
    "AccuracyError",
    "BilinearSSM",
    "CovarianceModel",
    "FilterResult",
    "Forecast",
    "GaussianSSM",
    "InnovationSSM",
    "LinearSSM",
    "NotEmbeddable",
    "NotMinimalError",
    "NotPositiveRealError",
    "NumericalWarning",
    "PositiveRealRepair",
    "PositiveRealTest",
    "Simulation",
    "SmootherResult",
    "UnstableModelError",
    "autocovariance",
    "bilinear_gramians",
    "bilinear_hankel_realization",
    "bilinear_truncate",
    "canonical_correlations",
    "carleman",
    "carleman_state",
    "continuize",
    "covariance_realization",
    "diagonal_bilinear",
    "discretize",
    "forecast",
    "frequency_response",
    "from_control",
    "from_scipy",
    "h2_norm",
    "ho_kalman",
    "innovation_form",
    "is_positive_real",
    "kalman_filter",
    "kernel_coefficients",
    "kyp_matrix",
    "load",
    "log_likelihood",
    "make_positive_real",
    "markov_parameters",
    "maximal_covariance",
    "minimal_bilinear",
    "minimal_covariance",
    "past_future_information",
    "plot_bode",
    "plot_impulse",
    "plot_poles",
    "plot_spectrum",
    "plot_step",
    "poles",
    "predict",
    "reachable_subspace",
    "realization_family",
    "save",
    "simulate",
    "smooth",
    "spectral_density",
    "spectral_factor",
    "stochastic_balance",
    "stochastic_truncate",
    "to_control",
    "to_covariance",
    "to_gaussian",
    "to_scipy",
    "transmission_zeros",
    "unobservable_subspace",
    "volterra_from_data",
    "volterra_from_pulses",
    "volterra_kernel",
    "word_coefficients",
]


def __getattr__(name: str) -> object:
    """Import the subpackage `scan`, which loads numba, when it is first read."""
    if name == "scan":
        import importlib

        return importlib.import_module(".scan", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
