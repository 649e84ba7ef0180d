"""Changes that are made to an estimated model on request, and what its stability lets say."""

from __future__ import annotations

import numpy as np
import scipy

from realization import InnovationSSM
from realization.internal import stability_margin

__all__ = ["STABLE_RADIUS", "add_input_delay", "stability_warnings", "stabilize"]

STABLE_RADIUS = 0.9995


def stabilize(A: np.ndarray, radius: float = STABLE_RADIUS) -> tuple[np.ndarray, str]:
    """Move the eigenvalues outside a disc to its rim, arguments kept.

    Parameters
    ----------
    A : (n, n) ndarray
        State matrix.
    radius : float, default 0.9995
        Of the disc.

    Returns
    -------
    A : (n, n) ndarray
        The changed matrix: the same Schur vectors and off-diagonal part.
    message : str
        What was moved; empty if nothing was.
    """
    T, Z = scipy.linalg.schur(A, output="real")
    n = A.shape[0]
    moved = []
    k = 0
    while k < n:
        size = 2 if k + 1 < n and T[k + 1, k] != 0.0 else 1
        block = T[k : k + size, k : k + size]
        modulus = float(np.abs(np.linalg.eigvals(block)).max())
        if modulus > radius:
            T[k : k + size, k : k + size] = block * (radius / modulus)
            moved += [modulus] * size
        k += size
    if not moved:
        return A, ""
    moduli = ", ".join(f"{modulus:.5f}" for modulus in moved)
    message = f"eigenvalues of A with moduli {moduli} were moved to {radius:g}"
    return Z @ T @ Z.T, message


def stability_warnings(model: InnovationSSM, advice: str = "") -> tuple[str, ...]:
    """Return sentences about an unstable A (with advice at the end) and an unstable A - K C."""
    said = []
    if (margin := stability_margin(model.A, 1.0)) <= 0:
        said.append(f"A is unstable: largest modulus {1 - margin:.5f}{advice}")
    if (margin := stability_margin(model.A - model.K @ model.C, 1.0)) <= 0:
        said.append(f"the predictor A - K C is unstable: largest modulus {1 - margin:.5f}")
    return tuple(said)


def add_input_delay(model: InnovationSSM, delay: int) -> InnovationSSM:
    """Return the model whose inputs act `delay` samples later, the delay line inside the state.

    Parameters
    ----------
    model : InnovationSSM
        The model driven by u(t - delay).
    delay : int
        Number of samples.

    Returns
    -------
    InnovationSSM
        Order n + m delay, driven by u(t).
    """
    if delay == 0 or model.n_inputs == 0:
        return model
    n, m, p = model.n_states, model.n_inputs, model.n_outputs
    size = m * delay
    A = np.zeros((n + size, n + size))
    A[:n, :n] = model.A
    A[:n, n + size - m :] = model.B
    A[n + m :, n : n + size - m] = np.eye(size - m)
    B = np.zeros((n + size, m))
    B[n : n + m] = np.eye(m)
    C = np.hstack([model.C, np.zeros((p, size - m)), model.D])
    K = np.vstack([model.K, np.zeros((size, p))])
    return InnovationSSM(A, C, K, model.Re, B=B, dt=model.dt)
