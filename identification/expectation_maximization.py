r"""Maximum likelihood by expectation-maximisation, samples missing or not.

The parameters are those of the innovations model, initial states and output offset included. One
step expects with the ``interior_form`` of the model, maximises over Gaussian models

.. math::

    \begin{bmatrix} x_{t+1} \\ y_t \end{bmatrix}
    = \begin{bmatrix} A & B \\ C & D \end{bmatrix} \begin{bmatrix} x_t \\ u_t \end{bmatrix}
    + \begin{bmatrix} w_t \\ v_t \end{bmatrix}, \qquad
    \operatorname{cov} \begin{bmatrix} w_t \\ v_t \end{bmatrix} = \Sigma
    \quad \text{any covariance},

which is one linear regression of the expected sums (Gibson and Ninness 2005), and returns to the
innovations model by a Riccati equation. Two steps are extrapolated (Varadhan and Roland 2008);
where the likelihood disagrees, the steps themselves are taken.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy

from realization import (
    AccuracyError,
    GaussianSSM,
    InnovationSSM,
    NumericalWarning,
    innovation_form,
    predict,
)
from realization.internal import (
    Progress,
    as_choice,
    as_instance,
    as_integer,
    as_real,
    counted,
    require_discrete,
    stability_margin,
    symmetrize,
)

from .data import Experiments
from .evidence import error_whiteness
from .expectation import ExpectedSums, expected_sums
from .result import IdentificationResult
from .threads import one_blas_thread
from .validation import fit_percent, require_fitting

__all__ = ["em"]

ROUNDING = 1e-10  # of the log-likelihood: a fall by less is none


@one_blas_thread
def em(
    model: IdentificationResult | InnovationSSM | GaussianSSM,
    y: Any,
    u: Any = None,
    *,
    feedthrough: bool | None = None,
    offset: Literal["auto", "estimate", "none"] = "auto",
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    progress: bool = False,
) -> IdentificationResult:
    r"""Refine a model by maximum likelihood, with missing samples where there are any.

    Climbs, from the given model, the log-likelihood of all observed entries,

    .. math:: \log p(y) = -\tfrac12 \sum_t \bigl[ q_t \log 2\pi + \log\det R_{e,t}
        + e_t^\top R_{e,t}^{-1} e_t \bigr],

    :math:`e_t` the :math:`q_t` innovations of the Kalman filter at the entries observed at time t,
    over A, B, C, D, K, Re, the initial state of every experiment and the output offset.

    Parameters
    ----------
    model : IdentificationResult, InnovationSSM or GaussianSSM
        Where to start, in discrete time: ``subspace_id`` or ``stochastic_id`` of the complete
        stretches, for example. A GaussianSSM is taken in its innovations form.
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; NaN marks a missing entry. A list holds several experiments.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m) in the same form, without gaps.
    feedthrough : bool, optional
        Estimate D; default: unless D of the start is exactly zero.
    offset : str, default "auto"
        "estimate" refines the output offset, "none" keeps it; "auto" does as the result that is
        refined did, and "none" for a plain model.
    max_iterations : int, default 200
        Most steps.
    tolerance : float, default 1e-3
        Stop when two steps gain less log-likelihood than this, in nats (natural units: it does not
        depend on the data's). A parameter estimate one standard deviation off loses half a nat.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    IdentificationResult
        The innovations model in the coordinates of the start, with ``log_likelihood`` after each
        step, the start first.

    Raises
    ------
    TypeError
        If `model` is none of these records, is complex, or the data are not real numbers.
    ValueError
        If the model is in continuous time, has a singular innovation covariance or not the
        channels of the data, an output is never observed, an option is unknown, or there are fewer
        observed entries than parameters.
    AccuracyError
        If the outputs do not see a direction of the state, if states and inputs are linearly
        dependent over the record, or if a step lowers the likelihood by more than it can.

    See Also
    --------
    pem : The same likelihood by Gauss-Newton, complete records only; faster near the optimum.
    stochastic_id, subspace_id : Where a start comes from.
    realization.smooth : The states, and so the missing samples, given the model.

    Notes
    -----
    The start has exactly the likelihood of the given model, and the likelihood never falls: a
    step that would lower it ends the search. That happens within about 1/T nats of the optimum,
    because the covariance of the first state, which is tied to the model, is held in each
    regression. The rate of convergence is the share of the information that is observed; with
    extrapolation some tens of steps are usual. It finds the optimum that the start leads to.
    Cost per step: O(T (n + m + p)^2) without gaps, O(T n^3) with gaps. Zeros of the start other
    than D do not stay zero: the model is refined as a map from data to predictions. BLAS runs on
    one thread.

    References
    ----------
    R. H. Shumway and D. S. Stoffer, "An approach to time series smoothing and forecasting using the
    EM algorithm", J. Time Series Anal. 3, 1982.

    S. Gibson and B. Ninness, "Robust maximum-likelihood estimation of multivariable dynamic
    systems", Automatica 41, 2005.

    R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm", Scand. J. Statist. 35, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import em
    >>> from realization import InnovationSSM, simulate
    >>> process = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[1.0]])
    >>> y = simulate(process, steps=2000, noise=True, rng=0).y
    >>> y[np.random.default_rng(1).random(2000) < 0.3] = np.nan
    >>> result = em(InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[2.0]]), y)
    >>> bool(abs(result.model.A[0, 0] - 0.9) < 0.05 and (np.diff(result.log_likelihood) > 0).all())
    True
    """
    as_instance("model", model, (IdentificationResult, InnovationSSM, GaussianSSM))
    as_choice("offset", offset, ("auto", "estimate", "none"))
    max_iterations = as_integer("max_iterations", max_iterations, minimum=1)
    tolerance = as_real("tolerance", tolerance, above=0.0)
    require_discrete(model, "em")
    raw = Experiments.from_data(y, u, dt=model.dt, allow_nan=True)
    require_fitting("`model`", model, raw, 1)
    if offset == "auto":
        asked = model.options.get("offset") if isinstance(model, IdentificationResult) else "none"
        offset = "estimate" if asked == "estimate" else "none"
    start, y0, u0 = _start(model)
    _require_samples(raw, start)
    data = replace(raw, u=tuple(run - u0 for run in raw.u))
    if feedthrough is None:
        feedthrough = bool(start.D.any())
    if not feedthrough:
        start = replace(start, D=np.zeros_like(start.D))
    climb = _Climb(data, feedthrough, offset == "estimate")
    x0 = np.tile(start.x0, (len(data), 1))
    if isinstance(model, IdentificationResult) and len(model.x0) == len(data):
        x0 = np.stack(model.x0)
    first = climb.expect(replace(start, x0=None), x0, y0)
    with Progress(max_iterations, "em", "step", show=progress) as bar:
        best, history, gain = _search(climb, first, max_iterations, tolerance, bar)
    said = []
    if gain >= tolerance:
        said.append(
            f"stopped after {counted(max_iterations, 'step')}, the last two of which gained "
            f"{gain:.2g} nats: raise max_iterations"
        )
    return _result(model, raw, data, best, history, said)


class _Point(NamedTuple):
    """Parameters, and the expected sums that they give."""

    model: InnovationSSM
    x0: np.ndarray  # (k, n): one row per run
    offset: np.ndarray  # (p,)
    sums: ExpectedSums

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of all observed entries."""
        return self.sums.log_likelihood


