r"""How sure the entries of a fitted model are.

With the whitened errors and their derivatives :math:`J` along d local coordinates (initial states
and offset eliminated), the covariance of the coordinates is :math:`(J^\top J)^{-1}` when the errors
are white, and otherwise the sandwich

.. math:: (J^\top J)^{-1}\, \Omega\, (J^\top J)^{-1}, \qquad
          \Omega = \sum_{|k| \le L} \Bigl(1 - \tfrac{|k|}{L+1}\Bigr) \sum_t s_{t+k} s_t^\top,
          \quad s_t = J_t^\top e_t,

which is the sum over sliding windows of L + 1 scores, squared (Newey and West 1987). Covariances
are returned as factors F (q, d) with covariance F F'.
"""

from __future__ import annotations

import numpy as np
import scipy

from realization.internal import counted, triangular_factor

from .gauss_newton import Solution
from .linearization import (
    Problem,
    along_basis,
    linearize,
    run_chunks,
    smallest_solution,
    whitener,
)
from .local_coordinates import System, local_basis

__all__ = ["entries_in_coordinates", "parameter_factor"]

FLAT = 1e-8  # singular value, over the largest, below which a direction counts as undetermined


def parameter_factor(problem: Problem, solution: Solution) -> tuple[np.ndarray | None, str]:
    """Return the factor in the coordinates of the solution, or None and the reason.

    Parameters
    ----------
    problem : Problem
        What was fitted to what.
    solution : Solution
        Where the search ended.

    Returns
    -------
    factor : (q, d) ndarray or None
        The covariance of the entries is factor factor'.
    warning : str
        Why there is none.
    """
    system, power = solution.system, problem.output_power()
    basis = local_basis(system, problem.free, problem.held)
    d = basis.shape[1]
    if d == 0:
        return basis, ""
    weight = np.diag(power**-0.5)
    if not problem.simulate:
        weight = whitener(solution.line.moment, power)
    at = linearize(problem, system, weight, basis)
    assert at is not None  # it was finite when the search ended
    R = at[1].jacobian[:d]
    sizes = np.linalg.norm(R, axis=0)
    spread = np.linalg.svd(R / np.where(sizes > 0, sizes, 1.0), compute_uv=False)
    flat = int(np.sum(spread <= FLAT * spread[0]))
    if flat:
        return None, (
            f"no parameter covariance: the record does not determine {flat} of "
            f"{counted(d, 'direction')} (singular values {spread[0]:.2g} to {spread[-1]:.2g}); a "
            "smaller order may do"
        )
    samples = problem.data.n_samples * problem.data.n_outputs
    unknowns = d + system.A.shape[0] * len(problem.data)
    unknowns += problem.data.n_outputs if problem.estimate_offset else 0
    inflation = np.sqrt(samples / max(samples - unknowns, 1))
    inverse = scipy.linalg.solve_triangular(R, np.eye(d))
    if problem.horizon == 1 and not problem.simulate:
        return inflation * (basis @ inverse), ""
    scores = _windowed_scores(problem, solution, weight, basis)
    return inflation * (basis @ (inverse @ (inverse.T @ scores.T))), ""


def entries_in_coordinates(
    factor: np.ndarray, like: System, T: np.ndarray, Tinv: np.ndarray
) -> np.ndarray:
    """Return the factor of the entries in other coordinates of the state.

    Parameters
    ----------
    factor : (q, d) ndarray
        Columns are deviations of the entries.
    like : System
        A system of these sizes.
    T : (n, n) ndarray
        The new state is ``Tinv`` times the old.
    Tinv : (n, n) ndarray
        Its inverse.
    """
    moved = [like.with_vector(column).transformed(T, Tinv).vector() for column in factor.T]
    return np.array(moved).T.reshape(factor.shape)


def _windowed_scores(
    problem: Problem, solution: Solution, weight: np.ndarray, basis: np.ndarray
) -> np.ndarray:
    """Return R (d, d) with R' R the Bartlett estimate of the covariance of the sum of scores."""
    system, nuisance, data = solution.system, solution.nuisance, problem.data
    n, p, d = system.A.shape[0], data.n_outputs, basis.shape[1]
    fixed = n + p if problem.estimate_offset else n
    tops, shared = [], np.zeros((0, fixed - n + d))
    for number in range(len(data)):
        R = np.zeros((0, fixed + d))
        for _, derivatives, _ in run_chunks(problem, system, nuisance, number, entries=True):
            rows = _local_rows(weight, derivatives, basis, fixed)
            R = triangular_factor(np.vstack([R, rows.reshape(-1, fixed + d)]))
        tops.append(R[:n])
        shared = triangular_factor(np.vstack([shared, R[n:, n:]]))
    offset_part = smallest_solution(shared[:, : fixed - n], shared[:, fixed - n :])
    total = np.zeros((0, d))
    for number, top in enumerate(tops):
        state_part = smallest_solution(top[:, :n], top[:, n:])
        scores = []
        for errors, derivatives, _ in run_chunks(problem, system, nuisance, number, entries=True):
            rows = _local_rows(weight, derivatives, basis, fixed)
            rows = rows[:, :, n:] - rows[:, :, :n] @ state_part
            rows = rows[:, :, fixed - n :] - rows[:, :, : fixed - n] @ offset_part
            scores.append(np.einsum("tkd,tk->td", rows, errors @ weight.T))
        s = np.vstack(scores)
        lags = int(np.sqrt(s.shape[0]))
        sums = np.cumsum(np.vstack([np.zeros((lags + 1, d)), s, np.zeros((lags, d))]), axis=0)
        windows = (sums[lags + 1 :] - sums[: -lags - 1]) / np.sqrt(lags + 1)
        total = triangular_factor(np.vstack([total, windows]))
    square = np.zeros((d, d))
    square[: total.shape[0]] = total
    return square


def _local_rows(
    weight: np.ndarray, derivatives: np.ndarray, basis: np.ndarray, fixed: int
) -> np.ndarray:
    """Return the weighted derivatives along [x0, offset, local coordinates]."""
    along = along_basis(derivatives, basis)
    return weight @ np.concatenate([derivatives[:, :, :fixed], along], axis=2)
