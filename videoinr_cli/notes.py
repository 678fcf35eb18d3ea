"""What the package logs while it works on a video, kept for those who want it afterwards.

Notes go through Python's logging, so that each is written where it arises.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

LOGGER = logging.getLogger("videoinr_cli")
"""The logger above those of all modules of this package."""


@dataclasses.dataclass(frozen=True)
class Note:
    """One message of the log."""

    level: int  # of `logging`, such as `logging.WARNING`
    text: str


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []

    def emit(self, record: logging.LogRecord) -> None:
        note = Note(record.levelno, record.getMessage())
        if note not in self.notes:
            self.notes.append(note)


@contextlib.contextmanager
def collected_notes() -> Iterator[list[Note]]:
    """Yield a list that fills with what is logged inside the block, by any thread, each message once.

    Messages that the logger's level leaves out are left out here too: those below warnings, unless it is set
    to INFO.
    """
    collector = _Collector()
    LOGGER.addHandler(collector)
    try:
        yield collector.notes
    finally:
        LOGGER.removeHandler(collector)
