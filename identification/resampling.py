r"""Bootstrap of an identified model: how it would vary over other records of the same plant.

The innovations :math:`e_t` of the model on its record, centred and drawn again with replacement,
drive the model from its initial states with the inputs as they were:

.. math:: x_{t+1} = A x_t + B u_t + K e^*_t, \qquad y^*_t = C x_t + D u_t + e^*_t ,

and every simulated record is identified as the first was.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import (
    BilinearSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    frequency_response,
    markov_parameters,
    poles,
    simulate,
)
from realization.internal import (
    Progress,
    Rng,
    as_generator,
    as_instance,
    as_integer,
    as_real,
    counted,
    require_memory,
    stability_margin,
)

from .data import Experiments
from .early_stopping import Estimate
from .local_coordinates import NAMES, System
from .prediction_error import pem
from .reidentification import subspace_again
from .result import IdentificationResult
from .validation import in_data_units, require_fitting

__all__ = ["Bootstrap", "bootstrap"]


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """The models of simulated records.

    Parameters
    ----------
    result : IdentificationResult
        The result whose uncertainty is asked for.
    models : tuple of InnovationSSM
        One model per simulated record.
    failures : int
        Records that could not be identified; they have no model.
    """

    result: IdentificationResult
    models: tuple[InnovationSSM, ...]
    failures: int

    def __repr__(self) -> str:
        return f"Bootstrap({counted(len(self.models), 'model')}, {self.failures} failed)"

    def poles(self) -> np.ndarray:
        """Return the poles of every model, each in the column of the result's nearest pole.

        Returns
        -------
        (samples, n) ndarray
            Complex; the columns are those of ``realization.poles(result.model)``, assigned so that
            the sum of the distances is smallest.
        """
        own = poles(self.result.model)
        found = np.empty((len(self.models), own.size), dtype=complex)
        for row, model in zip(found, self.models, strict=True):
            values = poles(model)
            distances = np.abs(own[:, np.newaxis] - values)
            row[:] = values[scipy.optimize.linear_sum_assignment(distances)[1]]
        return found

    def frequency_response(self, omega: ArrayLike) -> np.ndarray:
        """Return the frequency response of every model.

        Parameters
        ----------
        omega : (k,) array_like
            Angular frequencies in radians per unit of `dt`.

        Returns
        -------
        (samples, k, p, m) ndarray
            Complex.
        """
        return np.array([frequency_response(model, omega) for model in self.models])

    def impulse_response(self, count: int) -> np.ndarray:
        """Return the Markov parameters of every model.

        Parameters
        ----------
        count : int
            Number of Markov parameters.

        Returns
        -------
        (samples, count, p, m) ndarray
            D first.
        """
        return np.array([markov_parameters(model, count) for model in self.models])

    def band(self, values: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the limits between which a part of the values lies, as much outside on each side.

        Parameters
        ----------
        values : (samples, ...) array_like
            Real numbers, one per model: magnitudes, real parts, Markov parameters.
        confidence : float, default 0.95
            The part.

        Returns
        -------
        low, high : (...) ndarray
            Quantiles.

        Raises
        ------
        ValueError
            If the values are complex or not one per model, or `confidence` is not between 0 and 1.
        """
        tail = 0.5 - 0.5 * as_real("confidence", confidence, above=0.0, below=1.0)
        values = np.asarray(values)
        if np.iscomplexobj(values) or values.shape[:1] != (len(self.models),):
            raise ValueError(
                f"`values` must be real, one per model ({len(self.models)}) along the first axis; "
                f"got {values.dtype} of shape {values.shape}."
            )
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return low, high


