"""Print what the package logs, as lines on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator

from videoinr_cli.notes import LOGGER, Note


class Interrupted(BaseException):
    """A command was interrupted; the message says what is kept, and how to go on."""


class Terminated(BaseException):
    """A signal that ends the program: unwinds the stack, so that unfinished files are removed."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(number, said)
        self.number = number
        self.said = said


class _Printer(logging.Handler):
    """Prints each message on the current stderr, which a progress display may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(record.levelno, record.getMessage())


def _print(level: int, text: str) -> None:
    # Not by click, which writes past the display that has taken the place of stderr.
    kind = "warning" if level >= logging.WARNING else "note"
    if sys.stderr is not None:  # Python's value for a closed one
        sys.stderr.write(f"{kind}: {text}\n")


_PRINTER = _Printer()


def show_notes(notes: Iterable[Note]) -> None:
    """Print what was logged inside `held_back`, as it would have been printed there."""
    for note in notes:
        if note.level >= _PRINTER.level:
            _print(note.level, note.text)


def show_messages(*, quiet: bool = False, notes: bool = True) -> None:
    """Print this package's notes and warnings, and the warnings of libraries.

    Args:
        quiet: whether to print errors only.
        notes: whether to print notes too, or warnings only.
    """
    if _PRINTER not in logging.root.handlers:
        logging.root.addHandler(_PRINTER)
    LOGGER.setLevel(logging.INFO)
    _PRINTER.setLevel(logging.ERROR if quiet else logging.NOTSET if notes else logging.WARNING)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Print nothing inside the block; `collected_notes` still collects."""
    level = _PRINTER.level
    _PRINTER.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        _PRINTER.setLevel(level)
