"""``videoinr info``: what a video contains, and what ``upscale`` would make of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videoinr_cli.cli.json_lines import path_text
from videoinr_cli.cli.messages import show_messages
from videoinr_cli.cli.parameters import (
    as_read_options,
    read_options,
    read_size_options,
    size_options,
    without_outranked,
)
from videoinr_cli.errors import VideoInrError
from videoinr_cli.options import UpscaleOptions
from videoinr_cli.quantities import counted, exact_clock

if TYPE_CHECKING:
    from videoinr_cli.media.inspection import Forecast, Inspection
    from videoinr_cli.media.read.timing import Timing
    from videoinr_cli.media.streams import StreamInfo, VideoInfo

LABEL_COLUMNS = 10

FAILED = 1

Lines = Iterator[tuple[str, str]]


@click.command("info", short_help="Show what a video contains, and what it would become.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outputs",
    metavar="NAME",
    multiple=True,
    help="Name of an output to describe; may be repeated.  [default: one of each common format]",
)
@size_options
@read_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info(sources: Sequence[Path], outputs: Sequence[str], as_json: bool, **given: Any) -> None:
    """Show what each SOURCE contains, and what upscale would make of it; of a fitted clip (.vinr), the fit.

    A folder stands for the videos in it.

    \b
    videoinr info in.mkv
    videoinr info in.mkv --height 2160 -o out.webm
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    show_messages(notes=False)  # what is found is printed, not logged
    given = without_outranked(given)
    options = UpscaleOptions(**read_size_options(given), read=as_read_options(given))
    from videoinr_cli.batch.sources import find_sources  # PyAV takes its time to import
    from videoinr_cli.media.inspection import SHOWN_OUTPUTS, inspect_video
    from videoinr_cli.media.read.fitted import is_fitted

    found = find_sources(sources)
    is_list = len(sources) > 1 or len(found) > 1 or found[0].path != sources[0]
    records: list[dict[str, Any]] = []
    failures: list[Exception] = []
    for source in found:
        try:
            if source.problem is not None:
                raise source.problem
            if is_fitted(source.path):
                fitted = _fitted(source.path, as_json=as_json)
                records += [] if fitted is None else [fitted]
                continue
            inspection = inspect_video(source.path, outputs or SHOWN_OUTPUTS, options)
        except VideoInrError as error:  # the others may have nothing to do with it
            if not is_list:
                raise
            failures.append(error)
            from videoinr_cli.progress import error_line  # so does rich

            error_line(str(error))
            continue
        if as_json:
            records.append(_record(inspection))
        else:
            _show(source.path, inspection)
    if as_json:
        click.echo(json.dumps(records if is_list else records[0], indent=2))
    if failures:
        click.get_current_context().exit(FAILED)


def _fitted(path: Path, *, as_json: bool) -> dict[str, Any] | None:
    """Show a fitted clip, or return it for JSON."""
    # torch takes a second to import
    from videoinr_cli.cli.fitted_info import described, fit_lines, fit_record

    file, found = described(path)
    if as_json:
        return {
            "path": path_text(path),
            "container": "vinr",
            "duration_seconds": _number(found.duration),
            "fit": fit_record(path, file),
            "streams": [_stream_record(stream) for stream in found.streams],
        }
    click.echo(str(path))
    _print(fit_lines(path, file))
    shown = ("audio", "subtitle", "attachment", "data", "chapters", "colour")
    _print(line for line in _source_lines(found, None) if line[0] in shown)
    return None


def _show(path: Path, found: Inspection) -> None:
    click.echo(str(path))
    _print(_source_lines(found.source, found.timing))
    click.echo("upscale would write")
    _print(_output_lines(found))


def _print(lines: Lines) -> None:
    for label, text in lines:
        click.echo(f"  {label:{LABEL_COLUMNS}}{text}")


def _source_lines(found: VideoInfo, timing: Timing | None) -> Lines:
    yield "file", f"{found.container}, {_duration(found.duration)}"
    yield "video", ", ".join(_video(found))
    yield "times", _times(found, timing)
    yield "colour", _colour(found)
    yield "HDR", _hdr(found)
    yield "fields", _FIELDS[found.field_order]
    for side_data in found.lost_side_data:
        yield "within", f"{side_data}, which no output keeps"
    for stream in found.streams:
        yield stream.kind, _stream(stream)
    if found.chapters:
        yield "chapters", str(len(found.chapters))


