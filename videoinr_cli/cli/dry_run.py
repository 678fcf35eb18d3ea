"""``upscale --dry-run``: the plan as text, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from videoinr_cli.batch.events import Error, Estimate, Skipped
from videoinr_cli.quantities import counted, lasted, roughly, size_of


def plan_lines(events: Iterable[Estimate | Error | Skipped]) -> Iterator[str]:
    """Yield lines that say what would be done for each video, and the total time for several."""
    seconds: list[float | None] = []
    for event in events:
        if isinstance(event, Error):
            yield f"{event.source}: cannot be rendered: {event.message}"
        elif isinstance(event, Skipped):
            yield f"{event.source}: skipped, {event.destination} exists"
        else:
            seconds.append(event.estimated_seconds)
            yield from _video(event)
    if len(seconds) > 1:
        known = [one for one in seconds if one is not None]
        rest = "" if len(known) == len(seconds) else f", plus {len(seconds) - len(known)} of unknown length"
        yield f"{len(seconds)} videos: about {roughly(sum(known))}{rest}"


def _video(plan: Estimate) -> Iterator[str]:
    yield f"{plan.source} -> {plan.destination}"
    rate = "each frame at its own time" if plan.fps is None else f"{plan.fps:g} frames per second"
    yield (
        f"  {'{}x{}'.format(*plan.source_size)} at {plan.source_fps:g} frames per second"
        f" -> {'{}x{}'.format(*plan.size)}, {rate}"
    )
    frames = "unknown length" if plan.frames is None else counted(plan.frames, "frame")
    lasts = "" if plan.seconds is None else f", {lasted(plan.seconds)}"
    segments = "" if plan.segments == 1 else f", in {plan.segments} segments"
    yield f"  {frames}{lasts}{segments}"
    pieces = "whole frames" if plan.tile_size is None else "tiles of {}x{} px".format(*plan.tile_size)
    yield f"  rendered in {pieces}, chunks of {plan.chunk_bytes >> 20} MiB"
    took = "" if plan.estimated_seconds is None else f"about {roughly(plan.estimated_seconds)}, "
    yield f"  {took}{size_of(plan.peak_memory_bytes)} of memory, from a short measurement"
    for note in plan.notes:
        yield f"  note: {note}"
