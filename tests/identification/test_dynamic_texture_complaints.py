"""Bad input to dynamic textures: every complaint names what is wrong, and no NaN passes."""

import re

import numpy as np
import pytest
from clips import frames_of, smooth_clip, write
from PIL import Image
from textures import known_clip, known_texture

from identification.dynamic_texture import DynamicTexture, evaluate, learn, read_video, synthesize

TEXTURE = known_texture()
CLIP = known_clip(TEXTURE, 20)


@pytest.mark.parametrize("size", [1e10, 1e150, 1e300])
def test_pixels_that_cannot_be_squared(size):
    clip = np.ones((12, *TEXTURE.shape))
    clip[3, 2, 1] = -size
    message = re.escape(f"255 is white, within 1e+09; frame 3 goes to {size:.3g}")
    for call in (learn, lambda clip: evaluate(TEXTURE, clip), frames_of):
        with pytest.raises(ValueError, match=f"`video` must hold grey levels, {message}"):
            call(clip)
    with pytest.raises(ValueError, match="`start` must hold grey levels"):
        synthesize(TEXTURE, 3, start=clip)


@pytest.mark.parametrize(
    ("video", "error", "match"),
    [
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 4))], ValueError, "frame 1 is .* float64"),
        ([[[1, 2], [3]]], TypeError, "`video` must be an array of numbers; numpy says: setting"),
        (np.ma.masked_array(np.ones((3, 4, 4)), np.eye(4) > [[[0]]] * 3), ValueError, "masked pix"),
        (
            [np.zeros((4, 4)), np.full((4, 4), np.nan)],
            ValueError,
            "finite numbers; frame 1 does not",
        ),
        (np.zeros((3, 4, 4), complex), TypeError, "`video` must hold uint8.* got complex128"),
        (np.zeros((3, 4, 4), np.float16), TypeError, "`video` must hold uint8.* got float16"),
    ],
)
def test_nasty_frames(video, error, match):
    with pytest.raises(error, match=match):
        frames_of(video)


def test_tensors_that_carry_a_gradient_are_detached_first():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"numpy says: .*requires grad"):
        read_video(torch.zeros(3, 4, 4, requires_grad=True))


def test_clips_too_short_or_still():
    for frames in (1, 2):
        with pytest.raises(ValueError, match="at least 3 frames, to have dynamics"):
            learn(CLIP[:frames], 1)
    with pytest.raises(ValueError, match="`video` must change"):
        learn(np.zeros((9, 1, 1)), 1)
    pixel = np.random.default_rng(0).random((30, 1, 1)) * 255
    assert learn(pixel, 1).shape == (1, 1)


@pytest.mark.parametrize("stable", [False, 0, None])
def test_what_is_not_measured_is_not_told_as_nan(stable):
    texture = learn(CLIP, 3, stable=stable)
    assert all(np.isfinite(v) for v in texture.info.values() if isinstance(v, float))
    assert "relative distance of the stationary covariance" in learn(CLIP, 3).info


def test_wrong_starts():
    with pytest.raises(TypeError, match="`start` must be real grey levels; got complex numbers"):
        synthesize(TEXTURE, 3, start=CLIP + 1j)
    with pytest.raises(ValueError, match="`start` must be finite; found NaN"):
        synthesize(TEXTURE, 3, start=CLIP * np.nan)


@pytest.mark.parametrize("horizons", [3, None, "12", 2.5, np.array(3)])
def test_horizons_are_a_list(horizons):
    with pytest.raises(TypeError, match=r"`horizons` must be a list of integers, as \[1, 5\]; got"):
        evaluate(TEXTURE, CLIP, horizons=horizons)


def test_horizons_beyond_the_clip_cost_nothing():
    assert evaluate(TEXTURE, CLIP, horizons=[2, 10**12]).horizons.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"shape": 24}, TypeError, r"`shape` must be \(H, W\) or \(H, W, 3\); got 24"),
        ({"singular_values": [np.nan]}, ValueError, "`singular_values` must be finite"),
        ({"singular_values": "ab"}, TypeError, "`singular_values` must be numeric"),
        ({"info": 3}, TypeError, "`info` must be a dict; got int"),
        ({"mean": [[1], [1, 2]]}, TypeError, "`mean` must be a numeric array"),
    ],
)
def test_wrong_records(change, error, match):
    names = ("mean", "basis", "model", "shape", "fps")
    fields = {name: getattr(TEXTURE, name) for name in names}
    with pytest.raises(error, match=match):
        DynamicTexture(**fields | change)


# damaged files ------------------------------------------------------------------------------


def read_damaged(path, data):
    """Return the complaint about a file with other content, None if it can be read."""
    path.write_bytes(data)
    try:
        frames_of(path)
    except (ValueError, TypeError) as error:
        return str(error)
    except UserWarning:  # truncated, and said
        return None
    return None


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".gif", ".mkv", ".mp4"])
def test_files_with_wrong_bytes_are_named(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    if suffix in (".mkv", ".mp4"):
        pytest.importorskip("av")
    if suffix == ".npy":
        np.save(path, smooth_clip(8, 16, 16))
    else:
        write(path, smooth_clip(8, 16, 16))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    found = [read_damaged(path, whole[: len(whole) * k // 20]) for k in range(20)]
    for _ in range(60):
        data, at = bytearray(whole), int(rng.integers(0, min(len(whole), 300)))
        data[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        found.append(read_damaged(path, bytes(data)))
    said = [text for text in found if text is not None]
    assert len(said) > 10
    assert all("clip" in text or "`video`" in text for text in said), said


@pytest.mark.parametrize("fps", [0.0, -3.0, np.nan, np.inf])
def test_rates_in_files_are_positive(tmp_path, fps):
    np.savez(tmp_path / "a.npz", frames=CLIP, fps=fps)
    with pytest.raises(ValueError, match=r"the array 'fps' of a\.npz must be positive; it holds"):
        read_video(tmp_path / "a.npz")


def test_rates_in_files_are_numbers(tmp_path):
    for fps in ([1.0, 2.0], 1j, "fast"):
        np.savez(tmp_path / "a.npz", frames=CLIP, fps=fps)
        with pytest.raises(ValueError, match=r"a\.npz is damaged or no \.npz file"):
            read_video(tmp_path / "a.npz")


def test_images_that_are_none(tmp_path):
    for number in range(3):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").unlink()
    (tmp_path / "1.png").mkdir()
    with pytest.raises(ValueError, match=r"1\.png is damaged .* Is a directory"):
        frames_of(tmp_path)


def test_pixels_that_overflow_when_they_are_resized():
    with pytest.raises(ValueError, match="`video` must hold finite numbers; frame 0 does not"):
        next(read_video(np.full((3, 4, 4), 1e300), size=(2, 2)).blocks(3))


def test_files_that_are_gone(tmp_path):
    source = read_video(write(tmp_path / "clip.npz", CLIP[..., np.newaxis]))
    (tmp_path / "clip.npz").unlink()
    with pytest.raises(ValueError, match=r"clip\.npz is damaged .* No such file"):
        list(source.blocks(4))
