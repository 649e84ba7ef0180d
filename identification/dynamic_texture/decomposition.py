r"""A clip as mean + basis images x coordinates, by way of the products of its frames.

With the singular value decomposition of the centred clip, Y = U S V', the coordinates of frame t
are row t of V S; U and S V' are the basis and the path that lose least in k columns, for every k.

    T frames, few:      Y'Y = V S^2 V' (T x T), U = Y V / S               exact
    T frames, many:     the same of Q'Y, with Q from a random sketch      ``sketching``
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .frame_products import frame_products, weighted_frames
from .orthonormalization import orthonormal
from .sketching import sketched
from .video import FrameSource

__all__ = ["Decomposition", "decompose"]

MANY = 1500  # frames from which on a sketch is taken, if it is much narrower
RATIO = 20  # frames per basis image from which on a sketch is cheaper than all products
NEGLIGIBLE = 2e-7  # share of the largest squared singular value that single precision gives


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """The frames of a clip in orthonormal coordinates, and how to get the basis images.

    Parameters
    ----------
    mean : (pixels,) ndarray
        Mean frame, float32.
    z : (T, r) ndarray
        Coordinates of the centred frames, principal components first.
    power : (T,) ndarray
        Squared norms of the centred frames.
    lag : (T - 1,) ndarray
        Inner products of neighbouring centred frames.
    images : callable
        Returns the first k basis images (pixels, k) and the coordinates (T, k) in them.
    """

    mean: np.ndarray
    z: np.ndarray
    power: np.ndarray
    lag: np.ndarray
    images: Callable[[int], tuple[np.ndarray, np.ndarray]]

    @property
    def singular_values(self) -> np.ndarray:
        """Singular values (r,) of the centred clip."""
        return np.linalg.norm(self.z, axis=0)


def decompose(source: FrameSource, limit: int, *, progress: bool = False) -> Decomposition:
    """Return the decomposition of a clip.

    Parameters
    ----------
    source : FrameSource
        The clip.
    limit : int
        Basis images that will be wanted at most; decides whether a sketch is taken,
        and how much memory the frames may take.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Decomposition
        All principal components of a short clip, the `limit` leading ones of a long one and some
        more that are less accurate.
    """
    if source.length is not None and source.length > max(MANY, RATIO * limit):
        return Decomposition(*sketched(source, limit, progress=progress))
    products, mean = frame_products(source, limit, progress=progress)
    gram = products.products
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > NEGLIGIBLE * max(values[0], 0.0)
    s, V = np.sqrt(values[kept]), vectors[:, kept]

    def images(order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return basis images and coordinates."""
        sums = weighted_frames(source, mean, V[:, :order] / s[:order], progress=progress)
        basis, factor = orthonormal(sums)
        return basis, V[:, :order] * s[:order] @ factor.T

    return Decomposition(mean, V * s, np.diag(gram).copy(), np.diag(gram, 1).copy(), images)
