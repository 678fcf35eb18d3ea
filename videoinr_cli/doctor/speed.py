"""How fast a machine renders common workloads, measured on made-up frames; encoding is left out."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from videoinr_cli.options import Precision

if TYPE_CHECKING:
    from videoinr_cli.model import AnyVideoInr
    from videoinr_cli.render.renderer import GivenFrame

MEASURED_SECONDS = 5.0
"""For all workloads together."""

SMALLEST_SHARE = 1 / 16
"""Smallest share of a frame's pixels to render: the first measurement, and the only one on a slow machine."""

FRAMES_WANTED = 3
"""Frames to render at least in the given time; the first of them is not counted."""

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """A size and a frame rate that people commonly ask for."""

    name: str
    source: Size
    output: Size
    pictures: int  # per source frame


WORKLOADS = (
    Workload("480p to 1080p", (854, 480), (1920, 1080), 1),
    Workload("720p to 1440p", (1280, 720), (2560, 1440), 1),
    Workload("720p at twice the rate", (1280, 720), (1280, 720), 2),
)


@dataclasses.dataclass(frozen=True)
class WorkloadSpeed:
    """The rendering speed of a workload."""

    job: str  # the workload's name
    frames_per_second: float  # of the output
    frames: int  # measured
    share: float  # of a frame's pixels that was rendered; below 1, the speed is estimated from it


def measure_speeds(weights: str, device: str, precision: Precision) -> tuple[WorkloadSpeed, ...]:
    """Measure all workloads.

    Raises:
        WeightsError: the weights cannot be loaded.
        OptionError: there is no such device or precision.
    """
    from videoinr_cli.weights import load_model

    model = load_model(weights, device=device, precision=precision)
    return tuple(measure(model, workload, MEASURED_SECONDS / len(WORKLOADS)) for workload in WORKLOADS)


def measure(model: AnyVideoInr, workload: Workload, seconds: float) -> WorkloadSpeed:
    """Render a workload's frames for some time, at reduced size if whole frames take too long.

    The time of whole frames follows from the work that they are, in pieces that fit in memory.

    Args:
        model: the network, on the device to measure.
        workload: what to render.
        seconds: approximate duration; two frames of the smallest size are always rendered.
    """
    begun = time.perf_counter()
    share, frames, frame_seconds = _timed(model, workload, SMALLEST_SHARE, 0.0)
    left = begun + seconds - time.perf_counter()
    affordable = share * left / (FRAMES_WANTED * frame_seconds)
    if affordable > share:
        share, frames, frame_seconds = _timed(model, workload, min(1.0, affordable), left)
    is_within_run = frames < model.config.run_pairs
    frame_seconds *= _work_ratio(model, workload, share, within_run=is_within_run)
    return WorkloadSpeed(workload.name, workload.pictures / frame_seconds, workload.pictures * frames, share)


def _work_ratio(model: AnyVideoInr, workload: Workload, share: float, *, within_run: bool) -> float:
    """Return how many times the work of that share of a frame's pixels a whole frame is."""
    from videoinr_cli.render.pieces import DEFAULT_SIZES, choose_sizes, work

    lr_size, size = workload.source[::-1], workload.output[::-1]
    sizes = choose_sizes(model, lr_size, size, instants=workload.pictures)
    whole = work(model, lr_size, size, sizes, workload.pictures)
    measured = work(model, lr_size, size, DEFAULT_SIZES, workload.pictures, within_run=within_run)
    return whole / (share * measured)


def _timed(model: AnyVideoInr, workload: Workload, share: float, seconds: float) -> tuple[float, int, float]:
    """Return the share of a frame's pixels that was rendered, the number of frames, and seconds per frame.

    The first frame includes one-time work and is not counted; the second always is.
    """
    from fractions import Fraction

    from videoinr_cli.render.renderer import Renderer

    def shrunk(size: Size) -> Size:
        return max(1, round(size[0] * share**0.5)), max(1, round(size[1] * share**0.5))

    source = shrunk(workload.source)
    frames = _noise(source)
    renderer = Renderer(model, shrunk(workload.output))
    deadline = time.perf_counter() + seconds
    count = -1
    while count < 1 or time.perf_counter() < deadline:
        if count == 0:
            begun = time.perf_counter()
        begin, looked_at = count + 1, 2 + renderer.lookahead
        first, second, *following = (frames[(begin + place) % len(frames)] for place in range(looked_at))
        renderer.advance(first, second, *following)
        for picture in range(workload.pictures):
            renderer.render(Fraction(picture, workload.pictures))
        count += 1
    elapsed = time.perf_counter() - begun
    pixels = workload.source[0] * workload.source[1]
    return source[0] * source[1] / pixels, count, elapsed / count


def _noise(size: Size) -> list[GivenFrame]:
    """Return four frames of different coarse noise."""
    import numpy as np

    from videoinr_cli.render.renderer import GivenFrame

    width, height = size
    cells = np.random.default_rng(0).integers(0, 256, (4, -(-height // 8), -(-width // 8), 3), np.uint8)
    pictures = cells.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return [GivenFrame(np.ascontiguousarray(rgb), pts) for pts, rgb in enumerate(pictures)]
