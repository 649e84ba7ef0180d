r"""Other textures from textures: faster or backwards, stronger, softer, two in one."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import scipy

from diffusion import retime, reverse
from realization import (
    GaussianSSM,
    InnovationSSM,
    NotEmbeddable,
    NumericalWarning,
    to_gaussian,
)
from realization.internal import as_instance, as_real, solve_lyapunov, symmetrize

from .model import DynamicTexture, is_observed
from .orthonormalization import orthonormal

__all__ = ["blend", "change_speed", "intensify", "scale_detail"]

LARGEST = 1e4  # gains and sizes beyond it mean nothing, and overflow
DEPENDENT = 1e-6  # squared length of a combination of images that counts as none


def change_speed(texture: DynamicTexture, speed: float) -> DynamicTexture:
    r"""Return the texture at another speed, or backwards: every frame has the law it had.

    At speed h the state advances by h frames at a time: :math:`A_h = A^h`, and the noise is what
    keeps the stationary covariance (``diffusion.retime``). A negative speed is the reverse of the
    process, not a rewound film.

    Parameters
    ----------
    texture : DynamicTexture
        A stationary texture.
    speed : float
        2 is twice as fast, 0.5 half speed, -1 backwards.

    Returns
    -------
    DynamicTexture
        With the same mean, basis and frame rate.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If `speed` is zero or not finite.
    UnstableModelError
        If the texture is not stable.

    Warns
    -----
    NumericalWarning
        If `speed` is not whole and there is no process of this order at this speed. A neighbour
        with the same stationary covariance and the same poles is used; poles on the negative real
        axis, which have no real fractional power, become the real part of it.

    See Also
    --------
    synthesize : Takes `speed` too.
    diffusion.retime : The same for any model, with the choice to refuse.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import change_speed, learn
    >>> t, column = np.mgrid[0:200, 0:24]
    >>> clip = 128 + 60 * np.sin(0.5 * t - 2 * np.pi * column / 24)[:, None, :]
    >>> texture = learn(clip + np.random.default_rng(0).standard_normal((200, 8, 24)), 2)
    >>> fast = change_speed(texture, 3)
    >>> bool(np.allclose(np.abs(np.angle(np.linalg.eigvals(fast.model.A))), 1.5, atol=0.01))
    True
    """
    as_instance("texture", texture, (DynamicTexture,))
    if (speed := as_real("speed", speed)) == 1.0:
        return texture
    try:
        model = retime(texture.model, abs(speed))
    except NotEmbeddable as error:
        model = _neighbour(to_gaussian(texture.model), abs(speed), error)
    if speed < 0:
        backwards = reverse(model)
        # the reverse reads y_t off x_{t+1}; coordinates that are the state may stay so
        kept = is_observed(model)
        model = replace(model, A=backwards.A, Q=backwards.Q) if kept else backwards
    carry = texture.carry ** abs(speed)
    return replace(texture, model=model, carry=carry, info={**texture.info, "speed": speed})


def intensify(texture: DynamicTexture, gain: float) -> DynamicTexture:
    """Return the texture with its motion stronger or weaker.

    Parameters
    ----------
    texture : DynamicTexture
        Any texture.
    gain : float
        What the deviations from the mean frame are multiplied by; positive.

    Returns
    -------
    DynamicTexture
        With noise covariances times ``gain ** 2``.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If `gain` is not positive, or not below 10000.

    See Also
    --------
    scale_detail : The same for fine structure only.

    Notes
    -----
    Grey levels beyond black and white are clipped when a film is made: a gain far above 1 flattens
    the brightest and the darkest parts.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import intensify, learn
    >>> rng = np.random.default_rng(0)
    >>> texture = learn(128 + 5 * rng.standard_normal((100, 8, 8)), 3)
    >>> strong = intensify(texture, 2)
    >>> bool(np.allclose(strong.model.Q, 4 * texture.model.Q))
    True
    """
    as_instance("texture", texture, (DynamicTexture,))
    gain = as_real("gain", gain, above=0, below=LARGEST)
    return replace(texture, model=_louder(texture.model, gain**2))


def blend(a: DynamicTexture, b: DynamicTexture, weight: float) -> DynamicTexture:
    r"""Return a texture between two: all its covariances are the weighted means of theirs.

    With independent copies of both processes,

    .. math:: y_t = (1 - w)\, \bar y_a + w\, \bar y_b
        + \sqrt{1 - w}\; U_a z_{a,t} + \sqrt{w}\; U_b z_{b,t},

    so that at every lag :math:`\Lambda_k = (1 - w) \Lambda_{a,k} + w \Lambda_{b,k}`.

    Parameters
    ----------
    a, b : DynamicTexture
        Of the same frame shape and rate.
    weight : float
        0 is `a`, 1 is `b`.

    Returns
    -------
    DynamicTexture
        Its state holds both states; its basis spans both bases.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If shapes or frame rates differ, or `weight` is not between 0 and 1.

    See Also
    --------
    change_speed : For textures of different frame rates.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import blend, learn
    >>> from realization import to_covariance
    >>> rng = np.random.default_rng(0)
    >>> a, b = (learn(128 + s * rng.standard_normal((100, 8, 8)), 3) for s in (2, 6))
    >>> mixed = blend(a, b, 0.25)
    >>> def power(texture):
    ...     return np.trace(to_covariance(texture.model).Lambda0)
    >>> bool(np.isclose(power(mixed), 0.75 * power(a) + 0.25 * power(b)))
    True
    """
    for name, texture in (("a", a), ("b", b)):
        as_instance(name, texture, (DynamicTexture,))
    weight = as_real("weight", weight)
    if not 0 <= weight <= 1:
        raise ValueError(f"`weight` must be between 0 and 1; got {weight:g}.")
    if a.shape != b.shape:
        raise ValueError(
            f"`a` and `b` must have frames of one shape; got {a.shape} and {b.shape}. Learn one of "
            "them again from read_video(..., size=...)."
        )
    if not np.isclose(a.fps, b.fps):
        raise ValueError(
            f"`a` and `b` must have one frame rate; got {a.fps:g} and {b.fps:g}. With "
            f"change_speed(b, {b.fps / a.fps:g}) it plays at its own pace at the rate of `a`: "
            "replace its fps then."
        )
    if weight in (0.0, 1.0):
        return b if weight else a
    shares = np.sqrt([1 - weight, weight])
    pair = [to_gaussian(texture.model) for texture in (a, b)]
    basis, factor = _independent(np.hstack([a.basis, b.basis]))

    def joined(matrices: list[np.ndarray], power: int) -> np.ndarray:
        """Return the block-diagonal matrix with blocks times powers of the amplitudes."""
        return scipy.linalg.block_diag(
            *(M * share**power for M, share in zip(matrices, shares, strict=True))
        )

    model = GaussianSSM(
        joined([m.A for m in pair], 0),
        factor @ joined([m.C for m in pair], 1),
        joined([m.Q for m in pair], 0),
        symmetrize(factor @ joined([m.R for m in pair], 2) @ factor.T),
        joined([m.S for m in pair], 1) @ factor.T,
        dt=pair[0].dt,
    )
    return DynamicTexture(
        ((1 - weight) * a.mean + weight * b.mean).astype(np.float32),
        basis,
        model,
        a.shape,
        a.fps,
        carry=(1 - weight) * a.carry + weight * b.carry,
        info={"blend": f"{1 - weight:g} and {weight:g} of two textures"},
    )


def scale_detail(texture: DynamicTexture, gain: float, *, size: float = 2.0) -> DynamicTexture:
    """Return the texture with the fine structure of its motion amplified or removed.

    Parameters
    ----------
    texture : DynamicTexture
        Any texture.
    gain : float
        What structure finer than `size` is multiplied by: 0 leaves the coarse motion only, 2
        sharpens.
    size : float, default 2.0
        Standard deviation, in pixels, of the Gaussian that separates coarse from fine.

    Returns
    -------
    DynamicTexture
        With filtered basis images; the mean frame is kept.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If `gain` is negative, `size` is not positive, or one of them is not below 10000.

    See Also
    --------
    intensify : All of the motion.

    Examples
    --------
    >>> import numpy as np
    >>> from identification.dynamic_texture import learn, scale_detail, synthesize
    >>> rng = np.random.default_rng(0)
    >>> texture = learn(128 + 20 * rng.standard_normal((60, 32, 32)), 4)
    >>> sharp, soft = (synthesize(t, 50, rng=1) for t in (texture, scale_detail(texture, 0.0)))
    >>> def steps(film):
    ...     return np.diff(film.astype(float) - film.mean(axis=0), axis=1).std()
    >>> bool(steps(soft) < 0.2 * steps(sharp))
    True
    """
    as_instance("texture", texture, (DynamicTexture,))
    size = as_real("size", size, above=0, below=LARGEST)
    if (gain := as_real("gain", gain, below=LARGEST)) < 0:
        raise ValueError(f"`gain` must not be negative; got {gain:g}.")
    from scipy.ndimage import gaussian_filter

    images = np.empty_like(texture.basis)
    for k, image in enumerate(texture.basis.T):
        picture = image.reshape(texture.frame_shape)
        coarse = gaussian_filter(picture, (size, size, 0), mode="nearest")
        images[:, k] = (coarse + gain * (picture - coarse)).ravel()
    basis, factor = _independent(images)
    model = to_gaussian(texture.model)
    model = replace(
        model,
        C=factor @ model.C,
        R=symmetrize(factor @ model.R @ factor.T),
        S=model.S @ factor.T,
        D=None,
    )
    return replace(texture, basis=basis, model=model)


def _louder(model: GaussianSSM | InnovationSSM, power: float) -> GaussianSSM | InnovationSSM:
    """Return the model with its noise covariances multiplied."""
    if isinstance(model, InnovationSSM):
        return replace(model, Re=power * model.Re)
    return replace(model, Q=power * model.Q, R=power * model.R, S=power * model.S)


def _independent(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an orthonormal basis of the span of columns, and their coordinates in it."""
    gram = np.asarray(images.T @ images, dtype=float)
    values, vectors = np.linalg.eigh(gram)
    kept = values > DEPENDENT * values[-1]
    scale, V = np.sqrt(values[kept]), vectors[:, kept]
    basis, factor = orthonormal(images @ (V / scale).astype(np.float32))
    basis.setflags(write=False)
    return basis, factor @ (V * scale).T


