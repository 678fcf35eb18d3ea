"""Train on another machine, with torch and OpenCV but without PyAV and internet access.

    python benchmarks/elsewhere.py pack pack.zip --data FOOTAGE --cache CACHE --init videoinr-fast
    python benchmarks/elsewhere.py train pack.zip training.pt --minutes 25    # there, in a copy of this tree
    python benchmarks/elsewhere.py finish training.pt mine.safetensors

A pack holds training and held-out shots, as short runs of cropped frames in high-quality JPEG, and the
initial weights. ``train`` continues from training.pt if it exists, so that a run can be spread over several
sessions.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch

from videoinr_cli.model import AnyVideoInr, ModelConfig, build
from videoinr_cli.training.footage import Frames, Shot, load_shots
from videoinr_cli.training.loop import TrainingProgress, train
from videoinr_cli.training.recipes import SampleRecipe, Schedule
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import Trainer

RUN_FRAMES = 13
"""Frames of a run: four frames of context and pair, three steps of four apart."""
CROP_PX = 320
"""Side of what is kept of a frame: an x5 patch of 48 px, and room to place it in."""
STILL_PX = 640
JPEG_QUALITY = 92
MARGIN_BYTES = 1 << 20
"""What the archive's own bookkeeping may take."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Some frames in the archive."""

    source: str
    names: list[str]
    held_out: bool


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="put footage and weights into one file")
    packing.add_argument("pack", type=Path)
    packing.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders of videos and photographs"
    )
    packing.add_argument("--cache", type=Path, required=True, help="folder for decoded frames")
    packing.add_argument("--hold-out", nargs="*", default=[], help="patterns of files to validate on")
    packing.add_argument("--init", required=True, help="weights to begin with, a name or a file")
    packing.add_argument("--mebibytes", type=float, default=64, help="the most that the pack may take")
    packing.add_argument("--seed", type=int, default=0)
    training = commands.add_parser("train", help="train from a pack")
    training.add_argument("pack", type=Path)
    training.add_argument("checkpoint", type=Path)
    training.add_argument("--minutes", type=float, required=True, help="of the schedule, over all visits")
    training.add_argument("--stop-after", type=float, help="minutes after which this visit ends")
    training.add_argument("--learning-rate", type=float, default=Schedule.learning_rate)
    training.add_argument("--batch-size", type=int, default=SampleRecipe.batch_size)
    training.add_argument("--patch", type=int, default=48)
    training.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    training.add_argument("--seed", type=int, default=0)
    finishing = commands.add_parser("finish", help="turn a checkpoint into a weights file")
    finishing.add_argument("checkpoint", type=Path)
    finishing.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    {"pack": pack, "train": train_here, "finish": finish}[arguments.command](arguments)


def pack(arguments: argparse.Namespace) -> None:
    """Fill an archive with runs drawn from all shots in turn, until it is full."""
    from videoinr_cli.weights import load_model

    model = load_model(arguments.init, device="cpu", precision="fp32")
    initial = io.BytesIO()
    torch.save({"config": model.config.to_json(), "state": model.state_dict()}, initial)
    budget = arguments.mebibytes * 2**20 - MARGIN_BYTES - initial.tell()
    shots = load_shots(arguments.data, arguments.cache, report=lambda line: print(line, file=sys.stderr))
    for pattern in arguments.hold_out:
        if not any(fnmatch(shot.source, pattern) for shot in shots):
            sys.exit(f"--hold-out {pattern}: no file of this name")
    parts: list[Part] = []
    with zipfile.ZipFile(arguments.pack, "w") as archive:
        archive.writestr("initial.pt", initial.getvalue())
        for shot, run in _runs(shots, np.random.default_rng(arguments.seed)):
            pictures = [_to_jpeg(frame) for frame in run]
            budget -= sum(map(len, pictures))
            if budget < 0:
                break
            names = [f"{len(parts):05d}-{number:02d}.jpg" for number in range(len(pictures))]
            for name, picture in zip(names, pictures, strict=True):
                archive.writestr(name, picture)
            held_out = any(fnmatch(shot.source, pattern) for pattern in arguments.hold_out)
            parts.append(Part(shot.source, names, held_out))
        archive.writestr("parts.json", json.dumps([dataclasses.asdict(part) for part in parts]))
    frames = sum(len(part.names) for part in parts)
    print(f"{arguments.pack}: {frames} frames, {arguments.pack.stat().st_size / 2**20:.1f} MiB")


def _runs(shots: Sequence[Shot], rng: np.random.Generator) -> Iterator[tuple[Shot, Frames]]:
    """Draw crops from all shots in turn, round after round, so that a small pack has some of each."""
    for _ in range(1000):
        for place in rng.permutation(len(shots)):
            shot = shots[place]
            side = STILL_PX if shot.is_still else CROP_PX
            start, top, left = (
                int(rng.integers(0, max(0, whole - kept) + 1))
                for whole, kept in zip(shot.frames.shape[:3], (RUN_FRAMES, side, side), strict=True)
            )
            yield shot, shot.frames[start : start + RUN_FRAMES, top : top + side, left : left + side]


def _to_jpeg(frame: Frames) -> bytes:
    import cv2

    flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]  # 4:4:4
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), flags)[1])


def unpack(path: Path) -> tuple[AnyVideoInr, list[Shot], list[Shot]]:
    """Return a pack's network, its training shots and its held-out shots."""
    import cv2

    shots: dict[bool, list[Shot]] = {False: [], True: []}
    with zipfile.ZipFile(path) as archive:
        initial = torch.load(io.BytesIO(archive.read("initial.pt")), weights_only=True)
        for entry in json.loads(archive.read("parts.json")):
            part = Part(**entry)
            encoded = [np.frombuffer(archive.read(name), np.uint8) for name in part.names]
            frames = np.stack([cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1] for data in encoded])
            shots[part.held_out].append(Shot(part.source, frames))
    model = build(ModelConfig.from_json(initial["config"]))
    model.load_state_dict(initial["state"])
    return model, shots[False], shots[True]


def train_here(arguments: argparse.Namespace) -> None:
    """Train to the end of the schedule, or until this session has to end."""
    model, shots, held_out = unpack(arguments.pack)
    device = torch.device(arguments.device)
    schedule = Schedule(minutes=arguments.minutes, learning_rate=arguments.learning_rate, seed=arguments.seed)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    trainer = Trainer(model, schedule, device=device, dtype=dtype)
    if arguments.checkpoint.exists():
        trainer.load(arguments.checkpoint)
    recipe = SampleRecipe(batch_size=arguments.batch_size, lr_size=arguments.patch)
    ends = time.monotonic() + 60 * (arguments.stop_after or arguments.minutes)

    def report(progress: TrainingProgress) -> None:
        if progress.validation or progress.step % 100 == 0:
            print(f"step {progress.step}  loss {progress.loss:.5f}  {progress.validation or ''}", flush=True)
        if time.monotonic() > ends:
            raise KeyboardInterrupt  # the loop writes the checkpoint on its way out

    try:
        train(
            trainer,
            Sampler(shots, recipe, seed=arguments.seed),
            held_out,
            checkpoint=arguments.checkpoint,
            report=report,
        )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
    print(f"{arguments.checkpoint}: {trainer.step} steps, {trainer.seconds / 60:.1f} minutes on {device}")


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
