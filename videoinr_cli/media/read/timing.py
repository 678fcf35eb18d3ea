"""Whether a video's frame rate is constant, by the timestamps of its packets, which are not decoded."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

from videoinr_cli.media.read.decoding import packets_of
from videoinr_cli.media.read.source import open_source, video_stream
from videoinr_cli.media.streams import VideoInfo

MAX_PACKETS = 20_000
"""Packets read at most: some ten minutes of video, which take about a second."""

CLOCK_TICK_SECONDS = Fraction(1, 1000)
"""Time bases up to this are clocks that frame times were rounded to; coarser ones count frames."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """The rate of a video's frames, in frames per second."""

    frames: int  # whose times were read
    is_whole: bool  # whether those are all frames
    is_constant: bool
    average: Fraction
    lowest: Fraction  # one over the longest time between two frames
    highest: Fraction  # one over the shortest


def measure_timing(info: VideoInfo) -> Timing | None:
    """Return the timing of a source's frames; None where fewer than two times are known without decoding.

    Args:
        info: what `probe` returned, or a part of it.
    """
    if info.images:
        ticks = [number for number, _ in info.images]
        return _timing(ticks, info.time_base, is_whole=True)
    if not info.is_file or info.counts_frames:
        return None
    with open_source(info.path) as container:
        stream = video_stream(container)
        packets = packets_of(container, stream, lambda _: None, shifts=info.clock_shifts)
        stamps = [packet.pts for packet in itertools.islice(packets, MAX_PACKETS) if packet.pts is not None]
        is_whole = next(packets, None) is None
        assert stream.time_base is not None
        if info.is_cut:
            tick = stream.time_base / info.time_base
            stop = math.inf if info.stop_pts is None else info.stop_pts
            stamps = [pts for pts in stamps if info.start_pts <= pts * tick < stop]
        return _timing(sorted(set(stamps)), stream.time_base, is_whole=is_whole)


def _timing(ticks: list[int], tick_seconds: Fraction, *, is_whole: bool) -> Timing | None:
    if len(ticks) < 2:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    average = Fraction(ticks[-1] - ticks[0], len(gaps))
    rounding = rounding_ticks(tick_seconds)
    return Timing(
        frames=len(ticks),
        is_whole=is_whole,
        is_constant=all(
            abs(tick - ticks[0] - number * average) <= rounding for number, tick in enumerate(ticks)
        ),
        average=1 / (average * tick_seconds),
        lowest=1 / (max(gaps) * tick_seconds),
        highest=1 / (min(gaps) * tick_seconds),
    )


def rounding_ticks(tick_seconds: Fraction) -> int:
    """Return by how many ticks rounding alone may shift a frame's time."""
    return 1 if tick_seconds <= CLOCK_TICK_SECONDS else 0
