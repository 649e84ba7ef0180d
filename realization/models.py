r"""Linear state-space models as frozen records.

Discrete time (``dt > 0``) and continuous time (``dt = 0``)::

    LinearSSM       x+ = A x + B u              y = C x + D u
    GaussianSSM     x+ = A x + B u + w          y = C x + D u + v      cov [w; v] = [[Q, S],
                                                                       [S', R]]
    InnovationSSM   x+ = A x + B u + K e        y = C x + D u + e      cov e = Re
    CovarianceModel Lambda_k = C A^(k-1) N,  Lambda_0                  (no state is chosen)

In continuous time ``x+`` is ``dx/dt`` and covariances are intensities. A record checks its arrays
once, keeps read-only float64 (or complex128) copies, and changes by ``dataclasses.replace``.
A model without inputs has ``B`` of shape (n, 0) and ``D`` of shape (p, 0).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._linalg import stability_margin
from ._validation import (
    as_covariance,
    as_dt,
    as_matrix,
    as_square,
    as_symmetric,
    require_semidefinite,
)
from ._words import counted
from .exceptions import UnstableModelError

__all__ = ["CovarianceModel", "GaussianSSM", "InnovationSSM", "LinearSSM"]

COVARIANCES = ("Lambda0", "P0", "Q", "R", "Re", "S")


class StateSpaceRecord:
    """What every record shares: sizes, a one-line repr, immutability that survives pickling."""

    __slots__ = ()
    A: np.ndarray
    C: np.ndarray
    dt: float

    @property
    def n_states(self) -> int:
        """State dimension n."""
        return self.A.shape[0]

    @property
    def n_outputs(self) -> int:
        """Number of outputs p."""
        return self.C.shape[0]

    @property
    def n_inputs(self) -> int:
        """Number of inputs m."""
        return 0

    def _store(self, **values: Any) -> None:
        """Set the fields, arrays read-only and of a size whose norm is a number."""
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                # (a sum of squares; those of covariances are never taken)
                if name not in COVARIANCES and not np.isfinite(np.vdot(value, value)):
                    raise ValueError(
                        f"`{name}` must have entries whose squares are finite numbers; found one "
                        f"of size {np.abs(value).max():.3g}. Express the signals and the state in "
                        "other units."
                    )
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        time = "continuous time" if self.dt == 0.0 else f"dt={self.dt:g}"
        sizes = (
            counted(self.n_states, "state"),
            counted(self.n_inputs, "input"),
            counted(self.n_outputs, "output"),
        )
        return f"{type(self).__name__}({', '.join(sizes)}, {time})"

    def __reduce__(self) -> tuple:
        """Rebuild through the constructor, so that unpickled arrays are read-only again."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # pyright: ignore[reportArgumentType]
        return _rebuild, (type(self), values)


class _WithInputs(StateSpaceRecord):
    __slots__ = ()
    B: np.ndarray
    D: np.ndarray

    @property
    def n_inputs(self) -> int:
        """Number of inputs m."""
        return self.B.shape[1]


def _rebuild(cls: type, values: dict[str, Any]) -> Any:
    return cls(**values)


def _checked_dynamics(A: ArrayLike, C: ArrayLike) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Check A (n, n) and C (p, n), p >= 1; return them with n and p."""
    A = as_square("A", A)
    C = as_matrix("C", C, (None, A.shape[0]), because=f"to match `A` {A.shape}")
    if C.shape[0] == 0:
        raise ValueError(
            "`C` must have at least one row: a model needs an output; got shape (0, ...)."
        )
    return A, C, A.shape[0], C.shape[0]


def _checked_inputs(
    B: ArrayLike | None, D: ArrayLike | None, n: int, p: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check B (n, m) and D (p, m); a missing one is zero, both missing means no inputs."""
    if B is None and D is None:
        return np.zeros((n, 0)), np.zeros((p, 0))
    if B is None:
        D = as_matrix("D", D, (p, None), because=f"to match `C` ({p}, {n})")  # pyright: ignore[reportArgumentType]
        return np.zeros((n, D.shape[1])), D
    B = as_matrix("B", B, (n, None), because=f"to match `A` ({n}, {n})")
    if D is None:
        return B, np.zeros((p, B.shape[1]))
    because = f"to match `C` ({p}, {n}) and `B` {B.shape}"
    return B, as_matrix("D", D, (p, B.shape[1]), because=because)


