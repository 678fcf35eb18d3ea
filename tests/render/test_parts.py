"""Parts of a video, rendered apart, are to the last bit what one run makes of the whole."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.tiny import SHORT_RUNS, TINY, scattered
from videoinr_cli.model import ModelConfig
from videoinr_cli.render.parts import Part, Tally, passages
from videoinr_cli.render.renderer import GivenFrame, Renderer
from videoinr_cli.render.runs import Sections
from videoinr_cli.render.timeline import Timeline

Made = dict[int, bytes]  # pictures by their time

TICK = Fraction(1, 1000)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def source_of(kinds: str, gaps: list[int], sections: Sections) -> list[GivenFrame]:
    """Return frames, each n(ew), r(epeating the one before), or c(ut), the first of another scene."""
    rng = np.random.default_rng(len(kinds))
    frames: list[GivenFrame] = []
    rgb: NDArray[Any] = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    pts = 500
    for kind, gap in zip(kinds, itertools.cycle(gaps), strict=False):
        if kind != "r":
            rgb = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        is_first = not frames
        frames.append(
            GivenFrame(
                rgb,
                pts,
                gap,
                is_repeat=kind == "r" and not is_first,
                is_cut=kind == "c" and not is_first,
                section=sections.of(pts),
            )
        )
        pts += gap
    return frames


network = functools.cache(scattered)


def made_of(
    frames: list[GivenFrame], part: Part, rate: Fraction | None, config: ModelConfig
) -> tuple[Made, Tally]:
    """Render a part as the pipeline does, from the frames that the reader gives for it."""
    read = frames
    if part.begin is not None:
        place = next((n for n, frame in enumerate(frames) if frame.pts >= part.begin), len(frames))
        first = max(0, place - config.context_frames)
        lead = frames[first]
        read = [GivenFrame(lead.rgb, lead.pts, lead.duration, section=lead.section), *frames[first + 1 :]]
    renderer = Renderer(network(config), (20, 15))
    timeline = Timeline(TICK, rate, frames[0].pts)
    tally = Tally()
    made: Made = {}
    spans = timeline.spans(iter(read), is_entered=True)
    for passage in passages(spans, part, tally, lookahead=renderer.lookahead):
        span = passage.span
        renderer.advance(span.first, span.second, *passage.following)
        if passage.is_wanted:
            for instant in span.instants:
                made[instant.pts] = renderer.render(instant.tau).rgb.tobytes()
    return made, tally


@settings(max_examples=25)
@given(
    kinds=st.text("nnnnrrc", min_size=1, max_size=14),
    gaps=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    cuts=st.lists(st.integers(400, 1500), max_size=4, unique=True),
    rate=st.sampled_from([None, Fraction(10), Fraction(24), Fraction(60)]),
)
def test_parts_make_the_whole(kinds: str, gaps: list[int], cuts: list[int], rate: Fraction | None) -> None:
    check_parts(source_of(kinds, gaps, Sections(500, Fraction(40), 1)), cuts, rate, TINY)


@settings(max_examples=15)
@given(
    kinds=st.text("nnnnrrc", min_size=4, max_size=18),
    gaps=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    borders=st.lists(st.integers(1, 9), max_size=2, unique=True),
)
def test_parts_that_begin_with_sections_make_the_whole(
    kinds: str, gaps: list[int], borders: list[int]
) -> None:
    config = SHORT_RUNS
    sections = Sections(500, Fraction(40), config.run_pairs)
    frames = source_of(kinds, gaps, sections)
    check_parts(frames, [sections.begin(border) for border in borders], Fraction(24), config)


def check_parts(
    frames: list[GivenFrame], cuts: list[int], rate: Fraction | None, config: ModelConfig
) -> None:
    whole, total = made_of(frames, Part(), rate, config)
    made: Made = {}
    count = cut_count = 0
    closing = None
    for place, (begin, end) in enumerate(itertools.pairwise([None, *sorted(cuts), None])):
        some, tally = made_of(frames, Part(begin, end), rate, config)
        assert not some.keys() & made.keys()
        assert not some or not made or min(some) > max(made)
        made |= some
        count, cut_count = count + tally.frames, cut_count + tally.cuts
        if place:
            assert (tally.opening if tally.frames else tally.closing) == closing
        closing = tally.closing
    assert made == whole
    assert (count, cut_count) == (total.frames, total.cuts)
    assert closing is None
