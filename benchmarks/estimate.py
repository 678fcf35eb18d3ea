"""Print how far the estimates of a dry run and a preview are from what the run then takes.

    python benchmarks/estimate.py
    python benchmarks/estimate.py --size 1920x1080 --frames 8 --options=--max-memory=3G --options=--threads=1
    python benchmarks/estimate.py --size --doctor     # the speeds that doctor tells, instead

Each case is a source of that size, once as it is and once at twice the frame rate. Times are those of a
process, its start included, so that few frames look slower than they are.
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
"""Options that a preview does not have."""

UNITS = {"s": 1, "min": 60, "h": 3600}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="*", default=["320x180", "960x540"], help="WIDTHxHEIGHT of sources")
    parser.add_argument("--frames", type=int, default=24, help="of each source")
    parser.add_argument("--fps", nargs="+", default=["1x", "2x"], help="of the outputs")
    parser.add_argument("--options", action="append", default=[], help="of upscale; may be repeated")
    parser.add_argument("--doctor", action="store_true", help="compare the speeds that doctor tells")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.size:
            source = clip(Path(folder), size, arguments.frames)
            for fps in arguments.fps:
                options = ["--scale", "2", "--fps", fps, *arguments.options]
                begun = time.monotonic()
                said = last_event(source, [*options, "--dry-run"])["estimated_seconds"]
                asked = time.monotonic() - begun
                seen = previewed(source, options)
                took = last_event(source, options)["elapsed_seconds"]
                print(
                    f"{size} at {fps}: {took:.1f} s taken; {said:.1f} s estimated in {asked:.1f} s, ratio "
                    f"{said / took:.2f}; {seen:.0f} s by preview, ratio {seen / took:.2f}",
                    flush=True,
                )
        if arguments.doctor:
            compare_doctor(Path(folder), arguments.frames)


def clip(folder: Path, size: str, frames: int) -> Path:
    """Make a source."""
    path = folder / f"{size}.mp4"
    inputs = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=24"]
    subprocess.run([find_ffmpeg(), "-v", "error", *inputs, "-frames:v", str(frames), str(path)], check=True)
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "videoinr_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def last_event(source: Path, options: list[str]) -> dict[str, float]:
    """Upscale, and return the last event that is printed."""
    done = run("upscale", str(source), *options, "--json", "-y", "-o", str(source.with_suffix(".out.mp4")))
    event: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return event


def previewed(source: Path, options: list[str]) -> float:
    """Return the seconds that a preview foretells; it tells them rounded."""
    known = [option for option in options if not option.startswith(OF_UPSCALE_ALONE)]
    done = run("preview", str(source), *known, "-y", "-o", str(source.with_suffix(".png")))
    found = re.search(r"about ([\d.]+) (s|min|h)\b", done.stderr)
    assert found is not None, done.stderr
    return float(found[1]) * UNITS[found[2]]


def compare_doctor(folder: Path, frames: int) -> None:
    """Print the speed of each of doctor's jobs, and that of a real run of it, encoding included."""
    speeds = {
        speed["job"]: speed["frames_per_second"]
        for speed in json.loads(run("doctor", "--json").stdout)["speeds"]
    }
    for job in WORKLOADS:
        source = clip(folder, "{}x{}".format(*job.source), frames)
        options = ["--size", "{}x{}".format(*job.output), "--fps", f"{job.pictures}x"]
        end = last_event(source, options)
        fps = end["frames_written"] / end["elapsed_seconds"]
        told = speeds[job.name]
        print(f"{job.name}: {fps:.3f} frames/s, {told:.3f} by doctor, ratio of times {fps / told:.2f}")


if __name__ == "__main__":
    main()
