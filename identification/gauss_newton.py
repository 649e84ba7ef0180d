r"""Gauss-Newton on the input-output maps: the core that refines linear and bilinear models.

The prediction error is linear in the initial states and in the output offset, so these are
eliminated exactly at every point (variable projection); what is left is minimised over directions
that change the input-output map only. One outer step:

    1  put the state in balanced coordinates of the record
    2  weight the errors by the inverse of their covariance
    3  take local coordinates (``local_basis``)
    4  ``scipy.optimize.least_squares`` in them, its Jacobian from ``derivative_chunks``

Step 2 repeated minimises :math:`\log\det \sum_t e_t e_t^\top`, the Gaussian likelihood: log det is
concave, so it falls whenever the weighted squares do. A trial whose predictor A - K C is unstable
is replaced by the stable predictor of the same process, which is how the likelihood sees it. Rows
are folded into a triangular factor chunk by chunk, in memory that does not depend on the length of
the record.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy

from realization import AccuracyError, NumericalWarning
from realization.internal import solve_filter_riccati

from .linearization import Evaluation, Linearization, Problem, linearize, whitener
from .local_coordinates import System, balancing_transform, local_basis
from .model_repair import stabilize
from .noise_model import NOISE_FLOOR

__all__ = ["Search", "Solution", "criterion", "minimize"]

INNER_DECREASE = 1e-5  # relative decrease of the squares that asks for new coordinates and weights
INNER_EVALUATIONS = 8  # evaluations per local coordinates
TOLERANCE = 1e-6  # part of the weighted error that the free directions may still explain at the end
SLACK = 1e-6  # relative, of a stability margin
STALL = 2e-4  # decrease of the criterion per sample in one outer step that ends the search


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A system on the record.

    Parameters
    ----------
    system : System
        The matrices.
    T : (n, n) ndarray
        Its coordinates: the state of the start is T times that of `system`.
    Tinv : (n, n) ndarray
        The inverse.
    nuisance : Evaluation
        The initial states and the offset.
    line : Linearization
        The second moments.
    criterion : float
        Value of the criterion.
    """

    system: System
    T: np.ndarray
    Tinv: np.ndarray
    nuisance: Evaluation
    line: Linearization
    criterion: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What a search found.

    Parameters
    ----------
    start : Solution or None
        The start on the record; None where its errors overflow.
    best : Solution
        The best point, the start if nothing better was found.
    steps : int
        Outer steps taken.
    converged : bool
        Whether the search ended by itself.
    """

    start: Solution | None
    best: Solution
    steps: int
    converged: bool


def minimize(
    problem: Problem,
    start: System,
    *,
    max_iterations: int,
    report: Callable[[Solution], None] = lambda point: None,
) -> Search | None:
    """Refine a system; None when the errors overflow on the record.

    Parameters
    ----------
    problem : Problem
        What is minimised over what.
    start : System
        Where to start; an unstable one is first replaced by its stable neighbour.
    max_iterations : int
        Most outer steps; with none the start is evaluated.
    report : callable
        Called with the point after each outer step.

    Returns
    -------
    Search or None
        Its best point is never worse than the start.
    """
    power = problem.output_power()
    weight = np.diag(power**-0.5)
    same = np.eye(start.A.shape[0]), np.eye(start.A.shape[0])
    first = point = _point(problem, start, same, weight, power)
    limit = problem.least_margin()
    if (margin := problem.predictor(start).margin()) <= limit:
        moved = _stable_side(problem, start, weight)
        if moved is None:
            limit = margin - SLACK * abs(margin)
        else:
            point = _point(problem, moved, same, weight, power)
    if point is None:
        return None
    stall = STALL / problem.data.n_samples  # 1e-4 of log-likelihood
    steps, converged, radius = 0, False, 1.0
    while steps < max_iterations and not converged:
        system, basis = point.system, (point.T, point.Tinv)
        if system.A.size and not problem.held.any():
            T, Tinv = balancing_transform(point.line.reach, point.nuisance.observe)
            system, basis = system.transformed(T, Tinv), (point.T @ T, Tinv @ point.Tinv)
        if not problem.simulate:
            weight = whitener(point.line.moment, power)
        system, way = _descend(problem, system, weight, limit, radius)
        converged = way is None
        radius = max(1.0, 2.0 * (way or 0.0))
        following = _point(problem, system, basis, weight, power)
        if following is None or following.criterion > point.criterion:
            converged = True
        else:
            converged = converged or point.criterion - following.criterion <= stall
            point = following
        steps += 1
        report(point)
    if first is not None and first.criterion < point.criterion:
        point = first
    return Search(first, point, steps, converged)


def _point(
    problem: Problem,
    system: System,
    basis: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    power: np.ndarray,
) -> Solution | None:
    """Evaluate a system; None on overflow."""
    at = linearize(problem, system, weight, np.zeros((system.vector().size, 0)))
    if at is None:
        return None
    return Solution(system, *basis, *at, criterion(problem, at[1].moment, power))


class _Moved(Exception):  # noqa: N818 - a signal, not an error
    """An accepted point was brought back to the stable side, off the local coordinates."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system


