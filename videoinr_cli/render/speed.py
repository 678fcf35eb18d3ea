"""How long rendering takes, from what was measured, and how long the rest of it will take."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Speed:
    """Measured times of rendering, in seconds."""

    frame_seconds: float  # for each frame of the output
    pair_seconds: float = 0.0  # for each pair of source frames, where it is not part of the former
    start_seconds: float = 0.0  # once

    def seconds(self, frames: float, pairs: float = 0.0) -> float:
        """Return how long a video takes that has so many frames, from so many pairs."""
        return self.start_seconds + frames * self.frame_seconds + pairs * self.pair_seconds


def remaining_seconds(
    done: float, total: float | None, elapsed_seconds: float, *, done_before: float
) -> float | None:
    """Return how long the rest takes at the rate so far; None while there is no rate, or no known end.

    Args:
        done: how much is done, in any unit of work.
        total: how much there is to do.
        elapsed_seconds: since this run began.
        done_before: how much of `done` an earlier run did.
    """
    done_now = done - done_before
    if total is None or done_now <= 0:
        return None
    return max(0.0, total - done) * elapsed_seconds / done_now
