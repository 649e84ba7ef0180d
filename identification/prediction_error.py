r"""Prediction-error refinement: from a good model to the best one nearby, and how sure it is.

Glossary, with Ljung's symbols (*System Identification*, 1999):

    criterion    log det of the error covariance (maximum likelihood), V_N
    focus        "prediction": e(t) = y(t) - y_hat(t | t - horizon); "simulation": output error
    covariance   of the entries of A, [N,] B, C, D, K row by row, P_theta / N
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from realization import BilinearSSM, InnovationSSM, LinearSSM
from realization.internal import (
    Progress,
    as_choice,
    as_instance,
    as_integer,
    require_discrete,
    stability_margin,
    symmetrize,
)

from .data import Experiments
from .early_stopping import BLOCKS, steps_by_held_out
from .gauss_newton import Search, Solution, minimize
from .linearization import Problem, linearize
from .local_coordinates import NAMES, System, local_basis
from .parameter_covariance import entries_in_coordinates, parameter_factor
from .reidentification import Estimate, subspace_again
from .result import IdentificationResult
from .validation import horizon_name, record_fit

__all__ = ["pem"]

Start = IdentificationResult | InnovationSSM | LinearSSM | BilinearSSM


def pem(
    model: Start,
    y: Any,
    u: Any = None,
    *,
    focus: Literal["prediction", "simulation"] = "prediction",
    horizon: int = 1,
    fixed: dict[str, Any] | None = None,
    feedthrough: bool | None = None,
    offset: Literal["auto", "estimate", "none"] = "auto",
    stop: Literal["optimum", "held-out"] = "optimum",
    max_iterations: int = 100,
    progress: bool = False,
) -> IdentificationResult:
    r"""Refine a model by minimising its prediction error or its simulation error.

    From the given model, minimises over all matrices, initial states and the output offset

    .. math:: \log\det \frac1N \sum_t e_t e_t^\top, \qquad e_t = y_t - \hat y_{t \mid t-h},

    the Gaussian likelihood for :math:`h = 1`; with ``focus="simulation"`` the sum of squares of
    the simulation errors, each output in units of its standard deviation.

    Parameters
    ----------
    model : IdentificationResult, InnovationSSM, LinearSSM or BilinearSSM
        Where to start, in discrete time; a bilinear model stays bilinear.
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; a list holds several experiments, each with its own initial
        state.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m) in the same form.
    focus : str, default "prediction"
        What the model is for: "prediction" or "simulation". After a simulation fit K is
        refitted alone, the other matrices held.
    horizon : int, default 1
        Steps ahead, for ``focus="prediction"``.
    fixed : dict of str to bool or ndarray of bool, optional
        Entries that keep their values (a grey box): per matrix "A", "N", "B", "C", "D", "K" a
        mask, or True for all of it.
    feedthrough : bool, optional
        Estimate D; default: unless D of the start is exactly zero.
    offset : str, default "auto"
        "estimate" refines the output offset, "none" keeps it; "auto" does as the result that is
        refined did, and "none" for a plain model.
    stop : str, default "optimum"
        At the "optimum" of the record, or after as many steps as "held-out" blocks of the record
        allow, which may be none; then `model` must be a result of ``subspace_id``.
    max_iterations : int, default 100
        Most outer iterations, each in coordinates of its own.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    IdentificationResult
        The refined model in the coordinates of the start, with refined `Re`, fits and the
        `covariance` of its entries.

    Raises
    ------
    TypeError
        If `model` is none of these records, is complex, or the data are not real numbers.
    ValueError
        If the model is in continuous time, does not have the channels of the data, an option is
        unknown, the record is too short for the parameters, the errors of the start overflow, or
        ``stop="held-out"`` is asked with `fixed`, or of a start that cannot be identified again.

    See Also
    --------
    subspace_id : Where a start comes from.
    bilinear_id : Bilinear models from data.

    Notes
    -----
    Gauss-Newton with a trust region over directions that change the input-output map only (local
    coordinates: what a change of basis of the state does is projected out); initial states and
    offset are eliminated. A - K C (for simulation A) stays stable, and forgets its initial state
    within the longest run: a trial beyond is replaced by the stable predictor of the same process.
    The result is never worse on the record than the start, and up to a change of basis it is the
    same from every start with the same input-output map. Cost per evaluation: O(T q n (n + p) + T
    p d^2) for q entries and d local coordinates, in memory independent of T. It finds the optimum
    that the start leads to: start from a good model.

    The optimum is the best there is where the plant is what the model says. A plant that drifts, or
    has more to it than the order allows, is not: the optimum then has slow modes that follow the
    disturbances of this one record, and predicts the next record worse than the start does.
    ``stop="held-out"`` guards against that: for each third of the record the start is identified
    from the others and refined, and the errors on that third tell after how many steps to stop.
    It costs three times as much, and is less efficient where the guard is not needed.

    `covariance` describes deviations orthogonal to changes of basis, so it is singular with rank
    d, and exact to first order for everything that does not depend on the basis (poles, frequency
    response). Rows of entries that were held are zero; D is always there. For horizon 1 it is
    the inverse of the information matrix; for longer horizons and simulation, where errors are
    correlated in time, the sandwich estimate with a Bartlett window of :math:`\sqrt T` lags (and K
    conditional on the other matrices).

    References
    ----------
    L. Ljung, *System Identification: Theory for the User*, 2nd edition, Prentice Hall, 1999.

    T. McKelvey, A. Helmersson and T. Ribarits, "Data driven local coordinates for multivariable
    linear systems and their application to system identification", Automatica 40, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import pem
    >>> from realization import InnovationSSM, markov_parameters, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> y = simulate(plant, u, noise=True, rng=1).y
    >>> start = InnovationSSM([[0.8]], [[1.0]], [[0.3]], [[1.0]], B=[[0.7]])
    >>> refined = pem(start, y, u)
    >>> error = markov_parameters(refined.model, 10) - markov_parameters(plant, 10)
    >>> bool(np.abs(error).max() < 0.02)
    True
    """
    as_instance("model", model, (IdentificationResult, InnovationSSM, LinearSSM, BilinearSSM))
    as_choice("focus", focus, ("prediction", "simulation"))
    as_choice("offset", offset, ("auto", "estimate", "none"))
    if as_choice("stop", stop, ("optimum", "held-out")) == "held-out" and fixed:
        raise ValueError("stop='held-out' identifies other starts, without the `fixed` entries.")
    horizon = as_integer("horizon", horizon, minimum=1)
    max_iterations = as_integer("max_iterations", max_iterations, minimum=1)
    result = model if isinstance(model, IdentificationResult) else _wrapped(model)
    raw = _checked_data(result, y, u, focus, horizon)
    if offset == "auto":
        offset = "estimate" if result.options.get("offset") == "estimate" else "none"
    simulate = focus == "simulation"

    def build(start: IdentificationResult, data: Experiments) -> tuple[Problem, System]:
        return _problem(start, data, horizon, simulate, fixed, feedthrough, offset == "estimate")

    problem, system = build(result, raw)
    _require_samples(problem, system)
    runs = 1 if stop == "optimum" else 1 + BLOCKS
    with Progress(max_iterations * runs, "pem", "step", show=progress) as bar:

        def report(point: Solution) -> None:
            bar.update(criterion=f"{point.criterion:.6f}")

        steps = max_iterations
        if stop == "held-out":
            steps = steps_by_held_out(_again(result), build, raw, max_iterations, report)
        fit = _search(problem, system, steps, report)
    gain_fit = None
    if simulate:
        free, held = _masks(result, system, fixed, feedthrough)
        gain_fit = _refit_gain(problem, fit, free, held, max_iterations)
    return _result(result, raw, problem, fit, gain_fit, stopped=steps < max_iterations)


def _problem(
    start: IdentificationResult,
    raw: Experiments,
    horizon: int,
    simulate: bool,
    fixed: dict[str, Any] | None,
    feedthrough: bool | None,
    estimate_offset: bool,
) -> tuple[Problem, System]:
    """Return what is minimised for a start and a record, and the system to start from."""
    y0, u0 = start.offset
    data = replace(raw, y=tuple(run - y0 for run in raw.y), u=tuple(run - u0 for run in raw.u))
    system = System.from_model(start.model)
    free, held = _masks(start, system, fixed, feedthrough)
    gain = system.entries(K=simulate)
    offset = np.zeros(raw.n_outputs)
    problem = Problem(data, horizon, simulate, free & ~gain, held & ~gain, offset, estimate_offset)
    return problem, system


def _again(result: IdentificationResult) -> Estimate:
    """Return what identifies a part of the record as the start was identified."""
    again = subspace_again(result)
    if again is None:
        raise ValueError(
            "stop='held-out' identifies parts of the record again, so `model` must be a result of "
            f"subspace_id; got one of {result.method!r}. Use stop='optimum'."
        )
    return again


def _wrapped(model: InnovationSSM | LinearSSM | BilinearSSM) -> IdentificationResult:
    """Return a plain model as a result without evidence."""
    return IdentificationResult(
        model=model,  # pyright: ignore[reportArgumentType]
        x0=(),
        singular_values=np.zeros(0),
        order_table=None,
        method=type(model).__name__,
        options={},
        offset=(np.zeros(model.n_outputs), np.zeros(model.n_inputs)),
    )


def _checked_data(
    result: IdentificationResult, y: Any, u: Any, focus: str, horizon: int
) -> Experiments:
    """Check model, options and data against each other; return the records."""
    model = result.model
    require_discrete(model, "pem")
    if any(np.iscomplexobj(part) for part in System.from_model(model).parts()):
        raise TypeError("`model` must be real: pem refines real matrices; got complex ones.")
    if focus == "simulation" and horizon != 1:
        raise ValueError(
            f"`horizon` belongs to focus='prediction'; got {horizon} with focus='simulation'."
        )
    if focus == "simulation" and model.n_inputs == 0:
        raise ValueError(
            "focus='simulation' needs a model with inputs: without any there is nothing to "
            "simulate. Use focus='prediction'."
        )
    data = Experiments.from_data(y, u, dt=model.dt)
    if data.dt != model.dt:
        raise ValueError(f"the data have sample time {data.dt:g}, the model {model.dt:g}.")
    if (model.n_outputs, model.n_inputs) != (data.n_outputs, data.n_inputs):
        raise ValueError(
            f"the model has {model.n_outputs} outputs and {model.n_inputs} inputs; the data have "
            f"{data.n_outputs} and {data.n_inputs}."
        )
    return data


def _masks(
    result: IdentificationResult,
    system: System,
    fixed: dict[str, Any] | None,
    feedthrough: bool | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries that may move and those that are held at their values."""
    if feedthrough is None:
        feedthrough = bool(system.D.any())
    masks = dict(as_instance("fixed", {} if fixed is None else fixed, (dict,)))
    for name, mask in masks.items():
        as_choice("fixed", name, NAMES)
        shape = system.parts()[NAMES.index(name)].shape
        if np.asarray(mask).dtype != bool or np.shape(mask) not in ((), shape):
            raise ValueError(
                f"`fixed[{name!r}]` must be True, False or a mask of bool of shape {shape}; got "
                f"{np.asarray(mask).dtype} of shape {np.shape(mask)}."
            )
    held = system.entries(**masks) | _delay_line(result, system)
    free = ~held
    if not feedthrough:
        free &= ~system.entries(D=True)
    return free, held


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
            f"too few samples: {unknowns} unknowns (entries and initial states) need more than "
            f"{unknowns} output samples; got {samples}. Take a smaller order or more data."
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
    best = fit.best
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
    factor, said = _covariance_factor(problem, best, system)
    if stopped:
        factor = None
        said = (
            f"stopped after {fit.steps} steps, held-out blocks of the record speak against more: "
            "no parameter covariance (it is that of the optimum; see bootstrap)"
        )
    if gain_fit is not None and factor is not None:
        gain_factor, said = _covariance_factor(gain_fit[0], gain_fit[1].best, None)
        if gain_factor is None:
            factor = None
        else:
            moved = entries_in_coordinates(gain_factor, best.system, best.Tinv, best.T)
            factor = np.hstack([factor, moved])
    horizons = {np.inf, 1, problem.horizon}
    fits = {
        horizon_name(h): f
        for h in sorted(horizons, reverse=True)
        if (f := record_fit(model, problem.data, y0, h)) is not None
    }
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
        warnings=_warnings(problem, fit, gain_fit, system, said, stopped),
        covariance=None if factor is None else factor @ factor.T,
        fits=fits,
        n_samples=raw.n_samples,
        output_names=raw.output_names,
        input_names=raw.input_names,
    )


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
    stopped: bool,
) -> tuple[str, ...]:
    """Return what has to be said about a refinement."""
    found = []
    if not stopped and not (fit.converged and (gain_fit is None or gain_fit[1].converged)):
        found.append(
            f"not converged after {fit.steps} iterations: raise max_iterations, or start elsewhere"
        )
    if not stopped and fit.start is not None and fit.best.criterion >= fit.start.criterion:
        found.append("nothing better than the start was found: it is returned as it was")
    if said:
        found.append(said)
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
