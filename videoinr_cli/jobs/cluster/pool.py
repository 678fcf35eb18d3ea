"""Which node of a cluster renders which segment, and what becomes of segments that fail or take too long.

The cluster is asked through `calls.Cluster` alone; which processes there are on it is the `Crew`'s business.
"""

from __future__ import annotations

import collections
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from videoinr_cli.errors import MemoryLimitError, OptionError, VideoInrError, is_out_of_memory, one_line
from videoinr_cli.jobs.cluster.calls import Cluster, Errands, Lost, NodeLost, Steps
from videoinr_cli.jobs.cluster.crew import START_SECONDS, Crew
from videoinr_cli.jobs.cluster.files import WeightsFile, moved
from videoinr_cli.jobs.cluster.records import Attempt, FoundNode, Hung, NodeState, Task, Unfit, Worker
from videoinr_cli.jobs.cluster.transfers import Transfers
from videoinr_cli.jobs.demand import Demand
from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.jobs.pool import Listener, Pool
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.channel import WAKE_SECONDS
from videoinr_cli.render.plan import Plan

log = logging.getLogger(__name__)

SEGMENTS_EACH = 4
"""Segments for each worker, if they do not become too short: some wait while the last one is rendered."""

SILENCE_SECONDS = 120.0
"""How long no picture of a segment may come at least, until it is taken to hang."""

SILENCE_FACTOR = 3.0
"""Likewise, in times of the longest that any segment has taken from its beginning to its end."""

FIRST_SILENCE_SECONDS = 3600.0
"""Likewise, while no segment is done."""

FAILURES_IN_A_ROW = 3
"""Segments that fail on a node one after the other, while others do not, until it is left out."""


