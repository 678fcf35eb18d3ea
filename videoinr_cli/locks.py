"""Files that one process holds at a time: how runs that would write to one place learn of each other.

The system lets go of them however the process ends. Knows nothing of what they guard.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO


def lock(file: IO[str]) -> bool:
    """Lock an open file, for as long as it is open, and return whether it was free.

    Where the file system has no locks it always is.
    """
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    except OSError:
        return True
    return True


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockFile:
    """A file that is there while somebody holds it; one that a killed process has left is free."""

    def __init__(self, path: Path) -> None:
        """Take note of its name, which belongs to nobody else."""
        self._path = path
        self._file: IO[str] | None = None

    def is_held(self) -> bool:
        """Whether anybody holds it."""
        try:
            with self._path.open("r+") as file:
                return not lock(file)
        except OSError:  # mostly that there is none
            return False

    def acquire(self) -> bool:
        """Hold it, and return whether it was free.

        Raises:
            OSError: it cannot be made.
        """
        while True:
            file = self._path.open("a")
            if not lock(file):
                file.close()
                return False
            if self._names(file):
                self._file = file
                return True
            file.close()  # who held it has removed it between the two steps: there may be another one by now

    def release(self) -> None:
        """Let go of it, and remove it; does nothing where it is not held."""
        if self._file is None:
            return
        if sys.platform == "win32":  # what is open cannot be removed, also where another one holds it by now
            self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
        else:
            self._path.unlink(missing_ok=True)
            self._file.close()
        self._file = None

    def _names(self, file: IO[str]) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False
