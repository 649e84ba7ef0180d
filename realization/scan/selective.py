r"""The selective scan: decays, inputs and outputs chosen anew at every step, as in a Mamba layer.

Each of d channels has s states. The kernels keep the state as (s, d), so that the innermost loop
runs over channels: no sum across a vector register, and the exponential is computed for a whole
register at once. It is a polynomial: with :math:`x = j \ln 2 + r, |r| \le \tfrac12 \ln 2`,

.. math:: e^x = 2^j \bigl(1 + r + r^2 \varphi(r)\bigr), \qquad \varphi(r) = (e^r - 1 - r) / r^2,

where :math:`\varphi` is interpolated at Chebyshev points (degree 4 in single, 9 in double
precision), :math:`j \ln 2` is subtracted in two parts, and :math:`j` is read from the low bits of
``x log2(e) + magic`` to become the exponent of :math:`2^j`.
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
    Single precision when all arguments are float32, double precision otherwise. The exponential is
    accurate to about 1 unit in the last place; the product of `delta` and `a` is rounded before
    it, which costs as many units as that product is large. A decay below e^-87 (single) or e^-708
    (double) is zero.

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
    rates = np.ascontiguousarray(arrays["a"].T, dtype)
    h = np.array(as_series(arrays["x0"], batch, dtype).swapaxes(1, 2), order="C")
    y = np.zeros_like(steps)

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


@njit(cache=True, nogil=True)
def single_steps(delta, a, B, C, u, h, y, drive):
    """Fill y (S, T, d), zero on entry, and update h (S, s, d) over float32 arrays.

    delta, u (S, T, d), a (s, d), B, C (S, T, s), scratch drive (d,).
    ``h = exp(delta * a) * h + outer(B, delta * u); y = C @ h``.
    """
    log2e, magic = np.float32(1.442695), np.float32(12582912.0)  # magic = 1.5 * 2^23
    head, tail = np.float32(0.69314575), np.float32(1.4286068e-06)  # ln 2, in two parts
    low, high = np.float32(-87.0), np.float32(88.37)
    zero, one, infinity = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    c0, c1, c2 = np.float32(0.5), np.float32(0.16666578), np.float32(0.041666556)
    c3, c4 = np.float32(0.008363173), np.float32(0.0013926176)
    bias, shift = np.int32(127 - 0x4B400000), np.int32(23)
    for r in range(delta.shape[0]):
        for t in range(delta.shape[1]):
            for i in range(delta.shape[2]):
                drive[i] = delta[r, t, i] * u[r, t, i]
            for k in range(a.shape[0]):
                gain, read = B[r, t, k], C[r, t, k]
                for i in range(delta.shape[2]):
                    full = delta[r, t, i] * a[k, i]
                    power = low if full < low else (high if full > high else full)
                    moved = power * log2e + magic
                    whole = moved - magic
                    e = (power - whole * head) - whole * tail
                    curve = (((c4 * e + c3) * e + c2) * e + c1) * e + c0
                    scale = (np.float32(moved).view(np.int32) + bias) << shift
                    decay = ((curve * e) * e + e + one) * np.int32(scale).view(np.float32)
                    decay = zero if full < low else (infinity if full > high else decay)
                    state = decay * h[r, k, i] + gain * drive[i]
                    h[r, k, i] = state
                    y[r, t, i] += read * state


@njit(cache=True, nogil=True)
def double_steps(delta, a, B, C, u, h, y, drive):
    """Do what `single_steps` does, over float64 arrays."""
    log2e, magic = 1.4426950408889634, 6755399441055744.0  # magic = 1.5 * 2^52
    head, tail = 0.6931471803691238, 1.9082149292705877e-10  # ln 2, in two parts
    low, high = -708.0, 709.43
    c0, c1, c2 = 0.5000000000000001, 0.16666666666666669, 0.041666666666624164
    c3, c4, c5 = 0.008333333333330065, 0.0013888888917196719, 0.00019841269863040545
    c6, c7, c8 = 2.4801521322368692e-05, 2.7557268480310024e-06, 2.7620075879983367e-07
    c9 = 2.5100375832561234e-08
    bias, shift = np.int64(1023 - 0x4338000000000000), np.int64(52)
    for r in range(delta.shape[0]):
        for t in range(delta.shape[1]):
            for i in range(delta.shape[2]):
                drive[i] = delta[r, t, i] * u[r, t, i]
            for k in range(a.shape[0]):
                gain, read = B[r, t, k], C[r, t, k]
                for i in range(delta.shape[2]):
                    full = delta[r, t, i] * a[k, i]
                    power = low if full < low else (high if full > high else full)
                    moved = power * log2e + magic
                    whole = moved - magic
                    e = (power - whole * head) - whole * tail
                    curve = ((((c9 * e + c8) * e + c7) * e + c6) * e + c5) * e + c4
                    curve = (((curve * e + c3) * e + c2) * e + c1) * e + c0
                    scale = (np.float64(moved).view(np.int64) + bias) << shift
                    decay = ((curve * e) * e + e + 1.0) * np.int64(scale).view(np.float64)
                    decay = 0.0 if full < low else (np.inf if full > high else decay)
                    state = decay * h[r, k, i] + gain * drive[i]
                    h[r, k, i] = state
                    y[r, t, i] += read * state
