"""Decode a source from the middle on, with the same frames as a decode from the start.

Where that cannot be proved, the source is decoded from the start, which is slow and never wrong.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from videoinr_cli.media.read.decoding import WITHOUT_SHOWN_TIMES, decoded, packets_of
from videoinr_cli.media.read.source import (
    STANDARD_INPUT,
    image_frames,
    open_source,
    source_frames,
    video_stream,
)
from videoinr_cli.media.streams import VideoInfo

SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "nut")
"""Demuxers with an index and one clock from the first frame to the last. Others are read from the start,
undecoded, which also shows whether their clock ever breaks."""

STEPS_BACK = (0, 8, 64, 512)
"""How many frames earlier than needed decoding starts, in successive attempts."""

FIELDS_CONTEXT = 2
"""Frames that a deinterlacer needs before one whose result is that of a whole decode."""

_KEY_TYPES = (PictureType.I, PictureType.NONE)  # NONE: codecs without types

if TYPE_CHECKING:
    Packet = av.Packet[VideoStream]

OnDamage = Callable[[str], None]


class _Inexact(Exception):
    """Decoding from here does not give the frames of a whole decode, or too few of them."""


def frames_from(info: VideoInfo, begin: int, on_damage: OnDamage, *, lead: int) -> Iterator[av.VideoFrame]:
    """Yield the frames of a source from a time on, and some before it.

    Args:
        info: what `probe` returned.
        begin: the time, in ticks of ``info.time_base``.
        on_damage: called with what is wrong, for each packet that cannot be read or decoded.
        lead: how many frames before `begin` come too, as far as the source has them.

    Raises:
        InputError: the source has gone.
    """
    seconds = begin * info.time_base
    needed = _needed(info, lead)
    is_late = info.end_pts is not None and begin > info.end_pts  # where another clock may hold
    for step in () if is_late or info.counts_frames or info.path == STANDARD_INPUT else STEPS_BACK:
        target = seconds - (needed + step) / info.frame_rate
        if target <= info.start_pts * info.time_base:
            break
        frames = _decoded_from(info, target, on_damage)
        try:
            recent = _up_to(frames, seconds, info, needed)
        except _Inexact:
            continue
        yield from recent
        yield from frames
        return
    yield from source_frames(info, on_damage)


def seek_points_before(info: VideoInfo, times: Sequence[int], *, lead: int) -> list[int | None]:
    """Return for each time the last time up to it from which `frames_from` starts at a keyframe.

    Segments that begin there decode nothing twice. Looks up packets in the file's index and decodes none.

    Args:
        info: what `probe` returned.
        times: in ticks of ``info.time_base``.
        lead: see `frames_from`.

    Returns:
        Times in the same ticks; None where the file has no index, or no keyframe before.

    Raises:
        InputError: the source has gone.
    """
    if not _is_indexed(info) or info.images or info.counts_frames or info.path == STANDARD_INPUT:
        return [None] * len(times)
    lead_seconds = _needed(info, lead) / info.frame_rate
    with open_source(info.path) as container:
        stream = video_stream(container)
        keys = [_indexed(container, stream, time * info.time_base - lead_seconds) for time in times]
    return [None if key is None else math.ceil((key + lead_seconds) / info.time_base) for key in keys]


def _is_indexed(info: VideoInfo) -> bool:
    return info.container in SEEKABLE and not info.clock_shifts


def _indexed(container: InputContainer, stream: VideoStream, target: Fraction) -> Fraction | None:
    """Return when the keyframe that the index names for a time is shown; both in seconds."""
    try:
        _seek(container, stream, target)
    except _Inexact:
        return None
    packet = next(packets_of(container, stream, lambda _: None), None)
    if packet is None or packet.pts is None or not packet.is_keyframe:
        return None
    seconds = _seconds(packet)
    return seconds if seconds <= target else None


def _needed(info: VideoInfo, lead: int) -> int:
    """Return how many frames before a time have to be decoded."""
    return lead + (FIELDS_CONTEXT if info.fields is not None else 0)


def _up_to(
    frames: Iterator[av.VideoFrame], seconds: Fraction, info: VideoInfo, needed: int
) -> Iterator[av.VideoFrame]:
    """Return the frames needed before a time and the first one after it.

    Raises:
        _Inexact: there are too few of them.
    """
    tick = info.time_base * (1 if info.fields is None else 2)
    recent: collections.deque[av.VideoFrame] = collections.deque(maxlen=needed)
    for frame in frames:
        if frame.pts is None:
            raise _Inexact
        if frame.pts * tick >= seconds:
            if len(recent) < needed:
                raise _Inexact
            return itertools.chain(recent, [frame])
        recent.append(frame)
    raise _Inexact  # the end came first: only a whole decode shows which frames are the last


def _decoded_from(info: VideoInfo, target: Fraction, on_damage: OnDamage) -> Iterator[av.VideoFrame]:
    """Yield the frames from the last keyframe on that is shown by a time, in seconds.

    Raises:
        _Inexact: there is no such keyframe, or decoding cannot begin with it.
    """
    if info.images:
        first = target / info.time_base
        yield from image_frames((image for image in info.images if image[0] >= first), on_damage)
        return
    with open_source(info.path) as container:
        stream = video_stream(container)
        is_seekable = _is_indexed(info)
        if is_seekable:
            _seek(container, stream, target)
        packets = packets_of(container, stream, on_damage, shifts=info.clock_shifts)
        held = _from_keyframe(packets, target, is_one_clock=is_seekable)
        key = held[0].pts
        frames = decoded(itertools.chain(held, packets), stream, on_damage)
        # Frames shown before the keyframe need frames from before it as well: an open group of pictures.
        frames = itertools.dropwhile(lambda frame: _is_before(frame.pts, key), frames)
        frame = next(frames, None)
        if frame is None or frame.pts != key or not frame.key_frame or frame.is_corrupt:
            raise _Inexact
        if frame.pict_type not in _KEY_TYPES:  # a refresh spread over many frames
            raise _Inexact
        if info.container in WITHOUT_SHOWN_TIMES and stream.codec_context.has_b_frames:
            raise _Inexact  # only a whole decode shows which frames are shown before the keyframe
        yield frame
        yield from frames


def _is_before(pts: int | None, other: int | None) -> bool:
    return pts is not None and other is not None and pts < other


def _seek(container: InputContainer, stream: VideoStream, target: Fraction) -> None:
    assert stream.time_base is not None
    try:
        container.seek(int(target / stream.time_base), stream=stream)
    except av.FFmpegError as error:
        raise _Inexact from error


def _from_keyframe(packets: Iterator[Packet], target: Fraction, *, is_one_clock: bool) -> list[Packet]:
    """Read packets past a time, and return those from the last keyframe on that is shown by then.

    Args:
        packets: the file's, from a keyframe or from its start.
        target: the time, in seconds.
        is_one_clock: whether the timestamps are known to be of one clock.

    Raises:
        _Inexact: there is no such keyframe, or the timestamps up to it are not of one clock.
    """
    held: list[Packet] = []
    last: int | None = None
    for packet in packets:
        if packet.pts is None or packet.time_base is None:
            raise _Inexact
        if not is_one_clock and (packet.dts is None or not (last is None or last < packet.dts)):
            raise _Inexact
        last = packet.dts
        is_late = packet.pts * packet.time_base > target
        if packet.is_keyframe and not is_late:
            held = []
        if held or packet.is_keyframe:
            held.append(packet)
        if is_late:  # as is every keyframe after it
            break
    if not held or _seconds(held[0]) > target:
        raise _Inexact
    return held


def _seconds(packet: Packet) -> Fraction:
    assert packet.pts is not None
    assert packet.time_base is not None
    return packet.pts * packet.time_base
