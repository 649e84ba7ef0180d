r"""How well a texture describes a clip, best one that it has not seen: numbers, beside baselines.

One pass: coordinates z_t = U'(y_t - mean), and for the rest inner products of frames with those
before them. With the remainder r_t = y_t - mean - U z_t,

    reconstruction   |r_t|^2
    k steps ahead    |z_{t+k} - zhat|^2 + |r_{t+k} - carry^k r_t|^2
    persistence      |y_{t+k} - y_t|^2
    mean frame       |y_t - mean|^2

each divided by the number of pixels, averaged over the frames, as decibels against 255.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffusion import reverse
from realization import autocovariance, predict, to_covariance, to_gaussian
from realization.internal import (
    as_instance,
    as_integer,
    counted,
    register_record,
    stability_margin,
)

from ..summary import fact
from .frame_products import panels, watched
from .learning import psnr
from .model import DynamicTexture, is_observed
from .synthesis import film_blocks
from .video import FrameSource, read_video

__all__ = ["TextureMetrics", "evaluate"]

TIMED = 64  # frames of the film that is timed


@register_record
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextureMetrics:
    """A texture measured on a clip; PSNR in decibels against 255, means over frames of the error.

    Parameters
    ----------
    reconstruction_psnr : float
        Of the clip projected on mean and basis.
    one_step_psnr : float
        Of the prediction of each frame from those before it, remainder carried on.
    plain_psnr : float
        The same without carrying the remainder.
    persistence_psnr : float
        Of the last frame as prediction.
    mean_psnr : float
        Of the mean frame as prediction.
    horizons : (k,) ndarray
        Numbers of steps.
    step_psnr : (k,) ndarray
        Of the prediction so many steps ahead.
    step_persistence_psnr : (k,) ndarray
        Of persistence so many steps ahead.
    spectral_radius : float
        Largest modulus of a pole.
    reverse_spectral_radius : float
        The same of the reversed process.
    covariance_ratio : float
        Variance of the texture over that of the clip's coordinates, in total.
    spectrum_distance : float
        Root mean square difference, in decibels, of the temporal spectra of texture and clip.
    frequencies : (f,) ndarray
        Frequencies of the spectra in hertz.
    model_spectrum, clip_spectrum : (f,) ndarray
        Total power spectra of the coordinates, smoothed alike.
    n_parameters : int
        Numbers that the texture stores.
    compression : float
        Numbers in the clip over those that the texture stores.
    synthesis_fps : float
        Frames per second of a film of the texture, without encoding, measured on this machine.
    n_frames : int
        Frames of the clip.
    """

    reconstruction_psnr: float
    one_step_psnr: float
    plain_psnr: float
    persistence_psnr: float
    mean_psnr: float
    horizons: np.ndarray
    step_psnr: np.ndarray
    step_persistence_psnr: np.ndarray
    spectral_radius: float
    reverse_spectral_radius: float
    covariance_ratio: float
    spectrum_distance: float
    frequencies: np.ndarray
    model_spectrum: np.ndarray
    clip_spectrum: np.ndarray
    n_parameters: int
    compression: float
    synthesis_fps: float
    n_frames: int

    def __repr__(self) -> str:
        return (
            f"TextureMetrics(one step {self.one_step_psnr:.2f} dB, persistence "
            f"{self.persistence_psnr:.2f} dB, {counted(self.n_frames, 'frame')})"
        )

    def summary(self) -> str:
        """Return the numbers as text, a line for each.

        Returns
        -------
        str
            Several lines.
        """
        steps = ", ".join(
            f"{k}: {a:.2f} ({b:.2f})"
            for k, a, b in zip(
                self.horizons, self.step_psnr, self.step_persistence_psnr, strict=True
            )
        )
        plain = f"{self.plain_psnr:.2f} without carrying the remainder on"
        radii = f"{self.spectral_radius:.4f}, backwards {self.reverse_spectral_radius:.4f}"
        facts = {
            "mean frame": f"{self.mean_psnr:.2f}",
            "reconstruction": f"{self.reconstruction_psnr:.2f}",
            "one step ahead": f"{self.one_step_psnr:.2f} ({plain})",
            "persistence": f"{self.persistence_psnr:.2f}",
            "steps (persistence)": steps,
            "variance": f"{self.covariance_ratio:.3f} of the clip's",
            "temporal spectra": f"{self.spectrum_distance:.2f} dB from the clip's",
            "spectral radius": radii,
            "numbers stored": f"{self.n_parameters}, {self.compression:.2f} times fewer than in it",
            "films": f"{self.synthesis_fps:.0f} frames per second",
        }
        head = f"on {counted(self.n_frames, 'frame')} of a clip: PSNR in dB, 6 more halve the error"
        return "\n".join([head, *(fact(label, text) for label, text in facts.items())])


def evaluate(
    texture: DynamicTexture,
    video: Any,
    *,
    horizons: Sequence[int] = (1, 2, 5, 10),
    progress: bool = False,
) -> TextureMetrics:
    """Measure how well a texture describes a clip.

    Parameters
    ----------
    texture : DynamicTexture
        A stationary texture.
    video : path, array_like, iterable or FrameSource
        A clip with frames of the texture's shape, whatever ``read_video`` takes; best one that the
        texture was not learned from.
    horizons : sequence of int, default (1, 2, 5, 10)
        Numbers of steps to predict; those that the clip is too short for are left out.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    TextureMetrics
        Errors beside those of the mean frame and of persistence, variances and spectra beside the
        clip's, spectral radii, sizes and speed. ``print(metrics.summary())`` shows them.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the clip has frames of another shape, or fewer than two; or a horizon is less than 1.
    UnstableModelError
        If the texture is not stable.

    See Also
    --------
    learn : The texture of a clip.

    Notes
    -----
    Predictions are not clipped to 0 .. 255. The spectra are Fourier transforms of the
    autocovariances about the mean frame, with a triangular window of a quarter of the clip, and the
    texture's covariances are weighted as those of a clip of this length are in expectation.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import evaluate, learn
    >>> t, column = np.mgrid[0:200, 0:24]
    >>> clip = 128 + 60 * np.sin(0.5 * t - 2 * np.pi * column / 24)[:, None, :]
    >>> clip = clip + np.random.default_rng(0).standard_normal((200, 8, 24))
    >>> metrics = evaluate(learn(clip[:100], 2), clip[100:])
    >>> bool(metrics.one_step_psnr > 45 > 30 > metrics.persistence_psnr)
    True
    """
    as_instance("texture", texture, (DynamicTexture,))
    if not isinstance(horizons, (list, tuple, range)) and np.ndim(horizons) != 1:
        raise TypeError(f"`horizons` must be a list of integers, as [1, 5]; got {horizons!r}.")
    wanted = [as_integer("horizons", k, minimum=1) for k in horizons]
    source = read_video(video)
    if source.shape != texture.frame_shape:
        raise ValueError(
            f"`video` must have frames of the texture's shape {texture.frame_shape}; got "
            f"{source.shape}. Pass read_video(video, size=..., grey=...)."
        )
    reach = max([1, *(k for k in wanted if source.length is None or k < source.length)])
    z, products = _coordinates(texture, source, reach, progress)
    wanted = [k for k in wanted if k <= reach]
    T = len(z)
    if T < 2:
        raise ValueError("`video` must have at least 2 frames to measure predictions; got 1.")
    steps = np.array(sorted({1, *(k for k in wanted if k < T)}))
    pixels = texture.mean.size
    rest = products - np.array([_lagged(z, z, k) for k in range(len(products))])
    errors = {k: _errors(texture, z, products, rest, k) / ((T - k) * pixels) for k in steps}
    predicted = np.array([errors[k][0] for k in steps])
    cov = to_covariance(texture.model)
    frequencies, model_spectrum, clip_spectrum = _spectra(texture, z)
    apart = 10 * np.log10(model_spectrum / clip_spectrum)
    backwards = reverse(to_gaussian(texture.model))
    return TextureMetrics(
        reconstruction_psnr=float(psnr(rest[0].sum() / (T * pixels))),
        one_step_psnr=float(psnr(predicted[0])),
        plain_psnr=float(psnr(errors[1][1])),
        persistence_psnr=float(psnr(errors[1][2])),
        mean_psnr=float(psnr(products[0].sum() / (T * pixels))),
        horizons=steps,
        step_psnr=psnr(predicted),
        step_persistence_psnr=psnr(np.array([errors[k][2] for k in steps])),
        spectral_radius=texture.spectral_radius,
        reverse_spectral_radius=1.0 - stability_margin(backwards.A, 1.0),
        covariance_ratio=float(np.trace(cov.Lambda0) / (np.sum(z**2) / T)),
        spectrum_distance=float(np.sqrt(np.mean(apart**2))),
        frequencies=frequencies,
        model_spectrum=model_spectrum,
        clip_spectrum=clip_spectrum,
        n_parameters=texture.n_parameters,
        compression=T * pixels / texture.n_parameters,
        synthesis_fps=_frames_per_second(texture),
        n_frames=T,
    )


def _coordinates(
    texture: DynamicTexture, source: FrameSource, reach: int, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (T, q), and the inner products of frame t with frame t - k.

    The latter (reach + 1, T) are of the frames minus the mean frame; zero where t < k.
    """
    paths, rows = [], []
    before = np.zeros((0, texture.mean.size), dtype=source.dtype)  # the last `reach` frames
    for block in watched(source, "evaluate", progress):
        joined = np.concatenate([before, block])
        have, b = len(before), len(block)
        z = np.zeros((b, texture.basis.shape[1]))
        products = np.zeros((reach + 1, b))
        for part, panel in panels([joined], texture.mean):
            z += panel[have:] @ texture.basis[part]
            for k in range(reach + 1):
                first = max(have - k, 0)
                late = panel[first + k :]
                row = products[k, b - len(late) :]
                row += np.einsum("tp,tp->t", late, panel[first : first + len(late)])
        before = joined[-reach:].copy()
        paths.append(z)
        rows.append(products)
    return np.vstack(paths), np.hstack(rows)


