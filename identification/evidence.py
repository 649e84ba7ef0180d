"""How well a model explains the record that made it: fits, and whether the errors are white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realization import BilinearSSM, InnovationSSM

from .data import Experiments
from .noise_model import NOISE_FLOOR
from .residuals import whiteness
from .validation import fit_percent, horizon_name, record_output

__all__ = ["error_whiteness", "record_evidence"]


def record_evidence(
    model: InnovationSSM | BilinearSSM,
    data: Experiments,
    offset: np.ndarray | float,
    horizons: Sequence[float] = (np.inf, 1),
) -> tuple[dict[str, np.ndarray], float | None]:
    """Return the fits by name of their horizon, and the p-value of one-step whiteness.

    The model, the records and the offset are those of ``record_output``. A horizon at which an
    unstable path means nothing is left out.
    """
    fits: dict[str, np.ndarray] = {}
    p_value = None
    for horizon in horizons:
        if (found := record_output(model, data, offset, horizon)) is None:
            continue
        y, y_hat = found
        fits[horizon_name(horizon)] = fit_percent(np.vstack(y), np.vstack(y_hat))
        if horizon == 1:
            p_value = error_whiteness(y, y_hat)
    return fits, p_value


def error_whiteness(y: Sequence[np.ndarray], y_hat: Sequence[np.ndarray]) -> float | None:
    """Return the p-value of whiteness of the one-step errors by run; None where they are rounding.

    None as well where samples are missing, or a run has one only.
    """
    errors = [run - run_hat for run, run_hat in zip(y, y_hat, strict=True)]
    power, floor = (np.sum(np.vstack(runs) ** 2, axis=0) for runs in (errors, y))
    return None if np.any(power <= NOISE_FLOOR * floor) else whiteness(errors)
