"""Render several videos one after the other with one model, and say what becomes of each.

One that fails does not stop the others. Knows nothing of who listens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from videoinr_cli import __version__
from videoinr_cli.batch.events import SCHEMA_VERSION, Begin, End, Event
from videoinr_cli.batch.make_events import done_of, error_of, progress_of, segment_of, skipped_of, start_of
from videoinr_cli.batch.plan import Existing, Item, Refused, Task
from videoinr_cli.batch.work import Work, total_of
from videoinr_cli.errors import OutputError
from videoinr_cli.jobs.plan import devices_of
from videoinr_cli.jobs.pool import Workers
from videoinr_cli.jobs.run import SegmentDone, run_job
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pipeline import Progress as VideoProgress
from videoinr_cli.render.pipeline import Summary
from videoinr_cli.weights import load_model

Listener = Callable[[Event], None]


def run_batch(
    items: Sequence[Item],
    options: UpscaleOptions,
    listener: Listener,
    *,
    job: JobOptions | None = None,
    fail_fast: bool = False,
) -> list[Exception]:
    """Render what can be rendered.

    Args:
        items: what `plan_batch` found.
        options: for all of them.
        listener: hears everything that happens, in this thread.
        job: how each is to be worked off.
        fail_fast: whether the first failure ends it all, one found by `plan_batch` included.

    Returns:
        Why sources could not be rendered; nothing when all is well.

    Raises:
        OptionError: there is no such device.
        WeightsError: the weights cannot be used.
        KeyboardInterrupt: it was interrupted, after the listener has heard so.
    """
    run = _Run(items, options, job, listener)
    devices = devices_of(options, job or JobOptions())
    try:
        run.announce()
        if run.left and not (fail_fast and run.failures):
            model = load_model(options.weights, device=devices[0], precision=options.precision)
            with Workers(devices) as workers:  # each loads its own
                while run.left and not (fail_fast and run.failures):
                    run.render_next(model, workers)
    except KeyboardInterrupt:
        run.end(interrupted=True)
        raise
    run.end()
    return run.failures


class _Run:
    """A batch under way: what has become of its items so far."""

    def __init__(
        self, items: Sequence[Item], options: UpscaleOptions, job: JobOptions | None, listener: Listener
    ) -> None:
        self._items = items
        self._options = options
        self._job = job
        self._listener = listener
        self._started = time.monotonic()
        self.left = [(index, item) for index, item in enumerate(items, start=1) if isinstance(item, Task)]
        self.failures: list[Exception] = []
        self._done: list[Summary] = []
        self._skipped = 0
        self._work = Work({index: task.plan for index, task in self.left})

    def announce(self) -> None:
        """Tell how much there is to do, and of the items that need no rendering."""
        count = len(self._items)
        self._listener(
            Begin(
                schema=SCHEMA_VERSION,
                version=__version__,
                count=count,
                to_render=len(self.left),
                frames=total_of(task.plan.total_frames for _, task in self.left),
            )
        )
        for index, item in enumerate(self._items, start=1):
            if isinstance(item, Refused):
                self._fail(index, item.source, item.destination, item.error)
            elif isinstance(item, Existing):
                self._skipped += 1
                self._listener(skipped_of(index, count, item))

    def render_next(self, model: AnyVideoInr, workers: Workers) -> None:
        """Render the next video; a failure is told, not raised."""
        index, task = self.left[0]
        count = len(self._items)
        self._listener(start_of(index, count, task))

        def report(progress: VideoProgress) -> None:
            if progress.total_seconds:
                share = progress.seconds / progress.total_seconds
                self._work.reach(share, given=progress.frames_before / max(1, progress.frames))
            self._listener(progress_of(index, count, task, progress, self._work))

        def report_segment(done: SegmentDone) -> None:
            self._listener(segment_of(index, count, task.source, done))

        with self._work.on(index):
            try:
                _make_folder(task.destination.parent)
                summary = run_job(
                    task.source,
                    task.destination,
                    self._options,
                    self._job,
                    model=model,
                    workers=workers,
                    progress=report,
                    on_segment=report_segment,
                )
            except Exception as error:  # any: the other videos may have nothing to do with it
                self._fail(index, task.source, task.destination, error)
            else:
                self._done.append(summary)
                self._listener(done_of(index, count, task.source, summary))
        del self.left[0]

    def end(self, *, interrupted: bool = False) -> None:
        """Tell what became of all."""
        self._listener(
            End(
                done=len(self._done),
                skipped=self._skipped,
                failed=len(self.failures),
                left=tuple(task.source for _, task in self.left),
                interrupted=interrupted,
                frames_written=sum(summary.frames_written for summary in self._done),
                output_bytes=sum(summary.output_bytes or 0 for summary in self._done),
                elapsed_seconds=time.monotonic() - self._started,
            )
        )

    def _fail(self, index: int, source: Path, destination: Path | None, error: Exception) -> None:
        self.failures.append(error)
        self._listener(error_of(index, len(self._items), source, destination, error))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {str(folder)!r} cannot be made: {error.strerror}") from error
