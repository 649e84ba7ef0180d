r"""Linear stochastic differential equations :math:`dx = (F_t x + f_t)\,dt + G_t\,dw`.

Glossary: ``Phi``, ``offset``, ``Q`` the exact transition between two times. Constant coefficients:
the matrix exponential and the noise integral. Coefficients that change: their moments integrated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import repeat

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import AccuracyError, GaussianSSM, continuize
from realization.internal import (
    as_instance,
    as_matrix,
    as_real,
    as_square,
    covariance_factor,
    noise_integral,
    require_real,
    solve_lyapunov,
    symmetrize,
)

from ._linear_process import LinearProcess

__all__ = ["LinearSDE", "constant_moments"]

Coefficient = Callable[[float], ArrayLike]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LinearSDE(LinearProcess):
    r"""The process :math:`dx = (F_t x + f_t)\,dt + G_t\,dw` with :math:`x_0 \sim N(m_0, P_0)`.

    Parameters
    ----------
    F : (n, n) array_like or callable
        Drift matrix; a function of time ``F(t)`` if it changes.
    G : (n, k) array_like or callable
        Diffusion matrix.
    f : (n,) array_like or callable, optional
        Drift offset; default zero.
    m0 : (n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (n, n) array_like, optional
        Covariance at time 0; may be singular, zero too. Default: the stationary covariance, where
        F and G are constant and F is stable.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or `P0` is not a covariance.

    See Also
    --------
    VariancePreserving, VarianceExploding, OrnsteinUhlenbeck : Named cases, in closed form.

    Notes
    -----
    Constant coefficients: the matrix exponential, and for the noise a series over a step with
    :math:`\|F\| h / 2^k \le 1` and k doublings, so that neither fast modes nor long steps overflow.
    Coefficients that are functions of time: the moments are integrated (Runge-Kutta of order 8,
    relative tolerance 1e-12); where F(t) and G(t) G(t)' are one scalar schedule times constants,
    change the clock instead: integrate the schedule and use the constants.

    References
    ----------
    Van Loan (1978) for the integral, whose own block exponential overflows for long steps.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import LinearSDE
    >>> sde = LinearSDE([[-1.0]], [[1.0]], P0=[[4.0]])
    >>> J, offset, V = sde.reverse_kernel(0.2, 1.0)
    >>> (_, P_s), (_, P_t) = sde.marginal(0.2), sde.marginal(1.0)
    >>> bool(np.allclose(J @ P_t @ J.T + V, P_s))
    True
    """

    F: np.ndarray | Coefficient
    G: np.ndarray | Coefficient
    _: KW_ONLY
    f: np.ndarray | Coefficient | None = None
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def __post_init__(self) -> None:
        F = self.F if callable(self.F) else as_square("F", self.F)
        n = as_square("F", F(0.0) if callable(F) else F).shape[0]
        G, f = self.G, np.zeros(n) if self.f is None else self.f
        because = f"to match `F` ({n}, {n})"
        G = G if callable(G) else as_matrix("G", G, (n, None), because=because)
        f = f if callable(f) else as_matrix("f", f, (n,), because=because)
        self._store(F=F, G=G, f=f)
        self.coefficients(0.0)
        self._set_law(n)

    @classmethod
    def from_model(cls, model: GaussianSSM) -> LinearSDE:
        """Return the process of the state of a Gaussian model.

        Parameters
        ----------
        model : GaussianSSM
            Without inputs; in discrete time it is taken to continuous time first (`continuize`),
            so the process, sampled with the model's `dt`, has the model's states.

        Returns
        -------
        LinearSDE
            With F = A, a factor of Q as G, and the model's `m0` and `P0`.

        Raises
        ------
        TypeError
            If `model` is another kind of object, or complex.
        ValueError
            If the model has inputs.
        NotEmbeddable
            If no process in continuous time has these states as samples.
        """
        as_instance("model", model, (GaussianSSM,))
        require_real(model, "from_model")
        if model.n_inputs:
            raise ValueError(
                f"`model` must have no inputs; got {model.n_inputs}. Pass their effect as `f` of "
                "LinearSDE."
            )
        if model.dt > 0.0:  # the state alone: the outputs of the model play no part
            A, Q, unseen = model.A, model.Q, np.zeros((1, model.n_states))
            model = continuize(
                GaussianSSM(A, unseen, Q, [[1.0]], m0=model.m0, P0=model.P0, dt=model.dt)
            )
        return cls(model.A, covariance_factor(model.Q), m0=model.m0, P0=model.P0)

    def to_discrete(self, dt: float) -> GaussianSSM:
        """Return the model of the samples: the state every `dt`, observed without noise.

        Parameters
        ----------
        dt : float
            Sample time, positive.

        Returns
        -------
        GaussianSSM
            With C = I, R = 0. A nonzero `f` becomes one input that must be held at 1.

        Raises
        ------
        ValueError
            If `dt` is not positive, or the coefficients change with time.
        """
        h = as_real("dt", dt, above=0.0)
        if self._changes:
            raise ValueError(
                "to_discrete needs constant coefficients: here a step's law depends on when it is "
                "taken. Use transition(s, t) for each step."
            )
        Phi, offset, Q = self.transition(0.0, h)
        n = self.n_states
        B = offset[:, np.newaxis] if offset.any() else None
        R = np.zeros((n, n))
        return GaussianSSM(Phi, np.eye(n), Q, R, B=B, m0=self.m0, P0=self.P0, dt=h)

    def coefficients(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return F (n, n), f (n,) and G (n, k) at one time.

        Parameters
        ----------
        t : float
            Time.

        Returns
        -------
        F : (n, n) ndarray
            Drift matrix.
        f : (n,) ndarray
            Drift offset.
        G : (n, k) ndarray
            Diffusion matrix.

        Raises
        ------
        TypeError
            If a coefficient is not real.
        ValueError
            If a function returns another shape, or numbers that are not finite.
        """
        t = as_real("t", t)
        F = as_square("F", self.F(t)) if callable(self.F) else self.F
        n = F.shape[0]
        because = f"to match `F` ({n}, {n})"
        f = as_matrix("f", self.f(t), (n,), because=because) if callable(self.f) else self.f
        G = as_matrix("G", self.G(t), (n, None), because=because) if callable(self.G) else self.G
        if any(np.iscomplexobj(part) for part in (F, f, G) if part is not None):
            raise TypeError("`F`, `f` and `G` must be real; got complex numbers.")
        return F, f, G  # pyright: ignore[reportReturnType]

    @property
    def _changes(self) -> bool:
        """Whether a coefficient changes with time."""
        return callable(self.F) or callable(self.G) or callable(self.f)

    def _move(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._changes:
            return _integrated_moments(self, s, t)
        F, f, G = self.coefficients(s)
        return constant_moments(F, f, G, t - s)

    def _moves(self, times: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        steps = np.diff(times)
        if self._changes or not steps.size or np.ptp(steps) > 4 * np.finfo(float).eps * times[-1]:
            return super(LinearSDE, self)._moves(times)
        Phi, offset, Q = self._move(0.0, float(steps.mean()))  # equal steps: one move for all
        return repeat((Phi, offset, covariance_factor(Q)), steps.size)

    def _stationary_covariance(self) -> np.ndarray:
        if callable(self.F) or callable(self.G):
            self._refuse_stationary()
        F, _, G = self.coefficients(0.0)
        return solve_lyapunov(F, G @ G.T, dt=0.0)


def constant_moments(
    F: np.ndarray, f: np.ndarray, G: np.ndarray, h: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Phi, offset and Q of a step of length h with constant coefficients."""
    n = F.shape[0]
    block = np.zeros((n + 1, n + 1))
    block[:n, :n], block[:n, n] = F * h, f * h
    with np.errstate(all="ignore"):
        E = scipy.linalg.expm(block)
        Q = noise_integral(F * h, G @ G.T * h)
    if not (np.isfinite(E).all() and np.isfinite(Q).all()):
        growth = float(np.linalg.eigvals(F).real.max() * h)
        raise ValueError(
            f"The step of length {h:g} is too long for this unstable process: its state grows by "
            f"exp({growth:.3g}), past the largest float. Take shorter steps."
        )
    return E[:n, :n], E[:n, n], Q


def _integrated_moments(
    sde: LinearSDE, s: float, t: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Phi, offset and Q from s to t by integrating their differential equations."""
    n = sde.n_states
    split = np.cumsum([n * n, n])

    def rate(time: float, packed: np.ndarray) -> np.ndarray:
        Phi, offset, Q = np.split(packed, split)
        F, f, G = sde.coefficients(time)
        FQ = F @ Q.reshape(n, n)
        return np.concatenate(
            [(F @ Phi.reshape(n, n)).ravel(), F @ offset + f, (FQ + FQ.T + G @ G.T).ravel()]
        )

    start = np.concatenate([np.eye(n).ravel(), np.zeros(n + n * n)])
    some = [sde.coefficients(s + (t - s) * part) for part in (0.0, 0.5, 1.0)]
    drive = max(np.abs(f).max(initial=0.0) for _, f, _ in some) * (t - s) or 1.0
    noise = max(np.abs(G @ G.T).max(initial=0.0) for _, _, G in some) * (t - s) or 1.0
    atol = 1e-13 * np.repeat([1.0, drive, noise], [n * n, n, n * n])
    path = scipy.integrate.solve_ivp(rate, (s, t), start, "DOP853", [t], rtol=1e-12, atol=atol)
    if not path.success:
        raise AccuracyError(
            f"The moments could not be integrated from {s:g} to {t:g} to 1e-12: {path.message} "
            "Likely causes: (a) a coefficient that is not finite or jumps, (b) very fast modes.",
            residual=np.inf,
        )
    Phi, offset, Q = np.split(path.y[:, -1], split)
    return Phi.reshape(n, n), offset, symmetrize(Q.reshape(n, n))
