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
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    innovation_form,
    simulate,
)
from realization.internal import as_choice, as_instance, as_real

from ..result import checked_model
from .fading import FadingMemory
from .layer import BMojoLayer
from .modes import geometric_horizon, require_stable
from .parts import MemoryArrays, System, candidates, contraction_bound
from .scan import Method
from .stabilization import stabilized

__all__ = ["from_model"]

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
DIGITS = (
    "The response depends that much on the last digits of A: start from balanced_form(model).model."
)
LOUD = 100.0  # how much louder than the linear response a bilinear test response may be


class Systems(NamedTuple):
    """What the two memories of a layer simulate.

    Parameters
    ----------
    memory, predictor : InnovationSSM or BilinearSSM
        With all that enters as inputs.
    gated : int
        How many of the first inputs multiply the state.
    target : {"output", "input"}
        What the predictor predicts.
    """

    memory: System
    predictor: System
    gated: int
    target: Literal["output", "input"]


def from_model(
    model: LinearSSM | GaussianSSM | InnovationSSM | BilinearSSM,
    *,
    dtype: torch.dtype | None = None,
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
    dtype : torch.dtype, optional
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
        matrices have no common eigenvectors.

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
    model = _checked(model)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if dtype not in TOLERANCES:
        raise ValueError(f"`dtype` must be torch.float32 or torch.float64; got {dtype}.")
    if parameterization is not None:
        as_choice("parameterization", parameterization, ("diagonal", "block"))
    if stabilize is not None:
        as_choice("stabilize", stabilize, ("reflect", "clip"))
    tol = TOLERANCES[dtype] if tol is None else as_real("tol", tol, above=0.0)
    systems = _systems(model)
    empty = systems.memory.n_inputs == 0
    S_chol = _covariance_factor(model)
    memories, report = [], {}
    for name, system, feedthrough in (
        ("memory", systems.memory, None),
        ("predictor", systems.predictor, model.n_inputs if systems.target == "output" else 0),
    ):
        kept, moved = _faded(system, name, stabilize)
        memory, found = _fitted(
            kept, parameterization, systems.gated, feedthrough, scan, dtype, tol
        )
        memories.append(memory)
        report |= {f"{name}_{key}": value for key, value in (moved | found).items()}
    _warn(report, tol, dtype)
    memory, predictor = memories
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
        dtype=dtype,
    )
    layer.memory, layer.predictor = memory, predictor
    layer.S_chol.copy_(torch.tensor(S_chol))
    layer.provenance = {
        "source": type(model).__name__,
        "model": repr(model),
        "version": importlib.metadata.version("stochastic-realization"),
        "tol": f"{tol:.6e}",
        "error": f"{_largest_error(report):.6e}",
    } | report
    return layer if device is None else layer.to(device)


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
            "output",
        )
    silent: dict[str, Any] = {
        "K": np.zeros((n, p)), "Re": np.zeros((p, p)), "x0": x0, "dt": model.dt,
    }  # fmt: skip
    predictor = InnovationSSM(A, model.C, B=B, D=D, **silent)
    if m == 0 and isinstance(model, InnovationSSM):
        return Systems(predictor, predictor, 0, "input")
    memory = InnovationSSM(model.A, model.C, B=model.B, D=model.D, **silent)
    return Systems(memory, predictor, 0, "output")


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


def _warn(report: dict[str, str], tol: float, dtype: torch.dtype) -> None:
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
    if not (error := _largest_error(report)) <= tol:
        single = dtype == torch.float32
        warnings.warn(
            f"The layer differs from the model by {error:.1e} of the peak of its response (tol "
            f"{tol:.0e}) in {'float32' if single else 'float64'}. "
            + ("Use dtype=torch.float64." if single else DIGITS),
            NumericalWarning,
            stacklevel=3,
        )


def _largest_error(report: dict[str, str]) -> float:
    """Return the largest of the measured errors."""
    return max(float(value) for key, value in report.items() if key.endswith("_error"))


def _fitted(
    system: System,
    parameterization: Literal["diagonal", "block"] | None,
    gated: int,
    feedthrough: int | None,
    scan: Method,
    dtype: torch.dtype,
    tol: float,
) -> tuple[FadingMemory, dict[str, str]]:
    """Return a memory that reproduces the system to `tol`, or the best there is; and its errors."""
    best, least, found = None, np.inf, {}
    for arrays in candidates(system, parameterization, gated):
        memory = _filled(arrays, system, gated, feedthrough, scan, dtype)
        impulse, noise = response_errors(memory, system)
        error = max(impulse, noise)
        if best is None or error < least:
            best, least = memory, error
            found = {
                "impulse_error": f"{impulse:.6e}",
                "noise_error": f"{noise:.6e}",
                "cond": f"{arrays.cond:.6e}",
            }
        if error <= tol / 2:  # other inputs than these may show more
            break
    assert best is not None
    if isinstance(system, BilinearSSM):
        found["input_bound"] = f"{contraction_bound(system.A, system.N):.6e}"
    return best, found


@torch.no_grad()
def _filled(
    arrays: MemoryArrays,
    system: System,
    gated: int,
    feedthrough: int | None,
    scan: Method,
    dtype: torch.dtype,
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
        scan=scan,
        dtype=dtype,
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
        initial state. Each input has its own peak.
    """
    m, L = system.n_inputs, geometric_horizon(system.A)
    impulses = np.eye(L, 1) * np.eye(m)[:, np.newaxis]
    u = torch.from_numpy(np.concatenate([impulses, _test_noise(system, L)[np.newaxis]]))
    u = u.to(memory.B.dtype)
    state = memory.initial_state(m + 1)
    for part in state:
        part[:m] = 0.0
    got = memory(u, state)[0].double().numpy()
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
