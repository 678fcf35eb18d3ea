"""Files that lie beside another one while it is made; their names fit wherever its own name fits."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

NAME_BYTES = 255
"""Longest name in the usual file systems."""


def beside(path: Path, suffix: str, *, prefix: str = "") -> Path:
    """Return the name of a file beside another: its name between a prefix and a suffix, such as ``.part``.

    The name is shortened where it is long.
    """
    name = f"{prefix}{path.name}{suffix}"
    own = os.fsencode(path.name)
    excess = len(os.fsencode(name)) - NAME_BYTES
    if excess <= 0 or len(own) > NAME_BYTES:  # too long by itself, which the system says better
        return path.with_name(name)
    mark = "-" + hashlib.sha256(own).hexdigest()[:16]  # keeps those apart that begin alike
    kept = own[: -excess - len(mark)].decode(errors="ignore")
    return path.with_name(f"{prefix}{kept}{mark}{suffix}")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give the name under which a file is written: it becomes `path` when the block ends, or is removed.

    Raises:
        OSError: it cannot be given its name.
    """
    partial = beside(path, ".part")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
