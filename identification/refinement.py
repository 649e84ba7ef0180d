"""A few steps of ``pem`` inside ``subspace_id``, where the size of the record allows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from realization import InnovationSSM
from realization.internal import stability_margin

from .data import Experiments
from .error_minimization import Task, minimized, unrefined
from .input_matrices import InputMatrices

__all__ = ["Refinement", "refined", "steps"]

MOST_STEPS, FEWEST_STEPS = 10, 3  # fewer cost more to set up than they gain
BUDGET = 6e8  # multiplications for the squares of one Jacobian, over all steps


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """A refined model on its record.

    Parameters
    ----------
    model : InnovationSSM
        The model, in deviations.
    inputs : InputMatrices
        B, D, initial states and output offset.
    covariance : ndarray or None
        Of the entries of the model.
    """

    model: InnovationSSM
    inputs: InputMatrices
    covariance: np.ndarray | None


def steps(model: InnovationSSM, data: Experiments) -> int:
    """Return how many steps of ``pem`` the record allows: 3 to 10, none for a very large one."""
    n, m, p = model.n_states, model.n_inputs, model.n_outputs
    unknowns = n * (m + 2 * p) + p * m
    count = int(BUDGET / (data.n_samples * p * max(unknowns, 1) ** 2))
    return min(MOST_STEPS, count) if count >= FEWEST_STEPS else 0


def refined(
    model: InnovationSSM,
    y_offset: np.ndarray | float,
    data: Experiments,
    *,
    focus: str,
    estimate_offset: bool,
    stable: bool,
    least: int = 0,
) -> Refinement | None:
    """Return a refined model, None where nothing can be refined or stability would be lost.

    Parameters
    ----------
    model : InnovationSSM
        The start, in deviations.
    y_offset : (p,) ndarray or float
        Constant to be subtracted from the outputs.
    data : Experiments
        The record, in deviations but for `y_offset`.
    focus : str
        "prediction" or "simulation".
    estimate_offset : bool
        Refine the output offset too.
    stable : bool
        Accept stable models only.
    least : int
        Fewest steps, whatever the size of the record.

    Returns
    -------
    Refinement or None
        The refined model.
    """
    count = max(steps(model, data), least)
    if count == 0 or model.n_states == 0 or (focus == "simulation" and model.n_inputs == 0):
        return None
    task = Task(simulate=focus == "simulation", estimate_offset=estimate_offset)
    deviations = replace(data, y=tuple(run - y_offset for run in data.y))
    try:
        with np.errstate(all="ignore"):  # overflow is an error of pem, or a step it refuses
            found = minimized(task, unrefined(model), deviations, max_iterations=count)
    except (ValueError, np.linalg.LinAlgError):  # too short a record, or errors that overflow
        return None
    moved = found.model
    assert isinstance(moved, InnovationSSM)
    if stable and stability_margin(moved.A, 1.0) <= 0:
        return None
    inputs = InputMatrices(moved.B, moved.D, found.x0, y_offset + found.offset[0])
    return Refinement(moved, inputs, found.covariance)
