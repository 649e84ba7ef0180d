r"""Is the model good? Fits with their horizon named, comparisons, and tests of the residuals.

A good model makes its prediction error unpredictable: residuals are white and uncorrelated with
past inputs. Fit is :math:`100 (1 - \|y - \hat y\| / \|y - \bar y\|)` per output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import BilinearSSM, GaussianSSM, InnovationSSM, LinearSSM, predict
from realization.internal import as_instance, as_integer, as_real, as_signal, stability_margin

from .data import Experiments
from .gauss_newton import fitted_state
from .input_matrices import initial_state
from .local_coordinates import System
from .result import IdentificationResult

__all__ = [
    "Comparison",
    "ResidualTests",
    "compare",
    "fit_percent",
    "fitted_output",
    "growth",
    "horizon_name",
    "named_models",
    "record_fit",
    "residual_tests",
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
        If the shapes differ or an output has no sample.

    Examples
    --------
    >>> from identification import fit_percent
    >>> float(fit_percent([0.0, 2.0, 4.0], [0.0, 2.0, 4.0])[0])
    100.0
    """
    y = as_signal("y", y, None, allow_nan=True)
    y_hat = as_signal("y_hat", y_hat, None, allow_nan=True)
    if y.shape != y_hat.shape:
        raise ValueError(f"`y` and `y_hat` must agree in shape; got {y.shape} and {y_hat.shape}.")
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
        x0 = fitted_state(System.from_model(model), y, u, simulate=not np.isfinite(horizon))
        return predict(model, y, inputs, horizon=horizon, x0=x0), x0
    K = model.K if isinstance(model, InnovationSSM) and np.isfinite(horizon) else None
    x0 = initial_state(model, K, y, u)
    return predict(model, y, inputs, horizon=horizon, x0=x0), x0


