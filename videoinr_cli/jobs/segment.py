"""Render one segment: the one call that every worker answers, in this process or anywhere else.

What comes of it depends on the request alone. Knows nothing of the other segments.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from videoinr_cli.jobs.manifest import Rendered
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pipeline import Plan, ProgressCallback, run
from videoinr_cli.weights import load_model


@dataclasses.dataclass(frozen=True)
class SegmentRequest:
    """A segment to be rendered. Can be pickled."""

    number: int
    plan: Plan  # of the whole video
    part: Part
    path: Path  # of the segment's file, which is written whole or not at all

    @property
    def device(self) -> str:
        return self.plan.options.device

    def on(self, device: str) -> SegmentRequest:
        """Return the request for another device."""
        options = dataclasses.replace(self.plan.options, device=device)
        return dataclasses.replace(self, plan=dataclasses.replace(self.plan, options=options))


def render_segment(
    request: SegmentRequest, *, model: AnyVideoInr | None = None, progress: ProgressCallback | None = None
) -> Rendered:
    """Render a segment into its file.

    Args:
        request: what to render.
        model: the network; loaded as the request's options say when None, and kept for the next request.
        progress: called after each picture, with the segment's own figures.

    Raises:
        VideoInrError: see `render.pipeline.upscale_video`.
    """
    options = request.plan.options
    if model is None:
        model = _kept_model(options.weights, options.device, options.precision)
    outcome = run(request.plan.of_part(request.part, request.path), model, progress or (lambda _: None))
    return Rendered(
        frames_read=outcome.tally.frames,
        frames_written=outcome.frames_written,
        cuts=outcome.tally.cuts,
        bytes=request.path.stat().st_size if outcome.frames_written else 0,
        opening=outcome.tally.opening,
        closing=outcome.tally.closing,
    )


@functools.lru_cache(maxsize=1)
def _kept_model(weights: str, device: str, precision: str) -> AnyVideoInr:
    return load_model(weights, device=device, precision=precision)
