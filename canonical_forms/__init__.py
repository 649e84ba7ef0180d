"""The same model in other coordinates."""

from .balanced import balanced_form, input_normal_form, output_normal_form, truncate
from .companion import companion_form
from .echelon import echelon_form
from .eidetic_fading import eidetic_fading_form
from .equivalence import are_equivalent, similarity
from .kalman_decomposition import kalman_decomposition, minimal_form
from .modal import jordan_form, modal_form, schur_form
from .plotting import plot_structure
from .result import CanonicalForm
from .simultaneous import simultaneous_form

__all__ = [
    "CanonicalForm",
    "are_equivalent",
    "balanced_form",
    "companion_form",
    "echelon_form",
    "eidetic_fading_form",
    "input_normal_form",
    "jordan_form",
    "kalman_decomposition",
    "minimal_form",
    "modal_form",
    "output_normal_form",
    "plot_structure",
    "schur_form",
    "similarity",
    "simultaneous_form",
    "truncate",
]
