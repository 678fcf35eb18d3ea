"""Collect the notes that the package logs while it works on a video, or pass them on.

They go through Python's logging, so that each module logs its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Container, Iterator

LOGGER = logging.getLogger("videoinr_cli")
"""The parent of all loggers in this package."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do about what a note says, by options of the command line."""

    text: str  # such as "--deinterlace off keeps it as it is"
    options: tuple[str, ...]  # that it names, such as "--deinterlace"


@dataclasses.dataclass(frozen=True)
class Note:
    """One message of the log."""

    level: int  # of `logging`, such as `logging.WARNING`
    said: str
    advice: Advice | None = None

    @property
    def text(self) -> str:
        """The whole message."""
        return self.said if self.advice is None else f"{self.said}; {self.advice.text}"

    def text_for(self, options: Container[str]) -> str:
        """Return the message for a command that has these options: without advice if it lacks one."""
        is_taken = self.advice is not None and all(option in options for option in self.advice.options)
        return self.text if is_taken else self.said


def log_advised(log: logging.Logger, level: int, said: str, advice: Advice) -> None:
    """Log a message and what to do about it."""
    note = Note(level, said, advice)
    log.log(level, "%s", note.text, extra={_NOTE: note})


def note_of(record: logging.LogRecord) -> Note:
    """Return the note that was logged."""
    note: Note = getattr(record, _NOTE, None) or Note(record.levelno, record.getMessage())
    return note


_NOTE = "note"
"""Attribute of a record of the log that holds its note, if that has advice."""


class _Listener(logging.Handler):
    def __init__(self, hear: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record)


def forward_log(send: Callable[[logging.LogRecord], None]) -> None:
    """Pass on from now on what is logged, notes too, as records that another process can read."""

    def hear(record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        send(record)

    LOGGER.addHandler(_Listener(hear))
    LOGGER.setLevel(logging.INFO)


@contextlib.contextmanager
def collected_notes() -> Iterator[list[Note]]:
    """Yield a list that collects what is logged inside the block, by any thread, each message once.

    It follows the logger's level: only warnings and above, unless the level is set to INFO.
    """
    notes: list[Note] = []

    def hear(record: logging.LogRecord) -> None:
        if (note := note_of(record)) not in notes:
            notes.append(note)

    listener = _Listener(hear)
    LOGGER.addHandler(listener)
    try:
        yield notes
    finally:
        LOGGER.removeHandler(listener)
