"""Frames in arrays, in .npy and .npz files; the frames of a file are never all in memory."""

from __future__ import annotations

import itertools
import math
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .picture import Picture

# what numpy, zipfile and zlib raise on files that are damaged, encrypted or something else
DAMAGE = (
    OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, SyntaxError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

__all__ = ["ArrayReader", "ArraySink", "NpzReader", "Spool", "open_npy"]


@dataclass(frozen=True, slots=True, eq=False)
class ArrayReader:
    """Frames of an array (T, H, W) or (T, H, W, C), which may be a memory map."""

    name: str
    fps: float | None
    array: np.ndarray

    def __post_init__(self) -> None:
        _require_frames(self.array.shape, self.name)

    @property
    def length(self) -> int:
        """Return the number of frames."""
        return len(self.array)

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames."""
        yield from self.array[chosen]

    def blocks(self, chosen: slice, picture: Picture, size: int) -> Iterator[np.ndarray]:
        """Yield views of the array (b, H, W, C), cropped."""
        frames = self.array[chosen]
        frames = picture.cut(frames if frames.ndim == 4 else frames[..., None])
        for first in range(0, len(frames), size):
            yield frames[first : first + size]


@dataclass(frozen=True, slots=True, eq=False)
class NpzReader:
    """Frames of the array ``frames`` of an .npz file (or of its only array), one by one."""

    name: str
    fps: float | None
    length: int
    path: Path
    member: str

    @classmethod
    def opened(cls, path: Path) -> NpzReader:
        """Return the reader of a file."""
        with _whole(path.name, ".npz"):
            with zipfile.ZipFile(path) as archive:
                stored = [name for name in archive.namelist() if name.endswith(".npy")]
            with np.load(path, allow_pickle=False) as arrays:
                fps = float(arrays["fps"].item()) if "fps.npy" in stored else None
        if fps is not None and not 0 < fps < math.inf:
            raise ValueError(f"the array 'fps' of {path.name} must be positive; it holds {fps}.")
        pictures = [name for name in stored if name != "fps.npy"]
        member = "frames.npy" if "frames.npy" in stored or len(pictures) != 1 else pictures[0]
        if member not in stored:
            names = ", ".join(name.removesuffix(".npy") for name in stored)
            raise ValueError(
                f"{path.name} must hold an array 'frames' (T, H, W) or (T, H, W, 3); it holds "
                f"{names or 'no array'}."
            )
        with _whole(path.name, ".npz"), zipfile.ZipFile(path) as archive, archive.open(member) as f:
            header = _header(f)
        shape, _ = _checked(*header, path.name)
        return cls(path.name, fps, shape[0], path, member)

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames."""
        with (
            _whole(self.name, ".npz"),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.member) as file,
        ):
            shape, dtype = _checked(*_header(file), self.name)
            size = int(np.prod(shape[1:])) * dtype.itemsize
            for number in itertools.islice(range(shape[0]), chosen.stop):
                data = file.read(size)
                if len(data) < size:
                    raise EOFError(f"it ends within frame {number}")
                if number >= chosen.start and (number - chosen.start) % chosen.step == 0:
                    yield np.frombuffer(data, dtype).reshape(shape[1:])


def open_npy(path: Path) -> np.ndarray:
    """Return the array of an .npy file as a memory map."""
    with _whole(path.name, ".npy"):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def _whole(name: str, kind: str) -> Iterator[None]:
    """Tell what goes wrong with a file, with its name."""
    try:
        yield
    except DAMAGE as error:
        raise ValueError(f"{name} is damaged or no {kind} file: {error}.") from None


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, order and dtype of an .npy stream and leave it at its first number."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    return read(file) if read else ((), False, np.dtype(object))


def _checked(
    shape: tuple[int, ...], fortran: bool, dtype: np.dtype, name: str
) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of what can be read frame by frame."""
    if fortran or dtype.hasobject:
        raise ValueError(
            f"the frames of {name} must be numbers in C order; found {dtype}"
            f"{' in Fortran order' if fortran else ''}. Save numpy.ascontiguousarray(frames)."
        )
    _require_frames(shape, name)
    return shape, dtype


def _require_frames(shape: tuple[int, ...], name: str) -> None:
    """Raise if a shape is none of a clip."""
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise ValueError(
            f"{name} must have shape (T, H, W), (T, H, W, 1) or (T, H, W, 3), time first; got "
            f"{shape}."
        )


class Spool:
    """Frames in a file without a name, for formats that want them all at the end."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.count = shape, 0
        self.file = tempfile.TemporaryFile(prefix="frames-")  # noqa: SIM115, closed by `close`
        self.close = self.file.close

    def write(self, frames: np.ndarray) -> None:
        """Append frames."""
        self.file.write(np.ascontiguousarray(frames).data)
        self.count += len(frames)

    def array(self) -> np.ndarray:
        """Return all frames (T, H, W, C), a memory map."""
        self.file.flush()
        return np.memmap(self.file, np.uint8, "r", shape=(self.count, *self.shape))


class ArraySink:
    """Writes .npz: the frames are spooled, because their number comes before them in the file."""

    def __init__(self, path: Path, shape: tuple[int, ...], fps: float) -> None:
        self.path, self.fps, self.spool = path, fps, Spool(shape)

    def write(self, frames: np.ndarray) -> None:
        """Append frames."""
        self.spool.write(frames)

    def finish(self) -> None:
        """Write the file, which numpy does in pieces."""
        np.savez(self.path, frames=self.spool.array(), fps=self.fps)

    def discard(self) -> None:
        """Close the spool, which deletes it."""
        self.spool.close()
