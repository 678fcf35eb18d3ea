"""The stopwatch and the memory watch, on work of known cost."""

import sys
import time

import pytest
import torch

from videoinr_cli.evaluation.cost import PeakMemory, Stopwatch


def test_the_stopwatch_stands_still_while_paused() -> None:
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch:
            time.sleep(0.02)
            with stopwatch.paused():
                time.sleep(0.2)
    time.sleep(0.2)
    assert 0.04 <= stopwatch.seconds < 0.2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_peak_memory_sees_what_was_freed_again() -> None:
    with PeakMemory(torch.device("cpu")) as idle:
        pass
    with PeakMemory(torch.device("cpu")) as busy:
        block = torch.ones(64 << 20, dtype=torch.uint8)
        time.sleep(0.2)
        del block
    assert idle.bytes is not None
    assert busy.bytes is not None
    assert busy.bytes - idle.bytes > 56 << 20


def test_peak_memory_is_unknown_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videoinr_cli.evaluation.cost._resident_bytes", lambda process: None)
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    assert memory.bytes is None
