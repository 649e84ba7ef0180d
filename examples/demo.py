"""From measured data to a validated model: the main job, on two examples or on your own data.

``make demo`` identifies a real series, the yearly sunspot numbers, and a simulated plant with two
inputs and coloured noise. ``make demo DATA=file.csv Y=temperature U=0,1 DT=0.08`` does the same
with a file: CSV, or columns separated by tabs or blanks, with or without a header; columns by name,
or by number from 0. Each record is cut in two: the first half identifies, the second validates.
Figures and models go to ``out/``.
"""

import os
import sys
from pathlib import Path

import matplotlib
import numpy as np
import typer

import identification
import realization

ALL_STEPS = float("inf")  # the horizon of a simulation


def sunspots() -> identification.Experiments:
    """Return the yearly sunspot numbers from 1700 to 2008, a series without input."""
    from statsmodels.datasets import sunspots

    series = sunspots.load_pandas().data["SUNACTIVITY"]
    return identification.Experiments.from_data(series.rename("sunspots"))


def simulated_plant() -> tuple[realization.InnovationSSM, identification.Experiments]:
    """Return a plant with two inputs, two outputs and coloured noise, and a record of it."""
    plant = realization.InnovationSSM(
        A=[[0.9, 0.3, 0, 0], [-0.3, 0.9, 0, 0], [0, 0, 0.7, 0], [0, 0, 0, 0.95]],
        B=[[0, 0.1], [0.2, 0], [0.5, 0.2], [0, 0.1]],
        C=[[1, 0, 0.5, 0], [0, 0, 0.5, 1]],
        K=[[0.4, 0], [0.1, 0.1], [0, 0.1], [0.1, 0.3]],
        Re=[[0.04, 0.01], [0.01, 0.02]],
        dt=0.1,
    )
    u = np.random.default_rng(0).choice([-1.0, 1.0], (300, 2)).repeat(8, axis=0)
    y = realization.simulate(plant, u, noise=True, rng=1).y
    return plant, identification.Experiments.from_data(y, u, dt=plant.dt)


def study(
    name: str,
    record: identification.Experiments,
    out: Path,
    truth: realization.InnovationSSM | None,
) -> None:
    """Identify on the first half of a record, validate on the second, write figures and model."""
    print(f"\n=== {name}: {record}\n")
    first, second = identification.split(record)
    result = identification.subspace_id(first, progress=True)
    print(result.summary())

    print("\n--- first half of the record, from which the model was made")
    print(identification.residual_tests(result, first))

    print("\n--- second half of the record, which the model has not seen")
    tests = identification.residual_tests(result, second)
    print(tests)
    horizons = (ALL_STEPS, 1) if record.n_inputs else (5, 1)
    models = {"model": result} if truth is None else {"truth": truth, "model": result}
    comparisons = {h: identification.compare(models, second, horizon=h) for h in horizons}
    for comparison in comparisons.values():
        print(f"\n{comparison}")

    figures = {
        "order": identification.plot_order(result),
        "residuals": identification.plot_residuals(tests),
        "poles": identification.plot_poles(models),
    }
    for horizon, comparison in comparisons.items():
        steps = "simulation" if np.isinf(horizon) else f"{horizon}_step"
        figures[steps] = identification.plot_compare(comparison)
    if record.n_inputs:
        figures["bode"] = identification.plot_bode(models)
    for kind, axes in figures.items():
        np.ravel(axes)[0].figure.savefig(out / f"{name}_{kind}.png", dpi=150)
    realization.save(result, out / f"{name}_model.npz")
    print(f"\nwritten to {out}{os.sep}: {name}_model.npz and {name}_*.png of {', '.join(figures)}")


def main(
    data: Path | None = None,
    y: str = "",
    u: str = "",
    dt: float | None = None,
    out: Path = Path("out"),
) -> None:
    """Identify and validate models of two examples, or of the columns Y and U of the file DATA."""
    matplotlib.use("agg")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if data is None:
            study("sunspots", sunspots(), out, None)
            plant, record = simulated_plant()
            study("plant", record, out, plant)
            return
        columns_y, columns_u = (
            [c.strip() for c in text.split(",") if c.strip()] for text in (y, u)
        )
        record = identification.Experiments.from_file(data, columns_y, columns_u, dt=dt or 1.0)
        if dt is None:
            print("no DT is given: the sample time is taken as 1, times count samples")
        study(data.stem, record, out, None)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    typer.run(main)
