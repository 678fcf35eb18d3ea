"""ffmpeg's options that take a source's other streams, chapters and tags into the output, at their times.

They follow the video where it is cut or played at another speed. A copied stream can only be cut between
packets: sound begins with its first whole packet (some 20 ms) and ends with the one that holds the end;
bitmap subtitles that are already shown where the cut begins are lost.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from videoinr_cli.media.ffmpeg import check_filters_input
from videoinr_cli.media.read.fitted import readable
from videoinr_cli.media.streams import ClockShift, VideoInfo
from videoinr_cli.media.write.containers import Container
from videoinr_cli.media.write.kept_streams import KeptStream
from videoinr_cli.media.write.output import OutputSpec
from videoinr_cli.media.write.sound_layouts import layout_filters
from videoinr_cli.media.write.tags import FORM_TAGS, renamed_tags
from videoinr_cli.media.write.timecode import moved_timecode

SEEK_MARGIN_SECONDS = 30
"""How long before a cut the file is read: subtitles that are still shown may have begun there."""

MIN_TEMPO, MAX_TEMPO = Fraction(1, 2), Fraction(2)
"""Factors by which one atempo filter stretches sound without skipping any; a chain does the rest."""

WINDOW_SECONDS = Fraction(1, 24)
"""Length of the pieces of sound that atempo moves unchanged. It aligns their starts, not their middles, so
that slow sound comes early. Measured: 20 ms at half the speed, 50 ms at a quarter."""

GAP_SECONDS = 0.02
"""Gaps in the sound of this length or more become silence before it is stretched; less is rounding."""

LIBOPUS_PADDING = 312
"""Samples at 48 kHz that libopus puts before the start of a sound."""

_STALE_TAGS = re.compile(
    r"(?i)^(rotate|alpha_mode|duration|bps|number_of_(frames|bytes)|_statistics_.*)(-\w+)?$"
)
"""Tags of the source's video that are no longer true of the output, or that ffmpeg adds where they are."""

_ESCAPED = str.maketrans({character: f"\\{character}" for character in "=;#\\\n"})


@dataclasses.dataclass(frozen=True)
class OtherStreams:
    """ffmpeg's words for everything of a source but its pictures, which are input 0 and output stream 0."""

    inputs: tuple[str, ...] = ()  # further inputs, with their options
    options: tuple[str, ...] = ()  # the output's


def other_streams(output: OutputSpec) -> OtherStreams:
    """Return the words that take a source's other streams, chapters and tags into the output.

    Streams that become attached files are taken elsewhere.

    Raises:
        FfmpegError: the source's clock breaks, and ffmpeg is too old to mend that in sound and subtitles.
    """
    source = output.source
    if output.pictures_only or not source.is_file:
        return OtherStreams()
    if output.kept and source.clock_shifts:
        check_filters_input(output.format.program, str(source.path))
    mapped = [keep for keep in output.kept if not keep.is_attached]
    delay = output.clock.delay * output.speed
    inputs = [*_input_options(source, mapped, delay), "-i", f"file:{readable(source.path)}"]
    chapters = "1"
    if source.chapters and (source.is_cut or output.speed != 1 or _has_late_chapters(source)):
        inputs += ["-f", "ffmetadata", "-i", _chapter_address(source, output.speed)]
        chapters = "2"
    options = ["-map_metadata", "1", "-map_chapters", chapters]
    options += ["-map_metadata:s:0", f"1:s:{source.stream_index}"]
    options += ["-disposition:0", "+".join(source.disposition) or "0"]
    for place, keep in enumerate(mapped, start=1):
        options += ["-map", f"1:{keep.stream.index}", f"-c:{place}", keep.encoder]
        options += [f"-map_metadata:s:{place}", f"1:s:{keep.stream.index}"]
        if keep.stream.codec == "hevc" and output.format.container.hevc_tag:
            options += [f"-tag:{place}", output.format.container.hevc_tag]
        retimed = dict(_retimed(keep, source, output.speed, output.format.container))
        if late := _missing_delay(keep, output):
            retimed["bsf"] = ",".join([*filter(None, [retimed.get("bsf")]), f"setts=ts=TS+{late}"])
        for option, value in retimed.items():
            options += [f"-{option}:{place}", value]
    if source.stop_seconds is not None and not source.clock_shifts:
        # ffmpeg stops reading here, by the source's times (which need one clock) and by the output's.
        options += ["-t", _decimal(max(source.stop_seconds, source.stop_seconds / output.speed))]
    return OtherStreams(tuple(inputs), (*options, *_tag_options(output)))