def _lagged(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """Return the inner products of a_t and b_{t-k}, zero where t < k."""
    products = np.zeros(len(a))
    products[k:] = np.sum(a[k:] * b[: max(len(b) - k, 0)], axis=1)
    return products


def _errors(
    texture: DynamicTexture, z: np.ndarray, products: np.ndarray, rest: np.ndarray, k: int
) -> np.ndarray:
    """Return summed squared errors k steps ahead: carried, plain, persistence."""
    inside = float(np.sum((z - _predicted(texture, z, k))[k:] ** 2))
    carry = texture.carry**k
    plain = inside + rest[0, k:].sum()
    carried = plain - 2 * carry * rest[k].sum() + carry**2 * rest[0, :-k].sum()
    persistence = products[0, k:].sum() + products[0, :-k].sum() - 2 * products[k].sum()
    return np.array([carried, plain, persistence])


def _predicted(texture: DynamicTexture, z: np.ndarray, k: int) -> np.ndarray:
    """Return the coordinates (T, q) predicted k steps ahead; the first k rows are arbitrary."""
    model = texture.model
    if not is_observed(model):
        return predict(model, z, horizon=k)
    states = np.linalg.solve(model.C, z.T)
    ahead = model.C @ np.linalg.matrix_power(model.A, k) @ states
    return np.vstack([np.zeros((k, z.shape[1])), ahead.T[:-k]])


def _spectra(texture: DynamicTexture, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frequencies in hertz and the smoothed total spectra of texture and coordinates."""
    T = len(z)
    lags = max(T // 4, 1)
    window = (1 - np.arange(lags + 1) / (lags + 1)) * (1 - np.arange(lags + 1) / T)
    clip = np.array([np.sum(z[k:] * z[: T - k]) / (T - k) for k in range(lags + 1)])
    model = np.trace(autocovariance(texture.model, lags), axis1=1, axis2=2)
    omega = np.linspace(0.0, np.pi, 2 * lags + 1)
    cosines = 2 * np.cos(np.outer(omega, np.arange(lags + 1)))
    cosines[:, 0] = 1.0
    spectra = cosines @ (window * np.array([model, clip])).T
    spectra = np.maximum(spectra, 1e-6 * spectra.max(axis=0))
    return omega / (2 * np.pi) * texture.fps, spectra[:, 0], spectra[:, 1]


def _frames_per_second(texture: DynamicTexture) -> float:
    """Return the measured speed of synthesis."""
    begin = time.perf_counter()
    for _ in film_blocks(texture, TIMED, rng=0):
        pass
    return TIMED / (time.perf_counter() - begin)
