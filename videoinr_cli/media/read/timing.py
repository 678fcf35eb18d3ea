"""Whether a video's frame rate is constant, from the timestamps of its packets, without decoding them.

Knows nothing of writing: of an output only whether it holds such times.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from fractions import Fraction

from videoinr_cli.errors import OutputError
from videoinr_cli.media.read.source import open_source, packets_of, video_stream
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container

log = logging.getLogger(__name__)

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


def check_times_fit(info: VideoInfo, container: Container, *, strict: bool = False) -> None:
    """Say in the log that the source's own times are lost in a container without any, if they matter.

    Args:
        info: the source.
        container: where its frames go, each at its own time.
        strict: whether losing them is an error.

    Raises:
        OutputError: `strict` is set and the times are lost.
    """
    timing = measure_timing(info) if container.counts_frames else None
    if timing is not None and not timing.is_constant:
        _say_lost(info, container, strict=strict)


class TimesWatch:
    """`check_times_fit` for what comes from standard input, which cannot be looked through before."""

    def __init__(self, info: VideoInfo, container: Container, *, strict: bool = False) -> None:
        self._info = info
        self._container = container
        self._strict = strict
        self._is_over = not container.counts_frames or info.is_file or info.counts_frames
        self._before: int | None = None
        self._gaps: tuple[int, int] | None = None  # the shortest and the longest

    def see(self, pts: int) -> None:
        """Take note of a frame's time, in ticks of the source.

        Raises:
            OutputError: `strict` is set and the times are lost.
        """
        if self._is_over:
            return
        if self._before is not None:
            gap = pts - self._before
            shortest, longest = self._gaps or (gap, gap)
            self._gaps = min(shortest, gap), max(longest, gap)
            if self._gaps[1] - self._gaps[0] > _rounding(self._info.time_base):
                self._is_over = True
                _say_lost(self._info, self._container, strict=self._strict)
        self._before = pts


def _say_lost(info: VideoInfo, container: Container, *, strict: bool) -> None:
    message = (
        f"{container.muxer} has no time stamps, and not all frames of {str(info.path)!r} last equally long; "
        f"give --fps {math.ceil(info.frame_rate)} to keep its duration"
    )
    if strict:
        raise OutputError(message)
    log.warning(message)


def _timing(ticks: list[int], tick_seconds: Fraction, *, is_whole: bool) -> Timing | None:
    if len(ticks) < 2:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    average = Fraction(ticks[-1] - ticks[0], len(gaps))
    rounding = _rounding(tick_seconds)
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


def _rounding(tick_seconds: Fraction) -> int:
    """Return by how many ticks a frame may be off and still be on time."""
    return 1 if tick_seconds <= CLOCK_TICK_SECONDS else 0
