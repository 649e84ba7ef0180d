"""Frames from anywhere: the door of dynamic textures to video. That out is in ``writer``.

Time first: a block of frames is (b, H, W, C), with C = 1 (grey) or 3 (red, green, blue). Values are
uint8, or floats in the same units (255 is white). Nothing here holds a clip in memory: a
``FrameSource`` is read block by block, as often as wished.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from realization.internal import as_integer, as_real, counted

from .array_files import ArrayReader, NpzReader, open_npy
from .picture import Picture

if TYPE_CHECKING:
    from .strips import Strips

__all__ = ["FrameSource", "read_video", "require_grey_levels"]

DEFAULT_FPS = 25.0
BRIGHTEST = 1e9  # in floats
PICTURES = (".gif", ".webp", ".apng", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


class Reader(Protocol):
    """Where raw frames come from: a file, a folder or an array, read anew by every call."""

    @property
    def name(self) -> str:
        """Return what messages call it."""
        ...

    @property
    def fps(self) -> float | None:
        """Return the frames per second, None where it does not say."""
        ...

    @property
    def length(self) -> int | None:
        """Return the number of frames, None where only reading them tells."""
        ...

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames in time order, (H, W) or (H, W, C)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FrameSource:
    """Frames that can be read in blocks, as often as wished; made by ``read_video``.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels (1 or 3) of a frame.
    fps : float
        Frames per second, after `stride`.
    dtype : dtype
        uint8, float32 or float64; floats are in the units of uint8 (255 is white).
    length : int or None
        Number of frames, None where only reading them tells. That of a video file is what its
        header says.
    stream : callable
        Returns a new iterator over blocks of a given size.
    strips : Strips, optional
        What reduces the frames where they are, if they are a Dask array's.
    """

    shape: tuple[int, int, int]
    fps: float
    dtype: np.dtype
    length: int | None
    stream: Callable[[int], Iterator[np.ndarray]]
    strips: Strips | None = None

    def __repr__(self) -> str:
        count = "frames" if self.length is None else counted(self.length, "frame")
        size = " x ".join(map(str, self.shape))
        return f"FrameSource({count} of {size}, {self.dtype}, {self.fps:g} fps)"

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the frames in time order, `size` at a time, the last block with what is left.

        Parameters
        ----------
        size : int
            Frames in a block.

        Yields
        ------
        (b, H, W, C) ndarray
            A block, not to be written to: it may be a view of the array that was given.

        Raises
        ------
        ValueError
            If a frame differs in shape from the first, a float is not finite or beyond 1e9, or a
            file turns out to be damaged.
        """
        first = 0
        for block in self.stream(as_integer("size", size, minimum=1)):
            require_grey_levels("video", block, first)
            yield block
            first += len(block)


def require_grey_levels(name: str, frames: np.ndarray, first: int = 0) -> None:
    """Raise unless frames (b, ...) hold finite numbers of a size that can be squared and added."""
    if frames.min(initial=0) >= -BRIGHTEST and frames.max(initial=0) <= BRIGHTEST:
        return
    sizes = np.abs(frames).reshape(len(frames), -1).max(axis=1)
    bad = int(np.argmin(sizes <= BRIGHTEST))
    if not np.isfinite(sizes[bad]):
        raise ValueError(f"`{name}` must hold finite numbers; frame {first + bad} does not.")
    raise ValueError(
        f"`{name}` must hold grey levels, 255 is white, within {BRIGHTEST:g}; frame {first + bad} "
        f"goes to {sizes[bad]:.3g}. Divide by what makes white 255."
    )


def read_video(
    video: Any,
    *,
    fps: float | None = None,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    crop: tuple[int, int, int, int] | None = None,
    size: tuple[int, int] | None = None,
    grey: bool = False,
) -> FrameSource:
    """Open a clip for reading in blocks: a file, a folder of images, an array or an iterator.

    Files, folders and arrays are read again whenever the frames are asked for. An iterator can be
    read only once: its frames are written to a temporary file, which disappears with the source.

    Parameters
    ----------
    video : path, array_like, iterable or FrameSource
        A video file (mp4, webm, avi, mkv, ...: whatever FFmpeg reads; extra ``video``), an animated
        gif, webp, apng or tiff, a folder of images (in the natural order of their names: 9 before
        10), npz or npy, an array (T, H, W), (T, H, W, 1) or (T, H, W, 3), Dask's too, or an
        iterable of frames.
    fps : float, optional
        Frames per second of the clip before `stride`; default what the file says, else 25.
    start, stop, stride : int, optional
        Which frames: those of ``range(start, stop, stride)``, by default all.
    crop : (top, left, height, width), optional
        Which part of the picture, in pixels.
    size : (height, width), optional
        What the (cropped) picture is resized to, by area-aware bicubic interpolation.
    grey : bool, default False
        Turn colour to luma, 0.299 R + 0.587 G + 0.114 B.

    Returns
    -------
    FrameSource
        With ``shape`` (H, W, C), ``fps``, ``dtype`` and ``blocks(size)``.

    Raises
    ------
    TypeError
        If `video` is none of the above, or its numbers are neither uint8, uint16 nor floats.
    ValueError
        If the clip has no frame to read, cannot be decoded, has images of different sizes, more
        channels than three, or does not contain `crop`.
    FileNotFoundError
        If there is no such file.
    ImportError
        If a video file is given and PyAV is not installed.

    Notes
    -----
    Transparent pixels of files are laid over black. Sixteen-bit images become float32 in the units
    of uint8, without loss; videos of more than eight bits are decoded to eight. Frames of variable
    rate are taken as they come, at the mean rate. A phone's rotation mark is obeyed. A temporary
    file lies where Python's ``tempfile`` puts it (environment variable ``TMPDIR``).

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import read_video
    >>> clip = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), dtype=np.uint8)
    >>> source = read_video((frame for frame in clip), fps=30, start=1, stride=2, crop=(0, 1, 4, 4))
    >>> source.shape, source.fps, [len(block) for block in source.blocks(2)]
    ((4, 4, 3), 15.0, [2, 1])
    >>> bool(np.array_equal(np.concatenate(list(source.blocks(2))), clip[1::2, :, 1:5]))
    True
    """
    chosen = slice(
        as_integer("start", start),
        None if stop is None else as_integer("stop", stop, minimum=1),
        as_integer("stride", stride, minimum=1),
    )
    picture = Picture.checked(crop, size, grey)
    if fps is not None:
        fps = as_real("fps", fps, above=0)
    if isinstance(video, FrameSource):
        if (chosen, picture, fps) != (slice(0, None, 1), Picture(), None):
            raise ValueError("`video` is open already: give the options to the first read_video.")
        return video
    if (reader := _reader(video)) is None:
        array = _spooled(video, chosen, picture)
        reader = ArrayReader("the spooled iterator", None, array)
        rate = (fps or DEFAULT_FPS) / chosen.step
        return _source(reader, slice(0, None, 1), Picture(), rate)
    return _source(reader, chosen, picture, (fps or reader.fps or DEFAULT_FPS) / chosen.step)


