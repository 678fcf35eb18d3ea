"""What the pool asks of a cluster: processes on nodes, and calls to them that end at some time.

`RayCluster` is one. The pool needs no other clock than its own, so that a simulated cluster can stand for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Hashable, Sequence
from typing import Any, Protocol, TypeAlias

Call: TypeAlias = Hashable
"""A call that has begun."""


Steps: TypeAlias = Generator["Call | None", Any, Any]
"""What takes several calls: yields each, and is sent what it returned; None: to go on at the next look."""


class Lost(Exception):
    """The process that was called is gone; the message says why."""


class NodeLost(Lost):
    """So is its machine."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A machine of a cluster, and what it offers."""

    id: str
    name: str
    gpus: int
    cpus: int
    store_bytes: int  # memory for what is on its way between processes


class Cluster(Protocol):
    """See `RayCluster`, whose methods say what these are."""

    def nodes(self) -> list[Node]: ...

    def start(self, node: Node, device: str, *, gpus: float, cpus: float) -> Any: ...

    def call(self, worker: Any, method: str, *arguments: object) -> Call: ...

    def put(self, data: bytes) -> object: ...

    def ready(self, calls: Sequence[Call], seconds: float) -> list[Call]: ...

    def result(self, call: Call) -> Any: ...

    def kill(self, worker: Any) -> None: ...

    def close(self) -> None: ...
