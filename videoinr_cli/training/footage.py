"""Turn folders of videos and photographs into shots: arrays of frames to crop from without decoding.

A shot is a run of frames without a cut, stored once as uint8 on disk and mapped into memory, so that any
amount of footage can be sampled from. Knows nothing of networks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.format import write_array_header_1_0

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_among

Frames = npt.NDArray[np.uint8]

MIN_SIDE_PX = 192
"""Smaller frames leave no room for a training crop with its motion."""
HALVE_FROM_PX = 720
"""Videos this high are halved until they are lower: web video carries no more detail than that."""
STILL_SIDES_PX = (1200, 2000)
"""Photographs are reduced to these longest sides: they are sharper to the pixel at the first, and have nearly
three times as much to show at the second."""
CUT_DIFFERENCE = 28.0
"""Mean absolute difference of two thumbnails (8-bit levels) above which they belong to different shots."""
DUPLICATE_DIFFERENCE = 0.25
"""Mean absolute difference of two thumbnails below which the second frame is a repetition and is left out."""


@dataclasses.dataclass(frozen=True)
class Shot:
    """Consecutive frames of one video without a cut, or a single photograph."""

    source: str  # file name it was taken from
    frames: Frames  # (N, H, W, 3) RGB, mapped from disk

    @property
    def is_still(self) -> bool:
        return len(self.frames) == 1


def load_shots(
    directories: Iterable[Path],
    cache: Path,
    *,
    raw: bool = False,
    report: Callable[[str], None] = lambda message: None,
) -> list[Shot]:
    """Return the shots of all videos and photographs below `directories`, decoding what `cache` lacks.

    Args:
        directories: folders to search; files that are neither are passed over, and so are those that cannot
            be decoded, which is reported.
        cache: folder for the decoded frames; it takes about 1 MB per frame and may be deleted at any time.
        raw: take videos at their own size, repeated frames included, as footage of 240 frames per second is
            meant; else they are halved to what they resolve, and repetitions left out.
        report: called with a line about each file that is decoded or left out.

    Raises:
        InputError: there is nothing to train on below `directories`.
        OutputError: decoded frames cannot be kept in `cache`.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(cache, error) from error
    shots: list[Shot] = []
    for path in _media_files(directories):
        index = cache / f"{_fingerprint(path)}{'-raw' if raw else ''}.json"
        cached = _read_index(index)
        if cached is None:
            report(f"decoding {path.name}")
            try:
                names = _store(path, cache, index.stem, raw)
                _write_index(index, path.name, names)
            except InputError as error:
                report(f"left out: {error}")
                continue
            except OSError as error:
                raise _unusable(cache, error) from error
            cached = _read_index(index)
        shots += cached or []
    if not shots:
        raise InputError(
            f"no videos or photographs of at least {MIN_SIDE_PX} px below {', '.join(map(str, directories))}"
        )
    return shots


def _unusable(cache: Path, error: OSError) -> OutputError:
    return OutputError(
        f"decoded frames cannot be kept in {str(cache)!r}: {error.strerror or error}; "
        "name another folder with --cache"
    )


