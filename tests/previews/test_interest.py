"""Where there is most to see: pictures whose only detail is where the test put it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from videoinr_cli.options import Region
from videoinr_cli.previews.interest import STEP_PX, busiest_region


def textured(*places: tuple[int, int]) -> NDArray[Any]:
    """Return a grey 160x90 picture with 16x16 pixels of noise at each (x, y)."""
    picture = np.full((90, 160, 3), 100, np.uint8)
    noise = np.random.default_rng(0).integers(80, 120, (16, 16, 3), np.uint8)
    for x, y in places:
        picture[y : y + 16, x : x + 16] = noise
    return picture


@pytest.mark.parametrize("place", [(0, 0), (100, 40), (144, 74)])
def test_finds_the_only_detail(place: tuple[int, int]) -> None:
    found = busiest_region(textured(place), None, 24, 20)
    assert (found.width, found.height) == (24, 20)
    for start, length, at, limit in ((found.x, 24, place[0], 160), (found.y, 20, place[1], 90)):
        assert start <= at + STEP_PX
        assert at + 16 <= start + length + STEP_PX
        assert start + length <= limit


def test_prefers_detail_that_moves() -> None:
    first = textured((20, 20), (120, 60))
    second = first.copy()
    second[60:76, 120:136] = first[60:76, 120:136][::-1]
    assert busiest_region(first, second, 24, 24).x > 100


def test_is_no_larger_than_the_picture() -> None:
    assert busiest_region(textured((20, 20)), None, 1000, 1000) == Region(0, 0, 160, 90)


def test_depth_makes_no_difference() -> None:
    picture = textured((60, 30))
    deep = picture.astype(np.uint16) * 257
    assert busiest_region(deep, None, 20, 20) == busiest_region(picture, None, 20, 20)
