r"""How good is the model? Fits with their horizon named, and comparisons of several models.

Fit is :math:`100 (1 - \|y - \hat y\| / \|y - \bar y\|)` per output. Whether the prediction error
is unpredictable is the question of ``residuals``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    predict,
)
from realization.internal import (
    as_instance,
    as_integer,
    as_signal,
    counted,
    outputs_and_inputs,
    stability_margin,
    symmetrize,
)

from .data import Experiments
from .input_matrices import initial_state
from .linearization import fitted_state
from .local_coordinates import System
from .result import IdentificationResult

__all__ = [
    "MODELS",
    "Comparison",
    "Model",
    "compare",
    "fit_percent",
    "fitted_output",
    "growth",
    "horizon_name",
    "in_data_units",
    "named_models",
    "record_fit",
    "record_output",
    "require_fitting",
    "residual_covariance",
]

Model = IdentificationResult | LinearSSM | GaussianSSM | InnovationSSM | BilinearSSM
MAX_GROWTH = 1e8  # largest growth of an unstable path over a run that still means something
MODELS = (IdentificationResult, LinearSSM, GaussianSSM, InnovationSSM, BilinearSSM)


def fit_percent(y: ArrayLike, y_hat: ArrayLike) -> np.ndarray:
    r"""Return :math:`100 (1 - \|y - \hat y\| / \|y - \bar y\|)` for each output.

    Parameters
    ----------
    y : (T, p) array_like
        Measured outputs; NaN samples are left out.
    y_hat : (T, p) array_like
        Simulated or predicted outputs.

    Returns
    -------
    (p,) ndarray
        100 is perfect, 0 is as good as the mean, negative is worse; -inf for an error on a
        constant output, 100 for none.

    Raises
    ------
    ValueError
        If the shapes are not (T, p) and equal, or an output has no sample.

    Examples
    --------
    >>> from identification import fit_percent
    >>> float(fit_percent([0.0, 2.0, 4.0], [0.0, 2.0, 4.0])[0])
    100.0
    """
    y = as_signal("y", y, None, allow_nan=True)
    y_hat = as_signal("y_hat", y_hat, None, allow_nan=True)
    if y.shape != y_hat.shape or y.ndim != 2:
        shapes = f"{y.shape} and {y_hat.shape}"
        raise ValueError(f"`y` and `y_hat` must agree in their shape (T, p); got {shapes}.")
    seen = ~(np.isnan(y) | np.isnan(y_hat))
    counts = seen.sum(axis=0)
    if not counts.all():
        raise ValueError(f"output {int(np.argmin(counts))} has no sample to compare.")
    values = np.where(seen, y, 0.0)
    mean = values.sum(axis=0) / counts
    error = np.linalg.norm(np.where(seen, y - y_hat, 0.0), axis=0)
    spread = np.linalg.norm(np.where(seen, y - mean, 0.0), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = 100.0 * (1.0 - error / spread)
    return np.where(error == 0.0, 100.0, fit)


def fitted_output(
    model: LinearSSM | GaussianSSM | InnovationSSM | BilinearSSM,
    y: np.ndarray,
    u: np.ndarray,
    horizon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted output of one run and the initial state that fits it best.

    The initial state is found by least squares on the one-step prediction (on the simulation for
    an infinite horizon). A GaussianSSM has its own prior for it.
    """
    inputs = u if model.n_inputs else None
    if isinstance(model, GaussianSSM):
        return predict(model, y, inputs, horizon=horizon), model.m0
    if isinstance(model, BilinearSSM):
        x0 = fitted_state(System.from_model(model), y, u, simulate=horizon == np.inf)
        return predict(model, y, inputs, horizon=horizon, x0=x0), x0
    K = model.K if isinstance(model, InnovationSSM) and horizon < np.inf else None
    x0 = initial_state(model, K, y, u)
    return predict(model, y, inputs, horizon=horizon, x0=x0), x0


def record_fit(
    model: InnovationSSM | BilinearSSM,
    data: Experiments,
    offset: np.ndarray | float,
    horizon: float,
) -> np.ndarray | None:
    """Return the fit of each output over all runs; None where an unstable path means nothing."""
    found = record_output(model, data, offset, horizon)
    return None if found is None else fit_percent(np.vstack(found[0]), np.vstack(found[1]))


