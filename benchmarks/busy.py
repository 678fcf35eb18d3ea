"""Print what it costs and saves that OpenMP's threads sleep soon while they wait for one another.

    python benchmarks/busy.py                # an idle machine: what it costs
    python benchmarks/busy.py --loops 2      # beside two busy loops: what it saves
    python benchmarks/busy.py --size 1280x720 --frames 3

The command upscales a synthesised clip under each setting in turn, as often as --rounds says. The best of the
rounds counts, and each setting is compared with OpenMP's own default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.processors import SPINS, WAITING_VARIABLES

SETTINGS = {
    "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
    "10000 spins": {"GOMP_SPINCOUNT": "10000"},
    f"{SPINS} spins (ours)": {"GOMP_SPINCOUNT": SPINS},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loops", type=int, default=0, help="busy loops beside the command")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="320x180", help="of the source, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=8, help="of the source")
    arguments = parser.parse_args()
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.loops)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            taken = measured(Path(folder), arguments.size, arguments.frames, arguments.rounds)
    finally:
        for loop in loops:
            loop.kill()
    default = taken["OpenMP's default"]
    for name, (wall, processor) in taken.items():
        print(
            f"{name:20} {wall:7.2f} s ({wall / default[0]:.2f} of the default), "
            f"{processor:7.2f} s of processor time ({processor / default[1]:.2f})"
        )


def measured(folder: Path, size: str, frames: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least wall time and processor time of each setting, measured in turn."""
    source = folder / "in.mp4"
    picture = f"testsrc2=size={size}:rate=10"
    command = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", picture, "-frames:v", str(frames)]
    subprocess.run([*command, str(source)], check=True)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, settings in SETTINGS.items():
            taken[name].append(upscale(source, folder / "out.mp4", settings))
    return {name: (min(one[0] for one in all_), min(one[1] for one in all_)) for name, all_ in taken.items()}


def upscale(source: Path, output: Path, settings: dict[str, str]) -> tuple[float, float]:
    """Return the wall time and the processor time of one run, its start included."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING_VARIABLES}
    command = [sys.executable, "-m", "videoinr_cli", "upscale", str(source), "--scale", "2", "--fps", "2x"]
    started = time.monotonic()
    process = subprocess.Popen([*command, "-y", "-q", "-o", str(output)], env={**environment, **settings})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"the command failed with exit code {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
