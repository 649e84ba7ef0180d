r"""What learning needs of the pixels: inner products of frames, and weighted sums of frames.

Both are sums over pixels, taken panel by panel in single precision::

    products[s, t] = (y_s - mean)' (y_t - mean)         one pass over the clip
    images         = sum_t (y_t - mean) weights[t]      one more pass

Before a product is taken the first frame is subtracted: differences of 8-bit frames are whole
numbers, most panels' sums are exact, and the mean comes off afterwards in double precision. Frames
of floats are multiplied in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from realization.internal import as_instance, register_record

from .video import FrameSource

__all__ = ["FrameProducts", "block_rows", "frame_products", "panels", "watched", "weighted_frames"]

PANEL = 1 << 20  # entries of a panel: 4 MB, which the processor keeps at hand
HELD = 96 << 20  # bytes of frames held at a time


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
    """Return how many frames of a clip are held at a time."""
    return max(16, HELD // (int(np.prod(source.shape)) * source.dtype.itemsize))


def watched(source: FrameSource, text: str, progress: bool) -> Iterator[np.ndarray]:
    """Yield blocks of frames (b, pixels), with a progress bar on request."""
    blocks = source.blocks(block_rows(source))
    if not progress:
        yield from (block.reshape(len(block), -1) for block in blocks)
        return
    from tqdm.auto import tqdm

    with tqdm(total=source.length, desc=text, unit="frame") as bar:
        for block in blocks:
            yield block.reshape(len(block), -1)
            bar.update(len(block))


def panels(
    frames: np.ndarray,
    reference: np.ndarray,
    *,
    height: int | None = None,
    dtype: type = np.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the frames minus a reference, a panel of pixels at a time, overwritten by the next one.

    `height` is that of the largest block, if frames come in several and the panels are to be the
    same.
    """
    pixels = frames.shape[1]
    width = max(PANEL // max(height or len(frames), 1), 256)
    work = np.empty((len(frames), min(width, pixels)), dtype=dtype)
    for first in range(0, pixels, width):
        part = slice(first, min(first + width, pixels))
        panel = work[:, : part.stop - first]
        np.subtract(frames[:, part], reference[part], out=panel, casting="same_kind")
        yield part, panel


def frame_products(
    source: FrameSource, *, progress: bool = False
) -> tuple[FrameProducts, np.ndarray]:
    """Return the products of all frames, and the mean frame (pixels,).

    Parameters
    ----------
    source : FrameSource
        The clip. One that fits into the frames held at a time (96 MB) is read once; of a longer
        one each held part is met by the rest in another reading.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    products : FrameProducts
        Centred, (T, T).
    mean : (pixels,) ndarray
        Mean frame, float32.
    """
    tiles: dict[tuple[int, int], np.ndarray] = {}
    reference = total = np.zeros(0)
    held = count = 0
    while held == 0 or held < count:
        kept = np.zeros((0, 0))
        for number, block in enumerate(watched(source, f"products {held + 1}", progress)):
            if number == 0 and held == 0:
                reference = block[0].astype(np.float32)
                total = np.zeros(block.shape[1])
            if number == held:
                kept = block
            if number >= held:
                tiles[held, number] = _products(kept, block, reference)
            if held == 0:
                count = number + 1
                for part, panel in panels(block, reference):
                    total[part] += np.ones(len(panel), dtype=np.float32) @ panel
        held += 1
    rows = [
        np.hstack([tiles[i, j] if i <= j else tiles[j, i].T for j in range(count)])
        for i in range(count)
    ]
    gram = np.vstack(rows)
    gram -= gram.mean(axis=0)
    gram -= gram.mean(axis=1, keepdims=True)
    mean = (reference + total / len(gram)).astype(np.float32)
    return FrameProducts((gram + gram.T) / 2, mean.size), mean


def _products(kept: np.ndarray, block: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the inner products of two blocks of frames minus the reference."""
    result = np.zeros((len(kept), len(block)))
    dtype = np.float64 if block.dtype.kind == "f" else np.float32
    if kept is block:
        for _, panel in panels(block, reference, dtype=dtype):
            result += panel @ panel.T  # half the work: BLAS knows that it is symmetric
        return result
    height = max(len(kept), len(block))
    lefts = panels(kept, reference, height=height, dtype=dtype)
    for (_, left), (_, right) in zip(
        lefts, panels(block, reference, height=height, dtype=dtype), strict=True
    ):
        result += left @ right.T
    return result


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
    single = weights.astype(np.float32)
    images = np.empty((mean.size, single.shape[1]), dtype=np.float32)
    first = 0
    for block in watched(source, "basis images", progress):
        columns = single[first : first + len(block)]
        for part, panel in panels(block, mean):
            if first == 0:
                np.matmul(panel.T, columns, out=images[part])
            else:
                images[part] += panel.T @ columns
        first += len(block)
    return images
