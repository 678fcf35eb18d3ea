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
THRESHOLD_BYTES = 1 << 30


@functools.cache
def keep_memory_mapped() -> bool:
    """Raise glibc's thresholds for returning memory, once per process.

    A fresh mapping is zeroed page by page by the kernel when it is first written. With the default thresholds
    every temporary of more than 32 MiB is such a mapping, and a network spends up to half of its time there.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)
    results = [mallopt(setting, THRESHOLD_BYTES) for setting in settings]  # both, whatever the first says
    return all(result == 1 for result in results)
