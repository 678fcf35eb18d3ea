"""Estimate what rendering videos would take, from rendering each kind of them for a few seconds.

What is rendered is thrown away.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from videoinr_cli.batch.engines import Engines
from videoinr_cli.batch.events import Error, Estimate, Skipped, VideoEvent
from videoinr_cli.batch.items import Existing, Item, Refused
from videoinr_cli.batch.make_events import error_of, estimate_of, skipped_of
from videoinr_cli.jobs.automatic import TIME_SHARE, with_workers
from videoinr_cli.jobs.partition import devices_of, plan_parts, sharing, shorter_advice
from videoinr_cli.media.write.destination import is_image_pattern, is_standard_output
from videoinr_cli.options import JobOptions, Region, UpscaleOptions
from videoinr_cli.render.memory import PeakMemory
from videoinr_cli.render.pieces import Sizes, needed_bytes, work
from videoinr_cli.render.pipeline import Engine, Progress
from videoinr_cli.render.plan import Plan
from videoinr_cli.render.speed import Speed
from videoinr_cli.render.tiling import ALIGNMENT_PX

MEASURED_SECONDS = 4.0
"""How long a video is rendered for the estimate, after its first frame."""

SMALLEST_PX = 160 * 96
"""Pixels of the source that are rendered at first, to see how many are rendered in that time."""

PAIRS_WANTED = 3
"""Pairs of the source's frames to render in that time."""

LONG_SECONDS = 300
"""From which time on it is said that an interruption would keep nothing."""


Watch = Callable[[Path], AbstractContextManager[Callable[[int], None]]]
"""Opens what is told how many frames of a source were rendered to measure it."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What rendering takes."""

    speed: Speed
    peak_bytes: int  # of the GPU if there is one, else of RAM; by all processes that share it
    sizes: Sizes  # of the pieces that rendering begins with


class _Enough(Exception):
    """Ends a rendering that was measured long enough."""


def estimate_batch(
    items: Sequence[Item],
    options: UpscaleOptions,
    job: JobOptions,
    failures: list[Exception],
    watch: Watch = lambda source: contextlib.nullcontext(lambda frames: None),
) -> Iterator[Estimate | Error | Skipped]:
    """Yield what would become of each source, without writing any output.

    Videos of the same sizes and format are assumed to cost the same per frame. Of several processes, what
    they save on a CPU is counted, see `jobs.automatic`; what an earlier run saves is not.

    Args:
        items: what `plan_batch` found.
        options: for all of them.
        job: how each video would be divided and shared out.
        failures: the errors of sources that cannot be rendered are appended to it.
        watch: opened while a source is measured.

    Raises:
        OptionError: there is no such device.
        WeightsError: the weights cannot be used.
    """
    engines = Engines()
    costs: dict[object, Cost] = {}
    for index, item in enumerate(items, start=1):
        place = VideoEvent(index, len(items), item.source)
        if isinstance(item, Refused):
            failures.append(item.error)
            yield error_of(place, item)
        elif isinstance(item, Existing):
            yield skipped_of(place, item)
        else:
            engines.load([item.plan])
            engine = engines.of(item.plan)
            assert engine is not None
            devices = devices_of(options, with_workers(job, [item.plan]))
            segments = len(plan_parts(item.plan, job, engine.model.config, workers=len(devices)))
            processes = sharing(devices) if segments > 1 else 1
            plan = dataclasses.replace(item.plan, processes=processes)
            written = (plan.format.container.muxer, plan.format.encoder.name, plan.format.pix_fmt)
            kind = (
                plan.source.width,
                plan.source.height,
                plan.size,
                written,
                processes,
                plan.options.network,
            )
            try:
                if kind not in costs:
                    with watch(item.source) as tell:
                        costs[kind] = measure(plan, engine, tell)
            except Exception as error:  # any: the other videos may have nothing to do with it
                failures.append(error)
                yield error_of(place, Refused(item.source, item.destination, error))
            else:
                cost, frames = costs[kind], plan.total_frames
                seconds = None if frames is None else cost.speed.seconds(frames)
                if seconds is not None and processes > 1 and engine.model.device.type == "cpu":
                    seconds *= TIME_SHARE
                yield estimate_of(
                    place,
                    item,
                    segments=segments,
                    sizes=cost.sizes,
                    seconds=seconds,
                    peak_bytes=cost.peak_bytes,
                    advice=_advice(plan, job, segments, seconds),
                )


def _advice(plan: Plan, job: JobOptions, segments: int, seconds: float | None) -> tuple[str, ...]:
    """Say how an interruption of a video that takes long would keep something, if it would not."""
    shorter = shorter_advice(plan, job)
    if segments > 1 or shorter is None or seconds is None or seconds < LONG_SECONDS:
        return ()
    return (f"an interruption keeps nothing; {shorter}",)


