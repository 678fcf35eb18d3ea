"""What rendering costs: wall time, and the most memory held meanwhile.

Knows nothing of what is rendered.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType

import torch

SAMPLE_SECONDS = 0.02
"""How often memory is looked at: chunks of rendering live longer than this."""


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


class PeakMemory:
    """The most memory held inside a ``with`` block: of the GPU on CUDA, else by this process and children.

    `bytes` is None where the system does not tell (elsewhere than on Linux and CUDA).
    """

    def __init__(self, device: torch.device) -> None:
        self.bytes: int | None = None
        self._device = device
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._sample()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self._stop.set()
            self._thread.join()
            self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        resident = _resident_bytes(Path("/proc/self"))
        if resident is not None:
            self.bytes = max(self.bytes or 0, resident)


def _resident_bytes(process: Path) -> int | None:
    """Return what a Linux process and its children hold in RAM."""
    try:
        status = (process / "status").read_text()
        children = [
            child
            for task in (process / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # not Linux, or the process has just ended
        return None
    kilobytes = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return kilobytes * 1024 + sum(_resident_bytes(Path("/proc") / child) or 0 for child in children)
