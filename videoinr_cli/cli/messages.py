"""What the package logs, as lines on stderr.

Knows nothing of progress displays, except that one may have put itself in the place of stderr.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

import click

from videoinr_cli.notes import LOGGER, Note


class _Printer(logging.Handler):
    """Prints a line for each message, on whatever stderr is then."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(record.levelno, record.getMessage())


def _print(level: int, text: str) -> None:
    click.echo(f"{'warning' if level >= logging.WARNING else 'note'}: {text}", err=True)


_PRINTER = _Printer()


def show_notes(notes: Iterable[Note]) -> None:
    """Print what was logged inside `held_back`, as it would have been printed there."""
    for note in notes:
        if note.level >= _PRINTER.level:
            _print(note.level, note.text)


def show_messages(*, quiet: bool = False, notes: bool = True) -> None:
    """Let what the package has to say be read, and of the libraries under it what they warn of.

    Args:
        quiet: whether only errors are printed.
        notes: whether notes are, or warnings alone.
    """
    if _PRINTER not in logging.root.handlers:
        logging.root.addHandler(_PRINTER)
    LOGGER.setLevel(logging.INFO)
    _PRINTER.setLevel(logging.ERROR if quiet else logging.NOTSET if notes else logging.WARNING)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Print nothing inside the block; what is collected there is collected all the same."""
    level = _PRINTER.level
    _PRINTER.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        _PRINTER.setLevel(level)
