"""``videoinr render``: write a fitted clip as a video, or one moment of it as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import (
    as_read_options,
    device_option,
    encoder_options,
    fitted_size_options,
    fps_option,
    range_options,
    read_encode_options,
    read_size_options,
    stream_options,
    threads_option,
    without_outranked,
)
from videoinr_cli.cli.sections import SectionedCommand, files_option, time_option
from videoinr_cli.cli.values import parse_speed, parse_time
from videoinr_cli.options import TargetRate, UpscaleOptions
from videoinr_cli.quantities import counted, size_of


@click.command("render", cls=SectionedCommand, short_help="Write a fitted clip as a video or a picture.")
@click.argument("source", type=click.Path(readable=False, path_type=Path))
@files_option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Output file.  [default: SOURCE's name with .mp4, or with .png for --at, in this folder]",
)
@files_option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@fitted_size_options
@time_option("--at", metavar="TIME", help="Write the picture of this moment: 1.234, or 00:01:10.5.")
@fps_option
@range_options
@stream_options
@encoder_options
@device_option()
@threads_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def render(
    source: Path, output: Path | None, at: str | None, overwrite: bool, quiet: bool, **given: Any
) -> None:
    """Write the clip that videoinr fit has made SOURCE of, with its sound, subtitles, chapters and tags.

    \b
    videoinr render clip.vinr -o out.mp4
    videoinr render clip.vinr --scale 2 --fps 60 -o out.mp4
    videoinr render clip.vinr --at 1.234 -o moment.png

    Without a size, pictures are as large as they were fitted. Larger ones are enlarged bicubically;
    moments between two frames are blended by the network.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    given = without_outranked(given)
    fps = given["fps"]
    options = UpscaleOptions(
        **read_size_options(given),
        fps=None if fps is None else TargetRate.parse(fps),
        device=given["device"],
        threads=given["threads"],
        overwrite=overwrite,
        strict=given["strict"],
        read=as_read_options(given),
        speed=parse_speed(given["speed"]),
        audio=given["audio"],
        encode=read_encode_options(given),
    )
    show_messages(quiet=quiet)
    output = Path(f"{source.stem}{'.mp4' if at is None else '.png'}") if output is None else output

    from videoinr_cli.fitting.render import render_fitted  # torch takes a second to import
    from videoinr_cli.progress import count_display

    with count_display(source.name, quiet=quiet) as progress:
        made = render_fitted(
            source,
            output,
            options,
            at_seconds=None if at is None else parse_time(at),
            progress=lambda done, total: progress(done, max(done, total or done)),
        )
    if not quiet:
        what = counted(made.frames, "frame") if at is None else "one picture"
        size_text = "" if made.file_bytes is None else f", {size_of(made.file_bytes)}"
        click.echo(f"{made.path}: {what} of {'{}x{}'.format(*made.size)}{size_text}", err=True)
