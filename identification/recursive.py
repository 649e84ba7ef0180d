r"""Identification sample by sample: the model of a slowly changing plant, in constant memory.

Glossary::

    z_t     the past: the last `past` inputs and outputs before t
    Theta   y_t = Theta [z_t; u_t] + e_t, the predictor, by exponentially weighted least squares
    L       x_t = L z_t, the state as a function of the past
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from realization import InnovationSSM, NumericalWarning
from realization.internal import (
    as_array,
    as_choice,
    as_dt,
    as_integer,
    as_real,
    counted,
    rank_tolerance,
    require_memory,
    triangular_factor,
)

from .closed_loop import StateRegression
from .data import LARGEST
from .predictor_factor import (
    predictor,
    predictor_blocks,
    predictor_hankel,
    predictor_rows,
    predictor_width,
)
from .preparation import require_rank

__all__ = ["RecursiveSubspace"]


@dataclass(frozen=True, slots=True, eq=False)
class _Realization:
    """What the samples so far say."""

    model: InnovationSSM
    L: np.ndarray
    y0: np.ndarray
    u0: np.ndarray


class RecursiveSubspace:
    r"""Subspace identification sample by sample, forgetting the distant past.

    The predictor :math:`y_t = \Theta\,[z_t; u_t] + e_t` is fitted to all samples so far by least
    squares with weights :math:`\lambda^{t - k}`; ``model`` realizes it when it is read, by the
    equations of ``subspace_id(method="pbsid")``.

    Parameters
    ----------
    n_outputs : int
        Number of outputs p, at least 1.
    n_inputs : int
        Number of inputs m.
    order : int
        State dimension.
    past : int, default 10
        Past samples in the predictor.
    future : int, optional
        Block rows of the matrix that is decomposed; default `past`.
    forgetting : float, default 1.0
        Weight :math:`\lambda` of a sample relative to the next one, above 0 and at most 1. The
        tracker remembers about 1 / (1 - forgetting) samples: fewer follow a change faster, more
        average more noise out. 1 forgets nothing.
    feedthrough : bool, default True
        Estimate D; False sets D = 0.
    offset : str, default "estimate"
        "estimate" works in deviations from the weighted means, "none" from zero.
    dt : float, default 1.0
        Sample time of the model, positive.

    Attributes
    ----------
    n_samples : int
        Samples taken in.
    n_missing : int
        Samples that were missing among them.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If an argument is out of range, the order cannot be had with the horizons, or so much is
        forgotten that the samples remembered cannot determine the predictor.

    See Also
    --------
    subspace_id : All samples at once.
    HankelFactor : All samples of a stream, none forgotten, for any method.

    Notes
    -----
    Why this method: its statistic is the smallest one (the past and one sample), so an update is
    cheap and uses the newest sample at once; and it stays consistent under feedback, where trackers
    mostly live. The triangular factor of the weighted rows is kept and never a covariance, which
    would square the condition number and need safeguards against indefiniteness; rows are folded
    in by QR factorisation, as many at one time as the factor has columns d = 1 + (past + 1)(m + p):
    O(d^2) operations an update and O(d^2) memory. Reading ``model`` costs O(d^3) after an update,
    nothing again before the next.

    Coordinates of the state are free. Each model is rotated to agree best with the one read before
    (an orthogonal Procrustes problem in the metric of the past), so that the matrices of a slowly
    changing plant change slowly.

    References
    ----------
    A. Chiuso, "The role of vector autoregressive modeling in predictor-based subspace
    identification", Automatica 43, 2007.

    I. Houtzager, J.-W. van Wingerden and M. Verhaegen, "Recursive predictor-based subspace
    identification with application to the real-time closed-loop tracking of flutter", IEEE Trans.
    Control Systems Technology 20, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from identification import RecursiveSubspace
    >>> from realization import InnovationSSM, poles, simulate
    >>> plant = InnovationSSM([[0.8]], [[1.0]], [[0.3]], [[0.01]], B=[[1.0]])
    >>> u = np.random.default_rng(0).standard_normal(2000)
    >>> y = simulate(plant, u, noise=True, rng=1).y
    >>> tracker = RecursiveSubspace(1, 1, order=1, past=5, forgetting=0.998)
    >>> for t in range(2000):
    ...     tracker = tracker.update(y[t], u[t])
    >>> bool(abs(poles(tracker.model)[0] - 0.8) < 0.01)
    True
    """

    def __init__(
        self,
        n_outputs: int,
        n_inputs: int,
        *,
        order: int,
        past: int = 10,
        future: int | None = None,
        forgetting: float = 1.0,
        feedthrough: bool = True,
        offset: Literal["estimate", "none"] = "estimate",
        dt: float = 1.0,
    ) -> None:
        self.n_outputs = p = as_integer("n_outputs", n_outputs, minimum=1)
        self.n_inputs = m = as_integer("n_inputs", n_inputs)
        self.order = as_integer("order", order)
        self.past = as_integer("past", past, minimum=1)
        self.future = as_integer("future", self.past if future is None else future, minimum=1)
        self.forgetting = as_real("forgetting", forgetting, above=0.0)
        self.feedthrough = feedthrough
        self.offset_removed = as_choice("offset", offset, ("estimate", "none")) == "estimate"
        self.dt = as_dt(dt)
        if self.dt == 0.0:
            raise ValueError("`dt` must be positive: a tracker takes samples; got 0.0.")
        limit = min(p * min(self.future, self.past), self.past * (m + p))
        if self.order > limit:
            raise ValueError(
                f"`order` = {self.order} cannot be had with past = {self.past} and future = "
                f"{self.future}: at most {limit}. Take longer horizons."
            )
        self._width = predictor_width(self.past, p, m)
        require_memory(f"`past` = {self.past}", self._width**2)
        if self.forgetting > 1.0:
            raise ValueError(f"`forgetting` must be at most 1; got {self.forgetting:g}.")
        if self.forgetting < 1.0 - 1.0 / self._width:
            raise ValueError(
                f"`forgetting` = {self.forgetting:g} remembers "
                f"{1 / (1 - self.forgetting):.1f} samples; the predictor with past = {self.past} "
                f"has {counted(self._width - p, 'coefficient')} per output. Take at least "
                f"{1 - 1 / self._width:.4f}, or a shorter past."
            )
        self.n_samples = 0
        self.n_missing = 0
        self._R = np.zeros((self._width, self._width))
        self._n_rows = 0
        self._buffer = np.zeros((self.past + self._width, m + p))
        self._filled = 0
        self._found: _Realization | None = None
        self._reference: np.ndarray | None = None

    def update(self, y_t: ArrayLike, u_t: ArrayLike | None = None) -> RecursiveSubspace:
        """Take in the next sample.

        Parameters
        ----------
        y_t : (p,) array_like
            Output; a number when there is one. A NaN marks a missing sample: no equation contains
            it, the next `past` samples only fill the past again, and nothing is forgotten
            meanwhile.
        u_t : (m,) array_like, optional
            Input at the same time; needed exactly when there are inputs.

        Returns
        -------
        RecursiveSubspace
            The same object.

        Raises
        ------
        TypeError
            If the sample is not real.
        ValueError
            If it has the wrong number of channels, is infinite or above 1e70, or an input is
            missing.
        """
        y = self._sample("y_t", y_t, self.n_outputs)
        if u_t is None and self.n_inputs:
            inputs = counted(self.n_inputs, "input")
            raise ValueError(f"`u_t` is missing: this tracker has {inputs}.")
        u = np.zeros(0) if u_t is None else self._sample("u_t", u_t, self.n_inputs)
        if np.isnan(u).any():
            raise ValueError(
                "`u_t` must be finite; got NaN. Mark the sample as missing by a NaN in `y_t`."
            )
        self.n_samples += 1
        self._found = None
        if np.isnan(y).any():
            self.n_missing += 1
            self._fold()
            self._filled = 0
            return self
        if self._filled == self._buffer.shape[0]:
            self._fold()
        self._buffer[self._filled, : self.n_inputs] = u
        self._buffer[self._filled, self.n_inputs :] = y
        self._filled += 1
        return self

    @property
    def model(self) -> InnovationSSM:
        """Model of the samples so far, in deviations from ``offset``.

        Raises ValueError before there are enough samples, and when they do not carry the order;
        warns (NumericalWarning) of what had to be done for the gain K.
        """
        return self._realized().model

    @property
    def offset(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted means ``(y0, u0)``: the model says y - y0 = G (u - u0) + noise."""
        found = self._realized()
        return found.y0, found.u0

    @property
    def state(self) -> np.ndarray:
        """State of ``model`` (n,) that predicts the sample to come.

        Raises ValueError while fewer than `past` samples follow a missing one.
        """
        found = self._realized()
        if self._filled < self.past:
            raise ValueError(
                f"the state needs `past` = {counted(self.past, 'sample')} in a row; {self._filled} "
                "came since the last missing one."
            )
        window = self._buffer[self._filled - self.past : self._filled]
        deviations = window - np.concatenate([found.u0, found.y0])
        m = self.n_inputs
        return found.L @ np.concatenate([deviations[:, :m].ravel(), deviations[:, m:].ravel()])

    def __repr__(self) -> str:
        return (
            f"RecursiveSubspace({counted(self.n_outputs, 'output')}, "
            f"{counted(self.n_inputs, 'input')}, order={self.order}, past={self.past}, "
            f"forgetting={self.forgetting:g}, {counted(self.n_samples, 'sample')})"
        )

    def _sample(self, name: str, value: ArrayLike, channels: int) -> np.ndarray:
        """Return one checked sample."""
        sample = as_array(name, value, allow_nan=True)
        if np.iscomplexobj(sample):
            raise TypeError(f"`{name}` must be real; got a complex sample.")
        if sample.ndim == 0:
            sample = sample[np.newaxis]
        if sample.shape != (channels,):
            raise ValueError(
                f"`{name}` must be one sample of shape ({channels},); got {sample.shape}."
            )
        if np.abs(sample).max(initial=0.0) > LARGEST:
            raise ValueError(
                f"`{name}` has size {np.abs(sample).max():.0e}, whose square leaves the range of "
                "floating-point numbers. Express it in other units."
            )
        return sample

    def _fold(self) -> None:
        """Fold the rows that wait into the triangular factor; keep the last `past` samples."""
        rows = predictor_rows(self._buffer[: self._filled], self.past, self.n_inputs)
        count = rows.shape[0]
        if count == 0:
            return
        ages = np.arange(count)[::-1]
        rows *= self.forgetting ** (0.5 * ages[:, np.newaxis])
        self._R = triangular_factor(np.vstack([self._R * self.forgetting ** (0.5 * count), rows]))
        self._n_rows += count
        kept = self._buffer[self._filled - self.past : self._filled].copy()
        self._buffer[: self.past] = kept
        self._filled = self.past

    def _realized(self) -> _Realization:
        """Return the model of the samples so far, computed once after an update."""
        self._fold()
        if self._n_rows < self._width:
            raise ValueError(
                f"too few samples: past = {self.past} needs {self._width + self.past} in a row; "
                f"got {self.n_samples}, {self.n_missing} of them missing."
            )
        if self._found is None:
            self._found = self._realize()
        return self._found

    def _realize(self) -> _Realization:
        """Realize the predictor."""
        p, m, n = self.n_outputs, self.n_inputs, self.order
        blocks = predictor_blocks(self._R, self.past, p, m, remove_means=self.offset_removed)
        observed = predictor_hankel(predictor(blocks), self.past, m, self.future)
        left, sizes, _ = scipy.linalg.svd(observed @ blocks.Wp, full_matrices=False)
        require_rank(n, int((sizes > rank_tolerance(observed.shape, sizes[0])).sum()))
        L = left[:, :n].T @ observed / np.sqrt(sizes[:n, np.newaxis])
        if n and self._reference is not None:
            overlap = (self._reference @ blocks.Wp) @ (L @ blocks.Wp).T
            left, _, right = scipy.linalg.svd(overlap)
            L = (left @ right) @ L
        self._reference = L
        states = StateRegression.from_map(blocks, L, feedthrough=self.feedthrough)
        K, Re, said = states.gain(states.A)
        for text in said:
            warnings.warn(text, NumericalWarning, stacklevel=4)
        model = InnovationSSM(states.A, states.C, K, Re, B=states.B, D=states.D, dt=self.dt)
        y0, u0 = np.zeros(p), np.zeros(m)
        if self.offset_removed:
            means = self._R[0, 1:] / self._R[0, 0]
            u0, y0 = means[:m], means[-p:]
        return _Realization(model, L, y0, u0)
