"""The record of a texture, edits of it, and its file."""

import re
from dataclasses import replace

import numpy as np
import pytest
from systems import random_innovation
from textures import known_clip, known_texture

from identification.dynamic_texture import (
    DynamicTexture,
    blend,
    change_speed,
    intensify,
    learn,
    load,
    save,
    scale_detail,
    synthesize,
)
from identification.dynamic_texture.frame_products import FrameProducts
from realization import GaussianSSM, LinearSSM, autocovariance, to_covariance


def make(model, seed=0, shape=(5, 6), **options):
    """Return a texture with a random basis."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((int(np.prod(shape)), model.n_outputs)))[0]
    return DynamicTexture(
        rng.uniform(50, 200, basis.shape[0]), basis, model, shape, 25.0, **options
    )


def in_pixels(texture, lags):
    """Return the autocovariances of the frames."""
    U = texture.basis.astype(float)
    return U @ autocovariance(texture.model, lags) @ U.T


class TestRecord:
    def test_is_read_only_and_shares_what_cannot_change(self):
        texture = known_texture()
        assert texture.basis.dtype == texture.mean.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            texture.basis[0, 0] = 1.0
        assert replace(texture, fps=30.0).basis is texture.basis
        mine = np.array(texture.mean)
        copy = replace(texture, mean=mine)
        mine[:] = 0
        assert copy.mean[0] == 128

    def test_says_what_it_is(self):
        colour, grey = known_texture(colour=True), known_texture()
        assert repr(colour) == "DynamicTexture(4 states, 24 x 32 x 3, 25 fps)"
        assert (grey.frame_shape, colour.frame_shape) == ((24, 32, 1), (24, 32, 3))
        assert grey.n_states == 4
        assert grey.spectral_radius == pytest.approx(0.95)
        # mean, basis, A, and the factor of a noise covariance of full rank
        assert grey.n_parameters == 768 * 5 + 16 + 16
        assert re.search(r"\n  spectral radius +0\.9500, in both", grey.summary())

    def test_parameters_of_an_innovations_model(self):
        model = random_innovation(np.random.default_rng(0), 3, 0, 2)
        assert make(model).n_parameters == 30 * 3 + 9 + 3 * 2 + 3 * 2 + 3 * 2

    @pytest.mark.parametrize("kind", ["closed_form", "subspace"])
    def test_file(self, tmp_path, kind):
        texture = learn(known_clip(known_texture(), 150), 3, method=kind)
        save(texture, tmp_path / "texture.npz")
        back = load(tmp_path / "texture.npz")
        assert isinstance(back, DynamicTexture)
        assert back.info.keys() == texture.info.keys()
        assert back.summary() == texture.summary()
        assert np.array_equal(synthesize(back, 9, rng=0), synthesize(texture, 9, rng=0))

    def test_file_of_products(self, tmp_path):
        save(FrameProducts(np.eye(3), 7), tmp_path / "part.npz")
        assert load(tmp_path / "part.npz").n_pixels == 7

    def test_wrong_parts(self):
        good = known_texture()
        mean, basis, model, shape = good.mean, good.basis, good.model, good.shape
        with pytest.raises(ValueError, match=r"`shape` must be \(H, W\) or \(H, W, 3\)"):
            DynamicTexture(mean, basis, model, (24, 32, 1), 25.0)
        with pytest.raises(TypeError, match="`model` must be a GaussianSSM or InnovationSSM"):
            DynamicTexture(mean, basis, LinearSSM(model.A, model.A, model.C), shape, 25.0)
        with pytest.raises(ValueError, match="`model` must have no inputs; got 1"):
            DynamicTexture(mean, basis, replace(model, B=np.ones((4, 1)), D=None), shape, 25.0)
        with pytest.raises(ValueError, match=r"`mean` must have shape \(768,\) for a frame"):
            DynamicTexture(mean[1:], basis, model, shape, 25.0)
        with pytest.raises(ValueError, match=r"`basis` must have shape \(768, 4\) for a frame"):
            DynamicTexture(mean, basis[:, :3], model, shape, 25.0)
        with pytest.raises(ValueError, match="`basis` must have orthonormal columns"):
            DynamicTexture(mean, 2 * basis, model, shape, 25.0)
        with pytest.raises(ValueError, match="`mean` must be finite"):
            DynamicTexture(mean * np.nan, basis, model, shape, 25.0)
        with pytest.raises(TypeError, match="`mean` must be real numbers"):
            DynamicTexture(mean * 1j, basis, model, shape, 25.0)
        with pytest.raises(ValueError, match="`carry` must be between 0 and 1"):
            DynamicTexture(mean, basis, model, shape, 25.0, carry=1.1)
        with pytest.raises(ValueError, match="`fps` must be finite and above 0"):
            DynamicTexture(mean, basis, model, shape, 0.0)


class TestIntensify:
    def test_both_kinds_of_model(self):
        innovations = make(random_innovation(np.random.default_rng(0), 3, 0, 2))
        for texture in (known_texture(), innovations):
            loud = intensify(texture, 1.5)
            assert autocovariance(loud.model, 4) == pytest.approx(
                2.25 * autocovariance(texture.model, 4)
            )

    def test_wrong_gain(self):
        with pytest.raises(ValueError, match="`gain` must be finite and between 0 and 10000"):
            intensify(known_texture(), 0)
        with pytest.raises(TypeError, match="`texture` must be a DynamicTexture"):
            intensify(3, 2.0)


class TestBlend:
    @pytest.mark.parametrize("second", ["other", "overlapping", "same", "innovations"])
    def test_covariances_are_weighted_means(self, second):
        a = make(GaussianSSM([[0.9, 0.2], [-0.2, 0.8]], np.eye(2), np.eye(2), np.zeros((2, 2))))
        slow = GaussianSSM([[0.5]], [[2.0]], [[1.0]], [[0.3]], [[0.1]])
        b = {
            "other": make(slow, seed=1),
            "overlapping": replace(make(slow), basis=np.array(a.basis[:, :1])),
            "same": a,
            "innovations": make(random_innovation(np.random.default_rng(0), 3, 0, 2), seed=2),
        }[second]
        mixed = blend(a, b, 0.3)
        wanted = 0.7 * in_pixels(a, 3) + 0.3 * in_pixels(b, 3)
        assert np.abs(in_pixels(mixed, 3) - wanted).max() < 1e-5 * np.abs(wanted).max()
        assert mixed.mean == pytest.approx(0.7 * a.mean + 0.3 * b.mean, rel=1e-6)
        assert mixed.n_states == a.n_states + b.n_states
        assert synthesize(mixed, 40, start=synthesize(mixed, 3, rng=1), rng=0).std() > 0

    def test_ends(self):
        a, b = known_texture(), change_speed(known_texture(), 2)
        assert blend(a, b, 0) is a
        assert blend(a, b, 1) is b

    def test_wrong_pairs(self):
        a = known_texture()
        with pytest.raises(ValueError, match="must have frames of one shape"):
            blend(a, known_texture(colour=True), 0.5)
        with pytest.raises(ValueError, match=r"one frame rate; got 25 and 30. With change_speed"):
            blend(a, replace(a, fps=30.0), 0.5)
        with pytest.raises(ValueError, match="`weight` must be between 0 and 1; got 2"):
            blend(a, a, 2)
        with pytest.raises(TypeError, match="`b` must be a DynamicTexture"):
            blend(a, a.model, 0.5)


class TestScaleDetail:
    def test_filters_what_moves(self):
        from scipy.ndimage import gaussian_filter

        texture = known_texture(colour=True)
        for gain in (0.0, 0.5, 3.0):
            edited = scale_detail(texture, gain, size=1.5)
            U = texture.basis.astype(float).reshape(24, 32, 3, 4)
            coarse = gaussian_filter(U, (1.5, 1.5, 0, 0), mode="nearest")
            images = (coarse + gain * (U - coarse)).reshape(-1, 4)
            wanted = images @ to_covariance(texture.model).Lambda0 @ images.T
            found = in_pixels(edited, 0)[0]
            assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
            assert np.array_equal(edited.mean, texture.mean)

    def test_innovations_model(self):
        texture = make(random_innovation(np.random.default_rng(0), 3, 0, 2))
        assert np.abs(in_pixels(scale_detail(texture, 1.0), 2) - in_pixels(texture, 2)).max() < 1e-5

    def test_wrong_options(self):
        with pytest.raises(ValueError, match="`gain` must not be negative"):
            scale_detail(known_texture(), -1.0)
        with pytest.raises(ValueError, match="`size` must be finite and between 0 and 10000"):
            scale_detail(known_texture(), 1.0, size=0)
