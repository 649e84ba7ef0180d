"""The same model in other coordinates."""

from .balanced import balanced_form, input_normal_form, output_normal_form, truncate
from .eidetic_fading import eidetic_fading_form
from .modal import jordan_form, modal_form, schur_form
from .result import CanonicalForm

__all__ = [
    "CanonicalForm",
    "balanced_form",
    "eidetic_fading_form",
    "input_normal_form",
    "jordan_form",
    "modal_form",
    "output_normal_form",
    "schur_form",
    "truncate",
]
