"""``videoinr upscale``: render one video, or several into a folder."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from videoinr_cli.cli.messages import Interrupted, Terminated, held_back, show_messages, show_notes
from videoinr_cli.cli.parameters import (
    group,
    job_options,
    read_job_options,
    read_upscale_options,
    upscale_options,
    without_outranked,
)
from videoinr_cli.cli.preset_file import preset_file_option
from videoinr_cli.cli.sections import SectionedCommand, files_option
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.quantities import counted
from videoinr_cli.texts import command_of

if TYPE_CHECKING:
    from videoinr_cli.batch.events import Event
    from videoinr_cli.batch.items import Item
    from videoinr_cli.batch.request import Request
    from videoinr_cli.options import JobOptions, UpscaleOptions

log = logging.getLogger(__name__)

FAILED = 1

batch_options = group(
    files_option("--name", metavar="PATTERN", help="Output names in a folder.  [default: {stem}{ext}]"),
    files_option("-r", "--recursive", is_flag=True, help="Search subfolders of a SOURCE folder too."),
    files_option(
        "--input-list",
        type=click.File("rb"),
        help="Text file with one SOURCE per line, or from find -print0; - reads standard input.",
    ),
    files_option("--skip-existing", is_flag=True, help="Skip each SOURCE whose output exists."),
    click.option(
        "--fail-fast", is_flag=True, help="Stop at the first failure instead of after the last SOURCE."
    ),
)


@click.command("upscale", cls=SectionedCommand, short_help="Upscale videos to any size and frame rate.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, type=click.Path(readable=False, path_type=Path))
@files_option(
    "-o",
    "--output",
    type=click.Path(),
    help="Output file, or a folder.  [default: beside SOURCE, named by what is asked for: in-2x.mp4]",
)
@files_option("-y", "--overwrite", is_flag=True, help="Replace existing outputs.")
@upscale_options
@job_options
@batch_options
@preset_file_option
@click.option("--dry-run", is_flag=True, help="Print what would be done, and an estimate of time and memory.")
@click.option("--json", is_flag=True, help="Print events as JSON Lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def upscale(
    sources: Sequence[Path], output: str | None, dry_run: bool, json: bool, quiet: bool, **given: Any
) -> None:
    """Upscale each SOURCE to any size and frame rate, keeping sound, subtitles, chapters and metadata.

    \b
    videoinr upscale in.mp4
    videoinr upscale in.mp4 --scale 3.5 --fps 120 -o out.mp4
    videoinr upscale in.mkv --height 1080 --codec libx265 --crf 20 -o out.mkv
    videoinr upscale holiday/ more.mov -o big/ --name "{stem}_{height}p{ext}" --skip-existing

    Several sources, or the videos in a folder, are written to a folder, which is created if necessary. If one
    fails, the others are still rendered.

    A long video is rendered in segments, which are kept in OUTPUT.videoinr until OUTPUT is complete: run the
    same command again to continue after an interruption. Ctrl-C finishes the current segment first; press it
    twice to stop at once. Of a video of a single segment, an interruption keeps nothing; --segment-seconds
    makes several of it.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    given = without_outranked(given)
    options, job = read_upscale_options(given), read_job_options(given)
    if given["skip_existing"] and options.overwrite:
        raise OptionError("--skip-existing and --overwrite exclude each other; give one of them")
    if json and output is not None and Path(output).stem == "-":
        raise OptionError("--json and a video cannot both go to standard output; name a file")
    if given["recursive"] and (rates := [source for source in sources if _is_rate(source)]):
        raise click.UsageError(f"-r searches folders; for {rates[0]} frames per second: --fps {rates[0]}")
    show_messages(quiet=quiet)
    is_list, is_named = given["input_list"] is not None, output is not None
    sources = _with_listed(sources, given["input_list"])
    if output is None:
        output = _default_output(sources, options, is_list=is_list)

    from videoinr_cli.batch.batch import run_batch  # torch takes a second to import
    from videoinr_cli.batch.events import Start
    from videoinr_cli.batch.items import Pending, Refused
    from videoinr_cli.batch.request import Request
    from videoinr_cli.cli.json_lines import JsonLines
    from videoinr_cli.progress import count_display, videos_display

    request = Request(
        paths=sources,
        output=output,
        is_list=is_list,
        name=given["name"],
        recursive=given["recursive"],
        skip_existing=given["skip_existing"],
    )
    # notes are printed when they take effect
    with count_display("checking", "sources", quiet=quiet or json) as checked, held_back():
        items = request.plan(options, checked)
    if not is_named and not any(isinstance(item, Refused) for item in items):
        log.info(f"the output is {output!r}; -o names another")
    if dry_run:
        failures: Sequence[Exception] = _show_plan(
            items, options, job, as_json=json, is_batch=request.is_batch, quiet=quiet
        )
    else:
        with videos_display(is_batch=request.is_batch, quiet=quiet or json) as display:
            kept = _Kept(items)
            listeners: list[Callable[[Event], None]] = [display, kept, *([JsonLines()] if json else [])]

            def tell(event: Event) -> None:
                for listener in listeners:
                    listener(event)
                if isinstance(event, Start):
                    item = items[event.index - 1]
                    assert isinstance(item, Pending)
                    show_notes(item.plan.notes)

            try:
                result = run_batch(items, options, tell, job=job, fail_fast=given["fail_fast"])
            except KeyboardInterrupt:
                raise Interrupted(
                    f"interrupted: {kept.words(job, request, overwrite=options.overwrite)}"
                ) from None
            except Terminated as ending:
                raise Terminated(
                    ending.number, f"{ending.said}: {kept.words(job, request, overwrite=options.overwrite)}"
                ) from None
            failures = [refused.error for refused in result.failed]
    if failures and not request.is_batch:
        raise failures[0]
    if failures:
        click.get_current_context().exit(FAILED)


