"""Match videos by time: which instants are compared, and which frame each video shows then.

An instant lies in the middle of a frame's duration, so that neither rounded timestamps nor frame rates that
are multiples of each other can put two videos a frame apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

from videoinr_cli.errors import OptionError
from videoinr_cli.render.timeline import Timed

TimedT = TypeVar("TimedT", bound=Timed)


@dataclasses.dataclass(frozen=True)
class Instants:
    """Evenly spaced instants, in seconds from the start of every video."""

    begin_seconds: Fraction
    rate: Fraction  # frames per second of the video with the most
    stride: int  # frames of that video from one instant to the next
    count: int

    @property
    def seconds(self) -> list[Fraction]:
        """When each compared frame begins."""
        return [self.begin_seconds + index * self.stride / self.rate for index in range(self.count)]

    @property
    def middles(self) -> list[Fraction]:
        """The middle of each frame's duration, at which the videos are sampled."""
        return [start + 1 / (2 * self.rate) for start in self.seconds]


def choose_instants(
    durations: Sequence[Fraction],
    rates: Sequence[Fraction],
    *,
    begin_seconds: Fraction,
    seconds: Fraction | None,
    max_count: int,
) -> Instants:
    """Return the instants at which videos are compared: every frame, or evenly spread ones.

    Args:
        durations: of the videos, in seconds; the shortest one limits the comparison.
        rates: frame rates to choose from, in frames per second; the highest is used.
        begin_seconds: where to begin, from the start of the videos.
        seconds: how long a part to compare; None: all.
        max_count: largest number of instants.

    Raises:
        OptionError: `begin_seconds` lies after the end.
    """
    rate, end = max(rates), min(durations)
    if begin_seconds >= end:
        raise OptionError(
            f"--at {float(begin_seconds):g} s is after the end of the shortest video, at {float(end):g} s; "
            "try an earlier one"
        )
    first = math.floor(begin_seconds * rate)
    until = end if seconds is None else min(end, begin_seconds + seconds)
    frames = max(1, round((until - first / rate) * rate))
    stride = math.ceil(frames / max_count)
    return Instants(first / rate, rate, stride, math.ceil(frames / stride))


def on_show(frames: Iterable[TimedT], ticks: Iterable[Fraction]) -> Iterator[TimedT]:
    """Yield the frame that is on show at each of some increasing times, the nearest one outside the video.

    Args:
        frames: in order.
        ticks: times, in the ticks of the frames' timestamps.
    """
    following = iter(frames)
    current = next(following, None)
    if current is None:
        return
    after = next(following, None)
    for time in ticks:
        while after is not None and after.pts <= time:
            current, after = after, next(following, None)
        yield current
