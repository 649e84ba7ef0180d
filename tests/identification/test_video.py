"""Clips in and out: what is written is what is read, and what cannot be read is said."""

import os
import struct
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from clips import frames_of, psnr, smooth_clip, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from identification.dynamic_texture import open_writer, read_video

CONTAINERS = (".mp4", ".webm", ".mkv", ".avi")


# arrays and iterators -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    frames=st.integers(1, 9),
    start=st.integers(0, 8),
    stop=st.none() | st.integers(1, 12),
    stride=st.integers(1, 4),
    size=st.integers(1, 5),
    channels=st.sampled_from([0, 1, 3]),
    kind=st.sampled_from(["array", "list", "generator"]),
)
def test_selection_is_that_of_slices(frames, start, stop, stride, size, channels, kind):
    shape = (frames, 3, 4) + ((channels,) if channels else ())
    clip = np.random.default_rng(frames).integers(0, 256, shape, dtype=np.uint8)
    video = {"array": clip, "list": list(clip), "generator": iter(clip)}[kind]
    want = clip.reshape(frames, 3, 4, -1)[start:stop:stride]
    options = {"start": start, "stop": stop, "stride": stride, "fps": 50.0}
    if len(want) == 0:
        with pytest.raises(ValueError, match="no frame to read"):
            read_video(video, **options)
        return
    source = read_video(video, **options)
    assert source.shape == want.shape[1:]
    assert source.fps == 50 / stride
    assert source.length == len(want)
    for _ in range(2):  # read again
        blocks = list(source.blocks(size))
        assert {len(block) for block in blocks[:-1]} <= {size}
        np.testing.assert_array_equal(np.concatenate(blocks), want)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_crop_and_grey(dtype):
    clip = (np.random.default_rng(1).random((4, 6, 7, 3)) * 255).astype(dtype)
    back = frames_of(clip, crop=(1, 2, 4, 5), grey=True)
    units = clip / 257 if dtype == np.uint16 else clip.astype(float)
    luma = (units[:, 1:5, 2:7] @ [0.299, 0.587, 0.114])[..., None]
    assert back.shape == (4, 4, 5, 1)
    assert np.abs(back - luma).max() <= (0.5 + 1e-4 if dtype == np.uint8 else 1e-4)


def test_sixteen_bits_lose_nothing():
    clip = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    back = frames_of(clip)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(np.rint(back[..., 0] * 257), clip)
    assert back.max() == 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resize_keeps_constants_and_means(channels, dtype):
    flat = np.full((2, 30, 41, channels), 77, dtype)
    source = read_video(flat, size=(8, 11))
    assert source.shape == (8, 11, channels)
    assert np.all(next(source.blocks(2)) == 77)
    clip = smooth_clip(1, channels=channels).astype(dtype)
    small = next(read_video(clip, size=(17, 23)).blocks(1))
    assert small.dtype == dtype
    assert abs(small.mean() - clip.mean()) < 0.5


def test_arrays_are_not_copied_and_not_changed():
    clip = smooth_clip()
    block = next(read_video(clip, crop=(2, 2, 8, 8), stride=2).blocks(3))
    assert np.shares_memory(block, clip)


def test_a_source_is_taken_as_it_is():
    source = read_video(smooth_clip())
    assert read_video(source) is source
    with pytest.raises(ValueError, match="`video` is open already"):
        read_video(source, stride=2)


def test_iterator_is_taken_only_as_far_as_needed():
    source = read_video(iter([*smooth_clip(3), "not a frame"]), stop=3)
    assert source.length == 3


def test_iterator_frames_must_agree():
    with pytest.raises(ValueError, match=r"frame 1 is \(4, 5, 1\)"):
        read_video(iter([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)]))


