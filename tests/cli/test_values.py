"""Texts on the command line: what each means, and which are refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from videoinr_cli.cli.values import (
    parse_bytes,
    parse_frame_name,
    parse_rate_increase,
    parse_region,
    parse_scale,
    parse_side,
    parse_size,
    parse_speed,
    parse_tile,
    parse_time,
)
from videoinr_cli.errors import OptionError
from videoinr_cli.options import Region

GIB = 1 << 30


def test_sizes() -> None:
    assert parse_size("1920x1080", "size") == parse_size(" 1920X1080 ", "size") == (1920, 1080)
    for text in ("1920", "x", "axb", "1x2x3", "-1x5", "1.5x2"):
        with pytest.raises(OptionError, match=r"crop .* WIDTHxHEIGHT; try --crop"):
            parse_size(text, "crop")


def test_scales() -> None:
    assert [parse_scale(text) for text in ("2", "2x", " 3.5X ")] == [2.0, 2.0, 3.5]
    for text in ("", "x", "2xx2", "twice"):
        with pytest.raises(OptionError, match="not a number; try --scale 2 or 2x"):
            parse_scale(text)


def test_frames_that_have_a_name() -> None:
    assert parse_frame_name("4K") == parse_frame_name("2160p") == (3840, 2160)
    assert parse_frame_name("1080p") == (1920, 1080)
    assert parse_frame_name("1920x1080") is None


def test_sides() -> None:
    assert [parse_side(text, "height") for text in ("1080", "1080p", "4k", "900px")] == [
        1080,
        1080,
        2160,
        900,
    ]
    assert parse_side("4k", "width") == 3840
    for text in ("", "-5", "10.5", "tall"):
        with pytest.raises(OptionError, match="not a number of pixels; try --height 1080"):
            parse_side(text, "height")


def test_increases_of_the_frame_rate() -> None:
    assert [parse_rate_increase(text) for text in ("8", "2.5", "7/3")] == [(8, 1), (5, 2), (7, 3)]
    for text in ("fast", "1/0"):
        with pytest.raises(OptionError, match="--time"):
            parse_rate_increase(text)


def test_a_speed_of_countless_digits_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="speed 1e99999999 is not between"):
        parse_speed("1e99999999")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("800M", 800 << 20),
        ("4G", 4 * GIB),
        ("1.5GiB", 3 * GIB // 2),
        ("2 gb", 2 * GIB),
        ("3145728", 3 << 20),
        ("1048576B", 1 << 20),
    ],
)
def test_sizes_of_memory(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "G", "-4G", "4X", "1e3", "4 G G", "4", "500K"])
def test_what_is_no_size_of_memory_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--max-memory"):
        parse_bytes(text)


def test_tiles() -> None:
    assert (parse_tile("auto"), parse_tile("256")) == (None, 256)
    for text in ("many", "-64", "1.5"):
        with pytest.raises(OptionError, match="--tile"):
            parse_tile(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("70", 70), ("1:10", 70), ("00:01:10", 70), ("1:02:03.5", Fraction(7447, 2)), (".25", Fraction(1, 4))],
)
def test_times(text: str, seconds: Fraction) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:", "1:2:3:4", "1m", "1,5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is not seconds"):
        parse_time(text)


def test_regions() -> None:
    assert parse_region(" 1, 2,3 ,4") == Region(1, 2, 3, 4)
