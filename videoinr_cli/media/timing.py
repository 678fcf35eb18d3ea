"""Whether a video's frame rate is constant, from the timestamps of its packets, without decoding them."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

from videoinr_cli.media.source import open_source, packets_of, video_stream
from videoinr_cli.media.streams import VideoInfo

MAX_PACKETS = 20_000
"""Packets looked at: some ten minutes of video, which take a second or so to read."""

CLOCK_TICK_SECONDS = Fraction(1, 1000)
"""Time bases up to this are clocks that frame times were rounded to; coarser ones count frames."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """The rate of a video's frames, in frames per second."""

    frames: int  # that were looked at
    is_whole: bool  # whether those are all
    is_constant: bool
    average: Fraction
    lowest: Fraction  # one over the longest time between two frames
    highest: Fraction  # one over the shortest


def measure_timing(info: VideoInfo) -> Timing | None:
    """Return the timing of a source's frames; None where no two timestamps can be had without decoding.

    Args:
        info: what `probe` returned.
    """
    if info.images:
        ticks = [number for number, _ in info.images]
        return _timing(ticks, info.time_base, is_whole=True)
    if not info.is_file or info.counts_frames:
        return None
    with open_source(info.path) as container:
        stream = video_stream(container)
        packets = packets_of(container, stream, lambda _: None)
        stamps = [packet.pts for packet in itertools.islice(packets, MAX_PACKETS) if packet.pts is not None]
        is_whole = next(packets, None) is None
        assert stream.time_base is not None
        return _timing(sorted(set(stamps)), stream.time_base, is_whole=is_whole)


def _timing(ticks: list[int], tick_seconds: Fraction, *, is_whole: bool) -> Timing | None:
    if len(ticks) < 2:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    average = Fraction(ticks[-1] - ticks[0], len(gaps))
    rounding = 1 if tick_seconds <= CLOCK_TICK_SECONDS else 0
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
