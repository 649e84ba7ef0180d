"""Minimise prediction or simulation errors from a start, and make a result of the minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from realization import BilinearSSM, InnovationSSM, LinearSSM
from realization.internal import as_choice, as_instance, counted, stability_margin, symmetrize

from .data import Experiments
from .early_stopping import Estimate, steps_by_held_out
from .evidence import record_evidence
from .gauss_newton import Search, Solution, minimize
from .linearization import Problem, linearize
from .local_coordinates import NAMES, System, local_basis
from .parameter_covariance import entries_in_coordinates, parameter_factor
from .result import IdentificationResult

__all__ = ["Task", "minimized", "unrefined"]

GROWTH = 100.0  # of A, whatever the units of the states, for which coordinates are left


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is minimised, and over what.

    Parameters
    ----------
    horizon : int, default 1
        Of the predictions.
    simulate : bool, default False
        Minimise the error of a simulation instead.
    fixed : dict, optional
        Entries to be held, by the name of their matrix: True, False or a mask.
    feedthrough : bool, optional
        Whether D moves; None: if the start has one.
    estimate_offset : bool, default False
        Whether the output offset moves.
    """

    horizon: int = 1
    simulate: bool = False
    fixed: dict[str, Any] | None = None
    feedthrough: bool | None = None
    estimate_offset: bool = False

    def problem(self, start: IdentificationResult, raw: Experiments) -> tuple[Problem, System]:
        """Return what is minimised for a start and a record, and the system to start from."""
        y0, u0 = start.offset
        data = replace(raw, y=tuple(run - y0 for run in raw.y), u=tuple(run - u0 for run in raw.u))
        system = System.from_model(start.model)
        free, held = self.masks(start, system)
        gain = system.entries(K=self.simulate)
        return Problem(
            data,
            self.horizon,
            self.simulate,
            free & ~gain,
            held & ~gain,
            np.zeros(raw.n_outputs),
            self.estimate_offset,
        ), system

    def masks(self, start: IdentificationResult, system: System) -> tuple[np.ndarray, np.ndarray]:
        """Return the entries that may move and those that are held at their values."""
        masks = dict(as_instance("fixed", {} if self.fixed is None else self.fixed, (dict,)))
        for name, mask in masks.items():
            as_choice("fixed", name, NAMES)
            shape = system.parts()[NAMES.index(name)].shape
            if np.asarray(mask).dtype != bool or np.shape(mask) not in ((), shape):
                raise ValueError(
                    f"`fixed[{name!r}]` must be True, False or a mask of bool of shape {shape}; "
                    f"got {np.asarray(mask).dtype} of shape {np.shape(mask)}."
                )
        held = system.entries(**masks) | _delay_line(start, system)
        free = ~held
        if not (system.D.any() if self.feedthrough is None else self.feedthrough):
            free &= ~system.entries(D=True)
        return free, held


def unrefined(
    model: InnovationSSM | LinearSSM | BilinearSSM, y_offset: np.ndarray | float = 0.0
) -> IdentificationResult:
    """Return a plain model as a result without evidence."""
    return IdentificationResult(
        model=model,  # pyright: ignore[reportArgumentType]
        x0=(),
        singular_values=np.zeros(0),
        order_table=None,
        method=type(model).__name__,
        options={},
        offset=(np.zeros(model.n_outputs) + y_offset, np.zeros(model.n_inputs)),
    )


def minimized(
    task: Task,
    start: IdentificationResult,
    raw: Experiments,
    *,
    max_iterations: int,
    again: Estimate | None = None,
    report: Callable[[Solution], None] = lambda point: None,
) -> IdentificationResult:
    """Return the start refined on a record.

    Parameters
    ----------
    task : Task
        What is minimised.
    start : IdentificationResult
        Where to start.
    raw : Experiments
        The record.
    max_iterations : int
        Most outer steps.
    again : callable, optional
        Identifies a part of the record as the start was; held-out blocks then limit the steps.
    report : callable, optional
        Called after each outer step.
    """
    problem, system = task.problem(start, raw)
    _require_samples(problem, system)
    steps = max_iterations
    if again is not None:
        steps = steps_by_held_out(again, task.problem, raw, max_iterations, report)
    fit, gain_fit = _search(problem, system, steps, report), None
    if task.simulate:
        gain_fit = _refit_gain(problem, fit, *task.masks(start, system), max_iterations)
    return _result(start, raw, problem, fit, gain_fit, stopped=steps < max_iterations)


