"""``videoinr preview``: render a part of one moment of a video, in seconds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import (
    Decorator,
    group,
    read_options,
    read_picture_options,
    several_models_options,
    size_options,
    threads_option,
    time_options,
    without_outranked,
)
from videoinr_cli.cli.sections import SectionedCommand, files_option, picture_option, time_option
from videoinr_cli.cli.values import parse_region, parse_time
from videoinr_cli.options import PreviewOptions
from videoinr_cli.quantities import roughly

moment_options: Decorator[Any] = group(
    files_option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Picture file, .png.  [default: SOURCE's name with -preview.png, in this folder, where an "
        "earlier preview is replaced]",
    ),
    files_option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists."),
    picture_option(
        "--region",
        metavar="X,Y,W,H",
        help="Part to show, in source pixels.  [default: the most detailed part]",
    ),
    time_option("--at", metavar="TIME", help="Moment: 70, 1:10 or 00:01:10.5.  [default: the middle]"),
)
"""Which moment is shown, and in which file."""


@click.command("preview", cls=SectionedCommand, short_help="Show one moment of a video, enlarged three ways.")
@click.argument("source", type=click.Path(path_type=Path))
@moment_options
@size_options
@time_option("--seconds", metavar="TIME", help="Also write a clip of this length next to the picture.")
@time_option("--strip", is_flag=True, help="Also show instants between two frames.")
@time_options
@read_options
@several_models_options
@threads_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def preview(
    source: Path,
    output: Path | None,
    at: str | None,
    seconds: str | None,
    region: str | None,
    strip: bool,
    overwrite: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Show a part of SOURCE as it is, enlarged bicubically, and enlarged by the model.

    \b
    videoinr preview in.mp4 --at 00:01:10 --strip
    videoinr preview in.mp4 --model clean --model real
    videoinr preview in.mp4 --at 1:10 --seconds 2 --fps 2x --region 600,300,320,180 -o look.png
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    kept = without_outranked(given)
    weights, *more_weights = given["weights"]
    options = PreviewOptions(
        at_seconds=None if at is None else parse_time(at),
        seconds=Fraction(0) if seconds is None else parse_time(seconds),
        region=None if region is None else parse_region(region),
        strip=strip,
        more_weights=tuple(more_weights),
        strengths=kept["strength"] or (),
        upscale=read_picture_options(kept | {"weights": weights, "strength": None, "overwrite": overwrite}),
    )
    show_messages(quiet=quiet)

    from videoinr_cli.previews.preview import preview as show  # torch takes a second to import
    from videoinr_cli.progress import count_display

    with count_display(source.name, quiet=quiet) as progress:
        made = show(source, output, options, progress=progress)
    if not quiet:
        files = " and ".join(str(path) for path in (made.picture, made.clip) if path is not None)
        whole = (
            "" if made.whole_seconds is None else f"; the whole video: about {roughly(made.whole_seconds)}"
        )
        click.echo(f"{files}: region {made.region}{whole}", err=True)
