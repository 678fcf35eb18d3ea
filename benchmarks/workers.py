"""Compare two processes of one thread each with one process of two threads, on the same segments.

Prints frames per second of both, measured alternately, and their ratio.

    python benchmarks/workers.py [--frames 96] [--rounds 3] [--size 720x480 --scale 2]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from videoinr_cli.jobs.upscale import upscale_video
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.options import JobOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.pipeline import Progress

THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=96, help="of the source at 24 a second; at least 72")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="160x90", help="of the source, WIDTHxHEIGHT")
    parser.add_argument("--scale", type=float, default=4.0)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)  # of the processes that are started
    torch.set_num_threads(THREADS)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        source = make_source(Path(folder), arguments.size, arguments.frames)
        for _ in range(arguments.rounds):
            for workers, measured in speeds.items():
                measured.append(frames_per_second(source, Path(folder), workers, arguments.scale))
    best = {workers: max(measured) for workers, measured in speeds.items()}
    print(f"1 worker, {THREADS} threads:    {best[1]:.2f} output frames/s")
    print(f"2 workers, 1 thread each: {best[2]:.2f} output frames/s, {best[2] / best[1]:.1%} of it")


def make_source(folder: Path, size: str, frames: int) -> Path:
    path = folder / "source.mp4"
    picture = f"testsrc2=size={size}:rate=24,noise=alls=12:allf=t"
    command = [
        find_ffmpeg(),
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        picture,
        "-frames:v",
        str(frames),
        path,
    ]
    subprocess.run(command, check=True)
    return path


def frames_per_second(source: Path, folder: Path, workers: int, scale: float) -> float:
    """Return the throughput while all workers are busy, without their start and their end."""
    frames = 0
    moments: list[tuple[float, int]] = []  # when a segment is done, and the pictures rendered by then, in all

    def count(progress: Progress) -> None:
        nonlocal frames
        frames = progress.frames

    upscale_video(
        source,
        folder / f"{workers}.mp4",
        UpscaleOptions(scale=scale, fps=TargetRate.parse("2x"), overwrite=True, device="cpu"),
        job=JobOptions(workers=workers, segment_seconds=0.5),
        progress=count,
        on_segment=lambda done: moments.append((time.monotonic(), frames)),
    )
    # From when each worker can have done one on, until there is too little left for all of them.
    (begin, before), (end, after) = moments[workers - 1], moments[-workers - 1]
    return (after - before) / (end - begin)


if __name__ == "__main__":
    main()
