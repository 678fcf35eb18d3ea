"""Parse texts on the command line into typed values; the option records check their ranges."""

from __future__ import annotations

import re
from fractions import Fraction

from videoinr_cli.errors import OptionError
from videoinr_cli.options import FRAME_SIZES, MAX_SPEED, Region, TargetRate


def parse_rate(text: str) -> Fraction:
    """Read frames per second: ``25``, ``30000/1001``, or ``29.97``, which means the same.

    Raises:
        OptionError: the text is none of these, or its value is out of range.
    """
    rate = TargetRate.parse(text)
    if rate.relative:
        raise OptionError(
            f"frame rate {text!r} is relative, but there is no other rate to multiply; try --input-fps 25"
        )
    return rate.value


def parse_rate_increase(text: str) -> tuple[int, int]:
    """Read an increase of the frame rate, such as 8, 2.5 or 7/3, as a protocol's steps and stride.

    Raises:
        OptionError: the text is not a number.
    """
    try:
        increase = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"time {text!r} is not a number; try --time 2, 2.5 or 7/3") from None
    return increase.numerator, increase.denominator


def parse_speed(text: str) -> Fraction:
    """Read a factor: ``0.25``, ``1/4``, ``2`` or ``2x``.

    Raises:
        OptionError: the text is none of these, or its exponent has five digits or more.
    """
    if re.search(r"[eE][+-]?\d{5}", text):  # its digits alone would take minutes and all memory
        raise OptionError(
            f"speed {text.strip()} is not between 1/{MAX_SPEED} and {MAX_SPEED}; try --speed 0.25"
        )
    try:
        return Fraction(text.strip().rstrip("xX"))
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"speed {text!r} is not a number; try --speed 0.25") from None


def parse_scale(text: str) -> float:
    """Read an enlargement: ``2``, ``2.5`` or ``2x``.

    Raises:
        OptionError: the text is not a number.
    """
    try:
        return float(text.strip().rstrip("xX"))
    except ValueError:
        raise OptionError(f"scale {text!r} is not a number; try --scale 2 or 2x") from None


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Read ``1920x1080`` as (width, height).

    Args:
        text: what was typed.
        option: that it belongs to, without dashes.

    Raises:
        OptionError: the text is not of that form.
    """
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if match is None:
        raise OptionError(
            f"{option} {text!r} is not of the form WIDTHxHEIGHT; try --{option} 1920x1080, 720p, 1080p or 4k"
        )
    return int(match[1]), int(match[2])


def parse_frame_name(text: str) -> tuple[int, int] | None:
    """Return the (width, height) of a frame called ``4k`` or ``1080p``; None where no frame has that name."""
    return FRAME_SIZES.get(text.strip().lower())


def parse_side(text: str, option: str) -> int:
    """Read a number of pixels for --width or --height: ``1080``, ``1080p`` or ``4k``.

    Args:
        text: what was typed.
        option: of the two, without dashes.

    Raises:
        OptionError: the text is none of these.
    """
    frame = parse_frame_name(text)
    if frame is not None:
        return frame[("width", "height").index(option)]
    match = re.fullmatch(r"\s*(\d+)\s*(?:p|px)?\s*", text, re.IGNORECASE)
    if match is None:
        example = {"width": "1920", "height": "1080"}[option]
        raise OptionError(f"{option} {text!r} is not a number of pixels; try --{option} {example}")
    return int(match[1])


def parse_tile(text: str) -> int | None:
    """Read ``auto`` as None, or a number of pixels.

    Raises:
        OptionError: the text is neither.
    """
    if text.strip().lower() == "auto":
        return None
    if not text.strip().isdecimal():
        raise OptionError(f"tile {text!r} is not a number of pixels; try --tile auto or --tile 256")
    return int(text)


def parse_bytes(text: str) -> int:
    """Read ``800M``, ``4G``, ``1.5GiB`` or a number of bytes; a K is 1024 bytes.

    Raises:
        OptionError: the text is none of these, or less than a megabyte.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([KMGT])(?:i?B)?|B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise OptionError(f"memory {text!r} is not a size; try --max-memory 4G or 800M")
    power = " KMGT".index((match[2] or " ").upper())
    size_bytes = int(Fraction(match[1]) * 1024**power)
    if 0 < size_bytes < 1 << 20:
        raise OptionError(f"memory {text!r} is {size_bytes} bytes; try --max-memory 4G or 800M")
    return size_bytes


def parse_time(text: str) -> Fraction:
    """Read ``70``, ``70.5``, ``1:10`` or ``00:01:10.5`` as seconds.

    Raises:
        OptionError: the text is none of these.
    """
    match = re.fullmatch(r"\s*(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)\s*", text)
    if match is None:
        raise OptionError(f"time {text!r} is not seconds or H:MM:SS; try 70, 1:10 or 00:01:10.5")
    hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_region(text: str) -> Region:
    """Read ``x,y,width,height``.

    Raises:
        OptionError: the text is not of that form, or the region has no area.
    """
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", text)
    if match is None:
        raise OptionError(f"region {text!r} is not x,y,width,height; try --region 0,0,160,90")
    return Region(*map(int, match.groups()))


def parse_setting(text: str) -> tuple[str, str]:
    """Read ``key=value``, an option of an encoder.

    Raises:
        OptionError: the text has no equals sign.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"encoder option {text!r} is not key=value; try -e tune=film")
    return key, value
