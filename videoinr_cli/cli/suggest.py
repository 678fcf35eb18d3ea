"""``videoinr suggest``: which model suits a video, shown at one moment of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import (
    candidates_options,
    read_options,
    read_picture_options,
    size_options,
    threads_option,
    time_options,
    without_outranked,
)
from videoinr_cli.cli.preview import moment_options
from videoinr_cli.cli.sections import SectionedCommand
from videoinr_cli.cli.values import parse_region, parse_time
from videoinr_cli.options import (
    DEFAULT_WEIGHTS,
    NetworkOptions,
    PreviewOptions,
    UpscaleOptions,
    model_name,
    weights_named,
)
from videoinr_cli.quantities import roughly
from videoinr_cli.texts import command_of


@click.command("suggest", cls=SectionedCommand, short_help="Show which model suits a video, and its time.")
@click.argument("source", type=click.Path(path_type=Path))
@moment_options
@size_options
@time_options
@read_options
@candidates_options
@threads_option
def suggest(
    source: Path, output: Path | None, at: str | None, region: str | None, overwrite: bool, **given: Any
) -> None:
    """Show a part of SOURCE enlarged by each embedded model, its time for the whole, and its command.

    \b
    videoinr suggest in.mp4
    videoinr suggest in.mp4 --scale 4 --at 1:10 --model mine.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    kept = without_outranked(given)
    upscale = read_picture_options(
        kept
        | {"weights": DEFAULT_WEIGHTS, "spatial": None, "steady": 1.0, "strength": None}
        | {"overwrite": overwrite}
    )
    options = PreviewOptions(
        at_seconds=None if at is None else parse_time(at),
        region=None if region is None else parse_region(region),
        more_weights=tuple(
            name
            for name in dict.fromkeys(given["weights"])
            if weights_named(name) != DEFAULT_WEIGHTS  # shown anyway
        ),
        upscale=upscale,
    )
    show_messages(quiet=True)  # what suits the source is told below

    from videoinr_cli.previews.suggest import suggest as show  # torch takes a second to import
    from videoinr_cli.progress import count_display

    with count_display(source.name, quiet=False) as progress:
        found = show(source, output, options, progress=progress)
    click.echo(f"{found.preview.picture}: region {found.preview.region}", err=True)
    asked = list(_asked(kept))
    commands = [
        command_of(
            [
                *("videoinr", "upscale", _argument(source), *asked, *_naming(candidate.network)),
                *("-o", _output(source, upscale, candidate.network)),
            ]
        )
        for candidate in found.preview.candidates
    ]
    for command, candidate in zip(commands, found.preview.candidates, strict=True):
        seconds = candidate.whole_seconds
        remarks = [] if seconds is None else [f"about {roughly(seconds)}"]
        if candidate is found.suggested:
            remarks.append(f"suggested: it {found.suited.why}")
        # On a line of its own: not every shell takes what follows a command for a remark.
        click.echo(f"# {': '.join([candidate.name, ', '.join(remarks)]) if remarks else candidate.name}")
        click.echo(command)
    for name in found.left_out:
        click.echo(f"# {name} is not embedded and takes several times as long: --model {name} shows it too")


def _naming(network: NetworkOptions) -> list[str]:
    """Return the options of ``upscale`` that name a network."""
    strength = [] if network.strength is None else ["--strength", f"{network.strength:g}"]
    return ["--model", network.weights, *strength]


def _argument(source: Path) -> str:
    """Return a source as a word that is no option."""
    from videoinr_cli.media.read.source import STANDARD_INPUT

    return f"./{source}" if str(source).startswith("-") and source != STANDARD_INPUT else str(source)


def _output(source: Path, options: UpscaleOptions, network: NetworkOptions) -> str:
    """Name an output by its network too, so that all the commands may be run: ``in-2x-vivid-0.25.mp4``."""
    from videoinr_cli.batch.names import default_name
    from videoinr_cli.media.images import is_pattern
    from videoinr_cli.media.read.source import STANDARD_INPUT

    is_named = source != STANDARD_INPUT and not is_pattern(source) and not source.is_dir()
    name = default_name(source, options) if is_named else Path("out.mkv")
    strength = "" if network.strength is None else f"-{network.strength:g}"
    chosen = name.with_name(f"{name.stem}-{model_name(network.weights)}{strength}{name.suffix}")
    return f"./{chosen}" if str(chosen).startswith("-") else str(chosen)


def _asked(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options that were given and that ``upscale`` takes as well: all but the models."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if is_given and name != "weights" and kept.get(name) is not None:
            yield from (max(parameter.opts, key=len), str(kept[name]))
