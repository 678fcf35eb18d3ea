"""Print frames/s and peak memory of the embedded weights, the published network, and a plain port of it.

    python benchmarks/speed.py
    python benchmarks/speed.py --size 160x92 --write README.md

Every row is measured in a process of its own, whose peak memory includes Python and torch. Networks render
two instants per pair of a running video, in which one frame of each pair is new. The published network and
its port, which is the tests' oracle, get the same weights. "file to file" is all that `upscale` does for
twice the frame rate: decoding, the network and x264, at the same time on the same cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tables import write_tables

ROOT = Path(__file__).parent.parent
TAUS = (0.25, 0.75)
SCALE = 4


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one process needed."""

    seconds: float  # per pair of source frames: the median of several pairs
    frames: int  # rendered per pair
    peak_bytes: int
    not_model: float | None = None  # share of the wall time outside of the network, where files are involved

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="320x180", help="of the source, WIDTHxHEIGHT; enlarged x4")
    parser.add_argument("--pairs", type=int, default=3, help="pairs timed in each process")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="Markdown files to update")
    parser.add_argument("--measure", choices=ROWS, help=argparse.SUPPRESS)  # in the child process
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    if arguments.measure:
        cost = ROWS[arguments.measure](width, height, arguments.pairs)
        print(json.dumps(dataclasses.asdict(cost)))
        return
    costs = {row: _measure_apart(row, arguments.size, arguments.pairs) for row in arguments.rows}
    table = speed_table(costs)
    print(f"{width}x{height} to {SCALE * width}x{SCALE * height}, {len(os.sched_getaffinity(0))} CPU cores\n")
    print(table)
    for path in arguments.write:
        write_tables(path, {"speed": table})


def speed_table(costs: dict[str, Cost]) -> str:
    """Write the rows as Markdown; shares are of the plain port, measured in the same run."""
    plain = costs.get("plain port")
    lines = [
        "| | output frames/s | peak memory | time | memory | outside the network |",
        "|---|---|---|---|---|---|",
    ]
    for name, cost in costs.items():
        shares = ["", ""]
        if plain and cost is not plain and cost.not_model is None:
            shares = [f"{cost.seconds / plain.seconds:.1%}", f"{cost.peak_bytes / plain.peak_bytes:.0%}"]
        outside = "" if cost.not_model is None else f"{cost.not_model:.1%}"
        speed = f"{cost.frames_per_second:.3g}"
        memory = f"{cost.peak_bytes / 2**20:.0f} MiB"
        lines.append(f"| {' | '.join([name, speed, memory, *shares, outside])} |")
    return "\n".join(lines)


