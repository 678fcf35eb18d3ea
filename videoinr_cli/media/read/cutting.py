"""Cut a range out of a source: which frames are in it, and where its clock begins.

The reader then reads only that range, and the writer cuts the other streams to it.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import av

from videoinr_cli.errors import OptionError
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.read.source import STANDARD_INPUT, open_source
from videoinr_cli.media.streams import StreamInfo, VideoInfo

HEAD_PACKETS = 1000
"""Packets from the start of a file among which the first one of each sound is searched."""


def cut(
    info: VideoInfo,
    start: Fraction | None,
    end: Fraction | None,
    *,
    times: Sequence[int] | None = None,
) -> VideoInfo:
    """Return the part of a source that begins with its first frame at or after a time.

    Its clock starts with that frame, or at `start` itself where that is before the source's first frame.

    Args:
        info: the whole source, already with a frame per field if it is deinterlaced.
        start: seconds from the start of the file; None: there.
        end: seconds from the start of the file, where the part ends; None: the file's end.
        times: of all frames, in ticks; None: they are read from the file.

    Raises:
        OptionError: no frame is in the range, or the source can be read only once and not from its start.
        InputError: the source cannot be read.
    """
    if start is None and end is None:
        return info
    stop = None if end is None else math.ceil((info.origin + end) / info.time_base)
    first = info.start_pts if start is None else _first(info, start, times)
    if stop is not None and stop <= first:
        raise OptionError(
            f"{str(info.path)!r} has no frame before --end {float(end or 0):g}: "
            f"the first one is at {float(first * info.time_base - info.origin):g} s"
        )
    ends = [pts for pts in (stop, info.end_pts) if pts is not None]
    begins_late = first > info.start_pts
    return dataclasses.replace(
        info,
        whole=info,
        stop_pts=stop,
        start_pts=first,
        origin=first * info.time_base if begins_late else info.origin + (start or 0),
        duration=None if info.end_pts is None else (min(ends) - first) * info.time_base,
        last_pts=info.last_pts if stop is None else None,
        frame_count=None,
        streams=_with_padding(info),
    )


def _first(info: VideoInfo, start: Fraction, times: Sequence[int] | None) -> int:
    """Return the timestamp of the first frame at or after a time."""
    begin = math.ceil((info.origin + start) / info.time_base)
    if begin <= info.start_pts:
        return info.start_pts
    if info.path == STANDARD_INPUT:
        raise OptionError("standard input can be read only once: leave out --start, or name a file")
    if times is None:
        times = [frame.pts for frame in itertools.islice(read_frames(info, begin=begin), 1)]
    place = bisect.bisect_left(times, begin)
    if place == len(times):
        raise OptionError(f"{str(info.path)!r} has no frame after --start {float(start):g}")
    return times[place]


def _with_padding(info: VideoInfo) -> tuple[StreamInfo, ...]:
    """Return a source's other streams with the padding of each sound: its start, which is not played.

    Encoders put it there, or an edit list hides it. Only the first packet states its length.
    """
    rates = {stream.index: stream.sample_rate for stream in info.streams if stream.sample_rate}
    padding: dict[int, Fraction] = {}
    if info.is_file and rates:
        # A stream whose first packet is not found, such as in a damaged file, has no padding.
        with open_source(info.path) as container, contextlib.suppress(av.FFmpegError):
            for packet in itertools.islice(container.demux(), HEAD_PACKETS):
                rate = rates.pop(packet.stream.index, None)
                if rate and packet.has_sidedata("skip_samples"):
                    # 32 bits of samples to leave out at the start, little-endian, then those at the end.
                    samples = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")
                    padding[packet.stream.index] = Fraction(samples, rate)
                if not rates:
                    break
    return tuple(
        dataclasses.replace(stream, padding_seconds=padding.get(stream.index, Fraction(0)))
        for stream in info.streams
    )
