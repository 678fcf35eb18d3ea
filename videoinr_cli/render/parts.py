"""Parts of a video that are rendered apart, and come out as if the whole had been rendered in one go.

What a picture depends on lies near it: its pair of frames, one more on either side, and, of a picture that
repeats, where it first appeared. So parts meet where a new picture begins, and a part is shown one frame more
on either side. Knows nothing of files or networks.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from typing import TypeVar

from videoinr_cli.render.renderer import GivenFrame
from videoinr_cli.render.timeline import Span

ItemT = TypeVar("ItemT")

LEAD_FRAMES = 1
"""Source frames before a part that are read for it."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a source: from the first new picture at or after `begin` to that at or after `end`."""

    begin: int | None = None  # in ticks of the source's time base; None: its start
    end: int | None = None  # None: its end


@dataclasses.dataclass
class Tally:
    """What of a source lies in a part, counted as it passes."""

    frames: int = 0
    cuts: int = 0
    opening: str | None = None  # tells the first frame from others; None of an empty part
    closing: str | None = None  # tells the frame that follows the last one; None at the end of the source


@dataclasses.dataclass(frozen=True)
class Passage:
    """A span on its way through the renderer."""

    span: Span[GivenFrame]
    after: GivenFrame | None  # the frame that follows the span's second one
    is_wanted: bool  # False of one that only leads to the part


def passages(spans: Iterator[Span[GivenFrame]], part: Part, tally: Tally) -> Iterator[Passage]:
    """Yield the spans of a part, and before them those that lead to it.

    Args:
        spans: of the source, from `LEAD_FRAMES` before the part on, or from its start.
        part: ends the iteration, whatever else is to come.
        tally: is kept up to date.
    """
    is_wanted = part.begin is None
    for span, following in with_following(spans):
        first = span.first
        if not first.is_repeat:
            if part.end is not None and first.pts >= part.end:
                tally.closing = _mark(first)
                return
            if part.begin is not None and not is_wanted and first.pts >= part.begin:
                is_wanted = True
                tally.opening = _mark(first)
        if is_wanted:
            tally.frames += 1
            tally.cuts += first.is_cut
        yield Passage(span, None if following is None else following.second, is_wanted)


def with_following(items: Iterator[ItemT]) -> Iterator[tuple[ItemT, ItemT | None]]:
    """Tell with each item the one that follows, None after the last."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        yield item, following
        item = following


def _mark(frame: GivenFrame) -> str:
    return f"{frame.pts}:{zlib.crc32(frame.rgb.data):08x}"
