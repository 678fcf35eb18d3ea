"""Files that one process holds at a time: how runs that would write to one place learn of each other.

The system lets go of them however the process ends.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock  # imported when a lock is looked at: reading a video needs none

PATIENCE_SECONDS = 0.1
"""How long a lock is tried for: its holder may be about to let go, or others may be looking at it."""

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What locking fails with where the file system has no locks, as that of some network drives."""


class LockFile:
    """A file that exists while somebody holds it; one that a killed process has left is free.

    Where the file system has no locks it is always free.
    """

    def __init__(self, path: Path) -> None:
        """Take note of its name, which belongs to nobody else."""
        self._path = path
        self._held: FileLock | None = None

    def is_held(self) -> bool:
        """Whether anybody holds it."""
        if not self._path.exists():  # looking at it does not make it
            return False
        from filelock import Timeout

        try:
            self._acquired().release()
        except Timeout:
            return True
        except OSError:
            return False
        return False

    def acquire(self) -> bool:
        """Hold it, and return whether it was free.

        Raises:
            OSError: it cannot be made.
        """
        from filelock import Timeout

        self._path.touch()  # where it cannot be made, the library waits for whoever may have removed it
        try:
            self._held = self._acquired()
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Let go of it, and remove it; does nothing where it is not held."""
        if self._held is None:
            return
        if sys.platform != "win32":  # where no open file can be removed, and the library does it afterwards
            self._path.unlink(missing_ok=True)
        self._held.release()
        self._held = None

    def _acquired(self) -> FileLock:
        from filelock import FileLock, Timeout

        # thread_local: one thread may acquire it, and another one release it
        lock = FileLock(self._path, PATIENCE_SECONDS, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in WITHOUT_LOCKS:
                raise
        return lock
