"""Measure everything on a GPU in one command of at most eight minutes, and leave a JSON file and a table.

    python benchmarks/gpu.py gpu                         # writes gpu.json, gpu.md, gpu-timeline.png
    python benchmarks/gpu.py try --device cpu --tiny     # every row at tiny sizes, to try it without a GPU

Rows are measured in a process beside this one, those that tell most first. A row that fails, or that takes
longer than its budget, is named with the reason, and the next one is measured in a new process if need be;
what time does not suffice for is named too.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from speed import write_clip

ROOT = Path(__file__).parent.parent
SIZES = ((180, 320), (480, 720), (720, 1280), (1080, 1920))
TINY_SIZES = ((16, 24),)
SCALE = 2
TAUS = (0.0, 0.5)
MODES = ("eager", "channels_last", "compiled", "graph")
NETWORKS = {"fast": "videoinr-fast", "published": None, "large": None, "real": "videoinr-real"}
"""Embedded weights, or None: random ones, which take as long."""
TINY = {
    "channels": 8,
    "blocks": 1,
    "front_blocks": 1,
    "back_blocks": 1,
    "deformable_groups": 2,
    "frame_blocks": 1,
    "fused_blocks": 1,
}
SECONDS = 0.7
"""That a network is timed for, after it is warm."""
START_SECONDS = 40.0
"""That a process may take until its first row begins."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing to measure: a kind, and what it is measured of."""

    kind: str  # of `MEASURES`
    of: tuple[str, ...] = ()
    budget_seconds: float = 20.0

    def __str__(self) -> str:
        return " ".join((self.kind, *self.of))


def rows(sizes: tuple[tuple[int, int], ...]) -> Iterator[Row]:
    """Yield what is to be measured, what tells most first."""
    yield Row("tests", budget_seconds=90)
    for precision in ("fp16", "fp32", "bf16", "int8"):
        yield Row("limit", (precision,), 15)
    texts = [f"{width}x{height}" for height, width in sizes]
    middle = texts[min(1, len(texts) - 1)]
    for size in texts:
        yield Row("network", ("fast", size, "fp16", "eager"))
    for encoder in ("libx264", "h264_nvenc"):
        yield Row("files", ("fast", middle, encoder), 60)
    for mode in ("graph", "channels_last", "compiled"):
        yield Row("network", ("fast", middle, "fp16", mode), 60 if mode == "compiled" else 20)
    for name in ("published", "large", "real"):
        yield Row("network", (name, middle, "fp16", "eager"), 30)
    for precision in ("bf16", "fp32"):
        for name in NETWORKS:
            yield Row("network", (name, middle, precision, "eager"), 30)
    for name in ("published", "large", "real"):
        for size in texts:
            if size != middle:
                yield Row("network", (name, size, "fp16", "eager"), 30)
    for size in texts:
        for precision in ("bf16", "fp32"):
            for name in NETWORKS:
                if size != middle:
                    yield Row("network", (name, size, precision, "eager"), 30)
        for name in NETWORKS:
            for mode in MODES[1:]:
                if (name, size) != ("fast", middle):
                    yield Row("network", (name, size, "fp16", mode), 60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="name of the files, without suffix")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and pictures")
    parser.add_argument("--minutes", type=float, default=8.0, help="that all of it may take")
    parser.add_argument("--kinds", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)  # in the process beside
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    ends = time.monotonic() + 60 * arguments.minutes
    wanted = [row for row in rows(TINY_SIZES if arguments.tiny else SIZES) if row.kind in arguments.kinds]
    results: dict[str, dict[str, Any]] = {}
    with Worker(arguments) as worker:
        for row in wanted:
            left = ends - time.monotonic()
            if left < 2:
                results[str(row)] = {"failed": "no time was left"}
                continue
            results[str(row)] = worker.measure(row, min(row.budget_seconds, left))
            print(f"{row}: {json.dumps(results[str(row)])}", flush=True)
            _write(arguments.output, results)  # whatever happens to this process
    _write(arguments.output, results)


def _write(output: Path, results: dict[str, dict[str, Any]]) -> None:
    output.with_suffix(".json").write_text(json.dumps(results, indent=1))
    output.with_suffix(".md").write_text(table(results), encoding="utf-8")


