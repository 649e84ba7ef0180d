"""Basis images made orthonormal in place, in single precision."""

from __future__ import annotations

import numpy as np
import scipy

__all__ = ["column_products", "orthonormal", "row_parts"]


def orthonormal(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormalise independent columns in place: return Q and R with Q R = `images`.

    Parameters
    ----------
    images : (pixels, n) ndarray
        Columns, float32; overwritten by Q. Their condition number may be up to 1e6.

    Returns
    -------
    Q : (pixels, n) ndarray
        Orthonormal columns.
    R : (n, n) ndarray
        Upper triangular.

    Notes
    -----
    Cholesky QR with the products in double precision, until Q is orthonormal to 1e-5:
    one step for columns that nearly are.
    """
    n = images.shape[1]
    R = np.eye(n)
    for _ in range(3):
        gram = column_products(images)
        if np.abs(gram - np.eye(n)).max(initial=0.0) < 1e-5:
            break
        factor = scipy.linalg.cholesky(gram)
        inverse = scipy.linalg.solve_triangular(factor, np.eye(n)).astype(np.float32)
        for part in row_parts(images):
            images[part] = images[part] @ inverse
        R = factor @ R
    return images, R


def column_products(images: np.ndarray) -> np.ndarray:
    """Return the inner products (n, n) of columns (pixels, n), in double precision."""
    gram = np.zeros((images.shape[1], images.shape[1]))
    for part in row_parts(images):
        panel = images[part].astype(float)
        gram += panel.T @ panel
    return gram


def row_parts(images: np.ndarray) -> list[slice]:
    """Return the slices of rows that are worked on at a time."""
    return [slice(first, first + (1 << 14)) for first in range(0, len(images), 1 << 14)]
