r"""How sure the poles and the responses of a refined model are.

The covariance of the entries that ``pem`` returns is propagated to first order with exact
derivatives. With deviations :math:`dA, dB, dC, dD` of the entries (columns of a factor of their
covariance), :math:`R = (zI - A)^{-1}`, and left and right eigenvectors :math:`w, v` of A,

.. math::

    d\lambda = \frac{w^* dA\, v}{w^* v}, \qquad
    dG(z) = dD + dC\,R B + C R\,dA\,R B + C R\,dB, \qquad
    h_k = C A^{k-1} B .

These do not depend on the basis of the state, so their covariance is that of the input-output map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import BilinearSSM, LinearSSM, frequency_response
from realization.internal import (
    as_array,
    as_choice,
    as_instance,
    as_integer,
    as_real,
    counted,
    covariance_factor,
    require_memory,
    sized,
)

from .local_coordinates import System
from .result import IdentificationResult

__all__ = [
    "FrequencyResponseUncertainty",
    "ImpulseResponseUncertainty",
    "PoleUncertainty",
    "frequency_response_uncertainty",
    "impulse_response_uncertainty",
    "pole_uncertainty",
]

Source = Literal["input", "innovation"]


@dataclass(frozen=True, slots=True, eq=False)
class PoleUncertainty:
    """The poles of a model and how sure each is.

    Parameters
    ----------
    poles : (n,) ndarray
        Eigenvalues of A, complex; poles of a dead time (at zero) come last.
    covariance : (n, 2, 2) ndarray
        Covariance of real and imaginary part of each.
    doubtful : (n,) ndarray of bool
        Whether another pole lies within 1.96 standard deviations, so that the two may be a pair of
        the other kind (real or complex) and the ellipse is no more than a size.
    """

    poles: np.ndarray
    covariance: np.ndarray
    doubtful: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        _freeze(self.poles, self.covariance, self.doubtful)

    def __repr__(self) -> str:
        largest = self.standard_deviation.max(initial=0.0)
        doubtful = f", {self.doubtful.sum()} doubtful" if self.doubtful.any() else ""
        count = counted(self.poles.size, "pole")
        return f"PoleUncertainty({count}, standard deviation up to {largest:.2g}{doubtful})"

    @property
    def standard_deviation(self) -> np.ndarray:
        """Standard deviation of each pole along its least certain direction, (n,)."""
        return np.sqrt(np.linalg.eigvalsh(self.covariance)[:, 1].clip(min=0.0))

    def ellipses(self, confidence: float = 0.95, *, points: int = 100) -> np.ndarray:
        """Return the border of the region that holds each pole with a probability.

        Parameters
        ----------
        confidence : float, default 0.95
            Probability, for each pole by itself.
        points : int, default 100
            Points on each border.

        Returns
        -------
        (n, points) ndarray
            Complex, closed; the interval of a real pole is an ellipse without height.

        Raises
        ------
        TypeError
            If `points` is not an integer.
        ValueError
            If `points` is below 3, or `confidence` is not between 0 and 1.
        """
        points = as_integer("points", points, minimum=3)
        require_memory(f"`points` = {points}", points * max(self.poles.size, 1))
        confidence = _probability(confidence)
        angles = np.linspace(0.0, 2 * np.pi, points)
        borders = np.empty((self.poles.size, points), dtype=complex)
        for k, (pole, covariance) in enumerate(zip(self.poles, self.covariance, strict=True)):
            sizes, axes = np.linalg.eigh(covariance)
            directions = axes[0] + 1j * axes[1]
            degrees = 1 if covariance[1, 1] == 0 else 2
            scale = np.sqrt(scipy.special.chdtri(degrees, 1.0 - confidence) * sizes.clip(min=0.0))
            borders[k] = pole + directions[1] * scale[1] * np.cos(angles)
            borders[k] += directions[0] * scale[0] * np.sin(angles)
        return borders


@dataclass(frozen=True, slots=True, eq=False)
class FrequencyResponseUncertainty:
    """A frequency response and how sure it is.

    Parameters
    ----------
    omega : (k,) ndarray
        Angular frequencies in radians per unit of `dt`.
    response : (k, p, m) ndarray
        Complex response.
    covariance : (k, p, m, 2, 2) ndarray
        Covariance of real and imaginary part of each value.
    """

    omega: np.ndarray
    response: np.ndarray
    covariance: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        _freeze(self.omega, self.response, self.covariance)

    def __repr__(self) -> str:
        variances = np.trace(self.covariance, axis1=-2, axis2=-1)
        largest = np.sqrt(variances.max(initial=0.0))
        sizes = sized(response=self.response)
        return f"FrequencyResponseUncertainty({sizes}, standard deviation up to {largest:.2g})"

    def magnitude_band(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the limits between which the magnitude lies with a probability.

        Parameters
        ----------
        confidence : float, default 0.95
            Probability, at each frequency by itself.

        Returns
        -------
        low, high : (k, p, m) ndarray
            Limits; `low` is not below zero.
        """
        size = np.abs(self.response)
        reach = _quantile(confidence) * self._along(0)
        return np.maximum(size - reach, 0.0), size + reach

    def phase_band(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the limits between which the phase lies with a probability.

        Parameters
        ----------
        confidence : float, default 0.95
            Probability, at each frequency by itself.

        Returns
        -------
        low, high : (k, p, m) ndarray
            Limits in radians around the phase, unwrapped along the frequencies; a phase of which
            nothing is known has :math:`\pm \pi`.
        """
        size = np.abs(self.response)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = _quantile(confidence) * self._along(1) / size
        reach = np.where(reach < np.pi, reach, np.pi)
        phase = np.unwrap(np.angle(self.response), axis=0)
        return phase - reach, phase + reach

    def _along(self, axis: int) -> np.ndarray:
        """Return the standard deviation along the response (0) or across it (1)."""
        angle = np.angle(self.response) + axis * np.pi / 2
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        squares = np.einsum("...i,...ij,...j->...", direction, self.covariance, direction)
        return np.sqrt(squares.clip(min=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class ImpulseResponseUncertainty:
    """An impulse response (the Markov parameters) and how sure it is.

    Parameters
    ----------
    response : (count, p, m) ndarray
        Markov parameters, D first.
    standard_deviation : (count, p, m) ndarray
        That of each value.
    """

    response: np.ndarray
    standard_deviation: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        _freeze(self.response, self.standard_deviation)

    def __repr__(self) -> str:
        largest = self.standard_deviation.max(initial=0.0)
        sizes = sized(response=self.response)
        return f"ImpulseResponseUncertainty({sizes}, standard deviation up to {largest:.2g})"

    def band(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the limits between which each value lies with a probability.

        Parameters
        ----------
        confidence : float, default 0.95
            Probability, at each lag by itself.

        Returns
        -------
        low, high : (count, p, m) ndarray
            Limits.
        """
        reach = _quantile(confidence) * self.standard_deviation
        return self.response - reach, self.response + reach


def pole_uncertainty(result: IdentificationResult) -> PoleUncertainty:
    r"""Find how sure each pole of a refined model is.

    To first order in the entries of A, a simple eigenvalue moves by
    :math:`d\lambda = w^* dA\, v / w^* v` with its left and right eigenvectors.

    Parameters
    ----------
    result : IdentificationResult
        A result with a covariance: that of ``pem``.

    Returns
    -------
    PoleUncertainty
        Poles, covariances, and their ellipses at any confidence.

    Raises
    ------
    TypeError
        If `result` is no IdentificationResult.
    ValueError
        If it has no covariance.

    See Also
    --------
    bootstrap : The same without the first order, by refitting simulated records.

    Notes
    -----
    Exact to first order, so good where the standard deviation is small against the distance to the
    nearest other pole; elsewhere `doubtful` says so. The covariance grows with the inverse square
    of :math:`w^* v` for vectors of length one: poles of a nearly defective A are not sharp. The
    poles of a known dead time are certain.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import pem, pole_uncertainty
    >>> from realization import InnovationSSM, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> found = pole_uncertainty(pem(plant, simulate(plant, u, noise=True, rng=1).y, u))
    >>> bool(np.abs(found.poles[0] - 0.9) < 1.96 * found.standard_deviation[0])
    True
    """
    factor, like = _factor(result)
    n = like.A.shape[0] - like.B.shape[1] * int(result.options.get("delay", 0) or 0)
    poles = np.zeros(like.A.shape[0], dtype=complex)
    covariance = np.zeros((poles.size, 2, 2))
    poles[:n], left, right = scipy.linalg.eig(like.A[:n, :n], left=True)
    gain = np.einsum("ik,ik->k", left.conj(), right)
    moves = np.zeros((factor.shape[1], n), dtype=complex)
    for j, column in enumerate(factor.T):
        dA = like.with_vector(column).A[:n, :n]
        moves[j] = np.einsum("ik,ij,jk->k", left.conj(), dA, right)
    known = ~moves.any(axis=0)  # entries that decide these poles are held
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.where(known, 0.0, moves / gain)
    covariance[:n] = _outer_planar(moves).sum(axis=0)
    gaps = np.abs(poles[:, np.newaxis] - poles)
    np.fill_diagonal(gaps, np.inf)
    deviation = np.sqrt(np.einsum("kii->k", covariance))
    doubtful = 1.96 * deviation >= gaps.min(axis=1, initial=np.inf)
    return PoleUncertainty(poles, covariance, doubtful & (deviation > 0))


def frequency_response_uncertainty(
    result: IdentificationResult, omega: ArrayLike, *, source: Source = "input"
) -> FrequencyResponseUncertainty:
    r"""Find how sure the frequency response of a refined model is.

    Parameters
    ----------
    result : IdentificationResult
        A result with a covariance, of a linear model: that of ``pem``.
    omega : (k,) array_like
        Angular frequencies in radians per unit of `dt`.
    source : str, default "input"
        "input" is the response :math:`D + C(zI - A)^{-1}B` to the inputs, "innovation" that of the
        noise model, :math:`I + C(zI - A)^{-1}K`.

    Returns
    -------
    FrequencyResponseUncertainty
        The response and its covariance, with bands of magnitude and phase at any confidence.

    Raises
    ------
    TypeError
        If `result` is no IdentificationResult or holds a bilinear model, or `omega` is complex.
    ValueError
        If the result has no covariance or the model no inputs, or a frequency is not finite or
        exactly at a pole.

    Notes
    -----
    First order, with exact derivatives: good where the band is small against the magnitude. Cost
    O(k d n (n + p)) for k frequencies and d directions of the covariance.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import frequency_response_uncertainty, pem
    >>> from realization import InnovationSSM, frequency_response, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> result = pem(plant, simulate(plant, u, noise=True, rng=1).y, u)
    >>> low, high = frequency_response_uncertainty(result, [0.1, 1.0]).magnitude_band(0.99)
    >>> truth = np.abs(frequency_response(plant, [0.1, 1.0]))
    >>> bool(((low < truth) & (truth < high)).all())
    True
    """
    factor, like = _factor(result)
    model = _source_model(result, source)
    frequencies = np.atleast_1d(as_array("omega", omega))
    if frequencies.ndim != 1:
        raise ValueError(f"`omega` must be a list of frequencies; got shape {frequencies.shape}.")
    response = frequency_response(model, frequencies)
    p, m, states = model.n_outputs, model.n_inputs, np.eye(model.n_states)
    wide, tall = np.hstack([model.B, states]), np.vstack([model.C, states])
    values = frequency_response(LinearSSM(model.A, wide, tall, dt=model.dt), frequencies)
    C_R, R_B = values[:, :p, m:], values[:, p:, :m]
    moments = np.zeros((*response.shape, 2, 2))
    for column in factor.T:
        dA, dB, dC, dD = _source_deviation(like.with_vector(column), source)
        moments += _outer_planar(dD + dC @ R_B + C_R @ (dA @ R_B + dB))
    return FrequencyResponseUncertainty(frequencies, response, moments)


def impulse_response_uncertainty(
    result: IdentificationResult, count: int, *, source: Source = "input"
) -> ImpulseResponseUncertainty:
    r"""Find how sure the impulse response of a refined model is.

    Parameters
    ----------
    result : IdentificationResult
        A result with a covariance, of a linear model: that of ``pem``.
    count : int
        Number of Markov parameters, at least 1.
    source : str, default "input"
        "input" is the response :math:`D, CB, CAB, \dots` to the inputs, "innovation" that of the
        noise model, :math:`I, CK, CAK, \dots`

    Returns
    -------
    ImpulseResponseUncertainty
        The response, its standard deviations, and its band at any confidence.

    Raises
    ------
    TypeError
        If `result` is no IdentificationResult or holds a bilinear model.
    ValueError
        If the result has no covariance or the model no inputs, or `count` is below 1.

    Notes
    -----
    First order, with exact derivatives by the recursion of the state. Cost O(count d n^2 m) for d
    directions of the covariance.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import impulse_response_uncertainty, pem
    >>> from realization import InnovationSSM, markov_parameters, simulate
    >>> plant = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(500)
    >>> result = pem(plant, simulate(plant, u, noise=True, rng=1).y, u)
    >>> low, high = impulse_response_uncertainty(result, 20).band(0.99)
    >>> truth = markov_parameters(plant, 20)
    >>> bool(((low <= truth) & (truth <= high)).all())
    True
    """
    factor, like = _factor(result)
    model = _source_model(result, source)
    count = as_integer("count", count, minimum=1)
    require_memory(f"`count` = {count}", count * model.n_outputs * max(model.n_inputs, 1))
    parts = [_source_deviation(like.with_vector(column), source) for column in factor.T]
    if not parts:
        parts = [_source_deviation(like.with_vector(0.0 * like.vector()), source)]
    dA, dB, dC, dD = (np.array(part) for part in zip(*parts, strict=True))
    response = np.empty((count, model.n_outputs, model.n_inputs))
    variance = np.empty_like(response)
    response[0], variance[0] = model.D, np.sum(dD**2, axis=0)
    X, dX = model.B, dB
    for k in range(1, count):
        response[k] = model.C @ X
        variance[k] = np.sum((dC @ X + model.C @ dX) ** 2, axis=0)
        X, dX = model.A @ X, dA @ X + model.A @ dX
    return ImpulseResponseUncertainty(response, np.sqrt(variance))


def _factor(result: IdentificationResult) -> tuple[np.ndarray, System]:
    """Return the factor (q, d) of the covariance of the entries, and the system they belong to."""
    as_instance("result", result, (IdentificationResult,))
    if result.covariance is None:
        raise ValueError(
            f"this result of {result.method!r} has no covariance of its entries: refine it, "
            "pem(result, y, u), whose result has one where the record determines the entries "
            "(its warnings tell), or take bootstrap(result, y, u)."
        )
    return covariance_factor(result.covariance), System.from_model(result.model)


def _source_model(result: IdentificationResult, source: str) -> LinearSSM:
    """Return the linear model from the source asked for to the outputs."""
    as_choice("source", source, ("input", "innovation"))
    model = result.model
    if isinstance(model, BilinearSSM):
        raise TypeError(
            "responses of a bilinear model depend on its input; got a BilinearSSM. Take "
            "pole_uncertainty, whose poles are those at the operating point."
        )
    if source == "innovation":
        return LinearSSM(model.A, model.K, model.C, np.eye(model.n_outputs), dt=model.dt)
    if model.n_inputs == 0:
        raise ValueError(
            "the model has no inputs to respond to: source='innovation' is the response of the "
            "outputs to the innovations."
        )
    return LinearSSM(model.A, model.B, model.C, model.D, dt=model.dt)


def _source_deviation(
    move: System, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return dA, dB, dC, dD of the model from a source, for a deviation of all entries."""
    if source == "input":
        return move.A, move.B, move.C, move.D
    p = move.C.shape[0]
    return move.A, move.K, move.C, np.zeros((p, p))


def _outer_planar(values: np.ndarray) -> np.ndarray:
    """Return [re, im]' [re, im] of complex numbers, with two axes more."""
    planar = np.stack([np.real(values), np.imag(values)], axis=-1)
    return planar[..., :, np.newaxis] * planar[..., np.newaxis, :]


def _probability(confidence: float) -> float:
    """Return a checked probability."""
    return as_real("confidence", confidence, above=0.0, below=1.0)


def _quantile(confidence: float) -> float:
    """Return how many standard deviations hold a normal variable with a probability."""
    return float(scipy.special.ndtri(0.5 + 0.5 * _probability(confidence)))


def _freeze(*arrays: np.ndarray) -> None:
    """Make arrays read-only."""
    for array in arrays:
        array.setflags(write=False)