def table(results: Mapping[str, dict[str, Any]]) -> str:
    """Return the results as Markdown; the rows that failed last, with their reasons."""
    lines = ["| | frames/s | peak memory | share of the limit | else |", "|---|---|---|---|---|"]
    limits = {
        row.split()[1]: max(rate for rate in result.values() if isinstance(rate, float))
        for row, result in results.items()
        if row.startswith("limit ") and any(isinstance(rate, float) for rate in result.values())
    }
    failed = []
    for row, result in results.items():
        if "failed" in result:
            failed.append(f"- {row}: {result['failed']}")
            continue
        told = dict(result)
        rate, peak, operations = (
            told.pop(name, None) for name in ("frames_per_second", "peak_bytes", "operations_per_second")
        )
        limit = limits.get(told.pop("precision", ""))
        cells = (
            "" if rate is None else f"{rate:.4g}",
            "" if peak is None else f"{peak / 2**20:.0f} MiB",
            f"{operations / limit:.0%}" if operations and limit else "",
            ", ".join(f"{name} {_shown(value)}" for name, value in told.items()),
        )
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(["Failed:", "", *failed, ""] if failed else [])])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value / 1e12:.3g} T/s" if value > 1e9 else f"{value:.3g}"
    return str(value)


class Worker:
    """A process that measures rows one by one; a new one takes over when it dies or takes too long."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._command = [sys.executable, __file__, str(arguments.output), "--device", arguments.device]
        self._command += ["--worker", *(["--tiny"] if arguments.tiny else [])]
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def measure(self, row: Row, seconds: float) -> dict[str, Any]:
        """Return what a row came to, or why it failed."""
        if self._process is None:
            self._start()
            seconds += START_SECONDS
        process = self._process
        assert process is not None
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and the answers too
            process.stdin.write(json.dumps(dataclasses.asdict(row)) + "\n")
            process.stdin.flush()
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._end()
            return {"failed": f"took more than {seconds:.0f} s"}
        if not answer:
            self._end()
            return {"failed": f"its process ended: {process.returncode}"}
        result: dict[str, Any] = json.loads(answer)
        return result

    def _start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answers = answers = queue.Queue()

        def read() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    answers.put(line)
            process.wait()
            answers.put("")  # it has ended

        threading.Thread(target=read, daemon=True).start()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # of what it did not read any more
                self._process.stdin.close()
            self._process = None


def work(arguments: argparse.Namespace) -> None:
    """Measure the rows that come in, and answer each with a line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is not an answer
    for line in sys.stdin:
        row = json.loads(line)
        try:
            result = MEASURES[row["kind"]](arguments, *row["of"])
        except Exception as error:  # named, and the next row is measured
            result = {"failed": f"{type(error).__name__}: {error}".partition("\n")[0][:200]}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