def record_output(
    model: InnovationSSM | BilinearSSM,
    data: Experiments,
    offset: np.ndarray | float,
    horizon: float,
) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
    """Return measured and predicted outputs, by run; None where an unstable path means nothing.

    Parameters
    ----------
    model : InnovationSSM or BilinearSSM
        The model, in deviations.
    data : Experiments
        The records, in deviations but for `offset`.
    offset : ndarray or float
        Constant to be subtracted from the outputs.
    horizon : float
        Steps ahead; inf is simulation.
    """
    F = model.A if horizon == np.inf else model.A - model.K @ model.C
    if growth(F, data) > MAX_GROWTH:
        return None
    runs = [y - offset for y in data.y]
    return runs, [fitted_output(model, y, u, horizon)[0] for y, u in zip(runs, data.u, strict=True)]


def residual_covariance(
    model: InnovationSSM, data: Experiments, offset: np.ndarray | float
) -> np.ndarray:
    """Return the covariance of the one-step prediction errors on the record, around an offset."""
    total = np.zeros((data.n_outputs, data.n_outputs))
    for y, u in zip(data.y, data.u, strict=True):
        error = y - offset - fitted_output(model, y - offset, u, 1)[0]
        total += error.T @ error
    return symmetrize(total) / data.n_samples