def _video(found: VideoInfo) -> Iterator[str]:
    yield f"stream {found.stream_index}"
    yield found.codec
    yield f"{found.width}x{found.height}"
    yield f"{found.pix_fmt} ({found.bit_depth} bits)"
    if found.sample_aspect_ratio != 1:
        yield f"pixels {_ratio(found.sample_aspect_ratio)}"
    if any(dataclasses.astuple(found.crop)):
        width, height = found.coded_size
        yield f"cropped out of {width}x{height}"
    if found.mirrored:
        yield "stored mirrored"
    if found.rotation:
        yield f"stored rotated, shown rotated by {found.rotation} degrees clockwise"


def _times(found: VideoInfo, timing: Timing | None) -> str:
    start = f"from {float(found.start_pts * found.time_base):.3f} s"
    if timing is None:
        return f"{_rate(found.frame_rate)} frames per second, not measured, {start}"
    count = counted(timing.frames, "frame")
    if not timing.is_whole:
        count = f"measured on the first {count}"
    if timing.is_constant:
        return f"constant, {_rate(timing.average)} frames per second, {count}, {start}"
    return (
        f"variable, {_rate(timing.lowest)} to {_rate(timing.highest)} frames per second, "
        f"{_rate(timing.average)} on average, {count}, {start}"
    )


def _colour(found: VideoInfo) -> str:
    colour = found.resolved_colour
    said = [
        f"matrix {colour.matrix}",
        f"primaries {colour.primaries}",
        f"transfer {colour.transfer}",
        f"{colour.range} range",
        f"chroma {colour.chroma_location}",
    ]
    guessed = ", ".join(name.replace("_", " ") for name in found.colour.unknown)
    return ", ".join(said) + (f"; not in the file but guessed: {guessed}" if guessed else "")


def _hdr(found: VideoInfo) -> str:
    if not found.colour.is_hdr:
        return "no"
    kind = {"smpte2084": "PQ", "arib-std-b67": "HLG"}[found.colour.transfer or ""]
    display = f", mastering display {found.mastering_display}" if found.mastering_display else ""
    light = f", content light {found.content_light} cd/m2" if found.content_light else ""
    return kind + display + light


_FIELDS = {
    "progressive": "progressive, according to the stream",
    "unknown": "not stated by the stream",
    "tff": "interlaced, top field first, according to the stream",
    "bff": "interlaced, bottom field first, according to the stream",
    "flagged": "interlaced, according to its frames",
}


def _stream(stream: StreamInfo) -> str:
    parts = [f"stream {stream.index}", stream.codec or "unknown codec", stream.language, stream.detail]
    parts += [f'"{stream.title}"' if stream.title else None, *stream.disposition]
    if stream.start_seconds is not None and stream.kind in ("audio", "video"):
        parts.append(f"from {float(stream.start_seconds):.3f} s")
    return ", ".join(part for part in parts if part)


def _output_lines(found: Inspection) -> Lines:
    taken = found.as_read
    if found.advice is not None:
        yield "model", found.advice
    if taken.fields is not None:
        first = {"tff": "top field first", "bff": "bottom field first"}.get(taken.fields, "as flagged")
        yield "fields", f"each becomes a frame, {first}; --deinterlace off keeps them interleaved"
    yield (
        "times",
        f"the source's own, {_rate(taken.frame_rate)} frames per second on average; --fps changes it",
    )
    if found.repeats is not None:
        yield "drawings", f"{found.repeats.described(taken.frame_rate)} with --fps, unless --dedupe off"
    if not taken.is_file and (taken.streams or taken.chapters):
        yield "input", "only the pictures, since it can be read only once; name a file to keep everything"
    for name, planned in found.outputs.items():
        yield name, str(planned) if isinstance(planned, VideoInrError) else ", ".join(_output(planned))


def _output(planned: Forecast) -> Iterator[str]:
    yield "{}x{}".format(*planned.size)
    if planned.picture != planned.size:
        yield "the picture {}x{}".format(*planned.picture)
    yield from (planned.format.encoder.name, planned.format.pix_fmt)
    for kept in planned.streams.kept:
        if kept.encoder != "copy":
            yield f"{kept.stream.name} becomes {kept.becomes}"
    for stream in planned.streams.dropped_streams:
        yield f"{stream.name} is left out"


