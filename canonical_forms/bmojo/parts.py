r"""What a fading memory stores, computed from a model in numpy and double precision.

A model is exact in many coordinates and accurate in few. `candidates` lists coordinates from the
most useful for training (scalar modes) to the safest (one block); the
export tries them in turn and keeps the first that reproduces the model in the layer's precision.

Glossary: *system* an InnovationSSM with K = 0 or a BilinearSSM, all of whose inputs, measured
outputs included, are its ``B``; *arrays* what `FadingMemory` stores (`fading.py` says what each
means).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy

from realization import AccuracyError, BilinearSSM, InnovationSSM, NumericalWarning
from realization.internal import solve_lyapunov

from ..eidetic_fading import eidetic_fading_form
from ..modal import block_diagonal
from ..result import ILL_CONDITIONED, CanonicalForm, condition
from ..simultaneous import LARGEST, simultaneous_form
from .contraction import contraction_coordinates
from .modes import Modes, block_slices, fading_modes

__all__ = ["MemoryArrays", "System", "candidates", "contraction_bound"]

System = InnovationSSM | BilinearSSM

USUAL, CAREFUL = 1e4, 1e2  # condition numbers up to which the fading part is split
MILD = 1e3  # condition number up to which a Lyapunov norm is used
TURNED = 1e-9  # how far, relatively, a common 2 by 2 block may be from [[a, b], [-b, a]]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryArrays:
    """Arrays of a `FadingMemory`, and the condition number of the coordinates they are in.

    Parameters
    ----------
    parameterization : {"diagonal", "block"}
        How ``dynamics`` is meant.
    modes : tuple of int
        (n_real, n_pairs), or the sizes of the blocks.
    dynamics : tuple of ndarray
        Real eigenvalues and one of each pair; or the blocks, contractions.
    B, C, x0, taps, taps0 : ndarray
        As in `FadingMemory`.
    gates : ndarray or None
        As in `FadingMemory`, for bilinear systems.
    cond : float
        Condition number of the transformation to modes, or to the blocks.
    """

    parameterization: Literal["diagonal", "block"]
    modes: tuple[int, ...]
    dynamics: tuple[np.ndarray, ...]
    B: np.ndarray
    C: np.ndarray
    x0: np.ndarray
    taps: np.ndarray
    taps0: np.ndarray
    gates: np.ndarray | None
    cond: float


def candidates(
    system: System, parameterization: Literal["diagonal", "block"] | None, gated: int
) -> Iterator[MemoryArrays]:
    """Yield the stable system in coordinates that suit training less and rounding better.

    The first `gated` inputs of a bilinear system multiply its state.
    """
    if isinstance(system, BilinearSSM):
        yield from _bilinear_candidates(system, parameterization, gated)
        return
    if parameterization == "diagonal":
        yield _diagonal(_form(system, ILL_CONDITIONED), ILL_CONDITIONED)
        return
    try:
        form = _form(system, USUAL)
    except AccuracyError:  # no reliable split at 0: the other candidates need none
        pass
    else:
        yield from _eidetic_candidates(form, parameterization)
    yield from _plain_blocks(system)


def _eidetic_candidates(
    form: CanonicalForm, parameterization: Literal["block"] | None
) -> Iterator[MemoryArrays]:
    """Yield a delay line with scalar modes, or with blocks where A is (nearly) defective."""
    if parameterization is None:
        try:
            arrays = _diagonal(form, USUAL)
        except AccuracyError:  # defective
            pass
        else:
            yield arrays
            return
    yield _blocks(form)


def _plain_blocks(system: System, gated: int = 0) -> Iterator[MemoryArrays]:
    """Yield blocks of A, eidetic states among them: a careful split, then one block."""
    for condmax in (USUAL, CAREFUL) if gated else (CAREFUL,):  # linear ones had the usual split
        A, T, Tinv, sizes = block_diagonal(system.A, condmax)
        blocks, inner, inverse = _contractions(A, sizes)
        yield _in_blocks(system, blocks, T @ inner, inverse @ Tinv, condition(T), gated=gated)
    blocks, T, Tinv = _contractions(system.A, (system.n_states,) if system.n_states else ())
    yield _in_blocks(system, blocks, T, Tinv, 1.0, gated=gated)


def _form(system: InnovationSSM, condmax: float) -> CanonicalForm:
    """Return eidetic states in orthogonal coordinates and fading ones in modal blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)  # what it costs is measured afterwards
        return eidetic_fading_form(system, eidetic="weyr", fading="modal", condmax=condmax)