class _Kept:
    """Counts the segments of the current video that are on the disk, which an interruption keeps."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._item: Item | None = None
        self._destination: Path | None = None
        self._segments = self._of = 0

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        from videoinr_cli.batch.events import Segment, Start

        if isinstance(event, Start):
            self._item, self._destination = self._items[event.index - 1], event.destination
            self._segments = self._of = 0
        elif isinstance(event, Segment):
            self._segments, self._of = self._segments + 1, event.segments

    def words(self, job: JobOptions, request: Request, *, overwrite: bool) -> str:
        """Say what is kept, and how to go on."""
        if self._destination is None:
            return "nothing was rendered"
        name = repr(str(self._destination))
        if self._segments:
            kept = f"kept {self._segments} of {counted(self._of, 'segment')} of {name}"
        else:
            kept = f"nothing of {name} was finished yet"
            if not request.is_batch:
                return f"{kept}; the same command begins anew{self._advice(job)}"
        again = "run the same command again"
        if self._segments and not job.resume:
            again = "run the command again without --no-resume"
        if request.is_batch and overwrite:  # which excludes --skip-existing
            again += " for the sources that are not done,"
        elif request.is_batch and not request.skip_existing:
            again += ", with --skip-existing,"
        return f"{kept}; {again} to go on{'' if self._segments else self._advice(job)}"

    def _advice(self, job: JobOptions) -> str:
        """Say how to keep something of a video of which nothing was."""
        from videoinr_cli.batch.items import Pending
        from videoinr_cli.jobs.partition import shorter_advice

        shorter = shorter_advice(self._item.plan, job) if isinstance(self._item, Pending) else None
        return "" if shorter is None else f"; {shorter}"


def _show_plan(
    items: Sequence[Item],
    options: UpscaleOptions,
    job: JobOptions,
    *,
    as_json: bool,
    is_batch: bool,
    quiet: bool,
) -> Sequence[Exception]:
    """Print what would be done, and return the errors of sources that cannot be rendered."""
    from videoinr_cli.batch.estimate import estimate_batch
    from videoinr_cli.cli.dry_run import plan_lines
    from videoinr_cli.cli.json_lines import JsonLines
    from videoinr_cli.progress import measuring_display

    failures: list[Exception] = []
    watch = functools.partial(measuring_display, quiet=quiet or as_json)
    plans = estimate_batch(items, options, job, failures, watch)
    with held_back():  # the notes are in the plan
        if as_json:
            tell = JsonLines()
            for event in plans:
                tell(event)
        else:
            for line in plan_lines(plans):
                if is_batch or not failures:  # the error of a single source is printed by the caller
                    click.echo(line)
    return failures


def _is_rate(source: Path) -> bool:
    """Whether a word is a number, and no file."""
    return re.fullmatch(r"\d+(\.\d+)?", str(source)) is not None and not source.exists()


def _is_option(source: Path) -> bool:
    """Whether a word looks like an option, and is no file."""
    return str(source).startswith("-") and source != Path("-") and not source.exists()


def _with_listed(sources: Sequence[Path], listing: BinaryIO | None) -> tuple[Path, ...]:
    """Return all sources, those of a list after the others.

    Raises:
        click.UsageError: there are none.
    """
    from videoinr_cli.batch.sources import read_list

    if found := (*sources, *([] if listing is None else read_list(listing.read()))):
        return found
    raise click.UsageError(
        "no SOURCE and no --input-list is given" if listing is None else "the --input-list names no SOURCE"
    )


def _default_output(sources: Sequence[Path], options: UpscaleOptions, *, is_list: bool) -> str:
    """Name the output of a single source beside it.

    Raises:
        click.UsageError: there are several sources, or the last one seems to be meant as the output.
        OutputError: a file has the name, which nobody has said to replace.
    """
    from videoinr_cli.batch.names import default_name
    from videoinr_cli.media.images import is_pattern
    from videoinr_cli.media.read.source import STANDARD_INPUT

    if not is_list and (option := next((str(one) for one in sources if _is_option(one)), None)):
        raise click.UsageError(f"what follows -- is a SOURCE, {option!r} too; options come before --")
    if len(sources) > 1 and not is_list and not sources[-1].exists():
        given = command_of(["videoinr", "upscale", *map(str, sources[:-1]), "-o", str(sources[-1])])
        raise click.UsageError(f"there is no file {str(sources[-1])!r}; did you mean {given}?")
    if len(sources) > 1 or is_list or sources[0].is_dir():
        raise click.UsageError("several videos need a folder for their outputs; add -o big/")
    if sources[0] == STANDARD_INPUT or is_pattern(sources[0]):
        raise click.UsageError(f"the output of {str(sources[0])!r} needs a name; add -o out.mkv")
    chosen = default_name(sources[0], options)
    if chosen.exists() and options.overwrite:
        raise OutputError(
            f"{str(chosen)!r} exists, and is replaced only if it is named; add -o {command_of([str(chosen)])}"
        )
    return str(chosen)
