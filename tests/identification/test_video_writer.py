"""Films to files: all or nothing, and what cannot be written is said."""

import os
import sys

import numpy as np
import pytest
from clips import frames_of, smooth_clip, write

from identification.dynamic_texture import open_writer, read_video


@pytest.mark.parametrize(
    ("name", "shape", "fps", "error", "message"),
    [
        ("a.mov", (4, 4, 3), 25, ValueError, r"must end in .mp4, .*got 'a.mov'"),
        ("a.npz", (4, 4, 2), 25, ValueError, r"\(H, W, 1\) or \(H, W, 3\); got \(4, 4, 2\)"),
        ("a.npz", (0, 4, 3), 25, ValueError, "`shape: height` must be at least 1"),
        ("a.npz", 3, 25, ValueError, r"`shape` must be \(height, width, channels\); got 3"),
        ("a.npz", (4, 4), 25, ValueError, r"`shape` must be .*; got \(4, 4\)"),
        ("a.npz", (4.0, 4, 3), 25, TypeError, "`shape: height` must be an integer; got 4.0"),
        (
            "a.npz",
            (4, 4, 3),
            0,
            ValueError,
            "`fps` must be finite and between 0.001 and",
        ),
        ("a.gif", (4, 4, 3), 60, ValueError, "at most 50"),
        ("a.gif", (4, 4, 3), 0.00101, ValueError, "more than one frame in 655 seconds"),
        (7, (4, 4, 3), 25, TypeError, "`path` must be a str or Path; got int"),
        ("no/a.npz", (4, 4, 3), 25, FileNotFoundError, "there is no folder"),
        ("full", (4, 4, 3), 25, ValueError, "the folder full must be empty"),
        ("folder.npz", (4, 4, 3), 25, IsADirectoryError, "folder.npz', is a folder"),
    ],
)
def test_wrong_targets(tmp_path, name, shape, fps, error, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.png").touch()
    (tmp_path / "folder.npz").mkdir()
    path = tmp_path / name if isinstance(name, str) else name
    with pytest.raises(error, match=message), open_writer(path, shape, fps):
        pass


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 4, 5, 3)), np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)],
)
def test_wrong_frames(tmp_path, frames):
    with open_writer(tmp_path / "a.npz", (4, 5, 3), 25) as writer:
        writer.write(np.zeros((1, 4, 5, 3), np.uint8))
        with pytest.raises(ValueError, match=r"must be uint8 of shape \(b, 4, 5, 3\); got"):
            writer.write(frames)
        with pytest.raises(TypeError, match="`frames` must be a ndarray; got list"):
            writer.write(frames.tolist())


@pytest.mark.parametrize("name", ["a.mp4", "a.npz", "a.gif", "a"])
def test_an_interrupted_run_leaves_the_old_file(tmp_path, name):
    if name == "a.mp4":
        pytest.importorskip("av")
    path, clip = tmp_path / name, smooth_clip()
    if path.suffix:
        write(path, clip)
        before = path.read_bytes()

    def run():
        with open_writer(path, clip.shape[1:], 25) as writer:
            writer.write(clip[:2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    if path.suffix:
        assert os.listdir(tmp_path) == [name]
        assert path.read_bytes() == before
    else:
        assert list(path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.npz", "a.gif"])
def test_no_frames_no_file(tmp_path, name):
    if name == "a.mp4":
        pytest.importorskip("av")
    with (
        pytest.raises(ValueError, match=f"no frame was written: {name} would be empty"),
        open_writer(tmp_path / name, (4, 4, 3), 25),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_missing_pyav_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ImportError, match=r'pip install "stochastic-realization\[video\]"'):
        read_video(tmp_path / "a.mp4")
    with pytest.raises(ImportError, match=r"stochastic-realization\[video\]"):
        open_writer(tmp_path / "b.mp4", (4, 4, 3), 25)
    clip = smooth_clip(3, 8, 8)
    np.testing.assert_array_equal(frames_of(write(tmp_path / "b.npz", clip)), clip)  # no need here


def test_missing_encoder_is_said(tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    from identification.dynamic_texture import containers

    assert av
    monkeypatch.setitem(containers.ENCODERS, ".mp4", ("no_such_encoder", {}, "gray", "bgr0"))
    with (
        pytest.raises(ValueError, match=r"has no encoder no_such_encoder for \.mp4"),
        open_writer(tmp_path / "a.mp4", (4, 4, 3), 25),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_names_that_are_too_long(tmp_path):
    path = tmp_path / ("x" * 249 + ".npz")  # the file, but not the one that it is written as
    with (
        pytest.raises(OSError, match=r"`path` must name a file that can be written.* too long"),
        open_writer(path, (8, 8, 3), 25) as writer,
    ):
        writer.write(smooth_clip(3, 8, 8))


@pytest.mark.parametrize("suffix", [".npz", ".gif", ".mp4", ""])
def test_a_film_is_written_within_its_with_statement(tmp_path, suffix):
    if suffix == ".mp4":
        pytest.importorskip("av")
    writer, clip = open_writer(tmp_path / f"a{suffix}", (8, 8, 3), 25), smooth_clip(3, 8, 8)
    assert list(tmp_path.iterdir()) == []  # nothing is open yet
    with pytest.raises(ValueError, match=rf"a{suffix} is not open: write within `with open_wr"):
        writer.write(clip)
    with writer:
        writer.write(clip)
    with pytest.raises(ValueError, match="is not open"):
        writer.write(clip)
    assert len(frames_of(tmp_path / f"a{suffix}")) == 3


@pytest.mark.parametrize("suffix", [".npz", ".gif", ".mkv", ""])
def test_places_that_cannot_be_written(suffix):
    if suffix == ".mkv":
        pytest.importorskip("av")
    path = f"/proc/film{suffix}"
    if not os.path.isdir("/proc"):
        pytest.skip("a folder that nobody can write to is that of Linux")
    message = "`path` must name a file that can be written; '/proc/film|cannot be written: perm"
    with pytest.raises(OSError, match=message), open_writer(path, (8, 8, 3), 25) as writer:
        writer.write(smooth_clip(3, 8, 8))