def _delay_line(form: CanonicalForm) -> tuple[np.ndarray, np.ndarray]:
    """Return what the eidetic part adds at lags 1, 2, ...: of each input, and of its own start."""
    model, k = form.model, form.info["eidetic_order"]
    x = np.column_stack([model.B[:k], model.x0[:k]])
    outputs = np.zeros((form.info["index"], model.n_outputs, model.n_inputs + 1))
    for lag in range(len(outputs)):
        outputs[lag] = model.C[:, :k] @ x
        x = model.A[:k, :k] @ x
    return outputs[:, :, :-1], outputs[:, :, -1]


def _diagonal(form: CanonicalForm, condmax: float) -> MemoryArrays:
    """Return arrays with scalar modes of the fading part."""
    return _ordered_modes(fading_modes(form, condmax), *_delay_line(form))


def _ordered_modes(
    modes: Modes,
    taps: np.ndarray,
    taps0: np.ndarray,
    gates: np.ndarray | None = None,
) -> MemoryArrays:
    """Return arrays with the real modes first; y = Re(c s) is Re c Re s - Im c Im s."""
    each = [modes.lam[:, np.newaxis], modes.b, modes.c.T, modes.start[:, np.newaxis]]
    each += [] if gates is None else [gates.T]
    real = np.all([(np.imag(part) == 0).all(axis=1) for part in each], axis=0)

    def rows(values: Any) -> np.ndarray:
        return np.concatenate([values[real].real, values[~real].real, values[~real].imag])

    return MemoryArrays(
        parameterization="diagonal",
        modes=(int(real.sum()), int((~real).sum())),
        dynamics=(np.real(modes.lam[real]), modes.lam[~real]),
        B=rows(modes.b),
        C=rows(modes.c.conj().T).T,
        x0=rows(modes.start),
        taps=taps,
        taps0=taps0,
        gates=None if gates is None else rows(gates.T).T,
        cond=modes.cond,
    )


def _blocks(form: CanonicalForm) -> MemoryArrays:
    """Return arrays with one contraction for each modal block of the fading part."""
    model, k = form.model, form.info["eidetic_order"]
    fading = InnovationSSM(
        model.A[k:, k:], model.C[:, k:], model.K[k:], model.Re,
        B=model.B[k:], D=model.D, x0=model.x0[k:], dt=model.dt,
    )  # fmt: skip
    blocks, T, Tinv = _contractions(fading.A, form.info["sizes"][form.info["eidetic_blocks"] :])
    return _in_blocks(fading, blocks, T, Tinv, form.info["cond"], *_delay_line(form))


def _contractions(
    A: np.ndarray, sizes: Sequence[int]
) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Return the diagonal blocks of A as contractions, T and Tinv, block-diagonal like A."""
    moved = [_contraction(A[part, part]) for part in block_slices(sizes)]
    T = scipy.linalg.block_diag(np.zeros((0, 0)), *[T for _, T, _ in moved])
    Tinv = scipy.linalg.block_diag(np.zeros((0, 0)), *[Tinv for _, _, Tinv in moved])
    return tuple(block for block, _, _ in moved), T, Tinv


def _contraction(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return a contraction, T and Tinv: in a Lyapunov norm if it is mild, else graded.

    With gamma halfway between the spectral radius and one, P = A' P A / gamma^2 + I has a factor
    P = L L', and \|L' A L'^-1| < gamma. Grading would need large numbers for a large block.
    """
    gamma = 0.5 * (1 + float(np.abs(np.linalg.eigvals(A)).max(initial=0.0)))
    try:
        L = np.linalg.cholesky(solve_lyapunov(A.T / gamma, np.eye(len(A)), dt=1.0))
    except np.linalg.LinAlgError:  # a long chain of slow modes: grading is made for it
        return contraction_coordinates(A)
    T = scipy.linalg.solve_triangular(L, np.eye(len(A)), lower=True, trans="T")
    moved = L.T @ A @ T
    if condition(L) > MILD or np.linalg.norm(moved, 2) > 0.5 * (1 + gamma):
        return contraction_coordinates(A)
    return moved, T, L.T


