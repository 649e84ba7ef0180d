r"""Films from a texture: coordinates are drawn, frames made of them a block at a time.

A block is 64 frames, made panel by panel of pixels, in single precision and in cache::

    panel = Z basis'
    panel += mean + 1/2,  clipped,  cut to whole numbers
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from realization import to_gaussian
from realization.internal import Progress, Rng, as_array, as_generator, as_instance, as_integer

from .coordinate_paths import closed_path, last_state, run, stationary_factor
from .edit import change_speed
from .model import DynamicTexture, is_observed
from .video import require_grey_levels
from .writer import open_writer

__all__ = ["film_blocks", "synthesize"]

BLOCK = 64  # frames made in one product
PANEL = 4096  # pixels
LOWEST, HIGHEST = np.float32(0.5), np.float32(255.5)


def synthesize(
    texture: DynamicTexture,
    frames: int,
    *,
    speed: float = 1.0,
    start: Any = None,
    loop: bool = False,
    noise: bool = True,
    rng: Rng = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> np.ndarray | None:
    r"""Make a film from a texture: of any length, at any speed, in either direction of time.

    .. math:: \hat y_t = \operatorname{clip}(\bar y + U z_t), \qquad
        x_{t+1} = A x_t + w_t, \quad z_t = C x_t + v_t .

    Parameters
    ----------
    texture : DynamicTexture
        From ``learn``, ``blend``, ``intensify``, ...
    frames : int
        Number of frames.
    speed : float, default 1.0
        2 plays twice as fast, 0.5 at half speed, -1 backwards (see ``change_speed``).
    start : (H, W) or (k, H, W) array_like, optional
        A frame, or several in the order in which they were filmed, of the texture's shape (with a
        last axis of 3 for colour), 255 is white: the film continues from the last of them. Default:
        a film that begins anywhere in the stationary process.
    loop : bool, default False
        Make the last frame be followed by the first.
    noise : bool, default True
        Draw the noise. False, with `start`: the forecast, the expectation of the film.
    rng : int, Generator or None, optional
        Source of randomness; the same seed gives the same film.
    out : path, optional
        A file to write (see ``open_writer`` for the formats) instead of returning the film.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    (frames, H, W) or (frames, H, W, 3) ndarray or None
        uint8; None when `out` names a file.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If `frames` is less than 1, `speed` is zero, `start` has another shape, `loop` and `start`
        are both given, or ``noise=False`` is asked for without `start`.
    UnstableModelError
        If the texture was learned with ``stable=False`` and is not stable.

    Warns
    -----
    NumericalWarning
        If there is no process of this order at this speed and a neighbour is used.

    See Also
    --------
    learn : The texture of a clip.
    change_speed : The texture at another speed, to save or to edit.

    Notes
    -----
    The film is stationary: it neither fades nor grows, however long. What a frame needs is made
    64 frames at a time and written at once; with `out` the memory does not depend on the length.
    A loop is the process, conditioned on closing: exact in law, and of no larger variance.

    After `start`, what the basis leaves out of the last frame stays in the film, multiplied by
    ``carry`` from frame to frame, so that the film begins without a jump.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import learn, synthesize
    >>> t, column = np.mgrid[0:100, 0:24]
    >>> waves = 128 + 60 * np.sin(0.5 * t - 2 * np.pi * column / 24)[:, None, :]
    >>> clip = waves + np.random.default_rng(0).standard_normal((100, 8, 24))
    >>> texture = learn(clip, 2)
    >>> film = synthesize(texture, 40, start=clip[-1], noise=False)
    >>> t, column = np.mgrid[100:140, 0:24]
    >>> bool(np.abs(film[0] - (128 + 60 * np.sin(0.5 * t - 2 * np.pi * column / 24))[0]).max() < 6)
    True
    """
    as_instance("texture", texture, (DynamicTexture,))
    frames = as_integer("frames", frames, minimum=1)
    film = None if out is not None else np.empty((frames, *texture.shape), dtype=np.uint8)
    blocks = film_blocks(
        texture, frames, speed=speed, start=start, loop=loop, noise=noise, rng=rng, film=film
    )
    write = nullcontext() if out is None else open_writer(out, texture.frame_shape, texture.fps)
    with write as writer, Progress(frames, "film", "frame", show=progress) as bar:
        for block in blocks:
            if writer is not None:
                writer.write(block.reshape(-1, *texture.frame_shape))
            bar.update(len(block))
    return film


def film_blocks(
    texture: DynamicTexture,
    frames: int,
    *,
    speed: float = 1.0,
    start: Any = None,
    loop: bool = False,
    noise: bool = True,
    rng: Rng,
    film: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Return an iterator over blocks (b, pixels) uint8 of a film; arguments as in ``synthesize``.

    The blocks are parts of `film`, if it is given; otherwise each is overwritten by the next.
    """
    rng = as_generator(rng)
    if loop and start is not None:
        raise ValueError("`loop` and `start` exclude each other: a loop has no first frame.")
    if not noise and start is None:
        raise ValueError("`noise` = False needs `start`: without both, the film is the mean frame.")
    played = change_speed(texture, speed)
    if start is None:
        return _rendered(played, _anywhere(played, frames, loop, rng), None, film)
    shown = _start_frames(texture, start) - texture.mean
    z = (shown @ texture.basis).astype(float)
    rest = shown[-1] - texture.basis @ z[-1].astype(np.float32)
    mean, factor = last_state(to_gaussian(texture.model), z)
    x = mean + factor @ rng.standard_normal(factor.shape[1]) if noise else mean
    # forwards the film begins with the next state; the reverse of a model reads the frame before
    # off the same state, unless the coordinates are the state
    later = speed > 0 or is_observed(texture.model)
    model = to_gaussian(played.model)
    path = run(model, x, frames + later, BLOCK, rng if noise else None)
    return _rendered(played, _without_first(path) if later else path, rest, film)


