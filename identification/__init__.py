"""Data to model: subspace identification and everything around it."""

from .data import Experiments
from .hankel_factor import HankelFactor
from .order import OrderTable, select_order
from .result import IdentificationResult
from .subspace import subspace_id
from .validation import Comparison, ResidualTests, compare, fit_percent, residual_tests

__all__ = [
    "Comparison",
    "Experiments",
    "HankelFactor",
    "IdentificationResult",
    "OrderTable",
    "ResidualTests",
    "compare",
    "fit_percent",
    "residual_tests",
    "select_order",
    "subspace_id",
]
