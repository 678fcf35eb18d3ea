"""What is wrong with a machine: each problem once, with one remedy."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from typing import TypeVar

from videoinr_cli.errors import VideoInrError

REINSTALL = "reinstall videoinr in this environment: pip install --force-reinstall . in a clone of it"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it."""

    what: str
    remedy: str
    is_essential: bool = True  # whether no video can be upscaled until it is fixed


class Problems:
    """The problems found so far."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def all(self) -> tuple[Problem, ...]:
        """Return the problems, in the order in which they were found."""
        return tuple(self._found)

    def add(self, what: str, remedy: str, *, is_essential: bool = True) -> None:
        """Add a problem."""
        self._found.append(Problem(what, remedy, is_essential))

    def add_error(self, error: Exception, remedy: str, *, is_essential: bool = True) -> None:
        """Add an error as a problem, with the remedy from its own message if it has one."""
        what, own = split_remedy(error)
        self.add(what, own or remedy, is_essential=is_essential)

    def attempt(self, find: Callable[[], T], remedy: str) -> T | None:
        """Return what `find` returns; if it fails, add an essential problem and return None.

        An essential problem replaces a lesser one with the same cause, and is added only once.
        """
        try:
            return find()
        except (VideoInrError, ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            what, _ = split_remedy(error)
            if not any(known.what == what and known.is_essential for known in self._found):
                self._found = [known for known in self._found if known.what != what]
                self.add_error(error, remedy)
            return None


def split_remedy(error: Exception) -> tuple[str, str]:
    """Return what an error says is wrong, and the remedy that its message ends with, or an empty text."""
    message = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, VideoInrError):
        return message, ""
    what, _, remedy = message.partition("; ")
    return what, remedy
