"""``videoinr fit``: fit one clip into a network, which is then the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videoinr_cli.cli.messages import Interrupted, show_messages
from videoinr_cli.cli.parameters import (
    as_read_options,
    cut_options,
    device_option,
    read_options,
    threads_option,
    without_outranked,
)
from videoinr_cli.cli.sections import SectionedCommand, files_option, in_section, picture_option
from videoinr_cli.cli.values import parse_region
from videoinr_cli.fitting.options import (
    ARCHITECTURES,
    DEFAULT_BITS_PER_PIXEL,
    DEFAULT_MINUTES,
    SUFFIX,
    FitOptions,
)
from videoinr_cli.quantities import counted, roughly, size_of

fitting_option = in_section("Fitting")

_DEFAULT = FitOptions()


@click.command("fit", cls=SectionedCommand, short_help="Fit one clip into a network, which is then the file.")
@click.argument("source", type=click.Path(readable=False, path_type=Path))
@files_option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=f"Output file, {SUFFIX}.  [default: SOURCE's name with {SUFFIX}, in this folder]",
)
@files_option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT and the checkpoint of an earlier run.")
@fitting_option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default=_DEFAULT.architecture,
    show_default=True,
    help="hinerv: better pictures; nerv: more steps a minute.",
)
@fitting_option(
    "--minutes",
    type=float,
    help=f"Length of the fit, over all resumed runs.  [default: {DEFAULT_MINUTES:g}]",
)
@fitting_option("--steps", type=int, help="Length of the fit in steps, instead of --minutes.")
@fitting_option(
    "--bits-per-pixel",
    type=float,
    help=f"Size of the network, for each pixel of each frame.  [default: {DEFAULT_BITS_PER_PIXEL:g}]",
)
@fitting_option("--size-kb", type=float, help="Size of the network in kB, instead of --bits-per-pixel.")
@fitting_option(
    "--bits",
    type=int,
    default=_DEFAULT.bits,
    show_default=True,
    help="Bits of a parameter; fewer make room for more parameters.",
)
@fitting_option(
    "--prune",
    type=float,
    default=_DEFAULT.prune,
    show_default=True,
    help="Share of the weights that are set to zero.",
)
@fitting_option(
    "--seed", type=int, default=_DEFAULT.seed, show_default=True, help="Seed of all random choices."
)
@picture_option(
    "--max-height",
    type=int,
    default=_DEFAULT.max_height,
    show_default=True,
    help="Height of the fitted pictures in pixels; higher sources are reduced to it.",
)
@picture_option(
    "--ignore-region",
    metavar="X,Y,W,H",
    multiple=True,
    help="Part of the source's picture to leave out, which is filled in; may be repeated.",
)
@picture_option(
    "--mask",
    type=click.Path(path_type=Path),
    help="Video with a frame for each of SOURCE's, white where pixels are left out.",
)
@cut_options
@read_options
@device_option()
@threads_option
@click.option("--resume", is_flag=True, help="Continue an earlier run for OUTPUT, with the same options.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def fit(
    source: Path,
    output: Path | None,
    overwrite: bool,
    resume: bool,
    ignore_region: tuple[str, ...],
    device: str,
    threads: int | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Fit SOURCE into a network that shows its picture at any moment, and write the network as OUTPUT.

    \b
    videoinr fit clip.mp4 -o clip.vinr --minutes 30
    videoinr render clip.vinr -o out.mp4
    videoinr render clip.vinr --at 1.234 -o moment.png

    Sound, subtitles, chapters and tags travel in OUTPUT. The best fit so far is there from the first minute
    on; Ctrl-C leaves it, and --resume continues exactly.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    given = without_outranked(given)
    options = FitOptions(
        **{name: given[name] for name in _FIELDS},
        ignore=tuple(map(parse_region, ignore_region)),
        read=as_read_options(given),
    )
    show_messages(quiet=quiet)
    output = Path(f"{source.stem}{SUFFIX}") if output is None else output

    from videoinr_cli.fitting.fit import FitProgress, fit_video  # torch takes a second to import
    from videoinr_cli.progress import fit_display

    is_begun = False
    try:
        with fit_display(source.name, quiet=quiet) as show:

            def progress(state: FitProgress) -> None:
                nonlocal is_begun
                is_begun = True
                show(state)

            made = fit_video(
                source,
                output,
                options,
                resume=resume,
                overwrite=overwrite,
                device=device,
                threads=threads,
                progress=progress,
            )
    except KeyboardInterrupt:
        if not is_begun or not output.is_file():  # what lies there is of an earlier run
            raise
        raise Interrupted(
            f"interrupted: the best fit so far is {str(output)!r}; --resume continues"
        ) from None
    if not quiet:
        click.echo(
            f"{made.path}: {made.psnr:.2f} dB, {made.bits_per_pixel:.3f} bits per pixel, "
            f"{size_of(made.file_bytes)}, {counted(made.steps, 'step')} in {roughly(made.seconds)}",
            err=True,
        )


_FIELDS = (
    *("architecture", "minutes", "steps", "bits_per_pixel", "size_kb", "bits", "prune", "seed"),
    *("max_height", "mask"),
)
"""Options that go to fields of their name."""
