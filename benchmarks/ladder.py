"""Print what less memory costs: the work of what --max-memory chooses, and of tiles that also fit.

    python benchmarks/ladder.py                                # 720p, three frames, to twice the size
    python benchmarks/ladder.py --size 1920x1080 --limits 2G 3G 4G 5G

For each limit the command runs once by itself and once with each --tile, in turn. Its processor time is
compared with the least of all, and its peak memory with the limit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from videoinr_cli.media.ffmpeg import find_ffmpeg

TILES = ("auto", "128", "256", "512", "1024")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1280x720", help="of the source, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--limits", nargs="+", default=["1500M", "2G", "3G", "4G"], help="of --max-memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.mp4"
        picture = f"testsrc2=size={arguments.size}:rate=10"
        command = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", picture]
        subprocess.run([*command, "-frames:v", str(arguments.frames), str(source)], check=True)
        for limit in arguments.limits:
            taken = {tile: upscale(source, limit, tile) for tile in TILES}
            least = min(one[0] for one in taken.values() if one is not None)
            for tile, one in taken.items():
                if one is None:
                    print(f"{limit:>6}  --tile {tile:5} does not fit")
                else:
                    seconds, peak = one
                    print(
                        f"{limit:>6}  --tile {tile:5} {seconds:8.1f} s of processor time, "
                        f"{seconds / least:.2f} of the least, {peak / 2**20:6.0f} MiB"
                    )


def upscale(source: Path, limit: str, tile: str) -> tuple[float, int] | None:
    """Return the processor time and the peak memory in bytes; None where the tile does not fit."""
    command = [sys.executable, "-m", "videoinr_cli", "upscale", str(source), "--scale", "2", "-y", "-q"]
    command += ["--max-memory", limit, "--tile", tile, "-o", str(source.with_name("out.mp4"))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return None
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
