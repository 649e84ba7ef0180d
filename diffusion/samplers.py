r"""Samplers: paths of a diffusion forwards, and backwards from its end.

Each sampler is one short function below that fills ``path[1:]`` from ``path[0]``, with the reverse
equation, for decreasing time and a step h = t - s > 0::

    exact                 x_s = J x_t + b + V^(1/2) z                        (linear, mixtures)
    euler_maruyama        x_s = x_t - h drift(x_t, t) + h^(1/2) G z
    heun                  the same with the mean of the drifts at both ends  (order 2)
    exponential           x_s = Phi^-1 (x_t - offset + Q score) + V^(1/2) z  (DDPM; eta = 0: DDIM)
    predictor_corrector   Euler-Maruyama, then Langevin dynamics at s for a time h

The exact ones have no step size: a coarser grid gives the same law at the times it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, DTypeLike

from realization.internal import (
    Progress,
    Rng,
    as_array,
    as_choice,
    as_generator,
    as_real,
    covariance_factor,
)

from ._linear_process import (
    LinearProcess,
    ReverseKernel,
    as_points,
    isotropic_numbers,
    require_process,
)
from ._normal import PAIRS, NormalSource
from .mixture import GaussianMixture
from .score import Field, ReverseSDE, checked_field, reverse_time_sde

__all__ = ["sample_forward", "sample_reverse"]


class Task(NamedTuple):
    """What a sampler is asked to undo."""

    times: list[float]  # decreasing
    backward: ReverseSDE
    sde: LinearProcess | None = None  # None: only the equation `backward` is known
    score: Field | None = None
    mixture: GaussianMixture | None = None  # the law at time 0, if it is one
    eta: float = 1.0


def sample_forward(
    sde: LinearProcess,
    x0: ArrayLike,
    times: ArrayLike,
    *,
    dtype: DTypeLike | None = None,
    progress: bool = False,
    rng: Rng = None,
) -> np.ndarray:
    r"""Draw paths of a linear process from given points on, exactly.

    Parameters
    ----------
    sde : LinearSDE or named process
        The process; its own `m0` and `P0` play no part.
    x0 : (..., n) array_like
        States at ``times[0]``; leading axes are batch.
    times : (K,) array_like
        Increasing times, not negative.
    dtype : dtype, optional
        Of the result: float64 (default) or float32.
    progress : bool, default False
        Show a progress bar.
    rng : int, Generator or None, optional
        Source of randomness.

    Returns
    -------
    (K, ..., n) ndarray
        The states at the times, `x0` first.

    Raises
    ------
    TypeError
        If `sde` is not a linear process.
    ValueError
        If shapes disagree, times do not increase, or `dtype` is another type.

    See Also
    --------
    sample_reverse : From the end back.

    Notes
    -----
    Each step is one draw from the exact transition, so the law at the times does not depend on how
    many others are asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import VariancePreserving, sample_forward
    >>> path = sample_forward(VariancePreserving(), np.zeros((5000, 1)), [0.0, 0.3, 1.0], rng=0)
    >>> path.shape
    (3, 5000, 1)
    >>> bool(abs(path[-1].var() - 1.0) < 4 * np.sqrt(2 / 5000))
    True
    """
    n = require_process(sde).n_states
    times = _checked_times(times, 1.0)
    path, draw = _prepared("x0", x0, n, len(times), dtype, rng)
    kernels = []
    for s, t in pairwise(times):
        Phi, offset, Q = sde.transition(s, t)
        kernels.append(ReverseKernel(Phi, offset, covariance_factor(Q)))
    _affine_steps(path, _steps(times, progress), kernels, draw)
    return path


def sample_reverse(
    sde: LinearProcess | ReverseSDE,
    x_T: ArrayLike,
    times: ArrayLike,
    *,
    score: Field | GaussianMixture | None = None,
    method: Literal[
        "exact", "euler_maruyama", "heun", "exponential", "predictor_corrector"
    ] = "exact",
    eta: float = 1.0,
    dtype: DTypeLike | None = None,
    progress: bool = False,
    rng: Rng = None,
) -> np.ndarray:
    r"""Draw paths of a diffusion from its end back.

    Parameters
    ----------
    sde : LinearSDE, named process or ReverseSDE
        The process to undo, or directly an equation for decreasing time (then without `score`, by
        ``"euler_maruyama"`` or ``"heun"``).
    x_T : (..., n) array_like
        States at ``times[0]``; leading axes are batch.
    times : (K,) array_like
        Decreasing times, not negative.
    score : callable or GaussianMixture, optional
        ``score(x, t)`` of the law that is undone, such as a trained network
        (``score_from_denoiser``), or the mixture that is its law at time 0. Default: the law of
        `sde` from its own `m0` and `P0`.
    method : {"exact", "euler_maruyama", "heun", "exponential", "predictor_corrector"}
        ``"exact"`` draws from the conditional laws themselves, which are known for Gaussian laws
        and mixtures; the others approximate and work for any score.
    eta : float, default 1.0
        Noise: 1 has the law of the whole path, 0 solves the probability flow, others agree with
        these in the law at each time.
    dtype : dtype, optional
        Of the result: float64 (default) or float32.
    progress : bool, default False
        Show a progress bar.
    rng : int, Generator or None, optional
        Source of randomness.

    Returns
    -------
    (K, ..., n) ndarray
        The states at the times, `x_T` first.

    Raises
    ------
    TypeError
        If `sde` is of another kind.
    ValueError
        If shapes disagree, times do not decrease, or method, score and eta do not go together.
    AccuracyError
        If a score is asked for at a time at which the law has no density.
    OverflowError
        If a path overflows: the steps are too long for the method.

    See Also
    --------
    sample_forward : The process itself.
    sample_backward : The same for models in discrete time.

    Notes
    -----
    Exact steps may be long or short: on a grid of every tenth time they cost a tenth. The error of
    ``"euler_maruyama"`` in the law is O(h), of ``"heun"`` O(h^2), both only while
    :math:`h \lambda_{\max}(G G^\top P_t^{-1}) < 2`: the equation becomes stiff where the law is
    narrow, so let the steps shrink with t. ``"exponential"`` has the exact conditional mean for any
    law, by Tweedie's formula, and the conditional covariance of the Gaussian law of `sde`: with the
    covariance of the data as ``P0`` it is exact for Gaussian data, with ``P0 = 0`` it is the
    sampler of DDPM. With ``eta=0`` it is that of DDIM, for processes that are multiples of the
    identity. ``"predictor_corrector"`` adds to each step of Euler and Maruyama a step of Langevin
    dynamics of the same length, at the price of another score.

    References
    ----------
    The reverse equation: derived for linear stochastic models by Lindquist and Picci (1979);
    general nonlinear stochastic differential equations by Anderson (1982). As a sampler with
    predictor and corrector: Song et al. (2021). Ho, Jain and Abbeel (2020) for DDPM; Song, Meng and
    Ermon (2021) for DDIM.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import GaussianMixture, VariancePreserving, sample_reverse
    >>> data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], np.full((2, 1, 1), 0.01))
    >>> x_T = np.random.default_rng(0).standard_normal((1000, 1))
    >>> path = sample_reverse(VariancePreserving(), x_T, [1.0, 0.0], score=data, rng=1)
    >>> bool(np.all(np.abs(np.abs(path[-1]) - 1.0) < 0.5))
    True
    """
    as_choice("method", method, tuple(SAMPLERS))
    times = _checked_times(times, -1.0)
    task = _checked_task(sde, times, score, method, as_real("eta", eta))
    n = task.sde.n_states if task.sde is not None else None
    path, draw = _prepared("x_T", x_T, n, len(times), dtype, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        SAMPLERS[method](path, _steps(times, progress), task, draw)
    if not np.isfinite(path[-1]).all():
        bad = int(np.argmin([np.isfinite(x).all() for x in path]))
        raise OverflowError(
            f"The path overflows at t = {times[bad]:g}: the steps of method={method!r} are too "
            'long there. Let them shrink where the law is narrow, or use method="exact".'
        )
    return path


def exact(path: np.ndarray, steps: Iterable[int], task: Task, draw: NormalSource) -> None:
    """Draw from the exact reverse kernels; of a mixture, first which component.

    ``x_s = J_k x_t + b_k + V_k^(1/2) z`` with k drawn from the responsibilities at x_t.
    """
    assert task.sde is not None
    if task.mixture is None:
        _affine_steps(path, steps, _reverse_kernels(task.sde, task.times), draw)
        return
    kernels = [_reverse_kernels(c, task.times) for c in task.mixture.components(task.sde)]
    for i in steps:
        x, out = (path[k].reshape(-1, path.shape[-1]) for k in (i, i + 1))
        shares = task.mixture.diffuse(task.sde, task.times[i]).responsibilities(x)
        which = (shares.cumsum(1) < draw.rng.random((len(x), 1))).sum(1)
        for k in np.unique(which):
            J, offset, factor = kernels[min(k, len(kernels) - 1)][i]
            own = which == k
            z = draw(int(own.sum()), factor.shape[1])
            out[own] = x[own] @ J.T + offset + z @ factor.T


def euler_maruyama(path: np.ndarray, steps: Iterable[int], task: Task, draw: NormalSource) -> None:
    """Step along the reverse drift with noise: ``x_s = x_t - h drift(x_t, t) + h^(1/2) G z``."""
    for i in steps:
        x, t, h = path[i], task.times[i], task.times[i] - task.times[i + 1]
        G = task.backward.diffusion(x, t)
        path[i + 1] = x - h * task.backward.drift(x, t) + _noise(G, x, h, draw)


def heun(path: np.ndarray, steps: Iterable[int], task: Task, draw: NormalSource) -> None:
    """Take the mean of the drifts at both ends, the noise of the middle; additive noise only.

    ``x' = x_t - h drift(x_t, t) + w``, ``x_s = x_t - h (drift(x_t, t) + drift(x', s))/2 + w``.
    """
    for i in steps:
        x, t, s = path[i], task.times[i], task.times[i + 1]
        G, h = task.backward.diffusion(x, (s + t) / 2), t - s
        if G.ndim > 2 and G.any():
            raise ValueError(
                'method="heun" needs noise that does not depend on the state: its limit would be '
                'another (Stratonovich) equation. Use "euler_maruyama", or eta=0.'
            )
        noise, drift = _noise(G, x, h, draw), task.backward.drift(x, t)
        guess = x - h * drift + noise
        path[i + 1] = x - 0.5 * h * (drift + task.backward.drift(guess, s)) + noise


def exponential(path: np.ndarray, steps: Iterable[int], task: Task, draw: NormalSource) -> None:
    """Use the exact conditional mean of the next state, which the score gives for every law.

    ``x_s = Phi^-1 (x_t - offset + Q score(x_t, t)) + V^(1/2) z``: Tweedie's mean, and the V of the
    process's own law. With P0 = 0 it is DDPM's step. For eta = 0 see `exponential_flow`.
    """
    assert task.sde is not None
    assert task.score is not None
    if task.eta == 0.0:
        exponential_flow(path, steps, task)
        return
    kernels = _reverse_kernels(task.sde, task.times)
    for i in steps:
        x, t, s = path[i], task.times[i], task.times[i + 1]
        Phi, offset, Q = task.sde.transition(s, t)
        if np.linalg.cond(Phi) > 1e15:
            raise ValueError(
                f"`times` must take shorter steps near t = {t:g}: the process forgets its state "
                'between them, so its linear part cannot be undone. Or use method="exact".'
            )
        back = np.linalg.solve(Phi, np.column_stack([np.eye(len(Q)), Q, -offset]))
        pull, push, shift = np.split(back.astype(path.dtype), [len(Q), 2 * len(Q)], axis=1)
        path[i + 1] = x @ pull.T + task.score(x, t) @ push.T + shift[:, 0]
        path[i + 1] += _noise(kernels[i].factor, x, 1.0, draw)


def exponential_flow(path: np.ndarray, steps: Iterable[int], task: Task) -> None:
    """Solve the probability flow with the prediction of the data frozen: DDIM's step.

    ``x_s = a_s d + (sigma_s / sigma_t) (x_t - a_t d)``, ``d = (x_t + sigma_t^2 score) / a_t``.
    """
    assert task.sde is not None
    assert task.score is not None
    for i in steps:
        x, t, s = path[i], task.times[i], task.times[i + 1]
        (a_s, sigma_s), (a_t, sigma_t) = (_level(task.sde, time) for time in (s, t))
        data = (x + sigma_t**2 * task.score(x, t)) / a_t
        path[i + 1] = a_s * data + sigma_s / sigma_t * (x - a_t * data)


def predictor_corrector(
    path: np.ndarray, steps: Iterable[int], task: Task, draw: NormalSource
) -> None:
    """Follow each step of Euler and Maruyama by one of Langevin dynamics at the new time.

    ``x_s <- x_s + (h/2) G G' score(x_s, s) + h^(1/2) G z`` leaves the law at s as it is, to O(h).
    """
    assert task.sde is not None
    assert task.score is not None
    for i in steps:
        euler_maruyama(path, [i], task, draw)
        x, s, h = path[i + 1], task.times[i + 1], task.times[i] - task.times[i + 1]
        G = task.sde.diffusion(x, s).astype(x.dtype)
        path[i + 1] = x + 0.5 * h * task.score(x, s) @ (G @ G.T) + _noise(G, x, h, draw)


SAMPLERS = {
    "exact": exact,
    "euler_maruyama": euler_maruyama,
    "heun": heun,
    "exponential": exponential,
    "predictor_corrector": predictor_corrector,
}


def _reverse_kernels(sde: LinearProcess, times: list[float]) -> list[ReverseKernel]:
    """Return the kernels of a decreasing grid, in the order in which they are used."""
    return sde.reverse_kernels(np.array(times[::-1]))[::-1]


def _level(sde: LinearProcess, t: float) -> tuple[float, float]:
    """Return the factor and the noise level of an isotropic process at time t."""
    Phi, _, Q = sde.transition(0.0, t)
    return isotropic_numbers(
        Phi, Q, 'method="exponential" with eta=0 needs a process whose coefficients are'
    )


def _affine_steps(
    path: np.ndarray, steps: Iterable[int], kernels: list[ReverseKernel], draw: NormalSource
) -> None:
    """Fill ``path[i + 1] = path[i] @ J.T + z @ factor.T + offset``."""
    n = path.shape[-1]
    particles = path[0].size // n
    pack = math.gcd(particles, max(1, 16 // n))  # small states side by side: products like width
    flat = path.reshape(len(path), particles // pack, pack * n)
    block = max(1, 2 * PAIRS // (pack * n))  # rows that stay in the cache
    gemm = scipy.linalg.get_blas_funcs("gemm", dtype=path.dtype)
    for i in steps:
        J, factor = (np.kron(np.eye(pack), M) for M in (kernels[i].J, kernels[i].factor))
        J, factor = (M.astype(path.dtype, order="F") for M in (J, factor))
        offset = np.tile(kernels[i].offset, pack)
        for first in range(0, flat.shape[1], block):
            x, out = flat[i, first : first + block], flat[i + 1, first : first + block]
            out[:] = offset
            for matrix, rows in ((J, x), (factor, draw(len(x), factor.shape[1]))):
                total = gemm(1.0, matrix, rows.T, 1.0, out.T, overwrite_c=True)  # in place
                assert np.may_share_memory(total, out)


def _noise(G: np.ndarray, x: np.ndarray, h: float, draw: NormalSource) -> np.ndarray:
    """Return h^(1/2) G z for every point; G is (n, k), or (..., n, k)."""
    z = draw(*x.shape[:-1], G.shape[-1])
    G = h**0.5 * G.astype(x.dtype, copy=False)
    return (z @ G.T if G.ndim == 2 else (G @ z[..., np.newaxis])[..., 0]).astype(
        x.dtype, copy=False
    )


def _checked_task(
    sde: LinearProcess | ReverseSDE,
    times: list[float],
    score: Field | GaussianMixture | None,
    method: str,
    eta: float,
) -> Task:
    """Return what is to be undone, or say what does not go together."""
    if isinstance(sde, ReverseSDE):
        if score is not None or eta != 1.0:
            raise ValueError(
                "`score` and `eta` are part of a ReverseSDE already: leave them out, or pass the "
                "linear process itself."
            )
        if method not in ("euler_maruyama", "heun"):
            raise ValueError(
                '`method` must be "euler_maruyama" or "heun" for a ReverseSDE, which is known by '
                f"its drift and diffusion only; got {method!r}."
            )
        return Task(times, sde)
    require_process(sde)
    mixture = score if isinstance(score, GaussianMixture) else None
    if method == "exact" and (eta != 1.0 or (score is not None and mixture is None)):
        raise ValueError(
            'method="exact" draws from the conditional laws, which needs eta=1 and a law that is '
            "known: that of `sde`, or a GaussianMixture as `score`. For another score, or another "
            'eta, use "heun" or "exponential".'
        )
    if method == "exponential" and eta not in (0.0, 1.0):
        raise ValueError(f'`eta` must be 0 or 1 for method="exponential"; got {eta:g}. Use "heun".')
    if mixture is not None:
        field: Field = lambda x, t: mixture.diffuse(sde, t).score(x)  # noqa: E731
    elif score is None:
        field = sde.score
    elif callable(score):
        field = checked_field("score", score)
    else:
        raise TypeError(
            f"`score` must be a callable or a GaussianMixture; got {type(score).__name__}."
        )
    backward = reverse_time_sde(sde.drift, sde.diffusion, field, eta=eta)
    return Task(times, backward, sde, field, mixture, eta)


def _checked_times(times: ArrayLike, direction: float) -> list[float]:
    """Return a grid of times that are not negative and move in one direction."""
    grid = as_array("times", times)
    order = "increase" if direction > 0 else "decrease"
    if grid.ndim != 1 or grid.size == 0 or (direction * np.diff(grid) <= 0).any() or grid.min() < 0:
        raise ValueError(
            f"`times` must be a list of times that are not negative and {order}; got {times!r}."
        )
    return grid.tolist()


def _prepared(
    name: str, x: ArrayLike, n: int | None, count: int, dtype: DTypeLike | None, rng: Rng
) -> tuple[np.ndarray, NormalSource]:
    """Return the path with its first row filled, and the source of noise."""
    try:
        kind = np.dtype(np.float64 if dtype is None else dtype)
    except TypeError:
        raise TypeError(f"`dtype` must be float64 or float32; got {dtype!r}.") from None
    if kind not in (np.float32, np.float64):
        raise ValueError(f"`dtype` must be float64 or float32; got {kind}.")
    start = as_points(x, np.shape(x)[-1] if n is None and np.ndim(x) else n or 0, name)
    path = np.empty((count, *start.shape), kind)
    path[0] = start
    return path, NormalSource(as_generator(rng), kind)


def _steps(times: list[float], progress: bool) -> Iterator[int]:
    """Yield the numbers of the steps, with a progress bar if one is asked for."""
    with Progress(len(times) - 1, "sample", "step", show=progress) as bar:
        for step in range(len(times) - 1):
            yield step
            bar.update()
