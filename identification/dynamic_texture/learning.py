"""From a clip to a dynamic texture, in closed form: principal components, then their dynamics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from realization import GaussianSSM, InnovationSSM, innovation_form, to_covariance, to_gaussian
from realization.internal import as_choice, as_integer, as_real, counted, stability_margin

from ..model_repair import stabilize
from ..stochastic import stochastic_id
from .decomposition import Decomposition, decompose
from .dynamics import (
    limited_rank,
    residual_covariance,
    stable_dynamics,
    stationary_noise,
    transition,
)
from .model import DynamicTexture
from .prediction import HeldOut, held_out
from .video import read_video

__all__ = ["learn", "psnr"]

LARGEST = 60  # states that "auto" and a share of the variance may take
CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60)
SHORTEST = 8  # frames for which held-out errors mean something
FAR = 0.5  # relative distance of covariances that is worth a note
METHODS = ("closed_form", "subspace")


def learn(
    video: Any,
    order: int | float | Literal["auto"] = "auto",
    *,
    noise_rank: int | float | None = None,
    stable: bool = True,
    method: Literal["closed_form", "subspace"] = "closed_form",
    past: int | None = None,
    progress: bool = False,
) -> DynamicTexture:
    r"""Learn the dynamic texture of a clip: water, flames, smoke, foliage.

    The basis images U and coordinates :math:`x_t` are the principal components of the frames,

    .. math:: y_t = \bar y + U x_t + r_t, \qquad x_{t+1} = A x_t + w_t,

    A is least squares, changed as little as makes the process stationary, and the covariance of
    :math:`w_t` is such that its films vary as much as the clip.

    Parameters
    ----------
    video : path, array_like, iterable or FrameSource
        The clip: whatever ``read_video`` takes. For a part of it, another size, or grey, pass
        ``read_video(path, stop=..., size=..., grey=True)``.
    order : int, float or "auto", default "auto"
        Number of basis images and of states. A float between 0 and 1 takes the least that hold
        this share of the variance (at most 60); "auto" the number that predicts best the next
        frames of the second half, each part from a model of all frames before it.
    noise_rank : int or float, optional
        Number of independent noises that drive the states, or the share of the noise's variance
        that they are to have. Default: as many as the data say.
    stable : bool, default True
        Make the process stationary. False keeps the least-squares A and the covariance of its
        residuals, whatever they are.
    method : str, default "closed_form"
        "closed_form": the coordinates are the state. "subspace": a stochastic subspace method
        (``stochastic_id``) on the coordinates finds a state from several past frames; it needs
        more frames, about four times the order squared over the order of the window.
    past : int, optional
        Past horizon of "subspace".
    progress : bool, default False
        Show progress bars.

    Returns
    -------
    DynamicTexture
        What was chosen and changed is in ``info``, and in words in ``summary()``.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the clip has too few frames for the order (order + 2; 3 at least), or all its frames are
        the same; if the frames vary in fewer directions than the order; or if an option is
        unknown.

    See Also
    --------
    synthesize : Films of any length from the texture.
    evaluate : How well it describes a clip, best one that it has not seen.
    read_video : Parts of clips, other sizes.

    Notes
    -----
    The clip is never in memory: frames stream through in blocks. Short clips need two readings
    (products of all pairs of frames, then the basis images), exact to the rounding of single
    precision; beyond 1500 frames, if these are more than twenty times the order, a random sketch
    with power iterations takes their place, three to eight readings. Cost:
    O(pixels T (T / 2 + 2 order)) operations and pixels * order * 4 bytes. Video files are decoded
    anew at each reading; a clip whose frames take more memory than the basis images needs more of
    them.

    A Dask array is reduced by Dask's workers, strip by strip of the picture (chunks that hold all
    times; other chunks are cut anew), and only products and basis images travel. A clip that takes
    a sketch streams through the calling process.

    Stability: eigenvalues of A beyond 1 - 1/T, a memory as long as the clip, are moved to this
    radius, or to half that distance from the unit circle, a quarter, and so on, the first that
    costs at most one percent of the one-step error (beyond what the last one costs: no stable
    process follows a clip that explodes). The noise is the covariance whose stationary
    law comes nearest to the clip's. The reverse of the process has the same eigenvalues.

    A prediction carries a part of what the basis leaves out on to the next frame: ``carry`` is
    chosen with the held-out frames too (zero for clips of fewer than 8 frames).

    References
    ----------
    G. Doretto, A. Chiuso, Y. N. Wu and S. Soatto, "Dynamic textures", International Journal of
    Computer Vision 51(2), 2003.

    Examples
    --------
    Two waves that turn at 0.5 radians a frame, and a little noise:

    >>> import numpy as np
    >>> from identification.dynamic_texture import learn
    >>> rng = np.random.default_rng(0)
    >>> t, column = np.mgrid[0:200, 0:24]
    >>> waves = 128 + 60 * np.sin(0.5 * t - 2 * np.pi * column / 24)
    >>> clip = waves[:, None, :] + 3 * rng.standard_normal((200, 16, 24))
    >>> texture = learn(clip, 2)
    >>> texture
    DynamicTexture(2 states, 16 x 24, 25 fps)
    >>> angle = np.abs(np.angle(np.linalg.eigvals(texture.model.A)))
    >>> bool(np.allclose(angle, 0.5, atol=0.001) and texture.spectral_radius < 1)
    True
    """
    as_choice("method", method, METHODS)
    order = _checked_share("order", order) if order != "auto" else order
    noise_rank = None if noise_rank is None else _checked_share("noise_rank", noise_rank)
    source = read_video(video)
    limit = order if isinstance(order, int) else LARGEST
    clip = decompose(source, limit, progress=progress)
    n, held = _chosen_order(clip, order)
    basis, path = clip.images(n)
    basis.setflags(write=False)
    dt = 1 / source.fps
    if method == "subspace":
        model, info = _subspace_model(path, past, stable, dt)
    else:
        model, info = _closed_form(path, noise_rank, stable, dt)
    total = float(clip.power.sum())
    info = {
        "method": method,
        "frames": len(path),
        "share of the variance": float(np.sum(path**2) / total),
        **_said(held, n),
        **info,
    }
    height, width, channels = source.shape
    return DynamicTexture(
        clip.mean,
        basis,
        model,
        (height, width) if channels == 1 else (height, width, channels),
        source.fps,
        carry=float(held.carry[list(held.orders).index(n)]) if held else 0.0,
        singular_values=clip.singular_values,
        info=info,
    )


def psnr(error: np.ndarray | float) -> np.ndarray:
    """Return the peak signal-to-noise ratio in decibels of mean squared errors in grey levels."""
    with np.errstate(divide="ignore"):
        return 20 * np.log10(255.0) - 10 * np.log10(np.maximum(error, 0.0))  # rounding below zero


def _checked_share(name: str, value: Any) -> int | float:
    """Return a positive integer, or a float between 0 and 1."""
    if isinstance(value, (float, np.floating)):
        return as_real(name, value, above=0, below=1)
    return as_integer(name, value, minimum=1)


def _chosen_order(
    clip: Decomposition, order: int | float | Literal["auto"]
) -> tuple[int, HeldOut | None]:
    """Return the order, and the held-out errors if the clip is long enough for them."""
    T, rank = clip.z.shape
    if T < 3:
        raise ValueError(
            f"`video` must have at least 3 frames, to have dynamics; got {T}. A single picture "
            "does not say how it moves."
        )
    if rank == 0:
        raise ValueError(
            f"`video` must change: its {T} frames are all the same. Check start, stop and crop."
        )
    if order != "auto" and order > T - 2:
        raise ValueError(
            f"`order` = {order} needs at least {order + 2} frames; got {T}. Take an order of at "
            f"most {T - 2}, best less than {max(T // 4, 1)}, or a longer clip."
        )
    if isinstance(order, int) and order > rank:
        raise ValueError(
            f"`order` = {order} cannot be had: the frames vary in "
            f"{counted(rank, 'direction')} only. Take a smaller order."
        )
    candidates = [k for k in CANDIDATES if k <= min(rank, T // 2 - 3)]
    if order == "auto":
        if T < SHORTEST:
            raise ValueError(
                f'order="auto" holds frames out and needs at least {SHORTEST} frames; got {T}. '
                "Give the order."
            )
        held = held_out(clip, candidates)
        return int(held.orders[np.argmin(held.plain)]), held
    if isinstance(order, float):
        share = np.cumsum(np.sum(clip.z**2, axis=0)) / clip.power.sum()
        order = min(int(np.searchsorted(share, order)) + 1, LARGEST, rank, T - 2)
    if T < SHORTEST:
        return order, None
    return order, held_out(clip, sorted({*candidates, order}))


def _said(held: HeldOut | None, n: int) -> dict[str, Any]:
    """Return what is to be told of the held-out errors."""
    if held is None:
        return {}
    k = list(held.orders).index(n)
    return {
        "held-out one-step PSNR, plain": float(psnr(held.plain[k])),
        "held-out one-step PSNR, remainder carried": float(psnr(held.carried[k])),
        "held-out PSNR of persistence": float(psnr(held.persistence)),
        "orders tried": held.orders,
        "their held-out one-step PSNR, plain": psnr(held.plain),
    }


def _closed_form(
    path: np.ndarray, noise_rank: int | float | None, stable: bool, dt: float
) -> tuple[GaussianSSM, dict[str, Any]]:
    """Return the model whose state is the coordinates, and what was chosen and changed."""
    T = len(path)
    least = transition(path)
    radius = 1.0 - stability_margin(least, 1.0)
    said: list[str] = []
    if stable:
        A, growth, moved = stable_dynamics(path)
        Q, distance = stationary_noise(A, path.T @ path / T, residual_covariance(A, path))
        settled = {"relative distance of the stationary covariance": distance}
        if moved:
            said.append(f"{moved}; the one-step error grows by {100 * growth:.2g} %")
        if distance > FAR:
            said.append(
                f"the stationary covariance differs from the clip's by {100 * distance:.0f} % (the "
                "total agrees): the clip drifts, and no stationary process moves like it"
            )
    else:
        A, growth, settled = least, 0.0, {}
        Q = residual_covariance(least, path)
        if radius >= 1:
            said.append(f"A is unstable (spectral radius {radius:.4f}): no film can be made")
    trace = np.trace(Q)
    Q, rank = limited_rank(Q, noise_rank)
    if stable and noise_rank is not None:
        reached = to_covariance(_observed(A, Q, dt)).Lambda0
        Q = Q * (np.sum(path**2) / T / np.trace(reached))
    elif noise_rank is not None:
        Q = Q * (trace / np.trace(Q))
    info = {
        "noise rank": rank,
        "spectral radius of least squares": radius,
        "spectral radius": 1.0 - stability_margin(A, 1.0),
        "growth of the one-step error": growth,
        **settled,
        "warnings": tuple(said),
    }
    return _observed(A, Q, dt, path.T @ path / T if radius >= 1 and not stable else None), info


def _observed(A: np.ndarray, Q: np.ndarray, dt: float, P0: np.ndarray | None = None) -> GaussianSSM:
    """Return the model whose outputs are its states."""
    n = len(A)
    return GaussianSSM(A, np.eye(n), Q, np.zeros((n, n)), P0=P0, dt=dt)


def _subspace_model(
    path: np.ndarray, past: int | None, stable: bool, dt: float
) -> tuple[InnovationSSM, dict[str, Any]]:
    """Return the innovations model of the coordinates, and what was chosen and changed."""
    T, n = path.shape
    result = stochastic_id(path, n, past=past, future=past, dt=dt, offset="none", stable=stable)
    model, said = result.model, list(result.warnings)
    assert isinstance(model, InnovationSSM)
    info: dict[str, Any] = {"past": result.options["past"]}
    if stable:
        A, moved = stabilize(model.A, 1 - 1 / T)
        if moved:
            model = innovation_form(replace(to_gaussian(model), A=A))
            said.append(moved)
        wanted = np.sum(path**2) / T
        scale = float(wanted / np.trace(to_covariance(model).Lambda0))
        model = replace(model, Re=model.Re * scale)
        info["noise scaled by"] = scale
    info["spectral radius"] = 1.0 - stability_margin(model.A, 1.0)
    return model, {**info, "warnings": tuple(said)}
