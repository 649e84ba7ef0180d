"""Pictures of films on one page: contact sheets, basis images, small moving pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from .model import DynamicTexture

__all__ = ["animation", "basis_sheet", "contact_sheet", "small"]

LARGEST = 320  # pixels of the longer side of a moving picture
CELL = 160  # the same of a cell of a sheet
GAP = 4
LABEL = 18


def small(frames: np.ndarray) -> np.ndarray:
    """Return frames (b, H, W[, 3]) in colour, small enough for moving pictures (b, h, w, 3)."""
    return np.array([np.asarray(_shrunk(frame, LARGEST)) for frame in frames])


def contact_sheet(films: Mapping[str, np.ndarray], step: int, columns: int) -> Any:
    """Return a picture with a row for each film (T, H, W[, 3]): every `step`-th frame, labelled."""
    rows = {name: film[: step * columns : step] for name, film in films.items()}
    return _sheet(rows, [f"+{step * k}" for k in range(columns)])


def basis_sheet(texture: DynamicTexture, columns: int) -> Any:
    """Return a picture of the mean frame and the first basis images, each to its own contrast."""
    images = texture.basis.T[: 2 * columns - 1]
    scales = np.abs(images).max(axis=1, initial=1e-30)[:, None]
    levels = np.vstack([texture.mean, 127.5 + 127.5 * images / scales])
    cells = np.clip(np.rint(levels), 0, 255).astype(np.uint8).reshape(-1, *texture.shape)
    names = ["mean", *(str(k) for k in range(1, len(cells)))]
    rows = {
        f"mean frame and basis images 1 to {min(len(cells), columns) - 1}": cells[:columns],
        f"basis images {columns} to {len(cells) - 1}": cells[columns:],
    }
    return _sheet({name: row for name, row in rows.items() if len(row)}, names[:columns])


def animation(film: np.ndarray, fps: float) -> bytes:
    """Return a film as an animated WebP that repeats for ever."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in film]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        quality=60,
        method=2,
    )
    return buffer.getvalue()


def _sheet(rows: Mapping[str, np.ndarray], heads: list[str]) -> Any:
    """Return labelled rows of frames on a mid-grey ground."""
    from PIL import Image, ImageDraw

    cells = {name: [_shrunk(frame, CELL) for frame in film] for name, film in rows.items()}
    width, height = next(iter(cells.values()))[0].size
    size = (len(heads) * (width + GAP) + GAP, len(cells) * (height + GAP + LABEL) + GAP)
    sheet = Image.new("RGB", size, (96, 96, 96))
    draw = ImageDraw.Draw(sheet)
    for i, (name, images) in enumerate(cells.items()):
        top = GAP + i * (height + GAP + LABEL)
        draw.text((GAP, top), name, fill=(255, 255, 255))
        for k, image in enumerate(images):
            left = GAP + k * (width + GAP)
            sheet.paste(image, (left, top + LABEL - 2))
            if i == 0 and k > 0:
                draw.text((left + width - 30, top), heads[k], fill=(210, 210, 210))
    return sheet


def _shrunk(frame: np.ndarray, longest: int) -> Any:
    """Return a frame as a colour image whose longer side is about `longest` pixels, never more.

    A small one is enlarged by whole pixels.
    """
    from PIL import Image

    image = Image.fromarray(frame).convert("RGB")
    scale = longest / max(image.size)
    if scale >= 2:
        factor = int(scale)
        return image.resize([side * factor for side in image.size], Image.Resampling.NEAREST)
    if scale < 1:
        return image.resize([max(1, round(side * scale)) for side in image.size])
    return image