def _anywhere(
    texture: DynamicTexture, frames: int, loop: bool, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield blocks of coordinates from anywhere in the stationary process, or of a loop."""
    model = to_gaussian(texture.model)
    if loop:
        path = closed_path(model, frames, rng)
        yield from (path[first : first + BLOCK] for first in range(0, frames, BLOCK))
        return
    factor = stationary_factor(model)
    yield from run(model, factor @ rng.standard_normal(len(factor)), frames, BLOCK, rng)


def _without_first(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield blocks without the very first row."""
    first = next(blocks)[1:]
    if len(first):
        yield first
    yield from blocks


def _rendered(
    texture: DynamicTexture,
    path: Iterator[np.ndarray],
    rest: np.ndarray | None,
    film: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """Yield blocks of frames (b, pixels), uint8."""
    pixels = texture.mean.size
    work = np.empty((BLOCK, min(PANEL, pixels)), dtype=np.float32)
    rows = np.empty((BLOCK, pixels), np.uint8) if film is None else film.reshape(-1, pixels)
    level = texture.mean + LOWEST
    shown = 0
    for coordinates in path:
        z = coordinates.astype(np.float32)
        fading = (texture.carry ** np.arange(shown + 1, shown + len(z) + 1)).astype(np.float32)
        block = rows[: len(z)] if film is None else rows[shown : shown + len(z)]
        for first in range(0, pixels, PANEL):
            part = slice(first, min(first + PANEL, pixels))
            panel = work[: len(z), : part.stop - first]
            np.matmul(z, texture.basis[part].T, out=panel)
            panel += level[part]
            if rest is not None:
                panel += np.outer(fading, rest[part])
            np.clip(panel, LOWEST, HIGHEST, out=panel)
            block[:, part] = panel  # cut off behind the point
        shown += len(z)
        yield block


def _start_frames(texture: DynamicTexture, start: Any) -> np.ndarray:
    """Return the given frames as rows (k, pixels), float32."""
    array = as_array("start", start)
    if np.iscomplexobj(array):
        raise TypeError("`start` must be real grey levels; got complex numbers.")
    if array.shape == texture.shape:
        array = array[np.newaxis]
    if array.shape[1:] != texture.shape or len(array) == 0:
        raise ValueError(
            f"`start` must be a frame {texture.shape} or frames (k, *{texture.shape}); got "
            f"{array.shape}."
        )
    require_grey_levels("start", array)
    return array.reshape(len(array), -1).astype(np.float32)