def _read_index(index: Path) -> list[Shot] | None:
    """Return the shots of a file that was decoded before; None if any of what was kept does not load."""
    try:
        entry = json.loads(index.read_text())
        return [
            Shot(entry["source"], np.load(index.with_name(name), mmap_mode="r")) for name in entry["shots"]
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _write_index(index: Path, source: str, names: list[str]) -> None:
    partial = index.with_suffix(".json.part")
    partial.write_text(json.dumps({"source": source, "shots": names}))
    partial.replace(index)


def _media_files(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        if not directory.is_dir():
            raise InputError(f"training footage: {directory} is not a folder")
        for path in sorted(directory.rglob("*")):
            if is_among(path, PICTURE_SUFFIXES | VIDEO_SUFFIXES):
                yield path


def _fingerprint(path: Path) -> str:
    status = path.stat()
    known_by = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {STILL_SIDES_PX}"
    return hashlib.sha256(os.fsencode(known_by)).hexdigest()[:16]


def _store(path: Path, cache: Path, stem: str, raw: bool) -> list[str]:
    """Decode `path`, write its shots frame by frame, so that none is held in memory, and return their names.

    A photograph is a shot of one frame, at each of the sizes it is trained on. Shots of a video of fewer than
    three are left out: no instant between two frames is known.
    """
    is_photograph = path.suffix.lower() in PICTURE_SUFFIXES
    names: list[str] = []
    for side_px in STILL_SIDES_PX if is_photograph else (math.inf,):
        frames = _decode(path, longest_side_px=side_px, halve=not raw and not is_photograph)
        longest_px = 0
        for shot in split_shots(frames, keep_repeated=raw):
            file = cache / f"{stem}-{len(names):03d}.npy"
            count, *size_px = _write(file, shot)
            longest_px = max(size_px)
            if min(size_px) >= MIN_SIDE_PX and (count > 2 or is_photograph):
                names.append(file.name)
            else:
                file.unlink()
        if longest_px < side_px:  # nothing was reduced to it, and nothing is to a larger one
            break
    return names


def _write(file: Path, frames: Iterator[Frames]) -> tuple[int, int, int]:
    """Write one or more (H, W, 3) frames as one (N, H, W, 3) array, N known in the end; return N, H, W."""
    header = {"descr": "|u1", "fortran_order": False}
    count = 0
    with file.open("wb") as npy:
        for frame in frames:
            if count == 0:
                write_array_header_1_0(npy, header | {"shape": (0, *frame.shape)})
            npy.write(np.ascontiguousarray(frame).data)
            count += 1
        npy.seek(0)  # headers leave room for the first axis to grow
        write_array_header_1_0(npy, header | {"shape": (count, *frame.shape)})
    return count, frame.shape[0], frame.shape[1]


def _decode(path: Path, *, longest_side_px: float, halve: bool) -> Iterator[Frames]:
    """Yield (H, W, 3) frames, those of a high video halved to what they resolve if told to.

    Raises:
        InputError: the file cannot be decoded to its end.
    """
    import av  # what is cached can be trained on without it
    from av.video.reformatter import Interpolation

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"there is no video in {path}")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                factor = max(1.0, max(frame.width, frame.height) / longest_side_px)
                while halve and frame.height / factor >= HALVE_FROM_PX:
                    factor *= 2
                reduced = frame.reformat(
                    width=round(frame.width / factor),
                    height=round(frame.height / factor),
                    format="rgb24",
                    interpolation=Interpolation.AREA if factor >= 2 else Interpolation.BICUBIC,
                )
                yield reduced.to_ndarray()
    except av.FFmpegError as error:
        raise InputError(f"{path} cannot be decoded: {error.strerror}") from error


def split_shots(frames: Iterable[Frames], *, keep_repeated: bool = False) -> Iterator[Iterator[Frames]]:
    """Cut a stream of (H, W, 3) frames into shots, leaving out repeated frames unless told to.

    Each shot is a stream too, to be read before the next is asked for.
    """
    for _, shot in itertools.groupby(_numbered(frames, keep_repeated), key=lambda numbered: numbered[0]):
        yield (frame for _, frame in shot)


def _numbered(frames: Iterable[Frames], keep_repeated: bool) -> Iterator[tuple[int, Frames]]:
    """Yield with each frame the number of its shot."""
    number = 0
    previous: npt.NDArray[np.float32] | None = None
    for frame in frames:
        thumbnail = frame[::8, ::8].astype(np.float32)
        if previous is not None:
            difference = float(np.abs(thumbnail - previous).mean())
            if difference < DUPLICATE_DIFFERENCE and not keep_repeated:
                continue
            number += difference > CUT_DIFFERENCE
        previous = thumbnail
        yield number, frame
