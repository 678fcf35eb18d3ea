"""Print the peak memory of upscaling a short and a long video: it must not grow with the length.

    python benchmarks/memory.py
    python benchmarks/memory.py --seconds 10 120 --size 128x72 --fps 12
    python benchmarks/memory.py --seconds 60 3600 --size 64x36 --fps 2     # a minute and an hour

Each video is synthesised and upscaled by the command in a process of its own. The operating system reports
its peak resident memory, without ffmpeg's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from videoinr_cli.media.ffmpeg import find_ffmpeg


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, nargs=2, default=(10, 120), help="lengths to compare")
    parser.add_argument("--size", default="96x54", help="of the source, WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=10, help="of the source")
    parser.add_argument("--scale", type=float, default=2.0)
    arguments = parser.parse_args()
    peaks = []
    for seconds in arguments.seconds:
        peaks.append(peak_bytes(seconds, arguments.size, arguments.fps, arguments.scale))
        print(f"{seconds:4d} s of {arguments.size} at {arguments.fps} fps: {peaks[-1] / 2**20:.0f} MiB")
    print(f"ratio: {peaks[1] / peaks[0]:.3f}")


def peak_bytes(seconds: int, size: str, fps: int, scale: float) -> int:
    """Upscale a moving test picture with a tone and return the process's peak resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.mp4", Path(folder) / "out.mp4"
        picture = f"testsrc2=size={size}:rate={fps}:duration={seconds}"
        inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=duration={seconds}"]
        subprocess.run([find_ffmpeg(), "-v", "error", *inputs, str(source)], check=True)
        command = [sys.executable, "-m", "videoinr_cli", "upscale", str(source)]
        process = subprocess.Popen([*command, "--scale", str(scale), "-q", "-o", str(output)])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"the command failed with exit code {process.returncode}")
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
