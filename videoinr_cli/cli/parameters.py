"""The options of rendering, in groups that commands put together, and how they become records.

Knows nothing of what a command does with them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from videoinr_cli.cli.values import (
    parse_bytes,
    parse_rate,
    parse_setting,
    parse_size,
    parse_speed,
    parse_tile,
    parse_time,
)
from videoinr_cli.options import (
    AUDIO,
    DEFAULT_CRF,
    DEFAULT_SCALE,
    DEFAULT_SCENE_THRESHOLD,
    DEFAULT_WEIGHTS,
    DEINTERLACE,
    PRECISIONS,
    EncodeOptions,
    JobOptions,
    ReadOptions,
    TargetRate,
    UpscaleOptions,
    sets_quality,
)

CommandT = TypeVar("CommandT", bound=Callable[..., object])
Decorator = Callable[[CommandT], CommandT]

WEIGHTS_VARIABLE = "VIDEOINR_WEIGHTS"
"""Names the weights of every command."""

EXCLUSIVE = (
    ("scale", "size", "height"),
    ("skip_existing", "overwrite"),
    ("crf", "encoder_option"),  # of these, the rates and qualities
    ("steps", "minutes"),
)
"""Options of which one takes the place of the others, by the names of their values."""

LAYERS = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,  # the preset file
    ParameterSource.DEFAULT,
)
"""Where a value can come from, what counts most first. click's own order differs between its versions."""

_ENCODING = EncodeOptions()
_JOB = JobOptions()


