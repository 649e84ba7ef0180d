r"""Subspace identification: the front door, and the algorithm in the order of its steps.

    1  check the data, subtract offsets              Experiments
    2  compress them                                 HankelFactor
    3  decompose the future explained by the past    candidates
    4  choose the order
    5  A and C from the shift of the observability matrix
    6  K and Re from the state residuals
    7  B, D and x0
    8  the model, its fits and what must be said     IdentificationResult

What is left open (method, horizon, order) is chosen by ``search`` before step 2.

Sources: Van Overschee and De Moor, *Subspace Identification for Linear Systems* (1996); Verhaegen,
Automatica 30 (1994), PO-MOESP; Larimore (1990), CVA; Viberg, Automatica 31 (1995), IVM. The
definitions are those of SLICOT's IB01AD, IB01BD and IB01CD, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from realization.internal import as_choice, as_dt, as_integer

from .candidates import METHODS, Candidate, Method, Plan, candidates, estimates
from .closed_loop import CLOSED_LOOP
from .data import Experiments
from .data_checks import data_warnings, suspected_feedback
from .error_minimization import unrefined
from .evidence import record_evidence
from .hankel_factor import HankelFactor
from .input_matrices import initial_state
from .model_repair import add_input_delay, stability_warnings
from .order import CRITERIA
from .preparation import checked_data, horizons, prepared, require_order
from .projections import WEIGHTS, FactorBlocks, Weight
from .refinement import refined
from .result import IdentificationResult, Trial
from .selection import Refine, search
from .threads import one_blas_thread
from .validation import residual_covariance

__all__ = ["subspace_id"]

SEARCHED: tuple[Method, ...] = ("n4sid", "moesp", "cva", "ssarx", "pbsid")  # by method="auto"
TO_PREDICT: tuple[Method, ...] = (*SEARCHED, "regularized_arx")  # the same, with open order


@one_blas_thread
def subspace_id(
    y: Any = None,
    u: Any = None,
    order: int | Literal["auto"] = "auto",
    *,
    factor: HankelFactor | None = None,
    method: Literal["auto"] | Method = "auto",
    weight: Weight | None = None,
    past: int | None = None,
    future: int | None = None,
    dt: float = 1.0,
    feedthrough: bool = True,
    delay: int = 0,
    focus: Literal["prediction", "simulation"] = "prediction",
    bd: Literal["auto", "factor", "prediction", "simulation"] = "auto",
    criterion: Literal["svc", "nic", "aic", "bic", "gap", "cv"] = "svc",
    stable: bool = False,
    offset: Literal["estimate", "none"] = "estimate",
    progress: bool = False,
) -> IdentificationResult:
    r"""Identify a state-space model in innovations form from measured data.

    Finds :math:`(A, B, C, D, K, R_e)` of

    .. math:: x_{t+1} = A x_t + B u_t + K e_t, \qquad y_t = C x_t + D u_t + e_t

    without iterations or starting values: the state is what the past says about the future, and
    linear algebra finds it.

    Parameters
    ----------
    y : array_like, DataFrame, TimeResponseData or list of them, optional
        Outputs (T, p), time first; a list holds several experiments. Left out with `factor`.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m) in the same form; left out for a process without inputs.
    order : int or "auto", default "auto"
        State dimension; "auto" is chosen on held-out blocks (``method="auto"``) or by `criterion`.
    factor : HankelFactor, optional
        The sufficient statistic instead of the data (or of some of the work): then B and D come
        from the factor.
    method : str, default "auto"
        "n4sid", "moesp", "cva" or "ivm" for inputs chosen in open loop; "ssarx", "pbsid", "parsim"
        or "regularized_arx" for data under feedback too. "auto" chooses among all but "ivm" and
        "parsim" ("regularized_arx" to predict with open order only), where the data tell of
        feedback among those that allow for it, and horizon and order where open, on held-out blocks
        in the sense of `focus`: the smallest order that the best fit does not clearly beat, refined
        by ``pem`` if the blocks ask for it and `bd` is open. A record too short, or with `factor`,
        uses its own fits; `factor` alone "moesp", "pbsid" under feedback.
    weight : str, optional
        Weighting of the singular value decomposition, when it is not the method's own; "cva" and
        "ivm" whiten the future of "pbsid" and "parsim".
    past : int, optional
        Past horizon; default chosen on held-out blocks, or 15, less on short records, more when
        the order asks for it.
    future : int, optional
        Future horizon; default equal to `past`. The order is at most ``p * (future - 1)``.
    dt : float, default 1.0
        Sample time.
    feedthrough : bool, default True
        Estimate D; False sets D = 0.
    delay : int, default 0
        Samples of dead time common to all inputs; the delay states are inside the model.
    focus : str, default "prediction"
        What the model is for: "prediction" (one step ahead) or "simulation".
    bd : str, default "auto"
        Route to B, D, x0: "factor" (the robust N4SID equations), or least squares on the output in
        "prediction" or "simulation". "auto" is the factor when ``method="n4sid"`` is asked for or
        only `factor` is given, else `focus`.
    criterion : str, default "svc"
        Order criterion of a named method: "svc", "nic", "aic", "bic" or "gap" (see
        ``select_order``), or "cv", held-out blocks, as ``method="auto"`` always does.
    stable : bool, default False
        Move unstable eigenvalues of A inside the unit circle; what was moved is reported.
    offset : str, default "estimate"
        "estimate" identifies around an estimated operating point, "none" uses the data as they are.
    progress : bool, default False
        Show a progress bar over the trials on held-out blocks.

    Returns
    -------
    IdentificationResult
        The model with its singular values, order table, fits, offsets and warnings.

    Raises
    ------
    TypeError
        If the data are not real numbers.
    ValueError
        If shapes disagree, a sample is missing or infinite, the record is too short for the
        horizons, an option is unknown, the order cannot be had with the horizons, or held-out
        blocks are to choose with different `past` and `future`.
    UnstableModelError
        If ``bd="simulation"`` is asked of an A so unstable that its simulation over the record
        means nothing.

    See Also
    --------
    compare : Fits of several models on other data.
    residual_tests : Is the prediction error unpredictable?

    Notes
    -----
    Cost, with d = (past + future)(m + p): O(T (m + p) (log d + d / 8)) operations for the factor
    (O(T d^2) where the data are ill-conditioned), O(d^3) for the rest; the least-squares routes
    add O(T p (n m)^2). BLAS runs on one thread. Nothing is changed silently: offsets are
    in ``result.offset``, everything else in ``result.warnings``: feedback, which biases methods for
    open loop and every fit of the simulated output, an unstable A, an input that excites too
    little, a drift. Outputs are weighed in the units given ("n4sid" most): choose similar sizes.

    References
    ----------
    P. Van Overschee and B. De Moor, *Subspace Identification for Linear Systems*, Kluwer, 1996.

    M. Verhaegen, Automatica 30, 1994: the deterministic part from instrumental variables.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import subspace_id
    >>> from realization import LinearSSM, markov_parameters, simulate
    >>> plant = LinearSSM([[0.8, 0.2], [-0.2, 0.8]], [[1.0], [0.5]], [[1.0, 0.0]], [[0.1]])
    >>> u = np.random.default_rng(0).standard_normal(300)
    >>> result = subspace_id(simulate(plant, u).y, u, 2, offset="none")
    >>> error = markov_parameters(result.model, 20) - markov_parameters(plant, 20)
    >>> bool(np.abs(error).max() < 1e-10)
    True
    """
    as_choice("method", method, ("auto", *METHODS))
    as_choice("focus", focus, ("prediction", "simulation"))
    as_choice("bd", bd, ("auto", "factor", "prediction", "simulation"))
    as_choice("criterion", criterion, (*CRITERIA, "cv"))
    as_choice("offset", offset, ("estimate", "none"))
    if weight is not None:
        as_choice("weight", weight, WEIGHTS)
    if order != "auto":
        order = as_integer("order", order)
    # 1 the data, around their operating point
    raw, lag = checked_data(y, u, factor, dt, bd), as_integer("delay", delay)
    data, y0, u0 = prepared(raw, lag, factor, offset == "estimate")
    refine = partial(refined, focus=focus, estimate_offset=offset == "estimate", stable=stable)
    refining = refine if method == bd == "auto" else None
    if bd == "auto":
        bd = "factor" if data is None or method == "n4sid" else focus
    # the methods
    feedback = ""
    if method == "auto":
        feedback = suspected_feedback(
            data, factor, past or future, remove_means=offset == "estimate", feedthrough=feedthrough
        )
    methods: tuple[Method, ...] = _compared(method, weight, bool(feedback), data is not None)
    plan = Plan(order, criterion, weight, bd, focus, feedthrough, stable, offset == "estimate")
    # what is left open, on held-out blocks of the record
    trials: tuple[Trial, ...] = ()
    held_out = method == "auto" or (criterion == "cv" and order == "auto")
    if held_out and factor is None and data is not None:
        trials = _trials(plan, data, methods, past, future, refining, progress)
    if trials:
        methods = (trials[0].method,)  # pyright: ignore[reportAssignmentType]
        past = future = trials[0].horizon
        plan = replace(plan, order=trials[0].order)
    # 2 the sufficient statistic
    if factor is None:
        assert data is not None
        past, future = horizons(data, past, future, plan.order)
        factor = HankelFactor.from_experiments(data, past=past, future=future)
    elif past is not None or future is not None:
        raise ValueError("`past` and `future` are those of the `factor`; leave them out.")
    blocks = FactorBlocks.from_factor(factor, remove_means=plan.offset)
    require_order(blocks, plan.order)
    # 3-7 the models that the methods offer
    best = candidates(methods, plan, blocks, data)[0]
    if trials and trials[0].refined:
        assert data is not None
        best = best.after(refine(unrefined(best.model, best.inputs.y_offset), data, least=1))
    # 8 the model and its evidence
    doubts = data_warnings(
        blocks, best.model, data, u0, best.method, bd, feedthrough=feedthrough, feedback=feedback
    )
    best = replace(best, warnings=(*best.warnings, *doubts))
    options = {
        "method": method,
        "past": factor.past,
        "future": factor.future,
        "bd": bd,
        "focus": focus,
        "criterion": "held-out" if trials and order == "auto" else criterion,
        "delay": lag,
        "offset": offset,
        "stable": stable,
        "dt": as_dt(dt) if raw is None else raw.dt,
    }
    if weight is not None:
        options["weight"] = weight
    return _result(best, trials, options, raw, data, (y0, u0), factor)


def _compared(
    method: Literal["auto"] | Method, weight: Weight | None, feedback: bool, records: bool
) -> tuple[Method, ...]:
    """Return the methods that are compared: under feedback those that allow for it."""
    if method != "auto":
        return (weight,) if weight is not None and method in WEIGHTS else (method,)
    if records:
        return CLOSED_LOOP if feedback else METHODS
    return ("pbsid",) if feedback else ("moesp",)


def _trials(
    plan: Plan,
    data: Experiments,
    methods: Sequence[Method],
    past: int | None,
    future: int | None,
    refine: Refine | None,
    progress: bool,
) -> tuple[Trial, ...]:
    """Return what was tried on held-out blocks of the record, the choice first."""
    if past is not None and future is not None and past != future:
        raise ValueError("choosing on held-out blocks takes equal horizons; give `past` alone.")
    if len(methods) > 1:
        wanted = TO_PREDICT if plan.order == "auto" and plan.focus == "prediction" else SEARCHED
        methods = [one for one in wanted if one in methods]
    return search(
        data,
        partial(estimates, plan),
        refine,
        methods=methods,
        horizon=past or future,
        order=None if plan.order == "auto" else plan.order,
        focus=plan.focus,
        remove_means=plan.offset,
        progress=progress,
    )


def _result(
    best: Candidate,
    trials: tuple[Trial, ...],
    options: dict[str, Any],
    raw: Experiments | None,
    data: Experiments | None,
    offset: tuple[np.ndarray, np.ndarray],
    factor: HankelFactor,
) -> IdentificationResult:
    """Assemble the result: delay, innovation covariance, initial states, fits, warnings."""
    y0, u0 = offset[0] + best.inputs.y_offset, offset[1]
    model, x0 = best.model, best.inputs.x0
    warnings, covariance, fits, whiteness = list(best.warnings), best.covariance, {}, None
    if raw is not None and data is not None:
        if options["delay"]:
            covariance = None  # of the model without the delay line
            model = add_input_delay(model, options["delay"])
            data = replace(
                raw, y=tuple(run - offset[0] for run in raw.y), u=tuple(run - u0 for run in raw.u)
            )
            K = None if options["bd"] == "simulation" else model.K
            x0 = tuple(
                initial_state(model, K, y - best.inputs.y_offset, u)
                for y, u in zip(data.y, data.u, strict=True)
            )
        if options["bd"] != "factor":
            model = replace(model, Re=residual_covariance(model, data, best.inputs.y_offset))
        fits, whiteness = record_evidence(model, data, best.inputs.y_offset)
    model = replace(model, dt=options["dt"])
    advice = "; stable=True moves it inside"
    if best.table is not None and options["criterion"] != "held-out":
        fewer = best.table.best("bic")
        if fewer < best.table.chosen:
            advice = f"; the data tell of order {fewer} (bic){advice}"
    warnings += stability_warnings(model, advice)
    return IdentificationResult(
        model=model,
        x0=x0,
        trials=trials,
        singular_values=best.singular_values,
        order_table=best.table,
        method=best.method,
        options=options,
        offset=(y0, u0),
        warnings=tuple(warnings),
        covariance=covariance,
        fits=fits,
        whiteness=whiteness,
        n_samples=factor.n_samples if raw is None else raw.n_samples,
        output_names=raw.output_names if raw else (),
        input_names=raw.input_names if raw else (),
    )
