"""The stopwatch, by a clock that the test sets."""

from __future__ import annotations

import time

import pytest

from videoinr_cli.evaluation.measure import Stopwatch


def test_the_stopwatch_stands_still_while_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch:
            now += 1
            with stopwatch.paused():
                now += 10
            now += 2
        now += 100
    assert stopwatch.seconds == 6
