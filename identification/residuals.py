r"""Is the prediction error unpredictable? Tests of the residuals, with simultaneous bands.

A good model has used what the past tells: its residuals are white and uncorrelated with past
inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from realization.internal import as_instance, as_integer, as_real, counted

from .data import Experiments
from .lag_sums import lag_sums
from .validation import MODELS, Model, in_data_units, require_fitting

__all__ = ["CONFIDENCE", "LAGS", "ResidualTests", "residual_tests", "whiteness"]

LAGS = 25
CONFIDENCE = 0.99  # probability that a perfect model passes a test


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
        probability `confidence`.
    cross_correlation : (2 lags + 1, p, m) ndarray
        Correlation of e(t + k) with u(t), k = -lags .. lags.
    cross_correlation_band : (p, m) ndarray
        Half-width of the band for the lags k >= 0 (past inputs).
    ljung_box : float
        Multivariate Ljung-Box statistic (Hosking 1980).
    ljung_box_p_value : float
        Probability of a larger value for white residuals.
    confidence : float
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
    confidence: float
    whiteness_ok: bool
    independence_ok: bool
    output_names: tuple[str, ...]
    input_names: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether both tests pass."""
        return self.whiteness_ok and self.independence_ok

    def __repr__(self) -> str:
        white = f"whiteness {_verdict(self.whiteness_ok)}, p-value {self.ljung_box_p_value:.3g}"
        free = f", independence {_verdict(self.independence_ok)}" if self.input_names else ""
        return f"ResidualTests({white}{free})"

    def __str__(self) -> str:
        """Return the verdicts in words."""
        lags = self.autocorrelation.shape[0] - 1
        lines = [
            f"whiteness of the residuals, lags 1..{lags}: {_verdict(self.whiteness_ok)} "
            f"(Ljung-Box {self.ljung_box:.4g}, p-value {self.ljung_box_p_value:.3g})"
        ]
        if self.cross_correlation.shape[2]:
            ratio = np.abs(self.cross_correlation[lags:]) / self.cross_correlation_band
            lines.append(
                f"independence of past inputs, lags 0..{lags}: {_verdict(self.independence_ok)} "
                f"(largest correlation {ratio.max():.2f} of its {100 * self.confidence:g} % band)"
            )
        return "\n".join(lines)


def _verdict(ok: bool) -> str:
    """Return how a test ended, in a word."""
    return "pass" if ok else "FAIL"