def _tag_options(output: OutputSpec) -> Iterator[str]:
    """Yield the options that remove stale tags, replace or remove the timecode, and rename tags."""
    source = output.source
    for name, _ in source.tags:
        if _STALE_TAGS.match(name):
            yield from ("-metadata:s:0", f"{name}=")
    for name, _ in source.file_tags:
        if name.lower() in FORM_TAGS:
            yield from ("-metadata", f"{name}=")
    moved = moved_timecode(source, output.frame_rate) or ""
    for option, tags in (("-metadata:s:0", source.tags), ("-metadata", source.file_tags)):
        for name, _ in tags:
            if name.lower() == "timecode":
                yield from (option, f"{name}={moved}")
    for name, value in renamed_tags(source, output.format.container).items():
        yield from ("-metadata", f"{name}={value}")


def _input_options(source: VideoInfo, kept: Sequence[KeptStream], delay: Fraction) -> Iterator[str]:
    """Yield the options that put streams on the output's clock, and seek to shortly before a cut.

    Args:
        source: the file.
        kept: what is taken from it.
        delay: by how much everything is later than in the file, in seconds of the source.
    """
    yield from ("-itsoffset", _decimal(delay - source.origin))
    if source.clock_shifts:  # which mislead ffmpeg's search for a time
        for keep in kept:
            yield from (f"-bsf:{keep.stream.index}", _one_clock(source.clock_shifts))
    elif source.is_cut and source.origin > SEEK_MARGIN_SECONDS:
        # Every stream is then cut exactly by its own options: ffmpeg's own cut does not work with -copyts.
        margin = SEEK_MARGIN_SECONDS + max((keep.stream.padding_seconds for keep in kept), default=0)
        yield from ("-seek_timestamp", "1", "-ss", _decimal(source.origin - margin), "-noaccurate_seek")


def _one_clock(shifts: Sequence[ClockShift]) -> str:
    """Return the bitstream filter that brings the packets of a stream onto one clock.

    Of several that begin in the same packet of the file, only the first one has a position: it is remembered.
    """
    before = [Fraction(0), *(shift.seconds for shift in shifts)]
    steps = "".join(
        f"+gte(ld(0),{shift.position})*{_decimal(shift.seconds - earlier)}"
        for earlier, shift in zip(before, shifts, strict=False)
    )
    return f"setts=ts='if(gte(POS,0),st(0,POS));if(eq(TS,NOPTS),NOPTS,TS+(0{steps})/TB)'"


def _retimed(
    keep: KeptStream, source: VideoInfo, speed: Fraction, container: Container
) -> Iterator[tuple[str, str]]:
    """Yield the options that cut and stretch a stream, and their values; their names lack its number."""
    if keep.stream.kind == "attachment":
        return
    if keep.stream.is_cover:
        yield "bsf", "setts=ts=0"  # it has no time of its own, and must not be before the start
    elif keep.stream.kind == "audio" and keep.encoder != "copy":
        fills = not container.times_sound(keep.becomes)
        sounds = _sound_filters(source, speed, fills_pauses=fills)
        filters = [*layout_filters(keep.stream.layout, keep.layout), *sounds]
        if filters:
            yield "filter", ",".join(filters)
    elif keep.stream.kind == "subtitle":
        # ffmpeg gives bitmaps that last until the next one 2**32 - 1 ms, which mp4 refuses.
        end = _end_seconds(source) if keep.stream.codec == "dvd_subtitle" else source.stop_seconds
        if source.is_cut or speed != 1 or end is not None:
            yield "bsf", _subtitle_filters(source, speed, end)
    else:
        yield from _copied(keep, source, speed, container)


def _missing_delay(keep: KeptStream, output: OutputSpec) -> int:
    """Return the container's ticks by which Opus would come early: see `OutputFormat.hastens_opus`."""
    tick = output.format.container.tick
    if tick is None or keep.becomes != "opus" or not output.format.hastens_opus:
        return 0
    samples = keep.stream.padding_at_48_khz if keep.encoder == "copy" else LIBOPUS_PADDING
    return round(Fraction(samples, 48_000) / tick)


def _copied(
    keep: KeptStream, source: VideoInfo, speed: Fraction, container: Container
) -> Iterator[tuple[str, str]]:
    """Yield the options that cut a stream that is copied, and their values."""
    filters: list[str] = []
    hidden = keep.stream.cut_out + (keep.stream.hidden_start if container.plays_all else ())
    if hidden:
        inside = "+".join(f"between(pos,{first},{last})" for first, last in hidden)
        filters.append(f"noise=drop='{inside}'")
    if _keeps_padding(keep, source, container):
        # ffmpeg gives the muxer the padding of the whole file, which players skip: the sound before the part
        # takes its place. The half tick is for rounding.
        filters.append(f"noise=drop='lt(pts,{_decimal(-keep.stream.padding_seconds)}/tb-0.5)'")
    else:
        if source.is_cut:
            yield "copypriorss", "0"
        if speed != 1 or (source.is_cut and source.clock_shifts):  # where ffmpeg itself does not end it
            filters.append(_drop(source) + f"setts=ts='TS*{1 / speed}':duration='DURATION*{1 / speed}'")
    if filters:
        yield "bsf", ",".join(filters)


