"""Keep large temporaries in the process instead of giving them back to the system between operations.

Knows nothing of torch or of networks; it speaks to the C library alone.
"""

from __future__ import annotations

import ctypes
import functools
import sys

# Names and numbers from glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
THRESHOLD_BYTES = 1 << 30


@functools.cache
def keep_memory_mapped() -> bool:
    """Have glibc keep memory, and in one place, once per process.

    A fresh mapping is zeroed page by page by the kernel when it is first written. With the default thresholds
    every temporary of more than 32 MiB is such a mapping, and a network spends up to half of its time there.
    What is kept must serve all threads: else each one that decodes or encodes keeps as much again of its own,
    such as the index of a long file.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {M_MMAP_THRESHOLD: THRESHOLD_BYTES, M_TRIM_THRESHOLD: THRESHOLD_BYTES, M_ARENA_MAX: 1}
    results = [mallopt(*setting) for setting in settings.items()]  # all, whatever the first says
    return all(result == 1 for result in results)
