r"""What learning needs of the pixels: inner products of frames, and weighted sums of frames.

Both are sums over pixels, taken panel by panel in single precision::

    products[s, t] = (y_s - mean)' (y_t - mean)         one pass over the clip
    images         = sum_t (y_t - mean) weights[t]      one more pass

Before a product is taken the first frame is subtracted: differences of 8-bit frames are whole
numbers, most panels' sums are exact, and the mean comes off afterwards in double precision. Frames
of floats are multiplied in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from realization.internal import Progress, as_instance, register_record

from .video import FrameSource

__all__ = ["FrameProducts", "block_rows", "frame_products", "panels", "watched", "weighted_frames"]

PANEL = 1 << 20  # entries of a panel: 4 MB, which the processor keeps at hand
READ = 96 << 20  # bytes of frames read at a time


@register_record
@dataclass(frozen=True, slots=True, eq=False)
class FrameProducts:
    """Inner products of the frames of a clip, centred: the sufficient statistic of its motion.

    Those of disjoint parts of the picture add up, so strips may be reduced on different machines.

    Parameters
    ----------
    products : (T, T) ndarray
        Inner products of the frames minus their mean.
    n_pixels : int
        Number of pixels that they are sums over.
    """

    products: np.ndarray
    n_pixels: int

    def merge(self, other: FrameProducts) -> FrameProducts:
        """Return the products over both parts of the picture.

        Parameters
        ----------
        other : FrameProducts
            Of the same frames, over other pixels.

        Returns
        -------
        FrameProducts
            Their sum.

        Raises
        ------
        TypeError
            If `other` is another kind of object.
        ValueError
            If it has another number of frames.
        """
        as_instance("other", other, (FrameProducts,))
        if other.products.shape != self.products.shape:
            raise ValueError(
                f"`other` must be of the same {len(self.products)} frames; it has "
                f"{len(other.products)}."
            )
        return FrameProducts(self.products + other.products, self.n_pixels + other.n_pixels)


def block_rows(source: FrameSource) -> int:
    """Return how many frames of a clip are read at a time."""
    return max(16, READ // _frame_bytes(source))


def watched(source: FrameSource, text: str, progress: bool) -> Iterator[np.ndarray]:
    """Yield blocks of frames (b, pixels), with a progress bar on request."""
    with Progress(source.length, text, "frame", show=progress) as bar:
        for block in source.blocks(block_rows(source)):
            yield block.reshape(len(block), -1)
            bar.update(len(block))


def panels(
    blocks: Sequence[np.ndarray],
    reference: np.ndarray,
    *,
    height: int = 0,
    dtype: type = np.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the frames of blocks minus a reference, a panel of pixels at a time.

    A panel is overwritten by the next one. `height` is a number of frames that the width of the
    panels must suit as well, for panels of several sets of frames to be the same.
    """
    rows, pixels = sum(map(len, blocks)), reference.size
    width = max(PANEL // max(rows, height), 256)
    work = np.empty((rows, min(width, pixels)), dtype=dtype)
    for first in range(0, pixels, width):
        part = slice(first, min(first + width, pixels))
        panel = work[:, : part.stop - first]
        row = 0
        for block in blocks:
            target = panel[row : row + len(block)]
            np.subtract(block[:, part], reference[part], out=target, casting="same_kind")
            row += len(block)
        yield part, panel


def frame_products(
    source: FrameSource, images: int, *, progress: bool = False
) -> tuple[FrameProducts, np.ndarray]:
    """Return the products of all frames, and the mean frame (pixels,).

    Parameters
    ----------
    source : FrameSource
        The clip. What is held of it takes no more memory than the basis images will, and 96 MB;
        a longer clip is read again for each part that is held, to meet the frames behind it.
    images : int
        Number of basis images to come.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    products : FrameProducts
        Centred, (T, T).
    mean : (pixels,) ndarray
        Mean frame, float32.
    """
    if source.strips is not None:
        return source.strips.products(images)
    most = max(block_rows(source), (READ + 4 * images * _pixels(source)) // _frame_bytes(source))
    tiles: list[tuple[int, int, np.ndarray]] = []
    reference = total = np.zeros(0)
    first = count = 0
    while first == 0 or first < count:
        kept: list[np.ndarray] = []
        position, end = 0, first
        for block in watched(source, "products", progress):
            if position == 0 and first == 0:
                reference = block[0].astype(np.float32)
                total = np.zeros(reference.size)
            if position == end and (end + len(block) - first <= most or not kept):
                kept.append(block)
                end += len(block)
            elif position >= end:
                sums = total if first == 0 else None
                tiles.append((first, position, _products(kept, [block], reference, sums)))
            position += len(block)
        sums = total if first == 0 else None
        tiles.append((first, first, _products(kept, kept, reference, sums)))
        first, count = end, position
    gram = np.zeros((count, count))
    for row, column, tile in tiles:
        rows, columns = slice(row, row + len(tile)), slice(column, column + tile.shape[1])
        gram[rows, columns], gram[columns, rows] = tile, tile.T
    gram -= gram.mean(axis=0)
    gram -= gram.mean(axis=1, keepdims=True)
    mean = (reference + total / count).astype(np.float32)
    return FrameProducts((gram + gram.T) / 2, mean.size), mean


def _products(
    kept: list[np.ndarray],
    others: list[np.ndarray],
    reference: np.ndarray,
    total: np.ndarray | None,
) -> np.ndarray:
    """Return the inner products of two sets of frames minus the reference.

    The sum of the others is added to `total`, if it is given.
    """
    dtype = np.float64 if kept[0].dtype.kind == "f" else np.float32
    height, b = sum(map(len, kept)), sum(map(len, others))
    result = np.zeros((height, b))
    lefts = panels(kept, reference, height=b, dtype=dtype)
    rights = lefts if others is kept else panels(others, reference, height=height, dtype=dtype)
    for part, right in rights:
        left = right if others is kept else next(lefts)[1]
        result += left @ right.T  # half the work where both are one: BLAS sees the symmetry
        if total is not None:
            total[part] += np.ones(b, dtype=dtype) @ right
    return result


def _pixels(source: FrameSource) -> int:
    """Return the number of grey levels in a frame."""
    return int(np.prod(source.shape))


def _frame_bytes(source: FrameSource) -> int:
    """Return the size of a frame."""
    return _pixels(source) * source.dtype.itemsize


def weighted_frames(
    source: FrameSource, mean: np.ndarray, weights: np.ndarray, *, progress: bool = False
) -> np.ndarray:
    """Return the sums of the centred frames by columns of weights, one more pass.

    Parameters
    ----------
    source : FrameSource
        The clip, T frames.
    mean : (pixels,) ndarray
        Mean frame.
    weights : (T, n) ndarray
        One column for each sum.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    (pixels, n) ndarray
        float32.
    """
    if source.strips is not None:
        return source.strips.weighted(mean, weights)
    single = weights.astype(np.float32)
    images = np.empty((mean.size, single.shape[1]), dtype=np.float32)
    first = 0
    for block in watched(source, "basis images", progress):
        columns = single[first : first + len(block)]
        for part, panel in panels([block], mean):
            if first == 0:
                np.matmul(panel.T, columns, out=images[part])
            else:
                images[part] += panel.T @ columns
        first += len(block)
    return images
