"""What of a source goes into the output beside its video: streams, chapters and tags, at their times.

They follow the video where it is cut or played at another speed. What is copied can only be cut between
packets: sound begins with its first whole packet (some 20 ms) and ends with the one that holds the end;
bitmap subtitles that are shown already when the cut begins are lost. Knows nothing of pictures.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import ffmpeg

from videoinr_cli.media.streams import ClockShift, VideoInfo
from videoinr_cli.media.write.arguments import utf8
from videoinr_cli.media.write.containers import Container
from videoinr_cli.media.write.kept_streams import KeptStream

SEEK_MARGIN_SECONDS = 30
"""How long before a cut the file is entered: subtitles that are still shown may have begun there."""

MIN_TEMPO, MAX_TEMPO = Fraction(1, 2), Fraction(2)
"""Factors that one atempo filter stretches sound by without leaving anything out; more of them in a row do
the rest."""

WINDOW_SECONDS = Fraction(1, 24)
"""Pieces of sound that atempo moves as they are. It lays their starts, not their middles, where the stretched
time has them, so that slow sound comes early: measured 20 ms at half the speed, 50 ms at a quarter."""

GAP_SECONDS = 0.02
"""Holes in the sound from this on become silence before it is stretched; less is a clock's rounding."""

_ESCAPED = str.maketrans({character: f"\\{character}" for character in "=;#\\\n"})

Streams = list[ffmpeg.nodes.FilterableStream]


def beside(
    source: VideoInfo, kept: Sequence[KeptStream], speed: Fraction, container: Container
) -> tuple[Streams, dict[str, str | None]]:
    """Return ffmpeg-python's streams for the output after its video, and the options for them.

    Args:
        source: one file.
        kept: which streams of it; those that are attached come by other ways.
        speed: how much faster than the source the output is played.
        container: where they go.
    """
    mapped = [keep for keep in kept if not keep.is_attached]
    original = ffmpeg.input(utf8(f"file:{source.path}"), **_input_options(source, mapped))
    streams = [original[str(keep.stream.index)] for keep in mapped]
    streams.append(original["v:9999?"])  # none, but ffmpeg-python drops inputs of which nothing is mapped
    options: dict[str, str | None] = {
        "map_metadata": "1",
        "map_chapters": "1",
        "map_metadata:s:0": f"1:s:{source.stream_index}",
        "disposition:0": "+".join(source.disposition) or "0",
    }
    for place, keep in enumerate(mapped, start=1):
        options[f"c:{place}"] = keep.encoder
        options[f"map_metadata:s:{place}"] = f"1:s:{keep.stream.index}"
        for name, value in _retimed(keep, source, speed, container):
            options[f"{name}:{place}"] = value
    if source.stop_seconds is not None and not source.clock_shifts:
        # ffmpeg reads no further than this by the source's times, which have to be of one clock, and the new.
        options["t"] = _decimal(max(source.stop_seconds, source.stop_seconds / speed))
    if source.chapters and (source.is_cut or speed != 1):
        chapters = ffmpeg.input(_chapter_address(source, speed), format="ffmetadata")
        streams.append(chapters["v:9999?"])
        options["map_chapters"] = "2"
    return streams, options


def _input_options(source: VideoInfo, kept: Sequence[KeptStream]) -> dict[str, str | None]:
    """Return the options that put streams on the output's clock, and enter the file shortly before a cut."""
    options: dict[str, str | None] = {"itsoffset": _decimal(-source.origin)}
    if source.clock_shifts:  # which make ffmpeg's search for a time go astray
        options |= {f"bsf:{keep.stream.index}": _one_clock(source.clock_shifts) for keep in kept}
    elif source.is_cut and source.origin > SEEK_MARGIN_SECONDS:
        # The exact place is the business of each stream: ffmpeg's own cut does not go with -copyts.
        margin = SEEK_MARGIN_SECONDS + max((keep.stream.padding_seconds for keep in kept), default=0)
        options |= {"seek_timestamp": "1", "ss": _decimal(source.origin - margin)}
        options |= {"noaccurate_seek": None}
    return options


