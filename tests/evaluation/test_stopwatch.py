"""The stopwatch, on work of known length."""

import time

from videoinr_cli.evaluation.stopwatch import Stopwatch


def test_the_stopwatch_stands_still_while_paused() -> None:
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch:
            time.sleep(0.02)
            with stopwatch.paused():
                time.sleep(0.2)
    time.sleep(0.2)
    assert 0.04 <= stopwatch.seconds < 0.2