@pytest.mark.parametrize(
    ("video", "error", "message"),
    [
        (np.zeros((4, 5), np.uint8), ValueError, r"must have shape \(T, H, W\).*got \(4, 5\)"),
        (np.zeros((2, 4, 5, 4), np.uint8), ValueError, r"time first; got \(2, 4, 5, 4\)"),
        (np.zeros((0, 4, 5), np.uint8), ValueError, "no frame to read"),
        (np.zeros((2, 0, 5), np.uint8), ValueError, "must have shape"),
        (np.zeros((2, 4, 5), int), TypeError, "uint8, uint16, float32 or float64.*got int64"),
        (iter([]), ValueError, "no frame to read"),
        (iter([np.zeros((4, 5, 4), np.uint8)]), ValueError, "1 channel or 3; got 4"),
        (iter(["frame"]), ValueError, "must have shape"),
        (7, TypeError, "got int"),
        (b"clip.mp4", TypeError, "got bytes"),
    ],
)
def test_wrong_videos(video, error, message):
    with pytest.raises(error, match=message):
        read_video(video)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start": -1}, ValueError, "`start` must be at least 0"),
        ({"stop": 0}, ValueError, "`stop` must be at least 1"),
        ({"stride": 0}, ValueError, "`stride` must be at least 1"),
        ({"fps": 0.0}, ValueError, "`fps` must be finite and above 0"),
        ({"start": 12}, ValueError, "no frame to read: start=12, stop=None, of 12"),
        (
            {"crop": (0, 0, 99, 5)},
            ValueError,
            r"inside the picture of 34 x 46; got \(0, 0, 99, 5\)",
        ),
        ({"crop": (0, 0, 5)}, ValueError, r"`crop` must be \(top, left, height, width\)"),
        ({"size": 5}, ValueError, r"`size` must be \(height, width\)"),
        ({"size": np.array(5)}, ValueError, r"`size` must be \(height, width\); got array"),
        ({"size": (0, 5)}, ValueError, "`size: height` must be at least 1"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        read_video(smooth_clip(), **options)


def test_not_finite():
    clip = np.zeros((5, 2, 2))
    clip[3, 1, 0] = np.nan
    with pytest.raises(ValueError, match="finite numbers; frame 3"):
        list(read_video(clip).blocks(2))


# files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".npz", "", ".mkv", ".avi"])
def test_lossless_round_trip(tmp_path, suffix, channels):
    if suffix in CONTAINERS:
        pytest.importorskip("av")
    clip = np.random.default_rng(2).integers(0, 256, (11, 9, 13, channels), dtype=np.uint8)
    path = write(tmp_path / f"clip{suffix}", clip, 30000 / 1001)
    source = read_video(path)
    assert source.shape == clip.shape[1:]
    assert source.length == 11
    assert source.fps == (30000 / 1001 if suffix else 25)  # a folder of images has no rate
    np.testing.assert_array_equal(frames_of(path), clip)
    np.testing.assert_array_equal(frames_of(path, start=2, stop=9, stride=3), clip[2:9:3])
    np.testing.assert_array_equal(frames_of(path, crop=(1, 2, 5, 6)), clip[:, 1:6, 2:8])
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("suffix", "least"), [(".mp4", 34), (".webm", 34), (".gif", 38)])
def test_lossy_round_trip(tmp_path, suffix, least, channels):
    if suffix in CONTAINERS:
        pytest.importorskip("av")
    clip = smooth_clip(channels=channels)
    source = read_video(write(tmp_path / f"clip{suffix}", clip))
    assert source.shape == (34, 46, 3)
    assert source.length == 12
    assert source.fps == 25
    assert psnr(frames_of(source), clip) > least


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 40, 90), (128, 128, 128)])
def test_constant_colours_survive(tmp_path, suffix, colour):
    av = pytest.importorskip("av")
    clip = np.broadcast_to(np.array(colour, np.uint8), (4, 16, 16, 3))
    path = write(tmp_path / f"c{suffix}", clip)
    assert np.abs(frames_of(path).astype(int) - clip).max() <= 4  # YCbCr has steps of 1 to 2
    with av.open(str(path)) as container:  # the file says what its numbers mean: Rec. 709
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_odd_sizes(tmp_path, suffix):
    pytest.importorskip("av")
    clip = smooth_clip(5, 33, 45)
    back = frames_of(write(tmp_path / f"clip{suffix}", clip))
    assert back.shape[1:] == ((34, 46, 3) if suffix == ".mp4" else (33, 45, 3))
    assert psnr(back[:, :33, :45], clip) > 36


