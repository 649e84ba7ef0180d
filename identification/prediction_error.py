r"""Prediction-error refinement: from a good model to the best one nearby, and how sure it is.

Glossary, with Ljung's symbols (*System Identification*, 1999):

    criterion    log det of the error covariance (maximum likelihood), V_N
    focus        "prediction": e(t) = y(t) - y_hat(t | t - horizon); "simulation": output error
    covariance   of the entries of A, [N,] B, C, D, K row by row, P_theta / N
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from realization import BilinearSSM, InnovationSSM, LinearSSM
from realization.internal import (
    Progress,
    as_choice,
    as_instance,
    as_integer,
    outputs_and_inputs,
    require_discrete,
)

from .data import Experiments
from .early_stopping import BLOCKS, Estimate
from .error_minimization import Task, minimized, unrefined
from .gauss_newton import Solution
from .local_coordinates import System
from .reidentification import subspace_again
from .result import IdentificationResult
from .threads import blas_threads_for

__all__ = ["pem"]

ONE_THREAD = 200  # unknowns up to which BLAS is faster on one thread

Start = IdentificationResult | InnovationSSM | LinearSSM | BilinearSSM


def pem(
    model: Start,
    y: Any,
    u: Any = None,
    *,
    focus: Literal["prediction", "simulation"] = "prediction",
    horizon: int = 1,
    fixed: dict[str, Any] | None = None,
    feedthrough: bool | None = None,
    offset: Literal["auto", "estimate", "none"] = "auto",
    stop: Literal["optimum", "held-out"] = "optimum",
    max_iterations: int = 100,
    progress: bool = False,
) -> IdentificationResult:
    r"""Refine a model by minimising its prediction error or its simulation error.

    From the given model, minimises over all matrices, initial states and the output offset

    .. math:: \log\det \frac1N \sum_t e_t e_t^\top, \qquad e_t = y_t - \hat y_{t \mid t-h},

    the Gaussian likelihood for :math:`h = 1`; with ``focus="simulation"`` the sum of squares of
    the simulation errors, each output in units of its standard deviation.

    Parameters
    ----------
    model : IdentificationResult, InnovationSSM, LinearSSM or BilinearSSM
        Where to start, in discrete time; a bilinear model stays bilinear.
    y : array_like, DataFrame, Experiments or list of arrays
        Outputs (T, p), time first; a list holds several experiments, each with its own initial
        state.
    u : array_like, DataFrame or list of them, optional
        Inputs (T, m) in the same form.
    focus : str, default "prediction"
        What the model is for: "prediction" or "simulation". After a simulation fit K is
        refitted alone, the other matrices held.
    horizon : int, default 1
        Steps ahead, for ``focus="prediction"``.
    fixed : dict of str to bool or ndarray of bool, optional
        Entries that keep their values (a grey box): per matrix "A", "N", "B", "C", "D", "K" a
        mask, or True for all of it.
    feedthrough : bool, optional
        Estimate D; default: unless D of the start is exactly zero.
    offset : str, default "auto"
        "estimate" refines the output offset, "none" keeps it; "auto" does as the result that is
        refined did, and "none" for a plain model.
    stop : str, default "optimum"
        At the "optimum" of the record, or after as many steps as "held-out" blocks of the record
        allow, which may be none; then `model` must be a result of ``subspace_id``.
    max_iterations : int, default 100
        Most outer iterations, each in coordinates of its own.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    IdentificationResult
        The refined model in the coordinates of the start, with refined `Re`, fits and the
        `covariance` of its entries. Where A would be more than 100 times as large there as in
        balanced coordinates, units of the states apart, the model is in these, and says so.

    Raises
    ------
    TypeError
        If `model` is none of these records, is complex, or the data are not real numbers.
    ValueError
        If the model is in continuous time, does not have the channels of the data, an option is
        unknown, the record is too short for the parameters, the errors of the start overflow, or
        ``stop="held-out"`` is asked with `fixed`, or of a start that cannot be identified again.

    See Also
    --------
    subspace_id : Where a start comes from.
    bilinear_id : Bilinear models from data.

    Notes
    -----
    Gauss-Newton with a trust region over directions that change the input-output map only (local
    coordinates: what a change of basis of the state does is projected out); initial states and
    offset are eliminated. A - K C (for simulation A) stays stable, and forgets its initial state
    within the longest run: a trial beyond is replaced by the stable predictor of the same process.
    The result is never worse on the record than the start, and up to a change of basis it is the
    same from every start with the same input-output map. Cost per evaluation: O(T q n (n + p) + T
    p d^2) for q entries and d local coordinates, in memory independent of T. It finds the optimum
    that the start leads to: start from a good model. For up to 200 unknowns
    BLAS runs on one thread.

    The optimum is the best there is where the plant is what the model says. A plant that drifts, or
    has more to it than the order allows, is not: the optimum then has slow modes that follow the
    disturbances of this one record, and predicts the next record worse than the start does.
    ``stop="held-out"`` guards against that: for each third of the record the start is identified
    from the others and refined, and the errors on that third tell after how many steps to stop.
    It costs three times as much, and is less efficient where the guard is not needed.

    `covariance` describes deviations orthogonal to changes of basis, so it is singular with rank
    d, and exact to first order for everything that does not depend on the basis (poles, frequency
    response). Rows of entries that were held are zero; D is always there. For horizon 1 it is
    the inverse of the information matrix; for longer horizons and simulation, where errors are
    correlated in time, the sandwich estimate with a Bartlett window of :math:`\sqrt T` lags (and K
    conditional on the other matrices).

    References
    ----------
    L. Ljung, *System Identification: Theory for the User*, 2nd edition, Prentice Hall, 1999.

    T. McKelvey, A. Helmersson and T. Ribarits, "Data driven local coordinates for multivariable
    linear systems and their application to system identification", Automatica 40, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import pem
    >>> from realization import InnovationSSM, markov_parameters, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> y = simulate(plant, u, noise=True, rng=1).y
    >>> start = InnovationSSM([[0.8]], [[1.0]], [[0.3]], [[1.0]], B=[[0.7]])
    >>> refined = pem(start, y, u)
    >>> error = markov_parameters(refined.model, 10) - markov_parameters(plant, 10)
    >>> bool(np.abs(error).max() < 0.02)
    True
    """
    as_instance("model", model, (IdentificationResult, InnovationSSM, LinearSSM, BilinearSSM))
    as_choice("focus", focus, ("prediction", "simulation"))
    as_choice("offset", offset, ("auto", "estimate", "none"))
    if as_choice("stop", stop, ("optimum", "held-out")) == "held-out" and fixed:
        raise ValueError("stop='held-out' identifies other starts, without the `fixed` entries.")
    horizon = as_integer("horizon", horizon, minimum=1)
    max_iterations = as_integer("max_iterations", max_iterations, minimum=1)
    result = model if isinstance(model, IdentificationResult) else unrefined(model)
    raw = _checked_data(result, y, u, focus, horizon)
    if offset == "auto":
        offset = "estimate" if result.options.get("offset") == "estimate" else "none"
    task = Task(horizon, focus == "simulation", fixed, feedthrough, offset == "estimate")
    again = _again(result) if stop == "held-out" else None
    total = max_iterations * (1 if again is None else 1 + BLOCKS)
    unknowns = System.from_model(result.model).vector().size - result.model.n_states**2
    with (
        blas_threads_for(unknowns, ONE_THREAD),
        Progress(total, "pem", "step", show=progress) as bar,
    ):

        def report(point: Solution) -> None:
            bar.update(criterion=f"{point.criterion:.6f}")

        return minimized(
            task, result, raw, max_iterations=max_iterations, again=again, report=report
        )


def _again(result: IdentificationResult) -> Estimate:
    """Return what identifies a part of the record as the start was identified."""
    again = subspace_again(result)
    if again is None:
        raise ValueError(
            "stop='held-out' identifies parts of the record again, so `model` must be a result of "
            f"subspace_id; got one of {result.method!r}. Use stop='optimum'."
        )
    return again


def _checked_data(
    result: IdentificationResult, y: Any, u: Any, focus: str, horizon: int
) -> Experiments:
    """Check model, options and data against each other; return the records."""
    model = result.model
    require_discrete(model, "pem")
    if any(np.iscomplexobj(part) for part in System.from_model(model).parts()):
        raise TypeError("`model` must be real: pem refines real matrices; got complex ones.")
    if focus == "simulation" and horizon != 1:
        raise ValueError(
            f"`horizon` belongs to focus='prediction'; got {horizon} with focus='simulation'."
        )
    if focus == "simulation" and model.n_inputs == 0:
        raise ValueError(
            "focus='simulation' needs a model with inputs: without any there is nothing to "
            "simulate. Use focus='prediction'."
        )
    data = Experiments.from_data(y, u, dt=model.dt)
    if data.dt != model.dt:
        raise ValueError(f"the data have sample time {data.dt:g}, the model {model.dt:g}.")
    if (model.n_outputs, model.n_inputs) != (data.n_outputs, data.n_inputs):
        raise ValueError(
            f"the model has {outputs_and_inputs(model.n_outputs, model.n_inputs)}; the data have "
            f"{data.n_outputs} and {data.n_inputs}."
        )
    if horizon >= (longest := max(len(run) for run in data.y)):
        raise ValueError(
            f"`horizon` must be below the {longest} samples of the longest run; got {horizon}. To "
            "judge a model by its inputs alone use focus='simulation'."
        )
    return data
