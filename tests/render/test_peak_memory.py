"""The memory watch, on work of known cost."""

import mmap
import subprocess
import sys
import time

import pytest
import torch

from videoinr_cli.render.memory import PeakMemory


def test_peak_memory_sees_what_was_freed_again() -> None:
    with PeakMemory(torch.device("cpu")) as idle:
        pass
    with PeakMemory(torch.device("cpu")) as busy, mmap.mmap(-1, 128 << 20) as block:
        for place in range(0, len(block), mmap.PAGESIZE):  # fresh memory, not what was freed before
            block[place] = 1
        time.sleep(0.2)
    assert busy.bytes - idle.bytes > 96 << 20


def test_peak_memory_counts_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videoinr_cli.render.memory.SAMPLES_OF_ONE_LIST", 2)
    with PeakMemory(torch.device("cpu")) as alone:
        pass
    program = f"block = b'x' * {64 << 20}; print('ready', flush=True); input()"
    command = [sys.executable, "-c", program]
    with (
        PeakMemory(torch.device("cpu")) as together,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"ready"
        time.sleep(0.5)
        child.communicate(b"\n")
    assert together.bytes - alone.bytes > 64 << 20
