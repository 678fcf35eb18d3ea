"""The script that trains on another machine, where only torch, numpy and OpenCV are."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.conftest import MakeClip
from tests.tiny import TINY
from videoinr_cli.model import build
from videoinr_cli.weights import load_model, save_model

pytest.importorskip("cv2")

SCRIPT = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "elsewhere.py"
ABSENT = ("av", "click", "ffmpeg", "huggingface_hub", "imageio_ffmpeg", "rich", "safetensors")


def run(*arguments: object, without: tuple[str, ...] = ()) -> str:
    """Run the script in a Python that lacks some packages, and return what it printed."""
    done = attempt(*arguments, without=without)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def attempt(*arguments: object, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    start = (
        f"import runpy, sys\nfor name in {without!r}: sys.modules[name] = None\n"
        f"sys.argv = {[str(SCRIPT), *map(str, arguments)]!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", start]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_packs_trains_elsewhere_and_finishes(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("footage/one.mp4", size=(256, 208), frames=15)
    make_clip("footage/two.mp4", size=(256, 208), frames=15)
    torch.manual_seed(0)
    initial = tmp_path / "initial.safetensors"
    save_model(build(TINY), initial, {})

    pack, checkpoint, weights = (tmp_path / name for name in ("pack.zip", "run.pt", "mine.safetensors"))
    footage = ["--data", tmp_path / "footage", "--cache", tmp_path / "cache", "--hold-out", "two*"]
    run("pack", pack, *footage, "--init", initial, "--mebibytes", 3)
    refused = attempt("pack", tmp_path / "no.zip", *footage, "three*", "--init", initial)
    assert refused.returncode == 1
    assert refused.stderr.endswith("--hold-out three*: no file of this name\n")
    assert not (tmp_path / "no.zip").exists()
    assert 1.5 * 2**20 < pack.stat().st_size <= 3 * 2**20
    with zipfile.ZipFile(pack) as archive:
        assert {"initial.pt", "parts.json", "00000-00.jpg"} <= set(archive.namelist())

    visit = [
        "train",
        pack,
        checkpoint,
        "--minutes",
        0.02,
        "--batch-size",
        1,
        "--patch",
        16,
        "--device",
        "cpu",
    ]
    assert "goes on from here" in run(*visit, "--stop-after", 1e-6, without=ABSENT)
    assert "steps" in run(*visit, without=ABSENT)
    run("finish", checkpoint, weights)
    trained, before = (load_model(path, device="cpu").state_dict() for path in (weights, initial))
    assert any(not torch.equal(trained[name], tensor) for name, tensor in before.items())
