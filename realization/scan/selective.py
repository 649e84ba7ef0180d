r"""The selective scan: decays, inputs and outputs chosen anew at every step, as in a Mamba layer.

Each of d channels has s states. The kernels keep the state as (s, d), so that the innermost loop
runs over channels: no sum across a vector register, and the exponential is computed for a whole
register at once. It is a power of two, the rates being divided by ln 2 beforehand:

.. math:: 2^p = 2^j \bigl(1 + f \psi(f)\bigr), \qquad p = j + f,\; |f| \le \tfrac12,\;
    \psi(f) = (2^f - 1) / f,

with :math:`\psi` interpolated at Chebyshev points (degree 5 in single, 10 in double precision; the
relative error of the power is 1e-8 and 2e-17). Adding ``magic``, 1.5 times 2 to the number of
fraction bits, rounds p to the integer j and leaves j in the low bits of the sum; shifted into the
exponent field they are added to the bits of the polynomial, which multiplies it by :math:`2^j`.

The kernels allow fused multiply-adds, which round once instead of twice and take a few per cent
less time (``benchmarks/scans.py``); the order of operations is kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from .._validation import as_array
from ._batch import as_series, numeric, over_batch

__all__ = ["selective_scan"]


def selective_scan(
    delta: ArrayLike,
    a: ArrayLike,
    B: ArrayLike,
    C: ArrayLike,
    u: ArrayLike,
    x0: ArrayLike,
    *,
    parallel: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Run the recurrence of a selective state-space (Mamba) layer.

    .. math::

        h_{t,c,k} = e^{\Delta_{t,c} a_{c,k}} h_{t-1,c,k} + \Delta_{t,c} B_{t,k} u_{t,c}, \qquad
        y_{t,c} = \sum_k C_{t,k} h_{t,c,k}.

    Parameters
    ----------
    delta : (..., T, d) array_like
        Step sizes. Leading axes are batch.
    a : (d, s) array_like
        Rates; negative ones decay.
    B : (..., T, s) array_like
        Input coefficients.
    C : (..., T, s) array_like
        Output coefficients.
    u : (..., T, d) array_like
        Input, one for each channel.
    x0 : (..., d, s) array_like
        State before the first step.
    parallel : bool, default False
        Run the series of a batch in threads, one share for each core.

    Returns
    -------
    y : (..., T, d) ndarray
        Output after the update of each step.
    h : (..., d, s) ndarray
        State after the last step.

    Raises
    ------
    TypeError
        If an argument is not numeric or is complex.
    ValueError
        If shapes disagree or an entry is not finite.
    OverflowError
        If the state or the output overflows.

    See Also
    --------
    realization.diagonal_bilinear : When such a layer is a bilinear system, and when not.

    Notes
    -----
    Single precision when all arguments are float32, double precision otherwise. A decay
    :math:`e^{-x}` has a relative error of about (1 + x) units in the last place, x being rounded
    before the exponential; relative to the state that it multiplies that is one unit. A decay
    below the smallest normal number, :math:`2^{-126}` or :math:`2^{-1022}`, is zero or subnormal.

    Examples
    --------
    >>> import numpy as np
    >>> from realization.scan import selective_scan
    >>> delta, u, a = np.array([[0.1], [0.2]]), np.array([[1.0], [-1.0]]), np.array([[-1.0]])
    >>> one = np.ones((2, 1))
    >>> y, h = selective_scan(delta, a, one, one, u, np.zeros((1, 1)))
    >>> bool(np.allclose(y[:, 0], [0.1, 0.1 * np.exp(-0.2) - 0.2], rtol=1e-15))
    True
    """
    given = {"delta": delta, "a": a, "B": B, "C": C, "u": u, "x0": x0}
    arrays = {name: numeric(name, value, trailing=2) for name, value in given.items()}
    for name, array in arrays.items():
        if array.dtype.kind == "c":
            raise TypeError(f"`{name}` must be real; got dtype {array.dtype}.")
    T, d = arrays["delta"].shape[-2:]
    s = arrays["a"].shape[-1]
    wanted = {"delta": (T, d), "a": (d, s), "B": (T, s), "C": (T, s), "u": (T, d), "x0": (d, s)}
    for name, shape in wanted.items():
        found = arrays[name].shape
        if found[-2:] != shape or (name == "a" and len(found) > 2):
            axes = str(shape) if name == "a" else f"(..., {shape[0]}, {shape[1]})"
            raise ValueError(
                f"`{name}` must have shape {axes} to match `delta` {arrays['delta'].shape} and "
                f"`a` {arrays['a'].shape}; got {found}."
            )
    batch = np.broadcast_shapes(*(array.shape[:-2] for array in arrays.values()))
    single = all(array.dtype == np.float32 for array in arrays.values())
    dtype, kernel = (np.float32, single_steps) if single else (np.float64, double_steps)

    steps, gains, reads, inputs = (
        as_series(arrays[name], batch, dtype) for name in ("delta", "B", "C", "u")
    )
    rates = np.ascontiguousarray(np.divide(arrays["a"].T, np.log(2.0), dtype=float), dtype)
    h = np.array(as_series(arrays["x0"], batch, dtype).swapaxes(1, 2), order="C")
    y = np.empty_like(steps)

    def run(part: slice) -> None:
        drive = np.empty(d, dtype)
        kernel(steps[part], rates, gains[part], reads[part], inputs[part], h[part], y[part], drive)

    with np.errstate(over="ignore", invalid="ignore"):
        over_batch(run, len(y), parallel=parallel)
    if not (np.isfinite(h).all() and np.isfinite(y).all()):
        for name, array in arrays.items():
            as_array(name, array)
        raise OverflowError(
            "`h` overflows: the recursion is unstable for this input. Rates `a` must be negative "
            "and steps `delta` positive for states that decay."
        )
    return y.reshape(*batch, T, d), h.swapaxes(1, 2).reshape(*batch, d, s)


