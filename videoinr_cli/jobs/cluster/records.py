"""What the pool knows of nodes, of the processes on them, and of segments that are under way."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from videoinr_cli.jobs.cluster.calls import Node
from videoinr_cli.jobs.cluster.nodes import Description
from videoinr_cli.jobs.pool import Listener
from videoinr_cli.jobs.segment import SegmentRequest


@dataclasses.dataclass(frozen=True)
class FoundNode:
    """A node, and what is known of it."""

    name: str
    processes: int  # that render there
    description: Description | None  # None: it has not answered
    problem: str | None  # why it is left out


class Unfit(Exception):
    """A node cannot be used; the message says why."""


class Hung(Exception):
    """No news came from a segment for too long."""


@dataclasses.dataclass
class Place:
    """Where a node finds what a video's segments are rendered from."""

    source_folder: str | None  # that the source was sent to
    weights: str
    enlarger: str | None  # the model of `UpscaleOptions.spatial`
    writes_there: bool  # whether it writes segments where they belong


@dataclasses.dataclass(eq=False)
class NodeState:
    """A node."""

    facts: Node
    workers: list[Worker] = dataclasses.field(default_factory=list)
    places: dict[Path, Place | None] = dataclasses.field(default_factory=dict)  # None: about to be there
    refusal: str | None = None  # why it is left out
    failures: int = 0  # in a row
    segments: int = 0  # that it has rendered
    seconds: float = 0.0  # that they took
    description: Description | None = None

    @property
    def has_weights(self) -> bool:
        """Whether it has the weights itself."""
        return self.description is not None and self.description.weights_sha256 is not None


@dataclasses.dataclass(eq=False)
class Worker:
    """A process on a node."""

    node: NodeState
    device: str
    gpus: float
    cpus: float
    threads: int
    sharing: int  # processes that share the memory of its device
    process: Any = None
    is_ready: bool = False
    is_lost: bool = False  # as its node seems to be
    attempt: Attempt | None = None


@dataclasses.dataclass(eq=False)
class Task:
    """A segment that was begun."""

    request: SegmentRequest
    listener: Listener
    failures: dict[str, Exception] = dataclasses.field(default_factory=dict)  # by the node's name
    tries: int = 0  # that have failed by their own fault
    halvings: int = 0  # of the memory that it may use
    attempts: list[Attempt] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Attempt:
    """A segment at one worker."""

    task: Task
    worker: Worker
    process: Any  # the worker's, at that time
    began: float
    heard: float  # when there was news last
    frames: int = 0
    is_dropped: bool = False  # whether nobody needs it any more
