"""Print what the package logs, as lines on stderr."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import click

from videoinr_cli.notes import LOGGER


class _Printer(logging.Handler):
    """Prints each message on the current stderr, which a progress display may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "warning" if record.levelno >= logging.WARNING else "note"
        click.echo(f"{level}: {record.getMessage()}", err=True)


_PRINTER = _Printer()


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
