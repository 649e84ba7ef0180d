"""A few steps of ``pem`` inside ``subspace_id``, where the size of the record allows them."""

from __future__ import annotations

import numpy as np

from realization import InnovationSSM
from realization.internal import stability_margin

from .data import Experiments
from .error_minimization import Task, minimized
from .result import IdentificationResult

__all__ = ["refined", "steps"]

MOST_STEPS, FEWEST_STEPS = 10, 3  # fewer cost more to set up than they gain
BUDGET = 6e8  # multiplications for the squares of one Jacobian, over all steps


def steps(model: InnovationSSM, data: Experiments) -> int:
    """Return how many steps of ``pem`` the record allows: 3 to 10, none for a very large one."""
    n, m, p = model.n_states, model.n_inputs, model.n_outputs
    unknowns = n * (m + 2 * p) + p * m
    count = int(BUDGET / (data.n_samples * p * max(unknowns, 1) ** 2))
    return min(MOST_STEPS, count) if count >= FEWEST_STEPS else 0


def refined(
    start: IdentificationResult,
    data: Experiments,
    *,
    focus: str,
    estimate_offset: bool,
    stable: bool,
    least: int = 0,
) -> IdentificationResult | None:
    """Return a refined result, None where nothing can be refined or stability would be lost.

    Parameters
    ----------
    start : IdentificationResult
        The start.
    data : Experiments
        The record.
    focus : str
        "prediction" or "simulation".
    estimate_offset : bool
        Refine the output offset too.
    stable : bool
        Accept stable models only.
    least : int
        Fewest steps, whatever the size of the record.
    """
    model = start.model
    assert isinstance(model, InnovationSSM)
    count = max(steps(model, data), least)
    if count == 0 or model.n_states == 0 or (focus == "simulation" and model.n_inputs == 0):
        return None
    task = Task(simulate=focus == "simulation", estimate_offset=estimate_offset)
    try:
        with np.errstate(all="ignore"):  # overflow is an error of pem, or a step it refuses
            found = minimized(task, start, data, max_iterations=count)
    except (ValueError, np.linalg.LinAlgError):  # too short a record, or errors that overflow
        return None
    return None if stable and stability_margin(found.model.A, 1.0) <= 0 else found
