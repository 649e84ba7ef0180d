r"""Models of time series, outputs only: data-driven and covariance-driven subspace methods.

The data-driven methods are the steps of ``subspace`` on the ``HankelFactor`` of the record. The
covariance-driven method runs the same steps on the block Toeplitz matrix of sample covariances, in
place of the factor:

    covariances of the record          sample_covariances
    (A, C, N, Lambda_0) from them      realization.covariance_realization
    does any process have these?       realization.is_positive_real
    if not, the noise again            kalman_gain on the Toeplitz matrix: the "residual" repair

A noise covariance made of residuals is positive semidefinite, so a model with that noise and a
stable A is that of a process whatever the data were.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from realization import (
    InnovationSSM,
    NumericalWarning,
    UnstableModelError,
    covariance_realization,
    innovation_form,
    is_positive_real,
    make_positive_real,
    predict,
    to_covariance,
)
from realization.internal import as_choice, as_integer, counted, stability_margin

from .data import Experiments
from .evidence import error_whiteness
from .hankel_factor import HankelFactor
from .lag_sums import lag_sums
from .model_repair import stabilize
from .noise_model import NOISE_FLOOR, kalman_gain
from .observability_shift import state_equation
from .order import CRITERIA, OrderTable
from .preparation import deviations, horizons, require_order
from .projections import FactorBlocks, Weight
from .result import IdentificationResult
from .threads import one_blas_thread
from .validation import fit_percent, fitted_output

__all__ = ["sample_covariances", "stochastic_id"]

METHODS = ("cva", "covariance", "upc", "pc")
WEIGHTINGS: dict[str, Weight | Literal["pc"]] = {"upc": "moesp", "pc": "pc"}  # else "cva"
REPAIRS = ("residual", "white_noise", "shrink")
CLEARANCE = 1e-6  # of Lambda_0: a spectral density this close to zero is repaired
BOUNDARY = 1e-8  # a predictor this far outside the unit circle is on it, to rounding
START = 1000  # samples that decide the initial state when orders are compared
REPAIRED_CLEARANCE = 1e-3  # of Lambda_0: what the repairs of the covariances leave


def sample_covariances(
    y: Any, lags: int, *, offset: Literal["estimate", "none"] = "estimate"
) -> np.ndarray:
    r"""Estimate the covariances of a stationary process from a record.

    .. math:: \hat\Lambda_k = \frac1T \sum_t (y_{t+k} - \bar y)(y_t - \bar y)^\top

    Parameters
    ----------
    y : array_like, DataFrame or list of them
        Outputs (T, p), time first; a list holds several experiments. Products never mix two
        experiments; T is the number of samples of all of them, and the mean is theirs together.
    lags : int
        Largest lag, less than the number of samples of the longest experiment.
    offset : str, default "estimate"
        "estimate" subtracts the sample mean; "none" takes the mean to be zero.

    Returns
    -------
    (lags + 1, p, p) ndarray
        :math:`\hat\Lambda_0` first.

    Raises
    ------
    TypeError
        If the samples are not real numbers, or `lags` is not an integer.
    ValueError
        If shapes disagree, a sample is missing or infinite, `lags` is too large, or `offset` is
        unknown.

    See Also
    --------
    stochastic_id : A model from the record.
    realization.covariance_realization : A model from the covariances.

    Notes
    -----
    The divisor is T, not T - k: the block Toeplitz matrix of the estimates is then positive
    semidefinite, at the price of the bias :math:`-k \Lambda_k / T`. Subtracting the mean adds a
    bias of :math:`-\Phi(1) / T`, :math:`\Phi(1) = \sum_k \Lambda_k` over all positive and negative
    lags, the same at every lag. Costs O(T p (p + log(lags))) operations (FFT of short blocks), in
    memory that does not depend on T; the rounding error is relative to :math:`\Lambda_0`.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import sample_covariances
    >>> y = np.random.default_rng(0).standard_normal((1000, 2))
    >>> covariances = sample_covariances(y, 20)
    >>> e = y - y.mean(axis=0)
    >>> bool(np.allclose(covariances[3], e[3:].T @ e[:-3] / 1000))
    True
    """
    as_choice("offset", offset, ("estimate", "none"))
    lags = as_integer("lags", lags)
    data = deviations(_outputs_only(y, 1.0), offset == "estimate")[0]
    if lags >= (longest := max(run.shape[0] for run in data.y)):
        raise ValueError(
            f"`lags` must be less than the number of samples in a run; got {lags} and {longest}."
        )
    return _covariances(data, lags)


@one_blas_thread
def stochastic_id(
    y: Any,
    order: int | Literal["auto"] = "auto",
    *,
    method: Literal["cva", "covariance", "upc", "pc"] = "cva",
    past: int | None = None,
    future: int | None = None,
    dt: float = 1.0,
    criterion: Literal["svc", "nic", "aic", "bic", "gap"] = "bic",
    repair: Literal["residual", "white_noise", "shrink"] = "residual",
    stable: bool = True,
    offset: Literal["estimate", "none"] = "estimate",
) -> IdentificationResult:
    r"""Identify a stationary process in innovations form from its outputs.

    Finds :math:`(A, C, K, R_e)` of

    .. math:: x_{t+1} = A x_t + K e_t, \qquad y_t = C x_t + e_t, \qquad \operatorname{cov} e_t = R_e

    with A and A - K C stable: the state is what the past of the record says about its future.

    Parameters
    ----------
    y : array_like, DataFrame or list of them
        Outputs (T, p), time first; a list holds several experiments.
    order : int or "auto", default "auto"
        State dimension; "auto" lets `criterion` choose.
    method : str, default "cva"
        What is decomposed. From the data: "cva" the canonical correlations of past and future,
        "upc" (unweighted principal components) the future predicted from the past, "pc" (principal
        components) the covariance of future and past. "covariance" takes the canonical
        correlations that the sample covariances imply.
    past : int, optional
        Past horizon; default 15, less on short records, more when the order asks for it.
    future : int, optional
        Future horizon; default equal to `past`, and equal to it for "covariance". The order is at
        most ``p * (future - 1)``.
    dt : float, default 1.0
        Sample time.
    criterion : str, default "bic"
        Order criterion: "svc", "nic", "aic", "bic" or "gap" (see ``select_order``). "aic" and
        "bic" judge the model of each order by its one-step errors on the record.
    repair : str, default "residual"
        What to do with estimated covariances that belong to no process (for "covariance"; the
        other methods cannot get there): "residual" estimates the noise covariance again from
        the residuals of the state, "white_noise" and "shrink" are those of
        ``realization.make_positive_real``.
    stable : bool, default True
        Move unstable eigenvalues of A inside the unit circle. False keeps them: a predictor of a
        process that is not stationary, for the data-driven methods.
    offset : str, default "estimate"
        "estimate" subtracts the sample mean, "none" takes the mean to be zero.

    Returns
    -------
    IdentificationResult
        The model with singular values, order table, one-step fit, offset, and in ``warnings``
        everything that was changed.

    Raises
    ------
    TypeError
        If the data are not real numbers.
    ValueError
        If the data have inputs, shapes disagree, a sample is missing or infinite, an output is
        constant, the record is too short for the horizons, an option is unknown, the order cannot
        be had with the horizons, or "covariance" is asked for with different horizons or with
        ``stable=False``.
    UnstableModelError
        If ``stable=False`` finds no stable predictor, as on noise-free records that grow; or if
        covariances realize an unstable A and `repair` is one that keeps it ("white_noise",
        "shrink").

    See Also
    --------
    subspace_id : With inputs.
    sample_covariances : What "covariance" starts from.
    em : Maximum likelihood from this start, samples missing or not.

    Notes
    -----
    Outputs are scaled to unit variance inside; the singular values are those of the scaled record.
    A and C come from the shift of the observability matrix, K from the covariance of the residuals
    of the states (Van Overschee and De Moor 1996, chapter 3), which is biased by what a past of
    finite length leaves out: the bias falls geometrically with `past`. For "covariance" K comes
    from the realized covariances, without that bias, unless they had to be repaired. The
    innovation covariance is that of the one-step residuals on the record (of "covariance": the one
    that the covariances imply). The mean is the sample mean; initial states are fitted. Cost:
    O(T (s p)^2) with s = past + future, or O(T p (p + log s)) for "covariance", and O((s p)^3).

    References
    ----------
    P. Van Overschee and B. De Moor, *Subspace Identification for Linear Systems*, Kluwer, 1996.

    H. Akaike, "Markovian representation of stochastic processes by canonical variables", SIAM J.
    Control 13, 1975.

    K. S. Arun and S. Y. Kung, "Balanced approximation of stochastic systems", SIAM J. Matrix Anal.
    Appl. 11, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import stochastic_id
    >>> from realization import InnovationSSM, poles, simulate
    >>> process = InnovationSSM([[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.5], [0.2]], [[1.0]])
    >>> y = simulate(process, steps=4000, noise=True, rng=0).y
    >>> result = stochastic_id(y, 2)
    >>> bool(np.allclose(np.abs(poles(result.model)), np.abs(poles(process)), atol=0.02))
    True
    """
    as_choice("method", method, METHODS)
    as_choice("criterion", criterion, CRITERIA)
    as_choice("repair", repair, REPAIRS)
    as_choice("offset", offset, ("estimate", "none"))
    if order != "auto":
        order = as_integer("order", order)
    if method == "covariance" and not stable:
        raise ValueError(
            'stable=False needs a data-driven method: method="covariance" describes a stationary '
            "process, whose A is stable."
        )
    raw = _outputs_only(y, dt)
    data, y0, _ = deviations(raw, offset == "estimate")
    data, scale = _scaled(data)
    past, future = horizons(data, past, future, order)
    if method == "covariance":
        covariances, blocks = _from_lag_sums(data, past, future)
    else:
        covariances, factor = None, HankelFactor.from_experiments(data, past=past, future=future)
        blocks = FactorBlocks.from_factor(factor, remove_means=offset == "estimate")
    require_order(blocks, order)
    realize = partial(_realize, blocks, WEIGHTINGS.get(method, "cva"), covariances, repair, stable)
    model, said, table, singular_values = realize(order, criterion)
    if order == "auto" and criterion in ("aic", "bic"):
        table = _measured_criteria(table, singular_values.size, realize, data)
        model, said, *_ = realize(table.chosen, criterion)
    y_hat, x0 = zip(
        *(fitted_output(model, y, u, 1) for y, u in zip(data.y, data.u, strict=True)), strict=True
    )
    if covariances is None:
        errors = np.vstack(data.y) - np.vstack(y_hat)
        model = replace(model, Re=errors.T @ errors / data.n_samples)
    if (margin := stability_margin(model.A, 1.0)) <= 0:
        said = (*said, f"A is unstable: largest modulus {1 - margin:.5f}; the process drifts")
    options = {"past": past, "future": future, "criterion": table.criterion, "offset": offset}
    if method == "covariance":
        options["repair"] = repair
    return IdentificationResult(
        model=_in_units(model, scale, raw.dt),
        x0=x0,
        singular_values=singular_values,
        order_table=table,
        method=method,
        options=options,
        offset=(y0, np.zeros(0)),
        warnings=said,
        fits={"one-step prediction": fit_percent(np.vstack(data.y), np.vstack(y_hat))},
        whiteness=error_whiteness(data.y, y_hat),
        n_samples=data.n_samples,
        output_names=raw.output_names,
    )


def _outputs_only(y: Any, dt: float) -> Experiments:
    """Return the checked records of a process without inputs."""
    data = Experiments.from_data(y, dt=dt)
    if data.n_inputs:
        raise ValueError(
            f"the data must have outputs only; got {counted(data.n_inputs, 'input')}. Use "
            "subspace_id, or pass the outputs alone."
        )
    return data


def _scaled(data: Experiments) -> tuple[Experiments, np.ndarray]:
    """Return the records with outputs of unit power, and the scale of each."""
    outputs = np.vstack(data.y)
    spread = np.ptp(outputs, axis=0)
    if not spread.all():
        name = data.output_names[int(np.argmin(spread))]
        raise ValueError(f"output {name!r} is constant: leave it out.")
    scale = np.sqrt(np.mean(outputs**2, axis=0))
    return replace(data, y=tuple(run / scale for run in data.y)), scale


def _covariances(data: Experiments, lags: int) -> np.ndarray:
    """Return the sums of lagged products over all experiments, divided by all samples."""
    total = np.sum([lag_sums(run, run, lags) for run in data.y], axis=0) / data.n_samples
    total[0] = (total[0] + total[0].T) / 2
    return total


def _from_lag_sums(data: Experiments, past: int, future: int) -> tuple[np.ndarray, FactorBlocks]:
    """Return the sample covariances, and the blocks of a process that has these."""
    if past != future:
        raise ValueError(
            f'`past` and `future` must be equal for method="covariance"; got {past} and {future}.'
        )
    covariances = _covariances(data, past + future - 1)
    blocks = FactorBlocks.from_covariances(
        covariances, past=past, future=future, n_samples=data.n_samples
    )
    return covariances, blocks


def _realize(
    blocks: FactorBlocks,
    weight: Weight | Literal["pc"],
    covariances: np.ndarray | None,
    repair: str,
    stable: bool,
    order: int | Literal["auto"],
    criterion: str,
) -> tuple[InnovationSSM, tuple[str, ...], OrderTable, np.ndarray]:
    """Return the model, what was changed, the order table and the singular values."""
    A, C, gamma, table, singular_values = state_equation(blocks, weight, order, criterion)
    found = done = ""
    if covariances is None:
        if stable and stability_margin(A, 1.0) <= 0:
            A, found = stabilize(A)
    else:
        exact, found, done = _from_covariances(covariances, table.chosen, repair)
        if exact is not None:
            said = (f"{found}; {done}",) if found else ()
            return exact, said, table, singular_values
        A = stabilize(A)[0]
    K, Re, said = kalman_gain(blocks, gamma, A, C)
    if (margin := stability_margin(A - K @ C, 1.0)) < -BOUNDARY:
        raise UnstableModelError(
            f"no stable predictor of order {table.chosen} was found (largest modulus of A - K C "
            f"{1 - margin:.5f}): {'; '.join(said)}. Leave stable=False out, or take another order.",
            stability_margin=margin,
        )
    model = InnovationSSM(A, C, K, Re)
    if covariances is not None:
        ratios = np.diag(to_covariance(model).Lambda0) / np.diag(covariances[0])
        found = (
            f"{found}; the noise was estimated again from residuals, which multiplies the "
            f"variances by {ratios.min():.4f} to {ratios.max():.4f}"
        )
    return model, (*([found] if found else []), *said), table, singular_values


def _from_covariances(
    covariances: np.ndarray, order: int, repair: str
) -> tuple[InnovationSSM | None, str, str]:
    """Return the model that estimated covariances realize, what was wrong, what was done.

    No model is returned where something was wrong that the residual repair must put right.
    """
    try:
        cov = covariance_realization(covariances, order)
    except UnstableModelError as error:
        if repair != "residual":
            raise
        radius = 1 - error.stability_margin
        return None, f"the realized A, of spectral radius {radius:.5f}, was made stable", ""
    test = is_positive_real(cov)
    size = float(np.linalg.norm(cov.Lambda0, 2))
    if test.margin >= CLEARANCE * size:
        return innovation_form(cov), "", ""
    found = (
        f"the spectral density of the realized covariances falls to {test.margin / size:.2g} of "
        f"the variance at {test.frequency:.3g} rad per sample and must stay positive"
    )
    if repair == "residual":
        return None, found, ""
    cov, change = make_positive_real(cov, method=repair, margin=REPAIRED_CLEARANCE)  # pyright: ignore[reportArgumentType]
    if repair == "white_noise":
        done = f"white noise of {change.lift / size:.2g} of the variance was added"
    else:
        done = f"covariances at nonzero lags were multiplied by {change.scale:.5f}"
    return innovation_form(cov), found, done


def _measured_criteria(
    table: OrderTable, rank: int, realize: Callable[..., tuple], data: Experiments
) -> OrderTable:
    """Return the table with aic and bic of the models of each order, from their one-step errors."""
    T, p = data.n_samples, data.n_outputs
    log_det = np.full(table.orders.size, np.inf)
    for n in range(min(table.orders.size, rank + 1)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NumericalWarning)
                model = realize(n, table.criterion)[0]
        except np.linalg.LinAlgError:
            continue  # there is no model of this order
        errors = []
        for y, u in zip(data.y, data.u, strict=True):
            x0 = fitted_output(model, y[:START], u[:START], 1)[1]
            errors.append(y - predict(model, y, x0=x0))
        stacked = np.vstack(errors)
        powers = np.linalg.eigvalsh(stacked.T @ stacked / T)
        log_det[n] = np.log(np.maximum(powers, NOISE_FLOOR)).sum()
    parameters = (2 * p + len(data)) * table.orders  # initial states included
    aic, bic = log_det + 2 * parameters / T, log_det + parameters * np.log(T) / T
    table = replace(table, aic=aic, bic=bic)
    return replace(table, chosen=table.best(table.criterion))


def _in_units(model: InnovationSSM, scale: np.ndarray, dt: float) -> InnovationSSM:
    """Return the model of the outputs multiplied by `scale`, with sample time `dt`."""
    C, K, Re = model.C * scale[:, np.newaxis], model.K / scale, model.Re * np.outer(scale, scale)
    return replace(model, C=C, K=K, Re=Re, B=None, D=None, dt=dt)
