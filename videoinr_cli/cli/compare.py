"""``videoinr compare``: a page that shows two videos side by side and measures them."""

from __future__ import annotations

import math
from pathlib import Path

import click

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.values import parse_time
from videoinr_cli.errors import OptionError
from videoinr_cli.options import CompareOptions
from videoinr_cli.quantities import counted

DEFAULTS = CompareOptions()
MEGABYTE = 1_000_000


@click.command("compare", short_help="Write a page that compares two videos in a browser.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Output page, .html.")
@click.option("--reference", type=click.Path(path_type=Path), help="Video to measure both against.")
@click.option("--at", metavar="TIME", default="0", help="Where to start: 70, 1:10 or 00:01:10.5.")
@click.option("--seconds", metavar="TIME", help="How long a part to compare.  [default: all]")
@click.option(
    "--frames",
    type=int,
    default=DEFAULTS.max_frames,
    show_default=True,
    help="Maximum number of frames; of a longer part, they are picked evenly.",
)
@click.option(
    "--max-mb",
    type=float,
    default=DEFAULTS.max_bytes / MEGABYTE,
    show_default=True,
    help="Maximum size of the pictures, in megabytes; less means stronger compression.",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def compare(
    a: Path,
    b: Path,
    output: Path,
    reference: Path | None,
    at: str,
    seconds: str | None,
    frames: int,
    max_mb: float,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a page that shows A and B at the same instants: split, difference, zoom, PSNR and SSIM.

    The page is a single file that opens in any browser, offline.

    \b
    videoinr compare in.mp4 out.mp4 -o compare.html
    videoinr compare a.mp4 b.mp4 --reference original.mp4 --at 1:10 --seconds 2 -o compare.html
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(quiet=quiet)
    options = CompareOptions(
        at_seconds=parse_time(at),
        seconds=None if seconds is None else parse_time(seconds),
        max_frames=frames,
        max_bytes=_bytes(max_mb),
        overwrite=overwrite,
    )

    from videoinr_cli.comparison.compare import TRUTH  # torch takes a second to import
    from videoinr_cli.comparison.compare import compare as write_page
    from videoinr_cli.progress import count_display

    with count_display(output.name, quiet=quiet) as progress:
        made = write_page(a, b, output, options, reference=reference, progress=progress)
    if quiet:
        return
    which = "every frame" if made.stride == 1 else f"one in {made.stride}"
    short = (
        "; it has reached its size limit: try a higher --max-mb or fewer --frames"
        if made.is_cut_short
        else ""
    )
    click.echo(
        f"{made.path}: {counted(made.frames, 'frame')} ({which}), {made.bytes / MEGABYTE:.1f} MB{short}",
        err=True,
    )
    for curve, mean in made.means:
        if mean is not None:
            click.echo(f"{curve.metric} {curve.label}: {mean:.4g} {curve.unit}".rstrip(), err=True)
    if reference is None:
        click.echo(TRUTH, err=True)


def _bytes(megabytes: float) -> int:
    if not math.isfinite(megabytes * MEGABYTE):  # click's floats may be nan and inf
        raise OptionError(f"--max-mb {megabytes:g} is not a size; try --max-mb 32")
    return round(megabytes * MEGABYTE)
