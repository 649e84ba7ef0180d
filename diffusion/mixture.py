r"""Gaussian mixtures: the one multimodal law whose diffusion and reversal are known exactly.

Each component moves on its own, :math:`(m_k, P_k)(t)`, with constant weights. With the
responsibilities :math:`r_k(x) = p(k \mid x_t = x)`::

    score             sum_k r_k(x) (-P_k^-1 (x - m_k))
    reverse kernel    sum_k r_k(x_t) N(J_k x_t + b_k, V_k)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from realization.internal import (
    Rng,
    as_array,
    as_covariance,
    as_generator,
    as_integer,
    as_matrix,
    counted,
    covariance_factor,
    register_record,
    require_memory,
)

from ._linear_process import LinearProcess, as_interval, as_points, precision_root, require_process

__all__ = ["GaussianMixture"]


@register_record
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GaussianMixture:
    r"""The law :math:`\sum_k w_k N(m_k, P_k)`, with its exact diffusion and reversal.

    Parameters
    ----------
    weights : (K,) array_like
        :math:`w_k`, not negative, summing to 1.
    means : (K, n) array_like
        :math:`m_k`.
    covariances : (K, n, n) array_like
        :math:`P_k`; may be singular. Zeros make the empirical law of the means.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, the weights do not sum to 1, or a covariance is
        not positive semidefinite.

    Notes
    -----
    As the law of data at time 0 it gives the exact score of every later law, so that a sampler's
    error can be told from a network's. With zero covariances the exact reverse process ends *on*
    the data points: what a diffusion model produces beyond them is the error of its score.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import GaussianMixture, VariancePreserving
    >>> data = GaussianMixture([0.3, 0.7], [[-2.0], [2.0]], 0.1 * np.ones((2, 1, 1)))
    >>> late = data.diffuse(VariancePreserving(), 1.0)            # almost N(0, 1)
    >>> bool(np.allclose(late.score([[0.5], [1.0]]), [[-0.5], [-1.0]], atol=0.02))
    True
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def __post_init__(self) -> None:
        weights = as_array("weights", self.weights)
        if weights.ndim != 1 or weights.size == 0 or (weights < 0).any():
            raise ValueError(
                f"`weights` must be (K,) numbers that are not negative; got {self.weights!r}."
            )
        if abs(weights.sum() - 1.0) > 1e-8:
            raise ValueError(f"`weights` must sum to 1; they sum to {weights.sum():.6g}.")
        K = weights.size
        means = as_matrix("means", self.means, (K, None), because=f"to match `weights` ({K},)")
        n = means.shape[1]
        because = f"to match `means` ({K}, {n})"
        covariances = as_matrix("covariances", self.covariances, (K, n, n), because=because)
        checked = [as_covariance(f"covariances[{k}]", P, n) for k, P in enumerate(covariances)]
        for name, array in (
            ("weights", weights / weights.sum()),
            ("means", means),
            ("covariances", np.array(checked)),
        ):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_states(self) -> int:
        """Dimension n."""
        return self.means.shape[1]

    def __repr__(self) -> str:
        components = counted(self.weights.size, "component")
        return f"GaussianMixture({components}, {counted(self.n_states, 'state')})"

    def log_density(self, x: ArrayLike) -> np.ndarray:
        """Return the logarithm of the density.

        Parameters
        ----------
        x : (..., n) array_like
            Points.

        Returns
        -------
        (...) ndarray
            Log-density at each point.

        Raises
        ------
        AccuracyError
            If a covariance is singular: then there is no density.
        """
        logs = self._components(as_points(x, self.n_states))[0]
        return _log_sum(logs)[..., 0]

    def score(self, x: ArrayLike) -> np.ndarray:
        """Return the gradient of the logarithm of the density.

        Parameters
        ----------
        x : (..., n) array_like
            Points.

        Returns
        -------
        (..., n) ndarray
            Score at each point; float32 if `x` is.

        Raises
        ------
        AccuracyError
            If a covariance is singular: then there is no density.
        """
        x = as_points(x, self.n_states)
        logs, white, roots = self._components(x)
        shares = np.exp(logs - _log_sum(logs))
        pulls = np.moveaxis(-white @ np.swapaxes(roots, 1, 2), 0, -2)
        pulls = pulls.reshape(*x.shape[:-1], *pulls.shape[-2:])
        return (shares[..., np.newaxis, :] @ pulls)[..., 0, :].astype(x.dtype)

    def sample(self, count: int, *, rng: Rng = None) -> np.ndarray:
        """Draw points.

        Parameters
        ----------
        count : int
            Number of points.
        rng : int, Generator or None, optional
            Source of randomness.

        Returns
        -------
        (count, n) ndarray
            Independent draws.

        Raises
        ------
        TypeError
            If `count` is not an integer.
        """
        generator = as_generator(rng)
        count = as_integer("count", count)
        require_memory(f"`count` = {count}", count * self.means.shape[1])
        which = generator.choice(self.weights.size, size=count, p=self.weights)
        x = self.means[which]
        for k in np.unique(which):
            factor = covariance_factor(self.covariances[k])
            own = which == k
            x[own] += generator.standard_normal((own.sum(), factor.shape[1])) @ factor.T
        return x

    def diffuse(self, sde: LinearProcess, t: float) -> GaussianMixture:
        """Return the law at time t of a process that starts from this law at time 0.

        Parameters
        ----------
        sde : LinearSDE or named process
            The process; its own `m0` and `P0` play no part.
        t : float
            Time, not negative.

        Returns
        -------
        GaussianMixture
            With the same weights.

        Raises
        ------
        ValueError
            If the process has another number of states, or `t` is negative.
        """
        self._check(sde)
        Phi, offset, Q = sde.transition(0.0, t)
        return GaussianMixture(
            self.weights, self.means @ Phi.T + offset, Phi @ self.covariances @ Phi.T + Q
        )

    def reverse_kernel(
        self, sde: LinearProcess, x_t: ArrayLike, s: float, t: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Return the exact law of :math:`x_s` given :math:`x_t`: again a mixture.

        Parameters
        ----------
        sde : LinearSDE or named process
            The process that carries this law from time 0.
        x_t : (..., n) array_like
            States at the later time.
        s : float
            The earlier time, not negative.
        t : float
            The later time, ``t >= s``.

        Returns
        -------
        weights : (..., K) ndarray
            Responsibilities :math:`r_k(x_t)`.
        means : (..., K, n) ndarray
            Conditional means of the components.
        covariances : (K, n, n) ndarray
            Their conditional covariances, which do not depend on x_t.

        Raises
        ------
        ValueError
            If the times are out of order or shapes disagree.
        AccuracyError
            If a component has no density at time t.
        """
        s, t = as_interval(s, t)
        x = as_points(x_t, self.n_states, "x_t")
        weights = self.diffuse(sde, t).responsibilities(x)
        kernels = [process.reverse_kernel(s, t) for process in self.components(sde)]
        means = np.stack([x @ J.T + offset for J, offset, _ in kernels], axis=-2)
        return weights, means, np.array([V for _, _, V in kernels])

    def responsibilities(self, x: ArrayLike) -> np.ndarray:
        """Return the probability of each component given a point.

        Parameters
        ----------
        x : (..., n) array_like
            Points.

        Returns
        -------
        (..., K) ndarray
            Probabilities, summing to 1.

        Raises
        ------
        AccuracyError
            If a covariance is singular: then there is no density.
        """
        logs = self._components(as_points(x, self.n_states))[0]
        return np.exp(logs - _log_sum(logs))

    def components(self, sde: LinearProcess) -> list[LinearProcess]:
        """Return the process of each component: `sde` started from its mean and covariance.

        Parameters
        ----------
        sde : LinearSDE or named process
            The process.

        Returns
        -------
        list of processes
            K of them, of the class of `sde`.
        """
        self._check(sde)
        return [
            replace(sde, m0=m, P0=P)  # pyright: ignore[reportArgumentType]
            for m, P in zip(self.means, self.covariances, strict=True)
        ]

    def _components(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log w_k p_k(x) (..., K), R_k' (x - m_k) (K, points, n), and R_k (K, n, n)."""
        roots = np.array(
            [precision_root(P, f"of component {k}") for k, P in enumerate(self.covariances)]
        )
        points = x.reshape(-1, self.n_states)
        white = (points - self.means[:, np.newaxis]) @ roots
        size = np.linalg.slogdet(roots)[1] - 0.5 * self.n_states * np.log(2 * np.pi)
        with np.errstate(divide="ignore"):  # a weight may be zero
            size = size + np.log(self.weights)
        logs = size - 0.5 * (white**2).sum(-1).T
        return logs.reshape(*x.shape[:-1], -1), white, roots

    def _check(self, sde: LinearProcess) -> None:
        """Raise unless the process moves points of this dimension."""
        if require_process(sde).n_states != self.n_states:
            raise ValueError(
                f"`sde` must have the {counted(self.n_states, 'state')} of the mixture; got "
                f"{sde.n_states}."
            )


def _log_sum(logs: np.ndarray) -> np.ndarray:
    """Return log sum exp over the last axis, which is kept."""
    largest = logs.max(axis=-1, keepdims=True)
    return largest + np.log(np.exp(logs - largest).sum(axis=-1, keepdims=True))
