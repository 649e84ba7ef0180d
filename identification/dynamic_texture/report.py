"""A page about a texture: its films beside the clip, contact sheets, spectrum, poles, measures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import realization
from realization.internal import counted

from ..page import Page
from .contact_sheet import animation, basis_sheet, contact_sheet, small
from .metrics import TextureMetrics, evaluate
from .model import DynamicTexture
from .synthesis import BLOCK, film_blocks
from .video import FrameSource

__all__ = ["write_report"]

COLUMNS = 8  # frames in a row of a contact sheet
SHOWN = 75  # frames of a moving picture
ROWS_PER_SECOND = 8  # how far the frames of a contact sheet are apart


def write_report(
    path: Path,
    texture: DynamicTexture,
    source: FrameSource | None,
    *,
    name: str,
    sheet: Path | None = None,
    rng: int = 0,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Write the page of a texture, judged on a clip if there is one; `sheet` gets the picture."""
    tell = progress or (lambda step: None)
    height, width = texture.shape[:2]
    page = Page(
        f"The texture {name}",
        f"{counted(texture.basis.shape[1], 'basis image')} of {height} × {width} pixels, moved by "
        f"{counted(texture.n_states, 'state')} at {texture.fps:.4g} frames per second.",
    )
    metrics = None
    if source is not None:
        tell("measures")
        metrics = evaluate(texture, source)
    page.verdicts(_verdicts(texture, metrics))
    tell("films")
    films = _films(texture, source, rng)
    page.heading("Films")
    moving = {name: animation(film[:SHOWN], texture.fps) for name, film in films.items()}
    page.pictures(*((data, "webp", name) for name, data in moving.items()))
    step = max(1, round(texture.fps / ROWS_PER_SECOND))
    image = contact_sheet(films, step, COLUMNS)
    if sheet is not None:
        image.save(sheet)
    caption = f"Contact sheet: one frame in {step}, left to right."
    page.pictures((_png(image), "png", caption), wide=True)
    tell("spectrum and poles")
    page.heading("How it moves")
    page.figures(
        (_spectrum(texture, metrics), "Power of the motion over frequency, all pixels together."),
        (_poles(texture), "Poles: the angle is the frequency, the radius the memory."),
    )
    page.heading("What it is made of")
    caption = "The mean frame and basis images, each to its own contrast."
    page.pictures((_png(basis_sheet(texture, COLUMNS)), "png", caption), wide=True)
    if metrics is not None:
        _measures(page, metrics)
    page.heading("What was chosen")
    page.text(texture.summary())
    page.write(path)


def _verdicts(texture: DynamicTexture, metrics: TextureMetrics | None) -> list[tuple[bool, str]]:
    """Return what a reader in a hurry wants to know."""
    radius = texture.spectral_radius
    lines = [(radius < 1, f"Spectral radius {radius:.4f}: films neither fade nor blow up.")]
    if radius >= 1:
        lines = [(False, f"Spectral radius {radius:.4f}: UNSTABLE, films blow up.")]
    if metrics is None:
        return lines
    gain = metrics.one_step_psnr - metrics.persistence_psnr
    versus = "better than" if gain >= 0 else "WORSE than"
    lines.append(
        (
            gain >= 0,
            f"It predicts the next frame to {metrics.one_step_psnr:.1f} dB, {abs(gain):.1f} dB "
            f"{versus} repeating the last one.",
        )
    )
    ratio = metrics.covariance_ratio
    lines.append((0.8 <= ratio <= 1.25, f"Its films vary {ratio:.2f} times as much as the clip."))
    return lines


def _films(texture: DynamicTexture, source: FrameSource | None, rng: int) -> dict[str, np.ndarray]:
    """Return the clip's first frames and films in both directions that begin with the last."""
    step = max(1, round(texture.fps / ROWS_PER_SECOND))
    frames = max(SHOWN, step * COLUMNS)
    films: dict[str, np.ndarray] = {}
    last = None
    if source is not None:
        shown, count = [], 0
        for block in source.blocks(BLOCK):
            clip = np.rint(block[: frames - count]).clip(0, 255).astype(np.uint8)
            clip = clip.reshape(-1, *texture.shape)
            shown.append(small(clip))
            count, last = count + len(clip), clip[-1]
            if count == frames:
                break
        films["the clip"] = np.concatenate(shown)
    for title, speed in (("a film of it", 1.0), ("a film, time reversed", -1.0)):
        blocks = film_blocks(texture, frames, speed=speed, start=last, rng=rng)
        films[title] = np.concatenate([small(b.reshape(-1, *texture.shape)) for b in blocks])
    return films


def _spectrum(texture: DynamicTexture, metrics: TextureMetrics | None) -> Any:
    """Return a figure of the temporal spectra of texture and clip."""
    figure = _figure()
    ax = figure.subplots()
    if metrics is not None:
        ax.semilogy(metrics.frequencies, metrics.clip_spectrum, color="0.5", label="clip")
        ax.semilogy(metrics.frequencies, metrics.model_spectrum, label="texture")
    else:
        omega = np.linspace(0.0, np.pi, 257) * texture.fps
        density = realization.spectral_density(texture.model, omega)
        power = np.trace(density, axis1=1, axis2=2).real * texture.fps
        ax.semilogy(omega / (2 * np.pi), power, label="texture")
    ax.set(xlabel="frequency (Hz)", ylabel="power")
    ax.legend()
    return figure


def _poles(texture: DynamicTexture) -> Any:
    """Return a figure of the poles."""
    figure = _figure()
    realization.plot_poles(texture.model, ax=figure.subplots())
    return figure


def _measures(page: Page, metrics: TextureMetrics) -> None:
    """Add the tables of what was measured."""
    page.heading("How well it describes the clip")
    page.paragraph(
        "Peak signal-to-noise ratios in decibels against 255, on "
        f"{counted(metrics.n_frames, 'frame')}. The basis images alone reach "
        f"{metrics.reconstruction_psnr:.2f} dB, the mean frame {metrics.mean_psnr:.2f} dB."
    )
    rows = zip(metrics.horizons, metrics.step_psnr, metrics.step_persistence_psnr, strict=True)
    page.table(
        ["steps ahead", "texture", "persistence"],
        [[str(k), f"{a:.2f}", f"{b:.2f}"] for k, a, b in rows],
    )
    page.paragraph("")
    page.table(
        ["measure", "value"],
        [
            ["next frame, nothing carried from the last", f"{metrics.plain_psnr:.2f} dB"],
            ["variance, texture over clip", f"{metrics.covariance_ratio:.3f}"],
            ["difference of the spectra", f"{metrics.spectrum_distance:.2f} dB"],
            ["spectral radius", f"{metrics.spectral_radius:.4f}"],
            ["spectral radius backwards", f"{metrics.reverse_spectral_radius:.4f}"],
            ["numbers stored", f"{metrics.n_parameters}"],
            ["numbers in the clip over those stored", f"{metrics.compression:.2f}"],
            ["films, on this machine", f"{metrics.synthesis_fps:.0f} frames per second"],
        ],
    )


def _png(image: Any) -> bytes:
    """Return a Pillow image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _figure() -> Any:
    """Return a figure that needs no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(4.6, 4.4), layout="constrained")