def run_tests(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the tests marked `gpu`, which need none of the fixtures that need ffmpeg."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--noconftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/model/test_other_devices.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    if done.returncode:
        return {"failed": next((line for line in lines if line.startswith(("E  ", "FAILED"))), lines[-1])}
    return {"result": lines[-1]}


def measure_limit(arguments: argparse.Namespace, precision: str) -> dict[str, Any]:
    """Measure what the device multiplies a second at best."""
    import torch
    from roofline import KINDS, peak

    device = torch.device(arguments.device)
    return {kind: peak(kind, precision, device, 0.0 if arguments.tiny else SECONDS) for kind in KINDS}


def measure_network(
    arguments: argparse.Namespace, name: str, size: str, precision: str, mode: str
) -> dict[str, Any]:
    """Measure a network on a running video, enlarged by `SCALE` at twice the frame rate."""
    import torch
    from roofline import Running, operations, times

    from videoinr_cli.render.memory import PeakMemory, release_memory

    width, height = map(int, size.split("x"))
    sizes = (height, width), (SCALE * height, SCALE * width)
    model = load(arguments, name, precision)
    release_memory(model.device)
    with torch.inference_mode(), PeakMemory(model.device) as peak:
        needed = operations(model.config, *sizes, TAUS, by_part=False)["all"]
        if mode == "channels_last":
            model.to(memory_format=torch.channels_last)
        if mode == "compiled":
            for method in ("encode_frame", "encode_pair_of", "render"):
                setattr(model, method, torch.compile(getattr(model, method)))
        step: Callable[[], object] = Running(model, *sizes, TAUS)
        if mode == "graph":
            step = recorded(step)
        taken = min(times(step, model.device, 0.0 if arguments.tiny else SECONDS))
    return {
        "frames_per_second": len(TAUS) * model.config.run_pairs / taken,
        "peak_bytes": peak.bytes,
        "operations_per_second": needed / taken,
        "precision": precision,
    }


def recorded(step: Callable[[], object]) -> Callable[[], object]:
    """Record what a step does on the GPU once, and return what does it again without Python."""
    import torch

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def load(arguments: argparse.Namespace, name: str, precision: str) -> Any:
    """Return a network on the device, with a tiny one's sizes if asked for."""
    import torch

    from videoinr_cli.model import build
    from videoinr_cli.model.config import CONFIGURATIONS
    from videoinr_cli.model.devices import PRECISIONS, choose_device
    from videoinr_cli.weights import load_model

    device = choose_device(arguments.device)
    weights = NETWORKS[name]
    if weights and not arguments.tiny:
        model = load_model(weights, device=str(device), precision=precision)
    else:
        torch.manual_seed(0)
        architecture = {"published": "videoinr", "large": "videoinr-large"}.get(name, "videoinr-fast")
        config = CONFIGURATIONS[architecture]
        fields = {field.name for field in dataclasses.fields(config)} if arguments.tiny else ()
        model = build(config(**{key: value for key, value in TINY.items() if key in fields})).to(device)
        model.compute_dtype = PRECISIONS[precision]
    return model.eval().requires_grad_(False)


STAGES = ("decode", "upload", "network", "download", "encode")
"""Of the timeline, as the host's threads spend their time: the network's is until its work is handed to the
GPU, and the download waits until that has done it."""


def measure_files(arguments: argparse.Namespace, name: str, size: str, encoder: str) -> dict[str, Any]:
    """Upscale a file, and draw when each stage was at work."""
    from videoinr_cli.jobs.upscale import upscale_video
    from videoinr_cli.options import EncodeOptions, TargetRate, UpscaleOptions
    from videoinr_cli.render.memory import PeakMemory

    width, height = map(int, size.split("x"))
    model = load(arguments, name, "fp32" if arguments.device == "cpu" else "fp16")
    encode = EncodeOptions(codec=encoder, preset=None)
    options = UpscaleOptions(scale=SCALE, fps=TargetRate.parse("2x"), encode=encode, overwrite=True)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "source.mkv"), Path(folder, "output.mp4")
        write_clip(source, width, height, 6 if arguments.tiny else 96)
        upscale_video(source, output, options, model=model)  # warm
        with watched(model) as spans, PeakMemory(model.device) as peak:
            summary = upscale_video(source, output, options, model=model)
    drawn = arguments.output.with_name(f"{arguments.output.name}-timeline-{encoder}.png")
    draw(spans, drawn)
    busy = {stage: sum(end - start for one, start, end in spans if one == stage) for stage in STAGES}
    return {
        "frames_per_second": summary.frames_written / summary.elapsed_seconds,
        "peak_bytes": peak.bytes,
        **{stage: f"{seconds / summary.elapsed_seconds:.0%}" for stage, seconds in busy.items()},
    }


@contextlib.contextmanager
def watched(model: Any) -> Iterator[list[tuple[str, float, float]]]:
    """Yield a list to which every stage adds when it was at work: (stage, start, end), seconds."""
    from videoinr_cli.render import pipeline, renderer

    spans: list[tuple[str, float, float]] = []

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                spans.append((stage, start, time.perf_counter()))

        return wrapper

    read = pipeline.read_frames

    def timed_read(*given: Any, **named: Any) -> Iterator[Any]:
        with contextlib.closing(read(*given, **named)) as frames:
            following = timed("decode", lambda: next(frames, None))
            yield from iter(following, None)

    places = [
        ("upload", renderer, "as_pixels"),
        *(("network", model, method) for method in ("encode_frame", "encode_pair", "render")),
        ("download", renderer.Renderer, "_to_host"),
        ("encode", pipeline.VideoWriter, "write"),
    ]
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(pipeline, "read_frames", timed_read))
        for stage, owner, method in places:
            patches.enter_context(mock.patch.object(owner, method, timed(stage, getattr(owner, method))))
        yield spans


def draw(spans: list[tuple[str, float, float]], path: Path, *, width: int = 1600, lane: int = 40) -> None:
    """Draw the middle second of what was recorded, a lane for each stage."""
    from PIL import Image, ImageDraw

    middle = (min(start for _, start, _ in spans) + max(end for *_, end in spans)) / 2
    image = Image.new("RGB", (width, lane * len(STAGES)), "white")
    canvas = ImageDraw.Draw(image)
    for stage, *ends in spans:
        top = lane * STAGES.index(stage)
        left, right = ((end - middle + 0.5) * width for end in ends)
        if right > 0 and left < width:
            canvas.rectangle((left, top + 14, max(left + 1, right - 1), top + lane - 4), fill="steelblue")
    for number, stage in enumerate(STAGES):
        canvas.text((4, lane * number), f"{stage}: one second", fill="black")
    image.save(path)


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "tests": run_tests,
    "limit": measure_limit,
    "network": measure_network,
    "files": measure_files,
}


if __name__ == "__main__":
    main()
