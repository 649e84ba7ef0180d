"""A dynamic texture whose model is known, and clips of it."""

from __future__ import annotations

import numpy as np
import scipy

from identification.dynamic_texture import DynamicTexture
from realization import GaussianSSM, simulate

SHAPE = (24, 32)
POLES = 0.95 * np.exp(0.4j), 0.9 * np.exp(1.1j)


def known_texture(*, colour: bool = False) -> DynamicTexture:
    """Return a texture of two turning waves: four states, four smooth basis images.

    The stationary covariance of the state is diagonal, with deviations in the ratio 1 to 0.6, so
    that the basis images are the principal components.
    """
    blocks = [abs(p) * np.array([[p.real, -p.imag], [p.imag, p.real]]) / abs(p) for p in POLES]
    A = scipy.linalg.block_diag(*blocks)
    shape = (*SHAPE, 3) if colour else SHAPE
    pixels = int(np.prod(shape))
    deviations = 10.0 * np.sqrt(pixels / 4) * np.array([1.0, 0.9, 0.6, 0.5])
    P = np.diag(deviations**2)
    scale = np.diag(deviations)
    A = scale @ A @ np.linalg.inv(scale)  # contracts in units of the deviations
    row, column = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    angles = 2 * np.pi * (column / SHAPE[1] + np.array([0, 0.25])[:, None, None])
    images = [*np.sin(angles), *np.sin(angles + 2 * np.pi * (column / SHAPE[1] + row / SHAPE[0]))]
    basis = np.stack([image.ravel() for image in images], axis=1)
    if colour:
        tint = np.array([[1.0, 0.6, 0.3], [1.0, 0.6, 0.3], [0.3, 0.6, 1.0], [0.3, 0.6, 1.0]])
        basis = np.stack([np.outer(c, t).ravel() for c, t in zip(basis.T, tint, strict=True)], 1)
    basis = np.linalg.qr(basis)[0]
    model = GaussianSSM(A, np.eye(4), P - A @ P @ A.T, np.zeros((4, 4)), dt=1 / 25)
    return DynamicTexture(np.full(pixels, 128.0), basis, model, shape, 25.0)


def known_clip(texture: DynamicTexture, frames: int) -> np.ndarray:
    """Return frames of a texture as they would be filmed: rounded to uint8."""
    z = simulate(texture.model, steps=frames, noise=True, rng=0).y
    y = texture.mean + z @ texture.basis.T.astype(float)
    return np.clip(np.rint(y), 0, 255).astype(np.uint8).reshape(frames, *texture.shape)


def drifting_clip(frames: int = 60) -> np.ndarray:
    """Return a clip that drifts and grows, as floats: least squares finds it unstable."""
    generator = np.random.default_rng(0)
    t = np.linspace(0.0, 1.0, frames)
    paths = np.stack([np.exp(1.5 * t), t**2, np.sin(2 * np.pi * t)], axis=1)
    paths += 0.02 * generator.standard_normal(paths.shape).cumsum(axis=0)
    images = generator.standard_normal((3, 12 * 16))
    y = 100 + 10 * paths @ images + 0.5 * generator.standard_normal((frames, 12 * 16))
    return y.reshape(frames, 12, 16)
