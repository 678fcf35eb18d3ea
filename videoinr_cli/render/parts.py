"""Parts of a video that are rendered separately, with the same result as rendering the whole in one go.

A picture depends on its run of frames (see `runs`) and, if it repeats, on where it first appeared. So parts
meet where a new picture begins a run, and each part also reads the context of its first and last run.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import zlib
from collections.abc import Iterator
from typing import TypeVar

from videoinr_cli.render.renderer import GivenFrame
from videoinr_cli.render.timeline import Span

ItemT = TypeVar("ItemT")


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
    following: tuple[GivenFrame, ...]  # the frames after the span's second one, as many as are looked at
    is_wanted: bool  # whether it is in the part; False: it only leads there


def passages(
    spans: Iterator[Span[GivenFrame]], part: Part, tally: Tally, *, lookahead: int
) -> Iterator[Passage]:
    """Yield the spans that lead to a part, then its own.

    Args:
        spans: of the source, from the context of the part's first run on, or from its start.
        part: the iteration ends where it ends.
        tally: counts the part's frames and cuts.
        lookahead: the most frames after a span to yield with it.
    """
    is_wanted = part.begin is None
    for span, following in with_following(spans, lookahead):
        first = span.first
        if not first.is_repeat:
            if part.end is not None and first.pts >= part.end:
                tally.closing = _mark(first)
                return
            if part.begin is not None and not is_wanted and first.pts >= part.begin:
                is_wanted = True
                tally.opening = _mark(first)
        if is_wanted:
            tally.frames += first.stands_for
            tally.cuts += first.is_cut
        frames = tuple(after.second for after in following if after.second is not None)
        yield Passage(span, frames, is_wanted)


def with_following(items: Iterator[ItemT], count: int) -> Iterator[tuple[ItemT, tuple[ItemT, ...]]]:
    """Yield each item with the `count` items that follow it, or fewer at the end."""
    known: collections.deque[ItemT] = collections.deque()
    while True:
        known.extend(itertools.islice(items, count + 1 - len(known)))
        if not known:
            return
        item = known.popleft()
        yield item, tuple(known)


def _mark(frame: GivenFrame) -> str:
    return f"{frame.pts}:{zlib.crc32(frame.rgb.data):08x}"
