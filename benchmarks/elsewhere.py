"""Train on another machine, lent for minutes, with torch and Pillow but without PyAV and internet access.

    python benchmarks/elsewhere.py pack pack.zip --data FOOTAGE --cache CACHE --init videoinr-fast
    python benchmarks/elsewhere.py pack pack.zip --pairs PAIRS --cache CACHE --init videoinr-real
    python benchmarks/elsewhere.py train pack.zip training.pt --minutes 12   # there, in a copy of this tree
    python benchmarks/elsewhere.py finish training.pt mine.safetensors

A pack holds training and held-out footage as short runs of cropped frames in high-quality JPEG, or pairs of
clips whose LR frames are kept exactly, and the initial weights. ``train`` decodes it at once onto the device,
where batches are made. It goes on from training.pt if that exists, so that a run can be spread over visits.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import math
import os
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from videoinr_cli.model import AnyVideoInr, ModelConfig, build
from videoinr_cli.model.fast.layers import ResidualBlock
from videoinr_cli.training.batches import BatchSource
from videoinr_cli.training.footage import Frames, Shot, load_shots
from videoinr_cli.training.loop import TrainingProgress, train
from videoinr_cli.training.pairs import ClipPair, PairSampler, load_pairs
from videoinr_cli.training.recipes import OWN, PAIRS, Recipe
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer
from videoinr_cli.training.validation import Clip

RUN_FRAMES = 13
"""Frames of a run: four frames of context and pair, three steps of four apart."""
CROP_PX = 320
"""Side of what is kept of a frame: an x5 patch of 64 px."""
STILL_PX = 640
"""Of a photograph: the same with room for its motion."""
JPEG = {"format": "JPEG", "quality": 92, "subsampling": 0}
PNG = {"format": "PNG"}
MARGIN_BYTES = 1 << 20
"""What the archive's own bookkeeping may take."""
CHECKPOINT_MINUTES = 2.0
REPORT_STEPS = 100


@dataclasses.dataclass(frozen=True)
class Part:
    """Some frames in the archive."""

    source: str
    held_out: bool
    names: list[str]  # of footage, or a pair's HR frames
    lr_names: list[str]  # a pair's LR frames


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="put footage and weights into one file")
    packing.add_argument("pack", type=Path)
    source = packing.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, nargs="+", help="folders of videos and photographs")
    source.add_argument("--pairs", type=Path, nargs="+", help="folders of lr/NAME and hr/NAME")
    packing.add_argument("--cache", type=Path, required=True, help="folder for decoded frames")
    packing.add_argument("--hold-out", nargs="*", default=[], help="patterns of files to validate on")
    packing.add_argument("--init", required=True, help="weights to begin with, a name or a file")
    packing.add_argument("--mebibytes", type=float, default=56, help="the most that the pack may take")
    packing.add_argument("--seed", type=int, default=0)
    training = commands.add_parser("train", help="train from a pack")
    training.add_argument("pack", type=Path)
    training.add_argument("checkpoint", type=Path)
    training.add_argument("--minutes", type=float, required=True, help="of the schedule, over all visits")
    training.add_argument("--stop-after", type=float, help="minutes after its start that this visit ends")
    training.add_argument("--learning-rate", type=float, help="the highest  [default: the recipe's]")
    training.add_argument("--batch-size", type=int, default=64)
    training.add_argument("--patch", type=int, default=64, help="side of the LR patches")
    training.add_argument("--halfway", action="store_true", help="judge what lies halfway from the start too")
    training.add_argument("--compile", action="store_true", help="compile the residual blocks")
    training.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    training.add_argument("--seed", type=int, default=0)
    finishing = commands.add_parser("finish", help="turn a checkpoint into a weights file")
    finishing.add_argument("checkpoint", type=Path)
    finishing.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    {"pack": pack, "train": train_here, "finish": finish}[arguments.command](arguments)


