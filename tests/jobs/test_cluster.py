"""A real cluster of Ray on this machine: its nodes have homes of their own, or see other files altogether.

What must happen in an order happens at an event, and nodes are paused for it: a busy machine is no failure.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib.util
import json
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.command import check_one_line, run
from tests.jobs.conftest import Content, content_of, options_for
from tests.tiny import TINY
from videoinr_cli import version
from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.cluster import pool as pool_module
from videoinr_cli.jobs.cluster.calls import Node
from videoinr_cli.jobs.cluster.ray_cluster import RayCluster
from videoinr_cli.jobs.manifest import job_folder
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.model import build
from videoinr_cli.weights import save_model

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
    pytest.mark.filterwarnings("default"),  # Ray's own
]

LIMIT_SECONDS = 300.0
"""How long anything may take."""

QUICK: dict[str, Any] = {"health_check_period_ms": 100, "health_check_failure_threshold": 20}
"""How often a node is asked: one that is killed refuses at once, one that is busy has 10 s each time."""

STORE_BYTES = 80 << 20

STARTS = 4
"""How often a node is started until it is taken for broken."""

SEGMENT_SECONDS = 0.1  # at least a keyframe's distance, in truth


class Nodes:
    """Nodes of one cluster, by their names. The driver is attached to the first one, which renders too."""

    FIRST, SECOND = "a", "b"

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self._cluster = Cluster()
        self._raylets: dict[str, psutil.Process] = {}
        self._commands: list[subprocess.Popen[bytes]] = []  # that started nodes which see other files
        port = free_port()
        self.add(self.FIRST, _system_config=QUICK, ray_client_server_port=port)
        self.address: str = self._cluster.address
        self.client_address = f"ray://127.0.0.1:{port}"
        self.add(self.SECOND)

    def add(self, name: str, *, environment: dict[str, str] | None = None, **settings: Any) -> None:
        """Start a node in a home of its own, and wait for it; the cluster has none of that name."""
        home = self.folder / name
        given = {
            "num_cpus": 1,
            "num_gpus": 0,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
            "include_log_monitor": False,
            "no_monitor": True,
            "node_name": name,
            "env_vars": {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **(environment or {})},
            **settings,
        }
        with own_ending():
            node = self._started(given)
        self._raylets[name] = psutil.Process(node.all_processes["raylet"][0].process.pid)
        wait_until(lambda: name in self.alive())

    def _started(self, settings: dict[str, Any]) -> Any:
        """Start a node; Ray gives it half a minute, which is too short on a busy machine."""
        before = set(psutil.Process().children(recursive=True))
        for number in range(STARTS):
            try:
                return self._cluster.add_node(**settings)
            except Exception:  # it has no kind of its own
                for process in set(psutil.Process().children(recursive=True)) - before:
                    kill(process)
                if number == STARTS - 1:
                    raise
            gc.collect()  # its processes, while a warning of them is none
        raise AssertionError

    def add_apart(self, name: str, hidden: Path, *preparation: str) -> None:
        """Start a node that sees an empty folder in a folder's place, and what more commands do to it."""
        commands = [
            "mount --make-rprivate /",
            f"mount -t tmpfs tmpfs {hidden}",
            *preparation,
            f"exec {sys.executable} -m ray.scripts.scripts start --address={self.address} --num-cpus=1 "
            f"--num-gpus=0 --object-store-memory={STORE_BYTES} --node-name={name} --block",
        ]
        environment = {**os.environ, "HOME": str(hidden / name), "XDG_CACHE_HOME": str(hidden / name)}
        started = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", "\n".join(commands)],
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._commands.append(started)
        self._raylets[name] = psutil.Process(started.pid)
        wait_until(lambda: name in self.alive())

    def restore(self) -> None:
        """Have just the first two nodes."""
        for name in set(self._raylets) - {self.FIRST, self.SECOND}:
            self.strike(name)
        # One that was killed counts until the cluster notices: two of one name would get others.
        wait_until(lambda: self.alive() == set(self._raylets))
        for command in self._commands:
            command.wait(LIMIT_SECONDS)
        self._commands.clear()
        if self.SECOND not in self._raylets:
            self.add(self.SECOND)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the processes on a node that render."""
        for child in self._raylets[name].children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                if "NodeWorker" in " ".join(child.cmdline()):
                    child.send_signal(number)

    def strike(self, name: str) -> None:
        """Kill all that runs on a node, as if its machine were gone."""
        started = self._raylets.pop(name)
        processes = [started, *started.children(recursive=True)]
        # The raylet first, which would tell of the others; these would go on for a second without it.
        for process in sorted(processes, key=lambda one: one.name() != "raylet"):
            kill(process)

    def kill_starting_client_server(self) -> bool:
        """Kill the server that the head is about to start for a client, and return whether there was one."""
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                command = " ".join(child.cmdline())
                if "setup_worker.py" in command and "--mode=specific-server" in command:
                    child.kill()
                    return True
        return False

    def alive(self) -> set[str]:
        """Return the nodes that are there."""
        return {node["NodeName"] for node in self._cluster.global_state.node_table() if node["Alive"]}

    def close(self) -> None:
        for raylet in self._raylets.values():
            for process in [*raylet.children(recursive=True), raylet]:
                kill(process)
        for command in self._commands:
            command.wait(LIMIT_SECONDS)
        self._cluster.shutdown()
        gc.collect()  # what Ray left open, while a warning of that is none


@contextlib.contextmanager
def own_ending() -> Iterator[None]:
    """Keep the handler of the signal in whose place Ray puts its own for each node."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    yield nodes
    nodes.close()


