r"""A Gaussian path in coordinates of unit variance, where time reversal is a transposition.

Write the state as :math:`x_t = m_t + F_t z_t` with :math:`F_t F_t^\top = P_t` and
:math:`\operatorname{cov} z_t = I`. One step of the model and of its reverse are then::

    z_{t+1} = V  z_t     + W  e        y_t = mu_t + C  z_t     + D  e      V = [V, W][:, :r]
    z_t     = V' z_{t+1} + W~ e~       y_t = mu_t + C~ z_{t+1} + D~ e~

with [V, W] orthonormal rows: the row space of :math:`[A F_t, B_w]`. Its complement carries what the
next state does not remember, the noise e~ of the reverse. All covariances of the filters below are
at most the identity, however ill-conditioned or singular :math:`P_t` is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from realization import AccuracyError, BilinearSSM, GaussianSSM, InnovationSSM
from realization.internal import covariance_factor, initial_moments, triangular_factor

from ._factors import RowSpace, joint_factor, row_space

__all__ = ["AnyGaussian", "Link", "WhitenedPath", "run_filter", "stationary_link", "whiten"]

AnyGaussian = GaussianSSM | InnovationSSM | BilinearSSM
LARGEST_RECORD = 1e100  # the squares of its samples, whitened, are numbers


class Link(NamedTuple):
    """One step of a chain of unit variance: z+ = A z + W e, y - mu = C z + D e."""

    A: np.ndarray
    W: np.ndarray
    C: np.ndarray
    D: np.ndarray


class WhitenedPath(NamedTuple):
    """A path of T steps: means, factors of the state covariances, links in both directions."""

    m: np.ndarray  # (T + 1, n)
    mu: np.ndarray  # (T, p)
    factors: list[np.ndarray]  # T + 1 of (n, r_t)
    inverses: list[np.ndarray]  # T + 1 of (r_t, n), left inverses of the factors
    forward: list[Link]  # T, from z_t to z_{t+1}
    backward: list[Link]  # T, from z_{t+1} to z_t


def whiten(model: AnyGaussian, u: np.ndarray) -> WhitenedPath:
    """Return the path of a model from its own initial state, with the inputs u (T, m) known.

    In a BilinearSSM the inputs change the dynamics: A_t = A + sum_i u_{t,i} N_i.
    """
    T = u.shape[0]
    m0, P0, Q, R, S = _moments(model)
    W, D = joint_factor(Q, R, S)
    m = np.empty((T + 1, model.n_states))
    m[0] = m0
    start = row_space(covariance_factor(P0))
    path = WhitenedPath(m, u @ model.D.T, [start.factor], [start.inverse], [], [])
    for t in range(T):
        A = model.A
        if isinstance(model, BilinearSSM):
            A = A + np.tensordot(u[t], model.N, axes=1)
        m[t + 1] = A @ m[t] + model.B @ u[t]
        following, forward, backward = _time_links(A, model.C, W, D, path.factors[-1])
        path.factors.append(following.factor)
        path.inverses.append(following.inverse)
        path.forward.append(forward)
        path.backward.append(backward)
    path.mu[:] += m[:-1] @ model.C.T
    return path


def _time_links(
    A: np.ndarray, C: np.ndarray, W: np.ndarray, D: np.ndarray, F: np.ndarray
) -> tuple[RowSpace, Link, Link]:
    """Return the next state's factor (with its inverse), the forward and the backward link."""
    r = F.shape[1]
    following = row_space(np.hstack([A @ F, W]))
    output = np.hstack([C @ F, D])
    rows, rest = following.rows, following.rest
    forward = Link(rows[:, :r], rows[:, r:], output[:, :r], output[:, r:])
    backward = Link(rows[:, :r].T, rest[:, :r].T, output @ rows.T, output @ rest.T)
    return following, forward, backward


def stationary_link(
    A: np.ndarray, C: np.ndarray, W: np.ndarray, D: np.ndarray, P: RowSpace
) -> Link:
    """Return the backward link of a stationary model; P splits a factor of its covariance.

    Both ends use the same coordinates, so that the links compose. Rounding makes the rows of
    ``P.inverse [A F, W]`` nearly orthonormal only, the last ones (of the smallest deviations)
    least: they are corrected in that order.
    """
    r = P.factor.shape[1]
    rows = P.inverse @ np.hstack([A @ P.factor, W])
    basis, triangle = np.linalg.qr(rows.T, mode="complete")
    rows = (basis[:, :r] * np.where(np.diag(triangle) < 0, -1.0, 1.0)).T
    rest, output = basis[:, r:].T, np.hstack([C @ P.factor, D])
    return Link(rows[:, :r].T, rest[:, :r].T, output @ rows.T, output @ rest.T)


def run_filter(
    links: list[Link], deviations: np.ndarray, r: int
) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Run the Kalman filter along a chain that starts from unit covariance.

    Parameters
    ----------
    links : list of Link
        T steps, in the order in which they are taken.
    deviations : (T, p) ndarray
        y - mu in the same order; NaN marks a missing entry.
    r : int
        Dimension of the first z.

    Returns
    -------
    z : list of (r,) ndarray
        T + 1 means: of each z given the outputs of the links before it.
    L : list of (r, r') ndarray
        Factors of their covariances.
    log_likelihood : float
        Of the observed entries.
    """
    if not np.nansum(np.abs(deviations)) < LARGEST_RECORD:
        raise ValueError(
            f"`y` must be of size {LARGEST_RECORD:g} at most, so that its squares are numbers; "
            "found larger samples. Express it in other units."
        )
    z, L = [np.zeros(r)], [np.eye(r)]
    log_likelihood = 0.0
    for step, (link, y) in enumerate(zip(links, deviations, strict=True)):
        seen = ~np.isnan(y)
        target = np.hstack([link.A @ L[-1], link.W])
        given = row_space(np.hstack([link.C @ L[-1], link.D])[seen])
        if given.factor.shape[1] < seen.sum():
            raise AccuracyError(
                f"The covariance of the innovation at step {step} of the filter is singular: an "
                "output, or a combination of outputs, is determined by the others. Leave outputs "
                "out, or give `R` their measurement noise.",
                residual=0.0,
            )
        with np.errstate(over="ignore", invalid="ignore"):
            white = given.inverse @ (y[seen] - link.C[seen] @ z[-1])
            z.append(link.A @ z[-1] + target @ (given.rows.T @ white))
            power = float(white @ white)
        if not np.isfinite(power):
            raise AccuracyError(
                f"The filter overflows at step {step}: its innovations grow, as with a predictor "
                "that is unstable. Find the innovations model of the same process first.",
                residual=np.inf,
            )
        L.append(triangular_factor((target @ given.rest.T).T).T)
        size = np.linalg.slogdet(given.factor)[1] if seen.any() else 0.0
        log_likelihood -= 0.5 * (seen.sum() * np.log(2 * np.pi) + power) + size
    return z, L, float(log_likelihood)


def _moments(model: AnyGaussian) -> tuple[np.ndarray, ...]:
    """Return m0, P0, Q, R, S of a model whose inputs are known."""
    if isinstance(model, GaussianSSM):
        return *initial_moments(model), model.Q, model.R, model.S
    R = np.zeros((model.n_outputs,) * 2) if model.Re is None else model.Re
    S = model.K @ R
    return model.x0, np.zeros_like(model.A), S @ model.K.T, R, S
