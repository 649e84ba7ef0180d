"""Steps 3 to 7 of ``subspace_id``: the models of one compressed record, one or two a method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from realization import InnovationSSM, UnstableModelError
from realization.internal import stability_margin

from .closed_loop import CLOSED_LOOP, ClosedLoopMethod, StateMap, StateRegression, state_map
from .data import Experiments
from .input_matrices import InputMatrices, from_data, from_factor
from .model_repair import stabilize
from .noise_model import kalman_gain
from .observability_shift import shifted, table_of_orders
from .order import OrderTable
from .preparation import OrderError, require_rank
from .projections import WEIGHTS, FactorBlocks, Weight, WeightedSubspace, weighted_subspace
from .result import IdentificationResult
from .validation import MAX_GROWTH, growth, record_fit

__all__ = ["METHODS", "Candidate", "Method", "Plan", "candidates", "estimates"]

Method = Weight | ClosedLoopMethod
METHODS: tuple[Method, ...] = (*WEIGHTS, *CLOSED_LOOP)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The options that every candidate shares."""

    order: int | Literal["auto"]
    criterion: str
    weight: str | None
    route: str
    focus: str
    feedthrough: bool
    stable: bool
    offset: bool


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One model of the record."""

    method: str
    model: InnovationSSM
    inputs: InputMatrices
    table: OrderTable | None
    singular_values: np.ndarray
    warnings: tuple[str, ...]
    covariance: np.ndarray | None = None

    def after(self, found: IdentificationResult | None) -> Candidate:
        """Return the candidate with a refined model, if there is one."""
        if found is None:
            return self
        model, said = found.model, self.inputs.warnings
        inputs = InputMatrices(model.B, model.D, found.x0, found.offset[0], said)
        return replace(self, model=model, inputs=inputs, covariance=found.covariance)


def candidates(
    methods: Sequence[Method], plan: Plan, blocks: FactorBlocks, data: Experiments | None
) -> list[Candidate]:
    """Return the models that the methods offer: best first, where there are data to compare by."""
    found: list[Candidate] = []
    refused: list[OrderError] = []
    for method in methods:
        try:
            found += _offered(method, plan, blocks, data)
        except OrderError as error:
            refused.append(error)
    if len(refused) == len(methods):
        raise refused[0]
    if not found:
        raise UnstableModelError(
            f"every estimated model of order {plan.order} is so unstable that its {plan.route} "
            "over the record means nothing. Use bd='factor', another order, or remove trends from "
            "the data first.",
            stability_margin=-np.inf,
        )
    if data is not None and len(found) > 1:
        found.sort(key=lambda one: -_score(one, data, plan.focus))
    return found


def estimates(
    plan: Plan, method: Method, blocks: FactorBlocks, data: Experiments, orders: Sequence[int]
) -> Iterator[tuple[int, InnovationSSM, np.ndarray | float]]:
    """Yield (order, model, output offset) for several orders, decomposed once."""
    subspace = _decompose(method, plan, blocks)
    for order in orders:
        try:
            found = _models(method, plan, blocks, data, subspace, order)
        except OrderError:
            continue
        for one in found:
            yield order, one.model, one.inputs.y_offset


def _offered(
    method: Method, plan: Plan, blocks: FactorBlocks, data: Experiments | None
) -> list[Candidate]:
    """Return the models that one method offers: one, or two where an unstable A is simulated."""
    # 3 the future explained by the past
    subspace = _decompose(method, plan, blocks)
    # 4 the order
    table = table_of_orders(blocks, subspace.singular_values, plan.order, plan.criterion)
    models = _models(method, plan, blocks, data, subspace, table.chosen)
    return [replace(found, table=table) for found in models]


def _decompose(method: Method, plan: Plan, blocks: FactorBlocks) -> WeightedSubspace | StateMap:
    """Return step 3: the observability matrix or the state map, with their singular values."""
    if method in ("ssarx", "pbsid", "parsim", "regularized_arx"):
        return state_map(blocks, method, whiten=plan.weight in ("cva", "ivm"))
    return weighted_subspace(blocks, method)


def _models(
    method: Method,
    plan: Plan,
    blocks: FactorBlocks,
    data: Experiments | None,
    subspace: WeightedSubspace | StateMap,
    order: int,
) -> list[Candidate]:
    """Return steps 5 to 7 for one order."""
    # 5 A and C
    if isinstance(subspace, WeightedSubspace):
        A, C, gamma = shifted(blocks, subspace, order)
        states = None
    else:
        require_rank(order, subspace.L.shape[0])
        states = StateRegression.from_map(blocks, subspace.L[:order], feedthrough=plan.feedthrough)
        A, C, gamma = states.A, states.C, np.zeros((0, order))
    variants = [(A, "")]
    if stability_margin(A, 1.0) <= 0:
        moved, note = stabilize(A)
        reason = note if plan.stable else f"{note}: that fits the record better"
        variants = [*([] if plan.stable else variants), (moved, reason)]
    found: list[Candidate] = []
    for A, note in variants:
        # 6 K and Re
        K, Re, said = states.gain(A) if states else kalman_gain(blocks, gamma, A, C)
        F = A if plan.route == "simulation" else A - K @ C
        usable = data is not None and growth(F, data) <= MAX_GROWTH
        # 7 B, D and x0
        if plan.route == "factor" or data is None:
            if states:
                inputs = InputMatrices(states.B, states.D)
            else:
                inputs = from_factor(blocks, gamma, A, C, feedthrough=plan.feedthrough)
            if data is not None and usable:
                inputs = from_data(A, C, K, data, known=inputs, estimate_offset=plan.offset)
        elif usable:
            inputs = from_data(
                A,
                C,
                K if plan.route == "prediction" else None,
                data,
                feedthrough=plan.feedthrough,
                estimate_offset=plan.offset,
            )
        else:
            continue
        model = InnovationSSM(A, C, K, Re, B=inputs.B, D=inputs.D)
        warnings = (*([note] if note else []), *said, *inputs.warnings)
        found.append(Candidate(method, model, inputs, None, subspace.singular_values, warnings))
        if plan.route != "simulation":
            break  # a stable predictor needs no stable A
    return found


def _score(candidate: Candidate, data: Experiments, focus: str) -> float:
    """Return the mean fit on the estimation record in the sense of the focus."""
    horizon = np.inf if focus == "simulation" else 1
    fit = record_fit(candidate.model, data, candidate.inputs.y_offset, horizon)
    return -np.inf if fit is None else float(fit.mean())
