"""Collect the notes that the package logs while it works on a video.

They go through Python's logging, so that each module logs its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

LOGGER = logging.getLogger("videoinr_cli")
"""The parent of all loggers in this package."""


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
    """Yield a list that collects what is logged inside the block, by any thread, each message once.

    It follows the logger's level: only warnings and above, unless the level is set to INFO.
    """
    collector = _Collector()
    LOGGER.addHandler(collector)
    try:
        yield collector.notes
    finally:
        LOGGER.removeHandler(collector)
