"""Compare the networks' bilinear sampling with torch's grid_sample, with and without gradients.

Prints milliseconds of both, measured alternately in one process, and their ratio, for a table of the size
that a training step reads (12 pictures of 96x96 points, 64 channels, enlarged to 192x192).

    python benchmarks/sampling.py [--threads 2] [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.allocator import keep_memory_mapped
from videoinr_cli.model.coords import gather_bilinear

BATCH, SIDE, CHANNELS, ENLARGEMENT = 12, 96, 64, 2
MOTION_PX = 2.0

Read = Callable[[Tensor, Tensor, Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_memory_mapped()
    inputs = make_inputs()
    difference = (by_gathering(*inputs) - by_grid_sample(*inputs)).abs().max()
    assert difference < 1e-4, f"they differ by {difference}"
    for name, measure in (("reading", time_reading), ("and its gradients", time_training)):
        seconds: dict[str, list[float]] = {"gathered": [], "grid_sample": []}
        for _ in range(arguments.rounds):
            seconds["gathered"].append(measure(by_gathering, inputs))
            seconds["grid_sample"].append(measure(by_grid_sample, inputs))
        ours, theirs = (1000 * statistics.median(times) for times in seconds.values())
        print(f"{name:18} {ours:6.1f} ms, grid_sample {theirs:6.1f} ms: {ours / theirs:.0%}")


def make_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Return a (B, H, W, C) table, and y and x of (B, Q) points along a smooth motion."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(BATCH, SIDE, SIDE, CHANNELS, generator=generator)
    side = ENLARGEMENT * SIDE
    coarse = MOTION_PX * torch.randn(2, BATCH, 6, 6, generator=generator)
    motion = F.interpolate(coarse, size=(side, side), mode="bicubic")
    places = (torch.arange(side) + 0.5) / ENLARGEMENT - 0.5
    return table, (motion[0] + places[:, None]).flatten(1), (motion[1] + places).flatten(1)


def by_gathering(table: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return gather_bilinear(table, y, x, "border")


def by_grid_sample(table: Tensor, y: Tensor, x: Tensor) -> Tensor:
    height, width = table.shape[1:3]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)[:, None]
    planes = table.permute(0, 3, 1, 2)
    sampled = F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return sampled[:, :, 0].permute(0, 2, 1).contiguous()


@torch.no_grad()
def time_reading(read: Read, inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    """Return seconds."""
    start = time.perf_counter()
    read(*inputs)
    return time.perf_counter() - start


def time_training(read: Read, inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    """Return seconds, the gradients of the table and of the positions included."""
    table, y, x = (tensor.detach().requires_grad_() for tensor in inputs)
    start = time.perf_counter()
    read(table, y, x).sum().backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
