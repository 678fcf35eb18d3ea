"""Where a video starts and ends, by what its file states and by its packets."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from videoinr_cli.media.read.clock_breaks import BREAKABLE, sounds_and_videos
from videoinr_cli.media.read.decoding import WITHOUT_SHOWN_TIMES, packets_of

MISSING_SECONDS = Fraction(1, 2)
"""How much earlier than stated a video may end: files count the last frames differently."""

MISSING_FRAMES = 3
"""The same, in frames, if that is longer."""

Shown = tuple[Fraction, Fraction]
"""When a packet is shown and when it ends, in seconds."""

_MICROSECOND = Fraction(1, 1_000_000)


class Tail(NamedTuple):
    """What the packets at the end of a file show."""

    last: Shown | None  # of the packet that is shown last; None: not known
    breaks: bool  # whether a keyframe is not shown after the one before it: the clock was reset


def origin_of(container: InputContainer, video: VideoStream, video_start: Fraction) -> Fraction:
    """Return when the first sound or picture starts, in seconds on the file's own clock.

    Sound alone that starts before zero, as what a player skips, counts as starting at zero, so that
    everything stays where it is. Where the clock is that of a stream, or pictures start before zero too, that
    is a real start: of a clock that wrapped soon after (33 bits, 26.5 hours), or of a recorder's own.

    Args:
        container: the file.
        video: the stream whose first frame is shown at `video_start`.
        video_start: in seconds; a stated start after it is wrong.
    """
    starts = {
        stream.index: stream.start_time * stream.time_base
        for stream in sounds_and_videos(container)
        if stream.start_time is not None and stream.time_base is not None
    }
    starts[video.index] = min(starts.get(video.index, video_start), video_start)
    start = min(starts.values(), default=Fraction(0))
    is_real = any(starts.get(stream.index, 0) < 0 for stream in container.streams.video)
    return start if is_real or container.format.name in BREAKABLE else max(start, Fraction(0))


def content_end_of(
    container: InputContainer, video: VideoStream, video_end: Fraction | None
) -> Fraction | None:
    """Return when the last sound or picture ends, in seconds on the file's own clock; None: unknown.

    It is what the sounds state, else the file's end, which may be that of chapters or subtitles.

    Args:
        container: the file.
        video: the stream that ends at `video_end`.
        video_end: in seconds; None: not known.
    """
    ends = [video_end]
    for stream in sounds_and_videos(container):
        if stream.index == video.index:
            continue
        if stream.duration is None or stream.time_base is None:
            ends.append(_stated_end(container))
        else:
            ends.append(((stream.start_time or 0) + stream.duration) * stream.time_base)
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _stated_end(container: InputContainer) -> Fraction | None:
    if container.duration is None:
        return None
    return (container.duration + (container.start_time or 0)) * _MICROSECOND


def duration_of(
    container: InputContainer,
    stream: VideoStream,
    start: Fraction,
    last: Shown | None,
    *,
    rate: Fraction,
    is_stated: bool,
) -> tuple[Fraction | None, Fraction]:
    """Return how long a video lasts, and how much of it is missing, in seconds.

    The duration is from the first frame's start to the last one's end; None: unknown. It is the stream's
    statement, else the end of the last packet, else the file's statement. A stream that claims to end before
    its last packet is shown is wrong: ffmpeg writes such mp4 of variable rate with B-frames. One that claims
    to end long after it was cut short, as a download that broke off: it ends with its last packet.

    Args:
        container: the file.
        stream: its video.
        start: when the first frame is shown, in seconds.
        last: the last packet's times.
        rate: frames per second.
        is_stated: whether the stream's statement can be right: the file's clock never breaks, and the
            statement is the file's own.
    """
    stated: Fraction | None = None
    if is_stated and stream.duration is not None and stream.time_base is not None:
        first = start
        if stream.start_time is not None and container.format.name not in WITHOUT_SHOWN_TIMES:
            first = stream.start_time * stream.time_base
        stated = first + stream.duration * stream.time_base
    missing = Fraction(0)
    if stated is not None and (last is None or last[0] < stated):
        end: Fraction | None = stated
        if last is not None and stated - last[1] > max(MISSING_SECONDS, MISSING_FRAMES / rate):
            end, missing = last[1], stated - last[1]
    else:
        end = last[1] if last is not None else _stated_end(container)
    return (None if end is None or end <= start else end - start), missing


def tail_by_seeking(container: InputContainer, stream: VideoStream) -> Tail:
    """Return what the packets show from near the end on that the file states."""
    assert container.duration is not None
    try:
        container.seek((container.start_time or 0) + container.duration)
    except av.FFmpegError:
        return Tail(None, breaks=False)
    return tail_by_reading(container, stream)


def tail_by_reading(container: InputContainer, stream: VideoStream) -> Tail:
    """Return what the packets show from the file's position on."""
    last: Shown | None = None
    key: Fraction | None = None
    breaks = False
    for packet in packets_of(container, stream, None):
        if packet.pts is None or packet.is_discard:
            continue
        shown = packet.pts * packet.time_base
        if packet.is_keyframe:
            breaks |= key is not None and shown <= key
            key = shown
        end = shown + (packet.duration or 0) * packet.time_base
        last = max(last or (shown, end), (shown, end))
    return Tail(last, breaks)
