"""Carry out the plan of a video so that nothing rendered is ever lost: render what is missing, and join.

Short videos, pipes, and formats that cannot be joined are rendered in one go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from videoinr_cli.errors import OutputError
from videoinr_cli.jobs.fingerprint import fingerprint
from videoinr_cli.jobs.interrupts import Interrupts
from videoinr_cli.jobs.join import damaged, join, misfits
from videoinr_cli.jobs.manifest import Manifest, Rendered, job_folder, open_manifest, remove_job
from videoinr_cli.jobs.partition import can_be_cut, devices_of, plan_parts, sharing
from videoinr_cli.jobs.pool import Workers
from videoinr_cli.jobs.segment import SegmentRequest, render_segment
from videoinr_cli.media.write.containers import carrier_for
from videoinr_cli.media.write.destination import check_destination, written_bytes
from videoinr_cli.media.write.writer import check_streams_fit
from videoinr_cli.model.devices import choose_device
from videoinr_cli.notes import collected_notes
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.pipeline import Engine, Progress, ProgressCallback, Summary, memory_errors
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import inspect_weights, load_network

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SegmentDone:
    """A segment whose file is complete."""

    number: int  # from 1
    total: int
    frames: int  # pictures in it
    bytes: int
    was_done: bool  # by an earlier run


SegmentCallback = Callable[[SegmentDone], None]


def run_job(
    plan: Plan,
    job: JobOptions | None = None,
    *,
    engine: Engine | None = None,
    workers: Workers | None = None,
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
        workers: the processes, for several videos in a row; started and ended here when None.
        progress: called in this thread after each output frame.
        on_segment: called in this thread when a segment is done.

    Raises:
        KeyboardInterrupt: what is rendered is kept, and the next run continues from there.
        VideoInrError: see `upscale_video`; an `InputError` also when the source has changed since it was
            planned, an `OutputError` when another run is writing the output, or when an earlier run
            began it with another source or other options.
    """
    job = job or JobOptions()
    plan.check_unchanged()
    path = plan.destination
    check_destination(path, plan.source, overwrite=plan.options.overwrite)
    devices = devices_of(plan.options, job)
    for device in devices:
        choose_device(device)
    plan = plan.on(devices[0])
    with collected_notes() as notes:
        config = engine.model.config if engine else inspect_weights(plan.options.weights).config
        parts = plan_parts(plan, job, config, workers=len(devices))
        is_begun = job_folder(path).exists() and can_be_cut(plan)
        if len(parts) > 1 or (is_begun and job.resume):
            identity = fingerprint(plan, engine.model if engine else None)
            with (
                memory_errors(plan),
                open_manifest(path, identity, parts, resume=job.resume) as manifest,
                Workers(devices) if workers is None else contextlib.nullcontext(workers) as pool,
            ):
                plan = dataclasses.replace(plan, processes=sharing(devices))
                summary = _Segments(plan, manifest, pool, engine, progress, on_segment).upscale()
            if not job.keep_temp:
                remove_job(path)
        else:
            remove_job(path)  # what an earlier run left, if it is not continued
            if len(devices) > 1:
                log.info("the video is rendered by one process: it is short, or cannot be cut and joined")
            if workers is not None:
                workers.end()  # this process needs their memory
            summary = (engine or _loaded(plan.options)).upscale(plan, progress)
    texts = dict.fromkeys(note.text for note in (*plan.notes, *notes))
    return dataclasses.replace(summary, notes=tuple(texts))


def _loaded(options: UpscaleOptions) -> Engine:
    return Engine(load_network(options.network))


