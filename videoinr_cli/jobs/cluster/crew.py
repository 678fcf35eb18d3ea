"""The processes on a cluster's nodes: which there are, which can be used, and which are gone."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from typing import Any

from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.cluster.calls import Cluster, Errands, Node, NodeLost, Steps
from videoinr_cli.jobs.cluster.files import WeightsFile
from videoinr_cli.jobs.cluster.nodes import Description, described
from videoinr_cli.jobs.cluster.records import NodeState, Unfit, Worker
from videoinr_cli.jobs.demand import Demand
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.channel import WAKE_SECONDS

log = logging.getLogger(__name__)

START_SECONDS = 300.0
"""How long nodes may take to load torch, from a network drive say."""

GATHER_SECONDS = 10.0
"""How long the first process that is ready waits for the others at least; else as long as it took itself."""

LOOK_SECONDS = 3.0
"""How often is looked for nodes that have come or gone."""

NODELESS_SECONDS = 300.0
"""How long is waited for nodes when there are none: spot machines come back."""


class Crew:
    """A process for each device of each node."""

    def __init__(
        self,
        cluster: Cluster,
        errands: Errands,
        weights: WeightsFile,
        options: UpscaleOptions,
        job: JobOptions,
        demand: Demand,
        *,
        now: Callable[[], float],
        on_loss: Callable[[NodeState, NodeLost], None],
    ) -> None:
        """Start nothing yet.

        Args:
            cluster: where.
            errands: what is under way there.
            weights: that all nodes must have, or are sent.
            options: of the videos; their device is the kind of devices to use.
            job: how many processes share a device, at most, and how files get to the nodes.
            demand: what a process needs of a GPU's memory.
            now: returns the time in seconds.
            on_loss: called when a node is gone, which is then none of `nodes`, or is left out.
        """
        self._cluster, self._errands, self._weights = cluster, errands, weights
        self._options, self._job, self._demand = options, job, demand
        self._now, self._on_loss = now, on_loss
        self._own = described("cpu", weights.name)
        self._nodes: dict[str, NodeState] = {}
        self._has_lost = False  # whether any that could be used is gone, which may come back
        self._next_look = self._nodeless_since = now()

    @property
    def nodes(self) -> list[NodeState]:
        """The nodes that are there."""
        return list(self._nodes.values())

    @property
    def workers(self) -> list[Worker]:
        """The processes on nodes that are not left out."""
        return [worker for node in self._nodes.values() for worker in node.workers]

    @property
    def ready(self) -> list[Worker]:
        """Those that can render."""
        return [worker for worker in self.workers if worker.is_ready]

    @property
    def idle(self) -> list[Worker]:
        """Those of them that render nothing."""
        return [worker for worker in self.ready if worker.attempt is None]

    def gather(self) -> None:
        """Start a process for each device of each node, and wait for the answers, but not for long."""
        begun = self._now()
        deadline, has_first = begun + START_SECONDS, False
        self.look()
        while len(self.ready) < len(self.workers) and self._now() < deadline:
            self._errands.go_on(WAKE_SECONDS)
            if self.ready and not has_first:
                has_first = True
                deadline = self._now() + max(GATHER_SECONDS, self._now() - begun)

    def look(self) -> bool:
        """Look for nodes that have come or gone, unless that was done just now; return whether it was due."""
        if self._now() < self._next_look:
            return False
        self._next_look = self._now() + LOOK_SECONDS
        there = {node.id: node for node in self._cluster.nodes()}
        for key in [key for key in self._nodes if key not in there]:
            node = self._nodes.pop(key)
            if node.refusal is None and node.workers:
                self._has_lost = True
                log.warning(f"node {node.facts.name} is gone; its segments are rendered elsewhere")
            self._lose(node, NodeLost("the node is gone"))
        for worker in self.workers:
            if worker.is_lost:  # and yet its node is there
                self._start(worker)
        for key, facts in there.items():
            if key not in self._nodes:
                self._nodes[key] = self._joined(facts)
        return True

    def check(self) -> None:
        """Give up when no node is left.

        Raises:
            VideoInrError: there has been none for too long, or each is left out.
        """
        if self.workers:
            self._nodeless_since = self._now()
            return
        refusals = [f"{node.facts.name}: {node.refusal}" for node in self.nodes if node.refusal]
        if refusals and not self._has_lost:
            raise VideoInrError(f"no node of the cluster can be used: {'; '.join(refusals)}")
        if self._now() - self._nodeless_since >= NODELESS_SECONDS:
            raise VideoInrError(
                f"no node has been there for {NODELESS_SECONDS:g} s; run the same command again "
                "when there is one, to go on"
            )

    def note_loss(self, worker: Worker, process: Any) -> None:
        """Begin nothing more at a worker until the next look for its node."""
        if worker.process is process:
            worker.is_ready, worker.is_lost = False, True

    def restart(self, worker: Worker) -> None:
        """Begin anew with a worker whose process is gone, or hangs."""
        self._cluster.kill(worker.process)
        self._start(worker)

    def refuse(self, node: NodeState, reason: str) -> None:
        """Leave out a node."""
        if node.refusal is None:
            node.refusal = reason
            log.warning(f"node {node.facts.name} is left out: {reason}")
            self._lose(node, NodeLost(reason))

    def end(self) -> None:
        """End all processes."""
        for worker in self.workers:
            self._cluster.kill(worker.process)

    def _joined(self, facts: Node) -> NodeState:
        node, device, share = NodeState(facts), self._options.device, self._job.workers or 1
        threads = self._options.threads or facts.cpus
        if facts.gpus and device in ("auto", "cuda"):
            self._share_gpus(node, share)
        elif device != "cuda":
            count = min(share, facts.cpus)
            cpus = facts.cpus // max(1, count)
            self._start_alike(Worker(node, device, 0, cpus, max(1, threads // max(1, count)), share), count)
        else:
            node.refusal = "it has no GPU that Ray knows of"
        return node

    def _share_gpus(self, node: NodeState, sharing: int) -> None:
        """Start so many processes for each GPU of a node."""
        count = node.facts.gpus * sharing
        cpus = min(1.0, node.facts.cpus / count)
        self._start_alike(Worker(node, "cuda", 1 / sharing, cpus, self._options.threads or 0, sharing), count)

    def _start_alike(self, worker: Worker, count: int) -> None:
        for _ in range(count):
            worker.node.workers.append(dataclasses.replace(worker))
            self._start(worker.node.workers[-1])

    def _fit(self, worker: Worker) -> None:
        """Start fewer processes instead of a node's, where its GPUs have no room for as many.

        That is known when the first of them answers, and none has begun anything by then. The GPUs of a node
        are taken to be alike; where they are not, processes on a smaller one render in smaller pieces.
        """
        node = worker.node
        if worker.sharing == 1 or worker.device != "cuda" or any(other.is_ready for other in node.workers):
            return
        assert node.description is not None
        fitting = self._demand.fitting(node.description.gpu_bytes)
        if fitting is not None and fitting < worker.sharing:
            log.info(
                f"{fitting} of {worker.sharing} processes share each GPU of node {node.facts.name}: "
                "its memory has no room for the pictures of more"
            )
            self._end_all(node)
            self._share_gpus(node, fitting)

    def _start(self, worker: Worker) -> None:
        worker.is_ready, worker.is_lost, worker.attempt = False, False, None
        worker.process = self._cluster.start(
            worker.node.facts, worker.device, gpus=worker.gpus, cpus=worker.cpus
        )
        self._errands.begin(self._starting(worker, worker.process))

    def _starting(self, worker: Worker, process: Any) -> Steps:
        try:
            description: Description = yield self._cluster.call(process, "describe", self._weights.name)
            worker.node.description = description
            if problem := self._unfit(description):
                raise Unfit(problem)
            if worker.process is process:
                self._fit(worker)
        except NodeLost:
            self.note_loss(worker, process)
        except Exception as error:  # any: whatever its videoinr is, it is not this one
            if worker.process is process:
                self.refuse(worker.node, str(error))
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

    def _lose(self, node: NodeState, error: NodeLost) -> None:
        self._on_loss(node, error)
        self._end_all(node)

    def _end_all(self, node: NodeState) -> None:
        """End a node's processes, whose calls count for nothing from then on."""
        for worker in node.workers:
            self._cluster.kill(worker.process)
            worker.process = None
        node.workers.clear()


def major_of(version: str) -> str:
    """Return the major version of an ffmpeg, or all it says where that has no number."""
    match = re.match(r"n?(\d+)\.", version)
    return match[1] if match else version