@pytest.fixture
def nodes(cluster: Nodes, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Two nodes, each with one process that renders."""
    monkeypatch.setattr(pool_module, "SILENCE_SECONDS", LIMIT_SECONDS)  # a paused node is not one that hangs
    cluster.restore()
    return cluster


@dataclasses.dataclass(frozen=True)
class Video:
    """A source, and what one process makes of it."""

    source: Path
    weights: Path
    content: Content

    def upscale(
        self,
        destination: Path,
        cluster: str | None,
        then: Callable[[SegmentDone], None] = lambda _: None,
        **arguments: Any,
    ) -> list[SegmentDone]:
        """Render it, and return the segments as they were done.

        Args:
            destination: the output.
            cluster: its address; None: in one process.
            then: what to do after each segment.
            arguments: further options.
        """
        done: list[SegmentDone] = []

        def take(event: SegmentDone) -> None:
            done.append(event)
            then(event)

        given = {"weights": str(self.weights), "device": "cpu", "precision": "fp32"}
        given["segment_seconds"] = SEGMENT_SECONDS
        options, job = options_for(**{**given, **arguments}, cluster=cluster)
        upscale_video(self.source, destination, options, job=job, on_segment=take)
        return done

    def check(self, output: Path, done: list[SegmentDone] | None = None) -> None:
        """Check that an output is what one process makes, of segments that came once each."""
        assert content_of(output) == self.content
        assert not job_folder(output).exists()
        if done is not None:
            assert sorted(event.number for event in done) == list(range(1, done[0].total + 1))


@pytest.fixture(scope="module")
def video(source_made: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Video:
    """With sound, subtitles and chapters."""
    folder = tmp_path_factory.mktemp("video")
    source = Path(shutil.copy(source_made, folder))
    output = folder / "one.mkv"
    Video(source, weights, Content((), (), (), ())).upscale(output, None)
    video = Video(source, weights, content_of(output))
    assert sorted(kind for kind, _ in video.content.others) == ["audio", "subtitle"]
    return video


class Begun:
    """Which segments have been given to which nodes, in this process."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        then: Callable[[SegmentRequest, str], None] = lambda *_: None,
    ) -> None:
        """Take note from now on.

        Args:
            monkeypatch: ends that.
            then: called with a segment and a node's name when it has been given to it.
        """
        start, call = RayCluster.start, RayCluster.call
        self.all: list[tuple[SegmentRequest, str]] = []
        names: dict[int, tuple[Any, str]] = {}  # by the worker's identity

        def started(cluster: RayCluster, node: Node, device: str, **resources: float) -> Any:
            worker = start(cluster, node, device, **resources)
            names[id(worker)] = worker, node.name
            return worker

        def called(cluster: RayCluster, worker: Any, method: str, *arguments: Any) -> Any:
            begun = call(cluster, worker, method, *arguments)
            if method == "render":
                self.all.append((arguments[0], names[id(worker)][1]))
                then(*self.all[-1])
            return begun

        monkeypatch.setattr(RayCluster, "start", started)
        monkeypatch.setattr(RayCluster, "call", called)

    def numbers(self) -> list[int]:
        return [request.number + 1 for request, _ in self.all]


