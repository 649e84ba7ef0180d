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
from realization.internal import Rng, as_signal, counted, register_record

from .data import numbered
from .order import OrderTable
from .summary import fact, fit_lines, how_lines, listed, named, order_lines, pole_lines

__all__ = ["IdentificationResult", "Trial"]

register_record(OrderTable)
SHOWN_TRIALS = 3


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
        """Return what a person wants to know, as text, in the same order for every method.

        What it is, from which data, how it was found, what was tried; the order table around the
        order taken; the poles; fits and whiteness on the record; what should be known.

        Returns
        -------
        str
            Several lines.
        """
        n, samples = self.n_states, counted(self.n_samples, "sample")
        kind = "model"
        if isinstance(self.model, BilinearSSM) and "bilinear" not in self.method:
            kind = "bilinear model"
        refined = bool(self.trials) and self.trials[0].refined
        outputs = self.output_names or numbered("y", self.n_outputs)
        inputs = self.input_names or numbered("u", self.n_inputs)
        about = [
            f"{self.method} {kind} of order {n} from {samples}, sample time {self.dt:g}",
            fact("outputs", listed(outputs)),
            fact("inputs", listed(inputs) or "none"),
            fact("offsets", self._offsets(outputs, inputs)),
            *how_lines(
                self.method,
                self.options,
                self.order_table,
                self.log_likelihood,
                n_inputs=self.n_inputs,
                refined=refined,
            ),
        ]
        evidence = fit_lines(self.fits, np.asarray(self.model.Re), self.whiteness, outputs)
        sections = [
            about,
            self._trial_lines(),
            [] if self.order_table is None else order_lines(self.order_table),
            pole_lines(self.model),
            evidence,
            ["to be known:", *(f"  - {text}" for text in self.warnings)] if self.warnings else [],
        ]
        return "\n\n".join("\n".join(lines) for lines in sections if lines)

    def _offsets(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> str:
        """Return what is subtracted from each channel."""
        if not (np.any(self.offset[0]) or np.any(self.offset[1])):
            return "none"
        parts = [named(self.offset[0], outputs), named(self.offset[1], inputs)]
        text = "; ".join(part for part in parts if part)
        return f"{text} (subtracted from the data)"

    def _trial_lines(self) -> list[str]:
        """Return the best of what was tried on held-out blocks."""
        if not self.trials:
            return []
        head = f"chosen among {len(self.trials)} models by their fit on held-out blocks"
        if self.trials[0].fit < max(trial.fit for trial in self.trials):
            head += " (larger orders may fit better by chance)"
        return [f"{head}:", *(f"  {trial}" for trial in self.trials[:SHOWN_TRIALS])]
