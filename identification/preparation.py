"""Before the algorithm: checked records around their operating point, horizons that fit them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from realization.internal import as_instance, as_integer, counted, outputs_and_inputs

from .data import Experiments
from .hankel_factor import HankelFactor
from .projections import FactorBlocks

__all__ = [
    "OrderError",
    "checked_data",
    "deviations",
    "horizons",
    "prepared",
    "require_order",
    "require_rank",
]


class OrderError(ValueError):
    """The data do not carry a model of this order."""


def checked_data(
    y: Any, u: Any, factor: HankelFactor | None, dt: float, bd: str
) -> Experiments | None:
    """Return the checked records, None when only a factor is given."""
    if factor is not None:
        as_instance("factor", factor, (HankelFactor,))
        channels = factor.n_outputs + factor.n_inputs
        needed = (factor.past + factor.future) * channels
        if factor.n_columns < needed:
            raise ValueError(
                f"the factor holds {counted(factor.n_columns, 'start time')}; past = "
                f"{factor.past} and future = {factor.future} with {counted(channels, 'channel')} "
                f"need {needed}. Update it with more data."
            )
    if y is not None:
        data = Experiments.from_data(y, u, dt=dt)
        if factor is not None:
            have = (factor.n_outputs, factor.n_inputs)
            if have != (data.n_outputs, data.n_inputs):
                raise ValueError(
                    f"`factor` has {outputs_and_inputs(*have)}; the data have "
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


def prepared(
    raw: Experiments | None, delay: int, factor: HankelFactor | None, remove_offset: bool
) -> tuple[Experiments | None, np.ndarray, np.ndarray]:
    """Return the records with inputs delayed and offsets subtracted, and the offsets."""
    if delay and factor is not None:
        raise ValueError("`delay` shifts the inputs before the factor is made; got both.")
    if raw is None:
        assert factor is not None
        if not remove_offset:
            return None, np.zeros(factor.n_outputs), np.zeros(factor.n_inputs)
        return None, *factor.means()
    if delay and raw.n_inputs == 0:
        raise ValueError("`delay` is the dead time of inputs; the data have none.")
    if delay >= (shortest := min(run.shape[0] for run in raw.y)):
        run = counted(shortest, "sample")
        raise ValueError(f"`delay` = {delay} leaves nothing of a run of {run}.")
    return deviations(raw, remove_offset, delay)


def deviations(
    raw: Experiments, remove_offset: bool, delay: int = 0
) -> tuple[Experiments, np.ndarray, np.ndarray]:
    """Return the records with inputs delayed and (if asked) means subtracted, and the means."""
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
            f"too few samples: past = {past} and future = {future} with "
            f"{counted(channels, 'channel')} need {samples} samples in one run; got {T} in "
            f"{counted(len(data), 'experiment')} ({usable} of the {needed} equations that are "
            "needed). Take shorter horizons or more data."
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


def require_rank(order: int, rank: int) -> None:
    """Raise if the data have too small a rank for the order."""
    if rank < order:
        raise OrderError(
            f"`order` = {order} cannot be had: what the past tells of the future has rank {rank}. "
            "Take a smaller order."
        )