@pytest.mark.parametrize(
    "rate",
    [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(15), Fraction(25, 2), Fraction(1)],
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_odd_frame_rates(tmp_path, suffix, rate):
    pytest.importorskip("av")
    source = read_video(write(tmp_path / f"clip{suffix}", smooth_clip(7), float(rate)))
    assert source.fps == float(rate)


@pytest.mark.parametrize("fps", [12, 25, 30, 50])
def test_gif_keeps_up_with_the_rate(tmp_path, fps):
    path = write(tmp_path / "clip.gif", smooth_clip(60, 8, 8), fps)
    assert abs(60 / read_video(path).fps - 60 / fps) <= 0.005


def test_folder_in_natural_order(tmp_path):
    for number in (1, 2, 10, 9):
        Image.new("L", (3, 2), number).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    assert frames_of(tmp_path)[:, 0, 0, 0].tolist() == [1, 2, 9, 10]


def test_images_of_every_mode(tmp_path):
    def shown(image, name):
        image.save(tmp_path / name)
        return frames_of(tmp_path / name)[0]

    half = Image.new("RGBA", (3, 2), (200, 100, 50, 128))
    np.testing.assert_allclose(shown(half, "rgba.png")[0, 0], [100, 50, 25], atol=1)
    np.testing.assert_allclose(shown(half.convert("LA"), "la.png")[0, 0], 62, atol=2)
    assert shown(Image.new("P", (3, 2), 0), "p.png").shape == (2, 3, 3)
    assert shown(Image.new("1", (3, 2), 1), "bit.png").tolist() == [[[255]] * 3] * 2
    deep = shown(Image.fromarray(np.full((2, 3), 65535, np.uint16)), "deep.png")
    assert deep.dtype == np.float32
    assert np.all(deep == 255)
    assert np.all(shown(Image.new("F", (3, 2), 12.5), "float.tif") == 12.5)


def test_images_of_different_sizes(tmp_path):
    for number in range(3):
        Image.new("L", (3 + (number == 2), 2)).save(tmp_path / f"{number}.png")
    source = read_video(tmp_path)
    with pytest.raises(ValueError, match=r"like the first, \(2, 3, 1\) uint8; found \(2, 4, 1\)"):
        list(source.blocks(2))
    assert next(read_video(tmp_path, size=(2, 3)).blocks(3)).shape == (3, 2, 3, 1)


def test_transparent_video_is_laid_over_black(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = 4, 2, "bgra"
        layers = np.full((2, 4, 4), (200, 100, 50, 128), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(layers, "rgba")))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(frames_of(tmp_path / "a.mkv")[0, 0, 0], [100, 50, 25], atol=1)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, 0, -1, 0, 0), -1), ((-1, 0, 0, 0, -1, 0), 2), ((0, -1, 0, 1, 0, 0), 1)],
)
def test_rotation_mark_is_obeyed(tmp_path, matrix, turns):
    pytest.importorskip("av")
    path = write(tmp_path / "phone.mp4", smooth_clip(3, 32, 64))
    upright = frames_of(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # the matrix of the track header, a b u c d v x y w
    data[at : at + 24] = struct.pack(">6i", *(number << 16 for number in matrix))
    path.write_bytes(data)
    np.testing.assert_array_equal(frames_of(path), np.rot90(upright, turns, axes=(1, 2)))


def test_npz_of_others(tmp_path):
    clip = smooth_clip()
    np.savez_compressed(tmp_path / "one.npz", anything=clip[..., 0])
    np.testing.assert_array_equal(frames_of(tmp_path / "one.npz"), clip[..., :1])
    np.save(tmp_path / "clip.npy", clip)
    np.testing.assert_array_equal(frames_of(tmp_path / "clip.npy", stride=5), clip[::5])
    np.savez(tmp_path / "two.npz", A=clip, C=clip)
    with pytest.raises(ValueError, match=r"must hold an array 'frames'.*it holds A, C"):
        read_video(tmp_path / "two.npz")
    np.savez(tmp_path / "order.npz", frames=np.asfortranarray(clip))
    with pytest.raises(ValueError, match="in Fortran order"):
        read_video(tmp_path / "order.npz")
    np.savez(tmp_path / "flat.npz", frames=clip[0, :, :, 0])
    with pytest.raises(ValueError, match=r"flat\.npz must have shape"):
        read_video(tmp_path / "flat.npz")


@pytest.mark.parametrize("kind", [".npz", ".gif", "", ".mkv", "iterator"])
def test_a_clip_is_never_in_memory(tmp_path, kind):
    if kind == ".mkv":
        pytest.importorskip("av")
    shape, count = (60, 80, 3), 150
    picture = smooth_clip(1, 60, 80)[0]

    def clip():
        for number in range(count):
            yield np.roll(picture, number, axis=1)

    def write_all():
        with open_writer(tmp_path / f"clip{kind}", shape, 25) as writer:
            for frame in clip():
                writer.write(frame[None])

    def read_all():
        source = read_video(clip() if kind == "iterator" else tmp_path / f"clip{kind}")
        assert sum(len(frames) for frames in source.blocks(5)) == count

    # numpy writes .npz in pieces of 16 MB
    for work in [read_all] if kind == "iterator" else [write_all, read_all]:
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < count * picture.size * (1.2 if (kind, work) == (".npz", write_all) else 0.3)


# damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*CONTAINERS, ".gif", ".npz", ".npy"])
@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 20])
def test_unreadable_files(tmp_path, suffix, content):
    if suffix in CONTAINERS:
        pytest.importorskip("av")
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"clip{suffix}.*(FFmpeg|Pillow|\.np[yz] file)"):
        read_video(path)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_truncated_video(tmp_path, suffix):
    pytest.importorskip("av")
    clip = np.random.default_rng(3).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    path = write(tmp_path / f"clip{suffix}", clip)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = read_video(path)
    with pytest.warns(UserWarning, match="should hold 60 frames by its header"):
        count = sum(len(block) for block in source.blocks(8))
    assert 20 < count < 40
    assert frames_of(path, stop=20).shape[0] == 20  # what is whole is read without a word


