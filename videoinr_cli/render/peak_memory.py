"""The most memory held while something is rendered."""

from __future__ import annotations

import threading

import psutil
import torch

SAMPLE_SECONDS = 0.02
"""How often memory is looked at: chunks of rendering live longer than this."""

SAMPLES_OF_ONE_LIST = 50
"""After so many the child processes are listed anew, for which the system looks through all that run."""


class PeakMemory:
    """The most memory held inside a ``with`` block: of the GPU on CUDA, else by this process and children."""

    def __init__(self, device: torch.device) -> None:
        self.bytes = 0
        self._device = device
        self._own = psutil.Process()
        self._processes: list[psutil.Process] = []
        self._samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._sample()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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
        if self._samples % SAMPLES_OF_ONE_LIST == 0:
            self._processes = [self._own, *self._own.children(recursive=True)]
        self._samples += 1
        self.bytes = max(self.bytes, sum(map(_resident_bytes, self._processes)))


def _resident_bytes(process: psutil.Process) -> int:
    """Return what a process holds in RAM, 0 if it has ended."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
