"""Clips that compress well, to files and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from identification.dynamic_texture import open_writer, read_video


def smooth_clip(
    frames: int = 12, height: int = 34, width: int = 46, channels: int = 3
) -> np.ndarray:
    """Return a clip that compresses well: coloured waves that travel, uint8."""
    row, column = np.mgrid[0:height, 0:width]
    time = np.arange(frames)[:, None, None]
    waves = [np.cos(row / 9 + column / (11 + k) - time / (3 + k)) for k in range(channels)]
    return np.rint(127.5 + 90 * np.stack(waves, 3)).astype(np.uint8)


def write(path: Path, clip: np.ndarray, fps: float = 25.0) -> Path:
    """Write a clip, five frames at a time."""
    with open_writer(path, clip.shape[1:], fps) as writer:
        for first in range(0, len(clip), 5):
            writer.write(clip[first : first + 5])
    return path


def frames_of(video: Any, size: int = 4, **options: Any) -> np.ndarray:
    """Return all frames of a clip."""
    return np.concatenate(list(read_video(video, **options).blocks(size)))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two clips."""
    error = np.mean((a.astype(float) - b) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)