def residual_tests(
    result: Model, y: Any, u: Any = None, *, lags: int = LAGS, confidence: float = CONFIDENCE
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
    confidence : float, default 0.99
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
    UnstableModelError
        If the prediction grows so much over a run that it means nothing.

    See Also
    --------
    plot_residuals : The correlations with their bands.
    compare : How large the errors are.

    Notes
    -----
    Whiteness: Hosking's multivariate Ljung-Box statistic
    :math:`T^2 \sum_k (T - k)^{-1} \operatorname{tr}(C_k^\top C_0^{-1} C_k C_0^{-1})`, chi-square
    with :math:`p^2 \text{lags}` degrees of freedom for a perfect model. On the record that a model
    was fitted to, the statistic is smaller by about its number of noise parameters; on another
    record the errors of the parameters show in it as well. Independence: the largest
    cross-correlation against its simultaneous band; the standard deviation of a correlation is
    :math:`(\sum_k r_{ee}(k) r_{uu}(k) / T)^{1/2}` (Ljung 1999, section 16.6), which allows for
    coloured inputs. Cost: O(T (p + m) (p + m + log(lags))).

    References
    ----------
    J. R. M. Hosking, "The multivariate portmanteau statistic", J. Amer. Statist. Assoc. 75, 1980.

    L. Ljung, *System Identification: Theory for the User*, 2nd edition, Prentice Hall, 1999.

    Examples
    --------
    >>> from identification import residual_tests
    >>> from realization import InnovationSSM, simulate
    >>> plant = InnovationSSM([[0.8]], [[1.0]], [[0.5]], [[1.0]])
    >>> y = simulate(plant, steps=1000, noise=True, rng=0).y
    >>> residual_tests(plant, y).ok
    True
    >>> residual_tests(InnovationSSM([[0.8]], [[1.0]], [[0.0]], [[1.0]]), y).ok
    False
    """
    lags = as_integer("lags", lags, minimum=1)
    confidence = as_real("confidence", confidence, above=0.0, below=1.0)
    as_instance("result", result, MODELS)
    data = Experiments.from_data(y, u, dt=result.dt)
    require_fitting("`result`", result, data, 1)
    shortest = min(run.shape[0] for run in data.y)
    if shortest <= lags:
        raise ValueError(
            f"`lags` = {lags} needs longer runs; the shortest has {counted(shortest, 'sample')}."
        )
    residuals = tuple(
        run_y - in_data_units(result, run_y, run_u, 1)[0]
        for run_y, run_u in zip(data.y, data.u, strict=True)
    )
    T, p, m = data.n_samples, data.n_outputs, data.n_inputs
    e = tuple(run - run.mean(axis=0) for run in residuals)
    u_runs = tuple(run - run.mean(axis=0) for run in data.u)
    covariances = _cross_covariances(e, e, lags)
    C0 = covariances[0]
    spread = np.sqrt(np.where(np.diag(C0) > 0, np.diag(C0), 1.0))
    autocorrelation = covariances / np.outer(spread, spread)
    statistic, p_value = _ljung_box(tuple(run / spread for run in e), lags)
    band = _simultaneous_quantile(confidence, lags * p * p) / np.sqrt(T)
    cross, cross_band = np.zeros((2 * lags + 1, p, m)), np.ones((p, m))
    if m:
        cross, variance = _with_inputs(e, u_runs, spread, autocorrelation)
        cross_band = _simultaneous_quantile(confidence, (lags + 1) * p * m) * np.sqrt(variance)
    return ResidualTests(
        residuals,
        autocorrelation,
        float(band),
        cross,
        cross_band,
        statistic,
        p_value,
        confidence,
        whiteness_ok=p_value >= 1 - confidence,
        independence_ok=bool((np.abs(cross[lags:]) <= cross_band).all()),
        output_names=data.output_names,
        input_names=data.input_names,
    )


def _with_inputs(
    e: tuple[np.ndarray, ...],
    u: tuple[np.ndarray, ...],
    spread: np.ndarray,
    autocorrelation: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return correlations with the inputs, lags -h .. h, and their variance if all are zero."""
    T, lags = sum(run.shape[0] for run in e), len(autocorrelation) - 1
    forward, backward = _cross_covariances(e, u, lags), _cross_covariances(u, e, lags)
    input_covariances = _cross_covariances(u, u, lags)
    power = np.diagonal(input_covariances[0])
    scale = np.outer(spread, np.sqrt(np.where(power > 0, power, 1.0)))
    cross = np.concatenate([backward[:0:-1].transpose(0, 2, 1), forward]) / scale
    r_ee = np.diagonal(autocorrelation, axis1=1, axis2=2)
    r_uu = np.diagonal(input_covariances, axis1=1, axis2=2) / np.where(power > 0, power, 1.0)
    variance = (2 * r_ee.T @ r_uu - np.outer(r_ee[0], r_uu[0])) / T
    return cross, np.maximum(variance, 1.0 / T)


def whiteness(residuals: Sequence[np.ndarray]) -> float | None:
    """Return the p-value of the Ljung-Box test of ``residual_tests``; None if samples are missing.

    With fewer lags than there if a run is short, None if it is too short for any.
    """
    lags = min(LAGS, min(run.shape[0] for run in residuals) - 1)
    spread = np.std(np.vstack(residuals), axis=0)
    if lags < 1 or np.isnan(spread).any():
        return None
    spread = np.where(spread > 0, spread, 1.0)
    return _ljung_box(tuple((run - run.mean(axis=0)) / spread for run in residuals), lags)[1]


def _ljung_box(e: tuple[np.ndarray, ...], lags: int) -> tuple[float, float]:
    """Return the statistic of centred residuals, and the probability of a larger one.

    The residuals are whitened by their singular vectors: nothing is squared before the division.
    """
    left, sizes, _ = scipy.linalg.svd(np.vstack(e), full_matrices=False)
    T = left.shape[0]
    rank = int(np.sum(sizes > T * np.finfo(float).eps * sizes[0]))
    if rank == 0:
        return 0.0, 1.0
    starts = np.cumsum([run.shape[0] for run in e])[:-1]
    white = tuple(np.split(left[:, :rank] * np.sqrt(T), starts))
    terms = [
        np.sum(C**2) / sum(run.shape[0] - k for run in e)
        for k, C in enumerate(_cross_covariances(white, white, lags))
    ]
    statistic = float(T**2 * np.sum(terms[1:]))
    return statistic, float(scipy.special.chdtrc(rank**2 * lags, statistic))


def _cross_covariances(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], lags: int
) -> np.ndarray:
    """Return sum_t a(t + k) b(t)' / T for k = 0 .. lags, summed over runs."""
    sums = [lag_sums(left, right, lags) for left, right in zip(a, b, strict=True)]
    return np.sum(sums, axis=0) / sum(run.shape[0] for run in a)


def _simultaneous_quantile(confidence: float, count: int) -> float:
    """Return the half-width that holds `count` standard normals at once with this probability."""
    return float(scipy.special.ndtri(0.5 + 0.5 * confidence ** (1.0 / count)))
