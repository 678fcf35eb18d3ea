"""A hundred damaged weights files: none crashes, hangs, takes memory it has no right to, or runs anything.

The files are read in a process of its own, whose memory is limited, whose time is measured, and whose every
start of a program, connection and change to the disk Python reports to us (PEP 578), however it comes about.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny import TINY
from videoinr_cli.model import build
from videoinr_cli.weights import save_model

MUTATIONS = 100
SPARE_BYTES = 2 << 30
"""Address space that reading may take beyond what the process has after its imports; the files have 60 KB."""
SECONDS = 5.0
"""Processor time that one file may take; a sound one takes a tenth of a second."""

CONTROL = "control.pickle"
"""A file that is read without any care, to see that what it does would be noticed."""

CHILD = """
import json, os, pickle, resource, sys, tempfile, time
from pathlib import Path
import torch
from videoinr_cli.errors import VideoInrError
from videoinr_cli.weights import convert_checkpoint, load_model
from videoinr_cli.model.published import from_published_names  # and all that its import brings

FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "pty.", "ctypes.", "webbrowser.")
ALLOWED = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv")
CONTROL, SCRATCH = sys.argv[2], tempfile.gettempdir()
told, watching = [], False

def watch(event, arguments):
    if not watching:
        return
    if arguments and str(arguments[0]).startswith(SCRATCH):
        return  # torch makes and removes a folder there to see whether an old checkpoint is a tar file
    if event == "os.mkdir" and not str(arguments[0]).endswith("executed"):
        return  # folders of compiled modules; the one that hostile files make is named so
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or (event.startswith(FORBIDDEN) and event not in ALLOWED):
        told.append(event)

torch.cuda.device_count = lambda: 0  # builds for CUDA load NVIDIA's library each time they count
sys.addaudithook(watch)
load_model(device="cpu")  # whatever is imported at the first use
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

def read(path):
    if path.name == CONTROL:
        pickle.loads(path.read_bytes())
    elif path.suffix == ".pth":
        convert_checkpoint(path, path.with_suffix(".safetensors"))
    else:
        load_model(path, device="cpu")

for line in sys.stdin:
    path = Path(line.rstrip("\\n"))
    told, start, message = [], time.process_time(), None
    watching = True
    try:
        read(path)
    except VideoInrError as error:
        message = str(error)
    watching = False
    print(json.dumps([message, time.process_time() - start, told]), flush=True)
"""


class Payload:
    """An object whose unpickling would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def mutate(content: bytes, generator: random.Random) -> bytes:
    """Return a file that one accident or one person with bad intentions has changed."""
    changed = bytearray(content)
    position = generator.randrange(len(changed))
    match generator.randrange(6):
        case 0:  # one bit, most of all where the file says what it holds
            changed[generator.randrange(min(len(changed), 4000))] ^= 1 << generator.randrange(8)
        case 1:
            del changed[position:]
        case 2:
            changed[:8] = generator.choice((0, 1, 1 << 31, 1 << 62, len(content))).to_bytes(8, "little")
        case 3:
            changed[position : position + 64] = generator.randbytes(64)
        case 4:  # a number that has become a larger one
            digits = [i for i, byte in enumerate(changed[:4000]) if 0x30 <= byte <= 0x39] or [position]
            changed[generator.choice(digits)] = ord("9")
        case 5:
            changed[position:position] = bytes(generator.randrange(1, 5000))
    return bytes(changed)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of ours, a checkpoint as torch writes it now, as it did once, and two that would run code."""
    folder = tmp_path_factory.mktemp("originals")
    state = {"conv_first.weight": torch.rand(64, 3, 3, 3), "fusion.bias": torch.rand(64)}
    save_model(build(TINY), folder / "ours.safetensors", {"licence": "CC0"})
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({**state, "x": Payload(folder / "executed")}, folder / "evil-zip.pth")
    (folder / "evil.pth").write_bytes(pickle.dumps({**state, "x": Payload(folder / "executed")}, protocol=2))
    return sorted(folder.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by Linux's means")
def test_no_damaged_file_does_any_harm(originals: list[Path], tmp_path: Path) -> None:
    generator = random.Random(0)
    paths = []
    for number in range(MUTATIONS):
        original = originals[number % len(originals)]
        path = tmp_path / f"{number:03d}-{original.stem}{original.suffix}"
        path.write_bytes(mutate(original.read_bytes(), generator))
        paths.append(path)
    control = tmp_path / CONTROL
    control.write_bytes(pickle.dumps(Payload(tmp_path / "executed")))
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(SPARE_BYTES), CONTROL],
        input="".join(f"{path}\n" for path in (*originals, *paths, control)),
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path / "scratch"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # a folder for it would count as one that a file has made
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *answers, controlled = [json.loads(line) for line in done.stdout.splitlines()]
    assert controlled[2] == ["os.mkdir"]
    assert len(answers) == len(originals) + MUTATIONS
    for path, (message, seconds, told) in zip((*originals, *paths), answers, strict=True):
        assert told == [], path.name
        assert seconds < SECONDS, path.name
        assert message is None or (message.isprintable() and path.name in message)
    accepted = [path.name for path, (message, *_) in zip(originals, answers, strict=False) if message is None]
    assert accepted == ["ours.safetensors"]
    assert not (originals[0].parent / "executed").exists()
    assert sum(message is not None for message, *_ in answers[len(originals) :]) > MUTATIONS // 2
