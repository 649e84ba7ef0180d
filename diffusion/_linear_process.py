r"""What every linear stochastic differential equation with a Gaussian start can do, exactly.

:math:`dx = (F_t x + f_t)\,dt + G_t\,dw`, :math:`x_0 \sim N(m_0, P_0)`. Between two times s < t::

    x_t | x_s ~ N(Phi x_s + offset, Q)            m_t = Phi m_s + offset,   P_t = Phi P_s Phi' + Q
    x_s | x_t ~ N(J x_t + offset_back, V)         J = P_s Phi' P_t^+

A process says how its coefficients and its transitions are found; the rest follows, here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from realization import AccuracyError
from realization.internal import (
    as_covariance,
    as_matrix,
    as_numbers,
    as_real,
    counted,
    covariance_factor,
    require_memory,
    symmetrize,
)

from ._factors import row_space
from .score import ReverseSDE, reverse_time_sde

__all__ = [
    "LinearProcess",
    "ReverseKernel",
    "as_interval",
    "as_points",
    "isotropic_numbers",
    "precision_root",
    "require_process",
]

LARGEST_POINT = 1e150  # the squares of its entries are numbers


class ReverseKernel(NamedTuple):
    """x_s given x_t: mean J x_t + offset, covariance factor @ factor.T."""

    J: np.ndarray
    offset: np.ndarray
    factor: np.ndarray


class LinearProcess(ABC):
    """The interface of all linear processes; `m0` (n,) and `P0` (n, n) or None are fields."""

    __slots__ = ()
    m0: np.ndarray
    P0: np.ndarray | None

    @abstractmethod
    def coefficients(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the coefficients of the equation at one time.

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
        """

    @abstractmethod
    def _move(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Phi, offset, Q of the step from s to t, 0 <= s < t."""

    @abstractmethod
    def _stationary_covariance(self) -> np.ndarray:
        """Return the covariance that `P0` = None stands for, or raise."""

    @property
    def n_states(self) -> int:
        """State dimension n."""
        return self.m0.size

    def transition(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Return the exact law of one step: :math:`x_t \mid x_s \sim N(\Phi x_s + b, Q)`.

        Parameters
        ----------
        s : float
            Start, not negative.
        t : float
            End, ``t >= s``.

        Returns
        -------
        Phi : (n, n) ndarray
            Transition matrix.
        offset : (n,) ndarray
            :math:`b`, the effect of f.
        Q : (n, n) ndarray
            Covariance of the noise that the step adds.

        Raises
        ------
        ValueError
            If the times are out of order, or the state grows past the largest float.
        """
        s, t = as_interval(s, t)
        if s == t:
            n = self.n_states
            return np.eye(n), np.zeros(n), np.zeros((n, n))
        return self._move(s, t)

    def marginal(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the law at one time: :math:`x_t \sim N(m_t, P_t)`.

        Parameters
        ----------
        t : float
            Time, not negative.

        Returns
        -------
        mean : (n,) ndarray
            :math:`m_t`.
        covariance : (n, n) ndarray
            :math:`P_t`.

        Raises
        ------
        ValueError
            If `t` is negative, or `P0` was left out and the process has no stationary law.
        UnstableModelError
            If `P0` was left out and F is not stable.
        """
        Phi, offset, Q = self.transition(0.0, t)
        return Phi @ self.m0 + offset, symmetrize(Phi @ self._start() @ Phi.T + Q)

    def score(self, x: ArrayLike, t: float) -> np.ndarray:
        r"""Return the gradient of the logarithm of the density at time t.

        :math:`\nabla \log p_t(x) = -P_t^{-1} (x - m_t)`.

        Parameters
        ----------
        x : (..., n) array_like
            Points; leading axes are batch.
        t : float
            Time, not negative.

        Returns
        -------
        (..., n) ndarray
            The score at each point; float32 if `x` is.

        Raises
        ------
        ValueError
            If `x` has another shape, or `marginal` raises.
        AccuracyError
            If :math:`P_t` is singular: then there is no density.
        """
        x = as_points(x, self.n_states)
        mean, covariance = self.marginal(t)
        root = precision_root(covariance, f"at t = {t:g}").astype(x.dtype)
        return -((x - mean.astype(x.dtype)) @ root) @ root.T

    def reverse_kernel(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Return the exact law of one step backwards: :math:`x_s \mid x_t \sim N(J x_t + b, V)`.

        .. math::

            J = P_s \Phi^\top P_t^{+}, \quad b = m_s - J m_t, \quad
            V = (I - J\Phi) P_s (I - J\Phi)^\top + J Q J^\top

        for any s < t, near or far. With :math:`m_0 = x_0, P_0 = 0` it is the bridge from
        :math:`x_0` to :math:`x_t`, the posterior of DDPM.

        Parameters
        ----------
        s : float
            The earlier time, not negative.
        t : float
            The later time, ``t >= s``.

        Returns
        -------
        J : (n, n) ndarray
            Matrix of the conditional mean.
        offset : (n,) ndarray
            :math:`b`.
        V : (n, n) ndarray
            Conditional covariance, positive semidefinite to the last bit.

        Raises
        ------
        ValueError
            If the times are out of order, or `marginal` raises.
        UnstableModelError
            If `P0` was left out and F is not stable.
        """
        s, t = as_interval(s, t)
        n = self.n_states
        if s == t:
            return np.eye(n), np.zeros(n), np.zeros((n, n))
        kernel = self.reverse_kernels(np.array([s, t]))[0]
        return kernel.J, kernel.offset, kernel.factor @ kernel.factor.T

    def reverse_sde(self, eta: float = 1.0) -> ReverseSDE:
        r"""Return an equation for time running backwards with the same marginals.

        .. math::

            dx = \bigl[F x + f - \tfrac12 (1 + \eta^2)\, G G^\top \nabla \log p_t(x)\bigr] dt
            + \eta\, G\, d\bar w, \qquad dt < 0 .

        Parameters
        ----------
        eta : float, default 1.0
            1 has the law of the whole path, 0 is an ordinary differential equation
            (``probability_flow``), others agree in the marginals only.

        Returns
        -------
        ReverseSDE
            With `drift(x, t)` and `diffusion(x, t)`.
        """
        return reverse_time_sde(self.drift, self.diffusion, self.score, eta=eta)

    def probability_flow(self) -> ReverseSDE:
        r"""Return the ordinary differential equation with the same marginals, ``eta = 0``.

        Returns
        -------
        ReverseSDE
            With `drift(x, t)`, and `diffusion(x, t)` zero.
        """
        return self.reverse_sde(0.0)

    def drift(self, x: ArrayLike, t: float) -> np.ndarray:
        """Return F x + f, the drift of the process itself.

        Parameters
        ----------
        x : (..., n) array_like
            Points.
        t : float
            Time.

        Returns
        -------
        (..., n) ndarray
            The drift at each point; float32 if `x` is.
        """
        x = as_points(x, self.n_states)
        F, f, _ = self.coefficients(t)
        return x @ F.T.astype(x.dtype) + f.astype(x.dtype)

    def diffusion(self, x: ArrayLike, t: float) -> np.ndarray:
        """Return G, which does not depend on x.

        Parameters
        ----------
        x : (..., n) array_like
            Points; not used.
        t : float
            Time.

        Returns
        -------
        (n, k) ndarray
            The diffusion matrix.
        """
        return self.coefficients(t)[2]

    def reverse_kernels(self, times: np.ndarray) -> list[ReverseKernel]:
        """Return the kernels between neighbours of a grid.

        Parameters
        ----------
        times : (K,) ndarray
            Increasing times, not negative.

        Returns
        -------
        list of ReverseKernel
            K - 1 kernels, the first from times[1] to times[0].
        """
        Phi, offset, Q = self.transition(0.0, times[0])
        mean = Phi @ self.m0 + offset
        L = np.hstack([Phi @ covariance_factor(self._start()), covariance_factor(Q)])
        L = row_space(L).factor
        kernels = []
        for Phi, offset, W in self._moves(times):
            given = row_space(np.hstack([Phi @ L, W]))
            r = L.shape[1]
            J = L @ given.rows[:, :r].T @ given.inverse
            following = Phi @ mean + offset
            kernels.append(ReverseKernel(J, mean - J @ following, L @ given.rest[:, :r].T))
            mean, L = following, given.factor
        return kernels

    def _moves(self, times: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield Phi, offset and a factor of Q for each step of an increasing grid."""
        for s, t in pairwise(times):
            Phi, offset, Q = self._move(s, t)
            yield Phi, offset, covariance_factor(Q)

    def _start(self) -> np.ndarray:
        """Return the covariance at time 0."""
        return self._stationary_covariance() if self.P0 is None else self.P0

    def _refuse_stationary(self) -> np.ndarray:
        """Raise: there is no stationary law to stand in for `P0`."""
        raise ValueError(
            f"`P0` must be given to a {type(self).__name__} whose law is asked for: it has no "
            "stationary law. Use dataclasses.replace(sde, P0=...), with zeros for a known start."
        )

    def _set_law(self, n: int) -> None:
        """Check `m0` and `P0`, and store read-only copies."""
        because = f"to match the {counted(n, 'state')}"
        require_memory(f"a process of {n} states", n)
        m0 = np.zeros(n) if self.m0 is None else as_matrix("m0", self.m0, (n,), because=because)
        P0 = None if self.P0 is None else as_covariance("P0", self.P0, n, because=because)
        self._store(m0=m0, P0=P0)

    def _store(self, **values: object) -> None:
        """Set fields of a frozen record; arrays become read-only."""
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple:
        """Rebuild through the constructor, so that unpickled arrays are read-only again."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # pyright: ignore[reportArgumentType]
        return partial(type(self), **values), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(self.n_states, 'state')})"


def as_interval(s: float, t: float) -> tuple[float, float]:
    """Return two checked times, 0 <= s <= t."""
    s, t = as_real("s", s), as_real("t", t)
    if not 0.0 <= s <= t:
        raise ValueError(
            f"`s` and `t` must satisfy 0 <= s <= t: s is the earlier time; got {s:g} and {t:g}."
        )
    return s, t


def require_process(sde: object) -> LinearProcess:
    """Return `sde` if it is a linear process."""
    if not isinstance(sde, LinearProcess):
        raise TypeError(
            f"`sde` must be a LinearSDE or one of the named processes; got {type(sde).__name__}."
        )
    return sde


def as_points(x: ArrayLike, n: int, name: str = "x") -> np.ndarray:
    """Return finite points (..., n) in float32 if they are, else in float64; not copied."""
    array = as_numbers(name, x, real=True)
    if array.ndim == 0 or array.shape[-1] != n:
        raise ValueError(f"`{name}` must have shape (..., {n}); got {array.shape}.")
    size = float(np.abs(array).max(initial=0.0))
    if not size <= LARGEST_POINT:
        raise ValueError(
            f"`{name}` must be finite, of size {LARGEST_POINT:g} at most; found {size:.3g}. Use "
            "other units, or smaller steps."
        )
    return array if array.dtype == np.float32 else array.astype(float, copy=False)


def isotropic_numbers(Phi: np.ndarray, Q: np.ndarray, need: str) -> tuple[float, float]:
    """Return a and sigma with Phi = a I and Q = sigma^2 I, or refuse, saying what needs it."""
    a, q = Phi[0, 0], Q[0, 0]
    if not (np.array_equal(Phi, a * np.eye(len(Phi))) and np.array_equal(Q, q * np.eye(len(Q)))):
        raise ValueError(
            f"{need} multiples of the identity, such as VariancePreserving or VarianceExploding."
        )
    return float(a), float(np.sqrt(q))


def precision_root(P: np.ndarray, which: str) -> np.ndarray:
    """Return R (n, n) with R R' the inverse of a covariance; refuse a singular one."""
    deviation = np.sqrt(np.diag(P).clip(min=0.0))
    if deviation.all():
        values, vectors = np.linalg.eigh(P / np.outer(deviation, deviation))
        if values[0] > len(P) * np.finfo(float).eps * values[-1]:
            return vectors / np.sqrt(values) / deviation[:, np.newaxis]
        ratio = max(float(values[0] / values[-1]), 0.0)
    else:
        ratio = 0.0
    raise AccuracyError(
        f"The covariance {which} is singular (its correlations have eigenvalues in a ratio of "
        f"{ratio:.1e}), so the law has no density and no score. Stop at a time above 0, or use the "
        'exact reverse kernels (method="exact"), which need no score.',
        residual=ratio,
    )
