r"""From a layer back to a model: what was trained can be analysed, reduced and reversed.

A memory of a layer is A, B, C, D in some coordinates, plus a delay line, whose state q holds what
past inputs will still add to the next K outputs::

    q+[k] = q[k+1] + taps[k] u        y = C x + D u + q[0]

The predictor alone holds a whole innovations model: with its inputs [u; y] and its input matrix
[B_u, K], ``A = A_p + K C`` and ``B = B_u + K D``.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy

from realization import BilinearSSM, InnovationSSM, LinearSSM, NumericalWarning, simulate
from realization.internal import as_choice, as_instance

from .fading import FadingMemory
from .layer import BMojoLayer
from .parts import contraction_bound

__all__ = ["to_model"]

APART = 1e-3  # relative distance from which memory and predictor are two different models
COMPARED = 64  # samples of the responses that are compared


class Recovered(NamedTuple):
    """Matrices of a memory in double precision, delay line included.

    Parameters
    ----------
    A, B, C, D, x0 : ndarray
        A linear model from all inputs of the memory.
    N : (g, n, n) ndarray or None
        What the first g inputs multiply.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    x0: np.ndarray
    N: np.ndarray | None


def to_model(
    layer: BMojoLayer, *, part: Literal["memory", "predictor"] | None = None
) -> LinearSSM | InnovationSSM | BilinearSSM:
    r"""Return the model that a layer holds.

    .. math:: A = A_p + K C, \qquad B = B_p + K D, \qquad R_e = S,

    from the predictor :math:`(A_p, [B_p, K], C, D)`; or the memory as it is.

    Parameters
    ----------
    layer : BMojoLayer
        The layer, exported or trained or both.
    part : {"memory", "predictor"}, optional
        The simulation model, as a LinearSSM or BilinearSSM without noise; or the predictor, as an
        InnovationSSM or BilinearSSM with K and Re. Default: the predictor if the layer has a model
        of the noise, else the memory; raises if training has driven the two apart, for then they
        are two models.

    Returns
    -------
    LinearSSM, InnovationSSM or BilinearSSM
        In the coordinates of the layer, in double precision. A layer whose tokens are its target
        gives an InnovationSSM without inputs.

    Raises
    ------
    TypeError
        If `layer` is no BMojoLayer.
    ValueError
        If `part` is None and the responses of memory and predictor differ by more than 1e-3.

    Warns
    -----
    NumericalWarning
        If the gate of the attention branch is not zero: that branch is no part of the model.

    See Also
    --------
    from_model : The way there.

    Notes
    -----
    The delay line becomes K p states, more than the eidetic states it came from if those were
    shared by outputs; `minimal_form` removes the surplus. A predictor is stable, the A that follows
    from it may be not: stability of the innovations model is not enforced by training.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from canonical_forms import are_equivalent
    >>> from canonical_forms.bmojo import from_model, to_model
    >>> from realization import InnovationSSM
    >>> A = np.array([[0.9, 0.3], [-0.3, 0.9]])
    >>> model = InnovationSSM(A, [[1.0, 0.0]], [[0.5], [0.1]], [[0.1]], B=[[1.0], [0.5]])
    >>> are_equivalent(to_model(from_model(model, dtype=torch.float64)), model)
    True
    """
    as_instance("layer", layer, (BMojoLayer,))
    if part is not None:
        as_choice("part", part, ("memory", "predictor"))
    if layer.gate is not None and (reach := float(layer.gate.detach().abs().max())) > 0:
        warnings.warn(
            f"The gate of the attention branch is up to {reach:.2g}: the layer is more than the "
            "state-space model that is returned.",
            NumericalWarning,
            stacklevel=2,
        )
    memory = _memory_model(layer)
    if part == "memory":
        return memory
    predictor = _predictor_model(layer)
    if part == "predictor":
        return predictor
    _require_together(layer, memory, predictor)
    known = predictor.K.any() or layer.provenance.get("source") == "InnovationSSM"
    if known or not np.array_equal(np.asarray(predictor.Re), np.eye(predictor.n_outputs)):
        return predictor
    return memory


