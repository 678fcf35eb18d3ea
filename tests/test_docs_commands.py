"""Every shell command in the pages runs as it is written, on small files of the names that it uses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunFfmpeg
from tests.test_docs import FENCE, PAGES, ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for a POSIX shell")

ELSEWHERE = {
    ("CONTRIBUTING.md", 0): "runs these tests",
    ("README.md", 0): "installs the package",
    ("README.md", 1): "runs these tests",
    ("any-model.md", 0): "needs spandrel and its models; test_enlargers.py runs the like",
    ("batches.md", 2): "is for three shells, with lines for their files",
    ("docker.md", 0): "needs Docker",
    ("docker.md", 1): "needs Docker",
    ("evaluation.md", 0): "needs the data sets; test_evaluate_command.py runs the like",
    ("fit.md", 0): "fits for half an hour; fitting/test_fit.py and test_render.py run the like",
    ("own-model.md", 0): "trains for an hour; test_train_command.py trains",
    ("shell.md", 1): "needs zsh",
    ("shell.md", 2): "needs fish",
    ("training.md", 0): "trains for hours; test_train_command.py trains",
    ("training.md", 1): "needs eight GPUs",
    ("weights.md", 2): "needs the internet; test_weights_web.py and test_weights_hub.py download",
    ("weights.md", 4): "needs the data sets",
    **{("tutorial.md", number): "is run by test_docs.py" for number in range(20)},
}
"""Blocks that are not run here, by page and number, and why."""

QUICK = {("README.md", 3), ("preview.md", 0), ("range-and-speed.md", 0), ("doctor.md", 0), ("shell.md", 0)}
"""Blocks that take a few seconds; the others are slow."""

FILES = {
    **dict.fromkeys(("in.mp4", "in.mkv", "out.mp4", "beach1.mp4"), (3, "25")),  # (frames, rate)
    **dict.fromkeys(("long/in.mp4", "long/in.mkv", "long/out.mp4", "large/in.mp4", "jump.mp4"), (90, "1")),
    **dict.fromkeys(("a.mp4", "b.mp4", "b.mkv", "original.mp4", "240.mp4", "film.mp4"), (3, "25")),
    **dict.fromkeys(("episode.mkv", "film.mkv", "screen.mp4", "pal.mp4", "IMG_0042.MOV"), (2, "25")),
    **dict.fromkeys(("holiday/beach.mp4", "holiday/dunes.mp4", "clip.mov", "old.avi", "tape.avi"), (2, "25")),
    "shot/frame%04d.png": (3, "25"),
    "photo.jpg": (1, "25"),
}
"""What the commands read: small clips, by their frames and the rate of these."""

NOT_HERE = ("hf:", "--model large", "…")
"""What commands name that needs the internet, or that nobody knows: a hash."""

SIZES = {"large/in.mp4": "960x540", "beach1.mp4": "160x120"}
"""Sizes of the clips that are not of 32x24."""


def blocks() -> Iterator[tuple[str, int, str]]:
    """Yield each block of shell commands, with its page and its number there."""
    for page in PAGES:
        found = [
            content for language, content in FENCE.findall(page.read_text("utf-8")) if language == "bash"
        ]
        for number, content in enumerate(found):
            yield page.name, number, content


def commands_of(block: str) -> Iterator[str]:
    """Yield what is run in one go: a line, or a whole loop."""
    loop = ""
    for line in block.replace("\\\n", " ").splitlines():
        loop += f"{line}\n"
        if loop.startswith("for ") and line != "done":
            continue
        yield loop
        loop = ""
    assert not loop


def to_run() -> Iterator[object]:
    for page, number, content in blocks():
        if (page, number) not in ELSEWHERE:
            marks = [] if (page, number) in QUICK else [pytest.mark.slow]
            yield pytest.param(content, id=f"{page}-{number}", marks=marks)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: RunFfmpeg) -> Path:
    """Return a folder with the files that the commands read."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, (frames, rate) in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        size = SIZES.get(name, "32x24")
        picture = f"testsrc2=size={size}:rate={rate}"
        options = ["-update", 1] if path.suffix == ".jpg" else []
        run_ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", frames, *options, path)
    (folder / "films.txt").write_text("a.mp4\n# comment\nb.mkv\n")
    (folder / "last").touch()
    os.utime(folder / "last", (0, 0))
    (folder / "film.toml").write_text("crf = 20\n")
    return folder


@pytest.fixture
def folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for the commands, where ``videoinr`` is on the PATH and its network is tiny."""
    shutil.copy(weights, tmp_path / "mine.safetensors")
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "videoinr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m videoinr_cli "$@"\n')
    command.chmod(0o755)
    for name, value in {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path),
        "VIDEOINR_WEIGHTS": str(tmp_path / "mine.safetensors"),
        "HF_HUB_OFFLINE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize("block", list(to_run()))
def test_commands_run_as_they_are_written(block: str, shelf: Path, folder: Path) -> None:
    if "| jq" in block and shutil.which("jq") is None:
        pytest.skip("there is no jq")
    for command in commands_of(block):
        if any(word in command for word in NOT_HERE):
            continue
        shutil.copytree(shelf, folder, dirs_exist_ok=True)
        for name in re.findall(r"-o (\S+\.\w+)", command):  # alternatives have one output
            (folder / name).unlink(missing_ok=True)
        for name in re.findall(r"-o (\S+)/(?=\s|$)", command):
            shutil.rmtree(folder / name, ignore_errors=True)
        if "1:10" in command:
            shutil.copytree(shelf / "long", folder, dirs_exist_ok=True)
        if "--region" in command:
            shutil.copytree(shelf / "large", folder, dirs_exist_ok=True)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}{done.stdout}"
        assert "not done" not in done.stdout, done.stdout


def test_every_block_is_run_or_has_a_reason_not_to_be() -> None:
    there = {(page, number) for page, number, _ in blocks()}
    assert there >= QUICK
    assert {place for place in ELSEWHERE if place[0] != "tutorial.md"} <= there
