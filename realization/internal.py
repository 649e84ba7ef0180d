"""The door for sibling packages: private pieces that identification and others may import.

Not public interface; it may change with any commit.
"""

from ._linalg import (
    covariance_factor,
    rank_tolerance,
    stability_margin,
    symmetrize,
    triangular_factor,
)
from ._validation import (
    Rng,
    as_array,
    as_choice,
    as_covariance,
    as_dt,
    as_generator,
    as_instance,
    as_integer,
    as_matrix,
    as_real,
    as_signal,
    as_square,
    require_discrete,
)
from .bilinear_subspaces import bilinear_minimal_coordinates
from .gramians import bilinear_balancing
from .io import register_record
from .lyapunov import initial_moments, lyapunov_factor, solve_lyapunov
from .models import AnyLinear, StateSpaceRecord
from .riccati import solve_filter_riccati

__all__ = [
    "AnyLinear",
    "Rng",
    "StateSpaceRecord",
    "as_array",
    "as_choice",
    "as_covariance",
    "as_dt",
    "as_generator",
    "as_instance",
    "as_integer",
    "as_matrix",
    "as_real",
    "as_signal",
    "as_square",
    "bilinear_balancing",
    "bilinear_minimal_coordinates",
    "covariance_factor",
    "initial_moments",
    "lyapunov_factor",
    "rank_tolerance",
    "register_record",
    "require_discrete",
    "solve_filter_riccati",
    "solve_lyapunov",
    "stability_margin",
    "symmetrize",
    "triangular_factor",
]