class ClusterPool(Pool):
    """The processes on a cluster's nodes."""

    is_elsewhere: ClassVar[bool] = True

    def __init__(
        self,
        cluster: Cluster,
        options: UpscaleOptions,
        job: JobOptions,
        *,
        plans: Sequence[Plan] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            cluster: where.
            options: of the videos; their device is the kind of devices to use.
            job: how many processes share a device, at most, and how files get to the nodes.
            plans: of the videos, as far as they are known; see `Demand`.
            now: returns the time in seconds.

        Raises:
            OptionError: the device is a single one, not a kind.
            WeightsError: there are no such weights.
        """
        if options.device not in ("auto", "cpu", "cuda", "mps"):
            raise OptionError(
                f"device {options.device!r} is not a kind that each node may have; with --cluster, try "
                "--device auto, cpu or cuda"
            )
        self._cluster, self._now = cluster, now
        self.sharing = job.workers or 1  # at most; `moved` puts each worker's own number in its place
        weights = WeightsFile.of(options.weights, options.strength)
        self._errands = Errands(cluster)
        self._transfers = Transfers(cluster, job.cluster_files, weights, now)
        demand = Demand(options, plans)
        self._crew = Crew(cluster, self._errands, weights, options, job, demand, now=now, on_loss=self._lose)
        self._tasks: list[Task] = []
        self._again: list[Task] = []  # of them, those that wait for another worker
        self._attempts: list[Attempt] = []
        self._folders: dict[Listener, Path] = {}
        self._longest = 0.0  # seconds that any segment took

    def __len__(self) -> int:
        return max(1, len(self._crew.ready))

    @property
    def shares(self) -> int:
        return SEGMENTS_EACH * len(self)

    @property
    def room(self) -> int:
        idle = self._crew.idle
        for task in self._again:  # one that only busy nodes may render keeps none of the others idle
            if able := _untried(task, idle):
                idle.remove(able[0])
        return len(idle)

    @property
    def is_idle(self) -> bool:
        return not self._tasks

    @property
    def found(self) -> list[FoundNode]:
        """The nodes, and what is known of them."""
        return [
            FoundNode(node.facts.name, len(node.workers), node.description, node.refusal)
            for node in self._crew.nodes
        ]

    def open(self) -> None:
        """Start a process for each device of each node, and wait for the first of them.

        Raises:
            VideoInrError: no node can be used.
        """
        self.gather()
        self._crew.check()
        if not self._crew.ready:
            raise VideoInrError(
                f"no node of the cluster has started a process in {START_SECONDS:g} s; perhaps all are busy "
                "with other work"
            )

    def gather(self) -> None:
        """Start a process for each device of each node, and wait for the answers, but not for long."""
        self._crew.gather()

    def begin(self, request: SegmentRequest, listener: Listener) -> None:
        task = Task(request, listener)
        self._folders[listener] = request.path.parent
        self._tasks.append(task)
        self._again.append(task)
        self._begin_again()

    def wait(self, *, may_begin: bool = True) -> None:
        if self._crew.look():
            self._end_silence()
        if may_begin:
            self._begin_again()
            self._begin_twice()
        else:
            for task in self._again:
                self._tasks.remove(task)
            self._again.clear()
        self._errands.go_on(WAKE_SECONDS)
        self._crew.check()

    def abandon(self, listener: Listener) -> None:
        for task in [task for task in self._tasks if task.listener is listener]:
            self._finish(task)

    def forget(self, listener: Listener) -> None:
        folder = self._folders.pop(listener, None)
        if folder is not None:
            self._transfers.forget(folder, self._crew.nodes)

    def end(self) -> None:
        self._crew.end()
        self._cluster.close()

    def _begin_again(self) -> None:
        for task in tuple(self._again):
            if idle := _untried(task, self._crew.idle):
                self._again.remove(task)
                self._attempt(task, idle[0])
            elif self._crew.workers and not _untried(task, self._crew.workers):
                self._give_up(task)  # the others are gone meanwhile

    def _begin_twice(self) -> None:
        """Have idle workers render what would take others longer, as nothing else is left to do."""
        for worker in self._crew.idle:
            usual = _usual([worker.node]) or _usual(self._crew.nodes)
            slow = [attempt for attempt in self._attempts if self._may_be_doubled(attempt, worker)]
            if usual is not None and slow:
                slowest = max(slow, key=self._left_seconds)
                if self._left_seconds(slowest) > usual:
                    self._attempt(slowest.task, worker)

    def _may_be_doubled(self, attempt: Attempt, worker: Worker) -> bool:
        name, task = worker.node.facts.name, attempt.task
        is_alone = len(task.attempts) == 1 and attempt.worker.attempt is attempt
        return is_alone and attempt.worker.node is not worker.node and name not in task.failures

    def _left_seconds(self, attempt: Attempt) -> float:
        """Return how long an attempt takes from now on, at the rate so far."""
        share = attempt.frames / max(1.0, expected_frames(attempt.task.request))
        elapsed = self._now() - attempt.began
        return elapsed * max(0.0, 1 / share - 1) if share else elapsed

    def _attempt(self, task: Task, worker: Worker) -> None:
        attempt = worker.attempt = Attempt(task, worker, worker.process, self._now(), self._now())
        task.attempts.append(attempt)
        self._attempts.append(attempt)
        task.listener.hear(task.request.number, 0, worker.node.facts.name)
        self._errands.begin(self._rendering(attempt))

    def _rendering(self, attempt: Attempt) -> Steps:
        task, worker = attempt.task, attempt.worker
        request = task.request
        path = request.path.with_name(f"{request.path.stem}.try-{secrets.token_hex(4)}{request.path.suffix}")
        try:
            place = yield from self._transfers.placed(attempt)
            if attempt.is_dropped:
                self._free(attempt)
                return
            there = moved(request, path.absolute(), place, worker)
            attempt.began = attempt.heard = self._now()
            self._errands.begin(self._listening(attempt))
            arguments = there, task.halvings, not place.writes_there
            rendered: Rendered = yield self._cluster.call(worker.process, "render", *arguments)
            took = self._now() - attempt.began
            self._free(attempt)
            if rendered.bytes:
                yield from self._transfers.fetched(attempt, path, rendered, place)
        except Exception as error:  # any: it is told with the segment
            self._free(attempt)
            self._fail(attempt, error)
            return
        if not attempt.is_dropped:
            worker.node.failures = 0
            worker.node.segments += 1
            worker.node.seconds += took
            self._longest = max(self._longest, took)
            self._finish(task)
            task.listener.hear(request.number, rendered, worker.node.facts.name)

    def _listening(self, attempt: Attempt) -> Steps:
        """Tell how far an attempt is, for as long as it is under way."""
        worker, task = attempt.worker, attempt.task
        while worker.attempt is attempt:
            try:
                frames, records = yield self._cluster.call(worker.process, "news")
            except Exception:  # any: the attempt ends by the same
                return
            if frames != attempt.frames:
                attempt.frames, attempt.heard = frames, self._now()
            if not attempt.is_dropped:
                for record in records:
                    task.listener.hear(task.request.number, record, worker.node.facts.name)
                if worker.attempt is attempt:
                    task.listener.hear(task.request.number, frames, worker.node.facts.name)

    def _free(self, attempt: Attempt) -> None:
        if attempt.worker.attempt is attempt:
            attempt.worker.attempt = None

    def _drop(self, attempt: Attempt) -> None:
        attempt.is_dropped = True
        self._attempts.remove(attempt)
        attempt.task.attempts.remove(attempt)
        attempt.task.listener.hear(attempt.task.request.number, None, attempt.worker.node.facts.name)

    def _finish(self, task: Task) -> None:
        """Give up what is still under way of a task, which is done or no longer wanted."""
        self._tasks.remove(task)
        if task in self._again:
            self._again.remove(task)
        for attempt in tuple(task.attempts):
            self._drop(attempt)
            if attempt.worker.attempt is attempt:
                self._cluster.call(attempt.worker.process, "cancel")

    def _fail(self, attempt: Attempt, error: Exception) -> None:
        """Have a segment rendered elsewhere, in less memory if that may be why, or give it up."""
        if attempt.is_dropped:
            return
        task, node = attempt.task, attempt.worker.node
        self._drop(attempt)
        if isinstance(error, Unfit):
            self._crew.refuse(node, str(error))
        if isinstance(error, NodeLost):
            self._crew.note_loss(attempt.worker, attempt.process)
        is_gone = isinstance(error, (NodeLost, Unfit))
        if not is_gone:
            self._blame(attempt, error)
        if task.attempts:  # another node is at it
            return
        if is_gone or self._may_be_tried_again(task, error):
            self._again.append(task)
        else:
            self._give_up(task)

    def _lose(self, node: NodeState, error: NodeLost) -> None:
        """Have what a node was rendering rendered elsewhere."""
        for attempt in [attempt for attempt in self._attempts if attempt.worker.node is node]:
            self._fail(attempt, error)
        for task in () if node in self._crew.nodes else self._tasks:
            if isinstance(task.failures.get(node.facts.name), Lost):  # for the same reason
                del task.failures[node.facts.name]
                task.tries -= 1

    def _give_up(self, task: Task) -> None:
        self._finish(task)
        task.listener.hear(task.request.number, _told(task))

    def _blame(self, attempt: Attempt, error: Exception) -> None:
        task, worker, node = attempt.task, attempt.worker, attempt.worker.node
        name = node.facts.name
        task.failures[name] = error
        task.tries += 1
        log.warning(f"segment {task.request.number + 1} has failed on node {name}: {one_line(error)}")
        if isinstance(error, (Lost, Hung)) and worker.process is attempt.process:
            self._crew.restart(worker)
        if isinstance(error, (Lost, MemoryLimitError)) or is_out_of_memory(error):
            task.halvings += 1
        node.failures += 1
        others = any(other.workers for other in self._crew.nodes if other is not node)
        if node.failures >= FAILURES_IN_A_ROW and others:
            self._crew.refuse(node, f"{node.failures} segments in a row have failed there")

    def _may_be_tried_again(self, task: Task, error: Exception) -> bool:
        others = _untried(task, self._crew.workers)
        if len(task.failures) < 2 and others:
            return True
        # The only node there is: less memory may be all it takes.
        if task.tries == 1 and not others and isinstance(error, (Lost, Hung)):
            task.failures.clear()
            return True
        return False

    def _end_silence(self) -> None:
        """Give up segments of which nothing has been heard for much longer than others take."""
        limit = max(SILENCE_SECONDS, SILENCE_FACTOR * self._longest)
        limit = limit if self._longest else max(limit, FIRST_SILENCE_SECONDS)
        for attempt in tuple(self._attempts):
            if self._now() - attempt.heard > limit:
                self._free(attempt)
                self._fail(attempt, Hung(f"nothing has been heard of it for {limit:.0f} s"))
        for worker in self._crew.workers:  # those that do not even give up what nobody needs
            attempt = worker.attempt  # type: ignore[assignment]
            if attempt is not None and attempt.is_dropped and self._now() - attempt.heard > limit:
                self._crew.restart(worker)


def _untried(task: Task, workers: Iterable[Worker]) -> list[Worker]:
    """Return those on whose nodes a segment has not failed."""
    return [worker for worker in workers if worker.node.facts.name not in task.failures]


def expected_frames(request: SegmentRequest) -> float:
    """Return about how many pictures a segment has."""
    source, part = request.plan.source, request.part
    if request.plan.total_frames is None or source.end_pts is None:
        return 0.0
    begin = source.start_pts if part.begin is None else part.begin
    end = source.end_pts if part.end is None else part.end
    return request.plan.total_frames * (end - begin) / max(1, source.end_pts - source.start_pts)


def _usual(nodes: Iterable[NodeState]) -> float | None:
    """Return how many seconds a segment takes on average."""
    segments = sum(node.segments for node in nodes)
    return sum(node.seconds for node in nodes) / segments if segments else None


def _told(task: Task) -> Exception:
    """Return the error of a segment that has failed wherever it was tried."""
    reasons: dict[str, list[str]] = collections.defaultdict(list)
    for name, error in task.failures.items():
        reasons[one_line(error)].append(name)
    said = "; ".join(f"on {' and '.join(names)}: {reason}" for reason, names in reasons.items())
    first = next(iter(task.failures.values()))
    kind = type(first) if isinstance(first, VideoInrError) else VideoInrError
    return kind(f"segment {task.request.number + 1} cannot be rendered {said}")
