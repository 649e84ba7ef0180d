r"""Coordinates on the set of input-output maps, around a model.

The matrices of a model hold n^2 numbers that change nothing but the basis of the state. Around a
model, :math:`x = (I + X) z` moves the entries along

.. math:: (AX - XA,\; N_i X - X N_i,\; -XB,\; CX,\; 0,\; -XK),

the tangent space of its similarity orbit. Its orthogonal complement is a set of coordinates on the
input-output maps near the model, with nothing redundant and nothing left out (data-driven local
coordinates: McKelvey, Helmersson and Ribarits, Automatica 40, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from realization import BilinearSSM, InnovationSSM, LinearSSM
from realization.internal import stability_margin

__all__ = ["NAMES", "System", "balancing_transform", "local_basis"]

NAMES = ("A", "N", "B", "C", "D", "K")
FLOOR = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """The matrices of a predictor; a linear one has no N, an output-error one K = 0.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    N : (m or 0, n, n) ndarray
        Bilinear matrices.
    B : (n, m) ndarray
        Input matrix.
    C : (p, n) ndarray
        Output matrix.
    D : (p, m) ndarray
        Feedthrough.
    K : (n, p) ndarray
        Gain.
    """

    A: np.ndarray
    N: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    K: np.ndarray

    @classmethod
    def from_model(cls, model: LinearSSM | InnovationSSM | BilinearSSM) -> System:
        """Return the matrices of a model."""
        n = model.n_states
        N = model.N if isinstance(model, BilinearSSM) else np.zeros((0, n, n))
        K = np.zeros((n, model.n_outputs)) if isinstance(model, LinearSSM) else model.K
        return cls(model.A, N, model.B, model.C, model.D, K)

    def parts(self) -> tuple[np.ndarray, ...]:
        """Return A, N, B, C, D, K."""
        return self.A, self.N, self.B, self.C, self.D, self.K

    def vector(self) -> np.ndarray:
        """Return all entries, A, N, B, C, D, K row by row."""
        return np.concatenate([part.ravel() for part in self.parts()])

    def with_vector(self, vector: np.ndarray) -> System:
        """Return the system with these entries."""
        ends = np.cumsum([part.size for part in self.parts()])[:-1]
        pieces = np.split(vector, ends)
        shaped = (new.reshape(old.shape) for new, old in zip(pieces, self.parts(), strict=True))
        return System(*shaped)

    def transformed(self, T: np.ndarray, Tinv: np.ndarray) -> System:
        """Return the system in the coordinates x = T z."""
        A, N = Tinv @ self.A @ T, Tinv @ self.N @ T
        return System(A, N, Tinv @ self.B, self.C @ T, self.D, Tinv @ self.K)

    def margin(self) -> float:
        """Return ``1 - max |eig(A - K C)|``."""
        return stability_margin(self.A - self.K @ self.C, 1.0)

    def entries(self, **values: bool | np.ndarray) -> np.ndarray:
        """Return a mask of all entries, from a mask or one truth value per matrix."""
        masks = [
            np.broadcast_to(np.asarray(values.get(name, False), bool), part.shape).ravel()
            for name, part in zip(NAMES, self.parts(), strict=True)
        ]
        return np.concatenate(masks)

    def orbit_tangent(self) -> np.ndarray:
        """Return the (entries, n^2) derivative of the entries along changes of basis."""
        n = self.A.shape[0]
        X = np.eye(n * n).reshape(n * n, n, n)
        moves = [
            self.A @ X - X @ self.A,
            *(Ni @ X - X @ Ni for Ni in self.N),
            -X @ self.B,
            self.C @ X,
            np.zeros((n * n, *self.D.shape)),
            -X @ self.K,
        ]
        flat = [move.reshape(n * n, int(np.prod(move.shape[1:]))) for move in moves]
        return np.concatenate(flat, axis=1).T


def local_basis(system: System, free: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return orthonormal directions of the free entries that change the input-output map.

    Parameters
    ----------
    system : System
        The point.
    free : (q,) ndarray of bool
        Entries that may move.
    held : (q,) ndarray of bool
        Entries that must keep their values, so that changes of basis that move them do not count
        as redundant. Entries neither free nor held follow the basis.

    Returns
    -------
    (q, d) ndarray
        Zero in the rows that are not free.
    """
    tangent = system.orbit_tangent()
    if held.any() and tangent.size:
        tangent = tangent @ scipy.linalg.null_space(tangent[held])
    redundant = tangent[free]
    basis = np.zeros((free.size, int(free.sum())))
    rank = 0
    if redundant.size:
        Q, R, _ = scipy.linalg.qr(redundant, pivoting=True)
        sizes = np.abs(np.diag(R))
        rank = int(np.sum(sizes > max(R.shape) * np.finfo(float).eps * sizes.max(initial=0.0)))
        basis[free] = Q
    else:
        basis[free] = np.eye(int(free.sum()))
    return basis[:, rank:]


def balancing_transform(reach: np.ndarray, observe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return T of x = T z, and its inverse, that makes two Gramians equal and diagonal.

    Directions that a Gramian does not see get a floor of 1e-12 of the others.

    Parameters
    ----------
    reach : (n, n) ndarray
        Second moment of the states.
    observe : (n, n) ndarray
        Second moment of the response of the output to the initial state.
    """
    n = reach.shape[0]
    scale = np.sqrt(np.where(np.diag(reach) > 0, np.diag(reach), 1.0))
    P = reach / np.outer(scale, scale) + FLOOR * np.eye(n)
    Q = observe * np.outer(scale, scale)
    Q = Q + FLOOR * (float(np.trace(Q)) or 1.0) * np.eye(n)
    left = scipy.linalg.cholesky(P, lower=True)
    sizes, vectors = scipy.linalg.eigh(left.T @ Q @ left)
    sizes = np.maximum(sizes, FLOOR**2 * sizes[-1]) ** 0.25
    T = scale[:, np.newaxis] * (left @ vectors) / sizes
    inverse = scipy.linalg.solve_triangular(left, np.diag(1.0 / scale), lower=True)
    return T, sizes[:, np.newaxis] * (vectors.T @ inverse)
