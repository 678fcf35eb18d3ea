"""The timeline against answers worked out by hand, and against properties that hold for every source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoinr_cli.media.read.timing import CLOCK_TICK_SECONDS
from videoinr_cli.render.timeline import Timeline

NTSC_FILM = Fraction(24000, 1001)


@dataclasses.dataclass(frozen=True)
class Stamp:
    pts: int
    duration: int | None = None


@dataclasses.dataclass(frozen=True)
class Output:
    """One output frame with the source frames it lies between."""

    first: int
    second: int | None
    tau: Fraction
    pts: int


def stamps(*pts: int, last_duration: int | None = None) -> list[Stamp]:
    return [*map(Stamp, pts[:-1]), Stamp(pts[-1], last_duration)]


def outputs(timeline: Timeline, frames: list[Stamp], **arguments: Fraction) -> list[Output]:
    return [
        Output(span.first.pts, span.second.pts if span.second else None, instant.tau, instant.pts)
        for span in timeline.spans(frames, **arguments)
        for instant in span.instants
    ]


def test_doubling_puts_one_instant_halfway() -> None:
    timeline = Timeline(Fraction(1, 25), Fraction(50))
    assert timeline.time_base == Fraction(1, 50)
    assert outputs(timeline, stamps(0, 1, 2, last_duration=1)) == [
        Output(0, 1, Fraction(0), 0),
        Output(0, 1, Fraction(1, 2), 1),
        Output(1, 2, Fraction(0), 2),
        Output(1, 2, Fraction(1, 2), 3),
        Output(2, None, Fraction(0), 4),
        Output(2, None, Fraction(0), 5),
    ]


def test_24_to_60_is_exact() -> None:
    taus = [o.tau for o in outputs(Timeline(Fraction(1, 24), Fraction(60)), stamps(0, 1, 2, last_duration=1))]
    assert taus == [Fraction(n, 5) for n in (0, 2, 4, 1, 3)] + [0, 0, 0]


def test_variable_gaps_are_divided_by_their_own_length() -> None:
    timeline = Timeline(Fraction(1, 10), Fraction(10))
    assert [o.tau for o in outputs(timeline, stamps(0, 4, 5, last_duration=2))] == [
        Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(0), Fraction(0), Fraction(0),
    ]  # fmt: skip


def test_a_lower_rate_skips_source_frames() -> None:
    timeline = Timeline(Fraction(1, 50), Fraction(20))
    shown = outputs(timeline, stamps(*range(10), last_duration=1))
    assert [(o.first, o.tau) for o in shown] == [(0, 0), (2, Fraction(1, 2)), (5, 0), (7, Fraction(1, 2))]


def test_a_start_off_zero_is_kept_exactly() -> None:
    timeline = Timeline(Fraction(1, 90000), Fraction(60000, 1001), start=1891)
    shown = outputs(timeline, stamps(1891, 1891 + 3003, last_duration=3003))
    seconds = [o.pts * timeline.time_base for o in shown]
    assert seconds == [Fraction(1891, 90000) + Fraction(1001 * k, 60000) for k in range(4)]


def test_without_a_rate_timestamps_are_kept() -> None:
    timeline = Timeline(Fraction(1, 1000), None, start=-7)
    assert timeline.time_base == Fraction(1, 1000)
    shown = outputs(timeline, stamps(-7, 0, 33, 500, last_duration=2000))
    assert shown == [
        Output(-7, 0, Fraction(0), -7),
        Output(0, 33, Fraction(0), 0),
        Output(33, 500, Fraction(0), 33),
        Output(500, None, Fraction(0), 500),
    ]


def test_rounded_milliseconds_still_mean_the_given_frames() -> None:
    """Matroska at 30 frames per second, doubled: every second output frame is a given one."""
    pts = [round(Fraction(1000 * n, 30)) for n in range(31)]
    shown = outputs(Timeline(Fraction(1, 1000), Fraction(60)), stamps(*pts, last_duration=34))
    assert [o.first for o in shown] == [p for p in pts for _ in range(2)]
    assert all(o.tau == 0 for o in shown[::2])
    assert all(Fraction(48, 100) < o.tau < Fraction(52, 100) for o in shown[1:-2:2])


@pytest.mark.parametrize(
    ("duration", "source_rate", "expected"),
    [(3, None, 3), (None, None, 2), (0, None, 2)],
)
def test_the_last_frame_lasts_its_duration_or_the_gap_before(
    duration: int | None, source_rate: Fraction | None, expected: int
) -> None:
    shown = outputs(Timeline(Fraction(1, 10), Fraction(10)), stamps(0, 2, last_duration=duration))
    assert len(shown) == 2 + expected


@pytest.mark.parametrize(("source_rate", "expected"), [(Fraction(5), 4), (None, 1)])
def test_a_lone_frame_lasts_one_frame_of_the_source(source_rate: Fraction | None, expected: int) -> None:
    timeline = Timeline(Fraction(1, 90), Fraction(20), start=7)
    shown = list(timeline.spans([Stamp(7)], source_rate=source_rate))
    assert len(shown) == 1
    assert len(list(shown[0].instants)) == expected


def test_no_frames_no_output() -> None:
    assert outputs(Timeline(Fraction(1, 25), Fraction(50)), []) == []


@pytest.mark.parametrize("pts", [(0, 5, 5), (0, 5, 4), (1, 2)])
def test_disordered_timestamps_are_refused(pts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"follows|starts"):
        outputs(Timeline(Fraction(1, 25), None), stamps(*pts))


def test_at_most_one_pair_is_taken_ahead() -> None:
    taken = 0

    def source() -> Iterator[Stamp]:
        nonlocal taken
        for taken in range(1, 1000):
            yield Stamp(taken - 1)

    for count, span in enumerate(Timeline(Fraction(1, 25), Fraction(100)).spans(source())):
        assert len(list(span.instants)) == 4
        assert taken == count + 2
        if count == 20:
            break


def test_ten_hours_of_film_do_not_drift() -> None:
    """At 24000/1001, the last minute of ten hours has the same fractions as the first."""
    minute = 1440 * 1001  # ticks
    begin = 10 * 60 * minute
    timeline = Timeline(Fraction(1, 24000), 5 * NTSC_FILM)
    first_minute = outputs(timeline, stamps(*range(0, minute, 1001), last_duration=1001))
    # A single gap stands for the hours between; its instants are left alone, since there are millions.
    _, *spans = timeline.spans(stamps(0, *range(begin, begin + minute, 1001), last_duration=1001))
    last_minute = [instant for span in spans for instant in span.instants]
    assert [instant.tau for instant in last_minute] == [o.tau for o in first_minute]
    end = (begin + minute) * timeline.source_time_base
    assert last_minute[-1].pts * timeline.time_base == end - Fraction(1001, 120000)


TIME_BASES = [
    Fraction(1, 24),
    Fraction(1001, 30000),
    Fraction(1, 600),
    Fraction(1, 1000),
    Fraction(1, 12800),
    Fraction(1, 90000),
]
RATES = [*map(Fraction, (1, 24, 25, 60, 240)), NTSC_FILM, Fraction(60000, 1001)]

SPEEDS = [*map(Fraction, ("1", "1/4", "1/3", "2"))]


@st.composite
def sources(draw: st.DrawFn) -> tuple[Fraction, list[Stamp]]:
    """A time base, and up to 21 frames a hundredth to a fifth of a second apart, or a few ticks."""
    time_base = draw(st.sampled_from(TIME_BASES))
    longest = max(4, int(Fraction(1, 5) / time_base))
    shortest = max(1, int(Fraction(1, 100) / time_base))
    gaps = st.integers(min_value=shortest, max_value=longest)
    frames = [draw(st.integers(min_value=-(10**9), max_value=10**9))]
    for gap in draw(st.lists(gaps, max_size=20)):
        frames.append(frames[-1] + gap)
    return time_base, stamps(*frames, last_duration=draw(gaps))


@given(sources(), st.sampled_from(RATES), st.sampled_from(SPEEDS))
def test_with_a_rate(source: tuple[Fraction, list[Stamp]], rate: Fraction, speed: Fraction) -> None:
    time_base, frames = source
    tick = time_base / speed
    timeline = Timeline(time_base, rate, start=frames[0].pts, speed=speed)
    shown = outputs(timeline, frames)
    begin = frames[0].pts * tick
    end = (frames[-1].pts + (frames[-1].duration or 0)) * tick
    tolerance = timeline.tolerance_seconds

    seconds = [o.pts * timeline.time_base for o in shown]
    assert seconds == [begin + k / rate for k in range(len(shown))], "every instant, exactly"
    assert seconds[-1] < end, "nothing past the end"
    assert seconds[-1] + 1 / rate >= end - tolerance, "the duration is the source's"
    for o, instant in zip(shown, seconds, strict=True):
        assert 0 <= o.tau < 1
        if o.second is None:
            assert o.tau == 0
            assert instant >= o.first * tick - tolerance
        else:
            shown_at = (o.first + o.tau * (o.second - o.first)) * tick
            assert abs(shown_at - instant) <= tolerance, "tau names the instant"


@given(sources())
def test_without_a_rate(source: tuple[Fraction, list[Stamp]]) -> None:
    time_base, frames = source
    shown = outputs(Timeline(time_base, None, start=frames[0].pts), frames)
    assert [o.pts for o in shown] == [frame.pts for frame in frames]
    assert {o.tau for o in shown} == {0}


@given(st.sampled_from(TIME_BASES), st.sampled_from(RATES))
def test_the_tolerance_is_a_tick_of_a_clock_at_most(time_base: Fraction, rate: Fraction) -> None:
    tolerance = Timeline(time_base, rate).tolerance_seconds
    assert tolerance <= time_base
    assert tolerance <= 1 / (8 * rate)
    assert (tolerance > 0) == (time_base <= CLOCK_TICK_SECONDS)


def test_a_frame_that_is_held_moves_on_shortly_before_the_next_one() -> None:
    """A screen recorder that stores changes alone: a picture rests for 3 s, then goes on at 60 a second."""
    usual = Fraction(1, 60)
    timeline = Timeline(usual, Fraction(120), usual_seconds=usual)
    taus = [output.tau for output in outputs(timeline, stamps(0, 1, 181, 182, last_duration=1))]
    assert taus[:2] == [0, Fraction(1, 2)]
    assert taus[2:361] == [0] * 359  # until one usual frame time before the next frame
    assert taus[361:] == [Fraction(1, 2), 0, Fraction(1, 2), 0, 0]


@pytest.mark.parametrize(("gap", "is_held"), [(4, False), (29, False), (30, True), (600, True)])
def test_a_late_frame_is_no_held_one(gap: int, is_held: bool) -> None:
    """Half a second is, at 60 frames a second; motion through a shorter gap is even."""
    timeline = Timeline(Fraction(1, 60), Fraction(60), usual_seconds=Fraction(1, 60))
    moved = [output.tau for output in outputs(timeline, stamps(0, gap, last_duration=1))][1:gap]
    assert moved == ([0] * (gap - 1) if is_held else [Fraction(number, gap) for number in range(1, gap)])


def test_frames_that_all_last_long_are_not_held() -> None:
    timeline = Timeline(Fraction(1), Fraction(2), usual_seconds=Fraction(3))
    assert [output.tau for output in outputs(timeline, stamps(0, 3, 6, last_duration=3))][1:6] == [
        Fraction(number, 6) for number in range(1, 6)
    ]
