"""Ctrl-C at a terminal, which reaches every process there, while several of them work on one video."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import run as run_here
from tests.conftest import MakeClip
from tests.jobs.conftest import GRAIN, content_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")

SEGMENTS = 8
WAIT_SECONDS = 300.0


@pytest.fixture
def arguments(make_clip: MakeClip, weights: Path) -> list[str]:
    source = make_clip("in.mkv", "-g", 10, "-c:a", "aac", frames=48, audio=True, filters=GRAIN)
    options: dict[str, Any] = {
        **{"--weights": weights, "--device": "cpu", "--precision": "fp32"},
        **{"--scale": 2, "--segment-seconds": 48 / 25 / SEGMENTS, "--preset": "ultrafast"},
    }
    given = [str(part) for option in options.items() for part in option]
    return ["upscale", str(source), *given, "--json", "-o"]


class Run:
    """A run in a process group of its own, as in a terminal."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "videoinr_cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also in the background
        )
        self.segments: list[dict[str, Any]] = []

    def until(self, event: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if told["event"] == "segment":
                self.segments.append(told)
            if told["event"] == event:
                return
        raise AssertionError(f"no {event}: {self.process.stderr and self.process.stderr.read()}")

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        out, said = self.process.communicate(timeout=WAIT_SECONDS)
        told = [json.loads(line) for line in out.splitlines()]
        self.segments += [line for line in told if line["event"] == "segment"]
        return self.process.returncode, said


def running(folder: Path, group: int) -> Iterator[str]:
    """Yield the processes that belong to a group, or name a folder, as an ffmpeg does that writes to it."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state, _, of_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z" and (int(of_group) == group or bytes(folder) in command):
            yield command.decode()


@pytest.mark.parametrize("times", [1, 2])
def test_several_workers_are_interrupted(
    times: int, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, output = tmp_path / "one.mkv", tmp_path / "out.mkv"
    run = Run([*arguments, str(output), "--workers", "2"])
    run.until("segment")
    run.interrupt()
    if times == 2:
        assert run.process.stderr is not None
        said = itertools.dropwhile(lambda line: line.startswith("note:"), run.process.stderr)
        assert "press Ctrl-C again" in next(said)
        run.interrupt()
    code, said = run.end()
    assert code == -signal.SIGINT, said
    last = said.splitlines()[-1]
    assert re.fullmatch(
        rf"error: interrupted: kept \d of {SEGMENTS} segments of '.*out.mkv'; run the same command again to "
        "go on",
        last,
    )
    assert "Traceback" not in said
    assert not output.exists()
    deadline = time.monotonic() + 20  # an ffmpeg whose input ends brings its file to an end, then itself
    while (left := list(running(tmp_path, run.process.pid))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert 1 <= len(run.segments) < SEGMENTS

    assert run_here(*arguments, output) == 0
    again = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    were_done = {told["segment"] for told in again if told["event"] == "segment" and told["was_done"]}
    assert were_done >= {told["segment"] for told in run.segments}
    assert run_here(*arguments, one) == 0
    assert content_of(output) == content_of(one)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.mkv"]
