"""What a cluster makes of a video: two nodes against two threads, many nodes simulated, and what limits them.

    python benchmarks/cluster.py nodes [--frames 144]     two nodes of a core, and one process of two threads
    python benchmarks/cluster.py simulation               1 to 64 nodes, by a clock that does not wait
    python benchmarks/cluster.py limits                   calls, sending, fetching, opening, joining

The simulation runs the scheduler itself; only the cluster is replaced, by one whose segments take the time
that they are given.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import math
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from videoinr_cli.jobs.cluster.calls import Lost, Node, NodeLost
from videoinr_cli.jobs.cluster.nodes import Cancelled, Sight, described
from videoinr_cli.jobs.cluster.pool import ClusterPool
from videoinr_cli.jobs.cluster.ray_cluster import RayCluster
from videoinr_cli.jobs.cluster.transfers import PIECE_BYTES
from videoinr_cli.jobs.join import join
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.manifest import Rendered, open_manifest
from videoinr_cli.jobs.partition import segment_seconds
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import SegmentDone, Segments
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.options import DEFAULT_WEIGHTS, EncodeOptions, JobOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.parts import Part
from videoinr_cli.render.plan import Plan, plan_video

FILM_SECONDS = 7200
RATE = 24
SECONDS_PER_FRAME = 0.1
"""Of a node, for 1080p: a segment of ten seconds takes 24 s, of which opening it is one."""

OPEN_SECONDS = 1.0

ANSWER_SECONDS = 0.5
"""Between the first answers of two processes that share a GPU."""

HEARTBEAT_SECONDS = 15.0
"""How long Ray takes to notice that a machine is gone."""


CALLS, PIECES = 100, 64  # that are measured
JOINED_SEGMENTS, JOINED_FRAMES = 8, 24


@dataclasses.dataclass(frozen=True)
class Machine:
    """A node of the simulated cluster."""

    name: str
    slowness: float = 1.0
    dies_at: float = math.inf  # seconds
    born_at: float = 0.0
    gpus: int = 0
    gpu_bytes: int | None = None  # memory of each


@dataclasses.dataclass(eq=False)
class _Process:
    machine: Machine
    gpus: float = 0.0  # its share of the machine's
    is_killed: bool = False
    rendering: _Call | None = None


@dataclasses.dataclass(eq=False)
class _Call:
    process: _Process
    ends: float
    result: Any  # or the exception
    begun: float = 0.0
    frames: int = 0


class SimulatedCluster:
    """Nodes whose segments take a given time, on a clock that moves on when there is nothing else to do."""

    def __init__(
        self,
        machines: Sequence[Machine],
        seconds: Callable[[SegmentRequest], float],
        error: Callable[[str, SegmentRequest, int], Exception | None] = lambda *_: None,
    ) -> None:
        """Begin at 0 seconds.

        Args:
            machines: the nodes.
            seconds: returns how long a segment takes on a usual node; infinite: it hangs.
            error: returns what becomes of a segment on a node, with so many halvings of its memory; None: it
                is rendered.
        """
        self._machines, self._seconds, self._error = machines, seconds, error
        self._clock = 0.0
        self._description = described("cpu", DEFAULT_WEIGHTS)
        self.rendered: list[tuple[str, int]] = []  # node and segment, as they begin
        self.processes: list[_Process] = []  # as they start

    def now(self) -> float:
        return self._clock

    def nodes(self) -> list[Node]:
        there = [
            machine
            for machine in self._machines
            if machine.born_at <= self._clock < machine.dies_at + HEARTBEAT_SECONDS
        ]
        return [
            Node(machine.name, machine.name, gpus=machine.gpus, cpus=1, store_bytes=1 << 30)
            for machine in there
        ]

    def start(self, node: Node, device: str, *, gpus: float, cpus: float) -> _Process:
        machine = next(machine for machine in self._machines if machine.name == node.name)
        self.processes.append(_Process(machine, gpus))
        return self.processes[-1]

    def call(self, process: _Process, method: str, *arguments: Any) -> _Call:
        ends, result = self._clock, None
        if method == "describe":
            result = dataclasses.replace(self._description, gpu_bytes=process.machine.gpu_bytes)
            ends += ANSWER_SECONDS * self.processes.index(process) if process.gpus else 0.0
        elif method == "look":
            result = Sight("", True, True, frozenset(), 0)
        elif method == "news":
            ends += 1.0
        elif method == "cancel" and process.rendering is not None:
            process.rendering.ends = self._clock + SECONDS_PER_FRAME * process.machine.slowness
            process.rendering.result = Cancelled()
        elif method == "render":
            request: SegmentRequest = arguments[0]
            self.rendered.append((process.machine.name, request.number))
            ends += self._seconds(request) * process.machine.slowness
            frames = _frames(request)
            failed = self._error(process.machine.name, request, arguments[1])
            result = failed or Rendered(frames, frames, 0, 0, None, None)
        call = _Call(process, ends, result, self._clock)
        if method == "render":
            process.rendering, call.frames = call, frames
        if ends > process.machine.dies_at or self._clock > process.machine.dies_at:
            call.ends = max(self._clock, process.machine.dies_at + HEARTBEAT_SECONDS)
            call.result = NodeLost("the node is gone")
        return call

    def put(self, data: bytes) -> object:
        return data

    def ready(self, calls: Sequence[_Call], seconds: float) -> list[_Call]:
        first = min((call.ends for call in calls), default=math.inf)
        if first > self._clock:
            self._clock = first if math.isfinite(first) else self._clock + seconds
        return [call for call in calls if call.ends <= self._clock]

    def result(self, call: _Call) -> Any:
        if isinstance(call.result, Exception):
            raise call.result
        if call.process.is_killed:
            raise Lost("the process is gone")
        rendering = call.process.rendering
        if call.result is None and rendering is not None:  # news
            share = (self._clock - rendering.begun) / max(1e-9, rendering.ends - rendering.begun)
            share = 0.0 if math.isinf(rendering.ends) else share
            return int(rendering.frames * min(1.0, share)), []
        return call.result if call.result is not None else (0, [])

    def kill(self, process: _Process) -> None:
        process.is_killed = True

    def close(self) -> None: ...


def _frames(request: SegmentRequest) -> int:
    begin, end = request.part.begin or 0, request.part.end
    end = FILM_SECONDS * RATE if end is None else end
    return end - begin


def film(folder: Path, seconds: int = FILM_SECONDS) -> Plan:
    """Return the plan of a film of 1080p, of which only the first frames exist."""
    source = make_source(folder, 8, size="320x180")
    plan = plan_video(source, folder / "out.mp4", UpscaleOptions(scale=6.0, device="cpu"))
    info = dataclasses.replace(
        plan.source, time_base=Fraction(1, RATE), duration=Fraction(seconds), frame_count=seconds * RATE
    )
    return dataclasses.replace(plan, output=dataclasses.replace(plan.output, source=info))


def parts_of(plan: Plan, workers: int, *, unevenness: float = 0.5) -> list[Part]:
    """Divide a film as `plan_parts` does where keyframes move each border by up to half a segment."""
    length = float(segment_seconds(plan, JobOptions(), workers) or 0)
    assert plan.source.duration is not None
    count = math.ceil(plan.source.duration / Fraction(length))
    step = float(plan.source.duration) * RATE / count
    rng = random.Random(0)
    borders = [round((number - rng.uniform(0, unevenness)) * step) for number in range(1, count)]
    return [Part(begin, end) for begin, end in itertools.pairwise([None, *borders, None])]


def render_film(
    cluster: Any, plan: Plan, folder: Path, now: Callable[[], float]
) -> tuple[float, list[float]]:
    """Render all segments; return how long that took, and when each was done."""
    pool = ClusterPool(cluster, plan.options, JobOptions(), now=now)
    pool.open()
    moments: list[float] = []
    with open_manifest(plan.destination, {}, parts_of(plan, pool.shares), resume=False) as manifest, pool:
        segments = Segments(plan, manifest)
        begun = now()
        segments.present(None, lambda done: moments.append(now() - begun))
        Line(pool).render(segments)
        return now() - begun, moments


def seconds_of(request: SegmentRequest) -> float:
    """Return how long a segment takes: some scenes a third more or less than others."""
    effort = random.Random(request.number).uniform(2 / 3, 4 / 3)
    return OPEN_SECONDS + _frames(request) * SECONDS_PER_FRAME * effort


def simulate(counts: Sequence[int]) -> None:
    print(f"a film of two hours, 1080p at {RATE} frames/s, {1 / SECONDS_PER_FRAME:g} frames/s for each node")
    print("nodes  what              minutes  efficiency  tail")
    alike = [(count, "alike") for count in counts]
    for count, kind in (*alike, (max(counts), "one slow"), (max(counts), "one dies")):
        machines = [Machine(f"n{number}") for number in range(count)]
        if kind == "one slow":
            machines[0] = dataclasses.replace(machines[0], slowness=4.0)
        if kind == "one dies":
            machines[0] = dataclasses.replace(machines[0], dies_at=100.0)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            plan = film(Path(folder))
            cluster = SimulatedCluster(machines, seconds_of)
            took, moments = render_film(cluster, plan, Path(folder), cluster.now)
            work = sum(
                seconds_of(SegmentRequest(number, plan, part, Path()))
                for number, part in enumerate(parts_of(plan, 4 * count))
            )
        speed = sum(1 / machine.slowness for machine in machines)
        lives = min(machines[0].dies_at, took) / took if kind == "one dies" else 1.0
        ideal = work / (speed - 1 + lives)
        tail = took - sorted(moments)[-count]  # from when the first node has found nothing to do
        print(f"{count:5}  {kind:16}  {took / 60:7.1f}  {ideal / took:10.3f}  {tail:5.1f} s")


def compare_nodes(frames: int, rounds: int) -> None:
    """Two nodes of one core against one process of two threads, on the same two cores."""
    from ray.cluster_utils import Cluster

    settings = {"num_gpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}
    nodes = Cluster()
    nodes.add_node(**settings, num_cpus=0)
    for name in ("a", "b"):
        nodes.add_node(**settings, num_cpus=1, node_name=name)
    torch.set_num_threads(2)
    kinds = {"one process, two threads": None, "two nodes of one core": nodes.address}
    measured: dict[str, list[Throughput]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        source = make_source(Path(folder), frames)
        for _ in range(rounds):
            for kind, cluster in kinds.items():
                measured[kind].append(throughput(source, Path(folder), cluster))
    nodes.shutdown()
    for kind, found in measured.items():
        speed = statistics.median(one.frames_per_second for one in found)
        effort = statistics.median(one.cpu_seconds_per_frame for one in found)
        print(f"{kind}: {speed:.2f} output frames/s, {effort * 1000:.0f} ms of processors for each")
    rounds_of_both = list(zip(*measured.values(), strict=True))
    speed = statistics.median(two.frames_per_second / one.frames_per_second for one, two in rounds_of_both)
    effort = statistics.median(
        one.cpu_seconds_per_frame / two.cpu_seconds_per_frame for one, two in rounds_of_both
    )
    print(f"two nodes make {speed:.1%} of it, and {effort:.1%} for the same time of processors")


@dataclasses.dataclass(frozen=True)
class Throughput:
    """How fast something was, and what it took; the latter hardly depends on what else the machine does."""

    frames_per_second: float
    cpu_seconds_per_frame: float


def throughput(source: Path, folder: Path, cluster: str | None) -> Throughput:
    """Return the throughput from when each node has done a segment, and without the last one."""
    moments: list[tuple[float, float, int]] = []  # when a segment is done, and all pictures up to it

    def count(done: SegmentDone) -> None:
        moments.append((time.monotonic(), cpu_seconds(), done.frames + (moments[-1][2] if moments else 0)))

    upscale_video(
        source,
        folder / f"{cluster is None}.mp4",
        UpscaleOptions(scale=3.0, fps=TargetRate.parse("2x"), overwrite=True, device="cpu"),
        job=JobOptions(segment_seconds=0.25, cluster=cluster),
        on_segment=count,
    )
    (began, cpu_before, before), (ended, cpu_after, after) = moments[1], moments[-2]
    frames = after - before
    return Throughput(frames / (ended - began), (cpu_after - cpu_before) / frames)


def cpu_seconds() -> float:
    """Return the time of processors that this process and all below it have taken."""
    taken = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it has just ended, and counts with its parent
            taken += sum(process.cpu_times()[:4])  # its own, and that of those below it that have ended
    return taken


def measure_limits() -> None:
    """Print what the machine that hands out the work can do itself."""
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    settings = {"num_gpus": 0, "object_store_memory": 200 << 20, "include_dashboard": False}
    nodes.add_node(**settings, num_cpus=0)
    nodes.add_node(**settings, num_cpus=1, node_name="a")
    cluster = RayCluster(nodes.address)
    node = next(node for node in cluster.nodes() if node.name == "a")
    process = cluster.start(node, "cpu", gpus=0, cpus=1)

    def called(method: str, *arguments: object) -> Any:
        call = cluster.call(process, method, *arguments)
        while not cluster.ready([call], 10.0):
            pass
        return cluster.result(call)

    called("forget", "benchmark")
    begun = time.perf_counter()
    for _ in range(CALLS):
        called("forget", "benchmark")
    print(f"a call to a node: {(time.perf_counter() - begun) / CALLS * 1000:.1f} ms")
    data = random.randbytes(PIECE_BYTES)
    begun = time.perf_counter()
    for _ in range(PIECES):
        called("receive", "benchmark", "x", "source.mkv", 0, cluster.put(data))
    rate = PIECES * PIECE_BYTES / (time.perf_counter() - begun)
    print(f"sending a source to a node of the same machine: {rate / 1e6:.0f} MB/s")
    called("accept", "benchmark", "x")
    called("forget", "benchmark")
    cluster.close()
    nodes.shutdown()
    measure_joining()


def measure_joining() -> None:
    """Print how fast a film that is rendered is put together."""
    with tempfile.TemporaryDirectory() as folder:
        source = make_source(Path(folder), JOINED_SEGMENTS * JOINED_FRAMES, size="1280x720")
        options = UpscaleOptions(scale=1.0, encode=EncodeOptions(preset="ultrafast"), device="cpu")
        plan = plan_video(source, Path(folder) / "out.mp4", options)
        noise = np.random.default_rng(0).integers(0, 256, (4, 720, 1280, 3), np.uint8)
        paths, tick = [], round(1 / RATE / plan.source.time_base)
        for number in range(JOINED_SEGMENTS):
            paths.append(Path(folder) / f"{number:06}.mp4")
            with VideoWriter(plan.of_part(Part(), paths[-1]).output) as writer:
                for frame in range(JOINED_FRAMES):
                    writer.write(noise[frame % 4], (number * JOINED_FRAMES + frame) * tick)
        begun = time.perf_counter()
        join(plan, paths)
        took = time.perf_counter() - begun
        size, frames = plan.destination.stat().st_size, JOINED_SEGMENTS * JOINED_FRAMES
    print(f"joining: {size / 1e6 / took:.0f} MB/s, {frames / took:.0f} frames/s")


def make_source(folder: Path, frames: int, size: str = "160x90") -> Path:
    path = folder / "source.mp4"
    picture = f"testsrc2=size={size}:rate={RATE},noise=alls=12:allf=t"
    command = [find_ffmpeg(), "-loglevel", "error", "-f", "lavfi", "-i", picture, "-frames:v", str(frames)]
    subprocess.run([*command, path], check=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("nodes", "simulation", "limits"))
    parser.add_argument("--frames", type=int, default=144, help="of the source at 24 a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16, 64], help="of simulated nodes")
    arguments = parser.parse_args()
    if arguments.what == "simulation":
        simulate(arguments.counts)
    elif arguments.what == "nodes":
        compare_nodes(arguments.frames, arguments.rounds)
    else:
        measure_limits()


if __name__ == "__main__":
    main()
