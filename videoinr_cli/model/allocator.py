"""Keep large temporaries in the process instead of returning them to the system between operations."""

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
    """Make glibc keep freed memory, in a single arena; once per process.

    The kernel zeroes a fresh mapping page by page when it is first written. With the default thresholds every
    temporary of more than 32 MiB is such a mapping, and a network spends up to half of its time there. One
    arena serves all threads: otherwise each thread that decodes or encodes would keep as much again, such as
    the index of a long file.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {M_MMAP_THRESHOLD: THRESHOLD_BYTES, M_TRIM_THRESHOLD: THRESHOLD_BYTES, M_ARENA_MAX: 1}
    results = [mallopt(*setting) for setting in settings.items()]  # no short circuit: all are set
    return all(result == 1 for result in results)
