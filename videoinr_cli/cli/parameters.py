"""The options of rendering: groups that several commands share, and how their values become records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from videoinr_cli.cli.sections import (
    encoding_option,
    picture_option,
    running_option,
    stream_option,
    time_option,
)
from videoinr_cli.cli.values import (
    parse_bytes,
    parse_frame_name,
    parse_rate,
    parse_scale,
    parse_setting,
    parse_side,
    parse_size,
    parse_speed,
    parse_tile,
    parse_time,
)
from videoinr_cli.errors import OptionError
from videoinr_cli.options import (
    AUDIO,
    BARS,
    CLUSTER_CODE,
    CLUSTER_FILES,
    DEDUPE,
    DEFAULT_CRF,
    DEFAULT_SCALE,
    DEFAULT_SCENE_THRESHOLD,
    DEFAULT_STEADINESS,
    DEFAULT_STRENGTH,
    DEFAULT_WEIGHTS,
    DEINTERLACE,
    PRECISIONS,
    EncodeOptions,
    JobOptions,
    ReadOptions,
    TargetRate,
    UpscaleOptions,
    faithful_of,
    model_name,
    sets_quality,
)

CommandT = TypeVar("CommandT", bound=Callable[..., object])
Decorator = Callable[[CommandT], CommandT]

WEIGHTS_VARIABLE = "VIDEOINR_WEIGHTS"
"""Sets --weights of every command."""

EXCLUSIVE = (
    ("scale", "size", "width", "height", "pad", "crop"),
    ("skip_existing", "overwrite"),
    ("crf", "encoder_option"),  # only -e that sets a rate or a quality
    ("steps", "minutes"),
    ("bits_per_pixel", "size_kb"),
)
"""Options that exclude each other, by their parameter names."""

NEEDED = {
    "bars": (("pad",), "--pad 1920x1080"),
    "steady": (("spatial",), "--spatial MODEL.pth"),
    "dedupe": (("fps", "speed"), "--fps 60"),
    "cluster_files": (("cluster",), "--cluster auto"),
    "cluster_code": (("cluster",), "--cluster auto"),
}
"""Options that say how another one does its work, by their parameter names: those of which one has to be
given too, and what to add."""

UNCHANGED = frozenset({"auto", "off", "own"})
"""Values of these that ask for what is done without the other option as well."""

LAYERS = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,  # the preset file
    ParameterSource.DEFAULT,
)
"""Where a value can come from, in order of precedence. click's own order differs between its versions."""

_ENCODING = EncodeOptions()
_JOB = JobOptions()


