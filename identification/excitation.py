r"""Design of experiments: signals that excite, and a measure of how much a signal does.

An input tells a model of order n apart from all others when enough of its own past and future is
free: it is *persistently exciting of order k* when its block-Hankel matrix with k block rows has
full row rank. Signals here stay within -1 .. 1; scale and shift them by arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import scipy

from realization.internal import (
    Rng,
    as_choice,
    as_generator,
    as_integer,
    as_real,
    counted,
    require_memory,
)

from .data import Experiments
from .hankel_factor import HankelFactor
from .projections import ROUNDING, FactorBlocks, full_rank

__all__ = [
    "Excitation",
    "excites_fully",
    "input_excitation",
    "multisine",
    "persistence_of_excitation",
    "prbs",
]

SHORTEST = 3  # samples of which excitation can be measured
LARGEST_REGISTER = 24  # bits: sequences of 16 million
CLIPPINGS = 300  # of the search for phases with a low crest factor
FIRST_CLIP, LAST_CLIP = 0.75, 0.99  # of the largest sample


def prbs(steps: int, n_inputs: int = 1, *, hold: int = 1, shift: int = 0) -> np.ndarray:
    r"""Return a pseudo-random binary signal: a maximum-length sequence of -1 and 1.

    Parameters
    ----------
    steps : int
        Number of samples.
    n_inputs : int, default 1
        Number of inputs: parts of the same sequence, as far apart as it allows.
    hold : int, default 1
        Samples for which every value is held. Held longer, the signal has more power at low
        frequencies, where most plants respond; it has none at multiples of 1 / `hold` of the
        sampling rate.
    shift : int, default 0
        Start so many values later in the sequence: another signal for another experiment.

    Returns
    -------
    (steps, n_inputs) ndarray
        The signal.

    Raises
    ------
    TypeError
        If an argument is not an integer.
    ValueError
        If it is out of range, or the sequence would be longer than 2^24.

    See Also
    --------
    multisine : Power in a band and nowhere else.
    persistence_of_excitation : How much a signal excites.

    Notes
    -----
    The sequence is the shortest of length :math:`N = 2^b - 1` that does not repeat within the
    record. Over a full period its autocorrelation is :math:`-1/N` at every lag that is not 0: as
    white as a binary signal can be. Inputs are :math:`N / m` values apart, so that they are as
    little correlated with each other at smaller lags.

    References
    ----------
    S. W. Golomb, *Shift Register Sequences*, Holden-Day, 1967.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import prbs
    >>> u = prbs(127)[:, 0]
    >>> bool(all(round(u @ np.roll(u, lag)) == -1 for lag in range(1, 127)))
    True
    """
    steps = as_integer("steps", steps, minimum=1)
    m = as_integer("n_inputs", n_inputs, minimum=1)
    hold = as_integer("hold", hold, minimum=1)
    shift = as_integer("shift", shift)
    values = max(-(-steps // hold), m)
    bits = max(values.bit_length(), 2)
    if bits > LARGEST_REGISTER:
        raise ValueError(
            f"`steps` = {steps} held {counted(hold, 'sample')} each needs a sequence of 2^{bits} "
            f"- 1; at most 2^{LARGEST_REGISTER} - 1 is offered. Hold longer, or repeat a shorter "
            "signal."
        )
    require_memory(f"`steps` = {steps} of `n_inputs` = {m}", steps * m)
    sequence = 2.0 * scipy.signal.max_len_seq(bits)[0] - 1.0
    starts = shift % sequence.size + np.arange(m) * (sequence.size // m)
    index = (np.arange(values)[:, np.newaxis] + starts) % sequence.size
    return sequence[index].repeat(min(hold, steps), axis=0)[:steps]


def multisine(
    period: int,
    n_inputs: int = 1,
    *,
    periods: int = 1,
    band: tuple[float, float] | None = None,
    phases: Literal["low_crest", "schroeder", "random"] = "low_crest",
    dt: float = 1.0,
    rng: Rng = None,
) -> np.ndarray:
    r"""Return a sum of sines of equal size at harmonics of one period, within a band.

    .. math:: u_t = \sum_k \cos(2 \pi k t / N + \varphi_k), \qquad \text{scaled to } \max |u| = 1.

    Parameters
    ----------
    period : int
        Samples N in a period, at least 4.
    n_inputs : int, default 1
        Number of inputs. The harmonics are dealt out in turn, so that no two inputs share one:
        over whole periods they are orthogonal, and every output tells which input it answers.
    periods : int, default 1
        Number of periods: what differs between them is noise (or the transient of the first).
    band : tuple of float, optional
        Lowest and highest frequency in rad per unit of `dt`; default all between 0 and the Nyquist
        frequency, both left out.
    phases : str, default "low_crest"
        "low_crest" puts the most power under the smallest peak; "schroeder" is the closed formula
        it starts from; "random" is another signal, nearly Gaussian, for every `rng`.
    dt : float, default 1.0
        Sample time.
    rng : int, Generator or None, optional
        Source of random phases; the other two use none.

    Returns
    -------
    (period * periods, n_inputs) ndarray
        The signal.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If an argument is out of range or an input gets no harmonic.

    See Also
    --------
    prbs : Two levels, all frequencies.
    persistence_of_excitation : How much a signal excites.

    Notes
    -----
    A sine excites order 2; a sum of k sines order 2k, and no more however long it lasts. The crest
    factor (peak over root mean square) is :math:`\sqrt 2` for one sine and 1 for a binary signal.
    Schroeder's phases :math:`-\pi k (k - 1) / F` reach 1.5 to 1.9. From there "low_crest"
    clips the signal and keeps the phases of what results, over and over: about 1.15 for a full
    band, 1.45 for a narrow one. Cost O(N log N).

    References
    ----------
    M. R. Schroeder, "Synthesis of low-peak-factor signals and binary sequences with low
    autocorrelation", IEEE Trans. Information Theory 16, 1970.

    E. Van der Ouderaa, J. Schoukens and J. Renneboog, "Peak factor minimization using a
    time-frequency domain swapping algorithm", IEEE Trans. Instrum. Meas. 37, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import multisine
    >>> u = multisine(200, 2, periods=3)
    >>> bool(abs(u[:, 0] @ u[:, 1]) < 1e-9 * (u[:, 0] @ u[:, 0]))
    True
    """
    N = as_integer("period", period, minimum=4)
    m = as_integer("n_inputs", n_inputs, minimum=1)
    periods = as_integer("periods", periods, minimum=1)
    as_choice("phases", phases, ("low_crest", "schroeder", "random"))
    generator = as_generator(rng)
    require_memory(f"`period` = {N}, `periods` = {periods} of `n_inputs` = {m}", N * periods * m)
    lines = _lines(N, band, as_real("dt", dt, above=0.0))
    if lines.size < m:
        raise ValueError(
            f"a period of {counted(N, 'sample')} has {counted(lines.size, 'harmonic')} in the "
            f"band, too few for {counted(m, 'input')}. Take a longer period or a wider band."
        )
    signal = np.empty((N, m))
    for j in range(m):
        own = lines[j::m]
        if phases == "random":
            angles = generator.uniform(0.0, 2.0 * np.pi, own.size)
        else:
            k = np.arange(own.size)
            angles = -np.pi * k * (k + 1) / own.size
        u = _sum_of_sines(N, own, angles)
        signal[:, j] = _lower_crest(u, own) if phases == "low_crest" else u
    return np.tile(signal / np.abs(signal).max(axis=0), (periods, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Excitation:
    """How much an input excites.

    Parameters
    ----------
    order : int
        Largest order of which it is persistently exciting, at most the number of orders tried.
    ratios : (k,) ndarray
        For order 1, 2, ..: smallest over largest singular value of the block-Hankel matrix with so
        many block rows. 1 is white; 0 to rounding is not exciting.
    """

    order: int
    ratios: np.ndarray

    def __repr__(self) -> str:
        ratio = self.ratios[self.order - 1] if self.order else 0.0
        return f"Excitation(order {self.order} of {self.ratios.size} tried, ratio {ratio:.2g})"

    def __str__(self) -> str:
        """Return the measure in words."""
        tried = self.ratios.size
        more = f" (at least: {tried} were tried)" if self.order == tried else ""
        kept = self.ratios[self.order - 1] if self.order else 0.0
        return (
            f"persistently exciting of order {self.order}{more}; smallest over largest singular "
            f"value there {kept:.2g}"
        )


def persistence_of_excitation(
    u: Any, *, order: int = 30, offset: Literal["estimate", "none"] = "estimate"
) -> Excitation:
    r"""Measure the order of persistent excitation of an input.

    Parameters
    ----------
    u : array_like, DataFrame, Experiments or list of them
        Input (T, m); of Experiments their inputs.
    order : int, default 30
        Largest order tried; less on a record that is too short for it.
    offset : str, default "estimate"
        "estimate" removes the mean first (as ``subspace_id`` does), "none" does not.

    Returns
    -------
    Excitation
        The order, and how clearly every order is had.

    Raises
    ------
    TypeError
        If the samples are not real numbers.
    ValueError
        If a sample is missing or infinite, there are no inputs, or no run has two samples.

    Notes
    -----
    ``subspace_id`` needs order future + n for a model of n states, and says so in
    ``result.warnings`` where less is found. The rank counts what exceeds rounding; noise on the
    input has full rank however small it is. So look at the ratios as well: information about the
    weakest direction is so much smaller (in amplitude) than about the strongest. Inputs are scaled
    to the same norm. Cost O(T (m k)^2) for order k.

    References
    ----------
    L. Ljung, *System Identification: Theory for the User*, 2nd edition, Prentice Hall, 1999,
    section 13.2.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import persistence_of_excitation
    >>> t = np.arange(500)
    >>> persistence_of_excitation(np.cos(0.3 * t) + np.cos(t)).order == 4
    True
    """
    most = as_integer("order", order, minimum=1)
    as_choice("offset", offset, ("estimate", "none"))
    record = replace(u, y=u.u) if isinstance(u, Experiments) else Experiments.from_data(u)
    m, longest = record.n_outputs, max(run.shape[0] for run in record.y)
    if m == 0:
        raise ValueError("`u` must have at least one input; these Experiments have none.")
    if longest < SHORTEST:
        raise ValueError(
            f"`u` must have a run of at least {SHORTEST} samples; the longest has {longest}."
        )
    # k block rows of m need m k columns, one of which the mean takes
    most = max(min(most, (longest + 1 - (offset == "estimate")) // (m + 1)), 1)
    factor = HankelFactor(m, 0, past=max(most, SHORTEST) - 2, future=2)
    for run in record.y:
        factor = factor.merge(HankelFactor(m, 0, past=factor.past, future=2).update(run))
    blocks = FactorBlocks.from_factor(factor, remove_means=offset == "estimate")
    scale = np.linalg.norm(np.vstack(record.y), axis=0)
    return input_excitation(blocks.rows[: most * m], scale)


def input_excitation(rows: np.ndarray, scale: np.ndarray) -> Excitation:
    """Return the excitation seen in the block rows of an input, oldest first.

    Parameters
    ----------
    rows : (k m, d) ndarray
        Block-Hankel matrix of the input in any orthonormal basis of its columns.
    scale : (m,) ndarray
        Norm of each input before its mean was removed: below its rounding an input is constant.

    Returns
    -------
    Excitation
        Its order and the ratios for 1 .. k block rows.
    """
    m = scale.size
    count = rows.shape[0] // m
    scaled = _in_units(rows, scale)
    ratios = np.zeros(count)
    for k in range(1, count + 1):
        values = np.linalg.svd(scaled[: k * m], compute_uv=False)
        if values.size == k * m and values[0] > 0:
            ratios[k - 1] = values[-1] / values[0]
    exciting = ratios > ROUNDING * max(rows.shape)
    return Excitation(count if exciting.all() else int(np.argmin(exciting)), ratios)


def excites_fully(triangle: np.ndarray, scale: np.ndarray) -> bool:
    """Tell whether an input excites, beyond doubt, all its block rows (a lower triangular matrix).

    The same as the order of ``input_excitation``, without its singular values.
    """
    return full_rank(_in_units(triangle, scale))


def _in_units(rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return block rows with every input scaled to one size; zero where it is constant."""
    # one scale for each input, not one for each row: an impulse must not look like white noise
    count = rows.shape[0] // scale.size
    sizes = np.linalg.norm(rows.reshape(count, scale.size, -1), axis=(0, 2))
    varies = sizes > ROUNDING * np.sqrt(count) * scale
    return rows * np.tile(varies / np.where(varies, sizes, 1.0), count)[:, np.newaxis]