def _reader(video: Any) -> Reader | None:
    """Return what reads a path or an array; None for an iterable of frames."""
    if isinstance(video, (str, Path)):
        return _file_reader(Path(video))
    if type(video).__module__.startswith("dask.array"):
        from .strips import DaskReader

        return DaskReader.opened(video)
    if hasattr(video, "__array__"):
        return ArrayReader("`video`", None, _array(video))
    if not isinstance(video, Iterable) or isinstance(video, (bytes, dict)):
        raise TypeError(
            "`video` must be a path, an array (T, H, W) or (T, H, W, 3), or an iterable of frames; "
            f"got {type(video).__name__}."
        )
    return None


def _array(frames: Any) -> np.ndarray:
    """Return what numpy makes of frames."""
    if np.ma.is_masked(frames):
        raise ValueError("`video` must be a plain array: fill its masked pixels (`filled(0)`).")
    try:
        return np.asarray(frames)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"`video` must be an array of numbers; numpy says: {error}.") from None


def _file_reader(path: Path) -> Reader:
    """Return the reader of a file or folder."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r} to read a video from.")
    if path.is_dir():
        from .image_files import FolderReader

        return FolderReader.opened(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return ArrayReader(path.name, None, open_npy(path))
    if suffix == ".npz":
        return NpzReader.opened(path)
    if suffix in PICTURES:
        from .image_files import AnimationReader

        return AnimationReader.opened(path)
    from .containers import ContainerReader

    return ContainerReader.opened(path)


def _source(reader: Reader, chosen: slice, picture: Picture, fps: float) -> FrameSource:
    """Return the source of a reader, from a look at its first frame."""
    first = next(reader.frames(slice(chosen.start, chosen.start + 1, 1)), None)
    if first is None or (chosen.stop is not None and chosen.stop <= chosen.start):
        have = "" if reader.length is None else f", of {reader.length}"
        raise ValueError(
            f"{reader.name} has no frame to read: start={chosen.start}, stop={chosen.stop}{have}."
        )
    ready = picture.apply(first, reader.name)
    shape = ready.shape

    def stream(size: int) -> Iterator[np.ndarray]:
        """Yield blocks of prepared frames."""
        if isinstance(reader, ArrayReader) and (ready is first or picture.is_view(first)):
            yield from reader.blocks(chosen, picture, size)
            return
        frames = (picture.apply(frame, reader.name) for frame in reader.frames(chosen))
        while batch := list(itertools.islice(frames, size)):
            for frame in batch:
                if frame.shape != shape or frame.dtype != ready.dtype:
                    raise ValueError(
                        f"every frame of {reader.name} must be like the first, {shape} "
                        f"{ready.dtype}; found {frame.shape} {frame.dtype}. Pass size= to resize "
                        "them all."
                    )
            yield np.stack(batch)

    length = None if reader.length is None else len(range(reader.length)[chosen])
    find = getattr(reader, "strips", None)  # the reader of Dask arrays has it
    strips = None if find is None else find(chosen, picture)
    return FrameSource(shape, float(fps), ready.dtype, length, stream, strips)


def _spooled(frames: Iterable[Any], chosen: slice, picture: Picture) -> np.ndarray:
    """Return the prepared frames of an iterable as a memory map of a file that has no name."""
    first: np.ndarray | None = None
    count = 0
    with tempfile.TemporaryFile(prefix="frames-") as file:
        for raw in itertools.islice(frames, chosen.start, chosen.stop, chosen.step):
            frame = np.ascontiguousarray(picture.apply(_array(raw), "`video`"))
            first = frame if first is None else first
            if (frame.shape, frame.dtype) != (first.shape, first.dtype):
                raise ValueError(
                    f"every frame of `video` must be like the first, {first.shape} {first.dtype}; "
                    f"frame {count} is {frame.shape} {frame.dtype}."
                )
            file.write(frame.data)
            count += 1
        if first is None:
            raise ValueError(
                f"`video` has no frame to read: the iterator ended before frame {chosen.start + 1}."
            )
        file.flush()
        return np.memmap(file, first.dtype, "r", shape=(count, *first.shape))
