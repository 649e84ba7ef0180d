"""Frames in video files, by PyAV (extra ``video``): whatever FFmpeg reads; H.264, VP9, FFV1 out."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from realization.internal import counted

__all__ = ["ContainerReader", "ContainerSink", "pyav"]

# suffix: encoder, its options, pixel format of grey, of colour
ENCODERS = {
    ".mp4": ("libx264", {"crf": "20", "preset": "veryfast"}, "yuv420p", "yuv420p"),
    ".webm": (
        "libvpx-vp9",
        {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "yuv420p",
        "yuv420p",
    ),
    ".mkv": ("ffv1", {}, "gray", "bgr0"),
    ".avi": ("ffv1", {}, "gray", "bgr0"),
}
REC_709 = LIMITED = 1  # FFmpeg's numbers for the colours of HD video and for 16 .. 235
MUXER = {".mp4": {"movflags": "+faststart"}}


def pyav() -> Any:
    """Return PyAV, or say how to install it."""
    try:
        import av
    except ImportError:
        raise ImportError(
            'videos need PyAV: pip install "stochastic-realization[video]". Arrays, .npz and .gif '
            "files and folders of images do without."
        ) from None
    return av


@dataclass(frozen=True, slots=True, eq=False)
class ContainerReader:
    """Frames of the first video stream of a file."""

    name: str
    fps: float | None
    length: int | None
    path: Path

    @classmethod
    def opened(cls, path: Path) -> ContainerReader:
        """Return the reader of a file."""
        av = pyav()
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise ValueError(f"{path.name} holds no video, only other streams.")
                stream = container.streams.video[0]
                rate = stream.average_rate or stream.guessed_rate
                fps = float(rate) if rate else None
                length = stream.frames
                if not length and container.duration and fps:  # duration in microseconds
                    length = round(container.duration * 1e-6 * fps)
                return cls(path.name, fps, length or None, path)
        except (av.FFmpegError, UnicodeDecodeError) as error:  # text entries may be damaged too
            raise ValueError(
                f"{path.name} must be a video file; FFmpeg cannot open it: {_said(error)}."
            ) from None

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames."""
        av = pyav()
        count = 0
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in itertools.islice(container.decode(stream), chosen.stop):
                    if count >= chosen.start and (count - chosen.start) % chosen.step == 0:
                        yield _pixels(frame)
                    count += 1
        except (av.FFmpegError, UnicodeDecodeError) as error:
            advice = f" stop={count} reads the part that is whole." if count else ""
            raise ValueError(
                f"{self.name} is damaged or truncated: FFmpeg decodes {counted(count, 'frame')} "
                f"and then says {_said(error)!r}.{advice}"
            ) from None
        if self.length and count < 0.95 * min(self.length, chosen.stop or self.length) - 1:
            warnings.warn(
                f"{self.name} should hold {self.length} frames by its header; {count} were found. "
                "It may be truncated.",
                UserWarning,
                stacklevel=2,
            )


def _said(error: Any) -> str:
    """Return what FFmpeg says."""
    return getattr(error, "strerror", None) or str(error)


def _pixels(frame: Any) -> np.ndarray:
    """Return a decoded frame: grey (H, W) where it is stored so, else colour (H, W, 3)."""
    if frame.format.name.startswith("gray"):
        pixels = frame.to_ndarray(format="gray")
    elif any(component.is_alpha for component in frame.format.components):
        layers = frame.to_ndarray(format="rgba").astype(np.uint16)
        pixels = ((layers[:, :, :3] * layers[:, :, 3:] + 127) // 255).astype(np.uint8)
    else:
        pixels = frame.to_ndarray(format="rgb24")
    return np.rot90(pixels, frame.rotation // 90) if frame.rotation else pixels


class ContainerSink:
    """Encodes a video file frame by frame."""

    def __init__(self, path: Path, shape: tuple[int, ...], fps: float) -> None:
        av = pyav()
        encoder, options, grey, colour = ENCODERS[path.suffix.lower()]
        self.even = encoder == "libx264"
        height, width = (side + side % 2 if self.even else side for side in shape[:2])
        self.container = av.open(str(path), "w", options=MUXER.get(path.suffix.lower(), {}))
        try:
            rate = Fraction(fps).limit_denominator(1001)  # finds 30000/1001 and its kin
            self.stream = self.container.add_stream(encoder, rate, options=options)
        except (av.FFmpegError, ValueError):
            self.container.close()
            path.unlink(missing_ok=True)
            raise ValueError(
                f"this build of FFmpeg has no encoder {encoder} for {path.suffix}; "
                f"{', '.join(sorted(set(ENCODERS) - {path.suffix}))} use others."
            ) from None
        self.stream.width, self.stream.height = width, height
        self.stream.pix_fmt = grey if shape[2] == 1 else colour
        self.stream.thread_type = "AUTO"
        if self.stream.pix_fmt == "yuv420p":  # players guess what is not said
            context = self.stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = REC_709
            context.color_range = LIMITED

    def write(self, frames: np.ndarray) -> None:
        """Append frames."""
        from av import VideoFrame

        if self.even and (frames.shape[1] % 2 or frames.shape[2] % 2):
            odd = [(0, side % 2) for side in frames.shape[1:3]]
            frames = np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")
        if frames.shape[3] == 1 and self.stream.pix_fmt != "gray":
            frames = np.repeat(frames, 3, axis=3)
        for frame in frames:
            if frame.shape[2] == 1:
                picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame[:, :, 0]), "gray")
            else:
                picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
            if self.stream.pix_fmt == "yuv420p":
                picture = picture.reformat(
                    format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                )
            self.container.mux(self.stream.encode(picture))

    def finish(self) -> None:
        """Encode what is still buffered and complete the file."""
        self.container.mux(self.stream.encode(None))
        self.container.close()

    def discard(self) -> None:
        """Close the file."""
        self.container.close()
