"""``--json``: events as JSON Lines on standard output; see ``docs/json.md``."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from videoinr_cli.batch.events import Event

PROGRESS_SECONDS = 1.0
"""Least time between two progress lines."""


class JsonLines:
    """Prints events as they happen, progress at most every `PROGRESS_SECONDS`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._next_progress = 0.0

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if event.event == "progress":
            if self._now() < self._next_progress:
                return
            self._next_progress = self._now() + PROGRESS_SECONDS
        click.echo(json.dumps({"event": event.event, **dataclasses.asdict(event)}, default=path_text))


def path_text(value: object) -> str:
    """Return a path as text; bytes that are not valid text are replaced, since JSON cannot hold them."""
    assert isinstance(value, Path)
    return str(value).encode(errors="replace").decode()
