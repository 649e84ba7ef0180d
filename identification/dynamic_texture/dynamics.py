r"""The stationary model of a path of coordinates: state matrix by least squares, then its noise.

Least squares makes the one-step error small, and nothing else. On short clips the eigenvalues of A
come out on the unit circle or beyond it, and the residuals drive A to a stationary covariance that
may be a fifth or three times that of the clip. So both are changed, as little as possible:

    A    eigenvalues beyond 1 - 1/T (a memory as long as the clip) are moved there, or nearer to 1
         if that costs one percent of the one-step error more than what stability costs at least
    Q    the covariance whose stationary P = A P A' + Q comes nearest to that of the clip, with the
         same trace; in no direction less than half of what the residuals say

The reverse of the process, P A' P^-1, has the eigenvalues of A: it is as stable.
"""

from __future__ import annotations

import numpy as np

from realization.internal import solve_lyapunov, symmetrize

from ..model_repair import stabilize

__all__ = [
    "limited_rank",
    "residual_covariance",
    "stable_dynamics",
    "stationary_noise",
    "transition",
]

ALLOWED = 0.01  # growth of the one-step error that stability may cost
HALVINGS = 12
ITERATIONS = 60  # a few percent from the minimum on measured clips
POWERS = 20  # of the iteration for the largest slope
SETTLED = 1e-5


def transition(path: np.ndarray) -> np.ndarray:
    """Return the least-squares A (n, n) of x_{t+1} = A x_t on a path (T, n)."""
    return np.linalg.lstsq(path[:-1], path[1:], rcond=None)[0].T


def one_step_error(A: np.ndarray, path: np.ndarray) -> float:
    """Return the sum of squares of x_{t+1} - A x_t."""
    return float(np.sum((path[1:] - path[:-1] @ A.T) ** 2))


def residual_covariance(A: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Return the covariance (n, n) of x_{t+1} - A x_t."""
    errors = path[1:] - path[:-1] @ A.T
    return errors.T @ errors / len(errors)


def stable_dynamics(path: np.ndarray) -> tuple[np.ndarray, float, str]:
    """Return a state matrix with no memory longer than the path, at little cost.

    Parameters
    ----------
    path : (T, n) ndarray
        States.

    Returns
    -------
    A : (n, n) ndarray
        Spectral radius below 1.
    growth : float
        One-step error relative to that of least squares, minus 1.
    message : str
        What was moved; empty if nothing was.
    """
    A = transition(path)
    least = one_step_error(A, path)
    changes = [stabilize(A, 1 - 0.5**k / len(path)) for k in range(HALVINGS)]
    growths = [one_step_error(stable, path) / least - 1 if least else 0.0 for stable, _ in changes]
    first = next(k for k, growth in enumerate(growths) if growth <= growths[-1] + ALLOWED)
    return changes[first][0], growths[first], changes[first][1]


def stationary_noise(
    A: np.ndarray, P: np.ndarray, residual: np.ndarray
) -> tuple[np.ndarray, float]:
    r"""Return the noise covariance that makes a covariance stationary, or nearly.

    Minimises :math:`\|L(Q) - P\|_F` over :math:`Q \succeq Q_e / 2`, with L(Q) the solution of
    :math:`X = A X A^\top + Q` and :math:`Q_e` the covariance of the residuals, and scales the
    minimiser so that the traces agree.

    Parameters
    ----------
    A : (n, n) ndarray
        Stable state matrix.
    P : (n, n) ndarray
        Covariance wanted.
    residual : (n, n) ndarray
        Covariance of the one-step residuals.

    Returns
    -------
    Q : (n, n) ndarray
        Positive semidefinite.
    distance : float
        Relative distance of the stationary covariance from P in the Frobenius norm.

    Notes
    -----
    If P - A P A' is allowed it is the answer. Otherwise accelerated projected gradient, each step
    two Lyapunov equations: L in the eigenbasis of A, where it is a division.
    """
    exact, floor = symmetrize(P - A @ P @ A.T), residual / 2
    if np.linalg.eigvalsh(exact - floor)[0] >= 0:
        return exact, 0.0
    values, V = np.linalg.eig(A)
    W = np.linalg.inv(V)
    division = 1 / (1 - np.outer(values, values.conj()))

    def settle(Q: np.ndarray) -> np.ndarray:
        """Return L(Q)."""
        return (V @ ((W @ Q @ W.conj().T) * division) @ V.conj().T).real

    def adjoint(G: np.ndarray) -> np.ndarray:
        """Return the adjoint of L."""
        return (W.conj().T @ ((V.conj().T @ G @ V) * division.conj()) @ W).real

    slope, direction = 0.0, np.eye(len(A))
    for _ in range(POWERS):
        direction = adjoint(settle(direction))
        slope = float(np.linalg.norm(direction))
        direction = direction / slope
    Q = ahead = floor + _semidefinite(exact - floor)
    momentum = 1.0
    for _ in range(ITERATIONS):
        before = Q
        gradient = adjoint(settle(ahead) - P)
        Q = floor + _semidefinite(ahead - gradient / (1.1 * slope) - floor)
        step = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = Q + (momentum - 1) / step * (Q - before)
        momentum = step
        if np.linalg.norm(Q - before) <= SETTLED * np.linalg.norm(Q):
            break
    reached = solve_lyapunov(A, Q, dt=1.0)
    scale = float(np.trace(P) / np.trace(reached))
    return Q * scale, float(np.linalg.norm(reached * scale - P) / np.linalg.norm(P))


def limited_rank(Q: np.ndarray, noise_rank: int | float | None) -> tuple[np.ndarray, int]:
    """Return the covariance with its leading directions only, and their number.

    A number between 0 and 1 stands for as many directions as hold this share of the trace.
    """
    values, vectors = np.linalg.eigh(Q)
    values, vectors = values[::-1].clip(min=0.0), vectors[:, ::-1]
    rank = int((values > len(Q) * np.finfo(float).eps * values[0]).sum())
    if isinstance(noise_rank, int):
        rank = min(noise_rank, rank)
    elif noise_rank is not None:
        share = np.cumsum(values) / values.sum()
        rank = min(int(np.searchsorted(share, noise_rank)) + 1, rank)
    return (vectors[:, :rank] * values[:rank]) @ vectors[:, :rank].T, rank


def _semidefinite(M: np.ndarray) -> np.ndarray:
    """Return the nearest positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(symmetrize(M))
    return (vectors * values.clip(min=0.0)) @ vectors.T
