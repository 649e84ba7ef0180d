"""The commands of dynamic textures: ``python -m identification.dynamic_texture --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from realization.internal import counted

from ..commands import check_target, sentences

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CONTINUED = 10  # frames that `synth --after` continues
CLIP = "a video file, a .gif, a folder of images, or .npz/.npy frames (T, H, W[, 3])"
FORMATS = ".mp4, .webm, .mkv or .avi (lossless), .gif, .npz, or no suffix for a folder of images"

Clip = Annotated[Path, typer.Argument(help=f"The clip: {CLIP}.")]
Texture = Annotated[Path, typer.Argument(help="A texture that `learn` or `edit` wrote (.npz).")]
Start = Annotated[int, typer.Option(help="The first frame to read, from 0.")]
Stop = Annotated[int | None, typer.Option(help="The frame to stop before.", show_default="the end")]
Stride = Annotated[int, typer.Option(help="Read only every so many frames.")]
Crop = Annotated[
    str | None, typer.Option(help="Part of the picture, in pixels: TOP,LEFT,HEIGHT,WIDTH.")
]
Size = Annotated[str | None, typer.Option(help="Resize to HEIGHTxWIDTH, for instance 120x160.")]
Grey = Annotated[bool, typer.Option("--grey", help="Turn colour to grey.")]
Fps = Annotated[
    float | None,
    typer.Option(help="Frames per second of the clip.", show_default="as the file says, else 25"),
]
Seed = Annotated[int, typer.Option(help="Another number, another film.")]


@app.callback()
def commands() -> None:
    """Learn how water, flames, smoke or foliage move, and make new films of it.

    A first round, with any clip of something that moves all the time:

    python -m identification.dynamic_texture learn water.mp4 --out water.npz

    python -m identification.dynamic_texture synth water.npz --frames 500 --out endless.mp4

    python -m identification.dynamic_texture synth water.npz --speed -1 --out backwards.mp4

    python -m identification.dynamic_texture report water.npz water.mp4 --out water.html
    """


@app.command()
def learn(
    clip: Clip,
    out: Annotated[Path, typer.Option(help="The texture to write, .npz.")],
    order: Annotated[
        str,
        typer.Option(
            help="Number of states: 'auto' chooses by held-out prediction, a number is taken as it "
            "is, a share such as 0.9 takes as many as hold this part of the variance."
        ),
    ] = "auto",
    noise_rank: Annotated[
        int | None,
        typer.Option(help="Number of independent noises.", show_default="what the clip says"),
    ] = None,
    subspace: Annotated[
        bool,
        typer.Option(
            "--subspace", help="A stochastic subspace method for the dynamics (longer clips)."
        ),
    ] = False,
    start: Start = 0,
    stop: Stop = None,
    stride: Stride = 1,
    crop: Crop = None,
    size: Size = None,
    grey: Grey = False,
    fps: Fps = None,
) -> None:
    """Learn a texture from a clip."""
    from . import learn as learn_texture
    from . import save

    with sentences():
        check_target(out, ".npz")
        source = _source(clip, start, stop, stride, crop, size, grey, fps)
        method = "subspace" if subspace else "closed_form"
        texture = learn_texture(
            source, _order(order), noise_rank=noise_rank, method=method, progress=True
        )
        save(texture, out)
        typer.echo(texture.summary())
        typer.echo(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def synth(
    texture: Texture,
    out: Annotated[Path, typer.Option(help=f"The film to write: {FORMATS}.")],
    frames: Annotated[int, typer.Option(help="How many frames.")] = 250,
    speed: Annotated[
        float, typer.Option(help="2 is twice as fast, 0.5 half speed, -1 backwards.")
    ] = 1.0,
    loop: Annotated[
        bool, typer.Option("--loop", help="Let the first frame follow the last without a seam.")
    ] = False,
    after: Annotated[
        Path | None, typer.Option(help="Continue after the last frames of this clip.")
    ] = None,
    forecast: Annotated[
        bool,
        typer.Option("--forecast", help="With --after: what is expected, instead of what may be."),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Make a film from a texture, of any length."""
    from . import synthesize

    with sentences():
        if after is None and forecast:
            raise ValueError("--forecast needs --after CLIP: what is expected depends on the past.")
        if after is not None and loop:
            raise ValueError("--loop and --after exclude each other: a loop has no first frame.")
        loaded = _texture(texture)
        first = None if after is None else _last_frames(after, loaded)
        options: dict[str, Any] = {"speed": speed, "loop": loop, "start": first, "rng": seed}
        synthesize(loaded, frames, noise=not forecast, out=out, progress=True, **options)
        size = sum(file.stat().st_size for file in ([out] if out.is_file() else out.iterdir()))
        seconds = frames / loaded.fps
        made = counted(frames, "frame")
        typer.echo(f"written: {out} ({made}, {seconds:.3g} s, {size / 1e6:.1f} MB)")