def group(*options: Decorator[Any]) -> Decorator[CommandT]:
    """Return a decorator that gives a command all of these options, shown in this order."""

    def apply(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


size_options: Decorator[Any] = group(
    click.option("--scale", type=float, help=f"Enlargement, any number >= 1.  [default: {DEFAULT_SCALE:g}]"),
    click.option("--size", metavar="WxH", help="Size of the output, instead of --scale."),
    click.option("--height", type=int, help="Height of the output, the width follows, instead of --scale."),
)

time_options: Decorator[Any] = group(
    click.option(
        "--fps",
        metavar="RATE",
        help="Frame rate: 60, 60000/1001, 59.94, or 2x.  [default: the source's times]",
    ),
    click.option(
        "--scene-threshold",
        type=float,
        default=DEFAULT_SCENE_THRESHOLD,
        show_default=True,
        help="How different frames must be to count as a cut; 1: none ever does.",
    ),
)

read_options: Decorator[Any] = group(
    click.option(
        "--input-fps", metavar="RATE", help="Rate of images and raw streams, which say none.  [default: 25]"
    ),
    click.option(
        "--deinterlace",
        type=click.Choice(DEINTERLACE),
        default="auto",
        show_default=True,
        help="Make a frame of every field; auto: where the file says that it is interlaced, or shows it.",
    ),
)

part_options: Decorator[Any] = group(
    click.option("--start", metavar="TIME", help="Leave out what is before: seconds, or HH:MM:SS.mmm."),
    click.option("--end", metavar="TIME", help="Leave out what is after: seconds, or HH:MM:SS.mmm."),
    click.option(
        "--speed",
        default="1",
        show_default=True,
        help="How fast it plays; 0.25: four times as long, at the source's frame rate.",
    ),
    click.option(
        "--audio",
        type=click.Choice(AUDIO),
        default="keep",
        show_default=True,
        help="Sound: kept as it is, stretched if --speed asks for it; or left out.",
    ),
)

encoder_options: Decorator[Any] = group(
    click.option(
        "--codec",
        default=_ENCODING.codec,
        show_default=True,
        help="Video encoder, any of ffmpeg's; auto: what suits OUTPUT.",
    ),
    click.option(
        "--crf",
        type=float,
        help=f"Quality, smaller is better.  [default: {DEFAULT_CRF}, unless -e sets a rate or a quality]",
    ),
    click.option(
        "--preset", default=_ENCODING.preset, show_default=True, help="The encoder's speed setting."
    ),
    click.option(
        "--pix-fmt",
        default=_ENCODING.pix_fmt,
        show_default=True,
        help="Pixel format; auto: the source's, if it can be.",
    ),
    click.option(
        "-e",
        "--encoder-option",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any other option of the encoder; repeat it for several.",
    ),
)


def _device_option(more: str = "") -> Decorator[Any]:
    """Return --device, whose help names `more` than single devices."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        help=f"Where to compute: auto, cpu, cuda, cuda:1, mps{more}.",
    )


_weights_option: Decorator[Any] = click.option(
    "--model",
    "--weights",
    "weights",
    default=DEFAULT_WEIGHTS,
    show_default=True,
    envvar=WEIGHTS_VARIABLE,
    help="The model: clean, or real for compressed and noisy footage; a name of videoinr weights list, "
    "a file, or hf:OWNER/REPO/FILE.",
)

_precision_option: Decorator[Any] = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Of the network's numbers; auto: what suits the device.",
)

model_options: Decorator[Any] = group(_weights_option, _device_option(), _precision_option)
"""For commands that work on a single device."""

memory_options: Decorator[Any] = group(
    click.option(
        "--tile",
        metavar="PX",
        default="auto",
        show_default=True,
        help="Largest part of a frame to encode at once, in pixels of the source; auto: what fits in memory.",
    ),
    click.option(
        "--max-memory",
        metavar="SIZE",
        help="Most memory to use, of the GPU or else the process: 800M, 4G.  [default: 80% of what is free]",
    ),
)

strict_option: Decorator[Any] = click.option(
    "--strict",
    is_flag=True,
    help="Fail at damage in the source, and at a stream or times that the output cannot hold.",
)

job_options: Decorator[Any] = group(
    click.option(
        "--resume/--no-resume",
        default=_JOB.resume,
        show_default=True,
        help="Go on with what an earlier run left in OUTPUT.videoinr, or throw it away.",
    ),
    click.option("--keep-temp", is_flag=True, help="Keep that folder when the output is done."),
    click.option(
        "--workers",
        type=int,
        default=_JOB.workers,
        show_default=True,
        help="Processes that share a long video; at least one for each of --device.",
    ),
    click.option(
        "--segment-seconds",
        type=float,
        help="Length of what a crash may cost; 0: render in one go.  [default: by the output's size]",
    ),
)
"""Those whose values `read_job_options` takes."""

upscale_options: Decorator[Any] = group(
    size_options,
    time_options,
    part_options,
    read_options,
    encoder_options,
    _weights_option,
    _device_option("; several: cuda:0,cuda:1"),
    _precision_option,
    memory_options,
    strict_option,
)
"""All of the groups whose values `read_upscale_options` takes."""


def without_outranked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's values less those that exclude one from a higher layer.

    With ``height`` in a preset file, ``--scale 2`` is all that was meant. Two of the same layer both stay,
    for the options' records to refuse.

    Args:
        given: values of the command that is running, by the options' names, with underscores.
    """
    context = click.get_current_context()

    def layer(name: str) -> int:
        source = context.get_parameter_source(name)
        assert source is not None
        return LAYERS.index(source)

    kept = dict(given)
    for names in EXCLUSIVE:
        asked = [name for name in names if name in kept and _unasked(kept[name]) != kept[name]]
        highest = min(map(layer, asked), default=0)
        kept |= {name: _unasked(kept[name]) for name in asked if layer(name) > highest}
    return kept


def _unasked(value: object) -> object:
    """Return what is left of an option's value when it asks for nothing that excludes another option."""
    if isinstance(value, tuple):  # of -e
        return tuple(text for text in value if not sets_quality(text.partition("=")[0]))
    return False if isinstance(value, bool) else None


def read_upscale_options(given: Mapping[str, Any], *, overwrite: bool = False) -> UpscaleOptions:
    """Return what the values of `upscale_options` ask for.

    Args:
        given: by the options' names, with underscores, as click hands them to a command.
        overwrite: whether an existing output may be replaced.

    Raises:
        OptionError: a value makes no sense, or two of them exclude each other.
    """
    max_memory = given["max_memory"]
    return dataclasses.replace(
        read_picture_options(given, overwrite=overwrite),
        tile=parse_tile(given["tile"]),
        max_memory_bytes=None if max_memory is None else parse_bytes(max_memory),
        strict=given["strict"],
        speed=parse_speed(given["speed"]),
        audio=given["audio"],
        encode=EncodeOptions(
            codec=given["codec"],
            crf="auto" if given["crf"] is None else given["crf"],
            preset=given["preset"],
            pix_fmt=given["pix_fmt"],
            extra=tuple(map(parse_setting, given["encoder_option"])),
        ),
    )


def read_picture_options(given: Mapping[str, Any], *, overwrite: bool = False) -> UpscaleOptions:
    """Return what the values of the options for size, time, reading and the model ask for, and no others.

    For the arguments and errors see `read_upscale_options`.
    """
    size, fps = given["size"], given["fps"]
    return UpscaleOptions(
        scale=given["scale"],
        size=None if size is None else parse_size(size),
        height=given["height"],
        fps=None if fps is None else TargetRate.parse(fps),
        device=given["device"],
        precision=given["precision"],
        weights=given["weights"],
        scene_threshold=given["scene_threshold"],
        overwrite=overwrite,
        read=as_read_options(given),
    )


def read_job_options(given: Mapping[str, Any]) -> JobOptions:
    """Return what the values of `job_options` ask for.

    Raises:
        OptionError: a value makes no sense.
    """
    return JobOptions(
        segment_seconds=given["segment_seconds"],
        workers=given["workers"],
        resume=given["resume"],
        keep_temp=given["keep_temp"],
    )


def as_read_options(given: Mapping[str, Any]) -> ReadOptions:
    """Return what the values of `read_options`, and of `part_options` where a command has them, ask for.

    Raises:
        OptionError: a value makes no sense.
    """
    rate, start, end = given["input_fps"], given.get("start"), given.get("end")
    return ReadOptions(
        rate=None if rate is None else parse_rate(rate),
        deinterlace=given["deinterlace"],
        start=None if start is None else parse_time(start),
        end=None if end is None else parse_time(end),
    )
