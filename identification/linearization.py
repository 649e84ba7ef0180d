"""The errors of a predictor on its record, and their derivatives, compressed.

The error is linear in the initial states and in the output offset: these are the nuisance, solved
for exactly at every point (variable projection). Rows are folded into a triangular factor chunk by
chunk, in memory that does not depend on the length of the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy

from realization.internal import triangular_factor

from .data import Experiments
from .local_coordinates import System
from .noise_model import NOISE_FLOOR

__all__ = [
    "Evaluation",
    "Linearization",
    "Problem",
    "along_basis",
    "fitted_state",
    "linearize",
    "run_chunks",
    "smallest_solution",
    "whitener",
]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is minimised over what.

    Parameters
    ----------
    data : Experiments
        The records, in deviations.
    horizon : int
        Steps ahead.
    simulate : bool
        The model runs without measurements: K plays no part, outputs are weighted by their
        standard deviation.
    free : (q,) ndarray of bool
        Entries of A, N, B, C, D, K that may move.
    held : (q,) ndarray of bool
        Entries that keep their values, in the coordinates of the start. Entries neither free nor
        held follow the basis of the state.
    offset : (p,) ndarray
        Constant added to the predicted output.
    estimate_offset : bool
        Also estimate that constant.
    """

    data: Experiments
    horizon: int
    simulate: bool
    free: np.ndarray
    held: np.ndarray
    offset: np.ndarray
    estimate_offset: bool

    def predictor(self, system: System) -> System:
        """Return the system whose output is fitted."""
        return replace(system, K=np.zeros_like(system.K)) if self.simulate else system

    def least_margin(self) -> float:
        """Return the least stability margin.

        A predictor forgets its start within the longest run. A simulation may nearly integrate, by
        ten times the longest run: slower modes and the offset are polynomials in time on it.
        """
        longest = max(run.shape[0] for run in self.data.y)
        return (0.1 if self.simulate else 1.0) / longest

    def output_power(self) -> np.ndarray:
        """Return the mean square of each output around its mean, all runs together."""
        power = np.var(np.vstack(self.data.y), axis=0)
        return np.where(power > 0, power, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The initial states and the offset that fit a system best.

    Parameters
    ----------
    x0 : tuple of (n,) ndarray
        Initial states.
    offset : (p,) ndarray
        Output offset.
    observe : (n, n) ndarray
        Second moment of the response of the weighted output to the initial state.
    """

    x0: tuple[np.ndarray, ...]
    offset: np.ndarray
    observe: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Linearization:
    """The weighted errors and their derivatives, compressed by an orthogonal transformation.

    Parameters
    ----------
    errors : (d + 1,) ndarray
        Its norm is that of the weighted errors.
    jacobian : (d + 1, d) ndarray
        Derivatives of `errors` along the d local coordinates, the nuisance eliminated.
    moment : (p, p) ndarray
        Mean of e e', not weighted.
    reach : (n, n) ndarray
        Mean of x x'.
    """

    errors: np.ndarray
    jacobian: np.ndarray
    moment: np.ndarray
    reach: np.ndarray


def linearize(
    problem: Problem, system: System, weight: np.ndarray, basis: np.ndarray
) -> tuple[Evaluation, Linearization] | None:
    """Return the best nuisance and the compressed linearisation there; None on overflow.

    Parameters
    ----------
    problem : Problem
        What is fitted to what.
    system : System
        The point.
    weight : (p, p) ndarray
        Multiplies the errors.
    basis : (q, d) ndarray
        Local coordinates of the entries.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = _evaluate(problem, system, weight)
        if found is None:
            return None
        n, p, d = system.A.shape[0], problem.data.n_outputs, basis.shape[1]
        local = n + p if problem.estimate_offset else n
        shared = np.zeros((0, local - n + d + 1))
        moment, reach = np.zeros((p, p)), np.zeros((n, n))
        for number in range(len(problem.data)):
            R = np.zeros((0, local + d + 1))
            for errors, derivatives, states in run_chunks(
                problem, system, found, number, entries=d > 0
            ):
                parts = [derivatives[:, :, :local], errors[:, :, np.newaxis]]
                if d:
                    parts.insert(1, along_basis(derivatives, basis))
                rows = weight @ np.concatenate(parts, axis=2)
                moment += errors.T @ errors
                reach += states.T @ states
                if not (np.isfinite(rows).all() and np.isfinite(reach).all()):
                    return None
                R = triangular_factor(np.vstack([R, rows.reshape(-1, local + d + 1)]))
            shared = triangular_factor(np.vstack([shared, R[n:, n:]]))
    rest = np.zeros((d + 1, d + 1))
    tail = shared[local - n :, local - n :]
    rest[: tail.shape[0]] = tail
    if not (np.isfinite(rest).all() and np.isfinite(moment).all()):
        return None
    N = problem.data.n_samples
    return found, Linearization(rest[:, -1], -rest[:, :-1], moment / N, reach / N)


def _evaluate(problem: Problem, system: System, weight: np.ndarray) -> Evaluation | None:
    """Return the initial states and the offset that fit a system best; None on overflow."""
    n, p = system.A.shape[0], problem.data.n_outputs
    shared, tops = np.zeros((0, p + 1)), []
    observe = np.zeros((n, n))
    zero = Evaluation((np.zeros(n),) * len(problem.data), problem.offset, observe)
    for number in range(len(problem.data)):
        R = np.zeros((0, n + p + 1))
        for errors, derivatives, _ in run_chunks(problem, system, zero, number, entries=False):
            rows = weight @ np.concatenate([derivatives, errors[:, :, np.newaxis]], axis=2)
            if not np.isfinite(rows).all():
                return None
            R = triangular_factor(np.vstack([R, rows.reshape(-1, n + p + 1)]))
        observe = observe + R[:n, :n].T @ R[:n, :n]
        tops.append(R[:n])
        shared = triangular_factor(np.vstack([shared, R[n:, n:]]))
    if not np.isfinite(shared).all() or not np.isfinite(observe).all():
        return None
    correction = np.zeros(p)
    if problem.estimate_offset:
        correction = smallest_solution(shared[:, :p], shared[:, p])
    x0 = tuple(
        smallest_solution(top[:, :n], top[:, -1] - top[:, n:-1] @ correction) for top in tops
    )
    return Evaluation(x0, problem.offset + correction, observe)


def fitted_state(system: System, y: np.ndarray, u: np.ndarray, *, simulate: bool) -> np.ndarray:
    """Return the initial state that fits the predicted (or simulated) output of one run best.

    Zero where that output overflows, which it then does from any state.

    Parameters
    ----------
    system : System
        The matrices.
    y : (T, p) ndarray
        Outputs.
    u : (T, m) ndarray
        Inputs.
    simulate : bool
        Fit the simulated output.
    """
    data = Experiments((y,), (u,), 1.0, (), ())
    nothing = system.entries()
    problem = Problem(data, 1, simulate, nothing, nothing, np.zeros(y.shape[1]), False)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _evaluate(problem, system, np.diag(problem.output_power() ** -0.5))
    return np.zeros(system.A.shape[0]) if found is None else found.x0[0]


def smallest_solution(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the smallest least-squares solution; empty for no unknowns."""
    if matrix.size == 0:
        return np.zeros((matrix.shape[1], *target.shape[1:]))
    return scipy.linalg.lstsq(matrix, target)[0]


def run_chunks(
    problem: Problem, system: System, nuisance: Evaluation, number: int, *, entries: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield errors, derivatives and states of one run, chunk by chunk.

    Parameters
    ----------
    problem : Problem
        What is fitted to what.
    system : System
        The point.
    nuisance : Evaluation
        Initial states and offset.
    number : int
        The run.
    entries : bool
        Include the derivatives along the entries of the matrices.
    """
    from .sensitivity import derivative_chunks

    return derivative_chunks(
        problem.predictor(system),
        problem.data.y[number],
        problem.data.u[number],
        x0=nuisance.x0[number],
        offset=nuisance.offset,
        horizon=problem.horizon,
        entries=entries,
    )


def along_basis(derivatives: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return the derivatives (L, p, d) along local coordinates, by one matrix product.

    Parameters
    ----------
    derivatives : (L, p, q) ndarray
        Along x0, the offset and the entries, which come last.
    basis : (entries, d) ndarray
        Local coordinates of the entries.
    """
    L, p, q = derivatives.shape
    return (derivatives.reshape(L * p, q)[:, q - len(basis) :] @ basis).reshape(L, p, -1)


def whitener(moment: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Return W with W moment W' = I, errors below rounding not counted.

    Parameters
    ----------
    moment : (p, p) ndarray
        Covariance of the errors.
    power : (p,) ndarray
        Variance of the outputs.
    """
    floored = moment + NOISE_FLOOR * np.diag(power)
    left = scipy.linalg.cholesky(floored, lower=True)
    return scipy.linalg.solve_triangular(left, np.eye(len(power)), lower=True)
