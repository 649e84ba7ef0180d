"""Clips in Dask arrays: the same texture as from the array itself, wherever the strips are."""

from __future__ import annotations

import os

import numpy as np
import pytest
from textures import known_clip, known_texture

from identification.dynamic_texture import evaluate, learn, read_video
from identification.dynamic_texture import strips as strips_module
from identification.dynamic_texture.decomposition import decompose

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")
import dask.array as da  # noqa: E402

STRIPS = {
    "whole": (60, 12, 10, 3),
    "strips": (60, 5, 10, 3),
    "tiles": (60, 5, 4, 3),
    "times": (25, 12, 10, 3),
    "all ways": (17, 7, 6, 2),
}


@pytest.fixture(scope="module")
def clip():
    """Return 60 noisy colour frames."""
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((60, 8)).cumsum(axis=0) * 0.7 ** np.arange(8)
    y = 120 + 6 * factors @ rng.standard_normal((8, 360)) + 2 * rng.standard_normal((60, 360))
    return np.clip(np.rint(y), 0, 255).astype(np.uint8).reshape(60, 12, 10, 3)


@pytest.fixture(autouse=True)
def synchronous():
    """Run Dask's tasks one after the other."""
    with dask.config.set(scheduler="synchronous", **{"array.chunk-size": "8 kB"}):
        yield


def check_same(found, wanted, order=5):
    """Compare two decompositions of one clip."""
    assert np.abs(found.mean - wanted.mean).max() < 1e-4
    gram, expected = found.z @ found.z.T, wanted.z @ wanted.z.T
    assert np.abs(gram - expected).max() < 1e-6 * np.abs(expected).max()
    parts = [basis @ z.T for basis, z in (found.images(order), wanted.images(order))]
    assert np.linalg.norm(parts[0] - parts[1]) < 1e-5 * np.linalg.norm(parts[1])


@pytest.mark.parametrize("chunks", STRIPS.values(), ids=STRIPS)
@pytest.mark.parametrize(
    "options",
    [{}, {"grey": True}, {"crop": (1, 2, 9, 7), "start": 3, "stride": 2}, {"size": (6, 6)}],
    ids=["plain", "grey", "cut", "resized"],
)
def test_strips_give_the_decomposition(clip, chunks, options):
    source = read_video(da.from_array(clip, chunks=chunks), **options)
    wanted = read_video(clip, **options)
    assert (source.shape, source.dtype, source.length) == (
        wanted.shape,
        wanted.dtype,
        wanted.length,
    )
    assert (source.strips is None) == ("size" in options)
    check_same(decompose(source, 8), decompose(wanted, 8))
    assert np.array_equal(np.vstack(list(source.blocks(7))), np.vstack(list(wanted.blocks(7))))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_other_numbers(clip, dtype):
    frames = clip[..., 0].astype(dtype) * (257 if dtype == np.uint16 else 1)
    source = read_video(da.from_array(frames, chunks=(60, 4, 5)))
    check_same(decompose(source, 8), decompose(read_video(frames), 8))


def test_textures_are_the_same(monkeypatch):
    clip = known_clip(known_texture(colour=True), 200)
    array = da.from_array(clip, chunks=(50, 6, *clip.shape[2:]))
    found, wanted = learn(read_video(array, fps=30), 4), learn(read_video(clip, fps=30), 4)
    assert found.fps == 30
    angles = [np.sort(np.angle(np.linalg.eigvals(texture.model.A))) for texture in (found, wanted)]
    assert angles[0] == pytest.approx(angles[1], abs=1e-6)
    monkeypatch.setattr(strips_module, "READ", 1 << 14)
    numbers = [evaluate(found, array), evaluate(wanted, clip)]
    assert numbers[0].one_step_psnr == pytest.approx(numbers[1].one_step_psnr, abs=1e-3)


@pytest.mark.slow
def test_strips_are_reduced_by_worker_processes(clip, tmp_path):
    def made(block):
        (tmp_path / str(os.getpid())).touch()
        return block

    array = da.from_array(clip, chunks=(60, 4, 10, 3)).map_blocks(made, dtype=np.uint8)
    source = read_video(array)
    for mark in tmp_path.iterdir():
        mark.unlink()  # the first frame was looked at here
    with dask.config.set(scheduler="processes", num_workers=2):
        found = decompose(source, 8)
        assert str(os.getpid()) not in {mark.name for mark in tmp_path.iterdir()}
        check_same(found, decompose(read_video(clip), 8))


def test_wrong_arrays(clip):
    with pytest.raises(ValueError, match=r"`video` must have shape \(T, H, W\)"):
        read_video(da.from_array(clip[0, :, :, 0]))
    unknown = da.from_array(clip)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        read_video(unknown[unknown[:, 0, 0, 0] > 3])
    with pytest.raises(ValueError, match="1 channel or 3; got 2"):
        read_video(da.from_array(clip[..., :2]))
    with pytest.raises(ValueError, match=r"`crop` .* must lie inside"):
        read_video(da.from_array(clip), crop=(0, 0, 50, 2))
    holed = clip.astype(float)
    holed[7, 3, 3] = np.nan
    with pytest.raises(ValueError, match="frame 7 does not"):
        learn(da.from_array(holed, chunks=(60, 4, 10, 3)), 3)
    with pytest.raises(ValueError, match="has no frame to read"):
        read_video(da.from_array(clip), start=60)