def _neighbour(model: GaussianSSM, speed: float, error: NotEmbeddable) -> GaussianSSM:
    """Return a model near to one that does not exist, with the stationary covariance of `model`."""
    P = solve_lyapunov(model.A, model.Q, dt=model.dt)
    if np.isfinite(error.violation):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            near = retime(model, speed, nearest=True)
    else:
        near = _real_power(model, speed, P)
    values, vectors = np.linalg.eigh(P)
    kept = values > 1e-12 * values[-1]
    size = np.sqrt(values[kept])
    F, inverse = vectors[:, kept] * size, (vectors[:, kept] / size).T
    step = inverse @ near.A @ F
    reached = solve_lyapunov(step, symmetrize(inverse @ near.Q @ inverse.T), dt=model.dt)
    spread, axes = np.linalg.eigh(reached)
    T, back = (axes / np.sqrt(spread)) @ axes.T, (axes * np.sqrt(spread)) @ axes.T
    changed = T @ step @ back
    left, right = F @ T @ inverse, F @ back @ inverse
    warnings.warn(
        f"no process of this order exists at speed {speed:g}: a neighbour is used, with the same "
        f"stationary covariance; correlations from frame to frame differ by up to "
        f"{100 * np.linalg.norm(changed - step, 2):.2g} %.",
        NumericalWarning,
        stacklevel=3,
    )
    return replace(
        near,
        A=left @ near.A @ right,
        Q=symmetrize(left @ near.Q @ left.T),
        S=left @ near.S,
    )


def _real_power(model: GaussianSSM, speed: float, P: np.ndarray) -> GaussianSSM:
    """Return the model of A^speed, of eigenvalues without a real power the real part.

    The noise covariance is the nearest one to P - A_h P A_h' with the correlation to the
    coordinates' noise that the model has.
    """
    values, vectors = np.linalg.eig(model.A)
    powers = np.where(values == 0, 0, values.astype(complex) ** speed)
    A = np.linalg.solve(vectors.T, (vectors * powers).T).T.real
    S = A @ np.linalg.pinv(model.A) @ model.S
    exact = symmetrize(P - A @ P @ A.T)
    known = symmetrize(S @ np.linalg.pinv(model.R, hermitian=True) @ S.T)
    spread, axes = np.linalg.eigh(exact - known)
    Q = known + (axes * spread.clip(min=0.0)) @ axes.T
    return replace(model, A=A, Q=Q, S=S)
