"""Numbered images as a video: which files a folder or a pattern means, and in which order."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from videoinr_cli.errors import InputError
from videoinr_cli.media.suffixes import is_among, natural_key

SUFFIXES = frozenset(
    {".avif", ".bmp", ".dpx", ".exr", ".jp2", ".jpeg", ".jpg", ".jxl", ".pgm", ".png", ".ppm", ".tga"}
    | {".tif", ".tiff", ".webp"}
)
"""Extensions of files that hold one picture."""

_PLACEHOLDER = re.compile(r"%(?:%|(0?)(\d*)(d))")
"""What ffmpeg replaces in a pattern: ``%%`` by a percent sign, ``%05d`` by the number."""


def is_pattern(path: Path) -> bool:
    """Whether a name means numbered files, such as ``frames/%05d.png``, and no file has that name."""
    return _count_numbers(path.name) > 0 and not path.exists()


def has_several_numbers(pattern: Path) -> bool:
    """Whether a pattern has several places for a number, so that file names are ambiguous."""
    return _count_numbers(pattern.name) > 1


def _count_numbers(name: str) -> int:
    return sum(place[3] is not None for place in _PLACEHOLDER.finditer(name))


def find_images(path: Path) -> tuple[tuple[int, Path], ...]:
    """Return the numbered images that a folder or a pattern means, in order; () for any other path.

    The number is the image's time, in frames from the first; a missing number leaves a gap. The images of a
    folder are numbered without gaps, in the order of their names, 9 before 10.

    Raises:
        InputError: the folder or the pattern holds no image, or two of one number, or may not be read; the
            pattern has several numbers.
    """
    try:
        return _found(path)
    except OSError as error:  # a folder that may not be listed or searched
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _found(path: Path) -> tuple[tuple[int, Path], ...]:
    if path.is_dir():
        images = [file for file in path.iterdir() if is_among(file, SUFFIXES) and file.is_file()]
        if not images:
            raise InputError(f"{str(path)!r} is a folder without images; name a video file in it")
        return tuple(enumerate(sorted(images, key=natural_key)))
    if not is_pattern(path):
        return ()
    if has_several_numbers(path):
        raise InputError(f"{str(path)!r} has more than one number; leave one, such as %05d")
    numbered = find_numbered(path)
    if not numbered:
        raise InputError(f"there are no files {str(path)!r}; check the pattern")
    for (number, file), (following, other) in itertools.pairwise(numbered):
        if number == following:
            raise InputError(f"{str(file)!r} and {str(other)!r} are both number {number}; move one away")
    first = numbered[0][0]
    return tuple((number - first, file) for number, file in numbered)


def find_numbered(pattern: Path) -> list[tuple[int, Path]]:
    """Return the files that match a pattern, with their numbers, in order."""
    expression = re.compile(_expression(pattern.name))
    files = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    return sorted((int(match[1]), file) for file in files if (match := expression.fullmatch(file.name)))


def _expression(pattern: str) -> str:
    """Return a regular expression for a pattern such as ``a%05d.png``, with the number as its group."""
    expression, end = "", 0
    for place in _PLACEHOLDER.finditer(pattern):
        expression += re.escape(pattern[end : place.start()])
        if place[3] is None:
            expression += "%"
        else:
            expression += rf"(\d{{{place[2]},}})" if place[1] and place[2] else r"(\d+)"
        end = place.end()
    return expression + re.escape(pattern[end:])
