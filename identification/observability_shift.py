"""The state equation behind an observability matrix: A from its shift, C its first rows."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .order import OrderTable, largest_order, order_table
from .preparation import require_rank
from .projections import FactorBlocks, Weight, WeightedSubspace, weighted_subspace

__all__ = ["shifted", "state_equation", "table_of_orders"]


def state_equation(
    blocks: FactorBlocks,
    weight: Weight | Literal["pc"],
    order: int | Literal["auto"],
    criterion: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, OrderTable, np.ndarray]:
    """Return A, C, the observability matrix behind them, the order table, the singular values."""
    subspace = weighted_subspace(blocks, weight)
    table = table_of_orders(blocks, subspace.singular_values, order, criterion)
    A, C, gamma = shifted(blocks, subspace, table.chosen)
    return A, C, gamma, table, subspace.singular_values


def table_of_orders(
    blocks: FactorBlocks, values: np.ndarray, order: int | Literal["auto"], criterion: str
) -> OrderTable:
    """Return the order table of a method with these singular values."""
    return order_table(
        blocks,
        values,
        max_order=max(largest_order(blocks), 0 if order == "auto" else order),
        criterion="svc" if criterion == "cv" else criterion,  # "cv" on too short a record
        order=None if order == "auto" else order,
    )


def shifted(
    blocks: FactorBlocks, subspace: WeightedSubspace, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A from the shift of the observability matrix, C its first rows, and the matrix."""
    p = blocks.n_outputs
    gamma = subspace.gamma[:, :order]
    require_rank(order, gamma.shape[1])
    return np.linalg.lstsq(gamma[:-p], gamma[p:], rcond=None)[0], gamma[:p], gamma
