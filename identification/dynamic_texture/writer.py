"""Films to files: the door out of dynamic textures, a block of frames (b, H, W, C) at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from realization.internal import as_instance, as_real, counted, require_target

from .array_files import ArraySink
from .picture import integers

__all__ = ["VideoWriter", "open_writer"]

CONTAINERS = (".mp4", ".webm", ".mkv", ".avi")
SLOWEST, FASTEST = 1e-3, 1e5  # frames per second that files can say


class Sink(Protocol):
    """What a writer feeds: one open output file."""

    def write(self, frames: np.ndarray) -> None:
        """Append frames (b, H, W, C), uint8."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def discard(self) -> None:
        """Close what is open, without completing the file."""
        ...


class VideoWriter:
    """A video file that is being written; made by ``open_writer``, used in a ``with`` statement.

    The file appears under its name when the ``with`` block ends, and only if it ends well.

    Parameters
    ----------
    open_sink : callable
        Returns what encodes.
    path : Path
        The file to be.
    partial : Path
        The name under which it is written.
    shape : (int, int, int)
        Height, width and channels of a frame.
    """

    def __init__(
        self,
        open_sink: Callable[[], Sink],
        path: Path,
        partial: Path,
        shape: tuple[int, ...],
    ) -> None:
        self._open, self._path, self._partial, self._shape = open_sink, path, partial, shape
        self._sink: Sink | None = None
        self._count = 0

    def __repr__(self) -> str:
        size = " x ".join(map(str, self._shape))
        return f"VideoWriter({self._path.name!r}, {counted(self._count, 'frame')} of {size})"

    def write(self, frames: np.ndarray) -> None:
        """Append frames.

        Parameters
        ----------
        frames : (b, H, W, C) ndarray
            uint8.

        Raises
        ------
        TypeError
            If they are no array.
        ValueError
            If shape or dtype are others, or the file is not open.
        OSError
            If the disk does not take them.
        """
        if self._sink is None:
            raise ValueError(
                f"{self._path.name} is not open: write within `with open_writer(...) as writer:`."
            )
        as_instance("frames", frames, (np.ndarray,))
        if frames.shape[1:] != self._shape or frames.ndim != 4 or frames.dtype != np.uint8:
            wanted = ", ".join(str(number) for number in self._shape)
            raise ValueError(
                f"`frames` must be uint8 of shape (b, {wanted}); got {frames.dtype} of shape "
                f"{frames.shape}."
            )
        with self._named():
            self._sink.write(frames)
        self._count += len(frames)

    def __enter__(self) -> VideoWriter:
        with self._named():
            self._sink, self._count = self._open(), 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None
        try:
            if error is None and self._count == 0:
                raise ValueError(f"no frame was written: {self._path.name} would be empty.")
            if error is None:
                with self._named():
                    sink.finish()
                    self._partial.replace(self._path)
        finally:
            sink.discard()
            with suppress(OSError):  # it is there only after an error; a folder stays
                self._partial.unlink()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Tell what the system says against writing, with the name of the file."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"`path` must name a file that can be written; {str(self._path)!r} cannot: "
                f"{error.strerror or error}. Name another."
            ) from None


def open_writer(path: str | Path, shape: tuple[int, int, int], fps: float) -> VideoWriter:
    """Open a video file for writing; its name decides the format.

    =============================  ===========================================================
    name                           what is written
    =============================  ===========================================================
    ``.mp4``                       H.264 (crf 20), plays everywhere; extra ``video``
    ``.webm``                      VP9 (crf 32); extra ``video``
    ``.mkv``, ``.avi``             FFV1, without loss; extra ``video``
    ``.gif``                       256 colours per frame, at most 50 frames per second
    ``.npz``                       arrays ``frames`` (T, H, W, C) uint8 and ``fps``
    a folder (no suffix)           ``frame_000000.png``, ...
    =============================  ===========================================================

    Parameters
    ----------
    path : path
        The file. One that exists is replaced when the new one is complete. A folder must be empty
        or not exist yet.
    shape : (int, int, int)
        Height, width and channels (1 or 3) of the frames.
    fps : float
        Frames per second; fractions such as 30000/1001 are recognised.

    Returns
    -------
    VideoWriter
        A context manager with ``write(frames)``, frames (b, H, W, C) uint8. Nothing is opened
        before its ``with`` statement, which raises if a folder is not empty.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the suffix, the shape or the rate cannot be written.
    FileNotFoundError
        If the file's folder does not exist.
    ImportError
        If the format needs PyAV and it is not installed.

    Notes
    -----
    H.264 halves the resolution of colour and needs even sizes: an odd height or width grows by one
    row or column, a copy of the last.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from identification.dynamic_texture import open_writer, read_video
    >>> frames = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "film.npz")
    ...     with open_writer(path, (4, 6, 1), 25) as writer:
    ...         writer.write(frames)
    ...     back = next(read_video(path).blocks(5))
    >>> bool(np.array_equal(back, frames))
    True
    """
    path = Path(as_instance("path", path, (str, Path)))
    size = integers("shape", shape, ("height", "width", "channels"), (1, 1, 1))
    if size[2] not in (1, 3):
        raise ValueError(f"`shape` must be (H, W, 1) or (H, W, 3); got {size}.")
    fps = as_real("fps", fps, above=SLOWEST, below=FASTEST)
    suffix = path.suffix.lower()
    if suffix not in ("", ".npz", ".gif", *CONTAINERS):
        raise ValueError(
            f"`path` must end in {', '.join(CONTAINERS)}, .gif or .npz, or have no suffix (a "
            f"folder of images); got {path.name!r}."
        )
    if suffix == "":
        from .image_files import FolderSink

        require_target(path / "frame_000000.png" if path.exists() else path)
        return VideoWriter(functools.partial(FolderSink.opened, path), path, path, size)
    require_target(path)
    partial = path.with_name(f".{path.stem}.part{suffix}")
    if suffix == ".npz":
        kind = ArraySink
    elif suffix == ".gif":
        from .image_files import GifSink

        if not 1 / 655 < fps <= 50:
            raise ValueError(
                "`fps` of a GIF must be at most 50, which is what viewers play, and more than one "
                f"frame in 655 seconds, its longest; got {fps:g}."
            )
        kind = GifSink
    else:
        from .containers import ContainerSink, pyav

        pyav()  # says how to install it

        kind = ContainerSink
    return VideoWriter(lambda: kind(partial, size, fps), path, partial, size)
