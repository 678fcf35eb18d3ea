"""Where a video starts and ends, by what its file states and by its packets."""

from __future__ import annotations

from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from videoinr_cli.media.read.clock_breaks import BREAKABLE
from videoinr_cli.media.read.decoding import packets_of
from videoinr_cli.media.read.source import video_stream

Shown = tuple[Fraction, Fraction]
"""When a packet is shown and when it ends, in seconds."""

_MICROSECOND = Fraction(1, 1_000_000)


def origin_of(container: InputContainer) -> Fraction:
    """Return when the first sound or picture starts, in seconds on the file's own clock.

    A start before zero, as of sound that a player skips, counts as zero, so that everything stays where it
    is. In MPEG-TS and MPEG-PS it is a real start, of a clock that wrapped soon after (33 bits, 26.5 hours).
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    start = min(starts, default=Fraction(0))
    return start if container.format.name in BREAKABLE else max(start, Fraction(0))


def duration_of(
    container: InputContainer, stream: VideoStream, start: Fraction, last: Shown | None, *, is_one_clock: bool
) -> Fraction | None:
    """Return the seconds from the first frame's start to the last one's end; None: unknown.

    It is the stream's statement, else the end of the last packet, else the file's statement. A stream that
    claims to end before its last packet is shown is wrong: ffmpeg writes such mp4 of variable rate with
    B-frames.

    Args:
        container: the file.
        stream: its video.
        start: when the first frame is shown, in seconds.
        last: the last packet's times.
        is_one_clock: whether the file's clock never breaks; if it does, the stream's statement is wrong.
    """
    stated: Fraction | None = None
    if is_one_clock and stream.duration is not None and stream.time_base is not None:
        first = stream.start_time * stream.time_base if stream.start_time is not None else start
        stated = first + stream.duration * stream.time_base
    if stated is not None and (last is None or last[0] < stated):
        end = stated
    elif last is not None:
        end = last[1]
    elif container.duration is not None:
        end = (container.duration + (container.start_time or 0)) * _MICROSECOND
    else:
        return None
    return end - start if end > start else None


def last_by_seeking(container: InputContainer, stream: VideoStream) -> Shown | None:
    """Return the times of the packet that is shown last, found near the end that the file states."""
    assert container.duration is not None
    last: Shown | None = None
    try:
        container.seek((container.start_time or 0) + container.duration)
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                end = packet.pts + (packet.duration or 0)
                shown = (packet.pts * packet.time_base, end * packet.time_base)
                last = shown if last is None else max(last, shown)
    except av.FFmpegError:
        pass  # a damaged end: what came before it is known
    return last


def last_by_reading(container: InputContainer) -> Shown | None:
    """Return the times of the packet that is shown last, in a file that states no length.

    Such files were written to a pipe; they are read from start to end. None where a keyframe is not shown
    after the one before it: the clock was reset, as in joined files, and the latest time is not the end.
    """
    last: Shown | None = None
    key: Fraction | None = None
    for packet in packets_of(container, video_stream(container), lambda _: None):
        if packet.pts is None or packet.is_discard:
            continue
        shown = packet.pts * packet.time_base
        if packet.is_keyframe:
            if key is not None and shown <= key:
                return None
            key = shown
        end = shown + (packet.duration or 0) * packet.time_base
        last = max(last or (shown, end), (shown, end))
    return last
