"""A real cluster of Ray on this machine: its nodes have homes of their own, or see other files altogether."""

from __future__ import annotations

import dataclasses
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
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.command import check_one_line, run
from tests.jobs.conftest import Content, content_of, options_for
from videoinr_cli import version
from videoinr_cli.errors import VideoInrError
from videoinr_cli.jobs.cluster import pool as pool_module
from videoinr_cli.jobs.manifest import job_folder
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.jobs.upscale import upscale_video

pytestmark = [
    pytest.mark.slow,  # minutes, and many processes
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
    pytest.mark.filterwarnings("default"),  # Ray's own
]

QUICK: dict[str, Any] = {"health_check_period_ms": 300, "health_check_failure_threshold": 8}
"""How soon a node is taken for dead."""

STORE_BYTES = 80 << 20


class Nodes:
    """Nodes of one cluster, by their names. The first, at which the driver is attached, renders nothing."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self._cluster = Cluster()
        self._cluster.add_node(**self._settings("head"), num_cpus=0, _system_config=QUICK)
        self._raylets: dict[str, subprocess.Popen[bytes] | psutil.Process] = {}
        self.address: str = self._cluster.address

    def _settings(self, name: str) -> dict[str, Any]:
        home = self.folder / name
        return {
            "num_gpus": 0,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
            "node_name": name,
            "env_vars": {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        }

    def add(self, name: str, *, gpus: int = 0, **environment: str) -> None:
        """Start a node in a home of its own."""
        settings = self._settings(name)
        settings["env_vars"] |= environment
        node = self._cluster.add_node(**{**settings, "num_gpus": gpus}, num_cpus=1)
        self._raylets[name] = psutil.Process(node.all_processes["raylet"][0].process.pid)

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
        self._raylets[name] = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", "\n".join(commands)],
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_for(lambda: name in self.alive())

    def workers(self, name: str) -> list[psutil.Process]:
        """Return the processes on a node that render."""
        children = psutil.Process(self._raylets[name].pid).children(recursive=True)
        return [child for child in children if "NodeWorker" in " ".join(child.cmdline())]

    def kill(self, name: str) -> None:
        """Kill a node's raylet and wait until the cluster knows."""
        raylet = psutil.Process(self._raylets.pop(name).pid)
        for process in [raylet, *raylet.children(recursive=True)]:
            if process.name() == "raylet":
                process.kill()
        self._wait_for(lambda: name not in self.alive())

    def alive(self) -> set[str]:
        """Return the nodes that are there."""
        return {node["NodeName"] for node in self._cluster.global_state.node_table() if node["Alive"]}

    def close(self) -> None:
        for name in tuple(self._raylets):
            raylet = psutil.Process(self._raylets[name].pid)
            for process in [*raylet.children(recursive=True), raylet]:
                process.kill()
        self._cluster.shutdown()

    @staticmethod
    def _wait_for(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    nodes.add("a")
    nodes.add("b")
    yield nodes
    nodes.close()


@dataclasses.dataclass
class Video:
    """A source, and what one process makes of it."""

    source: Path
    weights: Path
    content: Content

    def upscale(self, destination: Path, cluster: str | None, **arguments: Any) -> list[SegmentDone]:
        """Render it, and return the segments as they were done."""
        done: list[SegmentDone] = []
        given = {"weights": str(self.weights), "device": "cpu", "precision": "fp32", "segment_seconds": 0.1}
        options, job = options_for(**{**given, **arguments}, cluster=cluster)
        upscale_video(self.source, destination, options, job=job, on_segment=done.append)
        return done


@pytest.fixture
def video(source: Path, weights: Path, tmp_path: Path) -> Video:
    """With sound, subtitles and chapters."""
    video = Video(source, weights, None)  # type: ignore[arg-type]
    video.upscale(tmp_path / "one.mkv", None)
    video.content = content_of(tmp_path / "one.mkv")
    assert len(video.content.others) == 2
    return video


@pytest.mark.parametrize("way", ["shared", "send"])
def test_a_cluster_makes_what_one_process_makes(way: str, video: Video, nodes: Nodes, tmp_path: Path) -> None:
    done = video.upscale(tmp_path / "out.mkv", nodes.address, cluster_files=way)
    assert content_of(tmp_path / "out.mkv") == video.content
    assert {event.node for event in done} == {"a", "b"}
    assert sorted(event.number for event in done) == list(range(1, done[0].total + 1))
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.mkv"]
    kept = {path.name for path in nodes.folder.glob("*/cache/videoinr/cluster/*/*")}
    assert kept == ({video.weights.name} if way == "send" else set()), "the source is forgotten"


def is_root() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None


apart = pytest.mark.skipif(not is_root(), reason="only root may give a process other files")


@apart
def test_machines_that_see_other_files(
    video: Video, nodes: Nodes, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capfd: Any
) -> None:
    """What a node does not see is sent to it; what it has in the same place is not taken for the source."""
    hidden = tmp_path_factory.getbasetemp()
    other = [f"mkdir -p {tmp_path}", f"head -c {video.source.stat().st_size} /dev/urandom > {video.source}"]
    old = tmp_path_factory.mktemp("old") / "version.py"
    old.write_text('__version__ = "0.0.1"\n')
    shutil.copy(old, "/dev/shm/version.py")
    nodes.add_apart("far", hidden)
    nodes.add_apart("misled", hidden, *other)
    nodes.add_apart("old", hidden, f"mount --bind /dev/shm/version.py {version.__file__}")
    try:
        with caplog_of() as said:
            done = video.upscale(tmp_path / "out.mkv", nodes.address)
    finally:
        for name in ("far", "misled", "old"):
            nodes.kill(name)
    assert content_of(tmp_path / "out.mkv") == video.content
    assert {event.node for event in done} == {"a", "b", "far", "misled"}
    assert any(re.search(rf"node misled has another file '{video.source}'.*is sent", line) for line in said)
    assert any(re.search(r"node old is left out: it has videoinr 0.0.1, not", line) for line in said)


class caplog_of(logging.Handler):
    """Collects what the package says inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("videoinr_cli").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("videoinr_cli").removeHandler(self)


def ffmpeg_that(folder: Path, line: str) -> str:
    """Return an ffmpeg of its own kind."""
    path = folder / "ffmpeg"
    path.write_text(f'#!/bin/sh\n{line}\nexec {os.environ["FFMPEG_PATH"]} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_nodes_that_cannot_be_used_are_named(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    old = ffmpeg_that(
        tmp_path, 'case "$*" in *-version) echo ffmpeg version 4.2; echo libavcodec 61.1; exit;; esac'
    )
    nodes.add("ancient", FFMPEG_PATH=old)
    nodes.add("boastful", gpus=1)
    try:
        with caplog_of() as said:
            video.upscale(tmp_path / "out.mkv", nodes.address, device="auto")
        with pytest.raises(VideoInrError, match=r"no node .* can be used: .*: it has no GPU"):
            video.upscale(tmp_path / "gpu.mkv", nodes.address, device="cuda")
    finally:
        nodes.kill("ancient")
        nodes.kill("boastful")
    assert content_of(tmp_path / "out.mkv") == video.content
    assert any(re.search(r"node ancient is left out: .*ffmpeg 4.2.*major", line) for line in said)
    assert any(re.search(r"node boastful is left out: .*cuda", line) for line in said)


def test_a_process_that_dies_and_one_that_hangs(
    video: Video, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs its segment, which is rendered once more."""
    monkeypatch.setattr(pool_module, "SILENCE_SECONDS", 4.0)
    hurt: list[str] = []

    def hurt_a_worker(event: SegmentDone) -> None:
        if len(hurt) < 2:
            name = "a" if not hurt else "b"
            for process in nodes.workers(name):
                process.send_signal((signal.SIGKILL, signal.SIGSTOP)[len(hurt)])
            hurt.append(name)

    options, job = options_for(
        weights=str(video.weights), device="cpu", precision="fp32", segment_seconds=0.1, cluster=nodes.address
    )
    done: list[SegmentDone] = []
    with caplog_of() as said:
        upscale_video(
            video.source,
            tmp_path / "out.mkv",
            options,
            job=job,
            on_segment=lambda event: (done.append(event), hurt_a_worker(event))[0],
        )
    assert content_of(tmp_path / "out.mkv") == video.content
    assert len({event.number for event in done}) == len(done) == done[0].total
    failures = [line for line in said if "has failed on node" in line]
    assert 1 <= len(failures) <= 2, failures


def test_who_has_no_cluster_is_told(
    video: Video, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ["upscale", video.source, "-o", tmp_path / "out.mkv", "--quiet", "--cluster"]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert run(*wanted, "127.0.0.1:1") == 1
    check_one_line(capfd.readouterr().err, "nobody answers at 127.0.0.1:1")
    assert run(*wanted, "somewhere") == 1
    check_one_line(capfd.readouterr().err, "'somewhere' is no address")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(*wanted, "auto") == 1
    check_one_line(capfd.readouterr().err, "pip install 'videoinr[cluster]'")


class Driver:
    """The command in a process of its own, which may be killed."""

    def __init__(self, video: Video, output: Path, address: str, *more: str) -> None:
        options = {"--weights": video.weights, "--device": "cpu", "--precision": "fp32", "--scale": 1}
        options |= {"--segment-seconds": 0.1, "--preset": "ultrafast", "--cluster": address, "-o": output}
        given = [str(part) for option in options.items() for part in option]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "videoinr_cli", "upscale", str(video.source), *given, *more, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.fresh: list[int] = []

    def until_segment(self, count: int) -> None:
        """Read events until so many segments are done."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "segment" and not event["was_done"]:
                self.fresh.append(event["segment"])
                if len(self.fresh) == count:
                    return

    def end(self) -> int:
        out, said = self.process.communicate(timeout=300)
        events = [json.loads(line) for line in out.splitlines()]  # nothing else is printed there
        self.fresh += [one["segment"] for one in events if one["event"] == "segment" and not one["was_done"]]
        assert "Traceback" not in said, said
        return self.process.returncode


def lose_nodes_and_drivers(video: Video, nodes: Nodes, output: Path, raylets: int, drivers: int) -> None:
    """Kill nodes at random moments while a video is rendered, then its drivers; compare what comes out."""
    rng = random.Random(5)
    for number in range(raylets):
        nodes.add(f"spot{number}")
        driver = Driver(video, output, nodes.address)
        driver.until_segment(rng.randrange(1, 8))
        time.sleep(rng.uniform(0, 0.5))
        nodes.kill(f"spot{number}")
        assert driver.end() == 0
        assert len(set(driver.fresh)) == len(driver.fresh), "a segment was rendered twice, and taken twice"
        assert content_of(output) == video.content
        output.unlink()
    fresh: list[int] = []
    for _ in range(drivers):
        driver = Driver(video, output, nodes.address)
        driver.until_segment(rng.randrange(1, 4))
        driver.process.kill()
        driver.process.wait()
        fresh += driver.fresh
    driver = Driver(video, output, nodes.address)
    assert driver.end() == 0
    fresh += driver.fresh
    total = len(set(fresh))
    assert len(fresh) <= total + 2 * drivers, "more than the segments under way were rendered again"
    assert content_of(output) == video.content
    assert not job_folder(output).exists()


def test_nodes_and_drivers_may_die(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    lose_nodes_and_drivers(video, nodes, tmp_path / "out.mkv", raylets=1, drivers=1)


def test_an_interrupt_lets_segments_be_finished(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    driver = Driver(video, output, nodes.address)
    driver.until_segment(1)
    driver.process.send_signal(signal.SIGINT)
    assert driver.end() == -signal.SIGINT
    assert not output.exists()
    again = Driver(video, output, nodes.address)
    assert again.end() == 0
    assert not set(again.fresh) & set(driver.fresh)
    assert content_of(output) == video.content


def test_nodes_run_the_code_that_is_sent_to_them(
    video: Video, nodes: Nodes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """From a machine that is no node, too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "ray.util.client.server",
        "--port",
        str(port),
        "--address",
        nodes.address,
    ]
    server = subprocess.Popen(
        [*command, "--mode", "proxy"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    nodes._wait_for(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
    try:
        driver = Driver(video, tmp_path / "out.mkv", f"ray://127.0.0.1:{port}", "--cluster-code", "send")
        assert driver.end() == 0
        assert content_of(tmp_path / "out.mkv") == video.content
    finally:
        server.terminate()
        server.wait()


def test_nodes_and_drivers_may_die_at_any_moment(video: Video, nodes: Nodes, tmp_path: Path) -> None:
    lose_nodes_and_drivers(video, nodes, tmp_path / "out.mkv", raylets=10, drivers=5)
