"""Values and coefficients of a transfer function, many at a time."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._validation import as_array

__all__ = ["frequency_points", "impulse_coefficients", "transfer_values"]

# Elements of one slice of the back substitution: 1 MiB of complex numbers stays in cache.
_SLICE = 2**16


def frequency_points(omega: ArrayLike, dt: float) -> np.ndarray:
    """Return exp(i omega dt), or i omega for dt = 0, for real finite frequencies."""
    frequencies = as_array("omega", omega)
    if np.iscomplexobj(frequencies):
        raise TypeError("`omega` must be real angular frequencies; got complex numbers.")
    return 1j * frequencies if dt == 0.0 else np.exp(1j * dt * frequencies)


def transfer_values(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Return D + C (zI - A)^-1 B at each complex z of points (L,), as an array (L, p, m)."""
    n, m, p = A.shape[0], B.shape[1], C.shape[0]
    if p < m:
        return np.swapaxes(transfer_values(A.T, C.T, B.T, D.T, points), 1, 2)
    values = np.empty((points.size, p, m), dtype=complex)
    values[:] = D
    if n == 0 or m == 0 or points.size == 0:
        return values
    T, Z = scipy.linalg.schur(A, output="complex")
    eigenvalues = np.diag(T)
    right, left = Z.conj().T @ B, C @ Z
    length = max(1, _SLICE // (n * m))
    for start in range(0, points.size, length):
        z = points[start : start + length]
        gaps = z - eigenvalues[:, np.newaxis]
        if (hit := (gaps == 0).any(axis=0)).any():
            raise ValueError(
                f"The response is infinite at z = {complex(z[hit][0]):.6g}: the model has a pole "
                "exactly there. Leave that frequency out of `omega`."
            )
        X = np.empty((n, z.size * m), dtype=complex)
        for i in range(n - 1, -1, -1):
            rest = (T[i, i + 1 :] @ X[i + 1 :]).reshape(z.size, m)
            X[i] = ((right[i] + rest) / gaps[i, :, np.newaxis]).ravel()
        response = (left @ X).reshape(p, z.size, m)
        values[start : start + length] += np.moveaxis(response, 0, 1)
    return values


def impulse_coefficients(C: np.ndarray, A: np.ndarray, B: np.ndarray, count: int) -> np.ndarray:
    """Return C A^k B for k = 0..count-1 as (count, p, m); may overflow to inf or NaN.

    With a step s near the root of count, k = i + s j: the rows C A^i times the columns A^(s j) B
    in one matrix product.
    """
    p, m = C.shape[0], B.shape[1]
    if count == 0 or m == 0 or A.shape[0] == 0:
        return np.zeros((count, p, m))
    step = 1 << ((count - 1).bit_length() // 2)
    with np.errstate(over="ignore", invalid="ignore"):
        rows, leap = _power_blocks(C, A, step)
        columns, _ = _power_blocks(B.T, leap.T, -(-count // step))
        product = rows.reshape(step * p, -1) @ columns.reshape(-1, A.shape[0]).T
    return (
        product.reshape(step, p, -1, m)
        .transpose(2, 0, 1, 3)
        .reshape(columns.shape[0] * step, p, m)[:count]
    )


def _power_blocks(X: np.ndarray, A: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return X A^k for k = 0..count-1 as (count, r, n), and A^count if count is a power of 2."""
    rows, n = X.shape
    blocks = np.empty((count, rows, n), dtype=np.result_type(X, A))
    blocks[0] = X
    power, done = A, 1
    while done < count:
        take = min(done, count - done)
        blocks[done : done + take] = (blocks[:take].reshape(-1, n) @ power).reshape(take, rows, n)
        power, done = power @ power, 2 * done
    return blocks, power
