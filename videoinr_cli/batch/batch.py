"""Render several videos one after the other, and report what becomes of each.

One that fails does not stop the others.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from videoinr_cli.batch.engines import Engines
from videoinr_cli.batch.events import SCHEMA_VERSION, Begin, End, Event, VideoEvent
from videoinr_cli.batch.items import Existing, Item, Pending, Refused
from videoinr_cli.batch.make_events import done_of, error_of, progress_of, segment_of, skipped_of, start_of
from videoinr_cli.batch.overall import OverallProgress, sum_known
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.jobs.job import OpenJob, open_pool, run_job
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.pool import Pool
from videoinr_cli.jobs.segments import SegmentDone, Segments
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pipeline import Progress as VideoProgress
from videoinr_cli.render.pipeline import Summary
from videoinr_cli.render.plan import Plan
from videoinr_cli.version import __version__

MOST_OPEN = 100
"""Videos whose segments may begin before the current one is done; each keeps a file locked."""

Listener = Callable[[Event], None]
"""Called with every event of a batch."""


@dataclasses.dataclass(frozen=True)
class BatchResult:
    """What became of several sources, each of which is in one of the four."""

    done: tuple[Summary, ...]
    skipped: tuple[Existing, ...]
    failed: tuple[Refused, ...]  # before rendering or while it went on
    left: tuple[Path, ...]  # sources that were not begun, after a failure with `fail_fast`


def run_batch(
    items: Sequence[Item],
    options: UpscaleOptions,
    listener: Listener,
    *,
    job: JobOptions | None = None,
    model: AnyVideoInr | None = None,
    fail_fast: bool = False,
) -> BatchResult:
    """Render what can be rendered.

    Args:
        items: what `plan_batch` found.
        options: for all of them.
        listener: called with every event, in this thread.
        job: how each video is divided and shared out.
        model: the network that the options name; loaded when None and when it is needed.
        fail_fast: whether the first failure ends everything, one found by `plan_batch` included.

    Raises:
        OptionError: there is no such device.
        WeightsError: the weights cannot be used.
        BaseException: it was interrupted; the listener has received an `End`.
    """
    job = job or JobOptions()
    run = _Run(items, job, listener, fail_fast=fail_fast)
    try:
        run.announce()
        if run.left and not (fail_fast and run.failed):
            plans = [item.plan for _, item in run.left]
            common = _options_of_all(plans, options, job)
            with open_pool(common, job, plans) as workers:  # each loads its own network
                engines = Engines(model)
                if model is not None or not workers.is_elsewhere:
                    engines.load(plans)
                run.render(engines, workers)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or a signal that ends the program
        run.end(interrupted=True)
        raise
    run.end()
    return run.result()


def _options_of_all(plans: Sequence[Plan], options: UpscaleOptions, job: JobOptions) -> UpscaleOptions:
    """Return the options for a pool: with the model that the plans have, of which a cluster takes one only.

    Raises:
        OptionError: they have several.
    """
    chosen = {plan.options.weights: plan.options.strength for plan in plans}
    if job.cluster is not None and len(chosen) > 1:
        raise OptionError(
            f"--model {options.weights} takes several models for these videos ({', '.join(sorted(chosen))}), "
            f"and a cluster renders with one; try --model {max(chosen)}"
        )
    weights, strength = next(iter(chosen.items()))
    return dataclasses.replace(options, weights=weights, strength=strength)


class _Run:
    """A batch, and what has become of its items so far."""

    def __init__(
        self, items: Sequence[Item], job: JobOptions, listener: Listener, *, fail_fast: bool
    ) -> None:
        self._items = items
        self._job = job
        self._fail_fast = fail_fast
        self._ahead: dict[int, OpenJob | Exception] = {}  # what came of opening videos before their turn
        self._listener = listener
        self._started = time.monotonic()
        self.left = [(index, item) for index, item in enumerate(items, start=1) if isinstance(item, Pending)]
        self.failed: list[Refused] = []
        self._done: list[Summary] = []
        self._skipped: list[Existing] = []
        self._overall = OverallProgress({index: item.plan for index, item in self.left})

    def announce(self) -> None:
        """Send what there is to do, and the items that need no rendering."""
        self._listener(
            Begin(
                schema=SCHEMA_VERSION,
                version=__version__,
                count=len(self._items),
                to_render=len(self.left),
                frames=sum_known(item.plan.total_frames for _, item in self.left),
            )
        )
        for index, item in enumerate(self._items, start=1):
            if isinstance(item, Refused):
                self._fail(index, item)
            elif isinstance(item, Existing):
                self._skipped.append(item)
                self._listener(skipped_of(self._place(index, item), item))

    def render(self, engines: Engines, workers: Pool) -> None:
        """Render the videos that are left; a failure becomes an event, and is not raised."""
        line = Line(workers, self._following(engines, workers))
        try:
            while self.left and not (self._fail_fast and self.failed):
                self._render_next(engines, line)
        finally:
            for opened in self._ahead.values():
                if isinstance(opened, OpenJob):
                    opened.close()

    def _following(self, engines: Engines, workers: Pool) -> Iterator[Segments | None]:
        """Open the videos after the current one, up to one that this process renders by itself."""
        for index, item in tuple(self.left):
            while len(self._ahead) >= MOST_OPEN:
                yield None
            if index <= self.left[0][0]:  # its turn has come
                continue
            opened: OpenJob | Exception
            try:
                _make_folder(item.destination.parent)
                opened = OpenJob(item.plan, self._job, workers, engines.of(item.plan))
            except Exception as error:  # any: told when its turn comes
                opened = error
            self._ahead[index] = opened
            if isinstance(opened, OpenJob) and opened.is_pooled:
                yield opened.segments
            else:
                while index >= self.left[0][0] and not workers.is_elsewhere:
                    yield None

    def _render_next(self, engines: Engines, line: Line) -> None:
        index, item = self.left[0]
        place = self._place(index, item)
        self._listener(start_of(place, item))

        def report(progress: VideoProgress) -> None:
            if progress.total_seconds:
                share = progress.seconds / progress.total_seconds
                self._overall.update(share, share_before=progress.frames_before / max(1, progress.frames))
            self._listener(progress_of(place, progress, self._overall))

        def report_segment(done: SegmentDone) -> None:
            self._listener(segment_of(place, done))

        with self._overall.on(index):
            try:
                opened = self._ahead.pop(index, None)
                if isinstance(opened, Exception):
                    raise opened
                _make_folder(item.destination.parent)
                summary = run_job(
                    item.plan,
                    self._job,
                    engine=engines.of(item.plan),
                    line=line,
                    opened=opened,
                    progress=report,
                    on_segment=report_segment,
                )
            except Exception as error:  # any: the other videos may have nothing to do with it
                self._fail(index, Refused(item.source, item.destination, error))
            else:
                self._done.append(summary)
                self._listener(done_of(place, summary))
        del self.left[0]

    def end(self, *, interrupted: bool = False) -> None:
        """Send the summary of all."""
        self._listener(
            End(
                done=len(self._done),
                skipped=len(self._skipped),
                failed=len(self.failed),
                left=tuple(item.source for _, item in self.left),
                interrupted=interrupted,
                frames_written=sum(summary.frames_written for summary in self._done),
                output_bytes=sum(summary.output_bytes or 0 for summary in self._done),
                elapsed_seconds=time.monotonic() - self._started,
            )
        )

    def result(self) -> BatchResult:
        """Return what became of all."""
        return BatchResult(
            done=tuple(self._done),
            skipped=tuple(self._skipped),
            failed=tuple(self.failed),
            left=tuple(item.source for _, item in self.left),
        )

    def _fail(self, index: int, item: Refused) -> None:
        self.failed.append(item)
        self._listener(error_of(self._place(index, item), item))

    def _place(self, index: int, item: Item) -> VideoEvent:
        return VideoEvent(index, len(self._items), item.source)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {str(folder)!r} cannot be made: {error.strerror}") from error