def test_truncated_video_without_its_index(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "late.mp4"), "w") as container:  # the index comes last
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in smooth_clip(20, 32, 32):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    path = tmp_path / "late.mp4"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"late\.mp4 must be a video file; FFmpeg cannot open it"):
        read_video(path)


def test_truncated_image_and_array_files(tmp_path):
    clip = np.random.default_rng(3).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    path = write(tmp_path / "clip.gif", clip)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"clip\.gif is damaged or truncated"):
        frames_of(path)
    np.savez_compressed(tmp_path / "clip.npz", frames=clip)
    data = bytearray((tmp_path / "clip.npz").read_bytes())
    data[9000:9100] = bytes(100)
    (tmp_path / "clip.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"clip\.npz is damaged"):
        frames_of(tmp_path / "clip.npz")
    np.save(tmp_path / "clip.npy", clip)
    path = tmp_path / "clip.npy"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"clip\.npy is damaged"):
        read_video(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder '.*missing.mp4'"):
        read_video(tmp_path / "missing.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="the folder empty must hold images"):
        read_video(tmp_path / "empty")


def test_sound_is_no_video(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "tone.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        tone.sample_rate = 8000
        container.mux(stream.encode(tone))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"tone\.wav holds no video"):
        read_video(tmp_path / "tone.wav")
