"""Print what the package logs, as lines on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Container, Iterable, Iterator

import click

from videoinr_cli.notes import LOGGER, Note, note_of


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

    options: Container[str] | None = None  # of the command that runs; None: not known

    def emit(self, record: logging.LogRecord) -> None:
        self.show(note_of(record))

    def show(self, note: Note) -> None:
        """Print a note, without advice that the command cannot take."""
        # Not by click, which writes past the display that has taken the place of stderr.
        kind = "warning" if note.level >= logging.WARNING else "note"
        text = note.text if self.options is None else note.text_for(self.options)
        if sys.stderr is not None:  # Python's value for a closed one
            sys.stderr.write(f"{kind}: {text}\n")


_PRINTER = _Printer()


def show_notes(notes: Iterable[Note]) -> None:
    """Print what was logged inside `held_back`, as it would have been printed there."""
    for note in notes:
        if note.level >= _PRINTER.level:
            _PRINTER.show(note)


def show_messages(*, quiet: bool = False, notes: bool = True) -> None:
    """Print this package's notes and warnings, and the warnings of libraries.

    Args:
        quiet: whether to print errors only.
        notes: whether to print notes too, or warnings only.
    """
    if _PRINTER not in logging.root.handlers:
        logging.root.addHandler(_PRINTER)
    context = click.get_current_context(silent=True)
    parameters = () if context is None else context.command.params
    has = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    _PRINTER.options = None if context is None else has
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
