"""Estimate what rendering videos would take, from rendering each kind of them for a few seconds.

What is rendered is thrown away.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoinr_cli.batch.events import Error, Estimate, Skipped
from videoinr_cli.batch.items import Existing, Item, Refused
from videoinr_cli.batch.make_events import error_of, estimate_of, skipped_of
from videoinr_cli.evaluation.cost import PeakMemory
from videoinr_cli.jobs.partition import devices_of, plan_parts, sharing
from videoinr_cli.media.write.destination import is_image_pattern, is_standard_output
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pieces import Sizes
from videoinr_cli.render.pipeline import Engine, Progress
from videoinr_cli.render.plan import Plan
from videoinr_cli.render.speed import Speed
from videoinr_cli.weights import load_model

MEASURED_SECONDS = 4.0
"""How long a video is rendered for the estimate, after its first frame."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What rendering takes."""

    speed: Speed
    peak_bytes: int  # of the GPU if there is one, else of RAM; by all processes that share it
    sizes: Sizes  # of the pieces that rendering begins with


class _Enough(Exception):
    """Ends a rendering that was measured long enough."""


def estimate_batch(
    items: Sequence[Item], options: UpscaleOptions, job: JobOptions, failures: list[Exception]
) -> Iterator[Estimate | Error | Skipped]:
    """Yield what would become of each source, without writing any output.

    Videos of the same sizes and format are assumed to cost the same per frame. The time that several
    processes or an earlier run save is not counted.

    Args:
        items: what `plan_batch` found.
        options: for all of them.
        job: how each video would be divided and shared out.
        failures: the errors of sources that cannot be rendered are appended to it.

    Raises:
        OptionError: there is no such device.
        WeightsError: the weights cannot be used.
    """
    engine: Engine | None = None
    costs: dict[object, Cost] = {}
    for index, item in enumerate(items, start=1):
        count = len(items)
        if isinstance(item, Refused):
            failures.append(item.error)
            yield error_of(index, count, item)
        elif isinstance(item, Existing):
            yield skipped_of(index, count, item)
        else:
            if engine is None:
                device = options.device.split(",")[0]
                engine = Engine(load_model(options.weights, device=device, precision=options.precision))
            devices = devices_of(options, job)
            segments = len(plan_parts(item.plan, job, engine.model.config, workers=len(devices)))
            processes = sharing(devices) if segments > 1 else 1
            plan = dataclasses.replace(item.plan, processes=processes)
            written = (plan.format.container.muxer, plan.format.encoder.name, plan.format.pix_fmt)
            kind = (plan.source.width, plan.source.height, plan.size, written, processes)
            try:
                if kind not in costs:
                    costs[kind] = measure(plan, engine)
            except Exception as error:  # any: the other videos may have nothing to do with it
                failures.append(error)
                yield error_of(index, count, Refused(item.source, item.destination, error))
            else:
                cost, frames = costs[kind], plan.total_frames
                seconds = None if frames is None else cost.speed.seconds(frames)
                yield estimate_of(
                    index,
                    count,
                    item,
                    segments=segments,
                    sizes=cost.sizes,
                    seconds=seconds,
                    peak_bytes=cost.peak_bytes,
                )


def measure(plan: Plan, engine: Engine) -> Cost:
    """Render a video for a few seconds, from its file to another one, and throw the result away.

    Raises:
        VideoInrError: it cannot be rendered; see `jobs.upscale.upscale_video`.
    """
    sizes = engine.choose_sizes(plan)
    started = time.monotonic()
    moments: list[float] = []

    def report(_: Progress) -> None:
        moments.append(time.monotonic() - started)
        if moments[-1] - moments[0] >= MEASURED_SECONDS:
            raise _Enough

    with tempfile.TemporaryDirectory(prefix="videoinr-") as folder:
        memory = PeakMemory(engine.model.device)
        try:
            with memory:
                engine.render(plan.into(_stand_in(plan.destination, folder)), report)
        except _Enough:
            pass
    spent = moments[-1] - moments[0]
    frame_seconds = spent / (len(moments) - 1) if len(moments) > 1 else moments[0]
    speed = Speed(frame_seconds, start_seconds=moments[0] - frame_seconds)
    return Cost(speed, memory.bytes * plan.processes, sizes)


def _stand_in(destination: Path, folder: str) -> Path:
    """Return a temporary name of the same format as the destination."""
    if is_standard_output(destination):
        return Path(folder) / f"out{destination.suffix or '.nut'}"
    return Path(folder) / (f"%d{destination.suffix}" if is_image_pattern(destination) else destination.name)
