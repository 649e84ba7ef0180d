"""Dynamic textures from the command line, as a newcomer would use them."""

import re

import numpy as np
import pytest
import typer.testing
from browser import Browser
from PIL import Image

import realization
from identification.dynamic_texture import load, open_writer, read_video
from identification.dynamic_texture.__main__ import app

COMMANDS = ("learn", "synth", "edit", "report")


def command(*arguments):
    return typer.testing.CliRunner().invoke(app, list(map(str, arguments)))


def succeed(*arguments):
    outcome = command(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def waves(frames, channels):
    """Return two waves that travel at 0.5 radians a frame, with a little noise."""
    rng = np.random.default_rng(0)
    t, row, column = np.mgrid[0:frames, 0:16, 0:24]
    clip = 128 + 60 * np.sin(0.5 * t - 2 * np.pi * (column + row / 4) / 24)
    clip = clip[..., None] + 3 * rng.standard_normal((*clip.shape, channels))
    return np.rint(clip).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a colour clip, a grey clip and their textures."""
    path = tmp_path_factory.mktemp("clips")
    for name, channels in (("colour", 3), ("grey", 1)):
        clip = waves(80, channels)
        with open_writer(path / f"{name} clip.npz", clip.shape[1:], 20) as writer:
            writer.write(clip)
        succeed("learn", path / f"{name} clip.npz", "--order", 2, "--out", path / f"{name}.npz")
    return path


def test_learn_finds_the_waves(folder):
    for name in ("colour", "grey"):
        texture = load(folder / f"{name}.npz")
        assert texture.fps == 20
        assert np.allclose(np.abs(np.angle(realization.poles(texture.model))), 0.5, atol=0.005)


def test_learn_tells_what_it_did(folder, tmp_path):
    options = ("--start", 10, "--stop", 70, "--stride", 2, "--crop", "2,4,8,12", "--size", "4x6")
    printed = succeed(
        "learn", folder / "colour clip.npz", *options, "--grey", "--out", tmp_path / "a.npz"
    )
    assert "colour clip.npz: 30 frames of 4 x 6, grey, 10 fps" in printed
    assert "spectral radius" in printed
    assert re.search(r"written: .*a\.npz \(\d", printed)
    assert load(tmp_path / "a.npz").shape == (4, 6)


@pytest.mark.parametrize("order", ["auto", "0.9", "3"])
def test_orders(folder, tmp_path, order):
    succeed("learn", folder / "grey clip.npz", "--order", order, "--out", tmp_path / "a.npz")
    assert load(tmp_path / "a.npz").n_states == (3 if order == "3" else 2)


@pytest.mark.parametrize(
    ("name", "frames", "options", "speed"),
    [
        ("film.npz", 1600, (), 1),
        ("film.npz", 1600, ("--speed", 2), 2),
        ("film.npz", 1600, ("--speed", -1, "--seed", 4), -1),
        ("film.gif", 400, ("--loop",), 1),
        ("film", 400, (), 1),
    ],
)
@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_films(folder, tmp_path, kind, name, frames, options, speed):
    out = tmp_path / name
    printed = succeed("synth", folder / f"{kind}.npz", "--out", out, "--frames", frames, *options)
    assert f"{frames} frames, {frames // 20} s" in printed
    film = np.concatenate(list(read_video(out).blocks(32)))
    assert len(film) == frames
    wave = np.fft.fft(film[:, 3, :, 0].astype(float))[:, 1]  # turns by -0.5 speed each frame
    turn = np.angle(np.sum(wave[1:] * wave[:-1].conj()))
    assert abs(turn + 0.5 * speed) < turn_bound(folder / f"{kind}.npz", frames, speed)


def turn_bound(texture, frames, speed=1):
    """Return five standard deviations of the turn estimated from so many frames.

    That of the angle of a pole of modulus r is sqrt((1 - r^2) / (2 frames)) / r.
    """
    radius = load(texture).spectral_radius ** abs(speed)
    return 5 * np.sqrt((1 - radius**2) / (2 * frames)) / radius + 0.005


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_films_in_video_files(folder, tmp_path, suffix):
    pytest.importorskip("av")
    out = tmp_path / f"film{suffix}"
    succeed("synth", folder / "colour.npz", "--out", out, "--frames", 300)
    source = read_video(out)
    assert (source.shape, source.fps) == ((16, 24, 3), 20)
    texture = tmp_path / "again.npz"
    succeed("learn", out, "--order", 2, "--out", texture)  # also through an encoded file
    found = np.abs(np.angle(realization.poles(load(texture).model)))
    assert np.abs(found - 0.5).max() < turn_bound(folder / "colour.npz", 300)


def test_forecast_continues_the_clip(folder, tmp_path):
    options = ("--after", folder / "grey clip.npz", "--forecast", "--frames", 5)
    succeed("synth", folder / "grey.npz", *options, "--out", tmp_path / "next.npz")
    film = next(read_video(tmp_path / "next.npz").blocks(5)).astype(float)
    assert np.abs(film - waves(85, 1)[80:]).mean() < 12


def test_continued_clip_is_made_to_fit(folder, tmp_path):
    small = tmp_path / "small.npz"
    succeed("learn", folder / "colour clip.npz", "--size", "8x12", "--grey", "--out", small)
    options = ("--after", folder / "colour clip.npz", "--frames", 3)
    printed = succeed("synth", small, *options, "--out", tmp_path / "next.npz")
    assert "note: colour clip.npz is made 8 x 12, as the texture is" in printed
    assert read_video(tmp_path / "next.npz").shape == (8, 12, 1)


def test_edits(folder, tmp_path):
    texture = load(folder / "colour.npz")
    out = tmp_path / "edited.npz"
    succeed("edit", folder / "colour.npz", "--gain", 2, "--speed", -2, "--out", out)
    edited = load(out)
    np.testing.assert_allclose(
        np.sort_complex(realization.poles(edited.model)),
        np.sort_complex(realization.poles(texture.model) ** 2),
        atol=1e-8,
    )
    gain = realization.to_covariance(edited.model).Lambda0
    np.testing.assert_allclose(
        gain, 4 * realization.to_covariance(texture.model).Lambda0, rtol=1e-6
    )
    succeed("edit", folder / "colour.npz", "--detail", 0.5, "--detail-size", 1, "--out", out)
    assert load(out).n_states == 2
    options = ("--blend", folder / "colour.npz", "--weight", 0.25)
    succeed("edit", folder / "colour.npz", *options, "--out", out)
    assert load(out).n_states == 4


@pytest.mark.slow
def test_report(folder, tmp_path):
    page, sheet = tmp_path / "page.html", tmp_path / "sheet.png"
    clip = folder / "colour clip.npz"
    printed = succeed("report", folder / "colour.npz", clip, "--out", page, "--sheet", sheet)
    assert "open it in a browser" in printed
    text = page.read_text(encoding="utf-8")
    for promised in (
        "The texture colour.npz",
        "2 basis images of 16 × 24 pixels, moved by 2 states at 20 frames",
        "films neither fade nor blow up",
        "better than repeating the last one",
        "steps ahead",
        "persistence",
        "variance, texture over clip",
        "spectral radius backwards",
        "data:image/webp",
    ):
        assert promised in text
    with Image.open(sheet) as image:
        width, height = image.size
    assert width > 8 * 100
    assert height > 3 * 50
    browser = Browser(tmp_path / "profile")
    try:
        seen = browser.open(page, width=390, dark=True)
    finally:
        browser.close()
    assert browser.complaints == []
    assert len(seen["images"]) == 7
    assert min(seen["images"]) > 0
    assert seen["scroll"] <= seen["width"]


def test_report_without_a_clip(folder, tmp_path):
    succeed("report", folder / "grey.npz", "--out", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "persistence" not in text.split("What was chosen")[0]
    assert text.count("data:image/webp") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("learn", "{}/none.mp4", "--out", "{}/a.npz"), "error: there is no file or folder"),
        (("learn", "{}/grey clip.npz", "--out", "{}/a.mp4"), r"must end in \.npz; got 'a\.mp4'"),
        (("learn", "{}/grey clip.npz", "--out", "{}/no/a.npz"), "error: there is no folder"),
        (
            ("learn", "{}/grey clip.npz", "--out", "{}/a.npz", "--crop", "1,2"),
            "--crop must be 4 whole numbers with ',' between; got '1,2'",
        ),
        (
            ("learn", "{}/grey clip.npz", "--out", "{}/a.npz", "--size", "big"),
            "--size must be 2 whole numbers with 'x' between; got 'big'",
        ),
        (
            ("learn", "{}/grey clip.npz", "--out", "{}/a.npz", "--order", "many"),
            "--order must be 'auto', a whole number from 1 or a share between 0 and 1; got 'many'",
        ),
        (("learn", "{}/grey clip.npz", "--out", "{}/a.npz", "--stop", 1), "at least 3 frames"),
        (("learn", "{}/grey.npz", "--out", "{}/a.npz"), "must hold an array 'frames'"),
        (("synth", "{}/grey clip.npz", "--out", "{}/a.gif"), "error: `path` must name an archive"),
        (("synth", "{}/model.npz", "--out", "{}/a.gif"), "must hold a texture; it holds LinearSSM"),
        (("synth", "{}/grey.npz", "--out", "{}/a.mov"), r"must end in \.mp4"),
        (("synth", "{}/grey.npz", "--out", "{}/a.npz", "--frames", 0), "`frames` must be at least"),
        (("synth", "{}/grey.npz", "--out", "{}/a.npz", "--forecast"), "--forecast needs --after"),
        (
            ("synth", "{}/grey.npz", "--out", "{}/a.npz", "--loop", "--after", "{}/grey clip.npz"),
            "--loop and --after exclude each other",
        ),
        (
            ("edit", "{}/grey.npz", "--out", "{}/a.npz", "--blend", "{}/colour.npz"),
            "must have frames of one shape",
        ),
        (("report", "{}/grey.npz", "{}/colour clip.npz", "--out", "{}/a.html"), "texture's shape"),
        (("report", "{}/grey.npz", "--out", "{}/a.pdf"), r"must end in \.html"),
    ],
)
def test_errors_are_sentences(folder, arguments, message):
    realization.save(realization.LinearSSM([[0.5]], [[1.0]], [[1.0]]), folder / "model.npz")
    outcome = command(*(str(argument).format(folder) for argument in arguments))
    assert outcome.exit_code == 1
    assert re.search(message, outcome.output)
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize("order", ["0", "-3", "1.5", "nan", "²"])
def test_wrong_orders(folder, order):
    clip, out = folder / "grey clip.npz", folder / "never.npz"
    outcome = command("learn", clip, f"--order={order}", "--out", out)
    assert outcome.exit_code == 1
    assert f"from 1 or a share between 0 and 1; got '{order}'" in outcome.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("edit", "{}/grey.npz", "--weight", "0.3", "--out", "{}/a.npz"), "--weight needs --blend"),
        (
            ("edit", "{}/grey.npz", "--detail-size", "3", "--out", "{}/a.npz"),
            "--detail-size needs --detail",
        ),
        (
            ("synth", "{}/colour.npz", "--after", "{}/grey clip.npz", "--out", "{}/a.npz"),
            "--after must be a clip in colour, as the texture is; grey clip.npz is grey",
        ),
    ],
)
def test_options_that_say_nothing_are_refused(folder, arguments, message):
    outcome = command(*(argument.format(folder) for argument in arguments))
    assert outcome.exit_code == 1
    assert message in outcome.output


def test_grey_animations_are_announced_as_grey(folder, tmp_path):
    with open_writer(tmp_path / "a.gif", (16, 24, 1), 25) as writer:
        writer.write(next(read_video(folder / "grey clip.npz").blocks(9)))
    printed = succeed("learn", tmp_path / "a.gif", "--order", 1, "--out", tmp_path / "a.npz")
    assert "a.gif: 9 frames of 16 x 24, grey stored as colour (--grey makes" in printed


def test_warnings_are_notes(folder, tmp_path):
    video = pytest.importorskip("av") and tmp_path / "cut.avi"
    with open_writer(video, (16, 24, 3), 20) as writer:
        writer.write(waves(60, 3))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    printed = succeed("learn", video, "--order", 2, "--out", tmp_path / "a.npz")
    assert re.search(r"[\r\n]note: cut\.avi should hold 60 frames", printed)


def test_help_is_for_newcomers():
    text = command("--help").output
    assert "learn water.mp4 --out water.npz" in text
    assert all(name in text for name in COMMANDS)
    assert "speed -1" in text
    for name in COMMANDS:
        assert len(command(name, "--help").output.splitlines()) > 10