def growth(F: np.ndarray, data: Experiments) -> float:
    """Return how much the longest run amplifies an initial state, by the spectral radius of F."""
    radius = np.float64(max(1.0 - stability_margin(F, 1.0), 1.0))
    with np.errstate(over="ignore"):
        return float(radius ** max(run.shape[0] for run in data.y))


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several models on the same data.

    Parameters
    ----------
    names : tuple of str
        One name per model.
    fits : (k, p) ndarray
        Fit percentages, one row per model.
    horizon : float
        Steps ahead; inf is simulation.
    data : Experiments
        The records compared with.
    y_hat : tuple of tuple of (T_i, p) ndarray
        Outputs of each model in each experiment.
    """

    names: tuple[str, ...]
    fits: np.ndarray
    horizon: float
    data: Experiments
    y_hat: tuple[tuple[np.ndarray, ...], ...]

    def __repr__(self) -> str:
        models = counted(len(self.names), "model")
        fit = f"best {self.best!r} with {self.fits.mean(axis=1).max():.2f} %"
        return f"Comparison({models}, {horizon_name(self.horizon)}, {fit})"

    @property
    def best(self) -> str:
        """Name of the model with the largest mean fit."""
        return self.names[int(np.argmax(self.fits.mean(axis=1)))]

    def __str__(self) -> str:
        """Return the fits as a table."""
        width = max(len(name) for name in self.names)
        header = " ".join(f"{name:>10}" for name in self.data.output_names)
        lines = [f"fit in %, {horizon_name(self.horizon)}", f"{'':{width}} {header}       mean"]
        for name, fit in zip(self.names, self.fits, strict=True):
            cells = " ".join(f"{value:>10.2f}" for value in fit)
            lines.append(f"{name:{width}} {cells} {fit.mean():>10.2f}")
        return "\n".join(lines)


def compare(
    results: Model | Sequence[Model] | Mapping[str, Model],
    y: Any,
    u: Any = None,
    *,
    horizon: float = np.inf,
) -> Comparison:
    """Compare models on one set of records.

    Parameters
    ----------
    results : model, sequence of models or mapping of names to models
        Identification results or plain models.
    y : array_like, DataFrame or list of them
        Outputs (T, p).
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m).
    horizon : int or inf, default inf
        Steps ahead: inf compares simulations, 1 one-step predictions.

    Returns
    -------
    Comparison
        Fits and outputs; ``print`` shows the table.

    Raises
    ------
    TypeError
        If something that is not a model is given.
    ValueError
        If no model is given, or channels or sample times disagree.
    UnstableModelError
        If an unstable model grows so much over a run that its output means nothing.

    Notes
    -----
    The initial state of each model in each experiment is fitted by least squares (a GaussianSSM
    brings its own), so that only the dynamics are compared.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import compare
    >>> from realization import LinearSSM, simulate
    >>> plant, other = (LinearSSM([[a]], [[1.0]], [[1.0]]) for a in (0.8, 0.7))
    >>> u = np.random.default_rng(0).standard_normal(200)
    >>> comparison = compare({"plant": plant, "other": other}, simulate(plant, u).y, u)
    >>> comparison.best
    'plant'
    >>> bool(comparison.fits[0, 0] > 99.999)
    True
    """
    named = named_models(results)
    if not (isinstance(horizon, float) and np.isposinf(horizon)):
        horizon = as_integer("horizon", horizon, minimum=1)
    data = Experiments.from_data(y, u, dt=next(iter(named.values())).dt)
    fits, outputs = [], []
    for name, model in named.items():
        require_fitting(f"model {name!r}", model, data, horizon)
        runs = tuple(
            in_data_units(model, run_y, run_u, horizon)[0]
            for run_y, run_u in zip(data.y, data.u, strict=True)
        )
        fits.append(fit_percent(np.vstack(data.y), np.vstack(runs)))
        outputs.append(runs)
    return Comparison(tuple(named), np.array(fits), float(horizon), data, tuple(outputs))


def named_models(results: Model | Sequence[Model] | Mapping[str, Model]) -> dict[str, Model]:
    """Return checked models by name: as given, or by method and order, numbered if these agree."""
    if isinstance(results, Mapping):
        named = {str(name): model for name, model in results.items()}
    elif isinstance(results, Sequence):
        named = {f"results[{k}]": model for k, model in enumerate(results)}
    else:
        named = {"results": results}
    if not named:
        raise ValueError("`results` must hold at least one model; got none.")
    for name, model in named.items():
        as_instance(name, model, MODELS)
    if isinstance(results, Mapping):
        return named
    labels = [_label(model) for model in named.values()]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({k})" for k, label in enumerate(labels, 1)]
    return dict(zip(labels, named.values(), strict=True))


def require_fitting(name: str, model: Model, data: Experiments, horizon: float) -> None:
    """Raise if a model has not the channels and sample time of the data, or explodes on them."""
    if (model.n_outputs, model.n_inputs) != (data.n_outputs, data.n_inputs):
        raise ValueError(
            f"{name} has {outputs_and_inputs(model.n_outputs, model.n_inputs)}; the data have "
            f"{data.n_outputs} and {data.n_inputs}."
        )
    if not np.isclose(model.dt, data.dt, rtol=1e-6, atol=0.0):
        raise ValueError(f"{name} has sample time {model.dt:g}; the data have {data.dt:g}.")
    plain = model.model if isinstance(model, IdentificationResult) else model
    F = plain.A
    if horizon < np.inf and isinstance(plain, InnovationSSM):
        F = plain.A - plain.K @ plain.C
    elif isinstance(plain, BilinearSSM) or (horizon < np.inf and isinstance(plain, GaussianSSM)):
        return
    if (factor := growth(F, data)) > MAX_GROWTH:
        margin = stability_margin(F, 1.0)
        raise UnstableModelError(
            f"the {horizon_name(horizon)} of {name} is unstable: it grows by {factor:.1e} over a "
            f"run (largest modulus {1 - margin:.5g}). Identify with stable=True, or use horizon=1.",
            stability_margin=margin,
        )


def in_data_units(
    model: Model, y: np.ndarray, u: np.ndarray, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return output and initial state of a model or a result, offsets of the result applied."""
    if not isinstance(model, IdentificationResult):
        return fitted_output(model, y, u, horizon)
    y0, u0 = model.offset
    y_hat, x0 = fitted_output(model.model, y - y0, u - u0, horizon)
    return y_hat + y0, x0


def horizon_name(horizon: float) -> str:
    """Return the horizon in words."""
    if horizon == np.inf:
        return "simulation"
    return "one-step prediction" if horizon == 1 else f"{int(horizon)}-step prediction"


def _label(model: Model) -> str:
    """Return a short name of a model."""
    kind = model.method if isinstance(model, IdentificationResult) else type(model).__name__
    return f"{kind}, order {model.n_states}"
