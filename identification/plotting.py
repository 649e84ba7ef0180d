"""Figures of an identification: what speaks for an order, comparison, residuals.

They take ``fig=`` (a Figure or SubFigure to fill) and return an array of Axes. matplotlib is
imported when a figure is drawn. Figures of the models themselves are in ``response_figures``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from realization.internal import as_instance

from .order import CRITERIA, OrderTable
from .residuals import ResidualTests
from .result import IdentificationResult
from .validation import Comparison, horizon_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["new_figure", "plot_compare", "plot_order", "plot_residuals"]

INK, GUIDE, BAD = "0.25", "0.6", "tab:red"


def plot_order(result: IdentificationResult | OrderTable, *, fig: Any = None) -> np.ndarray:
    """Plot what speaks for each order: singular values, canonical correlations, criteria.

    Parameters
    ----------
    result : IdentificationResult or OrderTable
        A result with an order table, or the table.
    fig : Figure or SubFigure, optional
        Where to draw; default a new figure.

    Returns
    -------
    (3,) ndarray of Axes
        Singular values (those that the chosen order keeps are filled), canonical correlations,
        and the criteria with the choice of each marked. The criteria have different units: shown
        is the square root of each one's distance from its best value, relative to its range.

    Raises
    ------
    TypeError
        If `result` is neither.
    ValueError
        If the result has no order table.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from identification import plot_order, subspace_id
    >>> y = np.random.default_rng(0).standard_normal(200).cumsum()
    >>> axes = plot_order(subspace_id(np.diff(y), order=1))
    >>> len(axes)
    3
    """
    as_instance("result", result, (IdentificationResult, OrderTable))
    table = result.order_table if isinstance(result, IdentificationResult) else result
    if table is None:
        raise ValueError(
            "this result has no order table: its method compares no orders. Pass a result of "
            "subspace_id."
        )
    fig = new_figure(fig, (11.0, 3.4))
    axes = fig.subplots(1, 3)
    numbers, kept = table.orders + 1, table.orders < table.chosen
    for ax, values, title in (
        (axes[0], table.singular_values, "singular values"),
        (axes[1], table.canonical_correlations, "canonical correlations"),
    ):
        ax.vlines(numbers, 0, values, color=GUIDE, lw=1)
        ax.plot(numbers[kept], values[kept], "o", color="C0", ms=5, label="kept")
        ax.plot(numbers[~kept], values[~kept], "o", color="C0", mfc="white", ms=5, label="left out")
        ax.axvline(table.chosen + 0.5, color=INK, lw=1, ls="--")
        ax.set(title=title, xlabel="number")
        ax.locator_params(axis="x", integer=True)
    positive = table.singular_values[table.singular_values > 0]
    if positive.size:
        axes[0].set_yscale("log")
        axes[0].set_ylim(positive.min() / 2, positive.max() * 2)
    axes[1].set_ylim(0, 1.05)
    axes[0].legend(loc="upper right")
    _plot_criteria(axes[2], table)
    return axes


def _plot_criteria(ax: Axes, table: OrderTable) -> None:
    """Draw every criterion from its best value (0) to its worst (1), the best marked."""
    for number, name in enumerate(CRITERIA):
        values = np.array(getattr(table, name))
        if name == "gap":  # a ratio, and the largest is the best
            with np.errstate(divide="ignore"):
                values = -np.log(values)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            continue
        low, high = finite.min(), finite.max()
        scaled = np.sqrt((values - low).clip(min=0.0) / (high - low if high > low else 1.0))
        best = table.best(name)
        ax.plot(table.orders, scaled, "-", color=f"C{number}", lw=1.2)
        ax.plot(best, 0.0, "o", color=f"C{number}", ms=11 - 2 * number, label=f"{name}: {best}")
    ax.axvline(table.chosen, color=INK, lw=1, ls="--", label=f"order {table.chosen}")
    ax.set(title="criteria, scaled", xlabel="order")
    ax.set_yticks([0, 1], ["best", "worst"])
    ax.locator_params(axis="x", integer=True)
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def plot_compare(comparison: Comparison, *, fig: Any = None) -> np.ndarray:
    """Plot measured outputs against those of the models, with the fits in the legend.

    Parameters
    ----------
    comparison : Comparison
        What ``compare`` returns.
    fig : Figure or SubFigure, optional
        Where to draw; default a new figure.

    Returns
    -------
    (p, k) ndarray of Axes
        One row per output, one column per experiment. The fit of an output is that of all
        experiments together.

    Raises
    ------
    TypeError
        If `comparison` is not a Comparison.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from identification import compare, plot_compare
    >>> from realization import LinearSSM, simulate
    >>> model = LinearSSM([[0.8]], [[1.0]], [[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(100)
    >>> axes = plot_compare(compare({"model": model}, simulate(model, u).y, u))
    >>> axes.shape
    (1, 1)
    """
    as_instance("comparison", comparison, (Comparison,))
    data = comparison.data
    p, k = data.n_outputs, len(data)
    fig = new_figure(fig, (min(7.0 + 2.5 * (k - 1), 16.0) + 2.0, 1.2 + 1.9 * p))
    lengths = [max(run.shape[0], 2) for run in data.y]
    widths = np.maximum(lengths, 0.2 * max(lengths))
    axes = fig.subplots(p, k, squeeze=False, sharex="col", sharey="row", width_ratios=widths)
    # an earlier model shows behind a later one
    thickness = 1 + 0.8 * np.minimum(np.arange(len(comparison.names))[::-1], 3)
    for row in range(p):
        for column, run in enumerate(data.y):
            ax, time = axes[row, column], np.arange(run.shape[0]) * data.dt
            ax.plot(time, run[:, row], color=INK, lw=1.2, alpha=0.6, label="measured")
            for name, fit, outputs, lw in zip(
                comparison.names, comparison.fits, comparison.y_hat, thickness, strict=True
            ):
                label = f"{name}: {fit[row]:.1f} %"
                ax.plot(time, outputs[column][:, row], lw=lw, label=label)
            ax.margins(x=0.01)
            if row == 0 and k > 1:
                ax.set_title(f"experiment {column}", fontsize="medium")
            if row == p - 1:
                ax.set_xlabel(f"time (dt = {data.dt:g})")
        axes[row, 0].set_ylabel(data.output_names[row])
        axes[row, -1].legend(
            title=f"{horizon_name(comparison.horizon)}, fit",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize="small",
            title_fontsize="small",
            alignment="left",
            frameon=False,
        )
    return axes


def plot_residuals(tests: ResidualTests, *, fig: Any = None) -> np.ndarray:
    """Plot the correlations of the residuals with themselves and with the inputs.

    Parameters
    ----------
    tests : ResidualTests
        What ``residual_tests`` returns.
    fig : Figure or SubFigure, optional
        Where to draw; default a new figure.

    Returns
    -------
    (p, p + m) ndarray of Axes
        Row i: correlation of residual i, `lag` samples later, with every residual (lags from 1)
        and with every input. The band holds all correlations of a perfect model at once with the
        probability of the test; what leaves it is red. Correlation with later inputs (negative
        lags) is a sign of feedback, not of a bad model, and has no band.

    Raises
    ------
    TypeError
        If `tests` is not a ResidualTests.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from identification import plot_residuals, residual_tests
    >>> from realization import InnovationSSM, simulate
    >>> model = InnovationSSM([[0.8]], [[1.0]], [[0.5]], [[1.0]])
    >>> y = simulate(model, steps=500, noise=True, rng=0).y
    >>> axes = plot_residuals(residual_tests(model, y))
    >>> axes.shape
    (1, 1)
    """
    as_instance("tests", tests, (ResidualTests,))
    p, m = tests.cross_correlation.shape[1:]
    lags = tests.autocorrelation.shape[0] - 1
    fig = new_figure(fig, (max(2.4 + 2.1 * (p + m), 6.4), 1.3 + 1.6 * p))
    axes = fig.subplots(p, p + m, squeeze=False, sharex="col", sharey=True)
    forward, both = np.arange(1, lags + 1), np.arange(-lags, lags + 1)
    for i in range(p):
        for j in range(p):
            band = tests.autocorrelation_band
            _plot_correlation(axes[i, j], forward, tests.autocorrelation[1:, i, j], band)
        for j in range(m):
            band = tests.cross_correlation_band[i, j]
            _plot_correlation(axes[i, p + j], both, tests.cross_correlation[:, i, j], band)
        axes[i, 0].set_ylabel(f"residual of {tests.output_names[i]}")
    for j, name in enumerate((*tests.output_names, *tests.input_names)):
        axes[0, j].set_title(f"with {'residual of' if j < p else 'input'} {name}", fontsize="small")
        axes[-1, j].set_xlabel("lag")
    bands = [tests.autocorrelation_band, *tests.cross_correlation_band.ravel()]
    largest = np.abs(tests.autocorrelation[1:]).max()
    largest = max(largest, np.abs(tests.cross_correlation).max(initial=0.0))
    height = 1.15 * max(largest, 2 * max(bands))
    axes[0, 0].set_ylim(-height, height)
    white, free = ("pass" if ok else "FAIL" for ok in (tests.whiteness_ok, tests.independence_ok))
    verdict = f"residuals white: {white} (p-value {tests.ljung_box_p_value:.2g})"
    if m:
        verdict += f";  independent of past inputs: {free}"
    fig.suptitle(verdict, fontsize="medium", color=INK if tests.ok else BAD)
    return axes


def _plot_correlation(ax: Axes, lags: np.ndarray, values: np.ndarray, band: float) -> None:
    """Draw correlations as stems; those at tested lags (all but negative ones) over their band."""
    tested = lags >= 0
    outside = tested & (np.abs(values) > band)
    ax.axhline(0, color=INK, lw=0.8)
    ax.fill_between([max(lags[0], 0), lags[-1]], -band, band, color="C0", alpha=0.18, lw=0)
    for chosen, color in ((~tested, GUIDE), (tested & ~outside, "C0"), (outside, BAD)):
        ax.vlines(lags[chosen], 0, values[chosen], color=color, lw=1)
        ax.plot(lags[chosen], values[chosen], ".", color=color, ms=4)


def new_figure(fig: Any, size: tuple[float, float]) -> Any:
    """Return the figure to draw in: the given one, or a new one of this size."""
    if fig is not None:
        from matplotlib.figure import Figure, SubFigure

        return as_instance("fig", fig, (Figure, SubFigure))
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size, layout="constrained")
