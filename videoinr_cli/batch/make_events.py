"""Make the events of a batch: each of a source, with its place among all, and what becomes of it."""

from __future__ import annotations

from videoinr_cli.batch.events import Done, Error, Estimate, Progress, Segment, Skipped, Start, VideoEvent
from videoinr_cli.batch.items import Existing, Pending, Refused
from videoinr_cli.batch.overall import OverallProgress
from videoinr_cli.errors import one_line
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.options import model_name, strength_of
from videoinr_cli.render.pieces import Sizes
from videoinr_cli.render.pipeline import Progress as VideoProgress
from videoinr_cli.render.pipeline import Summary
from videoinr_cli.render.speed import remaining_seconds


def start_of(place: VideoEvent, item: Pending) -> Start:
    """Return the event of a video that begins."""
    source, rate, options = item.plan.source, item.plan.timeline.rate, item.plan.options
    return Start(
        **vars(place),
        destination=item.destination,
        source_size=(source.width, source.height),
        size=item.plan.size,
        source_fps=float(source.frame_rate),
        fps=None if rate is None else float(rate),
        frames=item.plan.total_frames,
        seconds=item.plan.total_seconds,
        model=model_name(options.weights),
        strength=strength_of(options.weights, options.strength),
    )


def estimate_of(
    place: VideoEvent,
    item: Pending,
    *,
    segments: int,
    sizes: Sizes,
    seconds: float | None,
    peak_bytes: int,
    advice: tuple[str, ...],
) -> Estimate:
    """Return what a dry run says of a video: what it would become, and what that would take."""
    return Estimate(
        **vars(start_of(place, item)),
        segments=segments,
        tile_size=None if sizes.tile_px is None else (sizes.tile_px[1], sizes.tile_px[0]),
        chunk_bytes=sizes.chunk_bytes,
        notes=(*(note.text for note in item.plan.notes), *advice),
        estimated_seconds=seconds,
        peak_memory_bytes=peak_bytes,
    )


def progress_of(place: VideoEvent, progress: VideoProgress, overall: OverallProgress) -> Progress:
    """Return how far a video is, and all of them."""
    return Progress(
        **vars(place),
        **vars(progress),
        left_seconds=remaining_seconds(
            progress.seconds,
            progress.total_seconds,
            progress.elapsed_seconds,
            done_before=progress.seconds * progress.frames_before / progress.frames,
        ),
        overall_fraction=overall.fraction,
        overall_left_seconds=overall.left_seconds,
    )


def segment_of(place: VideoEvent, done: SegmentDone) -> Segment:
    """Return the event of a segment that is on the disk."""
    return Segment(
        **vars(place),
        segment=done.number,
        segments=done.total,
        frames=done.frames,
        bytes=done.bytes,
        was_done=done.was_done,
        node=done.node,
    )


def done_of(place: VideoEvent, summary: Summary) -> Done:
    """Return the event of a video that is complete."""
    fresh = summary.frames_written - summary.frames_before
    speed = fresh / max(summary.elapsed_seconds, 1e-6)
    return Done(**vars(place), **vars(summary), frames_per_second=speed)


def skipped_of(place: VideoEvent, item: Existing) -> Skipped:
    """Return the event of a source that is skipped."""
    return Skipped(**vars(place), destination=item.destination)


def error_of(place: VideoEvent, item: Refused) -> Error:
    """Return the event of a source that cannot be rendered."""
    return Error(
        **vars(place),
        destination=item.destination,
        kind=type(item.error).__name__,
        message=one_line(item.error),
    )