def _keeps_padding(keep: KeptStream, source: VideoInfo, container: Container) -> bool:
    """Whether a copied stream is cut earlier than the part, by the length of its padding."""
    is_padded = container.says_padding and keep.stream.padding_seconds > 0
    return is_padded and source.is_cut and not source.clock_shifts


def _sound_filters(source: VideoInfo, speed: Fraction, *, fills_pauses: bool) -> Iterator[str]:
    end = "" if source.stop_seconds is None else f":end={_decimal(source.stop_seconds)}"
    # Fill the start of the output and all gaps with silence: atempo only counts samples.
    silence = f"aresample=async=1:first_pts=0:min_hard_comp={GAP_SECONDS}"
    if speed == 1:
        if fills_pauses:
            yield silence
        if source.is_cut:
            yield f"atrim=start=0{end}"
        return
    yield silence
    yield f"atrim=start=0{end}"
    yield f"apad=pad_dur={float(WINDOW_SECONDS):.3f}"  # atempo drops an incomplete last piece
    early = Fraction(0)
    for tempo in _tempos(speed):
        yield f"atempo={float(tempo):.9g}"
        early = early / tempo + max(1 / tempo - 1, Fraction(0)) * WINDOW_SECONDS / 2
    if early:
        yield f"adelay=delays={round(early * 1000)}:all=1"


def _tempos(speed: Fraction) -> Iterator[Fraction]:
    """Split a speed into factors that one filter stretches by without skipping sound."""
    while not MIN_TEMPO <= speed <= MAX_TEMPO:
        factor = MIN_TEMPO if speed < 1 else MAX_TEMPO
        yield factor
        speed /= factor
    yield speed


def _subtitle_filters(source: VideoInfo, speed: Fraction, end_seconds: Fraction | None) -> str:
    """Return the filters that drop subtitles before the cut, trim those across it, and stretch times."""
    begin, length = "TS", "DURATION"
    if source.is_cut:
        begin, length = "max(TS,0)", "DURATION+min(PTS,0)"
    if end_seconds is not None:
        length = f"max(0,min({length},{_decimal(end_seconds)}/TB-max(PTS,0)))"
    return _drop(source) + f"setts=ts='({begin})*{1 / speed}':duration='({length})*{1 / speed}'"


def _end_seconds(source: VideoInfo) -> Fraction | None:
    """Return where the video ends, in seconds from its origin; None: unknown."""
    return None if source.end_pts is None else source.end_pts * source.time_base - source.origin


def _drop(source: VideoInfo) -> str:
    """Return the bitstream filter that drops packets wholly outside a part, to go before others."""
    if not source.is_cut:
        return ""
    late = "" if source.stop_seconds is None else f"+gte(pts*tb,{_decimal(source.stop_seconds)})"
    # Bitmaps have no duration; those that begin with the part are in it.
    return f"noise=drop='lt(pts,0)*lte(pts+duration,0){late}',"


def _has_late_chapters(source: VideoInfo) -> bool:
    """Whether chapters reach beyond all sound and pictures; mp4 would last as long as they do."""
    end = source.content_end
    return end is not None and any(chapter.end_seconds > end for chapter in source.chapters)


def _chapter_address(source: VideoInfo, speed: Fraction) -> str:
    """Return the chapters at the output's times, as an address of ffmpeg metadata."""
    lines = [";FFMETADATA1"]
    for chapter in source.chapters:
        start = max(chapter.start_seconds - source.origin, Fraction(0))
        end = chapter.end_seconds - source.origin
        ends = (source.stop_seconds, source.content_end and source.content_end - source.origin)
        end = min([end, *(latest for latest in ends if latest is not None)])
        if end <= start:
            continue
        lines += ["[CHAPTER]", "TIMEBASE=1/1000000"]
        lines += [f"START={_microseconds(start / speed)}", f"END={_microseconds(end / speed)}"]
        lines += [f"{key.translate(_ESCAPED)}={value.translate(_ESCAPED)}" for key, value in chapter.tags]
    text = "\n".join(lines) + "\n"
    return f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}"


def _microseconds(seconds: Fraction) -> int:
    return math.floor(seconds * 1_000_000 + Fraction(1, 2))


def _decimal(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"
