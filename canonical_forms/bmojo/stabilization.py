"""Moving eigenvalues into the unit circle, on request, and saying what that changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
import scipy

from realization import BilinearSSM, LinearSSM, markov_parameters

from ..modal import block_diagonal, real_schur, schur_blocks
from .modes import block_slices, named_eigenvalues
from .parts import System

__all__ = ["stabilized"]

LARGEST_MODULUS = 0.999  # what eigenvalues on or outside the unit circle become, at most
COMPARED = 100  # samples of the impulse responses that are compared

Kind = TypeVar("Kind", bound=System)


def stabilized(system: Kind, method: Literal["reflect", "clip"]) -> tuple[Kind, str, float]:
    r"""Move the eigenvalues of A that do not fade, leaving all eigenvectors in place.

    Parameters
    ----------
    system : InnovationSSM or BilinearSSM
        The system.
    method : {"reflect", "clip"}
        The new modulus: 1 / \|lam|, but at most 0.999; or 0.999.

    Returns
    -------
    system : InnovationSSM or BilinearSSM
        With the same eigenvalues inside the unit circle.
    moved : str
        The eigenvalues that were moved; empty if none was.
    change : float
        Norm of the change of the impulse response, relative to its norm, over 100 samples or as
        many as do not grow beyond 1e100.
    """
    values = np.linalg.eigvals(system.A)
    outside = values[np.abs(values) >= 1]
    if outside.size == 0:
        return system, "", 0.0
    A, T, Tinv, sizes = block_diagonal(system.A, 1e4)
    blocks = []
    for part in block_slices(sizes):
        S, U = real_schur(A[part, part])
        for own in block_slices(schur_blocks(S)):
            modulus = float(np.abs(np.linalg.eigvals(S[own, own])).max())
            if modulus >= 1:
                inside = 1 / modulus if method == "reflect" else LARGEST_MODULUS
                S[own, own] *= min(inside, LARGEST_MODULUS) / modulus
        blocks.append(U @ S @ U.T)
    new = replace(system, A=T @ scipy.linalg.block_diag(*blocks) @ Tinv)
    growth = np.log(np.abs(outside).max())
    count = COMPARED if growth == 0 else int(min(COMPARED, 2 + 230 / growth))
    before, after = (markov_parameters(_linear(each), count) for each in (system, new))
    size = float(np.linalg.norm(before))
    change = float(np.linalg.norm(after - before)) / (size or 1.0)
    return new, named_eigenvalues(outside), change


def _linear(system: System) -> LinearSSM:
    """Return the deterministic linear part."""
    assert isinstance(system, BilinearSSM) or not system.K.any()
    return LinearSSM(system.A, system.B, system.C, system.D, dt=system.dt)
