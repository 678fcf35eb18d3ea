"""Parts of a video that are rendered separately, with the same result as rendering the whole in one go.

A picture depends on its pair of frames, on one more frame on either side, and, if it repeats, on where it
first appeared. So parts meet where a new picture begins, and each part reads one more frame on either side.
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
"""Source frames that are read before a part."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a source: from the first new picture at or after `begin` to that at or after `end`."""

    begin: int | None = None  # in ticks of the source's time base; None: its start
    end: int | None = None  # None: its end


@dataclasses.dataclass
class Tally:
    """What a part holds of its source, counted while it is rendered."""

    frames: int = 0
    cuts: int = 0
    opening: str | None = None  # identifies the first frame; None: the part is empty
    closing: str | None = None  # identifies the frame after the last one; None: the source ends there


@dataclasses.dataclass(frozen=True)
class Passage:
    """A span to be rendered, or one that leads to the part."""

    span: Span[GivenFrame]
    after: GivenFrame | None  # the frame that follows the span's second one
    is_wanted: bool  # whether it is in the part; False: it only leads there


def passages(spans: Iterator[Span[GivenFrame]], part: Part, tally: Tally) -> Iterator[Passage]:
    """Yield the spans that lead to a part, then its own.

    Args:
        spans: of the source, from `LEAD_FRAMES` before the part, or from its start.
        part: the iteration ends where it ends.
        tally: counts the part's frames and cuts.
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
    """Yield each item with the one that follows it, None after the last."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        yield item, following
        item = following


def _mark(frame: GivenFrame) -> str:
    return f"{frame.pts}:{zlib.crc32(frame.rgb.data):08x}"
