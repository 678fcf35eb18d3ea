"""``videoinr upscale``: one video in, one video out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from videoinr_cli.cli.parameters import job_options, read_job_options, read_upscale_options, upscale_options


@click.command("upscale")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new video's file.")
@upscale_options
@job_options
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def upscale(source: Path, output: Path, overwrite: bool, quiet: bool, **given: Any) -> None:
    """Render SOURCE at another size and frame rate; sound, subtitles, chapters and metadata are kept.

    \b
    videoinr upscale in.mp4 --scale 3.5 --fps 120 -o out.mp4
    videoinr upscale in.mkv --height 1080 --codec libx265 --crf 20 -o out.mkv

    A long video is rendered in segments, which are kept in OUTPUT.videoinr until OUTPUT is done: the same
    command goes on where a stopped one left off. Ctrl-C finishes the segment under way, twice stops at once.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    options, job = read_upscale_options(given, overwrite=overwrite), read_job_options(given)
    if quiet:
        logging.getLogger("videoinr_cli").setLevel(logging.ERROR)

    from videoinr_cli.jobs.run import run_job  # torch takes a second to import
    from videoinr_cli.progress import clock, upscale_display

    with upscale_display(source.name, quiet=quiet) as progress:
        summary = run_job(source, output, options, job, progress=progress)
    if not quiet:
        seconds = max(summary.elapsed_seconds, 1e-6)
        rate = (summary.frames_written - summary.frames_before) / seconds
        parts = [
            "{}x{}".format(*summary.size),
            f"{summary.frames_read} frames in",
            f"{summary.frames_written} out",
            *([f"{summary.cuts} scene cuts"] if summary.cuts else []),
            f"{clock(seconds)} ({rate:.2f} fps)",
        ]
        click.echo(f"{summary.destination}: {', '.join(parts)}", err=True)
