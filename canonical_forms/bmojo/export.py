r"""From an identified model to a layer that is this model, and back.

::

    model   x+ = A x + B u + K e      y = C x + D u + e      cov e = Re
    layer   memory     A,       B,            C, D    what the inputs do
            predictor  A - K C, [B - K D, K], C, D    what the past of u and y says about y
            S_chol     S_chol S_chol' = Re

A model without inputs becomes a layer whose tokens are its outputs (``target="input"``): memory and
predictor are both A - K C, K, C. Each of the two is put into coordinates by `parts.py`, run in the
precision of the layer, and compared with the model in double precision: the error is stored in
``layer.provenance``, and warned about if it is above `tol`.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from realization import (
    AccuracyError,
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    innovation_form,
)
from realization.internal import as_choice, as_instance, as_real

from ..result import checked_model
from .fading import FadingMemory
from .layer import BMojoLayer
from .modes import require_stable
from .options import as_device, as_dtype
from .parts import MemoryArrays, System, candidates, contraction_bound
from .response import response_errors
from .scan import METHODS, Method
from .stabilization import stabilized

__all__ = ["from_model"]

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
DIGITS = (
    "The response depends that much on the last digits of A: start from balanced_form(model).model."
)


class Wanted(NamedTuple):
    """How the memories of a layer are to be, checked.

    Parameters
    ----------
    dtype : torch.dtype
        Their precision.
    parameterization : {"diagonal", "block"} or None
        Their coordinates.
    stabilize : {"reflect", "clip"} or None
        What to do with eigenvalues outside the unit circle.
    tol : float
        The error up to which they count as the model.
    scan : str
        How they step through time.
    """

    dtype: torch.dtype
    parameterization: Literal["diagonal", "block"] | None
    stabilize: Literal["reflect", "clip"] | None
    tol: float
    scan: Method


class Systems(NamedTuple):
    """What the two memories of a layer simulate.

    Parameters
    ----------
    memory, predictor : InnovationSSM or BilinearSSM
        With all that enters as inputs.
    gated : int
        How many of the first inputs multiply the state.
    direct : int
        How many of the first inputs of the predictor act on its output at once.
    target : {"output", "input"}
        What the predictor predicts.
    """

    memory: System
    predictor: System
    gated: int
    direct: int
    target: Literal["output", "input"]


def from_model(
    model: LinearSSM | GaussianSSM | InnovationSSM | BilinearSSM,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    parameterization: Literal["diagonal", "block"] | None = None,
    stabilize: Literal["reflect", "clip"] | None = None,
    tol: float | None = None,
    window: int | None = None,
    eidetic: int | None = None,
    n_heads: int = 1,
    head_dim: int | None = None,
    tie_kv: bool | None = None,
    alpha: float = 0.01,
    threshold: float | None = None,
    chunk: int | None = None,
    scan: Method = "auto",
) -> BMojoLayer:
    r"""Return a layer that is the given model until it is trained.

    .. math:: y_t = C x_t + D u_t, \quad x_{t+1} = A x_t + \textstyle\sum_i u_{t,i} N_i x_t + B u_t,
        \qquad e_t = y_t - C \hat x_t - D u_t, \quad \hat x_{t+1} = A \hat x_t +
        \textstyle\sum_i u_{t,i} N_i \hat x_t + B u_t + K e_t.

    ``layer(u).y`` is the simulated output, ``layer(u, y=y).innovation`` the innovation. The
    attention branch is there, with random weights behind a gate that is zero.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or BilinearSSM
        The model, in discrete time. A GaussianSSM gets its innovation form first. A model without
        noise has a predictor that ignores the measured output, and S = I: call
        ``layer.calibrate`` before the innovation test means anything.
    dtype : torch.dtype or str, optional
        float32 or float64. Default: torch's default.
    device : torch.device or str, optional
        Where the layer goes.
    parameterization : {"diagonal", "block"}, optional
        Coordinates of both memories. Default: scalar modes if they reproduce the model to `tol`,
        else the finest real blocks that do.
    stabilize : {"reflect", "clip"}, optional
        What to do with eigenvalues on or outside the unit circle, which no parameter can hold: move
        them to the inverse of their modulus, or to modulus 0.999 (at most that in both cases), with
        a warning that says what it changed. Default: raise.
    tol : float, optional
        The error, relative to the peak of the response, up to which the layer counts as the model.
        Default: 1e-10 for float64 and 1e-5 for float32.
    window, eidetic : int, optional
        Tokens that attention reads, slots of the eidetic memory. Default: 64 and 32; both 0 for a
        LinearSSM without inputs, which has no tokens.
    n_heads, head_dim, tie_kv, alpha, threshold, chunk, scan : optional
        As in `BMojoLayer`.

    Returns
    -------
    BMojoLayer
        ``layer.provenance`` says where it comes from and how well it reproduces that: ``error``,
        the largest of ``memory_impulse_error``, ``memory_noise_error`` and the same of the
        predictor, each relative to the peak of the response.

    Raises
    ------
    TypeError
        If `model` is no such record, or is complex.
    ValueError
        If `model` is in continuous time; Re is singular; a layer of a LinearSSM without inputs is
        to have a window; or an option is not one of those listed.
    UnstableModelError
        If an eigenvalue of A or of A - K C is on or outside the unit circle and `stabilize` is
        None; the text names it.
    AccuracyError
        If ``parameterization="diagonal"`` is asked of a defective A, or of a bilinear model whose
        matrices have no common eigenvectors; or the numbers of the model overflow in the precision
        of the layer.

    Warns
    -----
    NumericalWarning
        If the error is above `tol`, or eigenvalues were moved.

    See Also
    --------
    to_model : The way back.
    s5_parameters : The same model in somebody else's layer.

    Notes
    -----
    Eidetic (nilpotent) states become a delay line, exactly; fading ones become modes, real
    arithmetic throughout. Scalar modes are tried up to a condition number of 1e4 of the
    eigenvectors; what only worse ones could separate stays together in a real block, down to one
    block for all, which every stable matrix has. A bilinear model has
    scalar modes if A and all :math:`N_i` share their eigenvectors, and dense :math:`N_i` otherwise;
    ``provenance["memory_input_bound"]`` is a bound on the inputs below which it surely contracts.

    The error is measured, not estimated: an impulse on each input and white noise, over ten time
    constants (64 to 2048 samples), in the precision of the layer against extended precision where
    the machine has it. Modes are scaled
    to variance one for white inputs of variance one, blocks alike.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from canonical_forms.bmojo import from_model
    >>> from realization import InnovationSSM, simulate
    >>> A = np.array([[0.9, 0.3], [-0.3, 0.9]])
    >>> model = InnovationSSM(A, [[1.0, 0.0]], [[0.5], [0.1]], [[0.1]], B=[[1.0], [0.5]])
    >>> layer = from_model(model, dtype=torch.float64)
    >>> u = np.random.default_rng(0).standard_normal((100, 1))
    >>> with torch.no_grad():
    ...     y = layer(torch.from_numpy(u)[None]).y[0].numpy()
    >>> bool(np.abs(y - simulate(model, u).y).max() < 1e-12)
    True
    >>> float(layer.provenance["error"]) < 1e-12
    True
    """
    model, device = _checked(model), as_device(device)
    wanted = _wanted(dtype, parameterization, stabilize, tol, scan)
    S_chol = _covariance_factor(model)
    systems = _systems(model)
    memory, report = _memory_of(systems, "memory", wanted)
    predictor, found = _memory_of(systems, "predictor", wanted)
    report |= found
    _warn(report, wanted)
    empty = memory.n_inputs == 0
    layer = BMojoLayer(
        memory.n_inputs,
        memory.n_outputs,
        memory.modes,
        parameterization=memory.parameterization,
        delay_taps=memory.delay_taps,
        gated=memory.gated,
        predictor_modes=predictor.modes,
        predictor_parameterization=predictor.parameterization,
        predictor_taps=predictor.delay_taps,
        predictor_gated=predictor.gated,
        target=systems.target,
        window=(0 if empty else 64) if window is None else window,
        eidetic=(0 if empty or window == 0 else 32) if eidetic is None else eidetic,
        n_heads=n_heads,
        head_dim=head_dim,
        tie_kv=tie_kv,
        alpha=alpha,
        threshold=threshold,
        chunk=chunk,
        scan=scan,
        dt=model.dt,
        dtype=wanted.dtype,
    )
    layer.memory, layer.predictor = memory, predictor
    layer.S_chol.copy_(torch.tensor(S_chol))
    layer.provenance = _provenance(model, wanted, report)
    return layer.to(device)


def _checked(model: Any) -> LinearSSM | InnovationSSM | BilinearSSM:
    """Return the model with its noise, if it has any, in innovation form."""
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM, BilinearSSM))
    checked_model(model, "a B'MOJO layer")
    if model.dt == 0.0:
        raise ValueError(
            "`model` must be in discrete time: a layer sees one token after the other; got dt = 0. "
            "Call discretize(model, dt) first."
        )
    if isinstance(model, GaussianSSM):
        return innovation_form(model)
    if isinstance(model, BilinearSSM) and model.n_inputs == 0:
        noise = np.eye(model.n_outputs) if model.Re is None else model.Re
        return InnovationSSM(model.A, model.C, model.K, noise, x0=model.x0, dt=model.dt)
    return model


def _wanted(
    dtype: Any, parameterization: Any, stabilize: Any, tol: float | None, scan: Any
) -> Wanted:
    """Return the options of the memories, checked."""
    dtype = as_dtype(dtype)
    if parameterization is not None:
        as_choice("parameterization", parameterization, ("diagonal", "block"))
    if stabilize is not None:
        as_choice("stabilize", stabilize, ("reflect", "clip"))
    as_choice("scan", scan, METHODS)
    tol = TOLERANCES[dtype] if tol is None else as_real("tol", tol, above=0.0)
    return Wanted(dtype, parameterization, stabilize, tol, scan)


def _systems(model: LinearSSM | InnovationSSM | BilinearSSM) -> Systems:
    """Return what memory and predictor simulate."""
    n, m, p = model.n_states, model.n_inputs, model.n_outputs
    x0, K = getattr(model, "x0", np.zeros(n)), getattr(model, "K", np.zeros((n, p)))
    A, B = model.A - K @ model.C, np.concatenate([model.B - K @ model.D, K], axis=1)
    D = np.concatenate([model.D, np.zeros((p, p))], axis=1)
    if isinstance(model, BilinearSSM):
        rest = {"x0": x0, "dt": model.dt}
        N = np.concatenate([model.N, np.zeros((p, n, n))])
        return Systems(
            BilinearSSM(model.A, model.N, model.B, model.C, model.D, **rest),
            BilinearSSM(A, N, B, model.C, D, **rest),
            m,
            m,
            "output",
        )
    silent: dict[str, Any] = {
        "K": np.zeros((n, p)), "Re": np.zeros((p, p)), "x0": x0, "dt": model.dt,
    }  # fmt: skip
    predictor = InnovationSSM(A, model.C, B=B, D=D, **silent)
    if m == 0 and isinstance(model, InnovationSSM):
        return Systems(predictor, predictor, 0, 0, "input")
    memory = InnovationSSM(model.A, model.C, B=model.B, D=model.D, **silent)
    return Systems(memory, predictor, 0, m, "output")


def _covariance_factor(model: LinearSSM | InnovationSSM | BilinearSSM) -> np.ndarray:
    """Return the lower Cholesky factor of Re; the identity where there is none."""
    Re = getattr(model, "Re", None)
    if Re is None:
        return np.eye(model.n_outputs)
    values = np.linalg.eigvalsh(Re)
    if values[0] <= len(Re) * np.finfo(float).eps * values[-1]:
        raise ValueError(
            "`model.Re` must be positive definite: the innovation test divides by it; its smallest "
            f"eigenvalue is {values[0]:.3g} (largest {values[-1]:.3g}). Leave out outputs that are "
            "predicted exactly, or pass LinearSSM(A, B, C, D)."
        )
    return np.linalg.cholesky(Re)


def _memory_of(
    systems: Systems, name: Literal["memory", "predictor"], wanted: Wanted
) -> tuple[FadingMemory, dict[str, str]]:
    """Return one of the two memories, and what was changed and measured."""
    system, moved = _faded(getattr(systems, name), name, wanted.stabilize)
    direct = None if name == "memory" else systems.direct
    memory, found = _fitted(system, systems.gated, direct, wanted)
    return memory, {f"{name}_{key}": value for key, value in (moved | found).items()}


def _faded(
    system: System, name: str, stabilize: Literal["reflect", "clip"] | None
) -> tuple[System, dict[str, str]]:
    """Return the system with a stable A, and what was changed for it."""
    purpose = "the fading memory" if name == "memory" else "the predictor (A - K C)"
    if stabilize is None:
        require_stable(system.A, purpose)
        return system, {}
    system, moved, change = stabilized(system, stabilize)
    if not moved:
        return system, {}
    return system, {"stabilized": f"{stabilize}: {moved}", "stabilized_change": f"{change:.6e}"}


def _warn(report: dict[str, str], wanted: Wanted) -> None:
    """Warn of eigenvalues that were moved, and of an error above `tol`."""
    moved = [
        f"those of the {name} ({report[f'{name}_stabilized']}), whose impulse response changes by "
        f"{float(report[f'{name}_stabilized_change']):.1e} of its norm"
        for name in ("memory", "predictor")
        if f"{name}_stabilized" in report
    ]
    if moved:
        warnings.warn(
            f"Eigenvalues were moved into the unit circle: {'; '.join(moved)}.",
            NumericalWarning,
            stacklevel=3,
        )
    if not (error := _largest_error(report)) <= wanted.tol:
        single = wanted.dtype == torch.float32
        warnings.warn(
            f"The layer differs from the model by {error:.1e} of the peak of its response (tol "
            f"{wanted.tol:.0e}) in {'float32' if single else 'float64'}. "
            + ("Use dtype=torch.float64." if single else DIGITS),
            NumericalWarning,
            stacklevel=3,
        )


def _provenance(model: Any, wanted: Wanted, report: dict[str, str]) -> dict[str, str]:
    """Return where a layer comes from, and how well it reproduces that."""
    return {
        "source": type(model).__name__,
        "model": repr(model),
        "version": importlib.metadata.version("stochastic-realization"),
        "tol": f"{wanted.tol:.6e}",
        "error": f"{_largest_error(report):.6e}",
    } | report


def _largest_error(report: dict[str, str]) -> float:
    """Return the largest of the measured errors."""
    return max(float(value) for key, value in report.items() if key.endswith("_error"))


def _fitted(
    system: System, gated: int, feedthrough: int | None, wanted: Wanted
) -> tuple[FadingMemory, dict[str, str]]:
    """Return a memory that reproduces the system to `tol`, or the best there is; and its errors."""
    best, least, found = None, np.inf, {}
    for arrays in _coordinates(system, gated, wanted):
        memory = _filled(arrays, system, gated, feedthrough, wanted)
        impulse, noise = response_errors(memory, system)
        error = max(impulse, noise)
        if best is None or error < least:
            best, least = memory, error
            found = {
                "impulse_error": f"{impulse:.6e}",
                "noise_error": f"{noise:.6e}",
                "cond": f"{arrays.cond:.6e}",
            }
        if error <= wanted.tol / 2:  # other inputs than these may show more
            break
    if best is None or not np.isfinite(least):
        raise _not_held(wanted, "its response overflows in all that were tried")
    if isinstance(system, BilinearSSM):
        found["input_bound"] = f"{contraction_bound(system.A, system.N):.6e}"
    return best, found


def _coordinates(system: System, gated: int, wanted: Wanted) -> Iterator[MemoryArrays]:
    """Yield the candidates; say so where the numbers of the system are beyond all of them."""
    with np.errstate(all="ignore"):
        try:
            yield from candidates(system, wanted.parameterization, gated)
        except AccuracyError:
            raise
        except (np.linalg.LinAlgError, ValueError) as error:  # UnstableModelError among them
            raise _not_held(wanted, f"A or what it multiplies is too large ({error})") from None


def _not_held(wanted: Wanted, reason: str) -> AccuracyError:
    """Return the error for a model that no coordinates hold."""
    precision = str(wanted.dtype).removeprefix("torch.")
    return AccuracyError(
        f"No coordinates hold `model` in {precision}: {reason}. Scale its inputs and outputs to "
        "about 1, or start from balanced_form(model).model.",
        residual=float("inf"),
    )


@torch.no_grad()
def _filled(
    arrays: MemoryArrays, system: System, gated: int, feedthrough: int | None, wanted: Wanted
) -> FadingMemory:
    """Return a memory with these arrays."""
    memory = FadingMemory(
        system.n_inputs,
        system.n_outputs,
        arrays.modes,
        parameterization=arrays.parameterization,
        delay_taps=len(arrays.taps),
        feedthrough=feedthrough,
        gated=gated,
        scan=wanted.scan,
        dtype=wanted.dtype,
    )
    if arrays.parameterization == "diagonal":
        memory.set_modes(*arrays.dynamics)
    else:
        memory.set_blocks(arrays.dynamics)
    values = {
        "B": arrays.B, "C": arrays.C, "D": system.D[:, : memory.feedthrough], "x0": arrays.x0,
        "taps": arrays.taps, "taps0": arrays.taps0, "gates": arrays.gates,
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            getattr(memory, name).copy_(torch.tensor(value))
    return memory