@dataclass(frozen=True, slots=True, eq=False)
class _Climb:
    """The records, and the two halves of a step on them."""

    data: Experiments
    feedthrough: bool
    free_offset: bool

    def expect(self, model: InnovationSSM, x0: np.ndarray, offset: np.ndarray) -> _Point:
        """Compute the expected sums: the E-step."""
        outputs = tuple(run - offset for run in self.data.y)
        return _Point(model, x0, offset, expected_sums(model, x0, outputs, self.data.u))

    def maximise(self, point: _Point) -> tuple[InnovationSSM, np.ndarray, np.ndarray]:
        """Maximise the expected log-likelihood: the M-step."""
        sums, n = point.sums, point.model.n_states
        p, m = self.data.n_outputs, self.data.n_inputs
        x, u, y = np.arange(n), n + np.arange(m), n + m + np.arange(p)
        # y on what it depends on, then the next state on all: both from one Cholesky factor
        order = np.concatenate([x, u, y] if self.feedthrough else [x, y, u])
        order = np.concatenate([order, n + m + p + x])
        L = _moment_factor(sums.moments[order[:, np.newaxis], order])
        q, r = (n + m if self.feedthrough else n), n + m + p
        CD = np.zeros((p, n + m))
        CD[:, :q] = _coefficients(L, slice(q, q + p), q)
        R = L[q : q + p, q : q + p] @ L[q : q + p, q : q + p].T / sums.count
        next_state = np.zeros((n, r))
        next_state[:, order[:r]] = _coefficients(L, slice(r, r + n), r)
        gain = next_state[:, n + m :]  # S R^-1
        AB = next_state[:, : n + m] + gain @ CD
        Q = gain @ R @ gain.T + L[r:, r:] @ L[r:, r:].T / sums.count
        gaussian = GaussianSSM(
            *(AB[:, :n], CD[:, :n], symmetrize(Q), symmetrize(R), gain @ R),
            B=AB[:, n:],
            D=CD[:, n:],
            P0=np.zeros((n, n)),
            dt=point.model.dt,
        )
        offset = point.offset
        if self.free_offset:  # the mean residual of y, less what that of the state says about it
            mean = sums.totals / sums.count
            errors = mean[n + m :] - np.vstack([CD, AB]) @ mean[: n + m]
            offset = offset + errors[:p] - R @ gain.T @ np.linalg.solve(Q, errors[p:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            return innovation_form(gaussian), sums.first_states, offset


def _search(
    climb: _Climb,
    point: _Point,
    max_iterations: int,
    tolerance: float,
    bar: Progress,
) -> tuple[_Point, list[float], float]:
    """Return the best point, the log-likelihoods on the way, and the gain of the last two steps."""
    history, limit = [point.log_likelihood], 4.0
    while True:
        before = point.log_likelihood
        middle = climb.expect(*climb.maximise(point))
        bar.update(log_likelihood=f"{middle.log_likelihood:.3f}")
        if not _rises(point, middle):
            return point, history, 0.0
        history.append(middle.log_likelihood)
        if len(history) > max_iterations:
            return middle, history, middle.log_likelihood - before
        second = climb.maximise(middle)
        length = _length(point, middle, second)
        ahead = _ahead(climb, point, middle, second, min(length, limit))
        if ahead is None or ahead.log_likelihood < middle.log_likelihood:
            limit = max(limit / 2, 2.0)
            ahead = climb.expect(*second)
            if not _rises(middle, ahead):
                return middle, history, 0.0
        elif length > limit:
            limit *= 4
        bar.update(log_likelihood=f"{ahead.log_likelihood:.3f}")
        history.append(ahead.log_likelihood)
        point = ahead
        gain = point.log_likelihood - before
        if gain < tolerance or len(history) > max_iterations:
            return point, history, gain


def _rises(old: _Point, new: _Point) -> bool:
    """Tell whether a step rises; raise if it falls by more than a step can.

    A step falls only by what another covariance of the first states costs: less than a nat for
    each of their entries.
    """
    fall = old.log_likelihood - new.log_likelihood
    if fall > old.x0.size + ROUNDING * (abs(old.log_likelihood) + old.sums.count):
        raise AccuracyError(
            f"a step of expectation-maximisation lowered the log-likelihood by {fall:.3g}, from "
            f"{old.log_likelihood:.6g}. Likely causes: (a) outputs that are (nearly) linearly "
            "dependent or free of noise, (b) units of the outputs many powers of ten apart.",
            residual=fall,
        )
    return fall < 0


def _length(
    start: _Point, first: _Point, second: tuple[InnovationSSM, np.ndarray, np.ndarray]
) -> float:
    """Return how many steps like the first two lie ahead, if each is the same share of the last."""
    step = _vector(*first[:3]) - _vector(*start[:3])
    bend = _vector(*second) - _vector(*first[:3]) - step
    size = float(np.linalg.norm(bend))
    return max(float(np.linalg.norm(step)) / size, 1.0) if size > 0 else 1.0


def _ahead(
    climb: _Climb,
    start: _Point,
    first: _Point,
    second: tuple[InnovationSSM, np.ndarray, np.ndarray],
    length: float,
) -> _Point | None:
    """Return the point extrapolated from two steps, None where there is no model."""
    if length <= 1.0:
        return None
    origin = _vector(*start[:3])
    step = _vector(*first[:3]) - origin
    bend = _vector(*second) - _vector(*first[:3]) - step
    model, x0, offset = _from_vector(origin + 2 * length * step + length**2 * bend, *second)
    if stability_margin(model.A - model.K @ model.C, 1.0) <= 0:
        return None
    try:
        return climb.expect(model, x0, offset)
    except np.linalg.LinAlgError:
        return None


def _vector(model: InnovationSSM, x0: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return all parameters; of Re the Cholesky factor, with the logarithm of its diagonal."""
    L = np.linalg.cholesky(model.Re)
    np.fill_diagonal(L, np.log(np.diagonal(L)))
    parts = (model.A, model.B, model.C, model.D, model.K, L, x0, offset)
    return np.concatenate([part.ravel() for part in parts])


def _from_vector(
    vector: np.ndarray, model: InnovationSSM, x0: np.ndarray, offset: np.ndarray
) -> tuple[InnovationSSM, np.ndarray, np.ndarray]:
    """Return the parameters in a vector, in the shapes of the given ones."""
    like = (model.A, model.B, model.C, model.D, model.K, model.Re, x0, offset)
    pieces = np.split(vector, np.cumsum([part.size for part in like])[:-1])
    A, B, C, D, K, L, x0, offset = (
        piece.reshape(part.shape) for piece, part in zip(pieces, like, strict=True)
    )
    np.fill_diagonal(L, np.exp(np.diagonal(L)))
    return InnovationSSM(A, C, K, symmetrize(L @ L.T), B=B, D=D, dt=model.dt), x0, offset


def _coefficients(L: np.ndarray, rows: slice, count: int) -> np.ndarray:
    """Return the regression of some variables on the first `count`, from the Cholesky factor."""
    top = L[:count, :count]
    return scipy.linalg.solve_triangular(top, L[rows, :count].T, lower=True, trans="T").T


def _moment_factor(moments: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of the expected second moments."""
    try:
        return np.linalg.cholesky(moments)
    except np.linalg.LinAlgError:
        scale = np.sqrt(np.maximum(np.diagonal(moments), np.finfo(float).tiny))
        sizes = np.linalg.eigvalsh(moments / np.outer(scale, scale))
        raise AccuracyError(
            "states, inputs and outputs are linearly dependent over the record (reciprocal "
            f"condition of their moments {sizes[0] / sizes[-1]:.1e}). Likely causes: (a) an input "
            "that is zero, constant or a copy of another, (b) outputs free of noise, (c) too "
            "large an order.",
            residual=float(sizes[0] / sizes[-1]),
        ) from None


def _start(
    model: IdentificationResult | InnovationSSM | GaussianSSM,
) -> tuple[InnovationSSM, np.ndarray, np.ndarray]:
    """Return the model to start from and its offsets."""
    y0, u0 = np.zeros(model.n_outputs), np.zeros(model.n_inputs)
    if isinstance(model, IdentificationResult):
        (y0, u0), plain = model.offset, as_instance("model.model", model.model, (InnovationSSM,))
    else:
        plain = model
    if any(np.iscomplexobj(part) for part in (plain.A, plain.C)):
        raise TypeError("`model` must be real; got complex matrices.")
    start = innovation_form(plain)
    scale = np.sqrt(np.maximum(np.diagonal(start.Re), np.finfo(float).tiny))
    smallest = float(np.linalg.eigvalsh(start.Re / np.outer(scale, scale))[0])
    if smallest <= np.finfo(float).eps * len(scale):
        raise ValueError(
            f"the innovation covariance must be positive definite; the smallest eigenvalue of its "
            f"correlations is {smallest:.3g}. A model without noise has no likelihood."
        )
    return start, y0, u0


def _require_samples(data: Experiments, model: InnovationSSM) -> None:
    """Raise if an output is never observed, or there are fewer observations than parameters."""
    seen = ~np.isnan(np.vstack(data.y))
    counts = seen.sum(axis=0)
    if not counts.all():
        name = data.output_names[int(np.argmin(counts))]
        raise ValueError(f"output {name!r} is never observed: leave it out.")
    n, p, m = model.n_states, model.n_outputs, model.n_inputs
    parameters = 2 * n * p + m * (n + p) + p * (p + 1) // 2 + p + n * len(data)
    if counts.sum() <= parameters:
        raise ValueError(
            f"too few samples: {parameters} parameters (initial states and offset included) need "
            f"more than {parameters} observed entries; got {int(counts.sum())}. Take a smaller "
            "order or more data."
        )


def _result(
    start: IdentificationResult | InnovationSSM | GaussianSSM,
    raw: Experiments,
    data: Experiments,
    best: _Point,
    history: list[float],
    said: list[str],
) -> IdentificationResult:
    """Assemble the result: fits, offsets, and the evidence of the start."""
    model, y0 = best.model, best.offset
    known = isinstance(start, IdentificationResult)
    y_hat = [
        y0 + predict(model, run - y0, u if model.n_inputs else None, x0=x0)
        for run, u, x0 in zip(data.y, data.u, best.x0, strict=True)
    ]
    if (margin := stability_margin(model.A, 1.0)) <= 0:
        said.append(f"A is unstable: largest modulus {1 - margin:.5f}")
    options = dict(start.options) if known else {}
    options |= {"start": start.method if known else type(start).__name__}
    options["iterations"] = len(history) - 1
    return IdentificationResult(
        model=model,
        x0=tuple(best.x0),
        singular_values=start.singular_values if known else np.zeros(0),
        order_table=start.order_table if known else None,
        method="em",
        options=options,
        offset=(y0, start.offset[1] if known else np.zeros(model.n_inputs)),
        warnings=tuple(said),
        fits={"one-step prediction": fit_percent(np.vstack(raw.y), np.vstack(y_hat))},
        whiteness=error_whiteness(raw.y, y_hat),
        n_samples=raw.n_samples,
        output_names=raw.output_names,
        input_names=raw.input_names,
        log_likelihood=np.array(history),
    )
