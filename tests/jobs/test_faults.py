"""Whatever ends a job, the next run goes on from there, and nothing of it shows in the output."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import RunFfmpeg
from tests.jobs.conftest import GRAIN, Content, content_of
from tests.jobs.lab import FAILED, Fault, Lab
from tests.oracle.blend import BlendFrame, BlendVideoInr
from videoinr_cli.jobs import job as job_module
from videoinr_cli.jobs.manifest import Manifest, job_folder
from videoinr_cli.media.write import destination as destinations
from videoinr_cli.render.pipeline import Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

KILLS = 20
FRAMES, SEGMENTS = 50, 17  # of the source; what is made of them


@pytest.fixture(scope="module")
def uninterrupted(run_ffmpeg: RunFfmpeg, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    picture = f"testsrc2=size=64x48:rate=25,{GRAIN}"
    tone = "sine=frequency=440:sample_rate=48000:duration=2"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-shortest")
    run_ffmpeg(*inputs, "-frames:v", FRAMES, "-g", 10, "-bf", 2, "-c:a", "aac", folder / "in.mkv")
    lab = Lab(folder / "in.mkv", folder / "out.mp4", segment_seconds=2 / SEGMENTS)
    assert lab.finish() == 0, lab.error
    assert lab.started() == SEGMENTS
    return lab


@pytest.fixture
def lab(uninterrupted: Lab, tmp_path: Path) -> Lab:
    source = Path(shutil.copy(uninterrupted.source, tmp_path))
    return dataclasses.replace(uninterrupted, source=source, output=tmp_path / "out.mp4")


@pytest.fixture
def wanted(uninterrupted: Lab) -> Content:
    """What an uninterrupted run gives."""
    content = content_of(uninterrupted.output)
    assert len(content.pictures) == 2 * FRAMES
    assert [kind for kind, _ in content.others] == ["audio"]
    return content


def test_killed_at_any_moment(lab: Lab, wanted: Content) -> None:
    rng = random.Random(7)
    longest = lab.seconds / 4  # of the time from one kill to the next
    kills = 0
    while kills < KILLS:
        process = lab.start()
        time.sleep(rng.uniform(0.0, longest))
        process.kill()
        process.join()
        if lab.output.exists():  # it was done, if not gone, before: begin another, to be killed more quickly
            assert content_of(lab.output) == wanted
            lab.forget()
            kills, longest = 0, longest / 2
            continue
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert lab.finish() == 0, lab.error
    assert content_of(lab.output) == wanted
    assert lab.started() <= SEGMENTS + KILLS, "a moment has cost more than one segment"
    assert not job_folder(lab.output).exists()


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_saving() -> dict[str, Any]:
    replace, count = Path.replace, iter(range(1000))

    def dying(path: Path, target: Path) -> Path:
        if target.name == "manifest.json" and next(count) == 3:
            die()
        return replace(path, target)

    Path.replace = dying  # type: ignore[assignment, method-assign]
    return {}


def die_after_saving() -> dict[str, Any]:
    record = Manifest.record
    Manifest.record = lambda *arguments: (record(*arguments), die())  # type: ignore[assignment, method-assign, return-value]
    return {}


def die_joining() -> dict[str, Any]:
    commit = destinations._File.commit

    def dying(file: Any) -> None:
        if file._path.name == "out.mp4":
            die()
        commit(file)

    destinations._File.commit = dying  # type: ignore[method-assign]
    return {}


def die_cleaning() -> dict[str, Any]:
    job_module.remove_job = die
    return {}


@pytest.mark.parametrize(
    ("fault", "again"),
    [(die_before_saving, 1), (die_after_saving, 0), (die_joining, 0), (die_cleaning, 0)],
)
def test_killed_between_two_steps(fault: Fault, again: int, lab: Lab, wanted: Content) -> None:
    """Where a blind shot seldom hits: around what is written down, and around the join."""
    assert lab.finish(fault) == -signal.SIGKILL
    assert lab.finish(overwrite=lab.output.exists()) == 0, lab.error
    assert content_of(lab.output) == wanted
    assert lab.started() == SEGMENTS + again


def kill_ffmpeg() -> dict[str, Any]:
    """Kill the ffmpeg that is at work once 40 frames are done, or the next one if none is then."""
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.frames < 40 or killed:
            return
        for process in Path("/proc").glob("[0-9]*"):
            if (parent_of(process), name_of(process)[:6]) == (os.getpid(), "ffmpeg"):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))

    return {"progress": kill}


def parent_of(process: Path) -> int:
    """Return a process' parent; 0: it has ended."""
    try:
        state, parent, *_ = (process / "stat").read_text().rpartition(")")[2].split()
        return 0 if state == "Z" else int(parent)
    except OSError:  # it has ended meanwhile
        return 0


def name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text()
    except OSError:
        return ""


def fill_disk() -> dict[str, Any]:
    """Have the sixth file that ffmpeg is to write lie on a device that has no room."""
    reserve, count = destinations._File.reserve, iter(range(1000))

    def on_full_device(file: Any) -> None:
        reserve(file)
        if next(count) == 5:
            file._partial.unlink()
            file._partial.symlink_to("/dev/full")

    destinations._File.reserve = on_full_device  # type: ignore[method-assign]
    return {}


