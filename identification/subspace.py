r"""Subspace identification: the front door, and the algorithm in the order of its steps.

    1  check the data, subtract offsets              Experiments
    2  compress them                                 HankelFactor
    3  decompose the future explained by the past    weighted_subspace
    4  choose the order                              order_table
    5  A and C from the shift of the observability matrix
    6  K and Re from the state residuals             kalman_gain
    7  B, D and x0                                   input_matrices
    8  the model, its fits and what must be said     IdentificationResult

Sources: Van Overschee and De Moor, *Subspace Identification for Linear Systems* (1996); Verhaegen,
Automatica 30 (1994), PO-MOESP; Larimore (1990), CVA; Viberg, Automatica 31 (1995), IVM. The
definitions are those of SLICOT's IB01AD, IB01BD and IB01CD, with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from realization import InnovationSSM, UnstableModelError
from realization.internal import as_choice, as_dt, as_integer, stability_margin, symmetrize

from .data import Experiments
from .hankel_factor import HankelFactor
from .input_matrices import InputMatrices, from_data, from_factor, initial_state
from .model_repair import add_input_delay, stabilize
from .noise_model import kalman_gain
from .order import CRITERIA, OrderTable, largest_order, order_table
from .projections import WEIGHTS, FactorBlocks, Weight, weighted_subspace
from .result import IdentificationResult
from .validation import fit_percent, fitted_output

__all__ = ["horizons", "require_order", "state_equation", "subspace_id"]

MAX_GROWTH = 1e8  # largest growth over a record for which an unstable A may still be simulated


def subspace_id(
    y: Any = None,
    u: Any = None,
    order: int | Literal["auto"] = "auto",
    *,
    factor: HankelFactor | None = None,
    method: Literal["auto", "n4sid", "moesp", "cva", "ivm"] = "auto",
    weight: Weight | None = None,
    past: int | None = None,
    future: int | None = None,
    dt: float = 1.0,
    feedthrough: bool = True,
    delay: int = 0,
    focus: Literal["prediction", "simulation"] = "prediction",
    bd: Literal["auto", "factor", "prediction", "simulation"] = "auto",
    criterion: Literal["svc", "nic", "aic", "bic", "gap"] = "svc",
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
        State dimension; "auto" lets `criterion` choose.
    factor : HankelFactor, optional
        The sufficient statistic instead of the data (or of some of the work): then B and D come
        from the factor.
    method : str, default "auto"
        "n4sid", "moesp", "cva" or "ivm"; "auto" tries the four weightings and keeps the one that
        fits the estimation record best in the sense of `focus`.
    weight : str, optional
        Weighting of the singular value decomposition, when it is not the method's own.
    past : int, optional
        Past horizon; default 15, less on short records, more when the order asks for it.
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
        Order criterion: "svc", "nic", "aic", "bic" or "gap" (see ``select_order``).
    stable : bool, default False
        Move unstable eigenvalues of A inside the unit circle; what was moved is reported.
    offset : str, default "estimate"
        "estimate" identifies around an estimated operating point, "none" uses the data as they are.
    progress : bool, default False
        Show a progress bar over the candidates.

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
        horizons, an option is unknown, or the order cannot be had with the horizons.
    UnstableModelError
        If ``bd="simulation"`` is asked of an A so unstable that its simulation over the record
        means nothing.

    See Also
    --------
    compare : Fits of several models on other data.
    residual_tests : Is the prediction error unpredictable?

    Notes
    -----
    Cost: O(T (s (m + p))^2) operations for the factor with s = past + future, O((s (m + p))^3) for
    the rest; the least-squares routes add O(T p (n m)^2). Nothing is changed silently: offsets are
    in ``result.offset``, everything else in ``result.warnings``. Limits: the four methods assume
    open loop (inputs chosen without looking at the outputs); eigenvalues of an estimated A may be
    unstable, which is reported; B and D need an input that excites.

    References
    ----------
    P. Van Overschee and B. De Moor, *Subspace Identification for Linear Systems*, Kluwer, 1996.

    M. Verhaegen, "Identification of the deterministic part of MIMO state space models given in
    innovations form from input-output data", Automatica 30, 1994.

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
    as_choice("method", method, ("auto", *WEIGHTS))
    as_choice("focus", focus, ("prediction", "simulation"))
    as_choice("bd", bd, ("auto", "factor", "prediction", "simulation"))
    as_choice("criterion", criterion, CRITERIA)
    as_choice("offset", offset, ("estimate", "none"))
    if weight is not None:
        as_choice("weight", weight, WEIGHTS)
    if order != "auto":
        order = as_integer("order", order)
    # 1 the data, around their operating point
    raw, lag = _checked_data(y, u, factor, dt, bd), as_integer("delay", delay)
    data, y0, u0 = _prepared(raw, lag, factor, offset == "estimate")
    # 2 their sufficient statistic
    if factor is None:
        assert data is not None
        past, future = horizons(data, past, future, order)
        factor = HankelFactor.from_experiments(data, past=past, future=future)
    elif past is not None or future is not None:
        raise ValueError("`past` and `future` are those of the `factor`; leave them out.")
    blocks = FactorBlocks.from_factor(factor, remove_means=offset == "estimate")
    require_order(blocks, order)
    # 3-7 one candidate per weighting
    if bd == "auto":
        bd = "factor" if data is None or method == "n4sid" else focus
    weights = (weight,) if weight else (method,) if method != "auto" else WEIGHTS
    if data is None and len(weights) > 1:
        weights = ("moesp",)
    plan = _Plan(order, criterion, bd, focus, feedthrough, stable, offset == "estimate")
    candidates: list[_Candidate] = []
    for one in _progress_bar(weights, progress):
        candidates += _candidates(one, plan, blocks, data)  # pyright: ignore[reportArgumentType]
    best = max(candidates, key=lambda c: c.score) if len(candidates) > 1 else candidates[0]
    # 8 the model and its evidence
    options = {
        "method": method,
        "past": factor.past,
        "future": factor.future,
        "bd": bd,
        "focus": focus,
        "criterion": best.table.criterion,
        "delay": lag,
        "offset": offset,
        "dt": as_dt(dt) if raw is None else raw.dt,
    }
    return _result(best, candidates, options, raw, data, (y0, u0), factor)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """The options that every candidate shares."""

    order: int | Literal["auto"]
    criterion: str
    route: str
    focus: str
    feedthrough: bool
    stable: bool
    offset: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """One model of the record, with its mean fit in the sense of the focus."""

    weight: str
    model: InnovationSSM
    inputs: InputMatrices
    table: OrderTable
    singular_values: np.ndarray
    score: float
    warnings: tuple[str, ...]


def _checked_data(
    y: Any, u: Any, factor: HankelFactor | None, dt: float, bd: str
) -> Experiments | None:
    """Return the checked records, None when only a factor is given."""
    if factor is not None:
        channels = factor.n_outputs + factor.n_inputs
        needed = (factor.past + factor.future) * channels
        if factor.n_columns < needed:
            raise ValueError(
                f"the factor holds {factor.n_columns} start times; past = {factor.past} and future"
                f" = {factor.future} with {channels} channels need {needed}. Update it with more "
                "data."
            )
    if y is not None:
        data = Experiments.from_data(y, u, dt=dt)
        if factor is not None:
            have = (factor.n_outputs, factor.n_inputs)
            if have != (data.n_outputs, data.n_inputs):
                raise ValueError(
                    f"`factor` has {have[0]} outputs and {have[1]} inputs; the data have "
                    f"{data.n_outputs} and {data.n_inputs}."
                )
        return data
    if factor is None:
        raise ValueError("`y` is missing: pass the measured outputs (or a `factor` of them).")
    if u is not None:
        raise ValueError("`u` was given without `y`: pass both, or the `factor` alone.")
    if bd not in ("auto", "factor"):
        raise ValueError(
            f"bd={bd!r} is least squares on the data: pass `y` and `u` as well as the `factor`, "
            "or use bd='factor'."
        )
    return None


def _prepared(
    raw: Experiments | None, delay: int, factor: HankelFactor | None, remove_offset: bool
) -> tuple[Experiments | None, np.ndarray, np.ndarray]:
    """Return the records with inputs delayed and offsets subtracted, and the offsets."""
    if raw is None:
        assert factor is not None
        if delay:
            raise ValueError("`delay` shifts the inputs before the factor is made; got both.")
        if not remove_offset:
            return None, np.zeros(factor.n_outputs), np.zeros(factor.n_inputs)
        return None, *factor.means()
    if delay and factor is not None:
        raise ValueError("`delay` shifts the inputs before the factor is made; got both.")
    if delay and raw.n_inputs == 0:
        raise ValueError("`delay` is the dead time of inputs; the data have none.")
    if delay >= (shortest := min(run.shape[0] for run in raw.y)):
        raise ValueError(f"`delay` = {delay} leaves nothing of a run of {shortest} samples.")
    y = [run[delay:] for run in raw.y]
    u = [run[: run.shape[0] - delay] for run in raw.u]
    y0, u0 = np.zeros(raw.n_outputs), np.zeros(raw.n_inputs)
    if remove_offset:
        y0, u0 = np.vstack(y).mean(axis=0), np.vstack(u).mean(axis=0)
    data = replace(raw, y=tuple(run - y0 for run in y), u=tuple(run - u0 for run in u))
    return data, y0, u0


def horizons(
    data: Experiments, past: int | None, future: int | None, order: int | Literal["auto"]
) -> tuple[int, int]:
    """Return the horizons: as given, else 15, less on short records, more for a large order."""
    p, channels = data.n_outputs, data.n_outputs + data.n_inputs
    T = data.n_samples
    default = max(min(15, T // (2 + 10 * channels)), 2)
    if order != "auto":
        default = max(default, -(-order // p) + 2)
    future = as_integer("future", future or past or default, minimum=2)
    past = as_integer("past", past or future, minimum=1)
    # SLICOT's rule 2 (m + p + 1) s - 1 for past = future = s and one run
    usable = sum(max(run.shape[0] - past - future + 1, 0) for run in data.y)
    needed = (past + future) * channels
    if usable < needed:
        samples = (past + future) * (channels + 1) - 1
        raise ValueError(
            f"too few samples: past = {past} and future = {future} with {channels} channels need "
            f"{samples} samples in one run; got {T} in {len(data)} ({usable} of {needed} usable "
            "columns). Take shorter horizons or more data."
        )
    return past, future


def require_order(blocks: FactorBlocks, order: int | Literal["auto"]) -> None:
    """Raise if the order cannot be had with these horizons."""
    p, m = blocks.n_outputs, blocks.n_inputs
    limit = min(p * (blocks.future - 1), (m + p) * blocks.past)
    if order != "auto" and order > limit:
        raise ValueError(
            f"`order` = {order} cannot be had with past = {blocks.past}, future = {blocks.future}:"
            f" at most {limit} (p (future - 1) and (m + p) past bound it). Take longer horizons."
        )


def state_equation(
    blocks: FactorBlocks,
    weight: Weight | Literal["pc"],
    order: int | Literal["auto"],
    criterion: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, OrderTable, np.ndarray]:
    """Return A, C, the observability matrix behind them, the order table, the singular values."""
    p = blocks.n_outputs
    # 3 the future explained by the past
    subspace = weighted_subspace(blocks, weight)
    # 4 the order
    table = order_table(
        blocks,
        subspace.singular_values,
        max_order=max(largest_order(blocks), 0 if order == "auto" else order),
        criterion=criterion,
        order=None if order == "auto" else order,
    )
    n = table.chosen
    gamma = subspace.gamma[:, :n]
    if gamma.shape[1] < n:
        raise ValueError(
            f"`order` = {n} cannot be had: the data have rank {gamma.shape[1]} in the metric "
            f"of {weight!r}. Take a smaller order."
        )
    # 5 A from the shift of the observability matrix, C its first rows
    A = np.linalg.lstsq(gamma[:-p], gamma[p:], rcond=None)[0]
    return A, gamma[:p], gamma, table, subspace.singular_values


def _candidates(
    weight: Weight, plan: _Plan, blocks: FactorBlocks, data: Experiments | None
) -> list[_Candidate]:
    """Return the models that one weighting offers: one, or two when A is unstable."""
    A, C, gamma, table, singular_values = state_equation(blocks, weight, plan.order, plan.criterion)
    variants = [(A, "")]
    if stability_margin(A, 1.0) <= 0:
        moved = stabilize(A)
        if plan.stable:
            variants = [moved]
        elif plan.route == "simulation":
            assert data is not None
            growth = (1 - stability_margin(A, 1.0)) ** max(run.shape[0] for run in data.y)
            note = f"{moved[1]}: that simulates the record better"
            variants = [*(variants if growth < MAX_GROWTH else []), (moved[0], note)]
    found = []
    for A, note in variants:
        # 6 the noise
        K, Re, said = kalman_gain(blocks, gamma, A, C)
        # 7 B, D and x0
        if plan.route == "factor" or data is None:
            inputs = from_factor(blocks, gamma, A, C, feedthrough=plan.feedthrough)
        else:
            inputs = from_data(
                A,
                C,
                K if plan.route == "prediction" else None,
                data,
                feedthrough=plan.feedthrough,
                estimate_offset=plan.offset,
            )
        model = InnovationSSM(A, C, K, Re, B=inputs.B, D=inputs.D)
        if data is not None and plan.route == "factor":
            inputs = from_data(
                A, C, K, data, known=inputs, feedthrough=True, estimate_offset=plan.offset
            )
        warnings = (*([note] if note else []), *said, *inputs.warnings)
        score = _score(model, inputs, data, plan.focus)
        found.append(_Candidate(weight, model, inputs, table, singular_values, score, warnings))
    return found


def _score(
    model: InnovationSSM, inputs: InputMatrices, data: Experiments | None, focus: str
) -> float:
    """Return the mean fit on the estimation record in the sense of the focus."""
    if data is None:
        return 0.0
    fit = _fit(model, data, inputs.y_offset, np.inf if focus == "simulation" else 1)
    return -np.inf if fit is None else float(fit.mean())


def _fit(
    model: InnovationSSM, data: Experiments, offset: np.ndarray | float, horizon: float
) -> np.ndarray | None:
    """Return the fit of each output over all runs; None where an unstable path overflows."""
    runs = [y - offset for y in data.y]
    try:
        outputs = [
            fitted_output(model, y, u, horizon)[0] for y, u in zip(runs, data.u, strict=True)
        ]
    except UnstableModelError:
        return None
    return fit_percent(np.vstack(runs), np.vstack(outputs))


def _result(
    best: _Candidate,
    candidates: list[_Candidate],
    options: dict[str, Any],
    raw: Experiments | None,
    data: Experiments | None,
    offset: tuple[np.ndarray, np.ndarray],
    factor: HankelFactor,
) -> IdentificationResult:
    """Assemble the result: delay, innovation covariance, initial states, fits, warnings."""
    y0, u0 = offset[0] + best.inputs.y_offset, offset[1]
    model, x0 = best.model, best.inputs.x0
    warnings, fits = list(best.warnings), {}
    if len(candidates) > 1:
        tried = ", ".join(f"{c.weight} {c.score:.2f}" for c in candidates)
        options["tried"] = f"{tried} (fit in %)"
    if raw is not None and data is not None:
        if options["delay"]:
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
            model = replace(model, Re=_residual_covariance(model, data, best.inputs.y_offset))
        for name, horizon in (("simulation", np.inf), ("one-step prediction", 1)):
            if (fit := _fit(model, data, best.inputs.y_offset, horizon)) is not None:
                fits[name] = fit
    model = replace(model, dt=options["dt"])
    if (margin := stability_margin(model.A, 1.0)) <= 0:
        warnings.append(
            f"A is unstable: largest modulus {1 - margin:.5f}; stable=True moves it inside"
        )
    if (margin := stability_margin(model.A - model.K @ model.C, 1.0)) <= 0:
        warnings.append(f"the predictor A - K C is unstable: largest modulus {1 - margin:.5f}")
    return IdentificationResult(
        model=model,
        x0=x0,
        singular_values=best.singular_values,
        order_table=best.table,
        method=best.weight,
        options=options,
        offset=(y0, u0),
        warnings=tuple(warnings),
        fits=fits,
        n_samples=factor.n_samples if raw is None else raw.n_samples,
        output_names=raw.output_names if raw else (),
        input_names=raw.input_names if raw else (),
    )


def _residual_covariance(
    model: InnovationSSM, data: Experiments, offset: np.ndarray | float
) -> np.ndarray:
    """Return the covariance of the one-step prediction errors on the record."""
    total = np.zeros((data.n_outputs, data.n_outputs))
    for y, u in zip(data.y, data.u, strict=True):
        error = y - offset - fitted_output(model, y - offset, u, 1)[0]
        total += error.T @ error
    return symmetrize(total) / data.n_samples


def _progress_bar(weights: tuple[str, ...], show: bool) -> Any:
    """Return the weights, behind a progress bar when asked."""
    if not show:
        return weights
    from tqdm import tqdm

    return tqdm(weights, desc="subspace_id", unit="weighting")
