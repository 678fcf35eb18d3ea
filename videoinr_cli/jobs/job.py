"""Carry out the plan of a video so that nothing rendered is ever lost: render what is missing, and join.

Short videos, pipes, and formats that cannot be joined are rendered in one go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Sequence

from videoinr_cli.jobs.automatic import with_workers
from videoinr_cli.jobs.fingerprint import fingerprint
from videoinr_cli.jobs.line import Line
from videoinr_cli.jobs.manifest import job_folder, open_manifest, remove_job
from videoinr_cli.jobs.partition import can_be_cut, devices_of, plan_parts
from videoinr_cli.jobs.pool import OwnProcess, Pool
from videoinr_cli.jobs.segments import SegmentCallback, Segments
from videoinr_cli.jobs.workers import Workers
from videoinr_cli.media.write.destination import check_destination
from videoinr_cli.model.devices import choose_device
from videoinr_cli.notes import collected_notes
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pipeline import Engine, ProgressCallback, Summary, memory_errors
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import inspect_weights, load_network

log = logging.getLogger(__name__)


def open_pool(options: UpscaleOptions, job: JobOptions, plans: Sequence[Plan]) -> Pool:
    """Return what renders segments: processes on this machine, or a cluster.

    Args:
        options: of all videos.
        job: how many processes there are, and where.
        plans: of the videos, from which follows how many processes serve where that is not said, and how many
            each GPU of a cluster has room for; the one that needs most memory decides.

    Raises:
        OptionError: there is no such device.
        VideoInrError: there is no such cluster, or nothing of it can be used.
    """
    if job.cluster is not None:
        from videoinr_cli.jobs.cluster import connect

        return connect(options, job, plans)
    devices = devices_of(options, with_workers(job, plans))
    kinds = {choose_device(device).type for device in devices}
    if options.threads is not None and "cpu" not in kinds:
        where = " and ".join(sorted(kinds))
        log.info(
            f"the network computes on {where}, not on a CPU: --threads {options.threads} changes nothing"
        )
    return Workers(devices)


def run_job(
    plan: Plan,
    job: JobOptions | None = None,
    *,
    engine: Engine | None = None,
    line: Line | None = None,
    opened: OpenJob | None = None,
    progress: ProgressCallback | None = None,
    on_segment: SegmentCallback | None = None,
) -> Summary:
    """Carry out a plan, in segments if the video is long, and continue what an earlier run left.

    With several processes the calling program's main module must be importable without side effects, as
    `multiprocessing` asks. The first Ctrl-C finishes the current segments.

    Args:
        plan: of a whole video; its options' ``device`` may name several, separated by commas.
        job: how the video is divided and shared out.
        engine: what renders in this process, for several videos in a row; made as the plan says when None.
        line: leads to what renders segments, for several videos in a row; see `open_pool` when None.
        opened: the plan, if it was opened for the line before its turn; closed here.
        progress: called in this thread after each output frame.
        on_segment: called in this thread when a segment is done.

    Raises:
        KeyboardInterrupt: what is rendered is kept, and the next run continues from there.
        VideoInrError: see `upscale_video`; an `InputError` also when the source has changed since it was
            planned, an `OutputError` when another run is writing the output, or when an earlier run
            began it with another source or other options.
    """
    job = job or JobOptions()
    with collected_notes() as notes, contextlib.ExitStack() as stack:
        line = line or Line(stack.enter_context(open_pool(plan.options, job, [plan])))
        opened = stack.enter_context(opened or OpenJob(plan, job, line.pool, engine))
        summary = opened.run(line, progress, on_segment)
    texts = dict.fromkeys(note.text for note in (*plan.notes, *notes))
    return dataclasses.replace(summary, notes=tuple(texts))


class OpenJob(contextlib.AbstractContextManager["OpenJob"]):
    """A plan that is about to be carried out: nobody else may, and its segments are known."""

    def __init__(self, plan: Plan, job: JobOptions, workers: Pool, engine: Engine | None) -> None:
        """Divide the video, or continue what an earlier run left.

        Raises:
            VideoInrError: see `run_job`.
        """
        plan.check_unchanged()
        check_destination(plan.destination, plan.source, overwrite=plan.options.overwrite)
        if not workers.is_elsewhere:
            plan = plan.on(plan.options.device.split(",")[0])
        self._plan, self._job, self._given = plan, job, engine
        self.segments: Segments | None = None  # None: it is rendered in one go
        config = engine.model.config if engine else inspect_weights(plan.options.weights).config
        parts = plan_parts(plan, job, config, workers=workers.shares)
        is_begun = job_folder(plan.destination).exists() and job.resume
        with contextlib.ExitStack() as stack, memory_errors(plan):
            if len(parts) > 1 or ((is_begun or workers.is_elsewhere) and can_be_cut(plan)):
                now = fingerprint(plan, engine.model if engine else None)
                manifest = stack.enter_context(open_manifest(plan.destination, now, parts, resume=job.resume))
                self._plan = dataclasses.replace(plan, processes=workers.sharing)
                self.segments = Segments(self._plan, manifest)
            missing = 0 if self.segments is None else self.segments.missing
            is_shared = workers.is_elsewhere or (len(workers) > 1 and missing > 1)
            self.is_pooled = self.segments is not None and is_shared  # not rendered by this process
            self._stack = stack.pop_all()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others carry it out."""
        self._stack.close()

    def run(
        self, line: Line, progress: ProgressCallback | None, on_segment: SegmentCallback | None
    ) -> Summary:
        """Carry it out; the arguments are those of `run_job`, and its pool's line.

        Raises:
            VideoInrError: see `run_job`.
        """
        plan, path = self._plan, self._plan.destination
        if self.segments is None:
            remove_job(path)  # what an earlier run left, if it is not continued
            if (seconds := self._job.segment_seconds) and not can_be_cut(plan):
                log.info(
                    f"{str(path)!r} cannot be made in segments: --segment-seconds {seconds:g} has no effect"
                )
            if len(line.pool) > 1 or line.pool.is_elsewhere:
                log.info("the video is rendered by one process: it is short, or cannot be cut and joined")
            if not line.pool.is_elsewhere:
                line.pool.end()  # this process needs their memory
            return self._engine.upscale(plan, progress)
        if not self.is_pooled:
            line = Line(OwnProcess(lambda: self._engine))
        with memory_errors(plan):
            self.segments.present(progress, on_segment)
            line.render(self.segments)
            summary = line.beside(self.segments.joined)
        line.pool.forget(self.segments)
        self.close()
        if not self._job.keep_temp:
            remove_job(path)
        return summary

    @functools.cached_property
    def _engine(self) -> Engine:
        return self._given or Engine(load_network(self._plan.options.network))