def _record(inspection: Inspection) -> dict[str, Any]:
    """Return everything as JSON has it: exact times as fractions in text, so that nothing is rounded."""
    found, timing, taken = inspection.source, inspection.timing, inspection.as_read
    return {
        "path": path_text(found.path),
        "container": found.container,
        "duration_seconds": _number(found.duration),
        "video": {
            "index": found.stream_index,
            "codec": found.codec,
            "width": found.width,
            "height": found.height,
            "pix_fmt": found.pix_fmt,
            "bit_depth": found.bit_depth,
            "alpha": found.has_alpha,
            "sample_aspect_ratio": _ratio(found.sample_aspect_ratio),
            "rotation_degrees": found.rotation,
            "mirrored": found.mirrored,
            "crop": dataclasses.asdict(found.crop),
            "field_order": found.field_order,
            "disposition": list(found.disposition),
            "tags": dict(found.tags),
        },
        "timing": {
            "time_base": str(found.time_base),
            "start_seconds": _number(found.start_pts * found.time_base),
            "constant": None if timing is None else timing.is_constant,
            "frame_rate": str(found.frame_rate if timing is None else timing.average),
            "lowest_rate": None if timing is None else str(timing.lowest),
            "highest_rate": None if timing is None else str(timing.highest),
            "frames": None if timing is None or not timing.is_whole else timing.frames,
        },
        "colour": {**dataclasses.asdict(found.resolved_colour), "guessed": list(found.colour.unknown)},
        "hdr": {
            "is_hdr": found.colour.is_hdr,
            "mastering_display": found.mastering_display,
            "content_light": found.content_light,
        },
        "within_frames": list(found.lost_side_data),
        "streams": [_stream_record(stream) for stream in found.streams],
        "chapters": [
            {
                "start_seconds": _number(chapter.start_seconds),
                "end_seconds": _number(chapter.end_seconds),
                "tags": dict(chapter.tags),
            }
            for chapter in found.chapters
        ],
        "upscale": {
            "deinterlaced": taken.fields is not None,
            "pictures_only": not taken.is_file,
            "frame_rate": str(taken.frame_rate),
            "drawings_per_second": _drawings_per_second(inspection),
            "advice": inspection.advice,
            "outputs": {name: _forecast_record(planned) for name, planned in inspection.outputs.items()},
        },
    }


def _drawings_per_second(inspection: Inspection) -> str | None:
    repeats = inspection.repeats
    if repeats is None or repeats.spacing is None:
        return None
    return str(inspection.as_read.frame_rate / repeats.spacing)


def _stream_record(stream: StreamInfo) -> dict[str, Any]:
    return {
        "index": stream.index,
        "kind": stream.kind,
        "codec": stream.codec or None,
        "language": stream.language,
        "title": stream.title,
        "disposition": list(stream.disposition),
        "start_seconds": _number(stream.start_seconds),
        "duration_seconds": _number(stream.duration_seconds),
        "detail": stream.detail or None,
    }


def _forecast_record(planned: Forecast | VideoInrError) -> dict[str, Any]:
    if isinstance(planned, VideoInrError):
        return {"error": str(planned)}
    return {
        "width": planned.size[0],
        "height": planned.size[1],
        "picture_width": planned.picture[0],
        "picture_height": planned.picture[1],
        "encoder": planned.format.encoder.name,
        "pix_fmt": planned.format.pix_fmt,
        "copied": [kept.stream.index for kept in planned.streams.kept if kept.encoder == "copy"],
        "converted": {
            str(kept.stream.index): kept.becomes for kept in planned.streams.kept if kept.encoder != "copy"
        },
        "left_out": [stream.index for stream in planned.streams.dropped_streams],
    }


def _number(seconds: Fraction | None) -> float | None:
    return None if seconds is None else round(float(seconds), 6)


def _rate(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def _ratio(ratio: Fraction) -> str:
    return f"{ratio.numerator}:{ratio.denominator}"


def _duration(seconds: Fraction | None) -> str:
    return "unknown duration" if seconds is None else exact_clock(float(seconds))
