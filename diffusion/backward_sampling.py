"""Drawing paths of a Gaussian model backwards in time, given how they end or what was measured."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from realization import Simulation
from realization.internal import Rng, as_generator, as_signal, matching_input

from ._factors import row_space
from ._whitening import AnyGaussian, WhitenedPath, run_filter, whiten
from .reversal import backward_model, checked_model, final_coordinates

__all__ = ["sample_backward"]


def sample_backward(
    model: AnyGaussian,
    u: ArrayLike | None = None,
    *,
    steps: int | None = None,
    final_state: ArrayLike | None = None,
    y: ArrayLike | None = None,
    rng: Rng = None,
) -> Simulation:
    r"""Draw paths backwards: given how they end, given what was measured, or both.

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model with real matrices.
    u : (T, m) array_like, optional
        Known inputs; needed if the model has any.
    steps : int, optional
        Number of samples T; needed if neither `u` nor `y` is given.
    final_state : (..., n) array_like, optional
        The last state :math:`x_T`; leading axes are batch, one path for each. Default: one draw.
    y : (T, p) array_like, optional
        Outputs that the path explains; NaN marks a missing entry.
    rng : int, Generator or None, optional
        Source of randomness.

    Returns
    -------
    Simulation
        `x` (..., T + 1, n) and `y` (..., T, p), in the order of time. With `y` given, x is a draw
        of the states conditional on it, and missing entries are drawn too.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model is in continuous time, an argument is missing, shapes disagree, or
        `final_state` has probability zero.
    AccuracyError
        If `y` is given and the covariance of an innovation is singular.

    Warns
    -----
    NumericalWarning
        If `final_state` is so far from its mean that no draw reaches it.

    See Also
    --------
    smooth : Mean and covariance of the states given the outputs.

    Notes
    -----
    Without `y`, the backward model is run from the final state. With `y`, a Kalman filter runs
    forwards and the states are drawn backwards, each given the next one and the outputs up to its
    own time. Exact in both cases, for singular covariances too. O(n^3) a step.

    Examples
    --------
    A random walk that starts in 0 and must end in 3:

    >>> import numpy as np
    >>> from diffusion import sample_backward
    >>> from realization import GaussianSSM
    >>> walk = GaussianSSM([[1.0]], [[1.0]], [[1.0]], [[0.0]], P0=[[0.0]])
    >>> x = sample_backward(walk, steps=9, final_state=[3.0], rng=0).x[:, 0]
    >>> bool(abs(x[0]) < 1e-12 and x[-1] == 3.0)
    True
    """
    checked_model(model, "sample_backward")
    if y is None:
        return backward_model(model, u, steps=steps).sample(final_state=final_state, rng=rng)
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    if y.ndim != 2 or u.ndim != 2 or (steps is not None and steps != len(y)):
        raise ValueError(
            f"`y` must be one record of `steps` samples; got shape {y.shape} and steps={steps}."
        )
    return _sample_given_outputs(whiten(model, u), y, final_state, as_generator(rng))


def _sample_given_outputs(
    path: WhitenedPath, y: np.ndarray, final_state: ArrayLike | None, rng: np.random.Generator
) -> Simulation:
    """Filter forwards, then draw each state given the next one and the outputs up to its time."""
    T, p = y.shape
    z, L, _ = run_filter(path.forward, y - path.mu, path.factors[0].shape[1])
    end = row_space(path.factors[T] @ L[T])
    last = path.m[T] + path.factors[T] @ z[T]
    end_state, white = final_coordinates(end, last, final_state, rng)
    batch = white.shape[:-1]
    x, outputs = np.empty((*batch, T + 1, path.m.shape[1])), np.empty((*batch, T, p))
    state = z[T] + white @ (path.inverses[T] @ end.factor).T
    x[..., T, :] = end_state
    for t in reversed(range(T)):
        link, seen, r = path.forward[t], ~np.isnan(y[t]), z[t].size
        output = np.hstack([link.C @ L[t], link.D])
        following = np.hstack([link.A @ L[t], link.W])
        given = row_space(np.vstack([following, output[seen]]))
        target = np.vstack([np.hstack([L[t], np.zeros((r, link.W.shape[1]))]), output])
        told = np.broadcast_to((y[t] - path.mu[t] - link.C @ z[t])[seen], (*batch, seen.sum()))
        known = np.concatenate([state - link.A @ z[t], told], axis=-1) @ given.inverse.T
        fresh = rng.standard_normal((*batch, given.rest.shape[0]))
        both = known @ (target @ given.rows.T).T + fresh @ (target @ given.rest.T).T
        state = z[t] + both[..., :r]
        x[..., t, :] = path.m[t] + state @ path.factors[t].T
        drawn = path.mu[t] + link.C @ z[t] + both[..., r:]
        outputs[..., t, :] = np.where(seen, np.where(seen, y[t], 0.0), drawn)
    return Simulation(outputs, partial(np.asarray, x))