class _Segments:
    """One video's segments, from those that an earlier run has rendered to the joined output."""

    def __init__(
        self,
        plan: Plan,
        manifest: Manifest,
        workers: Workers,
        engine: Engine | None,
        progress: ProgressCallback | None,
        on_segment: SegmentCallback | None,
    ) -> None:
        self._plan, self._manifest, self._workers, self._engine = plan, manifest, workers, engine
        self._progress = progress or (lambda _: None)
        self._on_segment = on_segment or (lambda _: None)
        carrier = carrier_for(plan.format.encoder.name)
        assert carrier is not None
        self._paths = [manifest.path_of(number, f".{carrier}") for number in range(len(manifest.parts))]
        self._unfinished: dict[int, int] = {}  # pictures rendered in segments that are not done
        self._started = time.monotonic()

    def upscale(self) -> Summary:
        """Render what is missing, and join all."""
        self._forget_damaged()
        self._frames_before = sum(done.frames_written for done in self._manifest.rendered.values())
        self._announce_resumption()
        self._render_missing()
        rendered = self._in_order()
        if wrong := misfits(rendered):
            for number in wrong:
                self._manifest.record(number, None)
            raise OutputError(
                f"seeking into {str(self._plan.source.path)!r} does not reproduce a straight decode; render "
                "it in one go, with --segment-seconds 0 --no-resume"
            )
        join(self._plan, [path for path, done in zip(self._paths, rendered, strict=True) if done.bytes])
        source = self._plan.source
        return Summary(
            destination=self._plan.destination,
            source_size=(source.width, source.height),
            size=self._plan.size,
            frames_read=sum(done.frames_read for done in rendered),
            frames_written=sum(done.frames_written for done in rendered),
            cuts=sum(done.cuts for done in rendered),
            elapsed_seconds=time.monotonic() - self._started,
            output_bytes=written_bytes(self._plan.destination),
            frames_before=self._frames_before,
        )

    def _in_order(self) -> list[Rendered]:
        return [done for _, done in sorted(self._manifest.rendered.items())]

    def _forget_damaged(self) -> None:
        """Remove segments from the manifest whose files are missing or damaged."""
        numbers = sorted(self._manifest.rendered)
        files = [(self._paths[number], self._manifest.rendered[number]) for number in numbers]
        for place in damaged(files):
            log.warning(f"{str(self._paths[numbers[place]])!r} is damaged and is rendered again")
            self._manifest.record(numbers[place], None)

    def _announce_resumption(self) -> None:
        total = len(self._paths)
        if self._manifest.rendered:
            log.info(f"continuing: {len(self._manifest.rendered)} of {total} segments are done")
        for number, done in sorted(self._manifest.rendered.items()):
            self._on_segment(SegmentDone(number + 1, total, done.frames_written, done.bytes, was_done=True))

    def _render_missing(self) -> None:
        requests = [
            SegmentRequest(number, self._plan, part, self._paths[number])
            for number, part in enumerate(self._manifest.parts)
            if number not in self._manifest.rendered
        ]
        if requests:
            trial = self._manifest.folder / f"trial{self._plan.destination.suffix}"
            check_streams_fit(self._plan.output.into(trial))
        with Interrupts() as interrupts:
            for number, done in self._rendered(requests, interrupts):
                self._unfinished.pop(number, None)
                self._manifest.record(number, done)
                event = SegmentDone(
                    number + 1, len(self._paths), done.frames_written, done.bytes, was_done=False
                )
                self._on_segment(event)
        if interrupts.is_asked_to_stop:
            raise KeyboardInterrupt

    def _rendered(
        self, requests: Sequence[SegmentRequest], interrupts: Interrupts
    ) -> Iterator[tuple[int, Rendered]]:
        if len(self._workers) > 1 and len(requests) > 1:
            yield from self._workers.rendered(
                requests,
                should_stop=lambda: interrupts.is_asked_to_stop,
                progress=self._advanced,
            )
            return
        if requests and self._engine is None:
            self._engine = _loaded(self._plan.options)
        for request in requests:
            if interrupts.is_asked_to_stop:
                return

            def advanced(made: Progress, number: int = request.number) -> None:
                self._advanced(number, made.frames)

            yield request.number, render_segment(request, engine=self._engine, progress=advanced)

    def _advanced(self, number: int, frames: int) -> None:
        """Report the progress of the whole video."""
        self._unfinished[number] = frames
        before = sum(done.frames_written for done in self._manifest.rendered.values())
        plan = self._plan
        made = before + sum(self._unfinished.values())
        total = plan.total_seconds
        seconds = float(made / (plan.timeline.rate or plan.source.frame_rate * plan.options.speed))
        self._progress(
            Progress(
                frames=made,
                total_frames=plan.total_frames,
                seconds=seconds if total is None else min(seconds, total),
                total_seconds=total,
                elapsed_seconds=time.monotonic() - self._started,
                frames_before=self._frames_before,
            )
        )
