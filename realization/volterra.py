r"""Volterra kernels of bilinear models: from the model, from pulse experiments, from recorded data.

Started at rest, the output of a discrete-time bilinear model is a polynomial in the past inputs in
which every instant enters at most once:

.. math::

    y_T = D u_T + \sum_k \sum_{\tau_1 > \dots > \tau_k \ge 1} \sum_{i_1 \dots i_k}
    C A^{\tau_k - 1} N_{i_k} A^{\tau_{k-1} - \tau_k - 1} \cdots N_{i_2} A^{\tau_1 - \tau_2 - 1}
    B_{i_1}\; u_{T-\tau_1, i_1} \cdots u_{T-\tau_k, i_k}.

The coefficients are the kernels. Because no input is squared, finitely many pulse experiments give
them exactly, and they are the correlations of the output with products of white inputs.

Glossary: ``degree`` k, ``lags`` the largest delay; a kernel has shape ``(lags,) * k + (p,) +
(m,) * k``, index 0 for delay 1, and is zero unless the delays decrease.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ._validation import (
    as_array,
    as_choice,
    as_instance,
    as_integer,
    as_items,
    as_real,
    as_signal,
    require_discrete,
    require_memory,
)
from ._words import counted
from .bilinear import BilinearSSM

__all__ = [
    "kernel_coefficients",
    "volterra_from_data",
    "volterra_from_pulses",
    "volterra_kernel",
]

Pulses = tuple[tuple[int, int], ...]  # (time, input), times increasing

MOST_AXES = 64  # of a numpy array


def volterra_kernel(model: BilinearSSM, degree: int, lags: int) -> np.ndarray:
    r"""Return a Volterra kernel of a bilinear model.

    .. math::

        h_k(\tau_1, \dots, \tau_k) = C A^{\tau_k - 1} N_{i_k} A^{\tau_{k-1} - \tau_k - 1} \cdots
        N_{i_2} A^{\tau_1 - \tau_2 - 1} B_{i_1}, \qquad \tau_1 > \dots > \tau_k \ge 1.

    Parameters
    ----------
    model : BilinearSSM
        A discrete-time model.
    degree : int
        Number k of inputs that are multiplied, at least 1; 1 gives the impulse response.
    lags : int
        Largest delay.

    Returns
    -------
    ndarray
        Shape ``(lags,) * degree + (p,) + (m,) * degree``; entry ``[t1 - 1, ..., tk - 1, :, i1, ...,
        ik]`` multiplies ``u[T - t1, i1] * ... * u[T - tk, ik]``. Zero unless t1 > t2 > ... > tk.

    Raises
    ------
    TypeError
        If `model` is not a BilinearSSM, or `degree` or `lags` is not an integer.
    ValueError
        If `degree` is below 1, `lags` is negative, the model is in continuous time, or its kernel
        overflows.

    See Also
    --------
    volterra_from_pulses : The same numbers measured on a system.
    volterra_from_data : The same numbers estimated from a record.
    word_coefficients : The same numbers indexed by words.

    Notes
    -----
    The system starts at rest; the initial state and the feedthrough D do not enter. The array has
    ``lags ** degree`` entries for each output and each combination of inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, volterra_kernel
    >>> model = BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
    >>> kernel = volterra_kernel(model, 2, 3)
    >>> bool(np.isclose(kernel[2, 0, 0, 0, 0], 2.0 * 0.2 * 0.5))
    True
    """
    as_instance("model", model, (BilinearSSM,))
    require_discrete(model, "volterra_kernel")
    degree = as_integer("degree", degree, minimum=1)
    lags = as_integer("lags", lags)
    (n, m), p = model.B.shape, model.n_outputs
    _require_axes(degree, lags, p, m)
    powers = np.empty((lags, n, n), model.A.dtype)
    power = np.eye(n)
    delays = _decreasing_delays(lags, degree)
    gaps = np.concatenate([delays[:, :-1] - delays[:, 1:] - 1, delays[:, -1:] - 1], axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        for a in range(lags):
            powers[a] = power
            power = model.A @ power
        # E[a_1, ..., a_k, :, (i_1 ... i_k)] = A^{a_k} N_{i_k} ... N_{i_2} A^{a_1} B_{i_1}
        E = powers @ model.B
        for k in range(1, degree):
            E = np.einsum("jab,...bi->...aij", model.N, E)
            E = np.einsum("gab,...bi->...gai", powers, E.reshape((lags,) * k + (n, m ** (k + 1))))
        values = model.C @ E[tuple(gaps.T)]
    if not np.isfinite(values).all():
        raise ValueError(
            "`lags` is too large for this unstable model: its kernel overflows. Ask for fewer."
        )
    kernel = np.zeros((lags,) * degree + (p, m**degree), values.dtype)
    kernel[tuple(delays.T - 1)] = values
    return kernel.reshape(kernel.shape[:-1] + (m,) * degree)


def volterra_from_pulses(
    respond: Callable[[np.ndarray], ArrayLike],
    degree: int,
    lags: int,
    *,
    n_inputs: int,
    amplitude: float = 1.0,
) -> np.ndarray:
    r"""Measure a Volterra kernel by pulse experiments.

    The coefficient of :math:`u_{t_1, i_1} \cdots u_{t_k, i_k}` is the alternating sum of the
    responses to all subsets S of these k pulses (Möbius inversion),

    .. math:: \sum_{S} (-1)^{k - |S|}\, y_T(S).

    Parameters
    ----------
    respond : callable
        Runs one experiment: takes u of shape (lags + 1, m), applied to the system at rest, and
        returns y of shape (lags + 1, p).
    degree : int
        Number of inputs that are multiplied, at least 1.
    lags : int
        Largest delay.
    n_inputs : int
        Number m of inputs.
    amplitude : float, default 1.0
        Height of the pulses, positive.

    Returns
    -------
    ndarray
        Shape ``(lags,) * degree + (p,) + (m,) * degree``, as `volterra_kernel`.

    Raises
    ------
    TypeError
        If `degree`, `lags` or `n_inputs` is not an integer.
    ValueError
        If one of them is too small, `amplitude` is not positive, or `respond` returns another shape
        or values that are not finite.

    See Also
    --------
    volterra_kernel : The same numbers computed from a model.

    Notes
    -----
    Exact for a bilinear system at rest, whatever the amplitude. Experiments that differ by a shift
    in time are run once: about ``lags ** (degree - 1) * m ** degree / (degree - 1)!`` runs. Noise
    of variance s^2 in y becomes ``2 ** degree * s ** 2 / amplitude ** (2 * degree)`` in the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, simulate, volterra_from_pulses, volterra_kernel
    >>> model = BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
    >>> measured = volterra_from_pulses(lambda u: simulate(model, u).y, 2, 4, n_inputs=1)
    >>> bool(np.allclose(measured, volterra_kernel(model, 2, 4), atol=1e-14))
    True
    """
    degree = as_integer("degree", degree, minimum=1)
    lags = as_integer("lags", lags, minimum=1)
    m = as_integer("n_inputs", n_inputs, minimum=1)
    amplitude = as_real("amplitude", amplitude, above=0.0)
    _require_axes(degree, lags, 1, m)
    if not callable(respond):
        raise TypeError(f"`respond` must be a function of an input; got {type(respond).__name__}.")
    known: dict[Pulses, np.ndarray] = {}

    def response(pulses: Pulses) -> np.ndarray:
        """Return the response (lags + 1, p) to pulses of which the first is at time 0."""
        if pulses not in known:
            u = np.zeros((lags + 1, m))
            for time, channel in pulses:
                u[time, channel] = amplitude
            y = as_array("respond(u)", respond(u))
            if y.ndim != 2 or len(y) != lags + 1:
                raise ValueError(
                    f"`respond` must return an array of shape ({lags + 1}, p); got {y.shape}."
                )
            known[pulses] = y
        return known[pulses]

    p = response(()).shape[1]
    kernel = np.zeros((lags,) * degree + (p,) + (m,) * degree)
    inputs = list(itertools.product(range(m), repeat=degree))
    for later in itertools.combinations(range(1, lags), degree - 1):
        times = (0, *later)
        for channels in inputs:
            pulses = tuple(zip(times, channels, strict=True))
            total = (-1.0) ** degree * response(())
            for size in range(1, degree + 1):
                for chosen in itertools.combinations(pulses, size):
                    start = chosen[0][0]
                    shifted = tuple((time - start, channel) for time, channel in chosen)
                    total[start:] += (-1) ** (degree - size) * response(shifted)[: lags + 1 - start]
                    total[:start] += (-1) ** (degree - size) * response(())[:start]
            for T in range(times[-1] + 1, lags + 1):
                where = tuple(T - time - 1 for time in times)
                kernel[(*where, slice(None), *channels)] = total[T]
    return kernel / amplitude**degree


def volterra_from_data(
    y: ArrayLike,
    u: ArrayLike,
    degree: int,
    lags: int,
    *,
    method: Literal["least_squares", "correlation"] = "least_squares",
) -> np.ndarray:
    r"""Estimate a Volterra kernel from recorded inputs and outputs.

    Parameters
    ----------
    y : (..., T, p) array_like
        Outputs. Leading axes are further records.
    u : (..., T, m) array_like
        Inputs.
    degree : int
        Number of inputs that are multiplied, at least 1.
    lags : int
        Largest delay; at least `degree`.
    method : {"least_squares", "correlation"}
        `"least_squares"` fits all kernels up to `degree` together, with D and a constant.
        `"correlation"` (Lee and Schetzen) averages :math:`y_T u_{T-\tau_1} \cdots u_{T-\tau_k}` and
        divides by the input variances: for white inputs with zero mean only.

    Returns
    -------
    ndarray
        Shape ``(lags,) * degree + (p,) + (m,) * degree``, as `volterra_kernel`.

    Raises
    ------
    TypeError
        If `degree` or `lags` is not an integer.
    ValueError
        If shapes disagree, `method` is another word, the records are shorter than ``lags + 1``, an
        input is constant zero, or (least squares) the inputs do not determine the kernels.

    See Also
    --------
    volterra_from_pulses : Exact, when the experiment can be chosen.

    Notes
    -----
    The correlation is exact in expectation, whatever is in y besides that is independent of u:
    averaged over all :math:`\pm 1` input sequences it equals the kernel. From N samples its error
    is about the standard deviation of y divided by :math:`\sqrt N`, because the rest of the output
    acts as noise; least squares removes that part and is exact when nothing is left over.

    References
    ----------
    Y. W. Lee and M. Schetzen, "Measurement of the Wiener kernels of a non-linear system by
    cross-correlation", International Journal of Control 2(3), 1965.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, simulate, volterra_from_data, volterra_kernel
    >>> model = BilinearSSM([[0.0]], [[[0.3]]], [[1.0]], [[2.0]])
    >>> u = np.random.default_rng(0).choice([-1.0, 1.0], size=(400, 1))
    >>> found = volterra_from_data(simulate(model, u).y, u, 2, 3)
    >>> bool(np.allclose(found, volterra_kernel(model, 2, 3), atol=0.1))
    True
    """
    degree = as_integer("degree", degree, minimum=1)
    lags = as_integer("lags", lags, minimum=degree)
    as_choice("method", method, ("least_squares", "correlation"))
    y, u = as_signal("y", y, None), as_signal("u", u, None)
    if y.shape[:-1] != u.shape[:-1]:
        raise ValueError(
            f"`u` must have as many records and samples as `y`, {y.shape[:-1]}; got {u.shape[:-1]}."
        )
    T, m, p = u.shape[-2], u.shape[-1], y.shape[-1]
    _require_axes(degree, lags, p, m)
    if lags >= T:
        raise ValueError(f"`y` must have more than `lags` = {counted(lags, 'sample')}; got {T}.")
    if not (m and p):
        raise ValueError(
            f"`y` and `u` must have at least one channel each; got {p} and {m}: nothing to relate."
        )
    for name, signal in (("y", y), ("u", u)):
        if not np.isfinite(np.vdot(signal, signal)):
            raise ValueError(
                f"`{name}` must have samples whose squares are finite numbers; found one of size "
                f"{np.abs(signal).max():.3g}. Express it in other units."
            )
    variance = (u**2).mean(axis=tuple(range(u.ndim - 1)))
    if not variance.all():
        raise ValueError("`u` must excite every input; one of them is zero throughout.")
    # past[tau - 1]: the inputs tau samples ago, (samples, m)
    past = np.stack([u[..., lags - tau : T - tau, :].reshape(-1, m) for tau in range(1, lags + 1)])
    target = y[..., lags:, :].reshape(-1, p)
    if method == "correlation":
        products = _products(past, degree)
        scale = variance
        for _ in range(degree - 1):
            scale = np.multiply.outer(scale, variance).reshape(-1)
        found = np.einsum("sdi,sp->dpi", products, target) / len(target) / scale
    else:
        now = u[..., lags:, :].reshape(-1, m)
        blocks = [_products(past, k).reshape(len(now), -1) for k in range(1, degree + 1)]
        regressors = np.concatenate([*blocks[::-1], now, np.ones((len(now), 1))], axis=1)
        solution, _, rank, _ = scipy.linalg.lstsq(regressors, target)
        if rank < regressors.shape[1]:
            raise ValueError(
                f"`u` must determine the kernels: {rank} of {counted(len(now), 'equation')} are "
                f"independent, for {regressors.shape[1]} coefficients. Record more, or ask for "
                "fewer lags."
            )
        found = solution[: blocks[-1].shape[1]].reshape(-1, m**degree, p).swapaxes(1, 2)
    kernel = np.zeros((lags,) * degree + (p, m**degree))
    kernel[tuple(_decreasing_delays(lags, degree).T - 1)] = found
    return kernel.reshape(kernel.shape[:-1] + (m,) * degree)


def kernel_coefficients(kernels: Sequence[ArrayLike]) -> dict[tuple[int, ...], np.ndarray]:
    r"""Return the word coefficients that a sequence of Volterra kernels contains.

    The kernel of degree k holds the coefficients of all words with k - 1 letters other than 0.

    Parameters
    ----------
    kernels : sequence of array_like
        The kernels of degree 1, 2, ..., K with a common number of lags, as from
        `volterra_kernel`.

    Returns
    -------
    dict
        As from `word_coefficients`, for all words of at most ``min(K, lags) - 1`` letters.

    Raises
    ------
    TypeError
        If `kernels` is not a list of numeric arrays.
    ValueError
        If there is no kernel or their shapes disagree.

    See Also
    --------
    bilinear_hankel_realization : Makes a model of them.

    Examples
    --------
    >>> import numpy as np
    >>> from realization import BilinearSSM, kernel_coefficients, volterra_kernel, word_coefficients
    >>> model = BilinearSSM([[0.5]], [[[0.2]]], [[1.0]], [[2.0]])
    >>> found = kernel_coefficients([volterra_kernel(model, k, 3) for k in (1, 2, 3)])
    >>> c = word_coefficients(model, 2)
    >>> found.keys() == c.keys() and all(np.allclose(found[w], c[w]) for w in c)
    True
    """
    kernels = as_items("kernels", kernels, "kernels of degree 1, 2, ...")
    arrays = [as_array(f"kernels[{k}]", kernel) for k, kernel in enumerate(kernels)]
    if not arrays or arrays[0].ndim != 3:
        raise ValueError(
            "`kernels` must start with the kernel of degree 1, of shape (lags, p, m); got "
            f"{arrays[0].shape if arrays else 'none'}."
        )
    lags, p, m = arrays[0].shape
    for k, kernel in enumerate(arrays, start=1):
        if kernel.shape != (wanted := (lags,) * k + (p,) + (m,) * k):
            raise ValueError(
                f"`kernels[{k - 1}]` must have shape {wanted} to match the kernel of degree 1 "
                f"{arrays[0].shape}; got {kernel.shape}."
            )
    coefficients = {}
    for length in range(min(len(arrays), lags)):
        for word in itertools.product(range(m + 1), repeat=length):
            # The letter at position j acts `length - j` samples before the output's state.
            places = [j for j, letter in enumerate(word) if letter]
            delays = [length + 1] + [length - j for j in places]
            channels = [word[j] - 1 for j in places]
            kernel = arrays[len(places)]
            where = (*(delay - 1 for delay in delays), slice(None), slice(None), *channels)
            coefficients[word] = kernel[where]
    return coefficients


def _require_axes(degree: int, lags: int, p: int, m: int) -> None:
    """Raise if a kernel has more axes or entries than an array can."""
    if 2 * degree + 1 > MOST_AXES:
        most = (MOST_AXES - 1) // 2
        raise ValueError(f"`degree` must be at most {most}, the axes of an array; got {degree}.")
    entries = (max(lags, 1) * max(m, 1)) ** degree * max(p, 1)
    require_memory(f"`degree` = {degree} with `lags` = {lags}", entries)


def _decreasing_delays(lags: int, degree: int) -> np.ndarray:
    """Return all delays t1 > ... > tk from 1 to `lags`, one combination a row."""
    combinations = list(itertools.combinations(range(lags, 0, -1), degree))
    return np.array(combinations, dtype=int).reshape(-1, degree)


def _products(past: np.ndarray, degree: int) -> np.ndarray:
    """Return the products of inputs (samples, delays, m^degree), rows as `_decreasing_delays`."""
    delays = _decreasing_delays(len(past), degree)
    products = past[delays[:, 0] - 1].swapaxes(0, 1)  # (samples, delays, m)
    for k in range(1, degree):
        factor = past[delays[:, k] - 1].swapaxes(0, 1)
        products = (products[..., np.newaxis] * factor[..., np.newaxis, :]).reshape(
            *products.shape[:2], -1
        )
    return products