def _one_clock(shifts: Sequence[ClockShift]) -> str:
    """Return the bitstream filter that brings the packets of a stream onto one clock.

    Of several that begin in the same packet of the file only the first one says where: it is remembered.
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
    """Yield the options that cut and stretch a stream, without the number of the stream in their names."""
    if keep.stream.kind == "attachment":
        return
    if keep.stream.is_cover:
        yield "bsf", "setts=ts=0"  # it has no time of its own, and must not be before the start
    elif keep.stream.kind == "audio" and keep.encoder != "copy":
        filters = list(_sound_filters(source, speed))
        if filters:
            yield "filter", ",".join(filters)
    elif keep.stream.kind == "subtitle":
        # ffmpeg says of bitmaps that last until the next one that they last 2**32 - 1 ms, which mp4 refuses.
        end = _end_seconds(source) if keep.stream.codec == "dvd_subtitle" else source.stop_seconds
        if source.is_cut or speed != 1 or end is not None:
            yield "bsf", _subtitle_filters(source, speed, end)
    elif _keeps_padding(keep, source, container):
        # ffmpeg tells the muxer the padding of the whole, which players then leave out: the sound before the
        # part takes its place. The half tick is for rounding.
        yield "bsf", f"noise=drop='lt(pts,{_decimal(-keep.stream.padding_seconds)}/tb-0.5)'"
    else:
        if source.is_cut:
            yield "copypriorss", "0"
        if speed != 1 or (source.is_cut and source.clock_shifts):  # then ffmpeg itself does not end it
            yield "bsf", _drop(source) + f"setts=ts='TS*{1 / speed}':duration='DURATION*{1 / speed}'"


def _keeps_padding(keep: KeptStream, source: VideoInfo, container: Container) -> bool:
    """Whether a copied stream is cut as long before the part as its padding lasts."""
    is_padded = container.says_padding and keep.stream.padding_seconds > 0
    return is_padded and source.is_cut and not source.clock_shifts


def _sound_filters(source: VideoInfo, speed: Fraction) -> Iterator[str]:
    end = "" if source.stop_seconds is None else f":end={_decimal(source.stop_seconds)}"
    if speed == 1:
        if source.is_cut:
            yield f"atrim=start=0{end}"
        return
    # Silence from the start of the output on, and wherever there is no sound: atempo counts samples only.
    yield f"aresample=async=1:first_pts=0:min_hard_comp={GAP_SECONDS}"
    yield f"atrim=start=0{end}"
    yield f"apad=pad_dur={float(WINDOW_SECONDS):.3f}"  # atempo ends with its last whole piece
    early = Fraction(0)
    for tempo in _tempos(speed):
        yield f"atempo={float(tempo):.9g}"
        early = early / tempo + max(1 / tempo - 1, Fraction(0)) * WINDOW_SECONDS / 2
    if early:
        yield f"adelay=delays={round(early * 1000)}:all=1"


def _tempos(speed: Fraction) -> Iterator[Fraction]:
    """Split a speed into factors that one filter can do well."""
    while not MIN_TEMPO <= speed <= MAX_TEMPO:
        factor = MIN_TEMPO if speed < 1 else MAX_TEMPO
        yield factor
        speed /= factor
    yield speed


def _subtitle_filters(source: VideoInfo, speed: Fraction, end_seconds: Fraction | None) -> str:
    """Drop what ends before the cut, let what is shown then begin with it, and stretch the times."""
    begin, length = "TS", "DURATION"
    if source.is_cut:
        begin, length = "max(TS,0)", "DURATION+min(PTS,0)"
    if end_seconds is not None:
        length = f"max(0,min({length},{_decimal(end_seconds)}/TB-max(PTS,0)))"
    return _drop(source) + f"setts=ts='({begin})*{1 / speed}':duration='({length})*{1 / speed}'"


def _end_seconds(source: VideoInfo) -> Fraction | None:
    """Return where the video ends, in seconds from its origin, as far as is known."""
    return None if source.end_pts is None else source.end_pts * source.time_base - source.origin


def _drop(source: VideoInfo) -> str:
    """Return the bitstream filter that leaves out what is wholly outside of a part, before others."""
    if not source.is_cut:
        return ""
    late = "" if source.stop_seconds is None else f"+gte(pts*tb,{_decimal(source.stop_seconds)})"
    # Bitmaps have no duration; what begins with the part is in it.
    return f"noise=drop='lt(pts,0)*lte(pts+duration,0){late}',"


def _chapter_address(source: VideoInfo, speed: Fraction) -> str:
    """Return the address of ffmpeg metadata with the chapters at the output's times."""
    lines = [";FFMETADATA1"]
    for chapter in source.chapters:
        start = max(chapter.start_seconds - source.origin, Fraction(0))
        end = chapter.end_seconds - source.origin
        if source.stop_seconds is not None:
            end = min(end, source.stop_seconds)
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
