r"""How far to refine: the number of steps that predicts held-out blocks of the record best.

The optimum on a record is the best estimate where the record is long and the plant is what the
model says. A plant that drifts, or has more to it than the order allows, is different: the search
then ends in slow modes that follow the record's own disturbances through their initial state. For
each of three blocks the model is identified from the other two and refined there; the errors on the
block, step by step, tell when to stop: at the last step within d / N of the best, for d parameters
and N samples, which is what estimating them costs in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .data import Experiments
from .gauss_newton import Solution, criterion, minimize
from .held_out import held_out_blocks
from .linearization import Problem, linearize
from .local_coordinates import System, local_basis
from .result import IdentificationResult

__all__ = ["BLOCKS", "Estimate", "steps_by_held_out"]

BLOCKS = 3

Estimate = Callable[[Experiments], IdentificationResult]
Build = Callable[[IdentificationResult, Experiments], tuple[Problem, System]]


def steps_by_held_out(
    identify: Estimate,
    build: Build,
    data: Experiments,
    max_iterations: int,
    report: Callable[[Solution], None],
) -> int:
    """Return the number of outer steps that held-out blocks of the record allow.

    Parameters
    ----------
    identify : callable
        Returns the start for a record.
    build : callable
        Returns the problem of a start and a record, and the system to start from.
    data : Experiments
        The estimation record.
    max_iterations : int
        Most outer steps.
    report : callable
        Called after each outer step.
    """
    curves, tolerance = [], 0.0
    for training, held_out in held_out_blocks(data, BLOCKS):
        start = identify(training)
        problem, system = build(start, training)
        path: list[Solution] = []

        def step(point: Solution, path: list[Solution] = path) -> None:
            path.append(point)
            report(point)

        found = minimize(problem, system, max_iterations=max_iterations, report=step)
        if found is None or found.start is None:
            continue
        parameters = local_basis(system, problem.free, problem.held).shape[1]
        tolerance = parameters / data.n_samples
        new, _ = build(start, held_out)
        curves.append([_held_out_criterion(new, point) for point in (found.start, *path)])
    length = max((len(curve) for curve in curves), default=0)
    if length == 0:
        return max_iterations
    ended = np.array([curve + curve[-1:] * (length - len(curve)) for curve in curves])
    mean = ended.mean(axis=0)
    last = int(np.flatnonzero(mean <= mean.min() + tolerance)[-1])
    return last if last < length - 1 else max_iterations


def _held_out_criterion(problem: Problem, point: Solution) -> float:
    """Return the criterion of a point on a record it has not seen; inf where it overflows."""
    power = problem.output_power()
    fixed = replace(problem, offset=point.nuisance.offset, estimate_offset=False)
    nothing = np.zeros((point.system.vector().size, 0))
    at = linearize(fixed, point.system, np.diag(power**-0.5), nothing)
    return np.inf if at is None else criterion(problem, at[1].moment, power)
