"""The commands of the package: ``python -m identification --help``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from .commands import check_target, sentences

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Method(enum.StrEnum):
    """The methods of ``subspace_id``."""

    auto = "auto"
    n4sid = "n4sid"
    moesp = "moesp"
    cva = "cva"
    ivm = "ivm"
    ssarx = "ssarx"
    pbsid = "pbsid"
    parsim = "parsim"
    regularized_arx = "regularized_arx"


class Focus(enum.StrEnum):
    """What a good model does."""

    prediction = "prediction"
    simulation = "simulation"


@app.callback()
def commands() -> None:
    """From measured data to a state-space model."""


@app.command()
def report(
    file: Annotated[
        Path,
        typer.Argument(
            help="The measurements, one row per sample: CSV or text in columns, or .npz with one "
            "array per signal (with pandas also .parquet)."
        ),
    ],
    y: Annotated[
        str,
        typer.Option(
            help="The outputs, what the model shall predict: names of columns, or their numbers "
            "from 0, with commas between.",
        ),
    ],
    u: Annotated[
        str, typer.Option(help="The inputs, in the same way. Leave out for a time series.")
    ] = "",
    dt: Annotated[float, typer.Option(help="The sample time, in your unit of time.")] = 1.0,
    order: Annotated[
        str, typer.Option(help="The number of states, or 'auto' to choose it from the data.")
    ] = "auto",
    method: Annotated[
        Method,
        typer.Option(
            help="How to identify. 'auto' compares several; 'ssarx', 'pbsid', 'parsim' and "
            "'regularized_arx' also suit inputs that reacted to the outputs."
        ),
    ] = Method.auto,
    focus: Annotated[
        Focus,
        typer.Option(help="Whether the model is to predict from outputs, or from inputs alone."),
    ] = Focus.prediction,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="Improve the model further (slower); this also gives confidence bands."
        ),
    ] = False,
    fraction: Annotated[
        float,
        typer.Option(help="The part of the record that makes the model; the rest judges it."),
    ] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write.", show_default="FILE_report.html, here"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Also save the model: import identification, then realization.load reads it."
        ),
    ] = None,
) -> None:
    """Identify a model from a file, and write a page that tells how good it is and why.

    Example: python -m identification report dryer.csv --y temperature --u heater --dt 0.08
    """
    import identification
    import realization

    from .report import write_report

    page = out if out is not None else Path(f"{file.stem}_report.html")
    with sentences():
        check_target(page, ".html")
        if model is not None:
            check_target(model, ".npz")
        record = identification.Experiments.from_file(file, _columns(y), _columns(u), dt=dt)
        typer.echo(f"read {record}")
        first, second = identification.split(record, fraction=fraction)
        number: Any = order if order == "auto" else _whole(order)
        result = identification.subspace_id(
            first, order=number, method=method.value, focus=focus.value, progress=True
        )
        if refine:
            result = identification.pem(result, first, focus=focus.value, progress=True)
        write_report(
            page,
            result,
            first,
            second,
            source=file.name,
            progress=lambda step: typer.echo(f"  {step} ..."),
        )
        typer.echo(f"{result!r}")
        if model is not None:
            realization.save(result, model)
            typer.echo(f"written: {model}")
        typer.echo(f"written: {page} ({page.stat().st_size / 1e3:.0f} kB); open it in a browser")


def _columns(text: str) -> list[str]:
    """Return the columns named in an option."""
    return [column.strip() for column in text.split(",") if column.strip()]


def _whole(text: str) -> int:
    """Return the order as a number."""
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(f"--order must be a whole number or 'auto'; got {text[:40]!r}.")
    return int(text)


if __name__ == "__main__":
    app(prog_name="python -m identification")