@njit(cache=True, nogil=True, fastmath={"contract"})
def single_power(p):
    """Return 2 ** p for a float32: zero or subnormal below -126, inf from 128 on."""
    low, high, magic = np.float32(-127.0), np.float32(128.0), np.float32(12582912.0)
    c0, c1, c2 = np.float32(0.6931472), np.float32(0.2402265), np.float32(0.05550357)
    c3, c4, c5 = np.float32(0.009618083), np.float32(0.0013390863), np.float32(0.00015453163)
    p = low if p < low else (high if p > high else p)
    moved = p + magic
    f = p - (moved - magic)
    curve = ((((c5 * f + c4) * f + c3) * f + c2) * f + c1) * f + c0
    fraction = curve * f + np.float32(1.0)
    shifted = np.float32(moved).view(np.int32) << np.int32(23)
    return np.int32(np.float32(fraction).view(np.int32) + shifted).view(np.float32)


@njit(cache=True, nogil=True, fastmath={"contract"})
def double_power(p):
    """Return 2 ** p for a float64: zero or subnormal below -1022, inf from 1024 on."""
    low, high, magic = -1023.0, 1024.0, 6755399441055744.0
    c0, c1, c2 = 0.6931471805599453, 0.24022650695910097, 0.0555041086648216
    c3, c4, c5 = 0.009618129107606888, 0.0013333558146416936, 0.0001540353044173605
    c6, c7, c8 = 1.525273382983612e-05, 1.321544258792169e-06, 1.0178062445845774e-07
    c9, c10 = 7.072585949269223e-09, 4.4549605981865186e-10
    p = low if p < low else (high if p > high else p)
    moved = p + magic
    f = p - (moved - magic)
    curve = (((((c10 * f + c9) * f + c8) * f + c7) * f + c6) * f + c5) * f + c4
    fraction = ((((curve * f + c3) * f + c2) * f + c1) * f + c0) * f + 1.0
    shifted = np.float64(moved).view(np.int64) << np.int64(52)
    return np.int64(np.float64(fraction).view(np.int64) + shifted).view(np.float64)


@njit(cache=True, nogil=True, fastmath={"contract"})
def single_steps(delta, a, B, C, u, h, y, drive):
    """Fill y (S, T, d) and update h (S, s, d) over float32 arrays.

    delta, u (S, T, d), a (s, d) divided by ln 2, B, C (S, T, s), scratch drive (d,).
    ``h = 2 ** (delta * a) * h + outer(B, delta * u); y = C @ h``.
    """
    for r in range(delta.shape[0]):
        for t in range(delta.shape[1]):
            for i in range(delta.shape[2]):
                drive[i] = delta[r, t, i] * u[r, t, i]
                y[r, t, i] = np.float32(0.0)
            for k in range(a.shape[0]):
                gain, read = B[r, t, k], C[r, t, k]
                for i in range(delta.shape[2]):
                    decay = single_power(delta[r, t, i] * a[k, i])
                    state = decay * h[r, k, i] + gain * drive[i]
                    h[r, k, i] = state
                    y[r, t, i] += read * state


@njit(cache=True, nogil=True, fastmath={"contract"})
def double_steps(delta, a, B, C, u, h, y, drive):
    """Do what `single_steps` does, over float64 arrays."""
    for r in range(delta.shape[0]):
        for t in range(delta.shape[1]):
            for i in range(delta.shape[2]):
                drive[i] = delta[r, t, i] * u[r, t, i]
                y[r, t, i] = 0.0
            for k in range(a.shape[0]):
                gain, read = B[r, t, k], C[r, t, k]
                for i in range(delta.shape[2]):
                    decay = double_power(delta[r, t, i] * a[k, i])
                    state = decay * h[r, k, i] + gain * drive[i]
                    h[r, k, i] = state
                    y[r, t, i] += read * state
