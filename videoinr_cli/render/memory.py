"""How much memory there is, how much is used already, and how much is held at most."""

from __future__ import annotations

import ctypes
import re
import sys
import threading

import psutil
import torch

from videoinr_cli.control_groups import Group, own_groups

FREE_SHARE = 0.8
"""Share of the free memory that is used when no limit is given. The rest is for ffmpeg's encoder, for
fragmentation, and for programs that start later."""

SAMPLE_SECONDS = 0.02
"""How often memory is looked at: chunks of rendering live longer than this."""

SAMPLES_OF_ONE_LIST = 50
"""After so many the child processes are listed anew, for which the system looks through all that run."""


def held_bytes(device: torch.device) -> int:
    """Return what is used already: by the whole process on a CPU, else by torch on the device."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    return psutil.Process().memory_info().rss


def free_bytes(device: torch.device) -> int:
    """Return how much of the free memory may be used."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(FREE_SHARE * free)
    if device.type == "mps":
        return int(FREE_SHARE * torch.mps.recommended_max_memory()) - torch.mps.driver_allocated_memory()
    return int(FREE_SHARE * free_ram_bytes())


def share_of(free: int, device: torch.device, processes: int) -> int:
    """Return how much one of several processes that share a device may use.

    On a GPU that is its share of all memory, as far as it is free, for others may hold theirs already.

    Args:
        free: see `free_bytes`.
        device: which they share.
        processes: how many they are.
    """
    share = free // processes
    if device.type == "cuda" and processes > 1:
        whole = int(FREE_SHARE * torch.cuda.mem_get_info(device)[1])
        share = max(share, min(free, whole // processes - held_bytes(device)))
    return share


def free_ram_bytes() -> int:
    """Return how much this process can still allocate."""
    rooms = psutil.virtual_memory().available, _free_in_groups(), _free_addresses()
    return min(room for room in rooms if room is not None)


def _free_in_groups() -> int | None:
    """Return how much memory this process's control groups, which limit containers, leave to it."""
    rooms = map(_room, own_groups("memory"))
    return min((room for room in rooms if room is not None), default=None)


def _room(group: Group) -> int | None:
    """Return how much memory one control group leaves; reclaimable page cache counts as free."""
    if group.is_unified:
        limit, used, cache = "memory.max", "memory.current", "inactive_file "
    else:
        limit, used, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "
    folder = group.folder
    try:
        most, now = (folder / limit).read_text().strip(), int((folder / used).read_text())
        remembered = re.search(rf"^{cache}(\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no such group, or one without the controller
        return None
    return None if most == "max" else max(0, int(most) - now + (int(remembered[1]) if remembered else 0))


def _free_addresses() -> int | None:
    """Return how much a limit on the address space (``ulimit -v``) leaves."""
    if sys.platform != "linux":  # others do not enforce it
        return None
    process = psutil.Process()
    limit = process.rlimit(psutil.RLIMIT_AS)[0]
    return None if limit == psutil.RLIM_INFINITY else max(0, limit - process.memory_info().vms)


def release_memory(device: torch.device) -> None:
    """Return freed memory to the system or the device, so that it is not fragmented."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim is not None:
            trim(0)


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
