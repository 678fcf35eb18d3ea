"""How a video's frames follow each other, by the timestamps of its packets, which are not decoded."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from videoinr_cli.media.read.decoding import packets_of
from videoinr_cli.media.read.source import open_source, video_stream
from videoinr_cli.media.streams import ClockShift, VideoInfo

MAX_PACKETS = 20_000
"""Packets read at most: some ten minutes of video, which take about a second."""

MAX_BYTES = 2**28
"""Bytes of packets read at most, of videos whose packets are large."""

CLOCK_TICK_SECONDS = Fraction(1, 1000)
"""Time bases up to this are clocks that frame times were rounded to (Matroska's milliseconds, MPEG's 90 kHz);
coarser ones count frames and are exact."""

STEADY_SECONDS = Fraction(1, 1000)
"""How far the frames of a steady rate may be from it, at least: times may have been rounded to a millisecond
before, by Matroska or Flash video, and copied into a finer clock since."""

STEADY_SHARE = Fraction(9, 10)
"""Share of the frames of a rate that are shown for one of its steps, at least; others were dropped."""

USUAL_RATES = tuple(
    rate
    for whole in (24, 25, 30, 48, 50, 60, 100, 120)
    for rate in (Fraction(whole), Fraction(whole * 1000, 1001))
)
"""Frames per second that recordings have."""

FALLBACK_RATE = Fraction(25)
"""Frames per second of a source that does not state its rate; ffmpeg's own default."""

WITHOUT_TIMES = 0x80
"""ffmpeg's AVFMT_NOTIMESTAMPS: the flag of raw streams."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """The rate of a video's frames, in frames per second."""

    frames: int  # whose times were read
    is_whole: bool  # whether those are all frames
    is_constant: bool
    average: Fraction
    lowest: Fraction  # one over the longest time between two frames
    highest: Fraction  # one over the shortest
    usual_seconds: Fraction  # the median time between two frames
    steady: Fraction | None = None  # the rate that all times follow, to within the rounding of their clock


def measure_timing(info: VideoInfo) -> Timing | None:
    """Return the timing of a source's frames; None where fewer than two times are known without decoding.

    Args:
        info: what `probe` returned, or a part of it.
    """
    if info.images:
        ticks = [number for number, _ in info.images]
        return _timing(ticks, info.time_base, [], is_whole=True)
    if not info.is_file or info.counts_frames:
        return None
    with open_source(info.path) as container:
        if not info.is_cut:
            return timing_of_packets(container, info.clock_shifts)
        tick = (video_stream(container).time_base or info.time_base) / info.time_base
        stop = math.inf if info.stop_pts is None else info.stop_pts
        return timing_of_packets(container, info.clock_shifts, begin=info.start_pts / tick, end=stop / tick)


def timing_of_packets(
    container: InputContainer,
    shifts: Sequence[ClockShift],
    *,
    begin: Fraction | float = -math.inf,
    end: Fraction | float = math.inf,
) -> Timing | None:
    """Return the timing of the first frames of a file, just opened, that are shown in a range of ticks."""
    stream = video_stream(container)
    assert stream.time_base is not None
    packets = packets_of(container, stream, None, shifts=shifts, repeats=True)
    stamps = [
        packet.pts for packet in _first_packets(packets) if packet.pts is not None and not packet.is_discard
    ]
    is_whole = next(packets, None) is None
    ticks = sorted({pts for pts in stamps if begin <= pts < end})
    stated = [rate for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]
    timing = _timing(ticks, stream.time_base, stated, is_whole=is_whole)
    if timing is not None and len(set(stamps)) < len(stamps):  # no two frames are shown at once
        return dataclasses.replace(timing, steady=None)
    if timing is not None and timing.steady is not None and not is_whole and not shifts:
        begins = [entry.timestamp for entry in stream.index_entries if not entry.is_discard]
        if not _follow([begins[0] if begins else 0, *begins], stream.time_base, timing.steady):
            return dataclasses.replace(timing, steady=None)
    return timing


def _first_packets(packets: Iterator[av.Packet[VideoStream]]) -> Iterator[av.Packet[VideoStream]]:
    read_bytes = 0
    for packet in itertools.islice(packets, MAX_PACKETS):
        yield packet
        read_bytes += packet.size
        if read_bytes > MAX_BYTES:
            return


