"""Print what less memory costs: the work of what --max-memory chooses, and of the best that also fits.

    python benchmarks/ladder.py                # by counting: 720p, 1080p and 4K, to twice the size
    python benchmarks/ladder.py --measure      # 720p, three frames
    python benchmarks/ladder.py --measure --size 1920x1080 --limits 2G 3G 4G 5G

Counted are the multiplications and additions of the embedded network, tile by tile, for what is chosen and
for all that --tile could name. To measure, the command runs once by itself and once with each --tile, in
turn. Its processor time is compared with the least of all, and its peak memory with the limit.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.model import AnyVideoInr, FastConfig, build
from videoinr_cli.render.memory import held_bytes
from videoinr_cli.render.pieces import Sizes, choose_sizes, needed_bytes

Size = tuple[int, int]
"""(rows, columns)"""

LADDER: list[tuple[Size, int]] = [
    ((720, 1280), 2),
    *(((1080, 1920), gibibytes) for gibibytes in (2, 3, 4, 5)),
    *(((2160, 3840), gibibytes) for gibibytes in (3, 4, 6, 8, 12, 16)),
]
"""Sources, and the GiB in which they are rendered."""

SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
"""Of square tiles that are compared with what is chosen."""

INSTANTS = (1, 2, 8)

TILES = ("auto", "128", "256", "512", "1024")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1280x720", help="of the source, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--limits", nargs="+", default=["1500M", "2G", "3G", "4G"], help="of --max-memory")
    parser.add_argument("--measure", action="store_true", help="run the command instead of counting")
    arguments = parser.parse_args()
    if not arguments.measure:
        print_counts()
        return
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


@dataclasses.dataclass(frozen=True)
class Operations:
    """Multiplications and additions for each LR pixel (`point`: each output pixel), as in `Effort`."""

    alone: float
    following: float
    again: float
    instant: float
    point: float


def operations() -> Operations:
    """Count those of the embedded network."""
    model = build(FastConfig()).eval()
    height, width = 32, 64

    def counted(call: Callable[[], Any]) -> tuple[Any, float]:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            made = call()
        return made, counter.get_total_flops() / (height * width)

    pictures = torch.rand(5, 1, 3, height, width)
    frames, per_frame = counted(lambda: [model.encode_frame(picture) for picture in pictures])
    a, b, c, d, e = frames
    per_frame /= 5
    pair, alone = counted(lambda: model.encode_pair(b, c, before=a, after=d))
    pair, following = counted(lambda: model.encode_pair(c, d, before=b, after=e, carry=pair.carry))
    _, again = counted(lambda: model.encode_pair(c, d, before=b, after=e, carry=pair.carry))
    drawn = [counted(lambda s=s: model.render(pair, 0.5, (s * height, s * width)))[1] for s in (2, 4)]  # type: ignore[misc]
    point = (drawn[1] - drawn[0]) / (4**2 - 2**2)
    return Operations(
        alone=alone + 4 * per_frame,
        following=following + per_frame,
        again=again,
        instant=drawn[0] - 2**2 * point,
        point=point,
    )


def operations_of(
    sizes: Sizes, model: AnyVideoInr, lr_size: Size, size: Size, instants: int, each: Operations
) -> float:
    """Count what a pair and its instants cost, tile by tile."""
    total = 0.0
    cut = sizes.tiles(model, lr_size, size)
    for tile in cut:
        rows, columns = tile.rows, tile.columns
        encodings = 1 if len(cut) == 1 else -(-instants // sizes.together)
        cost = each.alone * encodings
        if sizes.keeps:
            cost = each.following + each.again * (encodings - 1)
        pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
        total += (cost + each.instant * instants) * pixels
        total += each.point * instants * len(rows.weights) * len(columns.weights)
    return total


def least(
    model: AnyVideoInr, lr_size: Size, size: Size, limit_bytes: int, instants: int, each: Operations
) -> float:
    """Count what the best of all that --tile could name costs, of what fits."""
    ways = itertools.product(SIDES, (True, False), (1, 2, 4, 8), (64, 8))
    choices = (
        Sizes(tile_px=(side, side), keeps=keeps, together=together, chunk_bytes=chunk << 20)
        for side, keeps, together, chunk in ways
    )
    return min(
        operations_of(sizes, model, lr_size, size, instants, each)
        for sizes in choices
        if needed_bytes(model, lr_size, size, sizes) <= limit_bytes
    )


def print_counts() -> None:
    """Print the work of what is chosen for each step of the ladder, over that of the best."""
    model, each = build(FastConfig()).eval(), operations()
    ratios = []
    print(f"work over that of the best (and of whole frames), with {INSTANTS} instants of each pair:")
    for (rows, columns), gibibytes in LADDER:
        lr_size, size, limit = (rows, columns), (2 * rows, 2 * columns), gibibytes << 30
        told = []
        for instants in INSTANTS:
            limit_bytes = limit + held_bytes(model.device)  # as if this process held nothing
            chosen = choose_sizes(model, lr_size, size, limit_bytes=limit_bytes, instants=instants)
            work = operations_of(chosen, model, lr_size, size, instants, each)
            whole = operations_of(Sizes(), model, lr_size, size, instants, each)
            ratios.append(work / least(model, lr_size, size, limit, instants, each))
            told.append(f"{ratios[-1]:.2f} ({work / whole:.1f})")
        print(f"{columns}x{rows} in {gibibytes:2} GiB: {', '.join(told)}")
    print(f"at most {max(ratios):.2f} times the work of the best that --tile could name")


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