def _lines(period: int, band: tuple[float, float] | None, dt: float) -> np.ndarray:
    """Return the harmonics between 0 and half the period that lie in the band."""
    lines = np.arange(1, (period + 1) // 2)
    if band is None:
        return lines
    try:
        low, high = band
    except (TypeError, ValueError):
        raise ValueError(f"`band` must be (lowest, highest); got {band!r}.") from None
    low, high = as_real("band[0]", low), as_real("band[1]", high)
    if not 0.0 <= low <= high:
        raise ValueError(f"`band` must satisfy 0 <= lowest <= highest; got ({low:g}, {high:g}).")
    omega = 2.0 * np.pi * lines / (period * dt)
    slack = 1e-9 * 2.0 * np.pi / (period * dt)
    return lines[(omega >= low - slack) & (omega <= high + slack)]


def _sum_of_sines(period: int, lines: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return one period of a sum of cosines of equal size."""
    spectrum = np.zeros(period // 2 + 1, dtype=complex)
    spectrum[lines] = np.exp(1j * angles)
    return np.fft.irfft(spectrum, period)


def _lower_crest(u: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Return the sum of the same sines with the lowest peak found: clip, keep the phases, again."""
    best = u
    for level in np.linspace(FIRST_CLIP, LAST_CLIP, CLIPPINGS):
        peak = level * np.abs(u).max()
        u = _sum_of_sines(u.size, lines, np.angle(np.fft.rfft(np.clip(u, -peak, peak))[lines]))
        if np.abs(u).max() < np.abs(best).max():
            best = u
    return best
