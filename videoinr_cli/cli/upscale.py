"""``videoinr upscale``: one video in, one video out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import click

from videoinr_cli.errors import OptionError
from videoinr_cli.options import (
    DEFAULT_SCALE,
    DEFAULT_SCENE_THRESHOLD,
    DEFAULT_WEIGHTS,
    PRECISIONS,
    EncodeOptions,
    Precision,
    TargetRate,
    UpscaleOptions,
    parse_size,
)

ENCODING = EncodeOptions()


@click.command("upscale")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new video's file.")
@click.option("--scale", type=float, help=f"Enlargement, any number >= 1.  [default: {DEFAULT_SCALE:g}]")
@click.option("--size", metavar="WxH", help="Size of the output, instead of --scale.")
@click.option("--height", type=int, help="Height of the output, the width follows, instead of --scale.")
@click.option("--fps", metavar="RATE", help="60, 60000/1001, 59.94 or 2x.  [default: the source's times]")
@click.option(
    "--codec", default=ENCODING.codec, show_default=True, help="auto: what suits OUTPUT; any of ffmpeg's."
)
@click.option(
    "--crf", type=float, default=ENCODING.crf, show_default=True, help="Quality, smaller is better."
)
@click.option("--preset", default=ENCODING.preset, show_default=True, help="The encoder's speed setting.")
@click.option(
    "--pix-fmt", default=ENCODING.pix_fmt, show_default=True, help="auto: the source's, if it can be."
)
@click.option("-e", "--encoder-option", "extra", metavar="KEY=VALUE", multiple=True, help="Further options.")
@click.option("--weights", default=DEFAULT_WEIGHTS, show_default=True, help="A known name, or a file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option(
    "--scene-threshold",
    type=float,
    default=DEFAULT_SCENE_THRESHOLD,
    show_default=True,
    help="How different frames must be to count as a cut; 1: none ever does.",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def upscale(
    source: Path,
    output: Path,
    scale: float | None,
    size: str | None,
    height: int | None,
    fps: str | None,
    codec: str,
    crf: float,
    preset: str,
    pix_fmt: str,
    extra: Sequence[str],
    weights: str,
    device: str,
    precision: Precision,
    scene_threshold: float,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Render SOURCE at another size and frame rate; sound, subtitles, chapters and metadata are kept.

    \b
    videoinr upscale in.mp4 --scale 3.5 --fps 120 -o out.mp4
    videoinr upscale in.mkv --height 1080 --codec libx265 --crf 20 -o out.mkv
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    options = UpscaleOptions(
        scale=scale,
        size=parse_size(size) if size is not None else None,
        height=height,
        fps=TargetRate.parse(fps) if fps is not None else None,
        device=device,
        precision=precision,
        weights=weights,
        scene_threshold=scene_threshold,
        overwrite=overwrite,
        encode=EncodeOptions(codec, crf, preset, pix_fmt, tuple(map(_key_value, extra))),
    )

    if quiet:
        logging.getLogger("videoinr_cli").setLevel(logging.ERROR)

    from videoinr_cli.pipeline import upscale_video  # torch takes a second to import
    from videoinr_cli.progress import clock, upscale_display

    with upscale_display(source.name, quiet=quiet) as progress:
        summary = upscale_video(source, output, options, progress=progress)
    if not quiet:
        seconds = max(summary.elapsed_seconds, 1e-6)
        rate = summary.frames_written / seconds
        parts = [
            "{}x{}".format(*summary.size),
            f"{summary.frames_read} frames in",
            f"{summary.frames_written} out",
            *([f"{summary.cuts} scene cuts"] if summary.cuts else []),
            f"{clock(seconds)} ({rate:.2f} fps)",
        ]
        click.echo(f"{summary.destination}: {', '.join(parts)}", err=True)


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"encoder option {text!r} is not key=value; try -e tune=film")
    return key, value
