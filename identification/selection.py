r"""Choose method, horizon and order inside the estimation record, on held-out blocks.

Every run is cut into three blocks. A configuration is identified on two of them and scored on the
third, in turn; its score is the fit of all held-out outputs together, in the sense of the focus.
The factor of two blocks is the merge of their factors, so each block is compressed once a horizon.

The search is coarse first (few orders, one fold), then fine around the best; the choice and the
best fit are then refined by prediction error or simulation error, and compete once more. Every
choice and every score is kept, nothing is random, and no data but the estimation record are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from realization import InnovationSSM
from realization.internal import Progress

from .data import Experiments
from .error_minimization import unrefined
from .hankel_factor import HankelFactor
from .held_out import held_out_blocks
from .projections import FactorBlocks
from .result import IdentificationResult, Trial
from .validation import MAX_GROWTH, fitted_output, growth

__all__ = ["Refine", "search"]

FOLDS = 3
HORIZONS = (10, 15, 20, 30)
ORDERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20)
COARSE_ORDERS = (0, 1, 2, 3, 4, 6, 8, 12)
COARSE_HORIZONS = (10, 20)
FINALISTS = 3  # pairs of method and horizon searched finely
PARTS = 4  # of each held-out block, whose errors tell a gain from chance
# gains below so many standard errors do not buy a larger order; simulation errors of neighbouring
# parts go together, so that fewer of them already mean something
STANDARD_ERRORS = {"prediction": 2.0, "simulation": 1.0}
NEVER_CHANCE = 0.1  # a gain of more than this part of the squared error always does

Estimate = Callable[
    [Any, FactorBlocks, Experiments, Sequence[int]],
    Iterator[tuple[int, InnovationSSM, np.ndarray | float]],
]
Refine = Callable[[IdentificationResult, Experiments], IdentificationResult | None]
Key = tuple[str, int, int, bool]  # method, horizon, order, refined


class _Folds:
    """The blocks of the record, the rest without each, factors by horizon, the scores so far."""

    def __init__(self, data: Experiments, estimate: Estimate, focus: str, remove_means: bool):
        self.estimate, self.remove_means = estimate, remove_means
        self.standard_errors = STANDARD_ERRORS[focus]
        self.horizon_scored = np.inf if focus == "simulation" else 1
        pairs = held_out_blocks(data, FOLDS)
        self.rest = [rest for rest, _ in pairs]
        self.blocks = [block for _, block in pairs]
        self.spread = sum(
            np.sum((y - y.mean(0)) ** 2, axis=0) for b in self.blocks for y in b.y if len(y)
        )
        self.factors: dict[int, list[HankelFactor]] = {}
        self.errors: dict[Key, dict[int, np.ndarray]] = {}
        self.models: dict[Key, dict[int, tuple[InnovationSSM, np.ndarray | float]]] = {}

    def allows(self, horizon: int) -> bool:
        """Tell whether two blocks hold enough columns for a horizon."""
        rows = 2 * horizon * (self.blocks[0].n_outputs + self.blocks[0].n_inputs)
        shortest = min(run.shape[0] for block in self.blocks for run in block.y)
        columns = sum(
            max(run.shape[0] - 2 * horizon + 1, 0) for block in self.blocks for run in block.y
        )
        return shortest > 2 * horizon and (FOLDS - 1) * columns >= 1.5 * FOLDS * rows

    def run(self, method: str, horizon: int, orders: Sequence[int], fold: int) -> None:
        """Identify without one block, for several orders, and score on it."""
        new = [n for n in orders if fold not in self.errors.get((method, horizon, n, False), {})]
        if not new:
            return
        if horizon not in self.factors:
            self.factors[horizon] = [
                HankelFactor.from_experiments(block, past=horizon, future=horizon)
                for block in self.blocks
            ]
        others = [k for k in range(FOLDS) if k != fold]
        factor = self.factors[horizon][others[0]]
        for k in others[1:]:
            factor = factor.merge(self.factors[horizon][k])
        blocks = FactorBlocks.from_factor(factor, remove_means=self.remove_means)
        for order, model, offset in self.estimate(method, blocks, self.rest[fold], new):
            self._score((method, horizon, order, False), fold, model, offset)

    def refine(self, trial: Trial, refine: Refine) -> None:
        """Refine the models of a trial without each block in turn, and score them on it."""
        key = (trial.method, trial.horizon, trial.order)
        for fold in range(FOLDS):
            model, offset = self.models[*key, False][fold]
            found = refine(unrefined(model, offset), self.rest[fold])
            if found is None:
                return
            assert isinstance(found.model, InnovationSSM)
            self._score((*key, True), fold, found.model, found.offset[0])

    def _score(self, key: Key, fold: int, model: InnovationSSM, offset: np.ndarray | float) -> None:
        """Keep a model and its errors on a block, if no better one of its kind is known."""
        error = _squared_errors(model, self.blocks[fold], offset, self.horizon_scored)
        known = self.errors.setdefault(key, {})
        if fold not in known or error.sum() < known[fold].sum():
            known[fold] = error
            self.models.setdefault(key, {})[fold] = model, offset

    def trials(self, folds: Sequence[int]) -> list[Trial]:
        """Return the configurations scored on all of these folds, best first."""
        spread = sum(np.sum((y - y.mean(0)) ** 2, axis=0) for k in folds for y in self.blocks[k].y)
        spread = np.where(np.asarray(spread) > 0, spread, 1.0)
        found = []
        for (method, horizon, order, refined), errors in self.errors.items():
            if all(k in errors for k in folds):
                ratio = np.sqrt(np.add.reduce([errors[k].sum(axis=0) for k in folds]) / spread)
                fit = float(100 * (1 - ratio.mean()))
                found.append(Trial(method, horizon, order, fit, refined))
        return sorted(found, key=lambda t: (-t.fit, t.order, t.horizon, t.method, t.refined))

    def ranked(self) -> list[Trial]:
        """Return the trials on all folds: the choice first, the others by their fit."""
        trials = self.trials(range(FOLDS))
        equals = [trial for trial in trials if self.no_worse(trial, trials[0])]
        chosen = min(equals, key=lambda trial: trial.order, default=None)
        return sorted(trials, key=lambda trial: trial is not chosen)

    def no_worse(self, trial: Trial, best: Trial) -> bool:
        """Tell whether a trial's error differs from the best one's by what chance explains.

        Its standard error is that of the difference over the parts of the held-out blocks; on a
        short record that is wide, so a loss of more than 10 % is never put down to chance.
        """
        errors = [
            np.vstack(
                [self.errors[t.method, t.horizon, t.order, t.refined][k] for k in range(FOLDS)]
            )
            for t in (trial, best)
        ]
        if not np.isfinite(errors[0]).all():
            return False
        scale = np.where(self.spread > 0, self.spread, 1.0)
        difference = ((errors[0] - errors[1]) / scale).sum(axis=1)
        spread = np.std(difference, ddof=1) * np.sqrt(difference.size)
        limit = min(self.standard_errors * spread, NEVER_CHANCE * (errors[1] / scale).sum())
        return difference.sum() <= limit + np.finfo(float).eps


def search(
    data: Experiments,
    estimate: Estimate,
    refine: Refine | None,
    *,
    methods: Sequence[str],
    horizon: int | None,
    order: int | None,
    focus: str,
    remove_means: bool,
    progress: bool,
) -> tuple[Trial, ...]:
    """Return the configurations tried on every fold, best first; empty for too short a record.

    Parameters
    ----------
    data : Experiments
        The estimation record, around its operating point.
    estimate : callable
        ``estimate(method, blocks, data, orders)`` yields (order, model, output offset).
    refine : callable or None
        ``refine(start, data)`` returns a refined result, or None; None refines nothing.
    methods : sequence of str
        Methods to compare.
    horizon : int or None
        A given horizon; None searches.
    order : int or None
        A given order; None searches.
    focus : str
        "prediction" or "simulation".
    remove_means : bool
        Project the constant out of the factors.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tuple of Trial
        The chosen one first, the others by their fit. Chosen is the smallest order whose error is
        within two standard errors (one in simulation) of the smallest, and within 10 % of it.
    """
    folds = _Folds(data, estimate, focus, remove_means)
    horizons = [s for s in ([horizon] if horizon else HORIZONS) if folds.allows(s)]
    if not horizons:
        return ()
    coarse = [s for s in horizons if s in COARSE_HORIZONS] or horizons[:1]
    total = len(methods) * len(coarse) + FINALISTS * FOLDS
    with Progress(total, "subspace_id", "trial", show=progress) as bar:
        for s in coarse:
            for method in methods:
                orders = [order] if order is not None else _possible(data, s, COARSE_ORDERS)
                folds.run(method, s, orders, FOLDS - 1)
                bar.update()
        finalists: list[tuple[str, int]] = []
        for trial in folds.trials([FOLDS - 1]):
            if (trial.method, trial.horizon) not in finalists:
                finalists.append((trial.method, trial.horizon))
        finalists = finalists[: FINALISTS if order is None else len(methods)]
        for method, s in finalists:
            _on_every_fold(folds, data, method, [s], ORDERS if order is None else (order,))
            bar.update(FOLDS)
        if horizon is None and finalists:
            # the horizons between, for the best method and the orders near its best
            best = folds.trials(range(FOLDS))[:1]
            for trial in best:
                near = [n for n in ORDERS if 0.6 * trial.order <= n <= 1.7 * trial.order]
                others = [s for s in horizons if s != trial.horizon]
                _on_every_fold(
                    folds, data, trial.method, others, near if order is None else [order]
                )
        ranked = folds.ranked()
        if refine is not None and ranked:
            for trial in {ranked[0], max(ranked, key=lambda trial: trial.fit)}:
                folds.refine(trial, refine)
            ranked = folds.ranked()
    return tuple(ranked)


def _squared_errors(
    model: InnovationSSM, data: Experiments, offset: np.ndarray | float, horizon: float
) -> np.ndarray:
    """Return the squared errors (PARTS, p), summed over each part of the runs; inf if unstable."""
    F = model.A if np.isinf(horizon) else model.A - model.K @ model.C
    if growth(F, data) > MAX_GROWTH:
        return np.full((PARTS, data.n_outputs), np.inf)
    total = np.zeros((PARTS, data.n_outputs))
    with np.errstate(over="ignore", invalid="ignore"):  # eigenvalues can be wrong by any amount
        for y, u in zip(data.y, data.u, strict=True):
            error = y - offset - fitted_output(model, y - offset, u, horizon)[0]
            total += [np.sum(part**2, axis=0) for part in np.array_split(error, PARTS)]
    return np.where(np.isnan(total), np.inf, total)


def _on_every_fold(
    folds: _Folds, data: Experiments, method: str, horizons: Sequence[int], orders: Sequence[int]
) -> None:
    """Score a method at several horizons and orders on every fold."""
    for s in horizons:
        for fold in range(FOLDS):
            folds.run(method, s, _possible(data, s, orders), fold)


def _possible(data: Experiments, horizon: int, orders: Sequence[int]) -> list[int]:
    """Return the orders that a horizon allows."""
    limit = min(data.n_outputs * (horizon - 1), horizon * (data.n_outputs + data.n_inputs))
    return [n for n in orders if n <= limit]
