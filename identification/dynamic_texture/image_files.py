"""Frames in image files, by Pillow: animations (gif, webp, apng, tiff) and folders of images."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .array_files import Spool

__all__ = ["AnimationReader", "FolderReader", "FolderSink", "GifSink"]

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True, slots=True, eq=False)
class AnimationReader:
    """Frames of one file of Pillow's; colour, unless the file holds sixteen bits of grey."""

    name: str
    fps: float | None
    length: int
    path: Path

    @classmethod
    def opened(cls, path: Path) -> AnimationReader:
        """Return the reader of a file."""
        with _opened(path) as image:
            length, milliseconds = getattr(image, "n_frames", 1), []
            for number in range(length):
                image.seek(number)
                milliseconds.append(image.info.get("duration", 0))
        total = sum(milliseconds)
        return cls(path.name, 1000 * length / total if total else None, length, path)

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames."""
        with _opened(self.path) as image:
            for number in range(self.length)[chosen]:
                image.seek(number)
                yield _pixels(image, self.length > 1)


@dataclass(frozen=True, slots=True, eq=False)
class FolderReader:
    """The images of a folder, in the natural order of their names."""

    name: str
    fps: float | None
    paths: tuple[Path, ...]

    @classmethod
    def opened(cls, path: Path) -> FolderReader:
        """Return the reader of a folder."""
        found = [p for p in path.iterdir() if p.suffix.lower() in IMAGES and p.name[0] != "."]
        if not found:
            raise ValueError(
                f"the folder {path.resolve().name} must hold images ({', '.join(IMAGES)}); it "
                "holds none."
            )
        return cls(f"the folder {path.name}", None, tuple(sorted(found, key=_natural)))

    @property
    def length(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen images."""
        for path in self.paths[chosen]:
            with _opened(path) as image:
                yield _pixels(image, False)


def _natural(path: Path) -> list[Any]:
    """Return a key that sorts the numbers in names as numbers."""
    parts = re.split(r"(\d+)", path.name)  # text and digits take turns
    return [int(part) if part.isdigit() else part.lower() for part in parts]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image; what goes wrong with it, at once or later, is told with its name."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except Image.UnidentifiedImageError:
        raise ValueError(f"{path.name} is not an image that Pillow can read.") from None
    except (
        OSError, SyntaxError, EOFError, ValueError, TypeError, IndexError, struct.error,
        Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path.name} is damaged or truncated; Pillow says: {error}.") from None


def _pixels(image: Any, colour: bool) -> np.ndarray:
    """Return the pixels of an image: uint8, uint16 or float32; grey, or what is not as colour."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        return values.astype(np.uint16) if image.mode.startswith("I;16") else values
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, image).convert("RGB"))
    grey = image.mode in ("L", "1") and not colour
    return np.asarray(image.convert("L" if grey else "RGB"))


class FolderSink:
    """Writes one PNG per frame."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.complete = path, 0, False

    @classmethod
    def opened(cls, path: Path) -> FolderSink:
        """Return the sink of a folder, made where it is missing."""
        path.mkdir(exist_ok=True)
        if any(path.iterdir()):
            raise ValueError(
                f"the folder {path.resolve().name} must be empty: the frames are numbered anew."
            )
        return cls(path)

    def write(self, frames: np.ndarray) -> None:
        """Append frames."""
        for frame in frames:
            _image(frame).save(self._file(self.count), compress_level=1)
            self.count += 1

    def finish(self) -> None:
        """Keep what was written."""
        self.complete = True

    def discard(self) -> None:
        """Remove the images of an interrupted run."""
        if not self.complete:
            for number in range(self.count):
                self._file(number).unlink()

    def _file(self, number: int) -> Path:
        """Return the name of an image."""
        return self.path / f"frame_{number:06d}.png"


class GifSink:
    """Writes an animated GIF that repeats for ever; Pillow wants its frames at the end."""

    def __init__(self, path: Path, shape: tuple[int, ...], fps: float) -> None:
        self.path, self.fps, self.spool = path, fps, Spool(shape)

    def write(self, frames: np.ndarray) -> None:
        """Append frames."""
        self.spool.write(frames)

    def finish(self) -> None:
        """Encode; the durations are whole hundredths of a second that keep up with the rate."""
        frames = self.spool.array()
        ends = np.rint(np.arange(len(frames) + 1) * (100 / self.fps)).astype(int)
        images = (_image(frame).quantize(256) for frame in frames)
        next(images).save(
            self.path,
            save_all=True,
            append_images=images,
            duration=[int(10 * step) for step in np.diff(ends)],
            loop=0,
            optimize=False,
        )

    def discard(self) -> None:
        """Close the spool, which deletes it."""
        self.spool.close()


def _image(frame: np.ndarray) -> Any:
    """Return a frame (H, W, C) as a Pillow image."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(frame[:, :, 0] if frame.shape[2] == 1 else frame))
