"""Collect the notes that the package logs while it works on a video.

They go through Python's logging, so that each module logs its own.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

LOGGER = logging.getLogger("videoinr_cli")
"""The parent of all loggers in this package."""


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.messages:
            self.messages.append(message)


@contextlib.contextmanager
def collected_notes() -> Iterator[list[str]]:
    """Yield a list that collects what is logged inside the block, by any thread, each message once.

    It follows the logger's level: only warnings and above, unless the level is set to INFO.
    """
    collector = _Collector()
    LOGGER.addHandler(collector)
    try:
        yield collector.messages
    finally:
        LOGGER.removeHandler(collector)
