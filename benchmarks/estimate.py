"""Print how far the estimate of a dry run is from what the run then takes, and how long the estimate took.

    python benchmarks/estimate.py
    python benchmarks/estimate.py --size 1920x1080 --frames 8 --options=--max-memory=3G --options=--threads=1

Each case is a source of that size, once as it is and once at twice the frame rate. Times are those of a
process, its start included, so that few frames look slower than they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from videoinr_cli.media.ffmpeg import find_ffmpeg


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="+", default=["320x180", "960x540"], help="WIDTHxHEIGHT of sources")
    parser.add_argument("--frames", type=int, default=24, help="of each source")
    parser.add_argument("--options", action="append", default=[], help="of upscale; may be repeated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.size:
            source = Path(folder) / f"{size}.mp4"
            inputs = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=24"]
            command = [find_ffmpeg(), "-v", "error", *inputs, "-frames:v", str(arguments.frames)]
            subprocess.run([*command, str(source)], check=True)
            for fps in ("1x", "2x"):
                options = ["--scale", "2", "--fps", fps, *arguments.options]
                begun = time.monotonic()
                said = last_event(source, [*options, "--dry-run"])["estimated_seconds"]
                asked = time.monotonic() - begun
                took = last_event(source, options)["elapsed_seconds"]
                print(
                    f"{size} at {fps}: {said:.1f} s estimated in {asked:.1f} s, {took:.1f} s taken, "
                    f"ratio {said / took:.2f}"
                )


def last_event(source: Path, options: list[str]) -> dict[str, float]:
    """Run the command and return the last event that it prints."""
    command = [sys.executable, "-m", "videoinr_cli", "upscale", str(source), *options, "--json", "-y"]
    done = subprocess.run(
        [*command, "-o", str(source.with_suffix(".out.mp4"))], capture_output=True, text=True, check=True
    )
    event: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return event


if __name__ == "__main__":
    main()
