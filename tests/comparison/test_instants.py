"""Matching by time: which frame of which video is shown when, known by construction."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoinr_cli.comparison.instants import choose_instants, on_show
from videoinr_cli.errors import OptionError


@dataclasses.dataclass(frozen=True)
class Frame:
    pts: int
    duration: int | None = None


def shown(pts: list[int], time_base: Fraction, middles: list[Fraction]) -> list[int]:
    return [frame.pts for frame in on_show(map(Frame, pts), [seconds / time_base for seconds in middles])]


rates = st.sampled_from([Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(30), Fraction(60)])


@given(rate=rates, factor=st.integers(1, 5), count=st.integers(1, 40))
def test_a_multiple_of_a_rate_holds_each_frame_so_many_times(rate: Fraction, factor: int, count: int) -> None:
    """Also when one clock counts frames and the other has milliseconds."""
    instants = choose_instants(
        [count / rate] * 2, [rate, factor * rate], begin_seconds=Fraction(0), seconds=None, max_count=1000
    )
    assert instants.count == factor * count
    assert instants.stride == 1
    slow = [round(index / rate * 1000) for index in range(count)]
    expected = [slow[index // factor] for index in range(instants.count)]
    assert shown(slow, Fraction(1, 1000), instants.middles) == expected
    fast = list(range(factor * count))
    assert shown(fast, 1 / (factor * rate), instants.middles) == fast


@given(frames=st.integers(1, 500), most=st.integers(1, 60))
def test_many_frames_are_taken_evenly(frames: int, most: int) -> None:
    instants = choose_instants(
        [Fraction(frames, 25)], [Fraction(25)], begin_seconds=Fraction(0), seconds=None, max_count=most
    )
    found = shown(list(range(frames)), Fraction(1, 25), instants.middles)
    assert found == list(range(0, frames, instants.stride))
    assert len(found) == instants.count <= most
    assert instants.stride == 1 or frames > most


def test_a_range_begins_with_the_frame_on_show() -> None:
    instants = choose_instants(
        [Fraction(10)], [Fraction(25)], begin_seconds=Fraction("1.05"), seconds=Fraction("0.2"), max_count=60
    )
    assert instants.seconds[0] == Fraction(26, 25)
    assert shown(list(range(250)), Fraction(1, 25), instants.middles) == [26, 27, 28, 29, 30]


def test_the_shortest_video_ends_it() -> None:
    options = {"begin_seconds": Fraction(0), "seconds": None, "max_count": 1000}
    assert choose_instants([Fraction(4), Fraction(2)], [Fraction(10)], **options).count == 20
    with pytest.raises(OptionError, match="after the end of the shortest"):
        choose_instants(
            [Fraction(4), Fraction(2)], [Fraction(10)], **{**options, "begin_seconds": Fraction(3)}
        )


def test_before_the_first_and_after_the_last_frame() -> None:
    assert shown([10, 20], Fraction(1), [Fraction(1), Fraction(15), Fraction(99)]) == [10, 10, 20]
    assert shown([], Fraction(1), [Fraction(1)]) == []