def _descend(
    problem: Problem, system: System, weight: np.ndarray, limit: float, radius: float
) -> tuple[System, float | None]:
    """Minimise the weighted squares in local coordinates from a first trust radius.

    Returns the system and the length of the way, None if there was nothing to gain.
    """
    basis = local_basis(system, problem.free, problem.held)
    origin, d = system.vector(), basis.shape[1]
    if d == 0:
        return system, None
    last: dict[bytes, tuple[Linearization, System | None]] = {}

    def errors(beta: np.ndarray) -> np.ndarray:
        if beta.tobytes() not in last:
            trial, moved = system.with_vector(origin + basis @ beta), None
            if beta.any() and problem.predictor(trial).margin() < limit:
                trial = moved = _stable_side(problem, trial, weight)
            at = None if trial is None else linearize(problem, trial, weight, basis)
            if at is None:
                return np.full(d + 1, np.inf)  # refused: the trust region shrinks
            last.clear()
            last[beta.tobytes()] = at[1], moved
        return last[beta.tobytes()][0].errors

    def jacobian(beta: np.ndarray) -> np.ndarray:
        errors(beta)
        line, moved = last[beta.tobytes()]
        if moved is not None:
            raise _Moved(moved)
        return line.jacobian

    origin_errors, slopes = errors(np.zeros(d)), jacobian(np.zeros(d))
    size = float(np.linalg.norm(origin_errors))
    sizes = np.linalg.norm(slopes, axis=0)
    left, sigma, _ = np.linalg.svd(slopes, full_matrices=False)
    explained = left[:, sigma > 1e-12 * sigma[0]].T @ origin_errors
    if size == 0 or float(np.linalg.norm(explained)) <= TOLERANCE * size:
        return system, None
    scale = size / np.maximum(sizes, 1e-8 * sizes.max())
    try:
        fit = scipy.optimize.least_squares(
            errors,
            np.zeros(d),
            jac=jacobian,
            x_scale=radius * scale,  # the first trust region is a ball in x / x_scale
            ftol=INNER_DECREASE,
            xtol=1e-12,
            gtol=1e-12,
            max_nfev=INNER_EVALUATIONS,
        )
    except _Moved as moved:
        return moved.system, radius
    return system.with_vector(origin + basis @ fit.x), float(np.linalg.norm(fit.x / scale))


def _stable_side(problem: Problem, system: System, weight: np.ndarray) -> System | None:
    """Return the stable neighbour of a system, None if held entries or rounding forbid it.

    A predictor is replaced by that of the same process whose A - K C is stable, where there is
    one; otherwise the eigenvalues of A - K C (of A in a simulation) move to the rim, K kept.
    """
    least, every = problem.least_margin(), system.entries(A=True, K=not problem.simulate)
    if not problem.free[every].all():
        return None
    if not problem.simulate:
        Re = np.linalg.inv(weight.T @ weight)
        Q, S = system.K @ Re @ system.K.T, system.K @ Re
        with warnings.catch_warnings(), contextlib.suppress(AccuracyError, np.linalg.LinAlgError):
            warnings.simplefilter("ignore", NumericalWarning)  # the margin is what is asked for
            _, K, _ = solve_filter_riccati(system.A, system.C, Q, Re, S, dt=1.0)
            mirrored = replace(system, K=K)
            if mirrored.margin() >= least:
                return mirrored
    correction = problem.predictor(system).K @ system.C
    F = stabilize(system.A - correction, 1.0 - (1.0 + SLACK) * least)[0]
    moved = replace(system, A=F + correction)
    return moved if problem.predictor(moved).margin() >= least else None


def criterion(problem: Problem, moment: np.ndarray, power: np.ndarray) -> float:
    """Return the criterion: log det of the error covariance, or the log of the weighted squares.

    Parameters
    ----------
    problem : Problem
        What is minimised over what.
    moment : (p, p) ndarray
        Mean of e e'.
    power : (p,) ndarray
        Variance of the outputs.
    """
    scaled = moment / np.sqrt(np.outer(power, power))
    if problem.simulate:
        return float(np.log(np.trace(scaled) + NOISE_FLOOR))
    return float(np.linalg.slogdet(scaled + NOISE_FLOOR * np.eye(len(power)))[1])
