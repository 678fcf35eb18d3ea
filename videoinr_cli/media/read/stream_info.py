"""Records of what a file holds besides its video: other streams and chapters."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from videoinr_cli.media.streams import Chapter, StreamInfo

GAPLESS = ("mov,mp4,m4a,3gp,3g2,mj2", "avi", "dv", "mxf")
"""Demuxers of files that store samples of PCM one after the other, without times."""


def chapters_of(container: InputContainer) -> tuple[Chapter, ...]:
    """Return a file's chapters."""
    return tuple(
        Chapter(
            start_seconds=chapter["start"] * chapter["time_base"],
            end_seconds=chapter["end"] * chapter["time_base"],
            tags=tuple(chapter["metadata"].items()),
        )
        for chapter in container.chapters()
        if chapter["time_base"] is not None
    )


def stream_info(stream: Stream, description: str, *, has_packets: bool, origin: Fraction) -> StreamInfo:
    """Return the record of one stream.

    Args:
        stream: of an open file.
        description: ffmpeg's, of the stream.
        has_packets: whether any are known to be in the file; if not, the stream is empty unless the packets
            at the file's start show its form.
        origin: when the first sound or picture starts, in seconds.
    """
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    time_base = stream.time_base or Fraction(0)
    tag = re.search(r"\((\w{4}) / 0x", description.partition("\n")[0])
    hidden_start, cut_out = _not_played(stream)
    start = None if stream.start_time is None else stream.start_time * time_base
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=_codec(stream),
        tag=tag[1] if tag else "",
        start_seconds=start,
        duration_seconds=None if stream.duration is None else stream.duration * time_base,
        language=tags.get("language"),
        title=tags.get("title") or tags.get("filename"),
        disposition=dispositions(stream),
        detail=_detail(stream, description),
        layout=(_channel_layout(description) or "") if stream.type == "audio" else "",
        sample_rate=_sample_rate(stream),
        late_seconds=Fraction(0) if start is None else max(Fraction(0), start - origin),
        padding_at_48_khz=_opus_padding(stream),
        is_gapless=stream.container.format.name in GAPLESS,
        cut_out=cut_out,
        hidden_start=hidden_start,
        is_empty=not has_packets and _has_no_form(stream, description),
    )


def dispositions(stream: Stream) -> tuple[str, ...]:
    """Return the names of a stream's disposition flags, such as "default"."""
    return tuple(flag.name for flag in Disposition if flag.name is not None and stream.disposition & flag)


def _codec(stream: Stream) -> str:
    """Return ffmpeg's name of the codec, which for data streams PyAV gives as the stream's name."""
    if stream.codec_context is not None:
        return stream.codec.canonical_name
    return stream.name or "" if stream.type == "data" else ""


def _detail(stream: Stream, description: str) -> str:
    if isinstance(stream, AudioStream) and stream.codec_context is not None:
        return f"{stream.rate} Hz, {_channel_layout(description) or 'unknown channels'}"
    if isinstance(stream, VideoStream) and stream.codec_context is not None:
        return f"{stream.width}x{stream.height}"
    return ""


def _sample_rate(stream: Stream) -> int | None:
    return stream.rate if isinstance(stream, AudioStream) and stream.codec_context is not None else None


def _channel_layout(description: str) -> str | None:
    """Return ffmpeg's name of a sound's channels, such as "5.1(side)"; None where it knows of none.

    PyAV's ``stream.layout`` and ``stream.channels`` must not be read: where the channels are not in ffmpeg's
    own order, PyAV 18 frees their list twice, which ends the process.
    """
    layout = re.search(r"\bHz, ([^,\n]+)", description.partition("\n")[0])
    return None if layout is None or layout[1].startswith("0 channels") else layout[1]


def _opus_padding(stream: Stream) -> int:
    """Return the pre-skip in Opus' header. Source: RFC 7845, section 5.1."""
    if not isinstance(stream, AudioStream) or _codec(stream) != "opus":
        return 0
    header = stream.codec_context.extradata or b""
    return int.from_bytes(header[10:12], "little") if header.startswith(b"OpusHead") else 0


_Positions = tuple[tuple[int, int], ...]


def _not_played(stream: Stream) -> tuple[_Positions, _Positions]:
    """Return the ranges of packets of a sound that an mp4 hides: before its start, and where edits cut it.

    The last packet before the start is not among them: decoders need it.
    """
    if not isinstance(stream, AudioStream):
        return (), ()
    before: list[tuple[int, int]] = []
    later: list[tuple[int, int]] = []
    is_begun = False
    for is_discard, entries in itertools.groupby(stream.index_entries, key=lambda entry: entry.is_discard):
        positions = [entry.pos for entry in entries]
        if is_discard and is_begun:
            later.append((min(positions), max(positions)))
        elif is_discard and positions[:-1]:
            before.append((min(positions[:-1]), max(positions[:-1])))
        is_begun |= not is_discard
    return tuple(before), tuple(later)


def _has_no_form(stream: Stream, description: str) -> bool:
    """Whether no packet has shown the rate of sound or the size of pictures, as in some broadcasts."""
    if stream.codec_context is None:  # without a decoder ffmpeg knows neither
        return False
    if isinstance(stream, AudioStream):
        return not (stream.rate and _channel_layout(description))
    return isinstance(stream, VideoStream) and not (stream.width and stream.height)
