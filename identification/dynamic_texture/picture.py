"""What is done to every frame that is read: check, crop, to grey, resize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from realization.internal import as_integer

__all__ = ["Picture", "integers"]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # Rec. 601
SIXTEEN_BIT = np.float32(1 / 257)  # 65535 = 257 * 255


@dataclass(frozen=True, slots=True)
class Picture:
    """How a frame is prepared; the default leaves it as it is."""

    crop: tuple[int, ...] | None = None
    size: tuple[int, ...] | None = None
    grey: bool = False

    @classmethod
    def checked(cls, crop: Any, size: Any, grey: Any) -> Picture:
        """Return the preparation, its numbers checked."""
        if crop is not None:
            crop = integers("crop", crop, ("top", "left", "height", "width"), (0, 0, 1, 1))
        if size is not None:
            size = integers("size", size, ("height", "width"), (1, 1))
        return cls(crop, size, bool(grey))

    def is_view(self, frame: np.ndarray) -> bool:
        """Say whether preparing frames like this one takes only slicing."""
        return frame.dtype != np.uint16 and self.size is None and (not self.grey or frame.ndim == 2)

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """Return frames (..., H, W, C), cropped."""
        if self.crop is None:
            return frames
        top, left, height, width = self.crop
        return frames[..., top : top + height, left : left + width, :]

    def apply(self, frame: np.ndarray, name: str) -> np.ndarray:
        """Return one frame (H, W) or (H, W, C) as (H, W, 1) or (H, W, 3), prepared."""
        if frame.ndim not in (2, 3) or 0 in frame.shape:
            raise ValueError(
                f"a frame of {name} must have shape (H, W) or (H, W, 3); got {frame.shape}."
            )
        if frame.ndim == 2:
            frame = frame[:, :, None]
        if frame.shape[2] not in (1, 3):
            raise ValueError(
                f"a frame of {name} must have 1 channel or 3; got {frame.shape[2]}. Lay "
                "transparent pictures over a background, or leave their fourth channel out."
            )
        if frame.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
            raise TypeError(
                f"{name} must hold uint8, uint16, float32 or float64 (255 is white); got "
                f"{frame.dtype}. Convert it, for instance with .astype(numpy.uint8)."
            )
        if self.crop is not None:
            top, left, height, width = self.crop
            if top + height > frame.shape[0] or left + width > frame.shape[1]:
                raise ValueError(
                    f"`crop` (top, left, height, width) must lie inside the picture of "
                    f"{frame.shape[0]} x {frame.shape[1]}; got {self.crop}."
                )
            frame = self.cut(frame)
        if frame.dtype == np.uint16:
            frame = frame * SIXTEEN_BIT
        if self.grey and frame.shape[2] == 3:
            frame = _luma(frame)
        if self.size is not None and frame.shape[:2] != self.size:
            frame = _resized(frame, self.size)
        return frame


def integers(
    name: str, values: Any, words: tuple[str, ...], minima: tuple[int, ...]
) -> tuple[int, ...]:
    """Return a tuple of integers, each at least its minimum."""
    listed = isinstance(values, (tuple, list)) or (isinstance(values, np.ndarray) and values.ndim)
    if not listed or len(values) != len(words):
        raise ValueError(f"`{name}` must be ({', '.join(words)}); got {values!r}.")
    return tuple(
        as_integer(f"{name}: {word}", value, minimum=minimum)
        for word, value, minimum in zip(words, values, minima, strict=True)
    )


def _luma(frame: np.ndarray) -> np.ndarray:
    """Return the luma (H, W, 1) of a colour frame, in its dtype."""
    grey = frame @ LUMA.astype(frame.dtype if frame.dtype.kind == "f" else np.float32)
    return (np.rint(grey) if frame.dtype == np.uint8 else grey).astype(frame.dtype)[:, :, None]


def _resized(frame: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return a frame of another size, in its dtype."""
    from PIL import Image

    to, way = (size[1], size[0]), Image.Resampling.BICUBIC
    if frame.dtype == np.uint8:
        image = Image.fromarray(
            np.ascontiguousarray(frame.squeeze(2) if frame.shape[2] == 1 else frame)
        )
        return np.asarray(image.resize(to, way)).reshape(*size, frame.shape[2])
    with np.errstate(over="ignore"):  # infinite pixels are refused when they are read
        planes = np.moveaxis(frame, 2, 0).astype(np.float32)
    channels = [Image.fromarray(plane) for plane in planes]
    resized = [np.asarray(channel.resize(to, way)) for channel in channels]
    return np.stack(resized, 2).astype(frame.dtype)
