"""How much work several videos are, how much of it is done, and how long the rest takes at the rate so far.

Work is counted in pixels of output, as that is what rendering takes its time for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from videoinr_cli.render.plan import Plan


class Work:
    """The work of several videos; unknown where one does not say how long it is."""

    def __init__(self, plans: Mapping[int, Plan], *, now: Callable[[], float] = time.monotonic) -> None:
        """Take note of all videos that are to be rendered.

        Args:
            plans: of the videos, by their numbers.
            now: the time in seconds.
        """
        self._pixels = {number: _pixels(plan) for number, plan in plans.items()}
        self._under_way: int | None = None
        self._current = 0  # pixels of the video under way
        self._given_current = 0  # of those, by an earlier run
        self._before = 0  # of the videos that are over, as far as they came
        self._given = 0  # of those, by an earlier run
        self._now = now
        self._started = now()

    @contextlib.contextmanager
    def on(self, number: int) -> Iterator[None]:
        """Work on one of the videos; what the block leaves undone is not to be done any more."""
        self._under_way, self._current, self._given_current = number, 0, 0
        try:
            yield
        finally:
            self._before += self._current
            self._given += self._given_current
            self._pixels[number] = self._current
            self._under_way, self._current, self._given_current = None, 0, 0

    def reach(self, share: float, *, given: float = 0.0) -> None:
        """Take note of how far the video under way is.

        Args:
            share: that is done of it, 0 to 1.
            given: how much of that an earlier run had done, 0 to 1.
        """
        whole = (None if self._under_way is None else self._pixels[self._under_way]) or 0
        self._current = round(whole * min(1.0, share))
        self._given_current = round(self._current * given)

    @property
    def fraction(self) -> float | None:
        """How much of all is done, 0 to 1."""
        total = total_of(self._pixels.values())
        return min(1.0, (self._before + self._current) / total) if total else None

    @property
    def left_seconds(self) -> float | None:
        """How long the rest takes at the rate so far."""
        total, done = total_of(self._pixels.values()), self._before + self._current
        fresh = done - self._given - self._given_current
        return None if total is None or fresh <= 0 else (self._now() - self._started) * (total - done) / fresh


def total_of(numbers: Iterable[int | None]) -> int | None:
    """Return the sum, or None when one of the numbers is not known."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _pixels(plan: Plan) -> int | None:
    return None if plan.total_frames is None else plan.total_frames * plan.size[0] * plan.size[1]
