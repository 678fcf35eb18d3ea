"""Which instants of the source become output frames: exact fractions from the source's timestamps.

It needs only the timestamps of its items, and never holds more than two of them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from videoinr_cli.media.read.timing import CLOCK_TICK_SECONDS, common_tick

HOLD_FRAMES = 8
"""Usual frame times after which a frame is taken to be held, rather than the next one to be late."""

HOLD_SECONDS = Fraction(1, 2)
"""How long a frame lasts that is held, at least, in seconds of the source."""


class Timed(Protocol):
    """Anything with a timestamp, in ticks of the source's time base."""

    @property
    def pts(self) -> int: ...

    @property
    def duration(self) -> int | None: ...


TimedT = TypeVar("TimedT", bound=Timed)


@dataclasses.dataclass(frozen=True)
class Instant:
    """One output frame.

    ``tau`` is its position within the pair, 0 at the first frame and 1 at the second; ``pts`` its timestamp
    in ticks of the output's time base.
    """

    tau: Fraction
    pts: int


@dataclasses.dataclass(frozen=True)
class Span(Generic[TimedT]):
    """The time from one source frame to the next, or from the last frame to its end (``second`` is None).

    ``instants`` can be iterated once; it is empty where no output frame falls into the span, and its ``tau``
    is 0 throughout the last span.
    """

    first: TimedT
    second: TimedT | None
    instants: Iterator[Instant]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The output's instants, from the source's timestamps.

    With a rate, the instants are start + k/rate for every k up to the source's end, each exact. Without, they
    are the source's own timestamps, whether constant or variable.

    Attributes:
        source_time_base: seconds per tick of the source's timestamps.
        rate: output frames per second, or None to keep the source's timestamps.
        start: timestamp of the source's first frame, in its ticks.
        speed: how much faster than the source the output is played; all seconds here are the output's.
        usual_seconds: the usual time between two frames, in seconds of the source; a frame that lasts many
            times as long is held, as by a screen recorder that stores changes alone, and moves on to the next
            one in this time only. None: all motion is even.
    """

    source_time_base: Fraction
    rate: Fraction | None
    start: int = 0
    speed: Fraction = Fraction(1)
    usual_seconds: Fraction | None = None

    @functools.cached_property
    def tick_seconds(self) -> Fraction:
        """How long a tick of the source lasts in the output."""
        return self.source_time_base / self.speed

    @functools.cached_property
    def time_base(self) -> Fraction:
        """Seconds per tick of the output's timestamps: the coarsest that holds every instant exactly."""
        if self.rate is None:
            return self.tick_seconds
        return common_tick(1 / self.rate, self.start * self.tick_seconds)

    @functools.cached_property
    def tolerance_seconds(self) -> Fraction:
        """The distance up to which an instant is taken to be at a source frame.

        Timestamps that were rounded to a clock's ticks are exact to one tick only: at 30 frames per second in
        Matroska the second frame lies at 33 ms, and the output's 33 1/3 ms means that frame, not a hundredth
        of the way to the next. At most an eighth of the output's frame time.
        """
        if self.rate is None or self.source_time_base > CLOCK_TICK_SECONDS:
            return Fraction(0)
        return min(self.tick_seconds, 1 / (8 * self.rate))

    def frames_until(self, end: int) -> int | None:
        """Return how many output frames a source makes that ends at `end` ticks; None without a rate."""
        if self.rate is None:
            return None
        return max(1, self._index((end - self.start) * self.tick_seconds))

    def end_pts(self, end: int) -> int:
        """Return the end of the last output frame, in the output's ticks, of a source that ends at `end`."""
        count = self.frames_until(end)
        return end if count is None else self._pts(count)

    def spans(
        self,
        frames: Iterable[TimedT],
        *,
        source_rate: Fraction | None = None,
        is_entered: bool = False,
        late: Callable[[TimedT], Fraction] = lambda frame: Fraction(0),
    ) -> Iterator[Span[TimedT]]:
        """Walk through the source, one pair of frames at a time.

        Args:
            frames: in order of strictly increasing timestamps, the first at `start`. A frame is taken from it
                only when the span before it is used up.
            source_rate: in frames per second; it says how long a single frame without a duration lasts.
            is_entered: whether the source is read from its middle: its first frame lies after `start`.
            late: how much after its timestamp a frame is due, in ticks, where the output has a rate; that at
                `start` is due then.

        Raises:
            ValueError: the timestamps do not start at `start` or do not increase.
        """
        first: TimedT | None = None
        gap: int | None = None
        for second in frames:
            if first is None:
                if second.pts != self.start and not (is_entered and second.pts > self.start):
                    raise ValueError(f"the timeline starts at {self.start}, its first frame at {second.pts}")
            else:
                gap = second.pts - first.pts
                if gap <= 0:
                    raise ValueError(f"timestamp {second.pts} follows {first.pts}")
                due = [
                    frame.pts + (late(frame) if frame.pts > self.start else 0) for frame in (first, second)
                ]
                yield Span(first, second, self._between(*due))
            first = second
        if first is not None:
            after = late(first) if first.pts > self.start else Fraction(0)
            lasts = self._last_duration(first, gap, source_rate) - after * self.tick_seconds
            yield Span(first, None, self._held(first.pts + after, lasts))

    def _last_duration(self, last: Timed, gap: int | None, source_rate: Fraction | None) -> Fraction:
        """Return the seconds that the last frame is shown: its own duration, else the gap before it."""
        ticks = last.duration or gap
        if ticks is not None:
            return ticks * self.tick_seconds
        return 1 / (source_rate * self.speed) if source_rate else self.tick_seconds

    def _between(self, first: Fraction | int, second: Fraction | int) -> Iterator[Instant]:
        """Yield the instants from one source frame on and before the next, at times in source ticks."""
        if self.rate is None:
            yield Instant(Fraction(0), int(first))
            return
        begin, end = ((pts - self.start) * self.tick_seconds for pts in (first, second))
        still = self._still_seconds(end - begin)
        for index in range(self._index(begin), self._index(end)):
            seconds = index / self.rate - begin - still
            tau = Fraction(0) if seconds <= self.tolerance_seconds else seconds / (end - begin - still)
            yield Instant(tau, self._pts(index))

    def _still_seconds(self, gap_seconds: Fraction) -> Fraction:
        """Return how long a frame is shown as it is before it moves on to the next one."""
        if self.usual_seconds is None:
            return Fraction(0)
        is_held = gap_seconds * self.speed >= max(HOLD_FRAMES * self.usual_seconds, HOLD_SECONDS)
        return gap_seconds - self.usual_seconds / self.speed if is_held else Fraction(0)

    def _held(self, last: Fraction | int, duration_seconds: Fraction) -> Iterator[Instant]:
        """Yield the instants from the last source frame to the end of the video."""
        if self.rate is None:
            yield Instant(Fraction(0), int(last))
            return
        begin = (last - self.start) * self.tick_seconds
        for index in range(self._index(begin), max(self._index(begin + duration_seconds), 1)):
            yield Instant(Fraction(0), self._pts(index))

    def _index(self, seconds: Fraction) -> int:
        """Return the index of the first output frame that belongs to a source frame, or to one after it."""
        assert self.rate is not None
        return math.ceil(max(seconds - self.tolerance_seconds, Fraction(0)) * self.rate)

    def _pts(self, index: int) -> int:
        """Return the timestamp of the output frame `index`, in ticks of the output's time base."""
        assert self.rate is not None
        return int((self.start * self.tick_seconds + index / self.rate) / self.time_base)
