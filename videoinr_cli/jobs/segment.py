"""Render one segment: the only call that a worker answers, in this process or another.

The result depends on the request alone.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.options import NetworkOptions
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pipeline import Engine, ProgressCallback
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import load_network


@dataclasses.dataclass(frozen=True)
class SegmentRequest:
    """A segment to be rendered. Can be pickled."""

    number: int
    plan: Plan  # of the whole video
    part: Part
    path: Path  # of the segment's file, which is written whole or not at all

    def on(self, device: str, threads: int) -> SegmentRequest:
        """Return the request for another device, and a number of threads."""
        return dataclasses.replace(self, plan=self.plan.on(device, threads))


def render_segment(
    request: SegmentRequest, *, engine: Engine | None = None, progress: ProgressCallback
) -> Rendered:
    """Render a segment into its file.

    Args:
        request: what to render.
        engine: what renders; made as the request's options say when None, and kept for the next request.
        progress: called after each picture, with the segment's own figures.

    Raises:
        VideoInrError: see `jobs.upscale.upscale_video`.
    """
    engine = engine or _kept_engine(request.plan.options.network)
    outcome = engine.render(request.plan.of_part(request.part, request.path), progress)
    return Rendered(
        frames_read=outcome.tally.frames,
        frames_written=outcome.frames_written,
        cuts=outcome.tally.cuts,
        bytes=request.path.stat().st_size if outcome.frames_written else 0,
        opening=outcome.tally.opening,
        closing=outcome.tally.closing,
    )


@functools.lru_cache(maxsize=1)
def _kept_engine(options: NetworkOptions) -> Engine:
    return Engine(load_network(options))
