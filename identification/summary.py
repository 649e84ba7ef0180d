"""A result in words, in one order for every method, as its sections.

What it is, from which data and how it was found; the orders around the one taken; the poles; how
good it is on its own record. Each function returns the lines of a section, or the text of one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from realization import BilinearSSM, InnovationSSM
from realization.internal import counted, stability_margin

from .order import OrderTable

__all__ = ["fact", "fit_lines", "how_lines", "listed", "named", "order_lines", "pole_lines"]

METHODS = {
    "n4sid": "oblique projection of the future on the past",
    "moesp": "what the past tells of the future, future inputs projected out",
    "cva": "canonical correlations of past and future",
    "ivm": "future and past correlated, the past as instruments",
    "ssarx": "regression on a long past, then canonical correlations",
    "pbsid": "regression on a long past, then what it says of the future",
    "parsim": "one regression on the past for each future sample",
    "regularized_arx": "regression on a long past, kept small and smooth by a prior",
    "upc": "the future predicted from the past",
    "pc": "covariance of future and past",
    "covariance": "canonical correlations of the sample covariances",
    "bilinear subspace": "linear, with products of u and x as inputs, repeated",
    "okid": "impulse response of an observer, realized by ERA",
    "pem": "the errors made smallest, step by step",
    "em": "the likelihood made largest, step by step",
}
ROUTES = {
    "factor": "from the equations of the subspace",
    "prediction": "by least squares on the one-step prediction",
    "simulation": "by least squares on the simulation",
}
AROUND = 2  # orders shown on either side of the one taken
MOST = 8  # channels that are shown one by one
PASSES = 0.01  # p-value: the level of residual_tests


def fact(label: str, text: object, width: int = 20) -> str:
    """Return a labelled line."""
    return f"  {label:<{width}} {text}"


def listed(texts: Sequence[str]) -> str:
    """Return texts with commas between; the first and the last of many."""
    return ", ".join(texts if len(texts) <= MOST else (*texts[:3], "...", texts[-1]))


def named(values: np.ndarray, names: Sequence[str], form: str = "{:.4g}") -> str:
    """Return the number of each channel after its name; the range of many."""
    if len(values) > MOST:
        return f"{form.format(np.min(values))} to {form.format(np.max(values))}"
    texts = [form.format(value) for value in values]
    return ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))


def how_lines(
    method: str,
    options: dict[str, Any],
    table: OrderTable | None,
    log_likelihood: np.ndarray | None,
    *,
    n_inputs: int,
    refined: bool,
) -> list[str]:
    """Return the method, the start of a search, horizons, order and purpose, where they exist.

    `refined` says that ``pem`` followed.
    """
    text = f"{method}: {METHODS[method]}" if method in METHODS else method
    if options.get("weight") not in (None, method):
        text += f", weighted as {options['weight']}"
    lines = [fact("method", f"{text}; refined by pem" if refined else text)]
    if not (own := "start" not in options):  # else horizons and routes are those of the start
        lines.append(fact("start", str(options["start"])))
    if own and "future" in options:
        past, future = options["past"], options["future"]
        lines.append(fact("horizons", f"{counted(past, 'sample')} of past, {future} of future"))
    if "lags" in options:
        lines.append(fact("horizons", counted(options["lags"], "lag")))
    criterion = "given" if table is None else table.criterion
    order = "given" if criterion == "given" else f"chosen by {criterion}"
    if own and options.get("criterion") == "held-out":
        order = "chosen on held-out blocks"
    if not own:
        order = "that of the start" + ("" if table is None else ", whose table of orders follows")
    lines.append(fact("order", order))
    if "focus" in options and method != "em":
        ahead = options.get("horizon", 1)
        purpose = f"{'one' if ahead == 1 else ahead}-step prediction"
        lines.append(
            fact("made for", "simulation" if options["focus"] == "simulation" else purpose)
        )
    if own and n_inputs and "bd" in options:
        lines.append(fact("B, D, initial states", ROUTES[options["bd"]]))
    if options.get("delay"):
        delay = options["delay"]
        states = counted(delay * n_inputs, "more state")
        lines.append(fact("dead time", f"{counted(delay, 'sample')}, held in {states}"))
    if "criterion of the start" in options:
        ends = options["criterion of the start"], options["criterion"]
        text = _search(*ends, options["iterations"])
        lines.append(fact("criterion", f"{text} (log of squared errors)"))
    if log_likelihood is not None:
        ends = float(log_likelihood[0]), float(log_likelihood[-1])
        lines.append(fact("log-likelihood", _search(*ends, log_likelihood.size - 1)))
    lines += [
        fact(key, options[key]) for key in ("linear method", "tried", "held out") if key in options
    ]
    return lines


def _search(first: float, last: float, steps: int) -> str:
    """Return what a search gained."""
    return f"{first:.4f} at the start, {last:.4f} after {counted(steps, 'step')}"


def order_lines(table: OrderTable) -> list[str]:
    """Return the rows of the table around the order taken, and those of the best by a criterion."""
    heading, names, *rows = str(table).splitlines()
    size = len(rows)
    taken = range(table.chosen - AROUND, table.chosen + AROUND + 1)
    shown = {0, *taken, *(k for k, row in enumerate(rows) if "*" in row)}
    lines = [heading, names]
    for k, row in enumerate(rows):
        alone = k - 1 in shown and k + 1 in (*shown, size)
        if k in shown or alone:
            lines.append(row)
        elif k - 1 in shown:
            lines.append("  ...")
    return lines


def pole_lines(model: InnovationSSM | BilinearSSM) -> list[str]:
    """Return the poles of a discrete-time model with modulus, time constant and period."""
    if model.n_states == 0:
        return ["no poles: without a state nothing is remembered"]
    at = " at the operating point" if isinstance(model, BilinearSSM) else ""
    lines = [
        f"poles{at}, time until a mode falls to 1/e, period of its oscillation",
        "        pole             modulus    time constant    period",
    ]
    values = np.linalg.eigvals(model.A).astype(complex)
    for pole in values[np.lexsort((np.imag(values), -np.abs(values)))]:
        if pole.imag < 0:
            continue
        modulus = abs(pole)
        constant = "-"
        if modulus > 0 and modulus != 1:
            constant = f"{-model.dt / np.log(modulus):.4g}"
        period = f"{2 * np.pi * model.dt / np.angle(pole):.4g}" if np.angle(pole) > 0 else "-"
        text = f"{pole.real:.4f} ± {pole.imag:.4f}i" if pole.imag > 0 else f"{pole.real:.4f}"
        lines.append(f"{text:>20}     {modulus:>8.4f}    {constant:>12}    {period:>8}")
    if (margin := stability_margin(model.A, model.dt)) <= 0:
        lines.append(f"the model is UNSTABLE (margin {margin:.2g})")
    if (margin := stability_margin(model.A - model.K @ model.C, model.dt)) <= 0:
        lines.append(f"the predictor A - K C is UNSTABLE (margin {margin:.2g})")
    return lines


def fit_lines(
    fits: dict[str, np.ndarray], Re: np.ndarray, whiteness: float | None, names: Sequence[str]
) -> list[str]:
    """Return the fits, the size of the one-step errors, and whether these can be predicted."""
    scale = " (a fit of 100 % is perfect, 0 % is no better than the mean)" if fits else ""
    lines = [f"on this record{scale}"]
    names = ("",) if len(names) == 1 else names
    for name, fit in fits.items():
        lines.append(fact(name, named(np.round(fit, 2) + 0.0, names, "{:.2f} %").strip()))
    deviation = named(np.sqrt(np.diag(Re)), names).strip()
    lines.append(fact("one-step errors", f"standard deviation {deviation}"))
    if whiteness is not None and whiteness >= PASSES:
        lines.append(fact("", f"white: nothing left to predict (p-value {whiteness:.2g})"))
    elif whiteness is not None:
        lines.append(fact("", f"NOT white: their past tells more (p-value {whiteness:.2g})"))
    return lines
