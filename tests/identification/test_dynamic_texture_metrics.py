"""Measures of a texture: each against its definition in pixels, and the goals on measured clips."""

import numpy as np
import pytest
from realdata import data_file
from textures import known_clip, known_texture

from identification.dynamic_texture import (
    change_speed,
    evaluate,
    frame_products,
    learn,
    read_video,
)
from realization import UnstableModelError, load, predict, save, to_covariance


def decibels(error):
    """Return the PSNR against 255 of an array of errors."""
    return 20 * np.log10(255) - 10 * np.log10(np.mean(error**2))


@pytest.fixture(scope="module")
def clips():
    """Return a noisy clip to learn from and one to measure on."""
    texture = known_texture()
    noise = 4 * np.random.default_rng(0).standard_normal((320, 24, 32))
    for t in range(1, 320):
        noise[t] += 0.6 * noise[t - 1]
    y = known_clip(texture, 320) + noise
    clip = np.clip(np.rint(y), 0, 255).astype(np.uint8)
    return clip[:200], clip[200:]


@pytest.mark.parametrize("held", [1 << 30, 20 * 768])
@pytest.mark.parametrize("method", ["closed_form", "subspace"])
def test_errors_are_those_in_pixels(clips, monkeypatch, held, method):
    texture = learn(clips[0], 4, method=method)
    assert texture.carry > 0.3
    monkeypatch.setattr(frame_products, "READ", held)
    metrics = evaluate(texture, clips[1], horizons=(1, 3, 30, 400))
    y = clips[1].reshape(120, -1) - texture.mean.astype(float)
    U = texture.basis.astype(float)
    z = y @ U
    rest = y - z @ U.T
    assert list(metrics.horizons) == [1, 3, 30]
    for k, found, persistence in zip(
        (1, 3, 30), metrics.step_psnr, metrics.step_persistence_psnr, strict=True
    ):
        if method == "closed_form":
            ahead = z[:-k] @ np.linalg.matrix_power(texture.model.A, k).T
        else:
            ahead = predict(texture.model, z, horizon=k)[k:]
        miss = y[k:] - ahead @ U.T
        assert found == pytest.approx(decibels(miss - texture.carry**k * rest[:-k]), abs=1e-3)
        assert persistence == pytest.approx(decibels(y[k:] - y[:-k]), abs=1e-3)
        if k == 1:
            assert metrics.plain_psnr == pytest.approx(decibels(miss), abs=1e-3)
            assert (metrics.one_step_psnr, metrics.persistence_psnr) == (found, persistence)
    assert metrics.one_step_psnr > metrics.plain_psnr
    assert metrics.reconstruction_psnr == pytest.approx(decibels(rest), abs=1e-3)
    assert metrics.mean_psnr == pytest.approx(decibels(y), abs=1e-3)
    variance = np.trace(to_covariance(texture.model).Lambda0)
    assert metrics.covariance_ratio == pytest.approx(variance / np.mean(np.sum(z**2, 1)), rel=1e-4)
    assert metrics.spectral_radius == pytest.approx(metrics.reverse_spectral_radius, rel=1e-6)
    assert metrics.compression == pytest.approx(120 * 768 / texture.n_parameters)
    assert metrics.n_frames == 120
    assert metrics.synthesis_fps > 0


def test_spectra_of_the_right_texture_agree(clips):
    long = known_clip(known_texture(), 4000)
    metrics = evaluate(known_texture(), long)
    # two smoothed periodograms of 4000 frames in windows of 1000: about 3 dB where one mode rules
    assert metrics.spectrum_distance < 3
    other = evaluate(change_speed(known_texture(), 3), long)
    assert other.spectrum_distance > 2 * metrics.spectrum_distance
    peak = metrics.frequencies[np.argmax(metrics.model_spectrum)]
    assert 2 * np.pi * peak / 25 == pytest.approx(0.4, abs=0.01)
    assert metrics.frequencies[-1] == pytest.approx(12.5)


def test_is_saved_and_told(clips, tmp_path):
    metrics = evaluate(learn(clips[0], 2), clips[1])
    assert repr(metrics).startswith("TextureMetrics(one step ")
    assert "one step ahead" in metrics.summary()
    save(metrics, tmp_path / "metrics.npz")
    assert load(tmp_path / "metrics.npz").summary() == metrics.summary()


def test_wrong_calls(clips):
    texture = learn(clips[0], 2)
    with pytest.raises(ValueError, match=r"frames of the texture's shape \(24, 32, 1\)"):
        evaluate(texture, np.zeros((5, 24, 32, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="at least 2 frames to measure predictions; got 1"):
        evaluate(texture, clips[1][:1])
    with pytest.raises(ValueError, match="`horizons` must be at least 1; got 0"):
        evaluate(texture, clips[1], horizons=(0,))
    with pytest.raises(TypeError, match="`texture` must be a DynamicTexture"):
        evaluate(texture.model, clips[1])
    drifting = learn(np.cumsum(np.ones((20, 3, 4)), axis=0) ** 2, 1, stable=False)
    with pytest.raises(UnstableModelError):
        evaluate(drifting, np.zeros((20, 3, 4)))


@pytest.mark.parametrize(
    ("name", "step"), [("stream-of-water.mp4", 2), ("fountain_6486110.avi", 1), ("fire_pot.avi", 4)]
)
def test_measured_clips(name, step):
    pytest.importorskip("av")
    path = data_file("video", name)
    frames = np.concatenate(
        [block[:, ::step, ::step] for block in read_video(path, stop=130).blocks(16)]
    )
    half = len(frames) // 2
    texture = learn(frames[:half], 20)
    assert texture.info["growth of the one-step error"] <= 0.01
    metrics = evaluate(texture, frames[half:])
    assert max(metrics.spectral_radius, metrics.reverse_spectral_radius) < 1
    assert metrics.one_step_psnr > metrics.persistence_psnr - 0.3
    assert metrics.one_step_psnr > metrics.plain_psnr
    assert evaluate(texture, frames[:half]).covariance_ratio == pytest.approx(1, abs=1e-3)
