"""How far a batch is as a whole, and how long the rest of it takes at the rate so far.

Progress is counted in pixels of output, which is what rendering spends its time on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from videoinr_cli.render.plan import Plan
from videoinr_cli.render.speed import remaining_seconds


class OverallProgress:
    """Progress through several videos; unknown where one does not say how long it is."""

    def __init__(self, plans: Mapping[int, Plan], *, now: Callable[[], float] = time.monotonic) -> None:
        """Begin with all videos that will be rendered.

        Args:
            plans: of the videos, by their numbers.
            now: returns the time in seconds.
        """
        self._pixels = {number: _pixels(plan) for number, plan in plans.items()}
        self._current_number: int | None = None
        self._current = 0  # pixels of the current video
        self._current_before = 0  # of those, by an earlier run
        self._finished = 0  # pixels of the videos before it, as far as they came
        self._finished_before = 0  # of those, by an earlier run
        self._now = now
        self._started = now()

    @contextlib.contextmanager
    def on(self, number: int) -> Iterator[None]:
        """Render one of the videos inside the block; what is missing after it no longer counts as pending."""
        self._current_number, self._current, self._current_before = number, 0, 0
        try:
            yield
        finally:
            self._finished += self._current
            self._finished_before += self._current_before
            self._pixels[number] = self._current
            self._current_number, self._current, self._current_before = None, 0, 0

    def update(self, share: float, *, share_before: float = 0.0) -> None:
        """Set how far the current video is.

        Args:
            share: that is done of it, 0 to 1.
            share_before: how much of that an earlier run did, 0 to 1.
        """
        whole = (None if self._current_number is None else self._pixels[self._current_number]) or 0
        self._current = round(whole * min(1.0, share))
        self._current_before = round(self._current * share_before)

    @property
    def fraction(self) -> float | None:
        """How much of all is done, 0 to 1."""
        total = sum_known(self._pixels.values())
        return min(1.0, (self._finished + self._current) / total) if total else None

    @property
    def left_seconds(self) -> float | None:
        """How long the rest takes at the rate so far."""
        return remaining_seconds(
            self._finished + self._current,
            sum_known(self._pixels.values()),
            self._now() - self._started,
            done_before=self._finished_before + self._current_before,
        )


def sum_known(numbers: Iterable[int | None]) -> int | None:
    """Return the sum, or None when one of the numbers is not known."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _pixels(plan: Plan) -> int | None:
    return None if plan.total_frames is None else plan.total_frames * plan.size[0] * plan.size[1]
