"""By which names videos and pictures in a folder are known and sorted, in every command that searches one.

Knows nothing of what is in a file.
"""

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
"""Extensions of videos, in lower case; a file that is named itself may have any."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Extensions of photographs and of frames with known truth, in lower case."""


def is_among(file: Path, suffixes: Set[str]) -> bool:
    """Whether a file that is found in a folder has one of some extensions, and is not hidden.

    A Mac leaves a hidden ``._a.png`` beside each a.png on disks of other systems, which is no picture.
    """
    return file.suffix.lower() in suffixes and not file.name.startswith(".")


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Order files of a folder by the numbers in their names, 9 before 10, and where equal by the letters."""
    parts = re.findall(r"(\d+)|(\D+)", str(path))
    return tuple((0, int(digits), digits) if digits else (1, 0, text) for digits, text in parts)
