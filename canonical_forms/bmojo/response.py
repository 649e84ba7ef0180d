"""How well a fading memory reproduces a system, measured: on impulses and on noise."""

from __future__ import annotations

import numpy as np
import torch

from realization import BilinearSSM, UnstableModelError, simulate

from .fading import FadingMemory
from .modes import geometric_horizon
from .parts import System

__all__ = ["extended_response", "response_errors"]

LOUD = 100.0  # how much louder than the linear response a bilinear test response may be


@torch.no_grad()
def response_errors(memory: FadingMemory, system: System) -> tuple[float, float]:
    """Return the errors on impulses and on noise, relative to the peaks of the responses.

    Parameters
    ----------
    memory : FadingMemory
        On the CPU.
    system : InnovationSSM or BilinearSSM
        What it is to be.

    Returns
    -------
    impulse, noise : float
        Of one impulse on each input from rest; of white noise on all inputs from the system's
        initial state. Each input has its own peak. Infinite where the memory overflows.
    """
    m, L = system.n_inputs, geometric_horizon(system.A)
    impulses = np.eye(L, 1) * np.eye(m)[:, np.newaxis]
    u = torch.from_numpy(np.concatenate([impulses, _test_noise(system, L)[np.newaxis]]))
    u = u.to(memory.B.dtype)
    state = memory.initial_state(m + 1)
    for part in state:
        part[:m] = 0.0
    try:
        got = memory(u, state)[0].double().numpy()
    except ValueError:  # these coordinates overflow in the precision of the memory
        return float("inf"), float("inf")
    wanted = extended_response(system, u.double().numpy())
    return _relative(got[:m], wanted[:m]), _relative(got[m:], wanted[m:])


def extended_response(system: System, u: np.ndarray) -> np.ndarray:
    """Return the outputs for inputs u (S, L, m), step by step in extended precision.

    The last sequence starts at the system's x0, the others from rest. A long response of an A that
    is far from normal loses more digits in double precision than the memory does.
    """
    A, B, C, D, u = (M.astype(np.longdouble) for M in (system.A, system.B, system.C, system.D, u))
    N = system.N.astype(np.longdouble) if isinstance(system, BilinearSSM) else None
    x = np.zeros((len(u), len(A)), np.longdouble)
    x[-1] = system.x0
    y = np.empty((*u.shape[:2], len(C)), np.longdouble)
    for t in range(u.shape[1]):
        y[:, t] = x @ C.T + u[:, t] @ D.T
        gated = 0.0 if N is None else np.einsum("sj,jsi->si", u[:, t], x @ N.swapaxes(1, 2))
        x = x @ A.T + gated + u[:, t] @ B.T
    return y.astype(float)


def _relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest error over the peak of its response (S, L, p); inf if not a number."""
    axes = (1, 2)
    peaks = np.abs(wanted).max(axis=axes, initial=0.0)
    errors = np.abs(got - wanted).max(axis=axes, initial=0.0) / np.where(peaks > 0, peaks, 1.0)
    largest = float(errors.max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def _test_noise(system: System, steps: int) -> np.ndarray:
    """Return white noise, quiet enough for the gates of a bilinear system not to blow it up."""
    u = np.random.default_rng(0).standard_normal((steps, system.n_inputs))
    if isinstance(system, BilinearSSM):
        zero = np.zeros_like(system.N)
        plain = BilinearSSM(system.A, zero, system.B, system.C, system.D, x0=system.x0)
        for _ in range(60):
            try:
                loud = np.abs(simulate(system, u).y).max(initial=0.0)
            except UnstableModelError:  # overflow
                loud = np.inf
            if loud <= LOUD * np.abs(simulate(plain, u).y).max(initial=0.0):
                break
            u = u / 2
    return u
