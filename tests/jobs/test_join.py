"""Decoding times of joined segments: in order, never after a picture is shown, as one encoder gives them."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from videoinr_cli.jobs.join import _decoding_times


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    length=st.integers(1, 20),
    chance=st.randoms(use_true_random=False),
)
def test_decoding_times_increase_and_precede_the_pictures(
    gaps: list[int], length: int, chance: random.Random
) -> None:
    shown = list(itertools.accumulate(gaps))
    coded: list[int] = []
    for begin in range(0, len(shown), length):  # segments, each with its first picture decoded first
        first, *others = shown[begin : begin + length]
        chance.shuffle(others)
        coded += [first, *others]
    decoded = _decoding_times(coded)
    assert len(decoded) == len(coded)
    assert all(earlier < later for earlier, later in itertools.pairwise(decoded))
    assert all(dts <= pts for dts, pts in zip(decoded, coded, strict=True))


def test_they_are_those_of_an_encoder() -> None:
    # libx264 with -bf 3 and pictures of growing duration, as ffmpeg writes it.
    shown = [5000, 33000, 15000, 9000, 23000, 93000, 59000, 45000, 75000]
    assert _decoding_times(shown) == [-5000, -1000, 5000, 9000, 15000, 23000, 33000, 45000, 59000]


def test_without_reordering_pictures_are_decoded_when_they_are_shown() -> None:
    assert _decoding_times([3, 5, 9]) == [3, 5, 9]
