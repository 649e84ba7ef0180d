"""A page that tells what was identified, from what, how well, and why this and not another.

The first part of the record makes the model, the second judges it; both are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from realization import BilinearSSM, UnstableModelError
from realization.internal import counted, stability_margin

from .data import Experiments
from .page import Page
from .plotting import plot_compare, plot_order, plot_residuals
from .residuals import ResidualTests, residual_tests
from .response_figures import plot_bode, plot_poles
from .result import IdentificationResult
from .validation import compare, horizon_name

__all__ = ["fits_by_horizon", "write_report"]

HORIZONS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, np.inf)
SHOWN_SAMPLES = 2000  # more of them in a figure are ink


def write_report(
    path: Path,
    result: IdentificationResult,
    first: Experiments,
    second: Experiments,
    *,
    source: str,
    progress: Any = None,
) -> None:
    """Write the page of a result, identified from `first`, judged on `second`.

    `source` is what the record is called; `progress` is called with the name of each step.
    """
    tell = progress or (lambda step: None)
    channels = f"{', '.join(first.input_names) or 'no inputs'} → {', '.join(first.output_names)}"
    counts = [sum(len(run) for run in part.y) for part in (first, second)]
    page = Page(
        f"A model of {source}",
        f"{channels}. {counted(counts[0], 'sample')} made the model, {counts[1]} later ones, which "
        f"it has not seen, judge it; sample time {first.dt:g}.",
    )
    tell("residual tests")
    tests = _tests(result, second)
    tell("fits by horizon")
    parts = {"validation": second, "estimation": first}
    fits = {name: fits_by_horizon(result, part) for name, part in parts.items()}
    main = np.inf if result.n_inputs else 5.0

    page.verdicts(_verdicts(result, tests, fits, main))
    if result.warnings:
        page.paragraph("To be known:")
        page.bullets(result.warnings)
    tell("figures")
    _fit_section(page, result, second, fits, main)
    _residual_section(page, tests)
    _model_section(page, result)
    page.heading("Why this model")
    page.text(result.summary())
    if result.order_table is not None:
        figure = _figure(11.0, 3.4)
        plot_order(result, fig=figure)
        caption = "What speaks for each order. The dashed line is the order that was chosen."
        page.figures((figure, caption), wide=True)
    page.write(path)


def fits_by_horizon(
    result: IdentificationResult, data: Experiments
) -> dict[float, np.ndarray | None]:
    """Return the fit of each output by steps ahead; None where an unstable model has none."""
    shortest = min(len(run) for run in data.y)
    fits: dict[float, np.ndarray | None] = {}
    for horizon in HORIZONS:
        if np.isfinite(horizon) and horizon >= shortest:
            continue
        try:
            compared = compare(result, data, horizon=horizon if horizon == np.inf else int(horizon))
            fits[horizon] = compared.fits[0]
        except UnstableModelError:
            fits[horizon] = None
    return fits


def _tests(result: IdentificationResult, data: Experiments) -> ResidualTests | str:
    """Return the residual tests, or why there are none."""
    shortest = min(len(run) for run in data.y)
    if shortest < 3:
        return f"no residual tests: a run has {counted(shortest, 'sample')}"
    try:
        return residual_tests(result, data, lags=min(25, shortest - 1))
    except UnstableModelError as error:
        return f"no residual tests: {error}"


def _verdicts(
    result: IdentificationResult,
    tests: ResidualTests | str,
    fits: dict[str, dict[float, np.ndarray | None]],
    main: float,
) -> list[tuple[bool, str]]:
    """Return what a reader in a hurry wants to know."""
    size = f"Order {result.n_states}, by {result.method}"
    margin = stability_margin(result.model.A, result.dt)
    lines = [(margin > 0, f"{size}: {'stable' if margin > 0 else 'UNSTABLE'}.")]
    for horizon in dict.fromkeys((main, 1.0)):
        name = horizon_name(horizon)
        new, old = (fits[part].get(horizon) for part in ("validation", "estimation"))
        if new is None:
            lines.append((False, f"The {name} is unstable, it has no fit."))
        else:
            known = "" if old is None else f" ({_percent(old)} on the samples that made it)"
            lines.append((float(np.min(new)) > 0, f"Fit, {name}: {_percent(new)}{known}."))
    if isinstance(tests, str):
        return [*lines, (False, tests[0].upper() + tests[1:])]
    white = f"(Ljung-Box p-value {tests.ljung_box_p_value:.2g})"
    lines.append(
        (True, f"The prediction errors on new data are unpredictable {white}.")
        if tests.whiteness_ok
        else (False, f"The prediction errors on new data can be predicted from each other {white}.")
    )
    if result.n_inputs:
        free = "do not depend" if tests.independence_ok else "DEPEND"
        lines.append((tests.independence_ok, f"They {free} on past inputs."))
    return lines


def _fit_section(
    page: Page,
    result: IdentificationResult,
    data: Experiments,
    fits: dict[str, dict[float, np.ndarray | None]],
    main: float,
) -> None:
    """Add the table of fits, their figure, and measured against predicted outputs."""
    page.heading("How well it predicts")
    page.paragraph(
        "Fit is 100 (1 − |error| / |output − its mean|) per output: 100 is perfect, 0 as good as "
        "the mean. Simulation uses the inputs alone; k steps ahead also the outputs up to k steps "
        "before."
    )
    names = data.output_names
    prefixes = [""] if len(names) == 1 else [f"{name}, " for name in names]
    header = ["horizon", *(f"{prefix}{part}" for prefix in prefixes for part in fits)]
    horizons = list(fits["validation"])
    rows = []
    for horizon in horizons:
        cells = [fits[part].get(horizon) for part in fits]
        texts = [_cell(cell, k) for k in range(len(names)) for cell in cells]
        rows.append([horizon_name(horizon), *texts])
    page.table(header, rows)
    shown = _first_samples(data)
    for horizon in dict.fromkeys((main, 1.0)):
        if (fit := fits["validation"].get(horizon)) is None:
            continue
        steps = horizon if np.isinf(horizon) else int(horizon)
        comparison = compare({"model": result}, shown, horizon=steps)
        figure = _figure(9.0, 1.2 + 1.9 * data.n_outputs)
        plot_compare(replace(comparison, fits=fit[None]), fig=figure)  # of the whole record
        cut = f" Shown: the first {SHOWN_SAMPLES} samples." if shown is not data else ""
        caption = f"{horizon_name(horizon).capitalize()} of data not seen.{cut}"
        page.figures((figure, caption), wide=True)


def _residual_section(page: Page, tests: ResidualTests | str) -> None:
    """Add the correlations of the prediction errors."""
    page.heading("What is left in the errors")
    if isinstance(tests, str):
        page.paragraph(tests)
        return
    page.text(str(tests))
    p, m = tests.cross_correlation.shape[1:]
    figure = _figure(max(2.4 + 2.1 * (p + m), 6.4), 1.3 + 1.6 * p)
    plot_residuals(tests, fig=figure)
    page.figures(
        (
            figure,
            "One-step prediction errors on data not seen: their correlation with each other and "
            "with the inputs. A perfect model stays inside the bands.",
        ),
        wide=p + m > 1,
    )


def _model_section(page: Page, result: IdentificationResult) -> None:
    """Add poles and frequency responses."""
    page.heading("The model")
    models = {"model": result}
    poles = _figure(4.6, 4.4)
    plot_poles(models, ax=poles.subplots())
    figures = [(poles, "Poles; inside the circle is stable.")]
    several = max(result.n_inputs, result.n_outputs) > 1
    if result.n_inputs and not isinstance(result.model, BilinearSSM):
        bode = _figure(1.2 + 3.6 * result.n_inputs, 4.4 * result.n_outputs)
        plot_bode(models, fig=bode)
        figures.append((bode, "Frequency responses from each input to each output."))
    for row in [[figure] for figure in figures] if several else [figures]:
        page.figures(*row, wide=several)


def _first_samples(data: Experiments) -> Experiments:
    """Return the data, each run cut to what a figure can show."""
    if all(len(run) <= SHOWN_SAMPLES for run in data.y):
        return data
    y, u = (tuple(run[:SHOWN_SAMPLES] for run in runs) for runs in (data.y, data.u))
    return replace(data, y=y, u=u)


def _percent(fits: Sequence[float] | np.ndarray) -> str:
    """Return fits in words, one per output."""
    return ", ".join(f"{fit:.1f} %" for fit in fits)


def _cell(fits: np.ndarray | None, output: int) -> str:
    """Return a cell of the table of fits."""
    return "unstable" if fits is None else f"{fits[output]:.1f} %"


def _figure(width: float, height: float) -> Any:
    """Return a figure that needs no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