def _in_blocks(
    system: System,
    blocks: tuple[np.ndarray, ...],
    T: np.ndarray,
    Tinv: np.ndarray,
    cond: float,
    taps: np.ndarray | None = None,
    taps0: np.ndarray | None = None,
    gated: int = 0,
) -> MemoryArrays:
    """Return arrays of a system whose T^-1 A T has these blocks, each scaled as a mode would be."""
    p, m = system.n_outputs, system.n_inputs
    B, C, x0 = Tinv @ system.B, system.C @ T, Tinv @ system.x0
    start, scale = 0, np.ones(len(x0))
    for block in blocks:
        part = slice(start, start + len(block))
        start += len(block)
        if (largest := float(np.abs(B[part]).max(initial=0.0))) > 0:
            radius = float(np.abs(np.linalg.eigvals(block)).max())
            scale[part] = np.sqrt(1 - radius**2) / largest
    gates = None
    if isinstance(system, BilinearSSM):
        gates = scale[:, np.newaxis] * (Tinv @ system.N[:gated] @ T) / scale
    return MemoryArrays(
        parameterization="block",
        modes=tuple(len(block) for block in blocks),
        dynamics=blocks,
        B=scale[:, np.newaxis] * B,
        C=C / scale,
        x0=scale * x0,
        taps=np.zeros((0, p, m)) if taps is None else taps,
        taps0=np.zeros((0, p)) if taps0 is None else taps0,
        gates=gates,
        cond=cond,
    )


def _bilinear_candidates(
    system: BilinearSSM, parameterization: Literal["diagonal", "block"] | None, gated: int
) -> Iterator[MemoryArrays]:
    """Yield scalar modes if all matrices share them, then blocks of A with dense gates."""
    if parameterization != "block":
        arrays = _common_modes(system, gated)
        if arrays is not None:
            yield arrays
        elif parameterization == "diagonal":
            raise AccuracyError(
                "parameterization='diagonal' needs A and N_i to have common eigenvectors, and "
                "these have none (or the model has more than "
                f"{LARGEST} states, which are not searched). Use parameterization='block', which "
                "keeps dense N_i exactly.",
                residual=1.0,
            )
        if parameterization == "diagonal":
            return
    yield from _plain_blocks(system, gated)


def _common_modes(system: BilinearSSM, gated: int) -> MemoryArrays | None:
    """Return arrays with scalar modes of A and all N_i, or None where they share none.

    In a common 2 by 2 block all matrices must be [[a, b], [-b, a]], the number a + ib.
    """
    if system.n_states > LARGEST:
        return None
    try:
        form = simultaneous_form(system)
    except AccuracyError:
        return None
    model = form.model
    numbers, b, c, start = [], [], [], []
    for part in block_slices(form.info["sizes"]):
        matrices = np.stack([model.A[part, part], *model.N[:gated, part, part]])
        size = matrices.shape[1]
        if size > 2:
            return None
        if size == 1:
            numbers.append(matrices[:, 0, 0].astype(complex))
            enter, leave = np.ones(1), np.ones(1)
        else:
            turned = matrices - _turning(matrices[:, 0, 0], matrices[:, 0, 1])
            if np.abs(turned).max() > TURNED * np.abs(matrices).max():
                return None
            numbers.append(matrices[:, 0, 0] + 1j * matrices[:, 0, 1])
            enter, leave = np.array([0.5, -0.5j]), np.array([2.0, 2.0j])
        b.append(enter @ model.B[part])
        start.append(enter @ model.x0[part])
        c.append(model.C[:, part] @ leave)
    n, m, p = len(numbers), model.n_inputs, model.n_outputs
    values = np.array(numbers, complex).reshape(n, 1 + gated)
    modes = Modes(
        values[:, 0],
        np.array(b, complex).reshape(n, m),
        np.array(c, complex).reshape(n, p).T,
        np.array(start, complex).reshape(n),
        form.info["cond"],
    ).scaled()
    return _ordered_modes(modes, np.zeros((0, p, m)), np.zeros((0, p)), values[:, 1:].T)


def _turning(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the matrices [[a, b], [-b, a]], stacked."""
    return np.stack([np.stack([a, b], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)


def contraction_bound(A: np.ndarray, N: np.ndarray) -> float:
    r"""Return r such that A + sum u_i N_i contracts in one norm whenever all \|u_i| <= r.

    The norm is that of the Lyapunov equation of A.
    """
    if len(A) == 0:
        return float("inf")
    P = solve_lyapunov(A.T, np.eye(len(A)), dt=1.0)
    L = np.linalg.cholesky(P)

    def norm(M: np.ndarray) -> float:
        return float(np.linalg.norm(scipy.linalg.solve_triangular(L, M.T @ L, lower=True), 2))

    total = sum(norm(gate) for gate in N)
    return (1 - norm(A)) / total if total > 0 else float("inf")