def _measure_apart(row: str, size: str, pairs: int) -> Cost:
    command = [sys.executable, __file__, "--measure", row, "--size", size, "--pairs", str(pairs)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return Cost(**json.loads(done.stdout))


def _peak_bytes() -> int:
    """Return this process's peak resident memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _time_pairs(step: Callable[[], object], pairs: int) -> Cost:
    """Time a pair's work, after one that fills caches and memory."""
    step()
    seconds = []
    for _ in range(pairs):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return Cost(statistics.median(seconds), len(TAUS), _peak_bytes())


def _frames(count: int, width: int, height: int) -> Any:
    import torch

    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def measure_plain_port(width: int, height: int, pairs: int) -> Cost:
    """Measure the plain port, which recomputes everything for each pair, as the original does."""
    import torch

    from tests.oracle.golden_weights import golden_state_dict
    from tests.oracle.plain_port import PlainVideoInr

    torch.set_grad_enabled(False)
    network = PlainVideoInr().eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(golden_state_dict(shapes))
    frames = _frames(2, width, height)[None]

    def step() -> None:
        feat = network.encode(frames)["feat"]
        for tau in TAUS:
            network.decode(frames, feat, tau, (SCALE * height, SCALE * width), 1)

    return _time_pairs(step, pairs)


def measure_published(width: int, height: int, pairs: int, *, precision: str) -> Cost:
    """Measure the published network on a running video: one frame of each pair is encoded already."""
    import torch

    from tests.oracle.golden_weights import golden_state_dict
    from tests.oracle.plain_port import PlainVideoInr
    from videoinr_cli.weights import convert_checkpoint, load_model

    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, converted = Path(folder, "golden.pth"), Path(folder, "golden.safetensors")
        torch.save(golden_state_dict(shapes), checkpoint)
        convert_checkpoint(checkpoint, converted)
        network = load_model(converted, device="cpu", precision=precision)
    torch.set_grad_enabled(False)
    first, second = _frames(2, width, height).split(1)
    known = network.encode_frame(first)

    def step() -> None:
        pair = network.encode_pair(known, network.encode_frame(second))
        for tau in TAUS:
            network.render(pair, tau, (SCALE * height, SCALE * width))

    return _time_pairs(step, pairs)


def measure_embedded_network(width: int, height: int, pairs: int) -> Cost:
    """Measure the embedded network on a running video, with the frames around each pair."""
    import torch

    from videoinr_cli.weights import load_model

    torch.set_grad_enabled(False)
    network = load_model(device="cpu")
    *frames, newest = _frames(4, width, height).split(1)
    before, first, second = (network.encode_frame(frame) for frame in frames)
    carry = network.encode_pair(before, first, after=second).carry

    def step() -> None:
        after = network.encode_frame(newest)
        pair = network.encode_pair(first, second, before=before, after=after, carry=carry)
        for tau in TAUS:
            network.render(pair, tau, (SCALE * height, SCALE * width))

    return _time_pairs(step, pairs)


def measure_embedded(width: int, height: int, pairs: int) -> Cost:
    """Measure the whole pipeline, from file to file, with the embedded weights at twice the frame rate."""
    from videoinr_cli.jobs.upscale import upscale_video
    from videoinr_cli.options import TargetRate, UpscaleOptions
    from videoinr_cli.weights import load_model

    frames = max(96, 4 * pairs)  # enough that what an encoder still holds at the end is not most of it
    spent = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        short, source = (Path(folder, name) for name in ("short.mkv", "source.mkv"))
        for path, count in ((short, 8), (source, frames)):
            write_clip(path, width, height, count)
        model = load_model(device="cpu")
        for name in ("encode_frame", "encode_pair", "render"):
            setattr(model, name, _clocked(getattr(model, name), spent))
        options = UpscaleOptions(scale=SCALE, fps=TargetRate.parse("2x"), overwrite=True)
        upscale_video(short, Path(folder, "warm.mp4"), options, model=model)
        spent[0] = 0.0
        summary = upscale_video(source, Path(folder, "output.mp4"), options, model=model)
    seconds = summary.elapsed_seconds
    return Cost(seconds, summary.frames_written, _peak_bytes(), not_model=1 - spent[0] / seconds)


def write_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a clip in which all moves."""
    from videoinr_cli.media.ffmpeg import find_ffmpeg

    picture = f"mandelbrot=size={width}x{height}:rate=24,format=yuv420p"
    command = [find_ffmpeg(), "-loglevel", "error", "-f", "lavfi", "-i", picture, "-frames:v"]
    subprocess.run([*command, str(frames), str(path)], check=True)


def _clocked(method: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = method(*arguments, **options)
        spent[0] += time.perf_counter() - start
        return result

    return timed


ROWS: dict[str, Callable[[int, int, int], Cost]] = {
    "embedded, file to file": measure_embedded,
    "embedded": measure_embedded_network,
    "published, fp32": lambda *size: measure_published(*size, precision="fp32"),
    "published, bf16": lambda *size: measure_published(*size, precision="bf16"),
    "plain port": measure_plain_port,
}
"""Name in the table and function that measures it in this process: (width, height, pairs)."""


if __name__ == "__main__":
    main()