def _delay_line(result: IdentificationResult, system: System) -> np.ndarray:
    """Return the entries of the delay line that an identified dead time put into the state."""
    size = system.B.shape[1] * int(result.options.get("delay", 0) or 0)
    if size == 0:
        return system.entries()
    m, n = system.B.shape[1], system.A.shape[0] - size
    A, C = np.ones(system.A.shape, bool), np.ones(system.C.shape, bool)
    A[:n, :n] = A[:n, -m:] = False
    C[:, :n] = False
    if system.C[:, -m:].any():  # the feedthrough of the model without delay
        C[:, -m:] = False
    K = np.zeros(system.K.shape, bool)
    K[n:] = True
    return system.entries(A=A, B=True, C=C, D=True, K=K)


def _require_samples(problem: Problem, system: System) -> None:
    """Raise if there are fewer samples than unknowns."""
    data = problem.data
    unknowns = local_basis(system, problem.free, problem.held).shape[1]
    unknowns += system.A.shape[0] * len(data)
    samples = data.n_samples * data.n_outputs
    if samples <= unknowns:
        raise ValueError(
            f"too few samples: {counted(samples, 'output sample')} for "
            f"{counted(unknowns, 'unknown')} (entries and initial states), which must be fewer. "
            "Take a smaller order or more data."
        )


def _search(
    problem: Problem, system: System, max_iterations: int, report: Callable[[Solution], None]
) -> Search:
    """Run the minimisation; raise where the start has no finite errors."""
    found = minimize(problem, system, max_iterations=max_iterations, report=report)
    if found is None:
        raise ValueError(
            "the errors of the start overflow on the record: its "
            f"{'simulation' if problem.simulate else 'predictor'} is unstable (1 - largest modulus "
            f"= {problem.predictor(system).margin():.3g}). Start from a stable one."
        )
    return found


def _refit_gain(
    problem: Problem, fit: Search, free: np.ndarray, held: np.ndarray, max_iterations: int
) -> tuple[Problem, Search] | None:
    """Refit K for one-step prediction with everything else held."""
    system = fit.best.system
    gain = system.entries(K=True)
    if system.margin() <= 0 and stability_margin(system.A, 1.0) > 0 and free[gain].all():
        system = replace(system, K=np.zeros_like(system.K))
    prediction = replace(
        problem,
        simulate=False,
        free=free & gain,
        held=~gain | held,
        offset=fit.best.nuisance.offset,
        estimate_offset=False,
    )
    found = minimize(prediction, system, max_iterations=max_iterations)
    return None if found is None else (prediction, found)


def _result(
    start: IdentificationResult,
    raw: Experiments,
    problem: Problem,
    fit: Search,
    gain_fit: tuple[Problem, Search] | None,
    *,
    stopped: bool,
) -> IdentificationResult:
    """Assemble the result in the coordinates and the units of the start."""
    best = _readable(fit.best)
    system = best.system.transformed(best.Tinv, best.T)
    y0 = best.nuisance.offset
    if gain_fit is not None:
        system = replace(system, K=best.T @ gain_fit[1].best.system.K)
        Re = gain_fit[1].best.line.moment
    elif problem.simulate or problem.horizon > 1:
        one_step = replace(problem, simulate=False, horizon=1, offset=y0, estimate_offset=False)
        Re = _error_moment(one_step, best)
    else:
        Re = best.line.moment
    model = _with_system(start.model, system, symmetrize(Re))
    stopped = stopped and not fit.converged
    if stopped:
        factor, said = (
            None,
            (
                f"stopped after {counted(fit.steps, 'step')}, held-out blocks of the record speak "
                "against more: no parameter covariance (it is that of the optimum; see bootstrap)"
            ),
        )
    else:
        factor, said = _entries_factor(problem, best, system, gain_fit)
    horizons = sorted({np.inf, 1, problem.horizon}, reverse=True)
    fits, whiteness = record_evidence(model, problem.data, y0, horizons)
    options = {
        "start": start.method,
        "focus": "simulation" if problem.simulate else "prediction",
        "horizon": problem.horizon,
        "offset": "estimate" if problem.estimate_offset else "none",
        "delay": start.options.get("delay", 0),
        "stop": "held-out" if stopped else "optimum",
        "iterations": fit.steps,
        "criterion": round(best.criterion, 6),
        "criterion of the start": np.inf if fit.start is None else round(fit.start.criterion, 6),
        "dt": raw.dt,
    }
    return IdentificationResult(
        model=model,
        x0=tuple(best.T @ x0 for x0 in best.nuisance.x0),
        singular_values=start.singular_values,
        order_table=start.order_table,
        method="pem",
        options=options,
        offset=(start.offset[0] + y0, start.offset[1]),
        warnings=_warnings(problem, fit, gain_fit, system, said, best is fit.best, stopped),
        covariance=None if factor is None else factor @ factor.T,
        fits=fits,
        whiteness=whiteness,
        n_samples=raw.n_samples,
        output_names=raw.output_names,
        input_names=raw.input_names,
    )


