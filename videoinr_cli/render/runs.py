"""Which frames of a source are encoded together: the same wherever the source is entered.

A run is some consecutive frames of one scene, the first frame of the next run, and context on either side.
Runs begin at fixed places: at a cut, and at the first new picture of each section of the source's time. So
a picture depends on its run alone, and a part of a video that begins with a section is rendered as in the
whole. Repeats of a picture are one frame of a run.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Generic, Protocol, TypeVar


class Placed(Protocol):
    """A picture of the source; the same object for a frame and those that repeat it."""

    @property
    def section(self) -> int: ...

    @property
    def starts_scene(self) -> bool: ...


PlacedT = TypeVar("PlacedT", bound=Placed)


@dataclasses.dataclass(frozen=True)
class Sections:
    """A source's time, cut into sections that hold the frames of a run at the source's rate.

    Borders lie half a frame before a frame is due, so that no rounding of timestamps moves frames over them.
    """

    start: int  # the source's first timestamp, in its ticks
    frame_ticks: Fraction  # from one frame to the next
    frames: int  # in each

    def of(self, pts: int) -> int:
        """Return the number of the section in which a time lies."""
        return math.floor(((pts - self.start) / self.frame_ticks + Fraction(1, 2)) / self.frames)

    def begin(self, section: int) -> int:
        """Return the first tick of a section."""
        return self.start + math.ceil((section * self.frames - Fraction(1, 2)) * self.frame_ticks)


class Runs(Generic[PlacedT]):
    """Goes from frame to frame of a source, and knows the run in which each pair lies.

    Attributes:
        run: the frames of the run of the pair at hand, in order, each picture once.
    """

    def __init__(self, pairs: int, context: int) -> None:
        """Prepare for runs of at most `pairs` pairs, with `context` frames on either side."""
        self._pairs, self._context = pairs, context
        self._behind: collections.deque[PlacedT] = collections.deque(maxlen=context)
        self._ahead: collections.deque[PlacedT] = collections.deque()  # from `first` on
        self._age = 0  # frames since the run began
        self._section: int | None = None  # of the last new picture
        self.run: tuple[PlacedT, ...] = ()

    @property
    def lookahead(self) -> int:
        """How many frames after a pair a run may depend on."""
        return self._pairs + self._context - 1

    @property
    def known(self) -> tuple[PlacedT, ...]:
        """The pair at hand and what has been shown of the frames after it; less than a pair at the end."""
        return tuple(self._ahead)

    @property
    def place(self) -> int:
        """Where in the run the pair at hand begins."""
        return next(place for place, frame in enumerate(self.run) if frame is self._ahead[0])

    def advance(self, shown: Iterable[PlacedT]) -> None:
        """Go on to the next pair.

        Args:
            shown: the frames that follow those known, until `lookahead` frames after the pair are, or the
                source ends.
        """
        if self._ahead:
            self._behind.append(self._ahead.popleft())
            self._age += 1
        self._ahead.extend(shown)
        first = self._ahead[0]
        is_new = not self._behind or self._behind[-1] is not first
        if self._begins(first, is_new):
            self._age = 0
            self.run = (*self._before(), *self._from_first())
        if is_new:
            self._section = first.section

    def _begins(self, frame: PlacedT, is_new: bool) -> bool:
        """Tell whether a run begins with `first`: with a new picture, or with a repeat after the last one."""
        if is_new:
            is_other = frame.starts_scene or frame.section != self._section
            return not self.run or is_other or self._age >= self._pairs
        return self._age >= self._pairs and len(self._ahead) > 1 and self._ahead[1] is not frame

    def _before(self) -> list[PlacedT]:
        """Return the context before `first`: what of the frames before it shows the same scene."""
        found: list[PlacedT] = []
        frame = self._ahead[0]
        for earlier in reversed(self._behind):
            if earlier is not frame:
                if frame.starts_scene:
                    break
                found.insert(0, earlier)
                frame = earlier
        return found

    def _from_first(self) -> Iterable[PlacedT]:
        """Return the run from `first` on: to the frame that begins the next one, and the context after that.

        Where the next run begins with a repeat, there is neither.
        """
        frames = list(self._ahead)
        for number, (frame, following) in enumerate(itertools.pairwise(frames), start=1):
            is_new = following is not frame
            if is_new and following.starts_scene:
                return _distinct(frames[:number])
            if number == self._pairs or (is_new and following.section != frame.section):
                end = number + 1 + self._context if is_new else number
                return _distinct(_scene(frames[:end], number))
        return _distinct(frames)


def _scene(frames: list[PlacedT], known: int) -> list[PlacedT]:
    """Return frames up to the first cut after those known to be of one scene."""
    for number in range(known + 1, len(frames)):
        if frames[number].starts_scene and frames[number] is not frames[number - 1]:
            return frames[:number]
    return frames


def _distinct(frames: Iterable[PlacedT]) -> list[PlacedT]:
    """Return frames without repeats."""
    found: list[PlacedT] = []
    for frame in frames:
        if not found or found[-1] is not frame:
            found.append(frame)
    return found
