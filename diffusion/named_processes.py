r"""The linear processes that have a name: special cases with transitions in closed form.

Glossary: ``a`` the factor by which data have shrunk, ``q`` the variance of the noise added::

    OrnsteinUhlenbeck          F = -theta I             G = sigma I
    VariancePreserving         F = -beta(t)/2 I         G = sqrt(beta(t)) I
    SubVariancePreserving      F = -beta(t)/2 I         G G' = beta(t) (1 - exp(-2 int beta)) I
    VarianceExploding          F = 0                    G G' = d sigma(t)^2 / dt I
    CriticallyDampedLangevin   positions and velocities, noise on the velocities only
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass

import numpy as np

from realization.internal import as_integer, as_real

from ._linear_process import LinearProcess, as_interval
from .processes import constant_moments

__all__ = [
    "CriticallyDampedLangevin",
    "OrnsteinUhlenbeck",
    "SubVariancePreserving",
    "VarianceExploding",
    "VariancePreserving",
]


class _Isotropic(LinearProcess):
    """A process whose coefficients and transitions are multiples of the identity."""

    __slots__ = ()

    @abstractmethod
    def _rates(self, t: float) -> tuple[float, float]:
        """Return the numbers phi and g with F = phi I and G = g I at time t."""

    @abstractmethod
    def _scalars(self, s: float, t: float) -> tuple[float, float]:
        """Return a and q: Phi = a I and Q = q I from s to t."""

    def coefficients(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return F = phi I, f = 0 and G = g I at one time.

        Parameters
        ----------
        t : float
            Time.

        Returns
        -------
        F : (n, n) ndarray
            Drift matrix.
        f : (n,) ndarray
            Zero.
        G : (n, n) ndarray
            Diffusion matrix.
        """
        t = as_interval(0.0, t)[1]
        with np.errstate(over="ignore", invalid="ignore"):
            phi, g = self._rates(t)
        _require_range(t, phi, g)
        identity = np.eye(self.n_states)
        return phi * identity, np.zeros(self.n_states), g * identity

    def _move(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.errstate(over="ignore", invalid="ignore"):
            a, q = self._scalars(s, t)
        _require_range(t, a, q)
        identity = np.eye(self.n_states)
        return a * identity, np.zeros(self.n_states), q * identity

    def _stationary_covariance(self) -> np.ndarray:
        return self._refuse_stationary()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OrnsteinUhlenbeck(_Isotropic):
    r"""Independent processes :math:`dx = -\theta x\,dt + \sigma\,dw`.

    Parameters
    ----------
    theta : float
        Rate of decay, positive.
    sigma : float
        Diffusion, positive.
    n : int, default 1
        Number of states.
    m0 : (n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (n, n) array_like, optional
        Covariance at time 0; default the stationary one, :math:`\sigma^2 / 2\theta`.

    Raises
    ------
    ValueError
        If a parameter is not positive or a shape disagrees.

    Examples
    --------
    >>> from diffusion import OrnsteinUhlenbeck
    >>> OrnsteinUhlenbeck(0.5, 1.0).marginal(3.0)[1]
    array([[1.]])
    """

    theta: float
    sigma: float
    n: int = 1
    _: KW_ONLY
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def __post_init__(self) -> None:
        theta, sigma = (as_real(k, getattr(self, k), above=0.0) for k in ("theta", "sigma"))
        self._store(theta=theta, sigma=sigma, n=as_integer("n", self.n, minimum=1))
        self._set_law(self.n)

    def _rates(self, t: float) -> tuple[float, float]:
        return -self.theta, self.sigma

    def _scalars(self, s: float, t: float) -> tuple[float, float]:
        decay = self.theta * (t - s)
        return np.exp(-decay), self.sigma**2 * -np.expm1(-2 * decay) / (2 * self.theta)

    def _stationary_covariance(self) -> np.ndarray:
        return self.sigma**2 / (2 * self.theta) * np.eye(self.n)


class _LinearSchedule(_Isotropic):
    """Processes with beta(t) linear from beta_min at 0 to beta_max at 1."""

    __slots__ = ()
    n: int
    beta_min: float
    beta_max: float

    def __post_init__(self) -> None:
        low = as_real("beta_min", self.beta_min, above=0.0)
        high = as_real("beta_max", self.beta_max, above=0.0)
        self._store(beta_min=low, beta_max=high, n=as_integer("n", self.n, minimum=1))
        self._set_law(self.n)

    def _beta(self, t: float) -> float:
        """Return beta(t)."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _elapsed(self, s: float, t: float) -> float:
        """Return the integral of beta from s to t."""
        return (t - s) * self._beta((s + t) / 2)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VariancePreserving(_LinearSchedule):
    r"""The process :math:`dx = -\tfrac12 \beta(t) x\,dt + \sqrt{\beta(t)}\,dw` on [0, 1].

    :math:`x_t \mid x_0 \sim N(a x_0, (1 - a^2) I)` with
    :math:`a = e^{-\frac12 \int_0^t \beta}`: the forward process of DDPM, in continuous time.

    Parameters
    ----------
    n : int, default 1
        Number of states.
    beta_min : float, default 0.1
        Schedule at t = 0, positive; it is linear in time.
    beta_max : float, default 20.0
        Schedule at t = 1, positive.
    m0 : (n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (n, n) array_like, optional
        Covariance at time 0; default the stationary one, I.

    Raises
    ------
    ValueError
        If a parameter is not positive or a shape disagrees.

    References
    ----------
    Song et al. (2021) for the name and the schedule; Ho, Jain and Abbeel (2020) for DDPM.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import VariancePreserving
    >>> Phi, _, Q = VariancePreserving().transition(0.1, 0.7)
    >>> bool(np.allclose(Phi**2 + Q, 1.0))
    True
    """

    n: int = 1
    _: KW_ONLY
    beta_min: float = 0.1
    beta_max: float = 20.0
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def _rates(self, t: float) -> tuple[float, float]:
        return -0.5 * self._beta(t), np.sqrt(self._beta(t))

    def _scalars(self, s: float, t: float) -> tuple[float, float]:
        elapsed = self._elapsed(s, t)
        return np.exp(-0.5 * elapsed), -np.expm1(-elapsed)

    def _stationary_covariance(self) -> np.ndarray:
        return np.eye(self.n)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubVariancePreserving(_LinearSchedule):
    r"""Like VariancePreserving with less noise, :math:`G G^\top = \beta(t) (1 - e^{-2\int\beta})`.

    :math:`x_t \mid x_0 \sim N(a x_0, (1 - a^2)^2 I)`.

    Parameters
    ----------
    n : int, default 1
        Number of states.
    beta_min : float, default 0.1
        Schedule at t = 0, positive; it is linear in time.
    beta_max : float, default 20.0
        Schedule at t = 1, positive.
    m0 : (n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (n, n) array_like, optional
        Covariance at time 0. It has no default where a law is needed: no law is stationary.

    Raises
    ------
    ValueError
        If a parameter is not positive or a shape disagrees.

    References
    ----------
    Song et al. (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import SubVariancePreserving
    >>> Phi, _, Q = SubVariancePreserving().transition(0.0, 0.7)
    >>> bool(np.allclose(Q, (1 - Phi**2) ** 2))
    True
    """

    n: int = 1
    _: KW_ONLY
    beta_min: float = 0.1
    beta_max: float = 20.0
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def _rates(self, t: float) -> tuple[float, float]:
        beta = self._beta(t)
        return -0.5 * beta, np.sqrt(beta * -np.expm1(-2 * self._elapsed(0.0, t)))

    def _scalars(self, s: float, t: float) -> tuple[float, float]:
        elapsed = self._elapsed(s, t)
        both = self._elapsed(0.0, s) + self._elapsed(0.0, t)
        return np.exp(-0.5 * elapsed), np.expm1(-elapsed) * np.expm1(-both)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VarianceExploding(_Isotropic):
    r"""The process :math:`dx = \sqrt{d\sigma^2(t)/dt}\,dw` on [0, 1]: noise is added.

    :math:`x_t \mid x_0 \sim N(x_0, (\sigma^2(t) - \sigma^2(0)) I)` with
    :math:`\sigma(t) = \sigma_{\min} (\sigma_{\max} / \sigma_{\min})^t`.

    Parameters
    ----------
    n : int, default 1
        Number of states.
    sigma_min : float, default 0.01
        Noise level at t = 0, positive.
    sigma_max : float, default 50.0
        Noise level at t = 1, above `sigma_min`.
    m0 : (n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (n, n) array_like, optional
        Covariance at time 0. It has no default where a law is needed: no law is stationary.

    Raises
    ------
    ValueError
        If a parameter is out of range or a shape disagrees.

    References
    ----------
    Song et al. (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import VarianceExploding
    >>> sde = VarianceExploding(sigma_min=0.1, sigma_max=10.0)
    >>> bool(np.allclose(sde.transition(0.0, 0.5)[2], 1.0**2 - 0.1**2))
    True
    """

    n: int = 1
    _: KW_ONLY
    sigma_min: float = 0.01
    sigma_max: float = 50.0
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def __post_init__(self) -> None:
        low = as_real("sigma_min", self.sigma_min, above=0.0)
        high = as_real("sigma_max", self.sigma_max, above=low)
        self._store(sigma_min=low, sigma_max=high, n=as_integer("n", self.n, minimum=1))
        self._set_law(self.n)

    def _rates(self, t: float) -> tuple[float, float]:
        growth = np.log(self.sigma_max / self.sigma_min)
        return 0.0, self.sigma_min * np.exp(growth * t) * np.sqrt(2 * growth)

    def _scalars(self, s: float, t: float) -> tuple[float, float]:
        growth = 2 * np.log(self.sigma_max / self.sigma_min)
        return 1.0, self.sigma_min**2 * np.exp(growth * s) * np.expm1(growth * (t - s))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CriticallyDampedLangevin(LinearProcess):
    r"""Positions q and velocities v, damped as fast as they can be without oscillating.

    .. math::

        dq = \tfrac{\beta}{M} v\,dt, \qquad
        dv = -\beta q\,dt - \tfrac{\beta\Gamma}{M} v\,dt + \sqrt{2\Gamma\beta}\,dw, \qquad
        \Gamma^2 = 4M,

    with the state x = (q, v), n entries each. Noise enters the velocities only, so positions are
    smooth and the score is needed for the velocities only.

    Parameters
    ----------
    n : int, default 1
        Number of positions.
    beta : float, default 4.0
        Rate, positive.
    mass : float, default 0.25
        :math:`M`, positive.
    m0 : (2 n,) array_like, optional
        Mean at time 0; default zero.
    P0 : (2 n, 2 n) array_like, optional
        Covariance at time 0; default the stationary one, diag(I, M I).

    Raises
    ------
    ValueError
        If a parameter is not positive or a shape disagrees.

    References
    ----------
    Dockhorn, Vahdat and Kreis (2022) for its use in diffusion models.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import CriticallyDampedLangevin
    >>> sde = CriticallyDampedLangevin(mass=0.25)
    >>> bool(np.allclose(sde.marginal(1.3)[1], np.diag([1.0, 0.25])))
    True
    """

    n: int = 1
    _: KW_ONLY
    beta: float = 4.0
    mass: float = 0.25
    m0: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    P0: np.ndarray | None = None

    def __post_init__(self) -> None:
        beta, mass = (as_real(k, getattr(self, k), above=0.0) for k in ("beta", "mass"))
        self._store(beta=beta, mass=mass, n=as_integer("n", self.n, minimum=1))
        self._set_law(2 * self.n)

    def _pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Return F (2, 2) and G (2, 1) of one position and its velocity."""
        damping = 2 * np.sqrt(self.mass)
        F = self.beta * np.array([[0.0, 1 / self.mass], [-1.0, -damping / self.mass]])
        return F, np.array([[0.0], [np.sqrt(2 * damping * self.beta)]])

    def coefficients(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return F (2 n, 2 n), f = 0 and G (2 n, n), the same at all times.

        Parameters
        ----------
        t : float
            Time; not used.

        Returns
        -------
        F : (2 n, 2 n) ndarray
            Drift matrix.
        f : (2 n,) ndarray
            Zero.
        G : (2 n, n) ndarray
            Diffusion matrix.
        """
        F, G = self._pair()
        identity = np.eye(self.n)
        return np.kron(F, identity), np.zeros(2 * self.n), np.kron(G, identity)

    def _move(self, s: float, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        F, G = self._pair()
        Phi, _, Q = constant_moments(F, np.zeros(2), G, t - s)
        identity = np.eye(self.n)
        return np.kron(Phi, identity), np.zeros(2 * self.n), np.kron(Q, identity)

    def _stationary_covariance(self) -> np.ndarray:
        return np.diag(np.repeat([1.0, self.mass], self.n))


def _require_range(t: float, *values: float) -> None:
    """Raise if a schedule has left the numbers at time t."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"`t` = {t:g} is so late that the noise of this process is no longer a number: its "
            "schedule is made for times in [0, 1]. Take an earlier time."
        )