def limit_files() -> dict[str, Any]:
    """Let no file grow beyond a few bytes, the manifest included."""

    def limit(progress: Progress) -> None:
        if progress.frames == 40:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    return {"progress": limit}


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made with what Linux has")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (kill_ffmpeg, "FfmpegError"),
        (fill_disk, "FfmpegError.*No space left"),
        (limit_files, "Error"),
    ],
)
def test_what_a_machine_may_do_to_a_job(fault: Fault, words: str, lab: Lab, wanted: Content) -> None:
    assert lab.finish(fault) == FAILED
    assert re.search(words, lab.error)
    assert not lab.output.exists()
    assert lab.finish() == 0, lab.error
    assert content_of(lab.output) == wanted
    assert lab.started() == SEGMENTS + 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own in memory, of 64 MiB to begin with."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=64m", "tmpfs", place):
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def mounted(*arguments: object) -> bool:
    return not subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has tmpfs")
def test_a_small_disk_runs_full(lab: Lab, disk: Path, wanted: Content) -> None:
    """Wherever it does, among the segments or in the join: there is no output, and room is all it takes."""
    lab.output = disk / "out.mp4"
    assert lab.finish(keep_temp=True) == 0, lab.error
    segments = sum(file.stat().st_size for file in job_folder(lab.output).glob("0*"))
    complete = segments + lab.output.stat().st_size
    for size in (segments // 3, segments * 2 // 3, complete - 20_000):
        lab.forget()
        assert mounted("-o", f"remount,size={size}", disk)
        assert lab.finish() == FAILED
        assert "No space left" in lab.error, lab.error
        assert not lab.output.exists()
        done = lab.started()
        assert mounted("-o", "remount,size=64m", disk)
        assert lab.finish() == 0, lab.error
        assert content_of(lab.output) == wanted
        assert 0 < done <= SEGMENTS
        assert lab.started() <= SEGMENTS + 1


PIXEL_BYTES = 1 << 20


class Ravenous(BlendVideoInr):
    """Needs a lot of memory for a moment, by the size of what it encodes."""

    def encode_frame(self, frame: torch.Tensor) -> BlendFrame:
        torch.empty(frame.shape[2] * frame.shape[3] * PIXEL_BYTES, dtype=torch.uint8)
        return super().encode_frame(frame)


def lower_limit(room_bytes: int) -> dict[str, Any]:
    """Leave no more addresses than that to the process, in the middle of a segment."""

    def lower(progress: Progress) -> None:
        if progress.frames == 20:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + room_bytes, resource.RLIM_INFINITY))

    return {"progress": lower, "model": Ravenous()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to RLIMIT_AS")
def test_a_memory_limit_lowered_in_mid_run(lab: Lab) -> None:
    """The job goes on in smaller pieces, or, where nothing can be had, ends with what is done."""
    given = {"fps": None}  # tiles round what lies between two frames otherwise
    lab = dataclasses.replace(lab, segment_seconds=0.4)
    assert lab.finish(**given) == 0, lab.error
    wanted, segments = content_of(lab.output), lab.started()
    assert segments >= 5
    assert len(wanted.pictures) == FRAMES

    lab.forget()
    most = 64 * 48 * PIXEL_BYTES
    assert lab.finish(functools.partial(lower_limit, most * 15 // 16), **given) == 0, lab.error
    assert ["ran out of memory" in line for line in lab.said] == [True], "once, for all segments"
    assert (lab.started(), content_of(lab.output)) == (segments, wanted)

    for room_bytes in (-(100 << 20), 0):
        lab.forget()
        assert lab.finish(functools.partial(lower_limit, room_bytes), **given) == FAILED
        assert re.match("(MemoryLimit|Ffmpeg|Input)Error: ", lab.error)
        assert not lab.output.exists()
        assert lab.finish(**given) == 0, lab.error
        assert (lab.started(), content_of(lab.output)) == (segments + 1, wanted)


def measure_memory() -> dict[str, Any]:
    gc.disable()  # what only the collector would find, of large things held by small ones, it finds late

    def measure(_: object) -> None:
        opened = len(list(Path("/proc/self/fd").iterdir()))
        with Path("peaks.txt").open("a") as file:
            file.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} {opened}\n")

    return {"on_segment": measure}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_memory_does_not_grow_with_the_segments(lab: Lab) -> None:
    """From the fifth segment on, the peak stays where it is, and nothing stays open."""
    assert lab.finish(measure_memory, scale=4.0) == 0, lab.error
    lines = [line.split() for line in lab.output.with_name("peaks.txt").read_text().splitlines()]
    assert len(lines) == SEGMENTS
    kibibytes, opened = zip(*(map(int, line) for line in lines), strict=True)
    assert kibibytes[-1] - kibibytes[4] < 8192, kibibytes  # what an allocator may still move
    assert opened[-1] == opened[4], opened
