"""A run elsewhere needs no more than is there, keeps to the device, and is what it would be here."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.model.test_other_devices import OneDevice
from tests.outside import ROOT, load
from tests.tiny import TINY
from tests.training.test_pairs import pair_of
from tests.training.test_samples import sliding_clip, still
from videoinr_cli.model import build
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.loop import TrainingProgress, train
from videoinr_cli.training.pairs import PairSampler
from videoinr_cli.training.recipes import SampleRecipe, Schedule
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer
from videoinr_cli.weights import load_model

elsewhere = load("benchmarks/elsewhere.py")

LACKING = (
    "av",
    "click",
    "ffmpeg",
    "huggingface_hub",
    "imageio_ffmpeg",
    "platformdirs",
    "rich",
    "safetensors",
)
WITHOUT = f"""
import runpy, sys
for name in {LACKING}:
    sys.modules[name] = None  # importing it fails
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def command(*words: object) -> str:
    """Run the benchmark where much is not installed, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ROOT / "benchmarks" / "elsewhere.py", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(folder: Path, weights: Path, **given: Any) -> Path:
    """Return a pack of what lies in a folder."""
    path = folder / "pack.zip"
    arguments = {"data": None, "pairs": None, "hold_out": [], "mebibytes": 2.0, "seed": 0, **given}
    elsewhere.pack(argparse.Namespace(pack=path, cache=folder / "cache", init=str(weights), **arguments))
    return path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in (1, 2):
        Image.fromarray(still(seed).frames[0]).save(folder / f"{seed}.png")
    return folder


def test_a_run_in_two_visits_on_a_machine_that_lacks_most(
    photographs: Path, weights: Path, tmp_path: Path
) -> None:
    """The weights that come back are those of a run here, in one go."""
    pack = packed(tmp_path, weights, data=[photographs])
    few = ["--patch", 16, "--batch-size", 2, "--device", "cpu"]
    checkpoint = tmp_path / "training.pt"
    # the clock of a schedule is over before the first step is, which a longer one continues
    command("train", pack, checkpoint, "--minutes", 1e-9, *few)
    told = command("train", pack, checkpoint, "--minutes", 1e9, "--stop-after", 1e-9, *few)
    assert "first step after" in told
    assert "waiting for batches" in told
    assert "2 steps" in told
    elsewhere.finish(argparse.Namespace(checkpoint=checkpoint, weights=tmp_path / "mine.safetensors"))
    made, begun = load_model(tmp_path / "mine.safetensors"), load_model(weights)
    assert made.config == begun.config
    assert any(not torch.equal(*both) for both in zip(made.parameters(), begun.parameters(), strict=True))


def test_pairs_are_packed_with_exact_lr_frames(weights: Path, tmp_path: Path) -> None:
    for side, size in (("lr", 24), ("hr", 48)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for name in "ab":
            noise = np.random.default_rng(ord(name)).integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "pairs" / side / f"{name}.png")
    pack = packed(tmp_path, weights, pairs=[tmp_path / "pairs"], hold_out=["b"])
    _, (trained,), (held_out,) = elsewhere.unpack(pack)
    assert (trained.source, held_out.source) == ("a", "b")
    assert np.array_equal(trained.lr[0], np.array(Image.open(tmp_path / "pairs" / "lr" / "a.png")))
    assert trained.hr.shape == (1, 48, 48, 3)
    recipe = elsewhere.recipe_of(
        [trained],
        argparse.Namespace(minutes=1.0, learning_rate=None, seed=0, batch_size=64, patch=64, halfway=True),
    )
    assert recipe.schedule.sharpening  # as pairs are taught
    assert recipe.schedule.halfway_share
    assert (recipe.samples.batch_size, recipe.samples.lr_size) == (64, 64)


@pytest.mark.parametrize("kind", ["footage", "pairs"])
def test_a_batch_is_made_without_leaving_the_device(kind: str) -> None:
    """On the device without values nothing can be read back, and nothing may mix with the CPU's tensors."""
    meta = torch.device("meta")
    recipe = SampleRecipe(batch_size=4, lr_size=16, wide_every=2, wide_size=32, overlay_share=1.0)
    sampler = (
        Sampler([sliding_clip(), still(1)], recipe, seed=0, device=meta)
        if kind == "footage"
        else PairSampler([pair_of()], recipe, seed=0, device=meta)
    )
    with OneDevice():
        batches = [sampler.batch(step) for step in range(2)]
    for batch in batches:
        assert all(tensor.is_meta for tensor in (batch.first, batch.flow, batch.still))
        assert all(tensor.is_meta for tensor in (*batch.targets, *batch.taus))
    assert kind == "pairs" or batches[0].wide.first.is_meta


def test_the_loop_itself_takes_little_of_a_step(tmp_path: Path) -> None:
    """By processor time of the thread, which other programs do not change."""

    class Same:
        recipe = SampleRecipe(batch_size=2, lr_size=16)
        drawn = Sampler([sliding_clip()], recipe, seed=0).batch(1)

        def batch(self, step: int) -> Batch:
            return self.drawn

    stepping = [0.0]

    class Timed(Trainer):
        def train_step(self, batch: Batch) -> None:
            started = time.thread_time()
            super().train_step(batch)
            stepping[0] += time.thread_time() - started

    torch.manual_seed(0)
    schedule = Schedule(steps=10, validate_every=100)
    trainer = Timed(build(TINY), schedule, device=torch.device("cpu"), dtype=torch.float32)
    marks: list[tuple[float, float]] = []

    def mark(progress: TrainingProgress) -> None:
        marks.append((time.thread_time(), stepping[0]))

    train(trainer, Same(), [], checkpoint=tmp_path / "run.pt", report=mark)
    whole, steps = (last - first for first, last in zip(marks[0], marks[-1], strict=True))
    assert steps > 0.95 * whole, f"the loop takes {1 - steps / whole:.1%} of {whole:.3f} s"
