"""``--json``: events as JSON Lines on standard output; see ``docs/json.md``."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from videoinr_cli.batch.events import Event

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
"""Least time between two progress lines."""


class JsonLines:
    """Prints events as they happen, progress at most every `PROGRESS_SECONDS`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._next_progress = 0.0
        self._is_read = True

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if event.event == "progress":
            if self._now() < self._next_progress:
                return
            self._next_progress = self._now() + PROGRESS_SECONDS
        if not self._is_read:
            return
        try:
            click.echo(json.dumps({"event": event.event, **dataclasses.asdict(event)}, default=path_text))
        except OSError as error:
            self._is_read = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes there
            is_left = isinstance(error, BrokenPipeError)
            why = "the reader of the events is gone" if is_left else f"no events: {error.strerror}"
            log.warning(f"{why}; rendering continues without them")


def path_text(value: object) -> str:
    """Return a path as text, in which `os.fsencode` finds bytes again that are not valid text."""
    assert isinstance(value, Path)
    return str(value)