def believed_rate(container: InputContainer, stream: VideoStream, timing: Timing | None) -> Fraction:
    """Return the frames per second of a video, on average: as stated, unless its times show another rate.

    What raw streams state is a default. Others that do not count their frames state an estimate from the
    first ones, or a clock's ticks.
    """
    if timing is not None and timing.steady is not None:
        return timing.steady
    if has_no_times(container):
        return stream.guessed_rate or stream.average_rate or FALLBACK_RATE
    is_counted = stream.frames > 0 and stream.duration is not None
    if timing is None or (stream.average_rate and is_counted):
        return stream.average_rate or stream.guessed_rate or stream.base_rate or FALLBACK_RATE
    return timing.average


def has_no_times(container: InputContainer) -> bool:
    """Whether a format states no times, so that the user may say the rate."""
    return bool(container.format.flags & WITHOUT_TIMES) or container.format.name.endswith("_pipe")


def _timing(
    ticks: Sequence[int], tick_seconds: Fraction, stated: Iterable[Fraction], *, is_whole: bool
) -> Timing | None:
    if len(ticks) < 2:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    average = Fraction(ticks[-1] - ticks[0], len(gaps))
    rounding = rounding_ticks(tick_seconds)
    measured = 1 / (average * tick_seconds)
    stated = list(stated)
    usual = _usual_rate(measured, len(gaps), stated)
    # What ffmpeg states may be an estimate from a few times; the rates in use come first.
    rates = sorted([*stated, usual, measured], key=lambda rate: rate not in USUAL_RATES)
    steady = next((rate for rate in rates if _is_steady(ticks, tick_seconds, rate)), None)
    mostly = next((rate for rate in rates if _is_mostly(gaps, tick_seconds, rate)), usual)
    return Timing(
        frames=len(ticks),
        is_whole=is_whole,
        is_constant=all(
            abs(tick - ticks[0] - number * average) <= rounding for number, tick in enumerate(ticks)
        )
        or (steady is not None and round((ticks[-1] - ticks[0]) * tick_seconds * steady) == len(gaps)),
        average=steady or mostly,
        lowest=1 / (max(gaps) * tick_seconds),
        highest=1 / (min(gaps) * tick_seconds),
        usual_seconds=statistics.median_low(gaps) * tick_seconds,
        steady=steady,
    )


def _usual_rate(measured: Fraction, gaps: int, stated: Sequence[Fraction]) -> Fraction:
    """Return the rate that recordings have and that a measured one can be, else the measured one.

    Both end at the same frame. Of several, the one that is of the stated rates' kind comes first: film shown
    for three and two fields in turn is of 24000/1001 where fields are of 60000/1001.
    """
    kinds = {rate.denominator for rate in stated}
    near = [rate for rate in USUAL_RATES if abs(rate / measured - 1) * gaps < Fraction(1, 2)]
    return min(near, key=lambda rate: (rate.denominator not in kinds, abs(rate - measured)), default=measured)


def _is_steady(ticks: Sequence[int], tick_seconds: Fraction, rate: Fraction) -> bool:
    """Whether frames follow a rate, of which a few may be dropped."""
    if not _follow(ticks, tick_seconds, rate):
        return False
    steps = rate * tick_seconds
    numbers = [round((tick - ticks[0]) * steps) for tick in ticks]
    singles = sum(later - earlier == 1 for earlier, later in itertools.pairwise(numbers))
    return singles >= STEADY_SHARE * (len(ticks) - 1)


def _is_mostly(gaps: Sequence[int], tick_seconds: Fraction, rate: Fraction) -> bool:
    """Whether nearly all frames last for one step of a rate, as those of recordings with gaps do."""
    tolerance = min(max(tick_seconds, STEADY_SECONDS), 1 / (8 * rate))
    even = sum(abs(gap * tick_seconds - 1 / rate) <= tolerance for gap in gaps)
    return even >= STEADY_SHARE * len(gaps)


def _follow(ticks: Sequence[int], tick_seconds: Fraction, rate: Fraction) -> bool:
    """Whether times lie on the grid of a rate that begins with the first of them."""
    steps = rate * tick_seconds  # per tick
    tolerance = min(max(tick_seconds, STEADY_SECONDS) * rate, Fraction(1, 8))  # of a step
    multiplier, divisor = steps.numerator, steps.denominator
    limit = tolerance * divisor
    for tick in ticks:
        place = (tick - ticks[0]) * multiplier % divisor
        if min(place, divisor - place) > limit:
            return False
    return True


def rounding_ticks(tick_seconds: Fraction) -> int:
    """Return by how many ticks rounding alone may shift a frame's time."""
    return 1 if tick_seconds <= CLOCK_TICK_SECONDS else 0


def common_tick(a: Fraction, b: Fraction) -> Fraction:
    """Return the greatest fraction of which both are whole multiples; `a` is above 0."""
    return Fraction(
        math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator
    )
