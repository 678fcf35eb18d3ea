"""From frames of a source, in their order, to the pictures of the output: cuts, pairs, instants."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction

import numpy as np

from videoinr_cli.media.read.reader import SourceFrame
from videoinr_cli.media.read.repeats import LONGEST_FRAMES, Repeats
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.model import ModelConfig
from videoinr_cli.render.parts import Part, Tally, passages
from videoinr_cli.render.renderer import GivenFrame, Picture, Renderer, Rendering
from videoinr_cli.render.runs import Sections
from videoinr_cli.render.scenes import WINDOW, Thumbnail, thumbnail, with_cuts
from videoinr_cli.render.timeline import Timeline

GREY_STEP = 16
"""Distance in pixels of the samples by which most pictures are found to have colour."""


@dataclasses.dataclass(frozen=True)
class OutputFrame:
    """A picture of the output, and when it is shown."""

    picture: Rendering
    pts: int  # in ticks of the output's time base


def sections_of(source: VideoInfo, config: ModelConfig) -> Sections:
    """Return the sections of a source's time at whose beginnings a network's runs of frames begin."""
    return Sections(source.start_pts, 1 / (source.frame_rate * source.time_base), config.run_pairs)


def lead_frames(config: ModelConfig, repeats: Repeats | None) -> int:
    """Return how many frames before a part are to be read: its first run's context, and what tells of cuts.

    Args:
        config: of the network.
        repeats: of drawings, of which the context is made; None: it is made of frames.
    """
    context = config.context_frames
    return WINDOW + 1 + (context if repeats is None else (context + 2) * LONGEST_FRAMES)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A frame, its thumbnail, and whether it repeats the one before."""

    frame: SourceFrame
    small: Thumbnail
    is_repeat: bool


def compared(
    frames: Iterable[SourceFrame], threshold: float, sections: Sections | None = None
) -> Generator[GivenFrame, None, None]:
    """Mark each frame by its section, and whether it repeats another, begins a scene, or has no colour.

    A frame is yielded when `WINDOW` further ones are known.

    Args:
        frames: consecutive.
        threshold: what `cut_score` exceeds at a cut.
        sections: of the source; None for one section, in which each run begins where the last one ends.
    """
    for seen, is_cut in with_cuts(_seen(frames), threshold, lambda seen: seen.small):
        frame = seen.frame
        yield GivenFrame(
            frame.rgb,
            frame.pts,
            frame.duration,
            frame.alpha,
            is_repeat=seen.is_repeat,
            is_cut=is_cut,
            section=0 if sections is None else sections.of(frame.pts),
            is_grey=is_grey(frame.rgb),
        )


def _seen(frames: Iterable[SourceFrame]) -> Iterator[_Seen]:
    before: SourceFrame | None = None
    for frame in frames:
        yield _Seen(frame, thumbnail(frame.rgb), before is not None and _is_same(before, frame))
        before = frame


def is_grey(rgb: Picture) -> bool:
    """Whether a picture (H, W, 3) has no colour; of 16 bits, the last one may differ, which is rounded."""
    tolerance = 0 if rgb.dtype == np.uint8 else 1
    for part in (rgb[::GREY_STEP, ::GREY_STEP], rgb):  # most pictures differ in the first
        if (part.max(axis=2) - part.min(axis=2)).max() > tolerance:
            return False
    return True


def _is_same(first: SourceFrame, second: SourceFrame) -> bool:
    same_alpha = (
        first.alpha is second.alpha
        if first.alpha is None or second.alpha is None
        else np.array_equal(first.alpha, second.alpha)
    )
    return same_alpha and np.array_equal(first.rgb, second.rgb)


def output_frames(
    renderer: Renderer,
    timeline: Timeline,
    frames: Iterable[GivenFrame],
    *,
    source_rate: Fraction | None,
    part: Part,
    tally: Tally,
) -> Iterator[OutputFrame]:
    """Render every instant of a part of the output; a source frame is taken only when it is needed.

    Args:
        renderer: of the output's size, at its start.
        timeline: which instants there are.
        frames: of the source, from the context of the part's first run on, or from its start.
        source_rate: see `Timeline.spans`.
        part: what is rendered.
        tally: kept up to date.
    """
    spans = timeline.spans(
        frames,
        source_rate=source_rate,
        is_entered=part.begin is not None,
        late=lambda frame: frame.late,
    )
    for passage in passages(spans, part, tally, lookahead=renderer.lookahead):
        span = passage.span
        renderer.advance(span.first, span.second, *passage.following)
        if passage.is_wanted:
            instants, placed = itertools.tee(span.instants)
            pictures = renderer.render_all(instant.tau for instant in placed)
            for instant, picture in zip(instants, pictures, strict=True):
                yield OutputFrame(picture, instant.pts)