def record_fit(
    model: InnovationSSM | BilinearSSM,
    data: Experiments,
    offset: np.ndarray | float,
    horizon: float,
) -> np.ndarray | None:
    """Return the fit of each output over all runs; None where an unstable path means nothing.

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
    F = model.A if np.isinf(horizon) else model.A - model.K @ model.C
    if growth(F, data) > MAX_GROWTH:
        return None
    runs = [y - offset for y in data.y]
    outputs = [fitted_output(model, y, u, horizon)[0] for y, u in zip(runs, data.u, strict=True)]
    return fit_percent(np.vstack(runs), np.vstack(outputs))


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

    Notes
    -----
    The initial state of each model in each experiment is fitted by least squares (a GaussianSSM
    brings its own), so that only the dynamics are compared.
    """
    named = named_models(results)
    if not (isinstance(horizon, float) and np.isposinf(horizon)):
        horizon = as_integer("horizon", horizon, minimum=1)
    data = Experiments.from_data(y, u, dt=next(iter(named.values())).dt)
    fits, outputs = [], []
    for name, model in named.items():
        _require_fitting(f"model {name!r}", model, data)
        runs = tuple(
            _in_data_units(model, run_y, run_u, horizon)[0]
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
        labels = [f"{label} ({k})" for k, label in enumerate(labels)]
    return dict(zip(labels, named.values(), strict=True))


def _require_fitting(name: str, model: Model, data: Experiments) -> None:
    """Raise if the channels or the sample time of a model are not those of the data."""
    if (model.n_outputs, model.n_inputs) != (data.n_outputs, data.n_inputs):
        raise ValueError(
            f"{name} has {model.n_outputs} outputs and {model.n_inputs} inputs; the data have "
            f"{data.n_outputs} and {data.n_inputs}."
        )
    if not np.isclose(model.dt, data.dt, rtol=1e-6, atol=0.0):
        raise ValueError(f"{name} has sample time {model.dt:g}; the data have {data.dt:g}.")


def _in_data_units(
    model: Model, y: np.ndarray, u: np.ndarray, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return output and initial state of a model or a result, offsets of the result applied."""
    if not isinstance(model, IdentificationResult):
        return fitted_output(model, y, u, horizon)
    y0, u0 = model.offset
    y_hat, x0 = fitted_output(model.model, y - y0, u - u0, horizon)
    return y_hat + y0, x0


@dataclass(frozen=True, slots=True, eq=False)
class ResidualTests:
    """Whiteness of the one-step residuals and their independence of the inputs.

    Parameters
    ----------
    residuals : tuple of (T_i, p) ndarray
        One-step prediction errors.
    autocorrelation : (lags + 1, p, p) ndarray
        Correlation of e(t + k) with e(t).
    autocorrelation_band : float
        Half-width of the band that holds all autocorrelations of white residuals at once with
        probability `level`.
    cross_correlation : (2 lags + 1, p, m) ndarray
        Correlation of e(t + k) with u(t), k = -lags .. lags.
    cross_correlation_band : (p, m) ndarray
        Half-width of the band for the lags k >= 0 (past inputs).
    ljung_box : float
        Multivariate Ljung-Box statistic (Hosking 1980).
    ljung_box_p_value : float
        Probability of a larger value for white residuals.
    level : float
        Probability that a perfect model passes each test.
    whiteness_ok : bool
        Whether the Ljung-Box test passes.
    independence_ok : bool
        Whether no past input shows in the residuals.
    output_names : tuple of str
        One name per output.
    input_names : tuple of str
        One name per input.
    """

    residuals: tuple[np.ndarray, ...]
    autocorrelation: np.ndarray
    autocorrelation_band: float
    cross_correlation: np.ndarray
    cross_correlation_band: np.ndarray
    ljung_box: float
    ljung_box_p_value: float
    level: float
    whiteness_ok: bool
    independence_ok: bool
    output_names: tuple[str, ...]
    input_names: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether both tests pass."""
        return self.whiteness_ok and self.independence_ok

    def __str__(self) -> str:
        """Return the verdicts in words."""
        lags = self.autocorrelation.shape[0] - 1
        white = "pass" if self.whiteness_ok else "FAIL"
        lines = [
            f"whiteness of the residuals, lags 1..{lags}: {white} "
            f"(Ljung-Box {self.ljung_box:.4g}, p-value {self.ljung_box_p_value:.3g})"
        ]
        if self.cross_correlation.shape[2]:
            free = "pass" if self.independence_ok else "FAIL"
            ratio = np.abs(self.cross_correlation[lags:]) / self.cross_correlation_band
            lines.append(
                f"independence of past inputs, lags 0..{lags}: {free} "
                f"(largest correlation {ratio.max():.2f} of its {100 * self.level:g} % band)"
            )
        return "\n".join(lines)


def residual_tests(
    result: Model, y: Any, u: Any = None, *, lags: int = 25, level: float = 0.99
) -> ResidualTests:
    r"""Test the one-step residuals of a model on a record.

    Parameters
    ----------
    result : IdentificationResult or model
        What to test.
    y : array_like, DataFrame or list of them
        Outputs (T, p).
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m).
    lags : int, default 25
        Largest lag.
    level : float, default 0.99
        Probability that a perfect model passes each of the two tests.

    Returns
    -------
    ResidualTests
        ``ok``, the statistics and their bands; ``print`` shows the verdicts.

    Raises
    ------
    TypeError
        If `result` is not a model.
    ValueError
        If channels or sample times disagree, or a run has no more than `lags` samples.

    Notes
    -----
    Whiteness: Hosking's multivariate Ljung-Box statistic
    :math:`T^2 \sum_k (T - k)^{-1} \operatorname{tr}(C_k^\top C_0^{-1} C_k C_0^{-1})`, chi-square
    with :math:`p^2 \text{lags}` degrees of freedom for a perfect model. On the record that a model
    was fitted to, the statistic is smaller by about its number of noise parameters; on another
    record the errors of the parameters show in it as well. Independence: the largest
    cross-correlation against its simultaneous band; the standard deviation of a correlation is
    :math:`(\sum_k r_{ee}(k) r_{uu}(k) / T)^{1/2}` (Ljung 1999, section 16.6), which allows for
    coloured inputs.
    """
    lags = as_integer("lags", lags, minimum=1)
    level = as_real("level", level, above=0.0, below=1.0)
    as_instance("result", result, MODELS)
    data = Experiments.from_data(y, u, dt=result.dt)
    _require_fitting("`result`", result, data)
    shortest = min(run.shape[0] for run in data.y)
    if shortest <= lags:
        raise ValueError(f"`lags` = {lags} needs longer runs; the shortest has {shortest} samples.")
    residuals = tuple(
        run_y - _in_data_units(result, run_y, run_u, 1)[0]
        for run_y, run_u in zip(data.y, data.u, strict=True)
    )
    T, p, m = data.n_samples, data.n_outputs, data.n_inputs
    e = tuple(run - run.mean(axis=0) for run in residuals)
    u_runs = tuple(run - run.mean(axis=0) for run in data.u)
    covariances = _cross_covariances(e, e, lags)
    C0 = covariances[0]
    spread = np.sqrt(np.where(np.diag(C0) > 0, np.diag(C0), 1.0))
    autocorrelation = covariances / np.outer(spread, spread)
    whitener = np.linalg.pinv(autocorrelation[0], hermitian=True)
    terms = [
        np.trace(c.T @ whitener @ c @ whitener) / sum(run.shape[0] - k for run in e)
        for k, c in enumerate(autocorrelation[1:], start=1)
    ]
    statistic = float(T**2 * np.sum(terms))
    p_value = float(scipy.special.chdtrc(p * p * lags, statistic))
    band = _simultaneous_quantile(level, lags * p * p) / np.sqrt(T)
    cross = np.zeros((2 * lags + 1, p, m))
    cross_band = np.ones((p, m))
    if m:
        forward = _cross_covariances(e, u_runs, lags)
        backward = _cross_covariances(u_runs, e, lags)
        input_covariances = _cross_covariances(u_runs, u_runs, lags)
        power = np.diagonal(input_covariances[0])
        scale = np.outer(spread, np.sqrt(np.where(power > 0, power, 1.0)))
        cross[lags:] = forward / scale
        cross[:lags] = backward[:0:-1].transpose(0, 2, 1) / scale
        r_ee = np.diagonal(autocorrelation, axis1=1, axis2=2)
        r_uu = np.diagonal(input_covariances, axis1=1, axis2=2) / np.where(power > 0, power, 1.0)
        variance = (2 * r_ee.T @ r_uu - np.outer(r_ee[0], r_uu[0])) / T
        variance = np.maximum(variance, 1.0 / T)
        cross_band = _simultaneous_quantile(level, (lags + 1) * p * m) * np.sqrt(variance)
    return ResidualTests(
        residuals,
        autocorrelation,
        float(band),
        cross,
        cross_band,
        statistic,
        p_value,
        level,
        whiteness_ok=p_value >= 1 - level,
        independence_ok=bool((np.abs(cross[lags:]) <= cross_band).all()),
        output_names=data.output_names,
        input_names=data.input_names,
    )


def horizon_name(horizon: float) -> str:
    """Return the horizon in words."""
    if np.isinf(horizon):
        return "simulation"
    return "one-step prediction" if horizon == 1 else f"{int(horizon)}-step prediction"


def _label(model: Model) -> str:
    """Return a short name of a model."""
    kind = model.method if isinstance(model, IdentificationResult) else type(model).__name__
    return f"{kind}, order {model.n_states}"


def _cross_covariances(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], lags: int
) -> np.ndarray:
    """Return sum_t a(t + k) b(t)' / T for k = 0 .. lags, summed over runs."""
    total = sum(run.shape[0] for run in a)
    out = np.zeros((lags + 1, a[0].shape[1], b[0].shape[1]))
    for left, right in zip(a, b, strict=True):
        for k in range(lags + 1):
            out[k] += left[k:].T @ right[: right.shape[0] - k]
    return out / total


def _simultaneous_quantile(level: float, count: int) -> float:
    """Return the half-width that holds `count` standard normals at once with this probability."""
    return float(scipy.special.ndtri(0.5 + 0.5 * level ** (1.0 / count)))
