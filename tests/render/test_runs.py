"""Runs of frames: where they begin, and that each is the same wherever a source is entered."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoinr_cli.render.runs import Runs, Sections


@dataclasses.dataclass(frozen=True, eq=False)
class Still:
    name: str
    section: int = 0
    starts_scene: bool = False


def stills(text: str, frames: int = 100, start: int = 0) -> list[Still]:
    """Return frames by letters: upper case begins a scene, and a letter again is a repeat."""
    found: list[Still] = []
    for number, letter in enumerate(text):
        if found and found[-1].name == letter:
            found.append(found[-1])
        else:
            found.append(Still(letter, (start + number) // frames, letter.isupper()))
    return found


def led(frames: list[Still], pairs: int, context: int) -> list[tuple[str, int]]:
    """Return the run in which each frame lies, and its place there."""
    runs: Runs[Still] = Runs(pairs, context)
    found = []
    for first in range(len(frames)):
        shown = frames[first + len(runs.known[1:]) : first + 2 + runs.lookahead]
        runs.advance(shown)
        found.append(("".join(still.name for still in runs.run), runs.place))
    return found


def test_a_pair_alone_is_seen_between_its_neighbours() -> None:
    assert led(stills("abcd"), 1, 1) == [("abc", 0), ("abcd", 1), ("bcd", 1), ("cd", 1)]


def test_runs_share_the_frame_between_them() -> None:
    assert led(stills("abcdefghi"), 3, 1) == [
        *(("abcde", place) for place in (0, 1, 2)),
        *(("cdefgh", place) for place in (1, 2, 3)),
        *(("fghi", place) for place in (1, 2, 3)),
    ]


def test_runs_begin_with_sections() -> None:
    found = led(stills("abcdefgh", frames=3, start=1), 3, 1)
    assert [run for run, _ in found] == ["abcd", "abcd", *["bcdefg"] * 3, *["efgh"] * 3]


def test_no_run_holds_frames_of_two_scenes() -> None:
    found = led(stills("abcDefgHi"), 3, 2)
    assert [run for run, _ in found] == [*["abc"] * 3, *["Defg"] * 3, "efg", *["Hi"] * 2]


def test_repeats_are_one_frame_of_a_run() -> None:
    found = led(stills("aabbccddee"), 4, 2)
    assert [run for run, _ in found] == [*["abcd"] * 4, *["bcde"] * 4, *["de"] * 2]
    # a picture that lasts longer than a run ends it, and its last repeat begins the next
    assert led(stills("abbbbbc"), 3, 1)[5:] == [("bc", 0), ("bc", 1)]


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(25, 2)])
def test_rounded_timestamps_leave_frames_in_their_sections(rate: Fraction) -> None:
    sections = Sections(start=40, frame_ticks=1000 / rate, frames=4)
    for number in range(400):
        for rounded in (-1, 0, 1):
            assert sections.of(40 + round(number * 1000 / rate) + rounded) == number // 4
    for section in range(100):
        assert sections.of(sections.begin(section)) == section
        assert sections.of(sections.begin(section) - 1) == section - 1


@settings(max_examples=300)
@given(
    kinds=st.text("nnnnrrc", min_size=2, max_size=40),
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=7),
    pairs=st.integers(1, 5),
    context=st.integers(0, 4),
    section=st.integers(1, 6),
)
def test_a_source_entered_at_a_section_has_the_same_runs(
    kinds: str, gaps: list[int], pairs: int, context: int, section: int
) -> None:
    frames: list[Still] = []
    sections = Sections(0, Fraction(1), pairs)
    pts = 0
    for number, (kind, gap) in enumerate(zip(kinds, itertools.cycle(gaps), strict=False)):
        if kind == "r" and frames:
            frames.append(frames[-1])
        else:
            frames.append(Still(f"{number} ", sections.of(pts), kind == "c"))
        pts += gap
    whole = led(frames, pairs, context)
    new = [n for n, still in enumerate(frames) if n and still is not frames[n - 1]]
    begun = next((n for n in new if frames[n].section >= section), None)
    if begun is None:
        return
    lead = max(0, begun - context)
    # what is read first is known as a repeat or a cut of nothing, and in its own time
    first = Still(frames[lead].name, min(frames[lead].section, section - 1))
    entered = [first if still is frames[lead] and n < begun else still for n, still in enumerate(frames)][
        lead:
    ]
    assert led(entered, pairs, context)[begun - lead :] == whole[begun:]
