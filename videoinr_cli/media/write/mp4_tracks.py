"""Subtitles in mp4 and mov that players show only when asked: ffmpeg makes the first one shown by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from videoinr_cli.errors import OutputError

_SUBTITLES = (b"sbtl", b"subp", b"subt", b"text")
"""Kinds of track that hold subtitles. Source: ISO/IEC 14496-12, section 8.4.3; QuickTime."""

_ENABLED = 1
"""Flag of a track that is shown unasked. Source: ISO/IEC 14496-12, section 8.3.2."""


def disable_subtitles(path: Path) -> None:
    """Mark all subtitles of an mp4 or mov as not shown unless asked for.

    Raises:
        OutputError: the file cannot be read or written.
    """
    try:
        with path.open("r+b") as file:
            for movie in _boxes(file, 0, path.stat().st_size, b"moov"):
                for track in _boxes(file, *movie, b"trak"):
                    if _is_subtitle(file, track):
                        _disable(file, track)
    except OSError as error:
        raise OutputError(
            f"{str(path)!r} cannot be written: {error.strerror}; choose another folder"
        ) from error


def _disable(file: IO[bytes], track: tuple[int, int]) -> None:
    for begin, _ in _boxes(file, *track, b"tkhd"):
        file.seek(begin + 3)  # the last byte of the flags, which follow the version
        flags = file.read(1)[0]
        file.seek(begin + 3)
        file.write(bytes([flags & ~_ENABLED]))


def _is_subtitle(file: IO[bytes], track: tuple[int, int]) -> bool:
    for media in _boxes(file, *track, b"mdia"):
        for begin, _ in _boxes(file, *media, b"hdlr"):
            file.seek(begin + 8)
            return file.read(4) in _SUBTITLES
    return False


def _boxes(file: IO[bytes], begin: int, end: int, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the boxes of a name begin and end, in bytes."""
    while begin < end:
        file.seek(begin)
        size, name, head = int.from_bytes(file.read(4), "big"), file.read(4), 8
        if size == 1:  # the real one follows
            size, head = int.from_bytes(file.read(8), "big"), 16
        if size < head:
            return
        if name == wanted:
            yield begin + head, begin + size
        begin += size
