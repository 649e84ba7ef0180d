"""What identification returns: a model, its evidence, and the offsets it was found around."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from realization import (
    BilinearSSM,
    Forecast,
    InnovationSSM,
    Simulation,
    forecast,
    predict,
    simulate,
)
from realization.internal import Rng, as_signal, register_record, stability_margin

from .order import OrderTable

__all__ = ["IdentificationResult", "Trial"]

register_record(OrderTable)


@register_record
@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One configuration and its fit on held-out blocks.

    Parameters
    ----------
    method : str
        Identification method.
    horizon : int
        Past and future horizon.
    order : int
        State dimension.
    fit : float
        Mean fit percentage over the outputs on the held-out blocks.
    refined : bool
        Whether some steps of ``pem`` followed.
    """

    method: str
    horizon: int
    order: int
    fit: float
    refined: bool = False

    def __str__(self) -> str:
        """Return the trial as a line of text."""
        text = f"{self.method}, past = future = {self.horizon}, order {self.order}"
        return f"{text}{', refined by pem' if self.refined else ''}: {self.fit:.2f} %"


@register_record
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IdentificationResult:
    r"""An identified model with the evidence for it; ``realization.save`` keeps all of it.

    Parameters
    ----------
    model : InnovationSSM or BilinearSSM
        The model, in deviations from the offset; its own `x0` is zero.
    x0 : tuple of (n,) ndarray
        Estimated initial state of each experiment; empty when only a factor was given.
    singular_values : (r,) ndarray
        Singular values of the method, unscaled; empty for methods that have none.
    order_table : OrderTable or None
        Every order criterion for every order.
    method : str
        The method that produced the model.
    options : dict
        What was asked and what was chosen: past, future, bd, focus, criterion, ...
    offset : tuple of ndarray
        ``(y0, u0)``: the model says :math:`y - y_0 = G (u - u_0) + \text{noise}`.
    warnings : tuple of str
        Everything that had to be said: what was changed, what is doubtful.
    covariance : ndarray or None
        Covariance of the entries of A, (N,) B, C, D, K row by row, held ones zero; None when the
        method gives none.
    fits : dict of str to (p,) ndarray
        Fit percentages on the estimation record, by name of the horizon.
    n_samples : int
        Number of samples of the estimation record.
    output_names : tuple of str
        One name per output.
    input_names : tuple of str
        One name per input.
    trials : tuple of Trial
        What ``method="auto"`` or ``criterion="cv"`` tried on held-out blocks, the choice first and
        the others by their fit; empty where nothing was.
    log_likelihood : ndarray or None
        Log-likelihood at the start and after each step of ``em``; None for other methods.
    whiteness : float or None
        p-value of the Ljung-Box test of ``residual_tests`` on the estimation record: small where
        the one-step errors can be predicted from each other. None where nothing could be tested:
        no record (a factor alone), missing samples, errors that are rounding.
    """

    model: InnovationSSM | BilinearSSM
    x0: tuple[np.ndarray, ...]
    singular_values: np.ndarray
    order_table: OrderTable | None
    method: str
    options: dict[str, Any]
    offset: tuple[np.ndarray, np.ndarray]
    warnings: tuple[str, ...] = ()
    covariance: np.ndarray | None = None
    fits: dict[str, np.ndarray] = field(default_factory=dict)
    n_samples: int = 0
    output_names: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    log_likelihood: np.ndarray | None = None
    whiteness: float | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        arrays = (
            self.singular_values,
            self.covariance,
            self.log_likelihood,
            *self.x0,
            *self.offset,
            *self.fits.values(),
        )
        for array in arrays:
            if array is not None:
                array.setflags(write=False)

    @property
    def n_states(self) -> int:
        """State dimension of the model."""
        return self.model.n_states

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return self.model.n_inputs

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.model.n_outputs

    @property
    def dt(self) -> float:
        """Sample time."""
        return self.model.dt

    def simulate(
        self,
        u: ArrayLike | None = None,
        *,
        steps: int | None = None,
        x0: ArrayLike | None = None,
        noise: bool = False,
        rng: Rng = None,
    ) -> Simulation:
        """Simulate the model in the units of the data, offsets included.

        Parameters
        ----------
        u : (T, m) array_like, optional
            Inputs; needed if the model has any.
        steps : int, optional
            Number of samples, for a model without inputs.
        x0 : (n,) array_like, optional
            Initial state; default zero (the operating point).
        noise : bool, default False
            Add noise drawn from the model's law.
        rng : int, Generator or None, optional
            Source of randomness.

        Returns
        -------
        Simulation
            `y` (T, p), and the states `x`.
        """
        path = simulate(self.model, self._input(u), steps=steps, x0=x0, noise=noise, rng=rng)
        return replace(path, y=path.y + self.offset[0])

    def predict(
        self,
        y: ArrayLike,
        u: ArrayLike | None = None,
        *,
        horizon: float = 1,
        x0: ArrayLike | None = None,
    ) -> np.ndarray:
        """Predict the output `horizon` steps ahead, offsets included.

        Parameters
        ----------
        y : (T, p) array_like
            Outputs; NaN marks a missing sample.
        u : (T, m) array_like, optional
            Inputs; needed if the model has any.
        horizon : int or inf, default 1
            Steps ahead: row t uses y up to t - horizon.
        x0 : (n,) array_like, optional
            Initial state; default zero (the operating point).

        Returns
        -------
        (T, p) ndarray
            Predicted outputs.
        """
        deviations = self._output(y)
        y_hat = predict(self.model, deviations, self._input(u), horizon=horizon, x0=x0)
        return y_hat + self.offset[0]

    def forecast(
        self,
        y: ArrayLike,
        u: ArrayLike | None = None,
        *,
        u_future: ArrayLike | None = None,
        steps: int,
    ) -> Forecast:
        """Forecast beyond the data, offsets included.

        Parameters
        ----------
        y : (T, p) array_like
            Outputs up to now.
        u : (T, m) array_like, optional
            Inputs up to now; needed if the model has any.
        u_future : (steps, m) array_like, optional
            Inputs from now on; needed if the model has any.
        steps : int
            Number of samples to forecast.

        Returns
        -------
        Forecast
            Mean (steps, p) and covariance (steps, p, p).
        """
        ahead = forecast(
            self.model,
            self._output(y),
            self._input(u),
            u_future=self._input(u_future),
            steps=steps,
        )
        return replace(ahead, mean=ahead.mean + self.offset[0])

    def _input(self, u: ArrayLike | None) -> np.ndarray | None:
        """Return the input in deviations from its offset."""
        return None if u is None else as_signal("u", u, self.n_inputs) - self.offset[1]

    def _output(self, y: ArrayLike) -> np.ndarray:
        """Return the output in deviations from its offset."""
        return as_signal("y", y, self.n_outputs, allow_nan=True) - self.offset[0]

    def __repr__(self) -> str:
        return f"IdentificationResult({self.method}, {self.model!r})"

    def summary(self) -> str:
        """Return what a person wants to know, as text: model, modes, fits, order table, warnings.

        Returns
        -------
        str
            Several lines.
        """
        model = self.model
        outputs = _channels("outputs", self.output_names, self.n_outputs)
        inputs = _channels("inputs", self.input_names, self.n_inputs)
        choices = ", ".join(f"{key} {value}" for key, value in self.options.items())
        lines = [
            f"{self.method} model of order {self.n_states} from {self.n_samples} samples, "
            f"sample time {self.dt:g}",
            f"{outputs}; {inputs}",
            f"chosen with: {choices}",
        ]
        if np.any(self.offset[0]) or np.any(self.offset[1]):
            lines.append(f"offsets: y0 {_numbers(self.offset[0])}, u0 {_numbers(self.offset[1])}")
        for name, fit in self.fits.items():
            lines.append(f"fit on the estimation record, {name}: {_numbers(fit)} %")
        if self.log_likelihood is not None:
            first, last = self.log_likelihood[[0, -1]]
            lines.append(
                f"log-likelihood: {first:.3f} at the start, {last:.3f} after "
                f"{self.log_likelihood.size - 1} steps"
            )
        variance = np.diag(np.asarray(model.Re))
        lines.append(f"innovation standard deviation: {_numbers(np.sqrt(variance))}")
        lines += ["", pole_table(model)]
        if isinstance(model, BilinearSSM):
            lines.append("(bilinear: these are the poles at the operating point, u = u0)")
        if (margin := stability_margin(model.A, model.dt)) <= 0:
            lines.append(f"the model is UNSTABLE (margin {margin:.2g})")
        if (margin := stability_margin(model.A - model.K @ model.C, model.dt)) <= 0:
            lines.append(f"the predictor A - K C is UNSTABLE (margin {margin:.2g})")
        if self.trials:
            head = f"chosen among {len(self.trials)} models by their fit on held-out blocks"
            if self.trials[0].fit < max(trial.fit for trial in self.trials):
                head += " (the better fits of larger orders may be chance)"
            lines += ["", f"{head}:"]
            lines += [f"  {trial}" for trial in self.trials[:5]]
        if self.order_table is not None:
            lines += ["", str(self.order_table)]
        if self.warnings:
            lines += ["", "to be known:"] + [f"  - {text}" for text in self.warnings]
        return "\n".join(lines)


def pole_table(model: InnovationSSM | BilinearSSM) -> str:
    """Return the poles of a discrete-time model with damping, frequency and time constant."""
    lines = ["        pole             modulus    time constant    period"]
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
    return "\n".join(lines)


def _channels(kind: str, names: tuple[str, ...], count: int) -> str:
    """Return the channels of a kind in words."""
    if names:
        return f"{kind} {', '.join(names)}"
    return f"{count or 'no'} {kind if count != 1 else kind[:-1]}"


def _numbers(values: np.ndarray) -> str:
    """Format a few numbers for a line of text."""
    return " ".join(f"{value:.4g}" for value in values) if values.size else "-"
