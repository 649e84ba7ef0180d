r"""Bilinear models from data: is the input also a multiplier of the state, and how?

::

    subspace    A, C, K by a linear method with inputs [u, u (x) x_hat], then N, B, D by least
                squares, then a better x_hat from that model, and again
    pem         Gauss-Newton on the prediction error, N among the entries
    auto        the best linear model; bilinear models from it; the better one on held-out halves
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from realization import BilinearSSM, UnstableModelError
from realization.internal import Progress, as_choice, as_integer

from .data import Experiments
from .evidence import record_evidence
from .gauss_newton import Solution, minimize
from .held_out import held_out_blocks
from .linearization import Problem, run_chunks
from .local_coordinates import System
from .noise_model import NOISE_FLOOR
from .prediction_error import pem
from .preparation import deviations
from .result import IdentificationResult
from .subspace import subspace_id
from .threads import one_blas_thread
from .validation import fitted_output

__all__ = ["bilinear_id"]

LINEAR_METHODS: tuple[Literal["ssarx", "moesp"], ...] = ("ssarx", "moesp")
ITERATED_METHODS: tuple[Literal["cva", "pbsid"], ...] = ("cva", "pbsid")
ROUNDS = 8  # of the subspace iteration, at most
LEAST_SQUARES_STEPS = 5  # outer Gauss-Newton steps for N, B and D in each round
PATIENCE = 3  # rounds without a better fit that end it
STANDARD_ERRORS = 2.0  # by which a bilinear model must predict held-out halves better
PARTS = 10  # of each half, whose errors tell a gain from chance


@dataclass(frozen=True, slots=True, eq=False)
class _Options:
    """What every identification inside has in common."""

    order: int
    focus: Literal["prediction", "simulation"]
    past: int | None
    future: int | None
    feedthrough: bool
    offset: Literal["estimate", "none"]
    max_iterations: int


@one_blas_thread
def bilinear_id(
    y: Any,
    u: Any,
    order: int,
    *,
    method: Literal["auto", "subspace", "pem"] = "auto",
    focus: Literal["prediction", "simulation"] = "prediction",
    past: int | None = None,
    future: int | None = None,
    dt: float = 1.0,
    feedthrough: bool = True,
    offset: Literal["estimate", "none"] = "estimate",
    max_iterations: int = 100,
    progress: bool = False,
) -> IdentificationResult:
    r"""Identify a bilinear state-space model, or find that a linear one is enough.

    .. math::

        x_{t+1} = A x_t + \sum_i u_{t,i} N_i x_t + B u_t + K e_t, \qquad
        y_t = C x_t + D u_t + e_t.

    Parameters
    ----------
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; a list holds several experiments.
    u : array_like, DataFrame or list of them
        Inputs (T, m) in the same form; None when `y` brings them.
    order : int
        State dimension, at least 1.
    method : str, default "auto"
        "subspace", "pem" (from the best linear model and from the subspace model), or "auto": the
        linear model unless held-out data speak for the bilinear one.
    focus : str, default "prediction"
        What the model is for: "prediction" (one step ahead) or "simulation".
    past : int, optional
        Past horizon of the subspace steps; default as in ``subspace_id``.
    future : int, optional
        Future horizon of the subspace steps.
    dt : float, default 1.0
        Sample time.
    feedthrough : bool, default True
        Estimate D; False sets D = 0.
    offset : str, default "estimate"
        "estimate" identifies around an estimated operating point, "none" uses the data as they are.
    max_iterations : int, default 100
        Most iterations of each refinement.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    IdentificationResult
        `model` is a BilinearSSM, or with "auto" the InnovationSSM of the best linear model when
        bilinearity is not supported by the data: ``result.warnings`` then says so, with the
        numbers.

    Raises
    ------
    TypeError
        If the data are not real numbers or `order` is not an integer.
    ValueError
        If there are no inputs, shapes disagree, a sample is missing, an option is unknown, or the
        record is too short for the order.
    UnstableModelError
        If ``method="subspace"`` diverges in every round.

    See Also
    --------
    pem : The refinement, for a start of one's own.
    subspace_id : Linear models.

    Notes
    -----
    **Subspace.** Favoreel's method asks for white inputs; that of Chen and Maciejowski does not,
    but its block rows grow like :math:`(m + 1)^s` with the horizon s. The route here is that of
    Verdult and Verhaegen: A, C and K by a linear subspace method, then N, B and D by least squares
    on the predicted output. For coloured inputs the bilinear term is no white noise to the linear
    method, so it is made known (Lopes dos Santos, Ramos and Martins de Carvalho): with a state
    estimate :math:`\hat x`, the products :math:`u \otimes \hat x` are further inputs, and the
    model found gives a better :math:`\hat x`, at first from the products :math:`u \otimes y`. The
    size is that of a linear problem with m (1 + n) inputs. The iteration may fail to settle where
    the bilinear part dominates, so the best round is kept.

    **Auto.** Linear models are identified and refined; then a bilinear model is refined from each
    of two starts, the linear model with N = 0 and the subspace model. To decide, all of this is
    done on each half of the record alone and scored on the other half: the bilinear model must
    predict (or simulate) both halves better, and by 2 standard errors of the logarithm of the
    error on the parts of the halves. Halves cost accuracy: weak bilinearity in a short record is
    not recognised.

    A bilinear model is stable for small inputs only: outside the range of the record's inputs it
    may diverge where a linear one would not.

    References
    ----------
    V. Verdult and M. Verhaegen, "Identification of multivariable bilinear state space systems
    based on subspace techniques and separable least squares optimization", International Journal
    of Control 74(18), 2001.

    P. Lopes dos Santos, J. A. Ramos and J. L. Martins de Carvalho, "Identification of bilinear
    systems with white noise inputs: an iterative deterministic-stochastic subspace approach", IEEE
    Transactions on Control Systems Technology 17(5), 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import bilinear_id
    >>> from realization import BilinearSSM, simulate, word_coefficients
    >>> plant = BilinearSSM([[0.8]], [[[0.3]]], [[1.0]], [[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(400)
    >>> y = simulate(plant, u).y + 0.01 * np.random.default_rng(1).standard_normal((400, 1))
    >>> result = bilinear_id(y, u, 1, offset="none")
    >>> found, true = word_coefficients(result.model, 3), word_coefficients(plant, 3)
    >>> all(np.allclose(found[word], true[word], atol=0.01) for word in true)
    True
    """
    as_choice("method", method, ("auto", "subspace", "pem"))
    as_choice("focus", focus, ("prediction", "simulation"))
    as_choice("offset", offset, ("estimate", "none"))
    order = as_integer("order", order, minimum=1)
    max_iterations = as_integer("max_iterations", max_iterations, minimum=1)
    data = Experiments.from_data(y, u, dt=dt)
    if data.n_inputs == 0:
        raise ValueError(
            "`u` must be given: a bilinear model multiplies its state by inputs. For a process "
            "without inputs use stochastic_id."
        )
    options = _Options(order, focus, past, future, feedthrough, offset, max_iterations)
    if method == "subspace":
        found = _subspace(data, options)
        if found is None:
            raise UnstableModelError(
                "the subspace iteration diverged: the bilinear predictor of every round overflows "
                "on the record. Use method='pem', another order, or a smaller input.",
                stability_margin=-np.inf,
            )
        return found
    stages = 1 if method == "pem" else 3
    with Progress(stages, "bilinear_id", "stage", show=progress) as bar:
        linear = _linear(data, options)
        bilinear = _bilinear(data, options, linear)
        bar.update()
        if method == "pem":
            return bilinear
        scores = []
        for train, test in reversed(held_out_blocks(data, 2)):
            half = _linear(train, options)
            scores.append(_gain(half, _bilinear(train, options, half), test, options))
            bar.update()
    return _decided(linear, bilinear, scores, options)


def _refined(start: IdentificationResult, data: Experiments, options: _Options) -> Any:
    """Return a model refined on a record."""
    return pem(
        start,
        data,
        focus=options.focus,
        feedthrough=options.feedthrough,
        offset=options.offset,
        max_iterations=options.max_iterations,
    )


def _linear(data: Experiments, options: _Options) -> IdentificationResult:
    """Return the best refined linear model."""
    starts = [
        subspace_id(
            data,
            order=options.order,
            method=method,
            past=options.past,
            future=options.future,
            focus=options.focus,
            bd=options.focus,
            feedthrough=options.feedthrough,
            offset=options.offset,
        )
        for method in LINEAR_METHODS
    ]
    found = [_refined(start, data, options) for start in starts]
    return min(found, key=lambda result: result.options["criterion"])


def _bilinear(
    data: Experiments, options: _Options, linear: IdentificationResult
) -> IdentificationResult:
    """Return the best refined bilinear model, from the linear model and from the subspace one."""
    model = linear.model
    N = np.zeros((data.n_inputs, options.order, options.order))
    embedded = BilinearSSM(
        model.A, N, model.B, model.C, model.D, K=model.K, Re=model.Re, dt=model.dt
    )
    starts = [replace(linear, model=embedded, method="linear"), _subspace(data, options)]
    found = [_refined(start, data, options) for start in starts if start is not None]
    best = min(found, key=lambda result: result.options["criterion"])
    tried = ", ".join(f"{r.options['start']} {r.options['criterion']:.4f}" for r in found)
    return replace(best, options={**best.options, "tried": f"{tried} (criterion)"})


def _subspace(raw: Experiments, options: _Options) -> IdentificationResult | None:
    """Return the best bilinear model of the subspace iterations; None if every one diverged."""
    data, y0, u0 = deviations(raw, options.offset == "estimate")
    rounds = [r for name in ITERATED_METHODS for r in _rounds(data, name, options)]
    if not rounds:
        return None
    best = min(rounds, key=lambda r: r.point.criterion)
    nuisance = best.point.nuisance
    A, N, B, C, D, K = best.point.system.parts()
    model = BilinearSSM(A, N, B, C, D, K=K, Re=best.point.line.moment)
    fits, whiteness = record_evidence(model, data, nuisance.offset)
    return IdentificationResult(
        model=replace(model, dt=raw.dt),
        x0=nuisance.x0,
        singular_values=best.singular_values,
        order_table=None,
        method="bilinear subspace",
        options={
            "linear method": best.name,
            "focus": options.focus,
            "offset": options.offset,
            "dt": raw.dt,
        },
        offset=(y0 + nuisance.offset, u0),
        fits=fits,
        whiteness=whiteness,
        n_samples=raw.n_samples,
        output_names=raw.output_names,
        input_names=raw.input_names,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """A bilinear model of the iteration."""

    point: Solution
    singular_values: np.ndarray
    name: str


def _rounds(
    data: Experiments, name: Literal["cva", "pbsid"], options: _Options
) -> Iterator[_Round]:
    """Yield bilinear models, each identified with the products u (x) x_hat of the one before."""
    m, n = data.n_inputs, options.order
    states, least, waiting = data.y, np.inf, 0  # the outputs stand for the states at first
    for number in range(ROUNDS):
        # A, C and K by a linear subspace method with inputs [u, u (x) x_hat]
        linear = subspace_id(
            _with_products(data, states),
            order=n,
            method=name,
            past=options.past,
            future=options.future,
            bd=options.focus,
            feedthrough=options.feedthrough and number > 0,  # u (x) y holds y itself
            offset=options.offset,
        )
        s = System.from_model(linear.model)
        D = s.D[:, :m] if options.feedthrough else np.zeros((data.n_outputs, m))
        start = System(s.A, np.zeros((m, n, n)), s.B[:, :m], s.C, D, s.K)
        # N, B and D by least squares
        problem = Problem(
            data,
            1,
            options.focus == "simulation",
            start.entries(N=True, B=True, D=options.feedthrough),
            start.entries(A=True, C=True, K=True),
            np.zeros(data.n_outputs),
            options.offset == "estimate",
        )
        search = minimize(problem, start, max_iterations=LEAST_SQUARES_STEPS)
        if search is None:
            return
        point = search.best
        yield _Round(point, linear.singular_values, name)
        waiting = 0 if point.criterion < least else waiting + 1
        least = min(point.criterion, least)
        if waiting == PATIENCE:
            return
        states = tuple(_states(problem, point, k) for k in range(len(data)))


def _states(problem: Problem, point: Solution, number: int) -> np.ndarray:
    """Return the predicted (or simulated) states (T, n) of one run."""
    chunks = run_chunks(problem, point.system, point.nuisance, number, entries=False)
    return np.vstack([states for _, _, states in chunks])


def _with_products(data: Experiments, states: tuple[np.ndarray, ...]) -> Experiments:
    """Return the records with inputs [u, u (x) x]: input i times every state stands in block i."""
    inputs = tuple(
        np.hstack([u, (u[:, :, np.newaxis] * x[:, np.newaxis]).reshape(len(u), -1)])
        for u, x in zip(data.u, states, strict=True)
    )
    names = tuple(f"u{k}" for k in range(inputs[0].shape[1]))
    return replace(data, u=inputs, input_names=names)


@dataclass(frozen=True, slots=True, eq=False)
class _Gain:
    """What the bilinear model gains over the linear one on a held-out half.

    `linear` and `bilinear` are mean square errors over the variance of the outputs; `logarithms`
    of their ratio on the parts of the half say how sure that is, whatever the size of bursts.
    """

    linear: float
    bilinear: float
    logarithms: np.ndarray


def _gain(
    linear: IdentificationResult,
    bilinear: IdentificationResult,
    test: Experiments,
    options: _Options,
) -> _Gain:
    """Score two models on records that they were not identified from."""
    horizon = np.inf if options.focus == "simulation" else 1
    power = np.var(np.vstack(test.y), axis=0)
    losses = [_losses(result, test, horizon, power) for result in (linear, bilinear)]
    parts = [np.array([part.mean() for part in np.array_split(loss, PARTS)]) for loss in losses]
    with np.errstate(divide="ignore"):
        logarithms = np.log(parts[0] + NOISE_FLOOR) - np.log(parts[1] + NOISE_FLOOR)
    return _Gain(float(losses[0].mean()), float(losses[1].mean()), logarithms)


def _losses(
    result: IdentificationResult, test: Experiments, horizon: float, power: np.ndarray
) -> np.ndarray:
    """Return the squared errors over the variance of the outputs, by sample; inf on overflow."""
    y0, u0 = result.offset
    losses = []
    for y, u in zip(test.y, test.u, strict=True):
        try:
            y_hat, _ = fitted_output(result.model, y - y0, u - u0, horizon)
        except UnstableModelError:  # it diverges on inputs that it has not seen
            return np.full(test.n_samples, np.inf)
        losses.append(np.mean((y - y0 - y_hat) ** 2 / power, axis=1))
    return np.concatenate(losses)


def _decided(
    linear: IdentificationResult,
    bilinear: IdentificationResult,
    gains: list[_Gain],
    options: _Options,
) -> IdentificationResult:
    """Return the bilinear model if both halves speak for it, else the linear one; say why."""
    logarithms = np.concatenate([g.logarithms for g in gains])
    supported = all(g.bilinear < g.linear for g in gains)
    sigmas = -np.inf
    if supported:
        deviation = np.std(logarithms, ddof=1) / np.sqrt(logarithms.size)
        sigmas = logarithms.mean() / max(deviation, np.finfo(float).tiny)
        supported = sigmas > STANDARD_ERRORS
    what = "simulation" if options.focus == "simulation" else "one-step prediction"
    numbers = ", ".join(
        f"linear {_percent(g.linear)}, bilinear {_percent(g.bilinear)}" for g in gains
    )
    text = (
        f"{what} of each half by models of the other, error in % of the standard deviation: "
        f"{numbers}"
    )
    if np.isfinite(sigmas):
        text += f" (better by {sigmas:.1f} standard errors)"
    chosen = bilinear if supported else linear
    if not supported:
        statement = f"bilinearity is not supported by the data, the model is linear: {text}"
        return replace(chosen, warnings=(statement, *chosen.warnings))
    return replace(chosen, options={**chosen.options, "held out": text})


def _percent(loss: float) -> str:
    """Return the root of a relative mean square error in percent; words where it is infinite."""
    return f"{100 * np.sqrt(loss):.2f}" if np.isfinite(loss) else "diverged"
