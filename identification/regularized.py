r"""Long impulse responses and predictors that are kept smooth: kernels, with evidence to tune them.

A long FIR or ARX model is linear regression with many coefficients. Left alone it fits the noise;
with a prior that says what an impulse response looks like, decaying and smooth, it does not:

.. math::

    Y = \Phi g + e, \quad g \sim N(0, \sigma^2 P(\theta)), \quad e \sim N(0, \sigma^2 I), \qquad
    \hat g = P \Phi^\top (\Phi P \Phi^\top + I)^{-1} Y.

The parameters of the prior maximise the marginal likelihood ("evidence") of the data, which prices
flexibility by itself. Per channel, for lags i and j:

==========  ==============================================================================
``"dc"``    :math:`\lambda\, \alpha^{(i+j)/2} \rho^{|i-j|}`: diagonal and correlated
``"tc"``    the same with :math:`\rho = \sqrt\alpha`, :math:`\lambda\, \alpha^{\max(i, j)}`: tuned
            and correlated
==========  ==============================================================================

Only the triangular factor of the data enters, so the search does not see the number of samples.
Glossary with the symbols of Chen, Ohlsson and Ljung: ``scale`` lambda, ``decay`` alpha,
``correlation`` rho.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import scipy

from realization.internal import (
    as_choice,
    as_integer,
    counted,
    register_record,
    sized,
    triangular_factor,
)

from .data import Experiments
from .projections import FactorBlocks

__all__ = ["ImpulseResponse", "Kernel", "regularized_fir", "smooth_predictor"]

Kernel = Literal["tc", "dc"]
LARGEST_PRIOR = 1e13  # of a channel, over the noise variance: keeps the factorisation accurate
SMALLEST_PRIOR = 1e-6  # the channel is off
DECAY_LIMITS = (-4.0, 6.0)  # of log(alpha / (1 - alpha)): alpha from 0.018 to 0.9975
CORRELATION_LIMITS = (-4.0, 4.0)  # of artanh(rho)
CHUNK_BYTES = 2**25  # regressors held in memory at one time


@register_record
@dataclass(frozen=True, slots=True, eq=False)
class ImpulseResponse:
    """An estimated impulse response with its standard deviations.

    Parameters
    ----------
    markov : (lags + 1, p, m) ndarray
        Estimated Markov parameters, D first.
    standard_deviation : (lags + 1, p, m) ndarray
        Of the posterior.
    decay : (p, m) ndarray
        Decay per sample of the prior's variance, per channel.
    correlation : (p, m) ndarray
        Correlation of neighbours in the prior, decay apart.
    noise : (p,) ndarray
        Estimated variance of the noise.
    offset : (p,) ndarray
        Constant part of the outputs.
    """

    markov: np.ndarray
    standard_deviation: np.ndarray
    decay: np.ndarray
    correlation: np.ndarray
    noise: np.ndarray
    offset: np.ndarray

    def __repr__(self) -> str:
        largest = self.standard_deviation.max(initial=0.0)
        sizes = sized(markov=self.markov)
        return f"ImpulseResponse({sizes}, standard deviation up to {largest:.2g})"


def regularized_fir(
    y: Any,
    u: Any = None,
    *,
    lags: int = 50,
    kernel: Kernel = "tc",
    feedthrough: bool = True,
) -> ImpulseResponse:
    r"""Estimate an impulse response, kept smooth by a prior that the data tune.

    Fits

    .. math:: y_t = y_0 + \sum_{k=0}^{L} g_k u_{t-k} + e_t

    with the prior :math:`g \sim N(0, P)` of the module's table for every pair of channels; the
    parameters of `P` and the noise variance maximise the marginal likelihood.

    Parameters
    ----------
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; a list holds several experiments.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m) in the same form; needed unless `y` brings them.
    lags : int, default 50
        Last lag L; what the response does later is noise here.
    kernel : str, default "tc"
        "tc", or "dc", which also tunes how neighbours go together.
    feedthrough : bool, default True
        Estimate :math:`g_0`; otherwise it is 0.

    Returns
    -------
    ImpulseResponse
        Markov parameters and their standard deviations, per channel; ``ho_kalman`` turns them into
        a model.

    Raises
    ------
    TypeError
        If the data are not real numbers.
    ValueError
        If there is no input, shapes disagree, a sample is missing, `kernel` is unknown, or no run
        is longer than `lags` + 1 samples.

    See Also
    --------
    subspace_id : ``method="regularized_arx"`` starts from a predictor estimated in this way.

    Notes
    -----
    The first `lags` samples of every run serve as past inputs only. The number of coefficients may
    exceed the number of samples. Cost: O(T d^2) for the factor with d = m (lags + 1), then O(d^3)
    for each of some dozens of evaluations of the marginal likelihood, per output. The noise is
    taken to be white: use ``subspace_id`` where it is not. The standard deviations are those of
    the posterior with the prior's parameters held at their estimates.

    References
    ----------
    T. Chen, H. Ohlsson and L. Ljung, "On the estimation of transfer functions, regularizations and
    Gaussian processes - Revisited", Automatica 48, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import regularized_fir
    >>> from realization import LinearSSM, markov_parameters, simulate
    >>> plant = LinearSSM([[0.8, 0.2], [-0.2, 0.8]], [[1.0], [0.5]], [[1.0, 0.0]])
    >>> rng = np.random.default_rng(0)
    >>> u = rng.standard_normal(200)
    >>> y = simulate(plant, u).y[:, 0] + 0.5 * rng.standard_normal(200)
    >>> error = regularized_fir(y, u).markov - markov_parameters(plant, 51)
    >>> bool(np.linalg.norm(error) < 0.4)
    True
    """
    as_choice("kernel", kernel, ("tc", "dc"))
    lags = as_integer("lags", lags, minimum=1)
    data = Experiments.from_data(y, u)
    if data.n_inputs == 0:
        raise ValueError("`u` is missing: an impulse response needs an input.")
    rows = sum(max(run.shape[0] - lags, 0) for run in data.y)
    if rows < 2:
        raise ValueError(
            f"too few samples: lags = {lags} needs a run of {counted(lags + 2, 'sample')}; the "
            f"longest has {max(run.shape[0] for run in data.y)}. Take fewer lags or more data."
        )
    m, p, first = data.n_inputs, data.n_outputs, 0 if feedthrough else 1
    count = lags + 1 - first
    R = _fir_factor(data, lags, first)
    groups = [np.arange(first, lags + 1)] * m
    markov, deviation = np.zeros((lags + 1, p, m)), np.zeros((lags + 1, p, m))
    shape, noise = np.zeros((2, p, m)), np.zeros(p)
    for k in range(p):
        columns = [*range(1, 1 + count * m), 1 + count * m + k]
        fit = _Regression.from_factor(R[1:, columns], groups, rows).fit(kernel)
        markov[first:, k] = fit.coefficients.reshape(m, count).T
        deviation[first:, k] = fit.deviations.reshape(m, count).T
        shape[:, k], noise[k] = (fit.decay, fit.correlation), fit.noise
    coefficients = markov[first:].transpose(2, 0, 1).reshape(count * m, p)
    offset = (R[0, 1 + count * m :] - R[0, 1 : 1 + count * m] @ coefficients) / R[0, 0]
    return ImpulseResponse(markov, deviation, shape[0], shape[1], noise, offset)


def smooth_predictor(blocks: FactorBlocks) -> np.ndarray:
    r"""Return the coefficients of the next output on the past and the present input, regularised.

    The predictor :math:`\hat y_t = \sum_k (\Xi^u_k u_{t-k} + \Xi^y_k y_{t-k}) + D u_t` has one
    kernel ("tc") per output and channel.

    Parameters
    ----------
    blocks : FactorBlocks
        The data.

    Returns
    -------
    (p, past (m + p) + m) ndarray
        Acting on the rows of Wp and the first m rows of Uf.
    """
    m, p, s = blocks.n_inputs, blocks.n_outputs, blocks.past
    regressors = np.vstack([blocks.Wp, blocks.Uf[:m]])
    back = np.arange(1, s + 1)
    order = [np.append((s - back) * m + j, s * (m + p) + j) for j in range(m)]
    order += [s * m + (s - back) * p + j for j in range(p)]
    groups = [np.append(back, 0)] * m + [back] * p
    at = np.concatenate(order)
    R = triangular_factor(np.vstack([regressors[at], blocks.Yf[:p]]).T)
    theta = np.zeros((p, at.size))
    for k in range(p):
        columns = [*range(at.size), at.size + k]
        fit = _Regression.from_factor(R[:, columns], groups, blocks.n_columns).fit("tc")
        theta[k, at] = fit.coefficients
    return theta


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """What maximises the marginal likelihood, and the coefficients there."""

    coefficients: np.ndarray
    deviations: np.ndarray
    noise: float
    decay: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Regression:
    """One regression ``target ~ regressors @ g``, compressed, its coefficients in groups.

    Parameters
    ----------
    R : (k, d) ndarray
        Triangular factor of the regressors.
    target : (k,) ndarray
        The target in its coordinates.
    rest : float
        Sum of squares of the target outside the regressors.
    lags : list of (d_i,) ndarray
        Lag of each coefficient, per group.
    count : int
        Number of equations.
    """

    R: np.ndarray
    target: np.ndarray
    rest: float
    lags: Sequence[np.ndarray]
    count: int

    @classmethod
    def from_factor(cls, R: np.ndarray, lags: Sequence[np.ndarray], count: int) -> _Regression:
        """Cut the triangular factor of [regressors, target]."""
        d = R.shape[1] - 1
        R = triangular_factor(R)
        return cls(R[:d, :d], R[:d, d], float(np.sum(R[d:, d] ** 2)), lags, count)

    @property
    def slices(self) -> list[slice]:
        """Columns of each group."""
        ends = np.cumsum([0, *(lag.size for lag in self.lags)])
        return [slice(a, b) for a, b in pairwise(ends)]

    def fit(self, kernel: Kernel) -> _Fit:
        """Maximise the marginal likelihood and return the coefficients there."""
        power = float(self.target @ self.target) + self.rest
        if power == 0.0:
            zero = np.zeros(self.R.shape[1])
            return _Fit(zero, zero, 0.0, np.zeros(len(self.lags)), np.zeros(len(self.lags)))
        start, bounds = self._start(kernel, power)
        found = scipy.optimize.minimize(
            self.evidence, start, args=(kernel,), jac=True, method="L-BFGS-B", bounds=bounds
        )
        P, _ = self.prior(found.x, kernel)
        factor, weighted, noise = self._solve(P)
        coefficients = P @ (self.R.T @ weighted)
        half = scipy.linalg.solve_triangular(factor, self.R @ P, lower=True)
        variance = np.maximum(np.diag(P) - np.sum(half**2, axis=0), 0.0)
        _, decay, correlation = _parameters(found.x, kernel, len(self.lags))
        return _Fit(coefficients, np.sqrt(noise * variance), noise, decay, correlation)

    def evidence(self, theta: np.ndarray, kernel: Kernel) -> tuple[float, np.ndarray]:
        r"""Return minus twice the log marginal likelihood, constants apart, and its gradient.

        With :math:`Z = I + R P R^\top` and the noise variance s eliminated it is
        :math:`N \log s + \log\det Z`, where :math:`N s = r^\top Z^{-1} r + \text{rest}`.
        """
        P, derivatives = self.prior(theta, kernel)
        factor, weighted, noise = self._solve(P)
        value = self.count * np.log(noise) + 2.0 * np.log(np.diag(factor)).sum()
        half = scipy.linalg.solve_triangular(factor, self.R, lower=True)
        slope = self.R.T @ weighted
        weight = half.T @ half - np.outer(slope, slope) / noise
        gradient = [np.sum(weight[at, at] * dP) for at, dP in derivatives]
        return float(value), np.array(gradient)

    def prior(
        self, theta: np.ndarray, kernel: Kernel
    ) -> tuple[np.ndarray, list[tuple[slice, np.ndarray]]]:
        """Return P over the noise variance, and its derivatives by the entries of `theta`."""
        scales, decays, correlations = _parameters(theta, kernel, len(self.lags))
        d = self.R.shape[1]
        P = np.zeros((d, d))
        parts: list[list[tuple[slice, np.ndarray]]] = [[], [], []]
        for k, at in enumerate(self.slices):
            lag = self.lags[k]
            alpha, rho = decays[k], correlations[k]
            gap = np.abs(lag[:, np.newaxis] - lag)
            if kernel == "tc":
                latest = np.maximum(lag[:, np.newaxis], lag)
                block = scales[k] * alpha**latest
                slope = latest * (1.0 - alpha)
            else:
                mean = (lag[:, np.newaxis] + lag) / 2.0
                envelope = scales[k] * alpha**mean
                block = envelope * rho**gap
                slope = mean * (1.0 - alpha)
                by_rho = envelope * gap * rho ** np.maximum(gap - 1, 0) * (1.0 - rho**2)
                parts[2].append((at, by_rho))
            P[at, at] = block
            parts[0].append((at, block))
            parts[1].append((at, block * slope))
        return P, parts[0] + parts[1] + parts[2]

    def _solve(self, P: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the lower Cholesky factor of Z, Z^-1 r, and the noise variance."""
        Z = np.eye(self.R.shape[0]) + self.R @ P @ self.R.T
        factor = scipy.linalg.cholesky(Z, lower=True)
        weighted = scipy.linalg.cho_solve((factor, True), self.target)
        return factor, weighted, float(self.target @ weighted + self.rest) / self.count

    def _start(self, kernel: Kernel, power: float) -> tuple[np.ndarray, list[tuple[float, float]]]:
        """Return where the search starts, and its bounds."""
        groups, d = len(self.lags), self.R.shape[1]
        noise = self.rest / (self.count - d) if self.count > 2 * d else 0.1 * power / self.count
        noise = max(noise, power / self.count / LARGEST_PRIOR)
        sizes = np.array([np.mean(np.sum(self.R[:, at] ** 2, axis=0)) for at in self.slices])
        sizes = np.log(np.where(sizes > 0, sizes, 1.0))
        lower, upper = np.log(SMALLEST_PRIOR) - sizes, np.log(LARGEST_PRIOR) - sizes
        scale = np.clip(np.log(0.1 * power / noise) - sizes, lower, upper)
        start = [scale, np.full(groups, np.log(4.0))]  # alpha = 0.8
        bounds = [*zip(lower, upper, strict=True), *[DECAY_LIMITS] * groups]
        if kernel == "dc":
            start.append(np.full(groups, 1.0))
            bounds += [CORRELATION_LIMITS] * groups
        return np.concatenate(start), bounds


def _parameters(
    theta: np.ndarray, kernel: Kernel, groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scale, decay and correlation of each group from the unconstrained parameters."""
    decay = scipy.special.expit(theta[groups : 2 * groups])
    correlation = np.sqrt(decay) if kernel == "tc" else np.tanh(theta[2 * groups :])
    return np.exp(theta[:groups]), decay, correlation


def _fir_factor(data: Experiments, lags: int, first: int) -> np.ndarray:
    """Return the triangular factor of [1 | u by input and lag | y] over all runs."""
    m, p = data.n_inputs, data.n_outputs
    width = 1 + m * (lags + 1 - first) + p
    R = np.zeros((0, width))
    size = max(CHUNK_BYTES // (8 * width), width)
    for y, u in zip(data.y, data.u, strict=True):
        if y.shape[0] <= lags:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(u, lags + 1, axis=0)[..., ::-1]
        for start in range(0, windows.shape[0], size):
            part = windows[start : start + size, :, first:]  # (rows, m, lags)
            rows = part.shape[0]
            target = y[lags + start : lags + start + rows]
            block = np.hstack([np.ones((rows, 1)), part.reshape(rows, -1), target])
            R = triangular_factor(np.vstack([R, block]))
    return R
