r"""The record of a dynamic texture: a mean frame, a few basis images, and a model of their weights.

Glossary: a frame ``y_t`` is a column of ``pixels = height * width * channels`` grey levels (255 is
white), ``z_t`` its coordinates, ``r_t`` what the basis leaves out::

    y_t = mean + basis z_t + r_t        basis' basis = I
    x_{t+1} = A x_t + w_t               z_t = C x_t + v_t        (`model`)

A film is mean + basis z; a prediction also carries the last remainder on, r_{t+k} ~ carry^k r_t.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from realization import GaussianSSM, InnovationSSM
from realization.internal import (
    as_array,
    as_instance,
    as_integer,
    as_matrix,
    as_real,
    counted,
    noise_covariances,
    register_record,
    stability_margin,
)

from ..summary import fact

__all__ = ["DynamicTexture", "is_observed"]


@register_record
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamicTexture:
    r"""A video as a linear stochastic process in a few directions of image space.

    .. math::

        y_t = \bar y + U z_t + r_t, \qquad x_{t+1} = A x_t + w_t, \qquad z_t = C x_t + v_t .

    Parameters
    ----------
    mean : (pixels,) array_like
        Mean frame, in grey levels (255 is white); ``mean.reshape(shape)`` is the picture.
    basis : (pixels, q) array_like
        Basis images U, with orthonormal columns.
    model : GaussianSSM or InnovationSSM
        The stationary process of the q coordinates; its sample time is one frame.
    shape : (H, W) or (H, W, 3) tuple of int
        Shape of a frame.
    fps : float
        Frames per second.
    carry : float, default 0.0
        How much of what the basis leaves out of a frame a prediction keeps in the next, 0 to 1.
    singular_values : (k,) array_like, optional
        Singular values of the training clip, centred: how much each basis image holds.
    info : dict, optional
        What ``learn`` chose and changed; ``summary`` prints it.

    Raises
    ------
    TypeError
        If `model` is another kind of object.
    ValueError
        If shapes disagree, a number is not finite, the columns of `basis` are not orthonormal, the
        model has inputs, `fps` is not positive, or `carry` is not between 0 and 1.

    See Also
    --------
    learn : A texture from a clip.
    synthesize : A film from a texture.

    Notes
    -----
    `mean` and `basis` are float32: half the memory, and their rounding is four orders below a grey
    level. ``save`` and ``load`` keep all of it in one .npz file.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import DynamicTexture, synthesize
    >>> from realization import GaussianSSM
    >>> model = GaussianSSM([[0.9]], [[1.0]], [[190.0]], [[0.0]])
    >>> stripe = np.repeat([[0.0], [1.0], [0.0]], 5, axis=1)
    >>> basis = (stripe / np.linalg.norm(stripe)).reshape(15, 1)
    >>> texture = DynamicTexture(np.full(15, 128.0), basis, model, (3, 5), 25.0)
    >>> texture
    DynamicTexture(1 state, 3 x 5, 25 fps)
    >>> film = synthesize(texture, 100, rng=0)
    >>> film.shape, bool((film[:, 0] == 128).all() and film[:, 1].std() > 5)
    ((100, 3, 5), True)
    """

    mean: np.ndarray
    basis: np.ndarray
    model: GaussianSSM | InnovationSSM
    shape: tuple[int, ...]
    fps: float
    carry: float = 0.0
    singular_values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.shape, (tuple, list)):
            raise TypeError(f"`shape` must be (H, W) or (H, W, 3); got {self.shape!r}.")
        shape = tuple(as_integer("shape", size, minimum=1) for size in self.shape)
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
            raise ValueError(f"`shape` must be (H, W) or (H, W, 3); got {shape}.")
        model = as_instance("model", self.model, (GaussianSSM, InnovationSSM))
        if model.n_inputs:
            raise ValueError(f"`model` must have no inputs; got {model.n_inputs}.")
        pixels = int(np.prod(shape))
        mean = _single("mean", self.mean, (pixels,), f"a frame of shape {shape}")
        because = f"a frame of shape {shape} and {counted(model.n_outputs, 'output')} of the model"
        basis = _single("basis", self.basis, (pixels, model.n_outputs), because)
        error = float(np.abs(basis.T @ basis - np.eye(model.n_outputs)).max(initial=0.0))
        if not error < 1e-3:
            raise ValueError(
                f"`basis` must have orthonormal columns; its products differ from the identity by "
                f"{error:.2g}. Take the Q factor of a QR factorisation, and R times C in the model."
            )
        carry = as_real("carry", self.carry)
        if not 0 <= carry <= 1:
            raise ValueError(f"`carry` must be between 0 and 1; got {carry:g}.")
        values = as_matrix("singular_values", self.singular_values, (None,))
        as_instance("info", self.info, (dict,))
        values.setflags(write=False)
        checked = {
            "shape": shape,
            "mean": mean,
            "basis": basis,
            "fps": as_real("fps", self.fps, above=0),
            "carry": carry,
            "singular_values": values,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def n_states(self) -> int:
        """State dimension."""
        return self.model.n_states

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Shape (H, W, C) of a frame, with one channel for grey: what video files need."""
        return self.shape[0], self.shape[1], self.shape[2] if len(self.shape) == 3 else 1

    @property
    def n_parameters(self) -> int:
        """Numbers stored: mean, basis, A, C and factors of the noise covariances."""
        Q, R, _ = noise_covariances(self.model)
        rank = sum(int(np.linalg.matrix_rank(M, hermitian=True)) for M in (Q, R) if M.any())
        dynamics = self.model.A.size + self.model.n_states * rank
        observed = is_observed(self.model) and np.array_equal(self.model.C, np.eye(self.n_states))
        return self.mean.size + self.basis.size + dynamics + (0 if observed else self.model.C.size)

    @property
    def spectral_radius(self) -> float:
        """Largest modulus of an eigenvalue of A; the reversed model has the same."""
        return 1.0 - stability_margin(self.model.A, 1.0) if self.n_states else 0.0

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"DynamicTexture({counted(self.n_states, 'state')}, {size}, {self.fps:g} fps)"

    def summary(self) -> str:
        """Return what a person wants to know, as text: sizes, choices, stability, warnings.

        Returns
        -------
        str
            Several lines.
        """
        facts: dict[str, Any] = {
            "basis images": self.basis.shape[1],
            "numbers stored": self.n_parameters,
            "share of the remainder carried on": self.carry,
        }
        facts |= {key: value for key, value in self.info.items() if key != "warnings"}
        facts["spectral radius"] = f"{self.spectral_radius:.4f}, in both directions of time"
        lines = []
        for key, value in facts.items():
            if not isinstance(value, np.ndarray):
                lines.append(fact(key, f"{value:.4g}" if isinstance(value, float) else value, 46))
        if said := self.info.get("warnings"):
            lines += ["", "to be known:", *(f"  - {text}" for text in said)]
        size = f"{' x '.join(map(str, self.shape))} pixels, {self.fps:g} frames per second"
        return "\n".join([f"texture of {counted(self.n_states, 'state')}, {size}", *lines])


def is_observed(model: GaussianSSM | InnovationSSM) -> bool:
    """Say whether the coordinates show the whole state, without noise: C invertible and R = 0."""
    if not isinstance(model, GaussianSSM) or model.R.any() or model.C.shape[0] != model.n_states:
        return False
    return bool(np.linalg.matrix_rank(model.C) == model.n_states)


def _single(name: str, value: Any, shape: tuple[int, ...], because: str) -> np.ndarray:
    """Return a read-only float32 array, not copied if it is one already."""
    array = value if isinstance(value, np.ndarray) else as_array(name, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must be real numbers; got dtype {array.dtype}.")
    if array.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape} for {because}; got {array.shape}.")
    if array.dtype != np.float32 or array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(array.sum(dtype=float)):
        raise ValueError(f"`{name}` must be finite.")
    array.setflags(write=False)
    return array
