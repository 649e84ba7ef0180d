r"""B, D and the initial states, given A and C (and K): two routes.

``from_factor`` solves the robust N4SID equations on the ``HankelFactor`` alone; ``from_data`` is
least squares on the simulated or on the predicted output, a second pass over the data:

.. math::

    \hat y_t = C F^t x_0 + \sum_{k<t} C F^{t-1-k} (G u_k + K y_k) + D u_t, \qquad
    (F, G) = (A, B) \text{ or } (A - KC, B - KD),

which is linear in :math:`(x_0, G, D)`. The regressors of output k are the states of the dual system
:math:`v_{t+1} = F^\top v_t + c_k u_{j,t}`: n signals per output and input instead of n per entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy

from realization import InnovationSSM, LinearSSM
from realization.internal import triangular_factor

from .data import Experiments
from .projections import ROUNDING, FactorBlocks, regress

__all__ = ["InputMatrices", "from_data", "from_factor", "initial_state"]

CHUNK_BYTES = 2**25  # regressors held in memory at one time
DECAY = 4096  # samples after which the effect of an initial state is looked at again


@dataclass(frozen=True, slots=True, eq=False)
class InputMatrices:
    """What a route to B and D returns.

    Parameters
    ----------
    B : (n, m) ndarray
        Input matrix.
    D : (p, m) ndarray
        Feedthrough.
    x0 : tuple of (n,) ndarray
        Initial state of each experiment; empty when the route does not see the data.
    y_offset : (p,) ndarray or 0.0
        Correction of the output offset.
    warnings : tuple of str
        What had to be said about it.
    """

    B: np.ndarray
    D: np.ndarray
    x0: tuple[np.ndarray, ...] = ()
    y_offset: np.ndarray | float = 0.0
    warnings: tuple[str, ...] = ()


def from_factor(
    blocks: FactorBlocks, gamma: np.ndarray, A: np.ndarray, C: np.ndarray, *, feedthrough: bool
) -> InputMatrices:
    r"""Solve the robust N4SID equations for B and D.

    With the joint projections :math:`Z_i` and :math:`Z_{i+1}`, the matrix

    .. math::

        \begin{bmatrix} \underline\Gamma^+ Z_{i+1} \\ Y_{i|i} \end{bmatrix}
        - \begin{bmatrix} A \\ C \end{bmatrix} \Gamma^+ Z_i
        = \mathcal K(B, D)\, U_f + \text{residual}

    is linear in B and D through :math:`\mathcal K` (Van Overschee and De Moor 1996, section
    4.4.2; SLICOT IB01BD). It is solved in least squares, weighted by the data.

    Parameters
    ----------
    blocks : FactorBlocks
        The data.
    gamma : (p future, n) ndarray
        Extended observability matrix.
    A : (n, n) ndarray
        State matrix, in the coordinates of `gamma`.
    C : (p, n) ndarray
        Output matrix.
    feedthrough : bool
        Estimate D; otherwise D is 0.

    Returns
    -------
    InputMatrices
        B and D.
    """
    n, m, p, s = A.shape[0], blocks.n_inputs, blocks.n_outputs, blocks.future
    if m == 0:
        return InputMatrices(np.zeros((n, 0)), np.zeros((p, 0)))
    present = np.linalg.pinv(gamma)
    following = np.linalg.pinv(gamma[:-p])
    joint, joint_next = blocks.projections(0)[1], blocks.projections(1)[1]
    dynamics = np.vstack([A, C]) @ present
    target = np.vstack([following @ joint_next, blocks.Yf[:p]]) - dynamics @ joint
    # K(B, D) U_f = sum_i  M_i [D; B] u_i, u_i the i-th block row of U_f: block i of the future is
    # driven by D at its own time and by Gamma B afterwards
    M = np.empty((s, n + p, p + n))
    for i in range(s):
        tail = s - 1 - i
        effect = np.zeros((s * p, p + n))
        effect[i * p : (i + 1) * p, :p] = np.eye(p)
        effect[(i + 1) * p :, p:] = gamma[: tail * p]
        M[i] = -dynamics @ effect
        if i == 0:
            M[0, :n, p:] += np.eye(n)
            M[0, n:, :p] += np.eye(p)
        else:
            M[i, :n] += following @ effect[p:]
    # the rows of U_f are zero beyond the first f coordinates, which alone decide
    f = blocks.n_future_inputs
    u = blocks.Uf[:, :f].reshape(s, m, f)
    design = np.tensordot(M, u, (0, 0)).transpose(0, 3, 1, 2).reshape(-1, (p + n) * m)
    if not feedthrough:
        design = design[:, p * m :]
    R = triangular_factor(np.column_stack([design, target[:, :f].ravel()]))
    stacked = regress(R[:, -1][np.newaxis], R[:, :-1].T).reshape(-1, m)
    D = stacked[:p] if feedthrough else np.zeros((p, m))
    return InputMatrices(stacked[-n:] if n else np.zeros((0, m)), D)


def from_data(
    A: np.ndarray,
    C: np.ndarray,
    K: np.ndarray | None,
    data: Experiments,
    *,
    feedthrough: bool = True,
    estimate_offset: bool,
    known: InputMatrices | None = None,
) -> InputMatrices:
    r"""Least squares for B, D, x0 on the simulated (`K` None) or the one-step predicted output.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    C : (p, n) ndarray
        Output matrix.
    K : (n, p) ndarray or None
        Kalman gain for the predicted output; None fits the simulated output.
    data : Experiments
        The records, offsets already subtracted.
    feedthrough : bool, default True
        Estimate D; otherwise D is 0.
    estimate_offset : bool
        Also estimate a constant added to each output.
    known : InputMatrices, optional
        B and D when they are known; then only x0 and the offset are estimated.

    Returns
    -------
    InputMatrices
        B, D, one x0 per experiment, and the output offset.

    Notes
    -----
    Outputs are weighted by the inverse of their standard deviation. The normal matrix is never
    formed: rows are folded into a triangular factor chunk by chunk (x0 of each experiment is
    eliminated first), in memory that does not depend on the length of the record.
    """
    n, m, p = A.shape[0], data.n_inputs, data.n_outputs
    F = A if K is None else A - K @ C
    gain = np.zeros((n, p)) if K is None else K
    weights = 1.0 / _deviations(data.y)
    direct = m > 0 and feedthrough and known is None
    n_inputs = 0 if known is not None else n * m + (p * m if direct else 0)
    n_free = n_inputs + (p if estimate_offset else 0)
    shared = np.zeros((0, n_free + 1))
    local: list[np.ndarray] = []
    for y, u in zip(data.y, data.u, strict=True):
        R = np.zeros((0, n + n_free + 1))
        for rows in _regression_rows(F, C, gain, y, u, direct, estimate_offset, weights, known):
            R = triangular_factor(np.vstack([R, rows]))
        local.append(R[:n])
        shared = triangular_factor(np.vstack([shared, R[n:, n:]]))
    theta, warnings = _solve_triangle(shared[:, :-1], shared[:, -1], n_free)
    x0 = tuple(
        scipy.linalg.lstsq(top[:, :n], top[:, -1] - top[:, n:-1] @ theta)[0] if n else np.zeros(0)
        for top in local
    )
    offset = theta[n_free - p :] if estimate_offset else 0.0
    if known is not None:
        return InputMatrices(known.B, known.D, x0, offset, warnings)
    G = theta[: n * m].reshape(m, n).T
    D = theta[n * m : n_inputs].reshape(p, m) if direct else np.zeros((p, m))
    return InputMatrices(G + gain @ D, D, x0, offset, warnings)


def initial_state(
    model: LinearSSM | InnovationSSM, K: np.ndarray | None, y: np.ndarray, u: np.ndarray
) -> np.ndarray:
    """Return the x0 that fits the simulated (`K` None) or predicted output of one run best."""
    run = Experiments((y,), (u[:, : model.n_inputs],), 1.0, (), ())  # checked at the door
    known = InputMatrices(model.B, model.D)
    fit = from_data(model.A, model.C, K, run, known=known, estimate_offset=False)
    return fit.x0[0]


def _regression_rows(
    F: np.ndarray,
    C: np.ndarray,
    K: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    direct: bool,
    constant: bool,
    weights: np.ndarray,
    known: InputMatrices | None,
) -> Iterator[np.ndarray]:
    """Yield chunks of rows [x0 | B by columns | D by rows | offset | target] of one run.

    Row (t, k) belongs to output k at time t; the columns are the derivatives of its simulation or
    prediction. The dual states start at zero, that of x0 at c_k. Known B and D go to the target;
    where only x0 is left, the rows end when its effect has decayed.
    """
    from realization.scan import linear_scan

    n, p, m = C.shape[1], C.shape[0], u.shape[1] if known is None else 0
    signals = np.column_stack([u[:, :m], np.ones((u.shape[0], 1 if constant else 0))])
    width = signals.shape[1]
    columns = n + n * m + (p * m if direct else 0) + (p if constant else 0) + 1
    chunk = max(CHUNK_BYTES // (8 * p * max(columns, (width + 1) * n, 1)), 64)
    if width == 0:
        chunk = min(chunk, DECAY)
    v = np.zeros((p, width + 1, n))
    v[:, 0] = C
    state = np.zeros(n)  # of the known part, driven by K y and by what is known of u
    for start in range(0, y.shape[0], chunk):
        if width == 0 and np.abs(v).max(initial=0.0) < np.finfo(float).eps ** 2 * np.abs(C).max(
            initial=0.0
        ):
            return
        piece_y, piece = y[start : start + chunk], signals[start : start + chunk]
        length = piece.shape[0]
        forcing = np.zeros((p, width + 1, length, n))
        forcing[:, 1:] = piece.T[None, :, :, None] * C[:, None, None, :]
        states = linear_scan(F.T, forcing, v)  # (p, 1 + width, length + 1, n)
        v = states[:, :, -1]
        states = states[:, :, :-1].transpose(2, 0, 1, 3)  # (length, p, 1 + width, n)
        rows = np.zeros((length, p, columns))
        rows[:, :, : n + n * m] = states[:, :, : 1 + m].reshape(length, p, -1)
        at = n + n * m
        if direct:
            for k in range(p):
                rows[:, k, at + k * m : at + (k + 1) * m] = piece[:, :m]
            at += p * m
        if constant:
            rows[:, :, at : at + p] = np.eye(p) - states[:, :, -1] @ K
        drive, target = piece_y @ K.T, piece_y
        if known is not None:
            piece_u = u[start : start + chunk]
            drive = drive + piece_u @ (known.B - K @ known.D).T
            target = target - piece_u @ known.D.T
        path = linear_scan(F, drive, state)
        state = path[-1]
        rows[:, :, -1] = target - path[:-1] @ C.T
        rows *= weights[None, :, None]
        yield rows.reshape(length * p, columns)


def _deviations(runs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the standard deviation of each output over all runs; 1 for a constant one."""
    count = sum(run.shape[0] for run in runs)
    mean = np.add.reduce([run.sum(axis=0) for run in runs]) / count
    square = np.add.reduce([((run - mean) ** 2).sum(axis=0) for run in runs]) / count
    return np.sqrt(np.where(square > 0, square, 1.0))


def _solve_triangle(
    R: np.ndarray, target: np.ndarray, count: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Solve the triangular least-squares problem; minimum norm, and a warning, when it is flat."""
    if count == 0:
        return np.zeros(0), ()
    norms = np.linalg.norm(R, axis=0)
    norms[norms == 0] = 1.0
    solution, _, rank, sizes = scipy.linalg.lstsq(
        R / norms, target, cond=ROUNDING * count, lapack_driver="gelsd"
    )
    if rank < count:
        message = (
            f"the data do not determine B, D and offset: rank {rank} of {count} (singular values "
            f"{sizes[0]:.2g} to {sizes[-1]:.2g}); the smallest solution was taken"
        )
        return solution / norms, (message,)
    return solution / norms, ()
