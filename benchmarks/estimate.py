"""Print how far the estimates of a dry run and a preview are from what the run then takes.

    python benchmarks/estimate.py
    python benchmarks/estimate.py --size 1920x1080 --frames 8 --options=--max-memory=3G --options=--threads=1
    python benchmarks/estimate.py --size 320x180 --options=--tile=64 --options=--model=real --clock processor
    python benchmarks/estimate.py --size --doctor     # the speeds that doctor tells, instead

Each case is a source of that size, once as it is and once at twice the frame rate: a dry run, a preview and
the run itself, in turn. Where other programs run, a wall clock measures those; by --clock processor, one
thread renders, and both sides count what it computes and what is decoded, but not what ffmpeg encodes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from videoinr_cli.doctor.speed import WORKLOADS
from videoinr_cli.media.ffmpeg import find_ffmpeg

OF_UPSCALE_ALONE = ("--max-memory", "--tile")
"""Options that a preview does not have, and whose time it cannot foretell."""

UNITS = {"s": 1, "min": 60, "h": 3600}

CLOCKS = {
    "wall": "",
    # What waits for threads and programs keeps the other clock, with which it is imported.
    "processor": "import queue, subprocess, threading, time\n"
    "time.monotonic = time.perf_counter = time.process_time\n",
}
"""What a process does before the command, so that it measures by that clock."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="*", default=["320x180", "960x540"], help="WIDTHxHEIGHT of sources")
    parser.add_argument("--frames", type=int, default=24, help="of each source")
    parser.add_argument("--fps", nargs="+", default=["1x", "2x"], help="of the outputs")
    parser.add_argument("--options", action="append", default=[], help="of upscale; may be repeated")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--doctor", action="store_true", help="compare the speeds that doctor tells")
    arguments = parser.parse_args()
    clock = CLOCKS[arguments.clock]
    if clock:
        arguments.options.append("--threads=1")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.size:
            source = clip(Path(folder), size, arguments.frames)
            for fps in arguments.fps:
                options = ["--scale", "2", "--fps", fps, *arguments.options]
                begun = time.monotonic()
                said = event(source, [*options, "--dry-run"], "plan", clock)["estimated_seconds"]
                asked = time.monotonic() - begun
                has_preview = not any(option.startswith(OF_UPSCALE_ALONE) for option in options)
                seen = previewed(source, options, clock) if has_preview else None
                took = event(source, options, "done", clock)["elapsed_seconds"]
                print(
                    f"{size} at {fps}: {took:.1f} s taken; {said:.1f} s estimated in {asked:.1f} s, ratio "
                    f"{said / took:.2f}"
                    + ("" if seen is None else f"; {seen:.0f} s by preview, ratio {seen / took:.2f}"),
                    flush=True,
                )
        if arguments.doctor:
            compare_doctor(Path(folder), arguments.frames, clock)


def clip(folder: Path, size: str, frames: int) -> Path:
    """Make a source."""
    path = folder / f"{size}.mp4"
    inputs = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=24"]
    subprocess.run(
        [find_ffmpeg(), "-v", "error", "-y", *inputs, "-frames:v", str(frames), str(path)], check=True
    )
    return path


def run(clock: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command, after what `CLOCKS` says."""
    code = f"{clock}from videoinr_cli.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )


def event(source: Path, options: list[str], kind: str, clock: str) -> dict[str, float]:
    """Upscale, and return the event of a kind."""
    output = str(source.with_suffix(".out.mp4"))
    told = run(clock, "upscale", str(source), *options, "--json", "-y", "-o", output).stdout
    (found,) = (one for one in map(json.loads, told.splitlines()) if one["event"] == kind)
    return dict(found)


def previewed(source: Path, options: list[str], clock: str) -> float:
    """Return the seconds that a preview foretells; it tells them rounded."""
    done = run(clock, "preview", str(source), *options, "-y", "-o", str(source.with_suffix(".png")))
    found = re.search(r"about ([\d.]+) (s|min|h)\b", done.stderr)
    assert found is not None, done.stderr
    return float(found[1]) * UNITS[found[2]]


def compare_doctor(folder: Path, frames: int, clock: str) -> None:
    """Print the speed of each of doctor's jobs, and that of a real run of it."""
    speeds = {
        speed["job"]: speed["frames_per_second"]
        for speed in json.loads(run(clock, "doctor", "--json").stdout)["speeds"]
    }
    for job in WORKLOADS:
        source = clip(folder, "{}x{}".format(*job.source), frames)
        options = ["--size", "{}x{}".format(*job.output), "--fps", f"{job.pictures}x"]
        end = event(source, options, "done", clock)
        fps = end["frames_written"] / end["elapsed_seconds"]
        told = speeds[job.name]
        print(f"{job.name}: {fps:.3f} frames/s, {told:.3f} by doctor, ratio of times {fps / told:.2f}")


if __name__ == "__main__":
    main()
