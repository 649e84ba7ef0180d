"""Clips in Dask arrays: strips of the picture are reduced where they are, and only sums travel.

A strip is a part of the picture at all times, a chunk of the array. Its products of frames and its
rows of the basis images need no other strip.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .frame_products import READ, FrameProducts, frame_products, weighted_frames
from .picture import Picture
from .video import read_video

__all__ = ["DaskReader", "Strips"]


@dataclass(frozen=True, slots=True, eq=False)
class DaskReader:
    """Frames of a Dask array (T, H, W) or (T, H, W, C), computed some at a time."""

    name: str
    fps: float | None
    array: Any

    @classmethod
    def opened(cls, array: Any) -> DaskReader:
        """Return the reader of an array."""
        if array.ndim not in (3, 4) or np.isnan(array.shape).any():
            raise ValueError(
                "`video` must have shape (T, H, W), (T, H, W, 1) or (T, H, W, 3), time first; got "
                f"{array.shape}. Unknown sizes: use video.compute_chunk_sizes()."
            )
        return cls("`video`", None, array if array.ndim == 4 else array[..., None])

    @property
    def length(self) -> int:
        """Return the number of frames."""
        return len(self.array)

    def frames(self, chosen: slice) -> Iterator[np.ndarray]:
        """Yield the chosen frames."""
        array = self.array[chosen]
        most = max(READ // max(array[:1].nbytes, 1), 1)
        first = 0
        for count in array.chunks[0]:
            for start in range(first, first + count, most):
                yield from array[start : min(start + most, first + count)].compute()
            first += count

    def strips(self, chosen: slice, picture: Picture) -> Strips | None:
        """Return the strips of the prepared frames; None if they must be resized."""
        if picture.size is not None:
            return None
        array: Any = picture.cut(self.array[chosen])
        if array.numblocks[0] > 1 or array.numblocks[3] > 1:
            array = array.rechunk({0: -1, 1: "auto", 2: -1, 3: -1})
        return Strips(array, picture.grey)


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """A Dask array (T, H, W, C) in chunks (T, h, w, C).

    Parameters
    ----------
    array : dask.array.Array
        The frames.
    grey : bool
        Whether they are to be turned to grey.
    """

    array: Any
    grey: bool

    def products(self, images: int) -> tuple[FrameProducts, np.ndarray]:
        """Return what ``frame_products`` does.

        Parameters
        ----------
        images : int
            Number of basis images to come.

        Returns
        -------
        products : FrameProducts
            Centred, (T, T).
        mean : (pixels,) ndarray
            Mean frame, float32.
        """
        from dask.base import compute
        from dask.delayed import delayed

        from ..distributed import joined_in_tree

        reduce = delayed(_strip_products, nout=2)
        found = [reduce(strip, self.grey, images) for strip in self._strips().ravel()]
        total = joined_in_tree(delayed(_merged), [products for products, _ in found])
        products, *means = compute(total, *(mean for _, mean in found))
        return products, self._picture(means).ravel()

    def weighted(self, mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return what ``weighted_frames`` does.

        Parameters
        ----------
        mean : (pixels,) ndarray
            Mean frame.
        weights : (T, n) ndarray
            One column for each sum.

        Returns
        -------
        (pixels, n) ndarray
            float32.
        """
        from dask.base import compute
        from dask.delayed import delayed

        picture = mean.reshape(*self.array.shape[1:3], -1)
        heights, widths = (np.cumsum([0, *sizes]) for sizes in self.array.chunks[1:3])
        shared, sums = delayed(weights), []
        for (_, i, j, _), strip in np.ndenumerate(self._strips()):
            part = picture[heights[i] : heights[i + 1], widths[j] : widths[j + 1]]
            sums.append(delayed(_strip_sums)(strip, self.grey, part, shared))
        return self._picture(compute(*sums)).reshape(mean.size, -1)

    def _strips(self) -> np.ndarray:
        """Return the delayed chunks (1, a, b, 1)."""
        return self.array.to_delayed()

    def _picture(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return parts (h, w, ...) of the picture, one for each strip, put together."""
        _, rows, columns, _ = self.array.numblocks
        lines = [parts[columns * k : columns * (k + 1)] for k in range(rows)]
        return np.concatenate([np.concatenate(line, axis=1) for line in lines])


def _strip_products(strip: np.ndarray, grey: bool, images: int) -> tuple[FrameProducts, np.ndarray]:
    """Return the products of the frames of a strip, and its mean (h, w, C)."""
    source = read_video(strip, grey=grey)
    products, mean = frame_products(source, images)
    return products, mean.reshape(source.shape)


def _strip_sums(strip: np.ndarray, grey: bool, mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted sums (h, w, C, n) of the frames of a strip."""
    sums = weighted_frames(read_video(strip, grey=grey), mean.ravel(), weights)
    return sums.reshape(*mean.shape, -1)


def _merged(parts: Sequence[FrameProducts]) -> FrameProducts:
    """Return the products over all parts of the picture."""
    return functools.reduce(FrameProducts.merge, parts)
