r"""Scores from what a network or a data set knows: denoisers, and linear models given outputs.

With the transition :math:`x_t = \Phi x_0 + b + L \varepsilon`, :math:`L L^\top = Q`, from time 0::

    noise        eps  = E[eps | x_t]                    score = -L^-T eps
    data         x0   = E[x_0 | x_t]                    score = -Q^-1 (x_t - Phi x0 - b)
    velocity     v    = a eps - sigma x0                x0 = (a x_t - sigma v) / (a^2 + sigma^2)

(the last for Phi = a I, Q = sigma^2 I). The second line, read backwards, is Tweedie's formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import GaussianSSM, InnovationSSM, smooth, to_gaussian
from realization.internal import (
    as_choice,
    as_instance,
    as_signal,
    counted,
    matching_input,
    require_discrete,
    require_real,
)

from ._linear_process import (
    LinearProcess,
    as_points,
    isotropic_numbers,
    precision_root,
    require_process,
)
from .score import Field

__all__ = ["score_from_denoiser", "smoother_score"]


def score_from_denoiser(
    denoiser: Callable[[Any, float], Any],
    sde: LinearProcess,
    *,
    predicts: Literal["noise", "data", "velocity"] = "noise",
    convert: Callable[[np.ndarray], Any] | None = None,
) -> Field:
    r"""Make a score of a trained denoiser.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, t)`` for points x (..., n) and a float t; returns an array or a tensor of the
        shape of x.
    sde : LinearSDE or named process
        The process that the denoiser was trained to undo; only its transitions from time 0 matter.
    predicts : {"noise", "data", "velocity"}
        What it returns: the standard noise :math:`\varepsilon`, the data :math:`x_0`, or
        :math:`v = a \varepsilon - \sigma x_0`, in the glossary of this module.
    convert : callable, optional
        Makes the denoiser's input from an array, such as ``torch.from_numpy``. What comes back is
        detached and moved to the CPU if it is a tensor.

    Returns
    -------
    callable
        ``score(x, t)``, for ``sample_reverse`` or ``reverse_time_sde``.

    Raises
    ------
    TypeError
        If `sde` is not a linear process, or `denoiser` is not callable.
    ValueError
        If `predicts` is unknown. Later, when the score is evaluated: if the denoiser returns
        another shape, or ``"velocity"`` meets a process that is not a multiple of the identity.
    AccuracyError
        Later, if the process has added no noise yet (t = 0).

    Notes
    -----
    n is the *last* axis, and the process acts on each row independently: for images (..., H, W)
    use a named process with n = W, the denoiser couples the rows. No tensor library is imported.

    References
    ----------
    Ho, Jain and Abbeel (2020) for the noise, Salimans and Ho (2022) for the velocity, Efron (2011)
    on Tweedie's formula.

    Examples
    --------
    For data that are N(0, 4) the best denoiser is known:

    >>> import numpy as np
    >>> from diffusion import VariancePreserving, score_from_denoiser
    >>> sde = VariancePreserving(P0=[[4.0]])
    >>> def denoiser(x, t):
    ...     Phi, _, Q = sde.transition(0.0, t)
    ...     return 4.0 * Phi / (4.0 * Phi**2 + Q) * x
    >>> score = score_from_denoiser(denoiser, sde, predicts="data")
    >>> bool(np.allclose(score(np.ones((5, 1)), 0.3), sde.score(np.ones((5, 1)), 0.3)))
    True
    """
    require_process(sde)
    as_choice("predicts", predicts, ("noise", "data", "velocity"))
    if not callable(denoiser):
        raise TypeError(f"`denoiser` must be callable; got {type(denoiser).__name__}.")

    def score(x: np.ndarray, t: float) -> np.ndarray:
        x = as_points(x, sde.n_states)
        Phi, offset, Q = sde.transition(0.0, t)
        root = precision_root(Q, f"of the noise at t = {t:g}")
        answer = _as_array(denoiser(x if convert is None else convert(x), t), x)
        if predicts == "noise":
            inverse = scipy.linalg.solve_triangular(
                np.linalg.cholesky(Q), np.eye(len(Q)), lower=True
            )
            return -answer @ inverse.astype(x.dtype)
        if predicts == "velocity":
            a, sigma = isotropic_numbers(
                Phi, Q, 'predicts="velocity" needs a process whose coefficients are'
            )
            answer = (a * x - sigma * answer) / (a**2 + sigma**2)
        return _score_of_data(x, answer, (Phi, offset), root)

    return score


def smoother_score(
    model: GaussianSSM | InnovationSSM,
    y: ArrayLike,
    u: ArrayLike | None = None,
    *,
    sde: LinearProcess,
) -> Field:
    r"""Return the score of a diffused state path of a linear model, given outputs.

    The data are the path :math:`(x_0, \dots, x_T)` of the model conditional on y; `sde` adds noise
    to every state of it, independently. The score follows from the conditional mean of the clean
    path, and that is a Kalman smoother's, with the noisy path as one more measurement.

    Parameters
    ----------
    model : GaussianSSM or InnovationSSM
        A discrete-time model with real matrices.
    y : (T, p) array_like
        Outputs; NaN marks a missing entry. All NaN: the model's own law.
    u : (T, m) array_like, optional
        Inputs; needed if the model has any.
    sde : LinearSDE or named process
        With the number of states of the model.

    Returns
    -------
    callable
        ``score(x, t)`` for paths x (..., T + 1, n): exact, in time linear in T.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If shapes disagree, or the model is in continuous time.
    AccuracyError
        Later, when the score is evaluated: if the process has added no noise yet (t = 0).

    See Also
    --------
    sample_backward : Draws from the same conditional law directly.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import VariancePreserving, smoother_score
    >>> from realization import GaussianSSM
    >>> model = GaussianSSM([[0.5]], [[1.0]], [[0.75]], [[1.0]])      # states of unit variance
    >>> score = smoother_score(model, [np.nan], sde=VariancePreserving())
    >>> a = np.exp(-0.25 * (0.1 + 0.1 + 19.9 * 0.5) / 2)              # at t = 1/2
    >>> P = np.array([[1.0, 0.5 * a**2], [0.5 * a**2, 1.0]])          # of the noisy path
    >>> x = np.array([[1.0], [2.0]])
    >>> bool(np.allclose(score(x, 0.5)[:, 0], -np.linalg.solve(P, x[:, 0])))
    True
    """
    as_instance("model", model, (GaussianSSM, InnovationSSM))
    require_discrete(model, "smoother_score")
    require_real(model, "smoother_score")
    if require_process(sde).n_states != model.n_states:
        raise ValueError(
            f"`sde` must have the {counted(model.n_states, 'state')} of the model; got "
            f"{sde.n_states}."
        )
    y = as_signal("y", y, model.n_outputs, allow_nan=True)
    u = matching_input(model, y, u)
    if y.ndim != 2 or u.ndim != 2:
        raise ValueError(f"`y` and `u` must be one record; got {y.shape} and {u.shape}.")
    (T, p), n, m = y.shape, model.n_states, model.n_inputs
    y, u = np.vstack([y, np.full((1, p), np.nan)]), np.vstack([u, np.zeros((1, m))])
    plain = to_gaussian(model)

    def score(x: np.ndarray, t: float) -> np.ndarray:
        x = as_points(x, n)
        if x.shape[-2:] != (T + 1, n):
            raise ValueError(f"`x` must have shape (..., {T + 1}, {n}); got {x.shape}.")
        Phi, offset, Q = sde.transition(0.0, t)
        root = precision_root(Q, f"of the noise at t = {t:g}")
        seeing = GaussianSSM(
            plain.A,
            np.vstack([plain.C, Phi]),
            plain.Q,
            scipy.linalg.block_diag(plain.R, Q),
            np.hstack([plain.S, np.zeros((n, n))]),
            B=plain.B,
            D=np.vstack([plain.D, np.zeros((n, m))]),
            m0=plain.m0,
            P0=plain.P0,
            dt=plain.dt,
        )
        measured = np.broadcast_to(y, (*x.shape[:-1], p))
        clean = smooth(seeing, np.concatenate([measured, x - offset], axis=-1), u).x[..., :-1, :]
        return _score_of_data(x, clean.astype(x.dtype), (Phi, offset), root)

    return score


def _as_array(answer: Any, x: np.ndarray) -> np.ndarray:
    """Return what a denoiser answered as an array like x."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    array = np.asarray(answer)
    if array.shape != x.shape:
        raise ValueError(
            f"`denoiser` must return the shape of its input, {x.shape}; got {array.shape}."
        )
    return array.astype(x.dtype, copy=False)


def _score_of_data(
    x: np.ndarray, data: np.ndarray, move: tuple[np.ndarray, np.ndarray], root: np.ndarray
) -> np.ndarray:
    """Return -Q^-1 (x - Phi data - offset), root root' the inverse of Q."""
    Phi, offset, root = (M.astype(x.dtype) for M in (*move, root))
    return -((x - data @ Phi.T - offset) @ root) @ root.T
