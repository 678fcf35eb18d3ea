"""Find the videos that files, folders and lists of both stand for.

The videos in a folder are recognised by their extensions; no file is opened.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from videoinr_cli.errors import InputError
from videoinr_cli.media.images import SUFFIXES as IMAGE_SUFFIXES
from videoinr_cli.media.suffixes import SEGMENTS_SUFFIX, VIDEO_SUFFIXES, is_among, natural_key
from videoinr_cli.texts import decoded

SEPARATOR = "\0"
"""Stands behind each name in a list for programs; no name can hold it."""

COMMENT = "#"
"""Begins a line of a list that names no video."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One input."""

    path: Path
    folder: Path = Path()  # its place within the folder that was named, which its output has too
    problem: InputError | None = None  # why there is no such video


def find_sources(
    paths: Iterable[Path], *, recursive: bool = False, outputs: Path | None = None
) -> list[Source]:
    """Return the videos that files and folders stand for, each once, in the order they are named.

    A folder stands for the videos in it, in the order of their names, 9 before 10; a folder that holds only
    images is one video. Hidden files are left out. A folder that may not be read is a source with a problem.

    Args:
        paths: files and folders; whether they exist is checked later.
        recursive: whether folders within folders are searched too.
        outputs: the folder of the outputs, which is not searched.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        for source in _in_folder(path, recursive, outputs) if is_folder(path) else (Source(path),):
            found.setdefault(source.path.absolute(), source)
    return list(found.values())


def read_list(data: bytes) -> list[Path]:
    """Return the paths in a text: one a line, or as find -print0 writes them, with zero bytes.

    Empty lines and lines that begin with # are ignored.
    """
    text = decoded(data, errors="surrogateescape")
    if SEPARATOR in text:
        return [Path(name) for name in text.split(SEPARATOR) if name]
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [Path(line) for line in lines if line.strip() and not line.startswith(COMMENT)]


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False also for what lies in one that may not be searched."""
    return os.path.isdir(path)  # noqa: PTH112 -- the method of `Path` raises there


def holds_videos(folder: Path) -> bool:
    """Whether there is a video in a folder itself; False for one that may not be read."""
    return (
        next(_videos(folder, recursive=False, left_out=None, on_error=lambda error: None), None) is not None
    )


def _in_folder(folder: Path, recursive: bool, outputs: Path | None) -> Iterator[Source]:
    left_out = None if outputs is None or outputs.resolve() == folder.resolve() else outputs.resolve()
    unread: list[OSError] = []
    found = _videos(folder, recursive, left_out, unread.append)
    videos = sorted(found, key=natural_key)
    for error in unread:
        problem = InputError(f"the folder {error.filename!r} cannot be read: {error.strerror}")
        yield Source(Path(error.filename), problem=problem)
    for video in videos:
        yield Source(video, video.parent.relative_to(folder))
    if videos or folder in {Path(error.filename) for error in unread}:
        return
    if any(is_among(file, IMAGE_SUFFIXES) for file in folder.iterdir()):
        yield Source(folder)
    elif not unread:
        advice = "" if recursive else "; try --recursive for the folders in it"
        yield Source(folder, problem=InputError(f"{str(folder)!r} is a folder without videos{advice}"))


def _videos(
    folder: Path, recursive: bool, left_out: Path | None, on_error: Callable[[OSError], None]
) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=on_error):
        here = Path(place)
        yield from (here / name for name in files if is_among(Path(name), VIDEO_SUFFIXES))
        folders[:] = [name for name in folders if recursive and not _is_skipped(here / name, left_out)]


def _is_skipped(folder: Path, left_out: Path | None) -> bool:
    """Whether a folder is not searched: hidden, with segments of an unfinished output, or of the outputs."""
    return (
        folder.name.startswith(".") or folder.name.endswith(SEGMENTS_SUFFIX) or folder.resolve() == left_out
    )
