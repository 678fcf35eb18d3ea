"""Print what a machine multiplies a second at best, what the network needs, and the share that it reaches.

    python benchmarks/roofline.py
    python benchmarks/roofline.py --sizes 320x180:1280x720 --frames 0 --processor-time

The limit is measured in the same run: of matrix products and of 3x3 convolutions, in each type that the
device has. What the network needs is counted in torch's operations, without values; sums, samples and bytes
moved are not. Parts are timed on a running video, in which each pair brings one new frame.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from speed import write_clip
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from videoinr_cli.model import AnyVideoInr, ModelConfig, build
from videoinr_cli.model.devices import PRECISIONS

SIZES = ("320x180:1280x720", "720x480:1440x960", "1280x720:1920x1080")
PARTS = {"motion": "encoder.motion", "fusing": "encoder.fuse", "rendering": "render"}
"""Parts of a pair's time, and the methods that take it; the rest is the encoding's."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="videoinr-fast", help="name or file of the weights")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="WIDTHxHEIGHT:WIDTHxHEIGHT, from and to")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each is timed for")
    parser.add_argument(
        "--processor-time", action="store_true", help="time one thread so, on a machine that others use"
    )
    parser.add_argument("--frames", type=int, default=16, help="of each file; 0: no files")
    arguments = parser.parse_args()
    if arguments.processor_time:
        torch.set_num_threads(1)
    print(f"{arguments.device}, {len(os.sched_getaffinity(0))} CPU cores, torch {torch.__version__}\n")
    print("\n\n".join(measured(arguments)))


