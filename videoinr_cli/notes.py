"""What the package says while it works on a video, kept for who wants it afterwards.

Notes go through Python's logging, so that each is read where it arises; knows nothing of what is said.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

LOGGER = logging.getLogger("videoinr_cli")
"""The logger above those of all modules of this package."""


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
    """Yield a list that fills with what is logged inside the block, by any thread, each message once.

    What the logger's level leaves out is left out here too: below warnings, unless it is set to INFO.
    """
    collector = _Collector()
    LOGGER.addHandler(collector)
    try:
        yield collector.messages
    finally:
        LOGGER.removeHandler(collector)