def bootstrap(
    result: IdentificationResult,
    y: Any,
    u: Any = None,
    *,
    samples: int = 200,
    estimate: Estimate | None = None,
    rng: Rng = None,
    progress: bool = False,
) -> Bootstrap:
    r"""Identify simulated records, to see how much the model owes to chance.

    Parameters
    ----------
    result : IdentificationResult
        A result with a stable model and a stable predictor.
    y : array_like, DataFrame, Experiments or list of arrays
        The outputs that the model was identified from.
    u : array_like, DataFrame or list of them, optional
        Their inputs.
    samples : int, default 200
        Number of simulated records: 200 for standard deviations, 1000 for the limits of an
        interval.
    estimate : callable, optional
        ``estimate(data)`` identifies an Experiments and returns its result; default the method,
        horizons, options and order of `result`, which must then be of ``pem`` (entries that it
        held are held) or of a method of ``subspace_id``.
    rng : int, Generator or None, optional
        Source of randomness.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Bootstrap
        The models, with their poles, frequency responses and impulse responses.

    Raises
    ------
    TypeError
        If `result` is no IdentificationResult, or holds a bilinear model.
    ValueError
        If the data are not those of the model, or it is not known how to identify again.
    UnstableModelError
        If A or the predictor A - K C is unstable: simulated records would not be like the
        measured one.

    Warns
    -----
    NumericalWarning
        If some of the records could not be identified.

    See Also
    --------
    pole_uncertainty : To first order, without another identification.

    Notes
    -----
    Innovations are drawn by whole samples, so channels stay correlated, and scaled by
    :math:`\sqrt{N / (N - d)}` for the d parameters per output that they were fitted with. They are
    taken as independent in time: see ``residual_tests``. Inputs stay as they were, which leaves out
    that they answer the noise under feedback. The order, and what else "auto" chose, is held:
    the spread is that of the estimate, not of the choice. Costs `samples` identifications.

    References
    ----------
    D. S. Stoffer and K. D. Wall, "Bootstrapping state-space models: Gaussian maximum likelihood
    estimation and the Kalman filter", Journal of the American Statistical Association 86, 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import bootstrap, subspace_id
    >>> from realization import InnovationSSM, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> y = simulate(plant, u, noise=True, rng=1).y
    >>> result = subspace_id(y, u, 1, method="cva")
    >>> drawn = bootstrap(result, y, u, samples=50, rng=2)
    >>> low, high = drawn.band(drawn.poles().real, 0.98)
    >>> bool(low[0] < 0.9 < high[0])
    True
    """
    as_instance("result", result, (IdentificationResult,))
    samples = as_integer("samples", samples, minimum=2)
    rng = as_generator(rng)
    model = result.model
    require_memory(f"`samples` = {samples}", samples * (model.n_states + model.n_outputs) ** 2)
    if isinstance(model, BilinearSSM):
        raise TypeError("bootstrap takes a linear model; got a BilinearSSM.")
    _require_stable(model)
    if estimate is None:
        estimate = _same_again(result)
    if not callable(estimate):
        raise TypeError(
            "`estimate` must be a function of Experiments that returns an IdentificationResult; "
            f"got {type(estimate).__name__}."
        )
    data = Experiments.from_data(y, u, dt=model.dt)
    require_fitting("`result`", result, data, 1)
    runs = [in_data_units(result, *run, 1) for run in zip(data.y, data.u, strict=True)]
    innovations = np.vstack([y - y_hat for y, (y_hat, _) in zip(data.y, runs, strict=True)])
    innovations = innovations - innovations.mean(axis=0)
    per_output = System.from_model(model).vector().size - model.n_states**2
    innovations *= np.sqrt(data.n_samples / max(data.n_samples - per_output / model.n_outputs, 1))
    source = LinearSSM(
        model.A,
        np.hstack([model.B, model.K]),
        model.C,
        np.hstack([model.D, np.eye(model.n_outputs)]),
        dt=model.dt,
    )
    starts = [x0 for _, x0 in runs]
    models, failures = [], 0
    with Progress(samples, "bootstrap", "record", show=progress) as bar:
        for _ in range(samples):
            drawn = _simulated(result, source, data, starts, innovations, rng)
            try:
                again = as_instance("estimate(data)", estimate(drawn), (IdentificationResult,))
                models.append(again.model)
            except np.linalg.LinAlgError:
                failures += 1
            bar.update()
    if failures:
        warnings.warn(
            f"{failures} of {samples} simulated records could not be identified; the spread is "
            "that of the others.",
            NumericalWarning,
            stacklevel=2,
        )
    return Bootstrap(result, tuple(models), failures)


def _require_stable(model: InnovationSSM) -> None:
    """Raise if simulated records would not be like the measured one."""
    for name, F in (("A", model.A), ("the predictor A - K C", model.A - model.K @ model.C)):
        if (margin := stability_margin(F, 1.0)) <= 0:
            raise UnstableModelError(
                f"bootstrap needs a stable model: {name} has an eigenvalue of modulus "
                f"{1 - margin:.6g}, so simulated records would not be like the measured one. "
                "Identify with stable=True, or refine by pem.",
                stability_margin=margin,
            )


def _same_again(result: IdentificationResult) -> Estimate:
    """Return what identifies a record as the result was identified."""
    options, model = result.options, result.model
    if result.method == "pem" and options.get("stop") != "held-out":
        fixed = None
        if result.covariance is not None:
            held = System.from_model(model).with_vector(np.diag(result.covariance)).parts()
            fixed = {name: part == 0 for name, part in zip(NAMES, held, strict=True)}
        return lambda data: pem(
            result,
            data,
            focus=options["focus"],
            horizon=options["horizon"],
            offset=options["offset"],
            fixed=fixed,
        )
    again = subspace_again(result)
    if again is None:
        raise ValueError(
            f"how to identify a record by {result.method!r} again is not known: give "
            "`estimate`, a function of an Experiments that returns a result."
        )
    return again


def _simulated(
    result: IdentificationResult,
    source: LinearSSM,
    data: Experiments,
    starts: list[np.ndarray],
    innovations: np.ndarray,
    rng: np.random.Generator,
) -> Experiments:
    """Return one simulated record: the inputs as they were, innovations drawn again."""
    y0, u0 = result.offset
    outputs = []
    for u, x0 in zip(data.u, starts, strict=True):
        drawn = innovations[rng.integers(innovations.shape[0], size=u.shape[0])]
        outputs.append(y0 + simulate(source, np.hstack([u - u0, drawn]), x0=x0).y)
    return replace(data, y=tuple(outputs))