def measured(arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the table of the limits and that of the network's shares."""
    from videoinr_cli.weights import load_model

    device = torch.device(arguments.device)
    limits = {
        (kind, name): peak(kind, name, device, arguments.seconds, clock_of(arguments))
        for kind in KINDS
        for name in ("fp32", "bf16", "fp16", "int8")
    }
    lines = ["| | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for name in ("fp32", "bf16", "fp16", "int8"):
        lines.append(f"| {name} | " + " | ".join(_giga(limits[kind, name]) for kind in KINDS) + " |")
    model = load_model(arguments.model, device=str(device), precision=arguments.precision)
    precision = next(name for name, dtype in PRECISIONS.items() if dtype is model.compute_dtype)
    limit = limits["3x3 convolution", precision]
    assert not isinstance(limit, str), limit
    return "\n".join(lines), shares(model, arguments, limit)


def clock_of(arguments: argparse.Namespace) -> Callable[[], float]:
    return time.process_time if arguments.processor_time else time.perf_counter


def _giga(rate: float | str) -> str:
    return rate if isinstance(rate, str) else f"{rate / 1e9:.0f} G/s"


def _product(name: str, device: torch.device) -> tuple[Callable[[], object], int]:
    """Return a product of matrices, and its operations."""
    side = 4096 if device.type == "cuda" else 1024
    if name == "int8":
        left, right = (torch.randint(-99, 99, (side, side), dtype=torch.int8, device=device) for _ in "ab")
        return lambda: torch._int_mm(left, right), 2 * side**3
    left, right = (torch.randn(side, side, device=device, dtype=PRECISIONS[name]) for _ in "ab")
    return lambda: left @ right, 2 * side**3


def _convolution(name: str, device: torch.device) -> tuple[Callable[[], object], int]:
    """Return a 3x3 convolution like the network's, and its operations."""
    channels, height, width = (64, 1080, 1920) if device.type == "cuda" else (64, 180, 320)
    operations = 2 * 9 * channels**2 * height * width
    picture = torch.randn(1, channels, height, width, device=device)
    weight = torch.randn(channels, channels, 3, 3, device=device) / 24
    if name == "int8":
        given = torch.quantize_per_tensor(picture, 0.05, 64, torch.quint8)
        given = given.contiguous(memory_format=torch.channels_last)
        packed = torch.ops.quantized.conv2d_prepack(
            torch.quantize_per_tensor(weight, 0.01, 0, torch.qint8), None, [1, 1], [1, 1], [1, 1], 1
        )
        return lambda: torch.ops.quantized.conv2d(given, packed, 0.05, 64), operations
    kept = {"dtype": PRECISIONS[name], "memory_format": torch.channels_last}
    picture, weight = picture.to(**kept), weight.to(**kept)
    return lambda: F.conv2d(picture, weight, padding=1), operations


KINDS = {"matrix product": _product, "3x3 convolution": _convolution}


@torch.inference_mode()
def peak(
    kind: str,
    name: str,
    device: torch.device,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float | str:
    """Return the most operations a second of a kind in a type; in words if the device has none."""
    try:
        call, operations = KINDS[kind](name, device)
        return operations / min(times(call, device, seconds, clock))
    except (RuntimeError, NotImplementedError):
        return "none"


def times(
    call: Callable[[], object],
    device: torch.device,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return how long each call took, two of them at least, after one that is not counted."""
    taken: list[float] = []
    until = 0.0
    while len(taken) < 3 or clock() < until:
        started = clock()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(clock() - started)
        until = until or clock() + seconds
    return taken[1:]


class Running:
    """A running video: each step brings as many frames as a run has pairs, encodes these and renders them.

    Args:
        lr_size, size: (H, W) of the source and of the output.
        taus: instants of each pair.
    """

    def __init__(
        self, model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], taus: tuple[float, ...]
    ) -> None:
        self.model, self.size, self.taus = model, size, taus
        self.pairs, self.context = model.config.run_pairs, model.config.context_frames
        noise = torch.rand(1, 3, *lr_size, generator=torch.Generator().manual_seed(0))
        count = self.pairs + 1 + 2 * self.context
        # all of it moves: what repeats is cheaper
        self.frames = itertools.cycle([noise.roll(2 * n, -1).to(model.device) for n in range(count)])
        self.run = [model.encode_frame(next(self.frames)) for _ in range(count)]
        self.carry: Any = None
        self()

    def __call__(self) -> Tensor:
        """Do the work of one run; return the last picture."""
        new = [self.model.encode_frame(next(self.frames)) for _ in range(self.pairs)]
        self.run = self.run[self.pairs :] + new
        for place in range(self.context, self.context + self.pairs):
            pair = self.model.encode_pair_of(self.run, place, carry=self.carry)
            self.carry = pair.carry
            for tau in self.taus:
                picture = self.model.render(pair, tau, self.size)
        return picture


@functools.lru_cache
@torch.inference_mode()
def operations(
    config: ModelConfig,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    taus: tuple[float, ...],
    *,
    by_part: bool = True,
) -> dict[str, int]:
    """Count the multiplications and additions of a run, see `Running`: "all" of them, and each part's."""
    with torch.device("meta"):
        shapes = build(config)
    running = Running(shapes, lr_size, size, taus)
    counter = FlopCounterMode(display=False)
    counted = watch(shapes, counter.get_total_flops, PARTS if by_part else {})
    with counter:
        running()
    return {"all": counter.get_total_flops(), **counted}


def watch(model: AnyVideoInr, reading: Callable[[], Any], parts: Mapping[str, str]) -> dict[str, Any]:
    """Return totals to which each part of a network adds, from now on, how far a reading moves meanwhile."""
    totals: dict[str, Any] = dict.fromkeys(parts, 0)

    def watched(call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def wrapper(*given: Any, **named: Any) -> Any:
            before = reading()
            result = call(*given, **named)
            totals[part] += reading() - before
            return result

        return wrapper

    for part, name in parts.items():
        path, _, method = name.rpartition(".")
        owner = model.get_submodule(path)
        setattr(owner, method, watched(getattr(owner, method), part))
    return totals


def shares(model: AnyVideoInr, arguments: argparse.Namespace, limit: float) -> str:
    """Return the table of what each part of the network needs, and the share of the limit that it reaches."""
    device, clock = model.device, clock_of(arguments)

    def done() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    spent = watch(model, done, PARTS)
    lines = [
        "| | frames a pair | operations a pair | encoding | fusing | rendering | network | file to file |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for sizes in arguments.sizes:
        lr_size, size = (tuple(map(int, reversed(text.split("x")))) for text in sizes.split(":"))
        for taus in ((0.0,), (0.0, 0.5)):
            needed = dict(operations(model.config, lr_size, size, taus))
            with torch.inference_mode():
                running = Running(model, lr_size, size, taus)
                spent.update(dict.fromkeys(spent, 0.0))
                taken = times(running, device, arguments.seconds, clock)
            steps = len(taken) + 1  # the first is not among them, and was watched
            seconds = {"all": statistics.median(taken)} | {part: spent[part] / steps for part in spent}
            for totals in (needed, seconds):
                totals["encoding"] = totals["all"] - totals["fusing"] - totals["rendering"]
            reached = [
                f"{needed[part] / seconds[part] / limit:.0%}"
                for part in ("encoding", "fusing", "rendering", "all")
            ]
            reached[-1] += f", {len(taus) / seconds['all']:.3g} frames/s"
            reached.append(
                _of_files(model, lr_size, size, len(taus), arguments.frames, needed["all"] / limit)
            )
            what = f"{sizes.replace(':', ' to ')} | {len(taus)} | {needed['all'] / 1e9:.0f} G"
            lines.append(f"| {what} | {' | '.join(reached)} |")
    return "\n".join(lines)


def _of_files(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    multiple: int,
    frames: int,
    least_seconds: float,
) -> str:
    """Return what `upscale` reaches from file to file; `least_seconds` is a pair's time at the limit."""
    from videoinr_cli.jobs.upscale import upscale_video
    from videoinr_cli.options import TargetRate, UpscaleOptions

    if not frames:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.mkv")
        write_clip(source, lr_size[1], lr_size[0], frames)
        options = UpscaleOptions(size=(size[1], size[0]), fps=TargetRate.parse(f"{multiple}x"))
        summary = upscale_video(source, Path(folder, "output.mp4"), options, model=model)
    rate = summary.frames_written / summary.elapsed_seconds
    return f"{rate / multiple * least_seconds:.0%}, {rate:.3g} frames/s"


if __name__ == "__main__":
    main()
