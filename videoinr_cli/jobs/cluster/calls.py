"""What the pool asks of a cluster: processes on nodes, and calls to them that end at some time.

`RayCluster` is one. The pool needs no other clock than its own, so that a simulated cluster can stand for it.
What takes several calls is a generator; all of them run in the calling thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Hashable, Sequence
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


class Errands:
    """What is under way, each up to the call that it waits for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waiting: dict[Call, Steps] = {}
        self._resting: list[Steps] = []

    def begin(self, steps: Steps) -> None:
        """Run something up to its first call."""
        self._go(steps, lambda: next(steps))

    def go_on(self, seconds: float) -> None:
        """Wait for calls to end, but not longer than that, and go on with what has waited for them."""
        resting, self._resting = self._resting, []
        for steps in resting:
            self.begin(steps)
        for call in self._cluster.ready(list(self._waiting), seconds):
            self._end(self._waiting.pop(call), call)

    def _end(self, steps: Steps, call: Call) -> None:
        try:
            result = self._cluster.result(call)
        except Exception as error:  # any that came of the call
            failure = error
            self._go(steps, lambda: steps.throw(failure))
        else:
            self._go(steps, lambda: steps.send(result))

    def _go(self, steps: Steps, step: Callable[[], Call | None]) -> None:
        try:
            call = step()
        except StopIteration:
            return
        if call is None:
            self._resting.append(steps)
        else:
            self._waiting[call] = steps