def pack(arguments: argparse.Namespace) -> None:
    """Fill an archive with runs drawn from all clips in turn, until it is full."""
    from videoinr_cli.weights import load_model

    model = load_model(arguments.init, device="cpu", precision="fp32")
    initial = io.BytesIO()
    torch.save({"config": model.config.to_json(), "state": model.state_dict()}, initial)
    budget = arguments.mebibytes * 2**20 - MARGIN_BYTES - initial.tell()
    load = load_pairs if arguments.pairs else load_shots
    clips = load(
        arguments.pairs or arguments.data, arguments.cache, report=lambda line: print(line, file=sys.stderr)
    )
    for pattern in arguments.hold_out:
        if not any(fnmatch(clip.source, pattern) for clip in clips):
            sys.exit(f"--hold-out {pattern}: no file of this name")
    parts: list[Part] = []
    with zipfile.ZipFile(arguments.pack, "w") as archive:
        archive.writestr("initial.pt", initial.getvalue())
        for source, frames, lr in _runs(clips, np.random.default_rng(arguments.seed)):
            kept = {
                f"{len(parts):05d}-{number:02d}.jpg": _coded(one, JPEG) for number, one in enumerate(frames)
            }
            exact = {f"{len(parts):05d}-{number:02d}.png": _coded(one, PNG) for number, one in enumerate(lr)}
            budget -= sum(map(len, (*kept.values(), *exact.values())))
            if budget < 0:
                break
            for name, data in (kept | exact).items():
                archive.writestr(name, data)
            held_out = any(fnmatch(source, pattern) for pattern in arguments.hold_out)
            parts.append(Part(source, held_out, list(kept), list(exact)))
        archive.writestr("parts.json", json.dumps([dataclasses.asdict(part) for part in parts]))
    count = sum(len(part.names) + len(part.lr_names) for part in parts)
    print(f"{arguments.pack}: {count} frames, {arguments.pack.stat().st_size / 2**20:.1f} MiB")


def _runs(
    clips: Sequence[Clip], rng: np.random.Generator
) -> Iterator[tuple[str, Frames, Frames | tuple[()]]]:
    """Yield every pair once; of shots crops in turn, round after round, so that few hold some of each."""
    pairs = [clip for clip in clips if isinstance(clip, ClipPair)]
    for place in rng.permutation(len(pairs)):
        yield pairs[place].source, pairs[place].hr, pairs[place].lr
    shots = [clip for clip in clips if isinstance(clip, Shot)]
    for place in (place for _ in range(1000) for place in rng.permutation(len(shots))):
        shot = shots[place]
        side = STILL_PX if shot.is_still else CROP_PX
        start, top, left = (
            int(rng.integers(0, max(0, whole - kept) + 1))
            for whole, kept in zip(shot.frames.shape[:3], (RUN_FRAMES, side, side), strict=True)
        )
        yield shot.source, shot.frames[start : start + RUN_FRAMES, top : top + side, left : left + side], ()


def _coded(frame: Frames, how: dict[str, object]) -> bytes:
    coded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(coded, **how)
    return coded.getvalue()


def unpack(path: Path) -> tuple[AnyVideoInr, list[Clip], list[Clip]]:
    """Return a pack's network, its training clips and its held-out clips."""
    clips: dict[bool, list[Clip]] = {False: [], True: []}
    with zipfile.ZipFile(path) as archive, ThreadPoolExecutor(os.cpu_count()) as pool:
        initial = torch.load(io.BytesIO(archive.read("initial.pt")), weights_only=True)
        parts = [Part(**entry) for entry in json.loads(archive.read("parts.json"))]
        names = [name for part in parts for name in (*part.names, *part.lr_names)]
        pictures = dict(zip(names, pool.map(_decoded, map(archive.read, names)), strict=True))
    for part in parts:
        frames, lr = (
            np.stack([pictures.pop(name) for name in some]) if some else None
            for some in (part.names, part.lr_names)
        )
        clip = Shot(part.source, frames) if lr is None else ClipPair(part.source, lr, frames)
        clips[part.held_out].append(clip)
    model = build(ModelConfig.from_json(initial["config"]))
    model.load_state_dict(initial["state"])
    return model, clips[False], clips[True]


