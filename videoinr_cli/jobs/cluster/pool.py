"""Which node of a cluster renders which segment, and what becomes of segments that fail or take too long.

Each segment under way is a generator that yields the call it waits for, or None to go on at the next look; so
all of them run in the calling thread. The cluster is asked through `calls.Cluster` alone.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from videoinr_cli.errors import MemoryLimitError, OptionError, VideoInrError, is_out_of_memory, one_line
from videoinr_cli.jobs.cluster.calls import Call, Cluster, Lost, Node, NodeLost, Steps
from videoinr_cli.jobs.cluster.files import WeightsFile, moved
from videoinr_cli.jobs.cluster.nodes import Description, described
from videoinr_cli.jobs.cluster.records import Attempt, FoundNode, Hung, NodeState, Task, Unfit, Worker
from videoinr_cli.jobs.cluster.transfers import Transfers
from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.jobs.pool import Listener, Pool
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.channel import WAKE_SECONDS

log = logging.getLogger(__name__)

SEGMENTS_EACH = 4
"""Segments for each worker, if they do not become too short: some wait while the last one is rendered."""

START_SECONDS = 300.0
"""How long nodes may take to load torch, from a network drive say."""

GATHER_SECONDS = 10.0
"""How long the first process that is ready waits for the others at least; else as long as it took itself."""

LOOK_SECONDS = 3.0
"""How often is looked for nodes that have come or gone."""

NODELESS_SECONDS = 300.0
"""How long is waited for nodes when there are none: spot machines come back."""

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
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            cluster: where.
            options: of the videos; their device is the kind of devices to use.
            job: how many processes share a device, and how files get to the nodes.
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
        self._cluster, self._options, self._job, self._now = cluster, options, job, now
        self.sharing = job.workers
        self._weights = WeightsFile.of(options.weights, options.strength)
        self._own = described("cpu", self._weights.name)
        self._transfers = Transfers(cluster, job.cluster_files, self._weights, now)
        self._nodes: dict[str, NodeState] = {}
        self._tasks: list[Task] = []
        self._again: list[Task] = []  # of them, those that wait for another worker
        self._attempts: list[Attempt] = []
        self._waiting: dict[Call, Steps] = {}
        self._resting: list[Steps] = []
        self._folders: dict[Listener, Path] = {}
        self._longest = 0.0  # seconds that any segment took
        self._has_begun = False  # whether any node could be used
        self._next_look = self._nodeless_since = now()

    def __len__(self) -> int:
        return max(1, sum(worker.is_ready for worker in self._workers()))

    @property
    def shares(self) -> int:
        return SEGMENTS_EACH * len(self)

    @property
    def room(self) -> int:
        return max(0, len(list(self._idle())) - len(self._again))

    @property
    def is_idle(self) -> bool:
        return not self._tasks

    @property
    def found(self) -> list[FoundNode]:
        """The nodes, and what is known of them."""
        return [
            FoundNode(node.facts.name, len(node.workers), node.description, node.refusal)
            for node in self._nodes.values()
        ]

    def begin(self, request: SegmentRequest, listener: Listener) -> None:
        task = Task(request, listener)
        self._folders[listener] = request.path.parent
        self._tasks.append(task)
        self._again.append(task)
        self._begin_again()

    def wait(self, *, may_begin: bool = True) -> None:
        if self._now() >= self._next_look:
            self._look_for_nodes()
            self._end_silence()
        if may_begin:
            self._begin_again()
            self._begin_twice()
        else:
            for task in self._again:
                self._tasks.remove(task)
            self._again.clear()
        self._go_on()
        self._check_nodes()

    def _go_on(self) -> None:
        """Wait for calls to end, but not for long, and go on with what has waited for them."""
        resting, self._resting = self._resting, []
        for steps in resting:
            self._go(steps)
        for call in self._cluster.ready(list(self._waiting), WAKE_SECONDS):
            waiting = self._waiting.pop(call)
            try:
                result = self._cluster.result(call)
            except Exception as error:  # any that came of the call
                self._go(waiting, error=error)
            else:
                self._go(waiting, result)

    def abandon(self, listener: Listener) -> None:
        for task in [task for task in self._tasks if task.listener is listener]:
            self._finish(task)

    def forget(self, listener: Listener) -> None:
        folder = self._folders.pop(listener, None)
        if folder is not None:
            self._transfers.forget(folder, list(self._nodes.values()))

    def end(self) -> None:
        for worker in self._workers():
            self._cluster.kill(worker.process)
        self._cluster.close()

    # Nodes: which there are, and which can be used.

    def open(self) -> None:
        """Start a process for each device of each node, and wait for the first of them.

        Raises:
            VideoInrError: no node can be used.
        """
        self.gather()
        self._check_nodes()
        if not any(worker.is_ready for worker in self._workers()):
            raise VideoInrError(
                f"no node of the cluster has started a process in {START_SECONDS:g} s; perhaps all are busy "
                "with other work"
            )

    def gather(self) -> None:
        """Start a process for each device of each node, and wait for the answers, but not for long."""
        begun = self._now()
        deadline, has_first = begun + START_SECONDS, False
        self._look_for_nodes()
        while any(not worker.is_ready for worker in self._workers()) and self._now() < deadline:
            self._go_on()
            if not has_first and any(worker.is_ready for worker in self._workers()):
                has_first = True
                deadline = self._now() + max(GATHER_SECONDS, self._now() - begun)

    def _workers(self) -> Iterator[Worker]:
        for node in self._nodes.values():
            yield from node.workers

    def _look_for_nodes(self) -> None:
        self._next_look = self._now() + LOOK_SECONDS
        there = {node.id: node for node in self._cluster.nodes()}
        for key in [key for key in self._nodes if key not in there]:
            node = self._nodes.pop(key)
            if node.refusal is None and node.workers:
                log.warning(f"node {node.facts.name} is gone; its segments are rendered elsewhere")
            self._lose(node, NodeLost("the node is gone"))
            for task in self._tasks:  # a process that was lost there was so for the same reason
                if isinstance(task.failures.get(node.facts.name), Lost):
                    del task.failures[node.facts.name]
                    task.tries -= 1
        for worker in tuple(self._workers()):
            if worker.is_lost:  # and yet its node is there
                self._start(worker)
        for key, facts in there.items():
            if key not in self._nodes:
                self._nodes[key] = self._joined(facts)

    def _joined(self, facts: Node) -> NodeState:
        node, device, share = NodeState(facts), self._options.device, self._job.workers
        threads = self._options.threads or facts.cpus
        if facts.gpus and device in ("auto", "cuda"):
            count = facts.gpus * share
            worker = Worker(node, "cuda", 1 / share, min(1.0, facts.cpus / count), self._options.threads or 0)
        elif device != "cuda":
            count = min(share, facts.cpus)
            cpus = facts.cpus // max(1, count)
            worker = Worker(node, device, 0, cpus, max(1, threads // max(1, count)))
        else:
            node.refusal = "it has no GPU that Ray knows of"
            return node
        for _ in range(count):
            node.workers.append(dataclasses.replace(worker))
            self._start(node.workers[-1])
        return node

    def _start(self, worker: Worker) -> None:
        worker.is_ready, worker.is_lost, worker.attempt = False, False, None
        worker.process = self._cluster.start(
            worker.node.facts, worker.device, gpus=worker.gpus, cpus=worker.cpus
        )
        self._go(self._starting(worker, worker.process))

    def _note_loss(self, worker: Worker, process: Any) -> None:
        """Begin nothing more at a worker until the next look for its node."""
        if worker.process is process:
            worker.is_ready, worker.is_lost = False, True

    def _restart(self, worker: Worker) -> None:
        self._cluster.kill(worker.process)
        self._start(worker)

    def _starting(self, worker: Worker, process: Any) -> Steps:
        try:
            description: Description = yield self._cluster.call(process, "describe", self._weights.name)
            worker.node.description = description
            if problem := self._unfit(description):
                raise Unfit(problem)
        except NodeLost:
            self._note_loss(worker, process)
        except Exception as error:  # any: whatever its videoinr is, it is not this one
            if worker.process is process:
                self._refuse(worker.node, str(error))
        else:
            worker.is_ready = worker.process is process

    def _unfit(self, node: Description) -> str | None:
        """Return why a node cannot work together with this machine; None: it can."""
        own = self._own
        if node.problem is not None:
            return node.problem
        if node.videoinr != own.videoinr:
            return (
                f"it has videoinr {node.videoinr}, not {own.videoinr}; --cluster-code send gives it this one"
            )
        if major_of(node.ffmpeg) != major_of(own.ffmpeg):
            return f"it has ffmpeg {node.ffmpeg}, not {own.ffmpeg}; their major versions differ"
        weights, found = self._weights, node.weights_sha256
        is_sent = weights.is_path and self._job.cluster_files == "send"
        if found not in (None, weights.sha256) and not is_sent:
            return f"it has other weights {weights.name!r} (sha256 {found}, not {weights.sha256})"
        return None

    def _refuse(self, node: NodeState, reason: str) -> None:
        if node.refusal is None:
            node.refusal = reason
            log.warning(f"node {node.facts.name} is left out: {reason}")
            self._lose(node, NodeLost(reason))

    def _lose(self, node: NodeState, error: NodeLost) -> None:
        for attempt in [attempt for attempt in self._attempts if attempt.worker.node is node]:
            self._fail(attempt, error)
        for worker in node.workers:
            self._cluster.kill(worker.process)
        node.workers.clear()

    def _check_nodes(self) -> None:
        """Give up when no node is left.

        Raises:
            VideoInrError: there has been none for too long, or each is left out.
        """
        if any(self._workers()):
            self._nodeless_since = self._now()
            self._has_begun = self._has_begun or any(worker.is_ready for worker in self._workers())
            return
        refusals = [f"{node.facts.name}: {node.refusal}" for node in self._nodes.values() if node.refusal]
        if refusals and not self._has_begun:
            raise VideoInrError(f"no node of the cluster can be used: {'; '.join(refusals)}")
        if self._now() - self._nodeless_since >= NODELESS_SECONDS:
            raise VideoInrError(
                f"no node has been there for {NODELESS_SECONDS:g} s; run the same command again "
                "when there is one, to go on"
            )

    # Segments: where they begin, and what becomes of them.

    def _begin_again(self) -> None:
        for task in tuple(self._again):
            fit = [worker for worker in self._workers() if worker.node.facts.name not in task.failures]
            idle = [worker for worker in fit if worker.is_ready and worker.attempt is None]
            if idle:
                self._again.remove(task)
                self._attempt(task, idle[0])
            elif not fit and task.failures and any(self._workers()):  # the others are gone meanwhile
                self._give_up(task)

    def _idle(self) -> Iterator[Worker]:
        return (worker for worker in self._workers() if worker.is_ready and worker.attempt is None)

    def _begin_twice(self) -> None:
        """Have idle workers render what would take others longer, as nothing else is left to do."""
        for worker in () if self._again else tuple(self._idle()):
            usual = _usual([worker.node]) or _usual(self._nodes.values())
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
        self._go(self._rendering(attempt))

    def _rendering(self, attempt: Attempt) -> Steps:
        task, worker = attempt.task, attempt.worker
        request = task.request
        path = request.path.with_name(f"{request.path.stem}.try-{secrets.token_hex(4)}{request.path.suffix}")
        try:
            place = yield from self._transfers.placed(attempt)
            if attempt.is_dropped:
                self._free(attempt)
                return
            there = moved(
                request,
                path.absolute(),
                place,
                device=worker.device,
                threads=worker.threads,
            )
            attempt.began = attempt.heard = self._now()
            self._go(self._listening(attempt))
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
            self._refuse(node, str(error))
        if isinstance(error, NodeLost):
            self._note_loss(attempt.worker, attempt.process)
        is_gone = isinstance(error, (NodeLost, Unfit))
        if not is_gone:
            self._blame(attempt, error)
        if task.attempts:  # another node is at it
            return
        if is_gone or self._may_be_tried_again(task, node, error):
            self._again.append(task)
        else:
            self._give_up(task)

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
            self._restart(worker)
        if isinstance(error, (Lost, MemoryLimitError)) or is_out_of_memory(error):
            task.halvings += 1
        node.failures += 1
        others = any(other.workers for other in self._nodes.values() if other is not node)
        if node.failures >= FAILURES_IN_A_ROW and others:
            self._refuse(node, f"{node.failures} segments in a row have failed there")

    def _may_be_tried_again(self, task: Task, node: NodeState, error: Exception) -> bool:
        others = [
            other for other in self._nodes.values() if other.workers and other.facts.name not in task.failures
        ]
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
        for worker in tuple(self._workers()):  # those that do not even give up what nobody needs
            attempt = worker.attempt  # type: ignore[assignment]
            if attempt is not None and attempt.is_dropped and self._now() - attempt.heard > limit:
                self._restart(worker)

    def _go(self, steps: Steps, result: object = None, error: Exception | None = None) -> None:
        """Go on with what has waited, up to the next call."""
        try:
            call = steps.send(result) if error is None else steps.throw(error)
        except StopIteration:
            return
        if call is None:
            self._resting.append(steps)
        else:
            self._waiting[call] = steps


def major_of(version: str) -> str:
    """Return the major version of an ffmpeg, or all it says where that has no number."""
    match = re.match(r"n?(\d+)\.", version)
    return match[1] if match else version


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
