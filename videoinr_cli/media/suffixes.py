"""Names of videos and pictures: their extensions and their order, for commands that list a folder."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    {".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265"}
    | {".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mkv", ".mod", ".mov", ".mp4"}
    | {".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod"}
    | {".tp", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)
"""Extensions of videos, in lower case; a file that the user names may have any."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Extensions of photographs and of ground-truth frames, in lower case."""


SEGMENTS_SUFFIX = ".videoinr"
"""Ends the name of the folder in which an output's segments are kept until it is complete."""


def is_among(file: Path, suffixes: Set[str]) -> bool:
    """Whether a file in a folder has one of the extensions, and is not hidden.

    On disks of other systems, a Mac puts a hidden ``._a.png`` beside each a.png, which is not a picture.
    """
    return file.suffix.lower() in suffixes and not file.name.startswith(".")


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that compares the numbers in names as numbers, 9 before 10."""
    parts = re.findall(r"(\d+)|(\D+)", str(path))
    return tuple((0, int(digits), digits) if digits else (1, 0, text) for digits, text in parts)