def _recovered(memory: FadingMemory) -> Recovered:
    """Return the matrices of a memory, its delay line appended to the state."""
    A, B, C, D, taps, x0, taps0 = (
        value.detach().double().cpu().numpy()
        for value in (
            memory.matrix(), memory.B, memory.C, memory.D, memory.taps, memory.x0, memory.taps0,
        )
    )  # fmt: skip
    (K, p, m), n = taps.shape, len(A)
    shift = np.eye(K * p, k=p)
    first = np.eye(p, K * p)
    N = None
    if memory.gates is not None:
        gates = memory.gates.detach().double().cpu().numpy()
        if memory.parameterization == "diagonal":
            gates = np.stack([_mode_matrix(row, *memory.modes) for row in gates])
        N = np.pad(gates, ((0, 0), (0, K * p), (0, K * p)))
    return Recovered(
        A=scipy.linalg.block_diag(A.reshape(n, n), shift.reshape(K * p, K * p)),
        B=np.concatenate([B, taps.reshape(K * p, m)]),
        C=np.concatenate([C, first], axis=1),
        D=np.pad(D, ((0, 0), (0, m - D.shape[1]))),
        x0=np.concatenate([x0, taps0.reshape(K * p)]),
        N=N,
    )


def _mode_matrix(values: np.ndarray, n_real: int, n_pairs: int) -> np.ndarray:
    """Return diag(r) and [[diag(a), -diag(b)], [diag(b), diag(a)]] for values [r, a, b]."""
    a, b = np.diag(values[n_real : n_real + n_pairs]), np.diag(values[n_real + n_pairs :])
    return scipy.linalg.block_diag(np.diag(values[:n_real]), np.block([[a, -b], [b, a]]))


def _memory_model(layer: BMojoLayer) -> LinearSSM | BilinearSSM:
    """Return the simulation model."""
    A, B, C, D, x0, N = _recovered(layer.memory)
    if N is not None:
        return BilinearSSM(A, _all_inputs(N, B), B, C, D, x0=x0, dt=layer.dt)
    return LinearSSM(A, B, C, D, dt=layer.dt)


def _predictor_model(layer: BMojoLayer) -> InnovationSSM | BilinearSSM:
    """Return the model whose innovations the predictor computes."""
    A, B, C, D, x0, N = _recovered(layer.predictor)
    m = layer.n_inputs if layer.target == "output" else 0
    B, K, D = B[:, :m], B[:, m:], D[:, :m]
    S = layer.S_chol.detach().double().cpu().numpy()
    A, B, Re = A + K @ C, B + K @ D, S @ S.T
    if N is not None:
        return BilinearSSM(A, _all_inputs(N, B), B, C, D, K=K, Re=Re, x0=x0, dt=layer.dt)
    return InnovationSSM(A, C, K, Re, B=B, D=D, x0=x0, dt=layer.dt)


def _all_inputs(N: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return N with zeros for the inputs that multiply nothing."""
    return np.pad(N, ((0, B.shape[1] - len(N)), (0, 0), (0, 0)))


def _require_together(layer: BMojoLayer, memory: Any, predictor: Any) -> None:
    """Raise if the responses of memory and predictor to the same inputs differ."""
    if layer.target == "input":
        A, B, C, D, _, _ = _recovered(layer.predictor)
        predictor = LinearSSM(A, B, C, D)
    u = np.random.default_rng(0).standard_normal((COMPARED, memory.n_inputs))
    if isinstance(memory, BilinearSSM):
        u *= min(1.0, contraction_bound(memory.A, memory.N))
    y, other = (simulate(each, u, x0=np.zeros(each.n_states)).y for each in (memory, predictor))
    apart = float(np.linalg.norm(y - other)) / (float(np.linalg.norm(y)) or 1.0)
    if not apart <= APART:
        raise ValueError(
            f"Memory and predictor of `layer` are two models by now: their responses differ by "
            f"{apart:.1e} (limit {APART:.0e}). Pass part='memory' for the simulation model, or "
            "part='predictor' for the innovations model."
        )