class Turns:
    """Pauses a node that has done a segment until all have."""

    def __init__(self, nodes: Nodes, names: set[str]) -> None:
        self._nodes, self._names, self._left = nodes, names, set(names)

    def __call__(self, event: SegmentDone) -> None:
        if not self._left or event.node is None:
            return
        self._left.discard(event.node)
        if self._left:
            self._nodes.signal(event.node, signal.SIGSTOP)
        else:
            for name in self._names:
                self._nodes.signal(name, signal.SIGCONT)


DRIVER = """
import os, signal, sys
from videoinr_cli.cli import main
from videoinr_cli.jobs.cluster.ray_cluster import RayCluster

call, begun = RayCluster.call, []
notes, hurt_at, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
del sys.argv[1:4]

def called(cluster, worker, method, *arguments):
    if method == "render":
        begun.append(arguments[0].number + 1)
        with open(notes, "a") as file:
            print(begun[-1], file=file)
        if len(begun) == hurt_at:
            os.kill(os.getpid(), number)
    return call(cluster, worker, method, *arguments)

RayCluster.call = called
main()
"""
"""The command, which notes which segments it begins, and sends itself a signal when it begins one of them."""


class Driver:
    """The command in a process of its own, which may be killed."""

    def __init__(
        self,
        video: Video,
        output: Path,
        address: str,
        *more: str,
        hurt_at: int = 0,
        by: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Start it.

        Args:
            video: to be rendered.
            output: to be written.
            address: of the cluster.
            more: further options.
            hurt_at: at how many segments, by their beginning, it sends itself a signal; 0: never.
            by: which one.
        """
        options = {"--weights": video.weights, "--device": "cpu", "--precision": "fp32", "--scale": 1}
        options |= {"--segment-seconds": SEGMENT_SECONDS, "--preset": "ultrafast", "--cluster": address}
        given = [str(part) for option in {**options, "-o": output}.items() for part in option]
        self._notes = output.with_suffix(".begun")
        self._notes.write_text("")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", DRIVER, str(self._notes), str(hurt_at), str(int(by))),
                *("upscale", str(video.source), *given, *more, "--json"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.done: list[int] = []  # segments that are new
        self.nodes: set[str] = set()
        self.said = ""

    def until_segment(self, count: int) -> None:
        """Read events until so many segments are done."""
        assert self.process.stdout is not None
        while len(self.done) < count and (line := self.process.stdout.readline()):
            self._take(line)

    def until_said(self, words: str) -> None:
        assert self.process.stderr is not None
        while words not in self.said and (line := self.process.stderr.readline()):
            self.said += line

    def end(self) -> int:
        """Wait for the end, and return the exit status."""
        out, said = self.process.communicate(timeout=LIMIT_SECONDS)
        self.said += said
        for line in out.splitlines():  # nothing else is printed there
            self._take(line)
        assert "Traceback" not in self.said, self.said
        return self.process.returncode

    def begun(self) -> list[int]:
        """Return the segments that it has begun."""
        return [int(line) for line in self._notes.read_text().split()]

    def _take(self, line: str) -> None:
        event = json.loads(line)
        if event["event"] == "segment" and not event["was_done"]:
            self.done.append(event["segment"])
            self.nodes.add(event["node"])


def test_a_cluster_makes_what_one_process_makes(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    both = {nodes.FIRST, nodes.SECOND}
    done = video.upscale(tmp_path / "out.mkv", nodes.address, Turns(nodes, both), cluster_files="shared")
    video.check(tmp_path / "out.mkv", done)
    assert {event.node for event in done} == both
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_a_driver_that_dies_goes_on_with_files_that_are_sent(
    video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mkv"
    # The first segments that are done may still be on their way when it begins the next ones.
    driver = Driver(video, output, nodes.address, "--cluster-files", "send", hurt_at=10)
    assert driver.end() == -signal.SIGKILL
    assert not output.exists()
    begun, both = Begun(monkeypatch), {nodes.FIRST, nodes.SECOND}
    done = video.upscale(output, nodes.address, Turns(nodes, both), cluster_files="send")
    video.check(output, done)
    fresh = [event for event in done if not event.was_done]
    assert {event.node for event in fresh} == both
    assert len(fresh) < len(done), "it has begun with nothing"
    under_way = set(driver.begun()) - set(driver.done)
    assert set(driver.begun()) & set(begun.numbers()) <= under_way
    kept = {path.name for path in nodes.folder.glob("*/cache/videoinr/cluster/*/*")}
    assert {name for name in kept if ".try-" not in name} == {video.weights.name}, "the source is forgotten"


def test_a_node_that_dies_costs_the_segment_that_it_was_rendering(
    video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when it begins its second one; the other one waits for that."""
    lost: list[int] = []

    def strike(request: SegmentRequest, node: str) -> None:
        if node == nodes.SECOND and [name for _, name in begun.all].count(node) == 2:
            lost.append(request.number + 1)
            nodes.strike(nodes.SECOND)
            nodes.signal(nodes.FIRST, signal.SIGCONT)

    def wait(event: SegmentDone) -> None:
        if event.node == nodes.FIRST and not lost:
            nodes.signal(nodes.FIRST, signal.SIGSTOP)

    begun = Begun(monkeypatch, strike)
    done = video.upscale(tmp_path / "out.mkv", nodes.address, wait)
    video.check(tmp_path / "out.mkv", done)
    assert len(lost) == 1
    assert [event.node for event in done].count(nodes.SECOND) == 1
    numbers = begun.numbers()
    assert [number for number in set(numbers) if numbers.count(number) > 1] == lost


def test_who_has_no_cluster_is_told(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ["upscale", source, "-o", tmp_path / "out.mkv", "--quiet", "--cluster"]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert run(*wanted, "127.0.0.1:1") == 1
    check_one_line(capfd.readouterr().err, "nobody answers at 127.0.0.1:1")
    assert run(*wanted, "somewhere") == 1
    check_one_line(capfd.readouterr().err, "'somewhere' is no address")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(*wanted, "auto") == 1
    check_one_line(capfd.readouterr().err, "pip install 'videoinr[cluster]'")


def may_mount() -> bool:
    """Whether a process may be given files of its own: for root, and not in every container."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--mount", "sh", "-ec", "mount --make-rprivate /; mount -t tmpfs tmpfs /tmp"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


apart = pytest.mark.skipif(not may_mount(), reason="no process may be given other files here")


@contextlib.contextmanager
def listening(take: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Hand over what the package says inside the block."""
    handler = logging.Handler()
    handler.emit = take  # type: ignore[method-assign]
    logging.getLogger("videoinr_cli").addHandler(handler)
    yield
    logging.getLogger("videoinr_cli").removeHandler(handler)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Collect what the package says."""
    lines: list[str] = []
    with listening(lambda record: lines.append(record.getMessage())):
        yield lines


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder that nodes see that see nothing of the tests' other files."""
    folder = Path("/dev/shm") / tmp_path_factory.getbasetemp().name
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@apart
@pytest.mark.slow
def test_machines_that_see_other_files(
    video: Video, nodes: Nodes, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, said: list[str]
) -> None:
    """What a node does not see is sent to it; what it has in the same place is not taken for the source."""
    hidden, size = tmp_path_factory.getbasetemp(), video.source.stat().st_size
    other = [f"mkdir -p {video.source.parent}", f"head -c {size} /dev/urandom > {video.source}"]
    nodes.add_apart("far", hidden)
    nodes.add_apart("misled", hidden, *other)
    names = {nodes.FIRST, nodes.SECOND, "far", "misled"}
    done = video.upscale(tmp_path / "out.mkv", nodes.address, Turns(nodes, names))
    video.check(tmp_path / "out.mkv", done)
    assert {event.node for event in done} == names
    assert any(re.search(rf"node misled has another file '{video.source}'.*is sent", line) for line in said)


@apart
def test_machines_that_do_not_see_everything_are_left_out_where_nothing_is_sent(
    video: Video, nodes: Nodes, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The others wait until that is known."""
    hidden, size = tmp_path_factory.getbasetemp(), video.source.stat().st_size
    other = [f"mkdir -p {video.source.parent}", f"head -c {size} /dev/urandom > {video.source}"]
    nodes.add_apart("far", hidden)
    nodes.add_apart("misled", hidden, *other)
    both, left_out = (nodes.FIRST, nodes.SECOND), []

    def go_on(record: logging.LogRecord) -> None:
        if "is left out" in record.getMessage():
            left_out.append(record.getMessage())
        for name in both if len(left_out) == 2 else ():
            nodes.signal(name, signal.SIGCONT)

    def wait(event: SegmentDone) -> None:
        if len(left_out) < 2 and event.node is not None:
            nodes.signal(event.node, signal.SIGSTOP)

    with listening(go_on):
        done = video.upscale(tmp_path / "out.mkv", nodes.address, wait, cluster_files="shared")
    video.check(tmp_path / "out.mkv", done)
    far, misled = sorted(left_out)
    assert f"node far is left out: it does not see {str(video.source)!r}; --cluster-files auto" in far
    assert f"node misled is left out: it has another file {str(video.source)!r} (changed at" in misled


@apart
@pytest.mark.slow
def test_machines_with_other_versions_and_weights(
    video: Video,
    nodes: Nodes,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    outside: Path,
    said: list[str],
) -> None:
    hidden = tmp_path_factory.getbasetemp()
    (outside / "version.py").write_text('__version__ = "0.0.1"\n')
    torch.manual_seed(1)
    save_model(build(TINY), outside / "other.safetensors", {})
    nodes.add_apart("old", hidden, f"mount --bind {outside / 'version.py'} {version.__file__}")
    placed = [f"mkdir -p {video.weights.parent}", f"cp {outside / 'other.safetensors'} {video.weights}"]
    nodes.add_apart("retrained", hidden, *placed)
    done = video.upscale(tmp_path / "out.mkv", nodes.address)
    video.check(tmp_path / "out.mkv", done)
    assert {event.node for event in done} <= {nodes.FIRST, nodes.SECOND}
    assert any(re.search(r"node old is left out: it has videoinr 0.0.1, not", line) for line in said)
    wanted = rf"node retrained is left out: it has other weights '{video.weights}' \(sha256 \w+, not \w+\)"
    assert any(re.search(wanted, line) for line in said)


def ffmpeg_that(folder: Path, line: str) -> str:
    """Return an ffmpeg of its own kind."""
    path = folder / "ffmpeg"
    path.write_text(f'#!/bin/sh\n{line}\nexec {os.environ["FFMPEG_PATH"]} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_nodes_that_cannot_be_used_are_named(
    video: Video, nodes: Nodes, tmp_path: Path, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    old = ffmpeg_that(
        tmp_path,
        'case "$*" in *-version) echo ffmpeg version 4.2; echo libavcodec 61.1; exit;; '
        '*-encoders) set -- -hide_banner "$@";; esac',
    )
    nodes.add("ancient", environment={"FFMPEG_PATH": old})
    nodes.add("boastful", num_gpus=1)
    video.upscale(tmp_path / "out.mkv", nodes.address, device="auto")
    video.check(tmp_path / "out.mkv")
    assert any(re.search(r"node ancient is left out: .*ffmpeg 4.2.*major", line) for line in said)
    assert any(re.search(r"node boastful is left out: .*cuda", line) for line in said)
    with pytest.raises(VideoInrError, match=r"no node .* can be used: .*: it has no GPU"):
        video.upscale(tmp_path / "gpu.mkv", nodes.address, device="cuda")
    capfd.readouterr()
    assert run("doctor", "--cluster", nodes.address, "--weights", video.weights) == 0
    out, err = capfd.readouterr()
    for name in (nodes.FIRST, nodes.SECOND):
        assert re.search(
            rf"^node {name} +cpu \(\w+\), videoinr {re.escape(version.__version__)}, torch", out, re.M
        )
    assert re.search(r"^node ancient +left out: .*ffmpeg 4.2", out, re.M)
    assert re.search(r"^node boastful +left out: .*cuda", out, re.M)
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_process_that_dies_and_one_that_hangs(
    video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """Each costs its segment, which is rendered once more."""
    monkeypatch.setattr(pool_module, "SILENCE_SECONDS", 10.0)
    hurt: dict[str, int] = {}
    signals = {nodes.FIRST: signal.SIGKILL, nodes.SECOND: signal.SIGSTOP}

    def hurt_it(request: SegmentRequest, node: str) -> None:
        if node not in hurt:
            hurt[node] = request.number + 1
            nodes.signal(node, signals[node])

    begun = Begun(monkeypatch, hurt_it)
    done = video.upscale(tmp_path / "out.mkv", nodes.address)
    video.check(tmp_path / "out.mkv", done)
    failures = [line for line in said if "has failed on node" in line]
    assert 1 <= len(failures) <= 2, failures
    assert all(begun.numbers().count(number) > 1 for number in hurt.values())


def check_that_another_goes_on(driver: Driver, video: Video, output: Path, nodes: Nodes) -> None:
    """Check that a driver that ended left no output, and that the next goes on from its segments."""
    assert not output.exists()
    again = Driver(video, output, nodes.address)
    assert again.end() == 0
    assert not set(again.begun()) & set(driver.done)
    video.check(output)


def test_an_interrupt_lets_segments_be_finished(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    driver = Driver(video, output, nodes.address, hurt_at=3, by=signal.SIGINT)
    assert driver.end() == -signal.SIGINT
    assert sorted(driver.begun()) == sorted(driver.done), "what had begun is done, and nothing else"
    check_that_another_goes_on(driver, video, output, nodes)


@pytest.mark.slow
def test_a_driver_that_is_terminated_says_so(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    """It waits for its nodes, which are paused, in Ray's own code."""
    driver = Driver(video, tmp_path / "out.mkv", nodes.address)
    driver.until_segment(1)
    for name in (nodes.FIRST, nodes.SECOND):
        nodes.signal(name, signal.SIGSTOP)  # for good
    driver.process.send_signal(signal.SIGTERM)
    assert driver.end() == 128 + signal.SIGTERM
    assert re.search(r"^error: terminated", driver.said, re.M)


@pytest.mark.slow
def test_a_second_interrupt_waits_for_nothing(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    driver = Driver(video, output, nodes.address)
    driver.until_segment(1)
    for name in (nodes.FIRST, nodes.SECOND):
        nodes.signal(name, signal.SIGSTOP)  # for good: what is under way will never be done
    driver.process.send_signal(signal.SIGINT)
    driver.until_said("press Ctrl-C again")
    driver.process.send_signal(signal.SIGINT)
    assert driver.end() == -signal.SIGINT
    check_that_another_goes_on(driver, video, output, nodes)


@pytest.mark.parametrize("code", ["own", pytest.param("send", marks=pytest.mark.slow)])
def test_a_driver_on_a_machine_that_is_no_node(code: str, video: Video, nodes: Nodes, tmp_path: Path) -> None:
    """By the server for clients that the cluster's head runs."""
    driver = Driver(video, tmp_path / "out.mkv", nodes.client_address, "--cluster-code", code)
    assert driver.end() == 0, driver.said
    video.check(tmp_path / "out.mkv")
    assert sorted(driver.done) == sorted(set(driver.begun()))
    assert driver.nodes <= {nodes.FIRST, nodes.SECOND}


@pytest.mark.slow
def test_a_server_for_clients_that_dies_at_its_start(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    """As it does now and then by itself; the driver asks for another."""
    driver = Driver(video, tmp_path / "out.mkv", nodes.client_address)
    wait_until(nodes.kill_starting_client_server)
    assert driver.end() == 0, driver.said
    video.check(tmp_path / "out.mkv")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("way", ["auto", "send"])
def test_a_model_of_others_is_sent_too(
    way: str, video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named relative to the folder that the driver is in, and nobody else."""
    from safetensors.torch import save_file
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    model = Compact(num_feat=8, num_conv=1, upscale=2)
    save_file(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, tmp_path / "x2.safetensors"
    )
    monkeypatch.chdir(tmp_path)
    arguments = {"spatial": "x2.safetensors", "segment_seconds": 1.0}
    video.upscale(tmp_path / "one.mkv", None, **arguments)
    done = video.upscale(tmp_path / "out.mkv", nodes.address, cluster_files=way, **arguments)
    assert content_of(tmp_path / "out.mkv") == content_of(tmp_path / "one.mkv") != video.content
    assert sorted(event.number for event in done) == list(range(1, done[0].total + 1))
    sent = {path.name for path in nodes.folder.glob("*/cache/videoinr/cluster/*/x2.safetensors")}
    assert bool(sent) == (way == "send")


@pytest.mark.slow
def test_the_next_video_begins_before_the_last_segment_of_one_is_done(
    video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is paused at the last segment of the first; the other one goes on with the second video."""
    sources = tmp_path / "in"
    sources.mkdir()
    for name in ("1.mkv", "2.mkv"):
        shutil.copy(video.source, sources / name)
    paused: list[str] = []

    def pause(request: SegmentRequest, node: str) -> None:
        if request.path.parent.name.startswith("2"):
            while paused:
                nodes.signal(paused.pop(), signal.SIGCONT)
        elif request.part.end is None:
            nodes.signal(node, signal.SIGSTOP)
            paused.append(node)

    begun = Begun(monkeypatch, pause)
    options = ("--weights", video.weights, "--device", "cpu", "--precision", "fp32", "--scale", 1, "--json")
    options += ("--segment-seconds", SEGMENT_SECONDS, "--preset", "ultrafast", "--cluster", nodes.address)
    assert run("upscale", sources, "-o", tmp_path / "out", *options) == 0
    outputs = sorted((tmp_path / "out").glob("*.mkv"))
    assert len(outputs) == 2
    for output in outputs:
        video.check(output)
    videos = [request.path.parent.name[0] for request, _ in begun.all]
    assert videos == sorted(videos)
    assert not paused


class Struck:
    """Which segments had begun and not ended when something was killed."""

    def __init__(self, begun: list[int], done: list[int]) -> None:
        self.begun, self.under_way = set(begun), set(begun) - set(done)

    def cost(self, begun_since: list[int]) -> int:
        """Return how many segments that had begun have begun again, none of which had been done."""
        again = self.begun & set(begun_since)
        assert again <= self.under_way
        return len(again)


@pytest.mark.slow
def test_nodes_may_die_at_any_moment(
    video: Video,
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    rng, output, begun = random.Random(5), tmp_path / "out.mkv", Begun(monkeypatch)
    costs = []
    for _ in range(10):
        nodes.restore()
        begun.all.clear()
        struck: list[tuple[Struck, int]] = []
        done: list[int] = []

        def strike(done: list[int] = done, struck: list[tuple[Struck, int]] = struck) -> None:
            struck.append((Struck(begun.numbers(), done), len(begun.all)))
            nodes.strike(nodes.SECOND)

        timer = threading.Timer(rng.uniform(0, 1.5), strike)
        after = rng.randrange(1, 6)

        def take(
            event: SegmentDone, done: list[int] = done, timer: threading.Timer = timer, after: int = after
        ) -> None:
            done.append(event.number)
            if len(done) == after:
                timer.start()

        events = video.upscale(output, nodes.address, take)
        timer.join()
        video.check(output, events)
        ((moment, count),) = struck
        costs.append(moment.cost(begun.numbers()[count:]))
        output.unlink()
    record_property("segments begun again", costs)
    assert max(costs) <= 2


@pytest.mark.slow
def test_drivers_may_die_at_any_moment(
    video: Video, nodes: Nodes, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rng, output = random.Random(6), tmp_path / "out.mkv"
    costs, moments = [], []
    for _ in range(5):
        driver = Driver(video, output, nodes.address)
        driver.until_segment(1)
        time.sleep(rng.uniform(0, 0.7))
        driver.process.kill()
        assert driver.end() == -signal.SIGKILL
        costs += [moment.cost(driver.begun()) for moment in moments[-1:]]
        moments.append(Struck(driver.begun(), driver.done))
    driver = Driver(video, output, nodes.address)
    assert driver.end() == 0
    costs.append(moments[-1].cost(driver.begun()))
    video.check(output)
    record_property("segments begun again", costs)
    assert max(costs) <= 2
