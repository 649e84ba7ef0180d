r"""Order selection: every criterion for every order, from one factorization.

With canonical correlations :math:`\sigma_i` of past and future (future inputs projected out), N
columns, and :math:`d(n) = 2np + m(n + p)` parameters:

=========  ==================================================================================
criterion  chosen order
=========  ==================================================================================
``svc``    minimum of :math:`\sigma_{n+1}^2 + d(n) \log N / N` (Bauer 2001)
``nic``    minimum of :math:`\sum_{i > n} \sigma_i^2 + d(n) \log N / N` (Peternell 1995, Bauer 2001)
``aic``    minimum of :math:`N \log\det R_e(n) + 2 d(n)` (Akaike 1974)
``bic``    minimum of :math:`N \log\det R_e(n) + d(n) \log N` (Schwarz 1978)
``gap``    largest ratio of consecutive singular values of the method
=========  ==================================================================================

:math:`R_e(n)` is the residual covariance of the present output given the n leading canonical
variates of the past and the future inputs. With horizons far longer than the order, ``nic`` keeps
too many states: the sum of all that chance alone correlates falls faster than its penalty rises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from realization.internal import as_choice

from .hankel_factor import HankelFactor
from .projections import ROUNDING, WEIGHTS, FactorBlocks, Weight, weighted_subspace

__all__ = ["OrderTable", "order_table", "select_order"]

CRITERIA = ("svc", "nic", "aic", "bic", "gap")
LEGEND = (
    "each order: what it leaves out, five criteria; "
    "* is the best (least svc, nic, aic, bic; most gap)"
)
SHOWN_AS_ZERO = 1e-12  # of a criterion: logarithms of numbers near 1, to rounding


@dataclass(frozen=True, slots=True, eq=False)
class OrderTable:
    """Criteria for the orders 0, 1, ..., one array each.

    Parameters
    ----------
    orders : (k,) ndarray
        The orders compared.
    singular_values : (k,) ndarray
        Singular value number n + 1 of the method: what order n leaves out.
    canonical_correlations : (k,) ndarray
        Canonical correlation number n + 1 of past and future.
    svc : (k,) ndarray
        Singular value criterion.
    nic : (k,) ndarray
        The same with the sum of all that is left out.
    aic : (k,) ndarray
        Akaike's criterion per sample.
    bic : (k,) ndarray
        Schwarz's criterion per sample.
    gap : (k,) ndarray
        Ratio of singular values n and n + 1; nan for order 0.
    criterion : str
        The one that chose.
    chosen : int
        The order it chose.
    """

    orders: np.ndarray
    singular_values: np.ndarray
    canonical_correlations: np.ndarray
    svc: np.ndarray
    nic: np.ndarray
    aic: np.ndarray
    bic: np.ndarray
    gap: np.ndarray
    criterion: str
    chosen: int

    def __repr__(self) -> str:
        how = "given" if self.criterion == "given" else f"chosen by {self.criterion}"
        return f"OrderTable(orders 0 to {self.orders[-1]}, {self.chosen} {how})"

    def best(self, criterion: str) -> int:
        """Return the order that a criterion chooses.

        Parameters
        ----------
        criterion : str
            "svc", "nic", "aic", "bic" or "gap".

        Returns
        -------
        int
            The order.

        Raises
        ------
        ValueError
            If the criterion is unknown.
        """
        values = getattr(self, as_choice("criterion", criterion, CRITERIA))
        if criterion == "gap":
            return int(self.orders[1:][np.argmax(values[1:])]) if self.orders.size > 1 else 0
        return int(self.orders[np.argmin(values)])

    def __str__(self) -> str:
        """Return the table as text, the choice of each criterion marked with a star."""
        best = {name: self.best(name) for name in CRITERIA}
        lines = [
            LEGEND,
            "order  sing.value  can.corr " + "".join(f"{name:>12}" for name in CRITERIA),
        ]
        for k, order in enumerate(self.orders):
            cells = "".join(
                f"{_cell(getattr(self, name)[k]):>11}{'*' if best[name] == order else ' '}"
                for name in CRITERIA
            )
            arrow = "  <- taken" if order == self.chosen else ""
            lines.append(
                f"{order:>5}  {self.singular_values[k]:>10.4g}  "
                f"{self.canonical_correlations[k]:>8.4f} {cells}{arrow}".rstrip()
            )
        return "\n".join(lines)


def _cell(value: float) -> str:
    """Return the value of a criterion as text: nothing where there is none, rounding as 0."""
    if np.isnan(value):
        return "-"
    return f"{0.0 if abs(value) < SHOWN_AS_ZERO else value:.4g}"


def order_table(
    blocks: FactorBlocks,
    singular_values: np.ndarray,
    *,
    max_order: int,
    criterion: str,
    order: int | None,
) -> OrderTable:
    """Compute every criterion for the orders 0 .. max_order.

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    singular_values : (r,) ndarray
        Those of the method, for the gap.
    max_order : int
        Largest order compared.
    criterion : str
        The criterion that chooses.
    order : int or None
        A given order; None lets the criterion choose.

    Returns
    -------
    OrderTable
        The table.
    """
    m, p, N = blocks.n_inputs, blocks.n_outputs, blocks.n_columns
    f, w = blocks.n_future_inputs, blocks.split
    orders = np.arange(max_order + 1)
    parameters = 2 * orders * p + m * (orders + p)
    variates = weighted_subspace(blocks, "cva")
    sigma = np.clip(variates.singular_values, 0.0, 1.0)
    left_out = np.zeros(max_order + 1)
    left_out[: sigma.size] = sigma[: max_order + 1]
    tails = np.array([np.sum(sigma[n:] ** 2) for n in orders])
    penalty = parameters * np.log(N) / N
    # present outputs: the part explained by the variates, and the part the past does not reach
    on_past = blocks.Yf[:p, f:w] @ variates.right.T
    total = blocks.Yf[:p, f:] @ blocks.Yf[:p, f:].T
    rounding = ROUNDING * blocks.rows.shape[0]
    floor = max(rounding**2 * np.trace(total) / N, np.finfo(float).tiny)
    log_det = np.empty(max_order + 1)
    for n in orders:
        covariance = (total - on_past[:, :n] @ on_past[:, :n].T) / N
        log_det[n] = np.sum(np.log(np.maximum(np.linalg.eigvalsh(covariance), floor)))
    gap = np.full(max_order + 1, np.nan)
    padded = np.concatenate([singular_values, np.zeros(max_order + 2)])
    with np.errstate(divide="ignore", invalid="ignore"):
        gap[1:] = padded[:max_order] / padded[1 : max_order + 1]
    gap[np.isnan(gap) & (orders > 0)] = 1.0
    table = OrderTable(
        orders,
        padded[: max_order + 1],
        left_out,
        left_out**2 + penalty,
        tails + penalty,
        log_det + 2 * parameters / N,
        log_det + penalty,
        gap,
        criterion if order is None else "given",
        0,
    )
    return replace(table, chosen=table.best(criterion) if order is None else order)


def select_order(factor: HankelFactor, criterion: str = "svc", *, weight: Weight = "cva") -> int:
    """Choose the order of a model from the sufficient statistic alone.

    Parameters
    ----------
    factor : HankelFactor
        The data.
    criterion : str, default "svc"
        "svc", "nic", "aic", "bic" or "gap".
    weight : str, default "cva"
        Weighting whose singular values the gap looks at.

    Returns
    -------
    int
        The order.

    Raises
    ------
    ValueError
        If the criterion or the weighting is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import HankelFactor, select_order
    >>> from realization import LinearSSM, simulate
    >>> plant = LinearSSM([[0.8, 0.2], [-0.2, 0.8]], [[1.0], [0.5]], [[1.0, 0.0]], [[0.1]])
    >>> u, noise = np.random.default_rng(0).standard_normal((2, 1000, 1))
    >>> y = simulate(plant, u).y + 0.1 * noise
    >>> select_order(HankelFactor(1, 1, past=10, future=10).update(y, u))
    2
    """
    as_choice("criterion", criterion, CRITERIA)
    as_choice("weight", weight, WEIGHTS)
    blocks = FactorBlocks.from_factor(factor, remove_means=True)
    values = weighted_subspace(blocks, weight).singular_values
    limit = largest_order(blocks)
    return order_table(blocks, values, max_order=limit, criterion=criterion, order=None).chosen


def largest_order(blocks: FactorBlocks) -> int:
    """Return the largest order that the horizons allow, at most 30."""
    rows = blocks.n_outputs * (blocks.future - 1)
    columns = blocks.past * (blocks.n_outputs + blocks.n_inputs)
    return min(rows, columns, 30)
