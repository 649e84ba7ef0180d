"""The door for sibling packages: private pieces that identification and others may import.

Not public interface; it may change with any commit.
"""

from ._linalg import (
    covariance_factor,
    nilpotent_staircase,
    rank_tolerance,
    stability_margin,
    symmetrize,
    triangular_factor,
)
from ._noise import noise_covariances
from ._progress import Progress
from ._signals import matching_input, model_input, require_real
from ._validation import (
    Rng,
    as_array,
    as_choice,
    as_covariance,
    as_dt,
    as_flag,
    as_generator,
    as_instance,
    as_integer,
    as_matrix,
    as_numbers,
    as_real,
    as_signal,
    as_square,
    require_discrete,
    require_file,
    require_memory,
    require_path,
    require_target,
)
from ._words import counted, outputs_and_inputs, sized
from .bilinear import in_coordinates
from .bilinear_subspaces import bilinear_minimal_coordinates, invariant_hull
from .gramians import bilinear_balancing
from .io import register_record
from .kalman import filter_records
from .lyapunov import initial_moments, lyapunov_factor, solve_lyapunov
from .models import AnyLinear, StateSpaceRecord
from .riccati import solve_filter_riccati
from .sampling import noise_integral, real_logarithm
from .smoothing import smoothed_moments

__all__ = [
    "AnyLinear",
    "Progress",
    "Rng",
    "StateSpaceRecord",
    "as_array",
    "as_choice",
    "as_covariance",
    "as_dt",
    "as_flag",
    "as_generator",
    "as_instance",
    "as_integer",
    "as_matrix",
    "as_numbers",
    "as_real",
    "as_signal",
    "as_square",
    "bilinear_balancing",
    "bilinear_minimal_coordinates",
    "counted",
    "covariance_factor",
    "filter_records",
    "in_coordinates",
    "initial_moments",
    "invariant_hull",
    "lyapunov_factor",
    "matching_input",
    "model_input",
    "nilpotent_staircase",
    "noise_covariances",
    "noise_integral",
    "outputs_and_inputs",
    "rank_tolerance",
    "real_logarithm",
    "register_record",
    "require_discrete",
    "require_file",
    "require_memory",
    "require_path",
    "require_real",
    "require_target",
    "sized",
    "smoothed_moments",
    "solve_filter_riccati",
    "solve_lyapunov",
    "stability_margin",
    "symmetrize",
    "triangular_factor",
]
