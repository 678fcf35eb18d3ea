"""The control groups of this process: how Linux limits what containers and services use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""

OWN = Path("/proc/self/cgroup")
"""The file that names those of this process."""


class Group(NamedTuple):
    """A group that limits this process."""

    folder: Path  # of the files that tell its limits
    is_unified: bool  # whether they are named as in version 2


def own_groups(controller: str) -> Iterator[Group]:
    """Yield the groups by which a controller, ``cpu`` or ``memory``, limits this process, its own first.

    There are none outside of Linux.
    """
    try:
        entries = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in entries:
        if controllers == "":
            base = ROOT
        elif controller in controllers.split(","):
            base = ROOT / controller
        else:
            continue
        group = base / path.strip("/")
        # A container sees its own group as the root, under the host's path: those above count as well.
        for folder in (group, *group.parents):
            yield Group(folder, is_unified=controllers == "")
            if folder == base:
                break