def _readable(best: Solution) -> Solution:
    """Return the point, in coordinates of its own where those of the start would spoil its A.

    A start with a state that hardly matters is nearly singular in balanced coordinates. Where the
    refined model uses that state, its A is 1 in these and as large as their condition in those.
    """
    A, N = (np.abs(part) for part in best.system.transformed(best.Tinv, best.T).parts()[:2])
    total = A + N.sum(axis=0)
    if total.size == 0:
        return best
    own = np.linalg.norm(np.abs(best.system.A) + np.abs(best.system.N).sum(axis=0))
    if np.isfinite(total).all():
        with np.errstate(invalid="ignore"):  # scipy makes a permutation of the scales, unused
            units_apart = scipy.linalg.matrix_balance(total, permute=False)[0]
        if np.linalg.norm(units_apart) <= GROWTH * own:
            return best
    same = np.eye(len(total))
    return replace(best, T=same, Tinv=same)


def _with_system(
    like: LinearSSM | InnovationSSM | BilinearSSM, system: System, Re: np.ndarray
) -> InnovationSSM | BilinearSSM:
    """Return the model with these matrices: bilinear if `like` is."""
    A, N, B, C, D, K = system.parts()
    if isinstance(like, BilinearSSM):
        return BilinearSSM(A, N, B, C, D, K=K, Re=Re, dt=like.dt)
    return InnovationSSM(A, C, K, Re, B=B, D=D, dt=like.dt)


def _error_moment(problem: Problem, point: Solution) -> np.ndarray:
    """Return the mean square of the errors of a problem at a point found for another."""
    weight = np.diag(problem.output_power() ** -0.5)
    nothing = np.zeros((point.system.vector().size, 0))
    at = linearize(problem, point.system, weight, nothing)
    if at is None:
        raise ValueError(
            "the one-step prediction errors overflow on the record: A - K C is unstable (1 - "
            f"largest modulus = {point.system.margin():.3g}). Start from a stable predictor."
        )
    return at[1].moment


def _entries_factor(
    problem: Problem, best: Solution, system: System, gain_fit: tuple[Problem, Search] | None
) -> tuple[np.ndarray | None, str]:
    """Return the factor of the covariance of all entries, or None and the reason."""
    factor, said = _covariance_factor(problem, best, system)
    if factor is None or gain_fit is None:
        return factor, said
    gain_factor, said = _covariance_factor(gain_fit[0], gain_fit[1].best, None)
    if gain_factor is None:
        return None, said
    moved = entries_in_coordinates(gain_factor, best.system, best.Tinv, best.T)
    return np.hstack([factor, moved]), said


def _covariance_factor(
    problem: Problem, best: Solution, system: System | None
) -> tuple[np.ndarray | None, str]:
    """Return the factor of the parameter covariance; in the coordinates of `system` if given.

    There, deviations are represented orthogonally to the changes of basis of `system`.
    """
    factor, said = parameter_factor(problem, best)
    if factor is None or system is None:
        return factor, said
    basis = local_basis(system, problem.free, problem.held)
    moved = entries_in_coordinates(factor, best.system, best.Tinv, best.T)
    return basis @ (basis.T @ moved), said


def _warnings(
    problem: Problem,
    fit: Search,
    gain_fit: tuple[Problem, Search] | None,
    system: System,
    said: str,
    as_start: bool,
    stopped: bool,
) -> tuple[str, ...]:
    """Return what has to be said about a refinement."""
    found = []
    if not stopped and not (fit.converged and (gain_fit is None or gain_fit[1].converged)):
        found.append(
            f"not converged after {counted(fit.steps, 'iteration')}: raise max_iterations, or "
            "start elsewhere"
        )
    if not stopped and fit.start is not None and fit.best.criterion >= fit.start.criterion:
        found.append("nothing better than the start was found: it is returned as it was")
    if said:
        found.append(said)
    if not as_start:
        found.append(
            "in balanced coordinates, not those of the start: there the start has a state that "
            "hardly matters, and A of the refined model would be very large"
        )
    radius = 1.0 - stability_margin(system.A, 1.0)
    if radius >= 1:
        found.append(f"A is unstable: largest modulus {radius:.5f}")
    margin = system.margin()
    if margin <= 0:
        found.append(f"the predictor A - K C is unstable: largest modulus {1 - margin:.5f}")
    elif margin * problem.data.n_samples < 1:
        found.append(
            f"the predictor A - K C has a mode of modulus {1 - margin:.6f}, which does not fade "
            "within the record: the noise model has a zero on the unit circle (a trend, an offset "
            "or a differenced signal in the data, or too large an order)"
        )
    return tuple(found)