def group(*options: Decorator[Any]) -> Decorator[CommandT]:
    """Return a decorator that adds these options to a command, in this order."""

    def apply(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def _scale_option(default: float) -> Decorator[Any]:
    return picture_option(
        "--scale",
        metavar="FACTOR",
        help=f"Enlargement, any number >= 1: 2, 3.5, 4x; 1 keeps the size.  [default: {default:g}]",
    )


_side_options: Decorator[Any] = group(
    picture_option(
        "--size",
        metavar="WxH",
        help="Output size, instead of --scale: 1920x1080; or 720p, 1080p, 4k: as large as fits such a frame.",
    ),
    picture_option("--width", metavar="PX", help="Output width, instead of --scale; the height follows."),
    picture_option("--height", metavar="PX", help="Output height, instead of --scale; the width follows."),
    picture_option(
        "--pad",
        metavar="WxH",
        help="Instead of --scale: enlarge as far as fits into a frame of this size, or 1080p, 4k, and fill "
        "what is left of it with bars.",
    ),
    picture_option(
        "--crop",
        metavar="WxH",
        help="Instead of --scale: enlarge until a frame of this size is filled, and cut off what is outside.",
    ),
    picture_option(
        "--bars",
        type=click.Choice(BARS),
        default="black",
        show_default=True,
        help="What --pad adds: black, or the picture blurred.",
    ),
)
size_options: Decorator[Any] = group(_scale_option(DEFAULT_SCALE), _side_options)
fitted_size_options: Decorator[Any] = group(_scale_option(1), _side_options)
"""The same of `render`, which keeps the size unless asked."""

fps_option: Decorator[Any] = time_option(
    "--fps",
    metavar="RATE",
    help="Frame rate: 60, 60000/1001, 59.94, or 2x, twice the source's.  [default: the source's timestamps]",
)

time_options: Decorator[Any] = group(
    fps_option,
    time_option(
        "--dedupe",
        type=click.Choice(DEDUPE),
        default="auto",
        show_default=True,
        help="With --fps: let motion run evenly through drawings that are shown for several frames.",
    ),
    time_option(
        "--scene-threshold",
        type=float,
        default=DEFAULT_SCENE_THRESHOLD,
        show_default=True,
        help="How different two frames must be to count as a scene cut; 1 finds no cuts.",
    ),
)

read_options: Decorator[Any] = group(
    time_option(
        "--input-fps",
        metavar="RATE",
        help="Frame rate of images and raw streams, which have no timestamps.  [default: 25]",
    ),
    time_option(
        "--deinterlace",
        type=click.Choice(DEINTERLACE),
        default="auto",
        show_default=True,
        help="Turn each field into a frame; auto: if the source is marked as interlaced, or looks it.",
    ),
)

cut_options: Decorator[Any] = group(
    time_option("--start", metavar="TIME", help="Leave out all before this time: 70, 1:10 or 00:01:10.5."),
    time_option("--end", metavar="TIME", help="Leave out all from this time on: 80, 1:20 or 00:01:20.5."),
)

range_options: Decorator[Any] = group(
    cut_options,
    time_option(
        "--speed",
        metavar="FACTOR",
        default="1",
        show_default=True,
        help="Playback speed; 0.25 lasts four times as long, at the source's frame rate.",
    ),
)

stream_options: Decorator[Any] = group(
    stream_option(
        "--audio",
        type=click.Choice(AUDIO),
        default="keep",
        show_default=True,
        help="keep: copy the sound, stretch it to --speed, or convert what OUTPUT's format cannot hold; "
        "drop: leave it out.",
    ),
    stream_option(
        "--pix-fmt",
        metavar="FORMAT",
        default=_ENCODING.pix_fmt,
        show_default=True,
        help="Pixel format; auto: the source's, if the encoder supports it.",
    ),
    stream_option(
        "--strict",
        is_flag=True,
        help="Fail if the source is damaged, or if the output cannot hold all streams and timestamps.",
    ),
)

encoder_options: Decorator[Any] = group(
    encoding_option(
        "--codec",
        metavar="NAME",
        default=_ENCODING.codec,
        show_default=True,
        help="h264, h265, av1, vp9, or any video encoder of ffmpeg; auto: the usual one for OUTPUT's format.",
    ),
    encoding_option(
        "--crf",
        type=float,
        help=f"Quality; smaller is better.  [default: {DEFAULT_CRF} with every codec, unless -e sets a rate "
        "or a quality]",
    ),
    encoding_option(
        "--preset",
        metavar="NAME",
        default=_ENCODING.preset,
        show_default=True,
        help="The encoder's speed setting.",
    ),
    encoding_option(
        "-e",
        "--encoder-option",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any other option of the encoder; may be repeated.",
    ),
)


def device_option(more: str = "") -> Decorator[Any]:
    """Return --device, whose help names `more` than single devices."""
    return running_option(
        "--device",
        metavar="NAME",
        default="auto",
        show_default=True,
        help=f"Where to compute: auto, cpu, cuda, cuda:1, mps{more}.",
    )


class _WeightsName(click.types.StringParamType):
    """A text; a variable of the environment holds one, with any spaces in it."""

    envvar_list_splitter = "\0"


def _make_weights_option(more: str = "", **attributes: Any) -> Decorator[Any]:
    default = f"  [default: {model_name(DEFAULT_WEIGHTS)}]" if attributes["default"] else ""
    return picture_option(
        "--model",
        "--weights",
        "weights",
        metavar="NAME",
        type=_WeightsName(),
        envvar=WEIGHTS_VARIABLE,
        help="The model: clean (also called fast), real for compressed and noisy footage, vivid to make such "
        "footage a little crisper, large for the best picture, or auto for what suits the source; a name "
        f"from videoinr weights list, a file, or hf:OWNER/REPO/FILE{more}.{default}",
        **attributes,
    )


_weights_option: Decorator[Any] = _make_weights_option(default=DEFAULT_WEIGHTS)


def _make_strength_option(more: str = "", **attributes: Any) -> Decorator[Any]:
    return picture_option(
        "--strength",
        type=float,
        help=f"Share of vivid mixed with real, 0 to 1; most of the difference lies below 0.5{more}.  "
        f"[default: {DEFAULT_STRENGTH:g} with vivid]",
        **attributes,
    )


def precision_option(precisions: Sequence[str] = PRECISIONS) -> Decorator[Any]:
    """Return --precision, with the values that a command takes."""
    return running_option(
        "--precision",
        type=click.Choice(precisions),
        default="auto",
        show_default=True,
        help="Floating-point precision of the network; auto: what suits the device.",
    )


spatial_options: Decorator[Any] = group(
    picture_option(
        "--spatial",
        metavar="FILE",
        help="A single-image model (.pth, .safetensors, hf:OWNER/REPO/FILE) that enlarges the frames, whose "
        "motion --model tells. Needs videoinr[models].",
    ),
    picture_option(
        "--steady",
        type=float,
        default=DEFAULT_STEADINESS,
        show_default=True,
        help="How much --spatial's pictures of neighbouring frames are averaged, so that they do not "
        "flicker: 0 to 1.",
    ),
)

threads_option: Decorator[Any] = running_option(
    "--threads",
    type=int,
    metavar="N",
    help="Threads of the network on a CPU, which workers share.  [default: the cores that it may use]",
)

model_options: Decorator[Any] = group(_weights_option, device_option(), precision_option())
"""For commands that work on a single device."""

several_models_options: Decorator[Any] = group(
    _make_weights_option("; may be repeated, to compare", default=(DEFAULT_WEIGHTS,), multiple=True),
    _make_strength_option("; may be repeated", multiple=True),
    spatial_options,
    device_option(),
    precision_option(),
)
"""Likewise, with several models."""

candidates_options: Decorator[Any] = group(
    _make_weights_option("; may be repeated, beside the embedded ones", default=(), multiple=True),
    device_option(),
    precision_option(),
)
"""Likewise, with the embedded models and several more."""

memory_options: Decorator[Any] = group(
    running_option(
        "--tile",
        metavar="PX",
        default="auto",
        show_default=True,
        help="Largest part of a frame to encode at once, in source pixels; auto: as memory allows.",
    ),
    running_option(
        "--max-memory",
        metavar="SIZE",
        help="Memory limit, of the GPU or else the process: 800M, 4G.  [default: 80% of what is free]",
    ),
)

job_options: Decorator[Any] = group(
    running_option(
        "--workers",
        type=int,
        help="Processes that share a long video; at least one per device.  [default: on a CPU as many as its "
        "cores and memory serve, 4 at the most; else one per device]",
    ),
    running_option(
        "--segment-seconds",
        type=float,
        help="Segment length: the most work a crash can lose; 0 disables segments.  "
        "[default: by the output's size]",
    ),
    running_option(
        "--resume/--no-resume",
        default=_JOB.resume,
        show_default=True,
        help="Continue an earlier run from OUTPUT.videoinr, or discard it.",
    ),
    running_option("--keep-temp", is_flag=True, help="Keep OUTPUT.videoinr when the output is complete."),
    running_option(
        "--cluster",
        metavar="ADDRESS",
        help="Render on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT; --workers is then for each "
        "device of each node.",
    ),
    running_option(
        "--cluster-files",
        type=click.Choice(CLUSTER_FILES),
        default=_JOB.cluster_files,
        show_default=True,
        help="How nodes get at files: by their paths, sent, or auto: sent where the paths lead elsewhere.",
    ),
    running_option(
        "--cluster-code",
        type=click.Choice(CLUSTER_CODE),
        default=_JOB.cluster_code,
        show_default=True,
        help="Whose videoinr nodes run: their own, or this one, which is sent to them.",
    ),
)
"""The options that `read_job_options` reads."""

upscale_options: Decorator[Any] = group(
    size_options,
    _weights_option,
    _make_strength_option(),
    spatial_options,
    time_options,
    range_options,
    read_options,
    stream_options,
    encoder_options,
    device_option("; several: cuda:0,cuda:1"),
    precision_option(),
    threads_option,
    memory_options,
)
"""The options that `read_upscale_options` reads."""


def without_outranked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's values without those that a value from a higher layer excludes.

    ``--scale 2`` on the command line overrides ``height`` in a preset file, and ``--model real`` its
    ``strength``. Two from the same layer both stay, for the options' records to refuse.

    Args:
        given: values of the running command, by parameter name.

    Raises:
        OptionError: see `refuse_idle`.
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
    if kept.get("strength") is not None and layer("strength") > layer("weights"):
        named = kept["weights"] if isinstance(kept["weights"], tuple) else (kept["weights"],)
        if not any(map(faithful_of, named)):  # none of these models has a strength
            kept["strength"] = None
    refuse_idle(kept)
    return kept


def refuse_idle(given: Mapping[str, Any]) -> None:
    """Refuse an option that was typed and has no effect, as one in `NEEDED` lacks the other.

    A preset file and the environment are meant for other runs as well, and may set it.

    Args:
        given: values of the running command, by parameter name.

    Raises:
        OptionError: there is such an option.
    """
    source_of = click.get_current_context().get_parameter_source
    for name, (others, added) in NEEDED.items():
        is_typed = name in given and source_of(name) is ParameterSource.COMMANDLINE
        is_needed = any(
            given.get(other) is not None and source_of(other) is not ParameterSource.DEFAULT
            for other in others
        )
        if is_typed and given[name] not in UNCHANGED and not is_needed:
            option = f"--{name.replace('_', '-')}"
            raise OptionError(f"{option} has no effect without --{others[0]}; add {added}, or leave it out")


def _unasked(value: object) -> object:
    """Return an option's value without the part that excludes another option."""
    if isinstance(value, tuple):  # of -e
        return tuple(text for text in value if not sets_quality(text.partition("=")[0]))
    return False if isinstance(value, bool) else None


def read_upscale_options(given: Mapping[str, Any]) -> UpscaleOptions:
    """Return the record for the values of `upscale_options`, and of --overwrite, by parameter name.

    Raises:
        OptionError: a value makes no sense, or two values exclude each other.
    """
    max_memory = given["max_memory"]
    return dataclasses.replace(
        read_picture_options(given),
        tile=parse_tile(given["tile"]),
        max_memory_bytes=None if max_memory is None else parse_bytes(max_memory),
        strict=given["strict"],
        speed=parse_speed(given["speed"]),
        audio=given["audio"],
        encode=read_encode_options(given),
    )


def read_encode_options(given: Mapping[str, Any]) -> EncodeOptions:
    """Return the record for the values of `encoder_options`, and of --pix-fmt.

    Raises:
        OptionError: a value makes no sense.
    """
    return EncodeOptions(
        codec=given["codec"],
        crf="auto" if given["crf"] is None else given["crf"],
        preset=given["preset"],
        pix_fmt=given["pix_fmt"],
        extra=tuple(map(parse_setting, given["encoder_option"])),
    )


def read_picture_options(given: Mapping[str, Any]) -> UpscaleOptions:
    """Return the record for the values of the size, time, read and model options, and of --overwrite.

    Raises:
        OptionError: a value makes no sense, or two values exclude each other.
    """
    fps = given["fps"]
    return UpscaleOptions(
        **read_size_options(given),
        **{name: given[name] for name in _SAME},
        fps=None if fps is None else TargetRate.parse(fps),
        read=as_read_options(given),
    )


_SAME = (
    *("device", "precision", "threads", "weights", "spatial", "steady", "strength"),
    *("dedupe", "scene_threshold", "overwrite"),
)
"""Options that go to fields of their name."""


def read_size_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `UpscaleOptions` for the values of `size_options`.

    Raises:
        OptionError: a value makes no sense.
    """
    scale, size, width, height = (given[name] for name in ("scale", "size", "width", "height"))
    frame = None if size is None else parse_frame_name(size)
    return {
        "scale": None if scale is None else parse_scale(scale),
        "size": None if size is None or frame is not None else parse_size(size, "size"),
        "fit": frame,
        "width": None if width is None else parse_side(width, "width"),
        "height": None if height is None else parse_side(height, "height"),
        "pad": _frame(given["pad"], "pad"),
        "crop": _frame(given["crop"], "crop"),
        "bars": given["bars"],
    }


def _frame(text: str | None, option: str) -> tuple[int, int] | None:
    return None if text is None else parse_frame_name(text) or parse_size(text, option)


def read_job_options(given: Mapping[str, Any]) -> JobOptions:
    """Return the record for the values of `job_options`.

    Raises:
        OptionError: a value makes no sense.
    """
    return JobOptions(**{field.name: given[field.name] for field in dataclasses.fields(JobOptions)})


def as_read_options(given: Mapping[str, Any]) -> ReadOptions:
    """Return the record for the values of `read_options`, --start and --end, as far as the command has them.

    Raises:
        OptionError: a value makes no sense.
    """
    rate, start, end = (given.get(name) for name in ("input_fps", "start", "end"))
    return ReadOptions(
        rate=None if rate is None else parse_rate(rate),
        deinterlace=given.get("deinterlace", "auto"),
        start=None if start is None else parse_time(start),
        end=None if end is None else parse_time(end),
    )