def measure(plan: Plan, engine: Engine, tell: Callable[[int], None] = lambda frames: None) -> Cost:
    """Render a video for a few seconds, from its file to another one, and throw the result away.

    Where pictures take long, a piece of each is rendered; the time for the whole follows from the work that
    both are: see `render.pieces.work`.

    Args:
        plan: of the video.
        engine: which renders it.
        tell: called with the number of frames after each.

    Raises:
        VideoInrError: it cannot be rendered; see `jobs.upscale.upscale_video`.
    """
    model, sizes = engine.model, engine.choose_sizes(plan)
    tile = sizes.largest_tile(model, plan.lr_size)
    with tempfile.TemporaryDirectory(prefix="videoinr-") as folder:
        path = _stand_in(plan.destination, folder)
        trial = _Sample.of(_piece_of(plan, SMALLEST_PX, tile, path), sizes, engine, 0.0, tell)
        affordable_px = trial.pixels * MEASURED_SECONDS / (PAIRS_WANTED * trial.pair_seconds)
        larger = _piece_of(plan, affordable_px, tile, path)
        is_worth_it = larger.piece is None or math.prod(larger.lr_size) > trial.pixels
        sample = _Sample.of(larger, sizes, engine, MEASURED_SECONDS, tell) if is_worth_it else trial
    whole, piece = plan.shapes, sample.plan.shapes
    piece_sizes = sizes if sample.plan.piece is None else sizes.of_piece()
    shown = plan.framing.shown_share
    ratio = work(model, *whole, sizes, plan.instants, shown=shown) / work(
        model, *piece, piece_sizes, plan.instants, within_run=sample.is_within_run
    )
    frame_seconds = sample.frame_seconds * ratio
    beyond = needed_bytes(model, *whole, sizes) - needed_bytes(model, *piece, piece_sizes)
    return Cost(
        Speed(frame_seconds, start_seconds=_start_seconds(trial, sample, frame_seconds)),
        (sample.peak_bytes + max(0, beyond)) * plan.processes,
        sizes,
    )


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Some frames that were rendered, and what they took."""

    plan: Plan
    frame_seconds: float  # for each frame of the output after the first
    start_seconds: float  # before them
    peak_bytes: int
    is_within_run: bool  # whether no run of pairs began in that time; else each did for which it was due

    @property
    def pixels(self) -> int:
        """How many pixels of the source were rendered of each frame."""
        return math.prod(self.plan.lr_size)

    @property
    def pair_seconds(self) -> float:
        """How long a pair of the source's frames and all its instants took."""
        return self.frame_seconds * max(1.0, self.plan.instants)

    @classmethod
    def of(
        cls, plan: Plan, sizes: Sizes, engine: Engine, seconds: float, tell: Callable[[int], None]
    ) -> _Sample:
        """Render two pairs at least, and more within some seconds after the first frame."""
        started = time.monotonic()
        moments: list[float] = []
        each = max(1, math.ceil(plan.instants))  # the first instant of a pair takes longer than the others

        def report(_: Progress) -> None:
            moments.append(time.monotonic() - started)
            tell(len(moments))
            if len(moments) > 2 * each and moments[-1] - moments[0] >= seconds:
                raise _Enough

        model, memory = engine.model, PeakMemory(engine.model.device)
        sizes = sizes if plan.piece is None else sizes.of_piece()
        with contextlib.suppress(_Enough), memory:
            engine.render(plan, report, sizes=sizes)
        count = (len(moments) - 1) // each * each or len(moments) - 1
        run = each * model.config.run_pairs
        is_within_run = count < run
        if not is_within_run:
            count -= count % run
        spent = (moments[count] - moments[0]) / count if count else moments[0]
        begun = 0.0  # a run, before the first frame; the estimate for each frame has its share of that
        if sizes.keeps:
            pair = work(model, *plan.shapes, sizes, plan.instants, within_run=is_within_run)
            share = model.effort().ahead * math.prod(plan.lr_size) / pair
            begun = spent * max(1.0, plan.instants) * model.config.run_pairs * share
        start_seconds = max(0.0, moments[0] - spent - begun)
        return cls(plan, max(spent, 1e-6), start_seconds, memory.bytes, is_within_run)


def _start_seconds(trial: _Sample, sample: _Sample, frame_seconds: float) -> float:
    """Return what comes before the first frame: files are opened, and more frames are encoded for its pair.

    The former takes the same time for any size, the latter grows with a frame's.
    """
    grown = sample.frame_seconds - trial.frame_seconds
    if grown <= 0:
        return sample.start_seconds
    slope = max(0.0, sample.start_seconds - trial.start_seconds) / grown
    return sample.start_seconds + slope * max(0.0, frame_seconds - sample.frame_seconds)


def _piece_of(plan: Plan, pixels: float, tile: tuple[int, int], path: Path) -> Plan:
    """Return the plan of so many pixels in the middle of each picture, or of the whole if it has no more.

    Args:
        plan: of the whole video.
        pixels: of the source, to render of each frame.
        tile: (rows, columns) of the largest tile; no more are rendered at once.
        path: where the output goes.
    """
    rows, columns = tile
    if pixels >= rows * columns and tile == plan.lr_size:
        return plan.into(path)
    shrinking = min(1.0, (pixels / (rows * columns)) ** 0.5)
    sides = (max(ALIGNMENT_PX, round(side * shrinking / ALIGNMENT_PX) * ALIGNMENT_PX) for side in tile)
    height, width = (min(side, whole) for side, whole in zip(sides, plan.lr_size, strict=True))
    top, left = ((whole - side) // 2 for side, whole in zip((height, width), plan.lr_size, strict=True))
    return plan.of_piece(Region(left, top, width, height), path)


def _stand_in(destination: Path, folder: str) -> Path:
    """Return a temporary name of the same format as the destination."""
    if is_standard_output(destination):
        return Path(folder) / f"out{destination.suffix or '.nut'}"
    return Path(folder) / (f"%d{destination.suffix}" if is_image_pattern(destination) else destination.name)