def _decoded(data: bytes) -> Frames:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def recipe_of(clips: Sequence[Clip], arguments: argparse.Namespace) -> Recipe:
    """Return the package's recipe for what a pack holds, with the sizes and the length of this run."""
    recipe = PAIRS if isinstance(clips[0], ClipPair) else OWN
    schedule = dataclasses.replace(
        recipe.schedule,
        minutes=arguments.minutes,
        learning_rate=arguments.learning_rate or recipe.schedule.learning_rate,
        checkpoint_minutes=CHECKPOINT_MINUTES,
        seed=arguments.seed,
    )
    samples = dataclasses.replace(recipe.samples, batch_size=arguments.batch_size, lr_size=arguments.patch)
    return Recipe(recipe.architecture, schedule.judged_halfway() if arguments.halfway else schedule, samples)


def train_here(arguments: argparse.Namespace) -> None:
    """Train to the end of the schedule, or until this visit has to end."""
    model, clips, held_out = unpack(arguments.pack)
    device = torch.device(arguments.device)
    recipe = recipe_of(clips, arguments)
    sampler: BatchSource = (PairSampler if isinstance(clips[0], ClipPair) else Sampler)(
        clips, recipe.samples, seed=arguments.seed, device=device
    )
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    trainer = Trainer(model, recipe.schedule, device=device, dtype=dtype)
    if arguments.checkpoint.exists():
        trainer.load(arguments.checkpoint)
    if arguments.compile:
        for module in trainer.model.modules():
            if isinstance(module, ResidualBlock):  # all of a width share what is compiled
                module.compile()
    visit = Visit(trainer, 60 * (arguments.stop_after or math.inf))
    print(f"{len(clips)} clips on {device} after {_running_seconds():.1f} s", flush=True)
    try:
        train(trainer, sampler, held_out, checkpoint=arguments.checkpoint, report=visit.report)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
    print(visit.summary())
    print(f"{arguments.checkpoint}: {trainer.step} steps, {trainer.seconds / 60:.1f} minutes on {device}")


class Visit:
    """What is told of a visit, and when it ends."""

    def __init__(self, trainer: Trainer, ends_seconds: float) -> None:
        self.trainer = trainer
        self.ends_seconds = ends_seconds
        self.began = time.monotonic()
        self.before = trainer.seconds
        self.first_step = trainer.step
        self.waited = 0.0

    def report(self, progress: TrainingProgress) -> None:
        """Print now and then how it goes; interrupt the loop at the end, which writes its checkpoint."""
        self.waited = progress.waited_seconds
        number = progress.step - self.first_step
        if number == 1:
            print(f"first step after {_running_seconds():.1f} s", flush=True)
        if progress.validation or number % REPORT_STEPS == 0:
            print(f"step {progress.step}  loss {progress.loss:.5f}  {progress.validation or ''}", flush=True)
        if _running_seconds() > self.ends_seconds:
            raise KeyboardInterrupt

    def summary(self) -> str:
        """Say where the time of this visit went."""
        whole = time.monotonic() - self.began
        counted = self.trainer.seconds - self.before
        steps = max(1, self.trainer.step - self.first_step)
        return (
            f"{1000 * whole / steps:.1f} ms for each step: {(counted - self.waited) / whole:.1%} stepping, "
            f"{self.waited / whole:.1%} waiting for batches, {(whole - counted) / whole:.1%} else "
            "(validation, checkpoints, the loop)"
        )


def _running_seconds() -> float:
    """Return how long this process has run, torch's import included."""
    return time.time() - psutil.Process().create_time()


def finish(arguments: argparse.Namespace) -> None:
    """Write a checkpoint's averaged weights as a weights file."""
    from videoinr_cli.weights import save_model

    state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    model = build(ModelConfig.from_json(state["config"]))
    model.load_state_dict(state["average"])
    save_model(
        model, arguments.weights, {"training": f"{state['step']} steps, {state['seconds'] / 60:.0f} minutes"}
    )
    print(f"{arguments.weights}: {state['step']} steps")


if __name__ == "__main__":
    main()