def _checked_state(name: str, value: ArrayLike | None, n: int) -> np.ndarray:
    """Check a state vector (n,); None is zero."""
    if value is None:
        return np.zeros(n)
    return as_matrix(name, value, (n,), because=f"to match `A` ({n}, {n})")


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class LinearSSM(_WithInputs):
    r"""Deterministic linear model :math:`x_{t+1} = A x_t + B u_t,\; y_t = C x_t + D u_t`.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix; order 0 (shape (0, 0)) is a static gain.
    B : (n, m) array_like
        Input matrix.
    C : (p, n) array_like
        Output matrix, at least one row.
    D : (p, m) array_like, optional
        Feedthrough; default zero.
    dt : float, default 1.0
        Sample time; 0.0 means continuous time, :math:`\dot x = A x + B u`.

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite.

    Examples
    --------
    >>> import realization
    >>> realization.LinearSSM([[0.5]], [[1.0]], [[2.0]])
    LinearSSM(1 state, 1 input, 1 output, dt=1)
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    dt: float

    def __init__(
        self,
        A: ArrayLike,
        B: ArrayLike,
        C: ArrayLike,
        D: ArrayLike | None = None,
        *,
        dt: float = 1.0,
    ) -> None:
        A, C, n, p = _checked_dynamics(A, C)
        B, D = _checked_inputs(
            as_matrix("B", B, (n, None), because=f"to match `A` {A.shape}"), D, n, p
        )
        self._store(A=A, B=B, C=C, D=D, dt=as_dt(dt))


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class GaussianSSM(_WithInputs):
    r"""Linear model driven by white Gaussian noise, with a Gaussian initial state.

    .. math::

        x_{t+1} = A x_t + B u_t + w_t, \quad y_t = C x_t + D u_t + v_t, \quad
        \operatorname{cov}\begin{bmatrix} w_t \\ v_t \end{bmatrix}
        = \begin{bmatrix} Q & S \\ S^\top & R \end{bmatrix} \succeq 0,
        \quad x_0 \sim N(m_0, P_0).

    Parameters
    ----------
    A : (n, n) array_like
        State matrix.
    C : (p, n) array_like
        Output matrix, at least one row.
    Q : (n, n) array_like
        State noise covariance (an intensity when ``dt = 0``).
    R : (p, p) array_like
        Output noise covariance (an intensity when ``dt = 0``).
    S : (n, p) array_like, optional
        Cross-covariance of state and output noise; default zero.
    B : (n, m) array_like, optional
        Input matrix; default: no inputs.
    D : (p, m) array_like, optional
        Feedthrough; default zero.
    m0 : (n,) array_like, optional
        Mean of the initial state; default zero.
    P0 : (n, n) array_like, optional
        Covariance of the initial state. None (kept as None) means the stationary covariance, which
        exists for stable A only.
    dt : float, default 1.0
        Sample time; 0.0 means continuous time.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or a covariance is not positive semidefinite.
    UnstableModelError
        If `P0` is None and `A` is not stable: then no stationary covariance exists.
    """

    A: np.ndarray
    C: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    S: np.ndarray
    B: np.ndarray
    D: np.ndarray
    m0: np.ndarray
    P0: np.ndarray | None
    dt: float

    def __init__(
        self,
        A: ArrayLike,
        C: ArrayLike,
        Q: ArrayLike,
        R: ArrayLike,
        S: ArrayLike | None = None,
        *,
        B: ArrayLike | None = None,
        D: ArrayLike | None = None,
        m0: ArrayLike | None = None,
        P0: ArrayLike | None = None,
        dt: float = 1.0,
    ) -> None:
        A, C, n, p = _checked_dynamics(A, C)
        B, D = _checked_inputs(B, D, n, p)
        Q = as_symmetric("Q", Q, n, because=f"to match `A` {A.shape}")
        R = as_symmetric("R", R, p, because=f"to match `C` {C.shape}")
        if S is None:
            S = np.zeros((n, p))
        S = as_matrix("S", S, (n, p), because=f"to match `A` {A.shape} and `C` {C.shape}")
        require_semidefinite("[[Q, S], [S.T, R]]", np.block([[Q, S], [S.conj().T, R]]))
        dt = as_dt(dt)
        if P0 is not None:
            P0 = as_covariance("P0", P0, n, because=f"to match `A` {A.shape}")
        elif (margin := stability_margin(A, dt)) <= 0:
            raise UnstableModelError(
                "`P0` may be left out only for a stable `A`: the stationary covariance does not "
                f"exist (stability margin {margin:.3g}). Pass the covariance of the initial state.",
                stability_margin=margin,
            )
        m0 = _checked_state("m0", m0, n)
        self._store(A=A, C=C, Q=Q, R=R, S=S, B=B, D=D, m0=m0, P0=P0, dt=dt)


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class InnovationSSM(_WithInputs):
    r"""Innovations model: a predictor and the covariance of what it cannot predict.

    .. math::

        x_{t+1} = A x_t + B u_t + K e_t, \quad y_t = C x_t + D u_t + e_t, \quad
        \operatorname{cov} e_t = R_e.

    The predictor :math:`x_{t+1} = (A - KC) x_t + (B - KD) u_t + K y_t` starts at `x0` with no
    uncertainty.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix.
    C : (p, n) array_like
        Output matrix, at least one row.
    K : (n, p) array_like
        Kalman gain.
    Re : (p, p) array_like
        Innovation covariance (an intensity when ``dt = 0``).
    B : (n, m) array_like, optional
        Input matrix; default: no inputs.
    D : (p, m) array_like, optional
        Feedthrough; default zero.
    x0 : (n,) array_like, optional
        Initial state; default zero.
    dt : float, default 1.0
        Sample time; 0.0 means continuous time.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or `Re` is not positive semidefinite.
    """

    A: np.ndarray
    C: np.ndarray
    K: np.ndarray
    Re: np.ndarray
    B: np.ndarray
    D: np.ndarray
    x0: np.ndarray
    dt: float

    def __init__(
        self,
        A: ArrayLike,
        C: ArrayLike,
        K: ArrayLike,
        Re: ArrayLike,
        *,
        B: ArrayLike | None = None,
        D: ArrayLike | None = None,
        x0: ArrayLike | None = None,
        dt: float = 1.0,
    ) -> None:
        A, C, n, p = _checked_dynamics(A, C)
        B, D = _checked_inputs(B, D, n, p)
        K = as_matrix("K", K, (n, p), because=f"to match `A` {A.shape} and `C` {C.shape}")
        Re = as_covariance("Re", Re, p, because=f"to match `C` {C.shape}")
        x0 = _checked_state("x0", x0, n)
        self._store(A=A, C=C, K=K, Re=Re, B=B, D=D, x0=x0, dt=as_dt(dt))


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class CovarianceModel(StateSpaceRecord):
    r"""The covariances of a stationary process, with no choice of state.

    Discrete time: :math:`\Lambda_k = E[y_{t+k} y_t^\top] = C A^{k-1} N` for :math:`k \ge 1`.
    Continuous time: :math:`\Lambda(\tau) = C e^{A\tau} N` for :math:`\tau > 0`, and `Lambda0` is
    :math:`R`, the intensity of the white part. Two models with the same covariances are the same
    process. Whether a process with these covariances exists is what the positive real lemma
    decides (``is_positive_real``); the record itself asks for a stable `A` only.

    Parameters
    ----------
    A : (n, n) array_like
        State matrix, stable.
    C : (p, n) array_like
        Output matrix, at least one row.
    N : (n, p) array_like
        Cross-covariance :math:`E[x_{t+1} y_t^\top]` (written :math:`\bar C^\top` or :math:`G` in
        the literature).
    Lambda0 : (p, p) array_like
        Output covariance (``dt > 0``), or white-noise intensity (``dt = 0``).
    dt : float, default 1.0
        Sample time; 0.0 means continuous time.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or `Lambda0` is not positive semidefinite.
    UnstableModelError
        If `A` is not stable.
    """

    A: np.ndarray
    C: np.ndarray
    N: np.ndarray
    Lambda0: np.ndarray
    dt: float

    def __init__(
        self, A: ArrayLike, C: ArrayLike, N: ArrayLike, Lambda0: ArrayLike, *, dt: float = 1.0
    ) -> None:
        A, C, n, p = _checked_dynamics(A, C)
        N = as_matrix("N", N, (n, p), because=f"to match `A` {A.shape} and `C` {C.shape}")
        Lambda0 = as_covariance("Lambda0", Lambda0, p, because=f"to match `C` {C.shape}")
        dt = as_dt(dt)
        if (margin := stability_margin(A, dt)) <= 0:
            raise UnstableModelError(
                "`A` of a CovarianceModel must be stable: a stationary process has decaying "
                f"covariances (stability margin {margin:.3g}).",
                stability_margin=margin,
            )
        self._store(A=A, C=C, N=N, Lambda0=Lambda0, dt=dt)


AnyLinear = LinearSSM | GaussianSSM | InnovationSSM
"""The three linear records with a state."""
