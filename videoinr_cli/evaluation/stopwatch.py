"""Wall time of rendering alone."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up the wall time spent inside its ``with`` blocks; `paused` blocks within them do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> Stopwatch:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started

    def paused(self) -> _Pause:
        return _Pause(self)


class _Pause:
    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def __enter__(self) -> None:
        self._stopwatch.__exit__()

    def __exit__(self, *_: object) -> None:
        self._stopwatch.__enter__()