@app.command()
def edit(
    texture: Texture,
    out: Annotated[Path, typer.Option(help="The new texture to write, .npz.")],
    speed: Annotated[
        float, typer.Option(help="2 is twice as fast, 0.5 half speed, -1 backwards.")
    ] = 1.0,
    gain: Annotated[float, typer.Option(help="Multiply the motion by this.")] = 1.0,
    detail: Annotated[
        float, typer.Option(help="Multiply its fine structure by this; 0 removes it.")
    ] = 1.0,
    detail_size: Annotated[float, typer.Option(help="What is fine, in pixels.")] = 2.0,
    blend: Annotated[
        Path | None, typer.Option(help="Mix with this other texture (of the same picture size).")
    ] = None,
    weight: Annotated[float, typer.Option(help="With --blend: the share of the other one.")] = 0.5,
) -> None:
    """Make a texture faster, stronger, softer, or a mixture of two."""
    from . import blend as blend_textures
    from . import change_speed, intensify, save, scale_detail

    with sentences():
        check_target(out, ".npz")
        if blend is None and weight != 0.5:
            raise ValueError("--weight needs --blend OTHER, the texture that it is the share of.")
        if detail == 1.0 and detail_size != 2.0:
            raise ValueError("--detail-size needs --detail GAIN, what fine structure is to become.")
        edited = _texture(texture)
        if blend is not None:
            edited = blend_textures(edited, _texture(blend), weight)
        edited = change_speed(edited, speed)
        if gain != 1.0:
            edited = intensify(edited, gain)
        if detail != 1.0:
            edited = scale_detail(edited, detail, size=detail_size)
        save(edited, out)
        typer.echo(edited.summary())
        typer.echo(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def report(
    texture: Texture,
    clip: Annotated[
        Path | None,
        typer.Argument(
            help="A clip to judge the texture by, best one that it has not seen (read as for "
            "`learn`: give the same --crop, --size, --grey)."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write, one .html file.")] = Path(
        "texture.html"
    ),
    sheet: Annotated[
        Path | None,
        typer.Option(help="Also write the contact sheet as a picture, for instance sheet.png."),
    ] = None,
    start: Start = 0,
    stop: Stop = None,
    stride: Stride = 1,
    crop: Crop = None,
    size: Size = None,
    grey: Grey = False,
    fps: Fps = None,
    seed: Seed = 0,
) -> None:
    """Write a page about a texture: films, contact sheets, spectrum, poles and measures."""
    from .report import write_report

    with sentences():
        check_target(out, ".html")
        if sheet is not None:
            check_target(sheet, ".png")
        loaded = _texture(texture)
        source = None
        if clip is not None:
            source = _source(clip, start, stop, stride, crop, size, grey, fps)
        write_report(
            out,
            loaded,
            source,
            name=texture.name,
            sheet=sheet,
            rng=seed,
            progress=lambda step: typer.echo(f"  {step} ..."),
        )
        if sheet is not None:
            typer.echo(f"written: {sheet}")
        typer.echo(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB); open it in a browser")


def _source(
    clip: Path,
    start: int,
    stop: int | None,
    stride: int,
    crop: str | None,
    size: str | None,
    grey: bool,
    fps: float | None,
) -> Any:
    """Return the frames that the options of a command name."""
    from . import read_video

    source = read_video(
        clip,
        fps=fps,
        start=start,
        stop=stop,
        stride=stride,
        crop=None if crop is None else _numbers("--crop", crop, ",", 4),
        size=None if size is None else _numbers("--size", size, "x", 2),
        grey=grey,
    )
    height, width, channels = source.shape
    length = "" if source.length is None else f"{counted(source.length, 'frame')} of "
    kind = "grey"
    if channels == 3:
        frame = next(source.blocks(1))
        grey = bool((frame == frame[..., :1]).all())
        kind = "grey stored as colour (--grey makes it one channel)" if grey else "colour"
    typer.echo(f"{clip.name}: {length}{height} x {width}, {kind}, {source.fps:.4g} fps")
    return source


def _numbers(name: str, text: str, separator: str, count: int) -> Any:
    """Return the whole numbers in an option."""
    parts = text.lower().split(separator)
    if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(
            f"{name} must be {count} whole numbers with {separator!r} between; got {text!r}."
        )
    return tuple(int(part) for part in parts)


def _order(text: str) -> Any:
    """Return the order: a number, a share, or "auto"."""
    if text == "auto":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ValueError(
            "--order must be 'auto', a whole number from 1 or a share between 0 and 1; got "
            f"{text!r}."
        )
    return share


def _texture(path: Path) -> Any:
    """Return a texture from its file."""
    from . import DynamicTexture, load

    loaded = load(path)
    if not isinstance(loaded, DynamicTexture):
        raise ValueError(f"{path.name} must hold a texture; it holds {loaded!r}.")
    return loaded


def _last_frames(clip: Path, texture: Any) -> Any:
    """Return the last frames of a clip, made to fit the texture: enough to tell its state."""
    import numpy as np

    from . import read_video

    height, width = texture.shape[:2]
    source = read_video(clip)
    if source.shape != texture.frame_shape:
        typer.echo(f"note: {clip.name} is made {height} x {width}, as the texture is", err=True)
        source = read_video(clip, size=(height, width), grey=len(texture.shape) == 2)
        if source.shape != texture.frame_shape:
            raise ValueError(
                f"--after must be a clip in colour, as the texture is; {clip.name} is grey. Take "
                "another clip, or learn the texture with --grey."
            )
    last = np.empty((0, *source.shape), source.dtype)
    for block in source.blocks(32):
        last = np.concatenate([last, block])[-CONTINUED:]
    return last.reshape(-1, *texture.shape)


if __name__ == "__main__":
    app(prog_name="python -m identification.dynamic_texture")
