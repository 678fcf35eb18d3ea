"""Turn folders of videos and photographs into shots: arrays of frames to crop from without decoding.

A shot is a run of frames without a cut. It is stored once, as uint8 on disk, and mapped into memory, so that
footage of any length can be sampled.
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
from videoinr_cli.options import DEFAULT_SCENE_THRESHOLD
from videoinr_cli.quantities import counted
from videoinr_cli.render.scenes import Thumbnail, thumbnail, with_cuts

Frames = npt.NDArray[np.uint8]

MIN_SIDE_PX = 192
"""Shortest side of a frame that has room for a training crop and its motion."""
HALVE_FROM_PX = 720
"""Videos whose shorter side is this long are halved until it is shorter: web video has no more detail."""
STILL_SIDES_PX = (1200, 2000)
"""Photographs are reduced to these longest sides: they are sharper to the pixel at the first, and have nearly
three times as much to show at the second."""
REPEAT_LEVELS = 0.25
"""Mean absolute difference, in 8-bit levels, below which a frame repeats the one before it."""
CACHE_VERSION = 3
"""Raise it whenever decoding or cutting changes: frames that an earlier version cached are then not used.

1 converted colours by swscale, unrotated, and cut wherever frames differed by 28 levels; 2 compared the two
frames of a pair alone, bars included.
"""


@dataclasses.dataclass(frozen=True)
class Shot:
    """Consecutive frames of one video without a cut, or a single photograph."""

    source: str  # file name it was taken from
    frames: Frames  # (N, H, W, 3) RGB, mapped from disk

    def __str__(self) -> str:
        return f"{self.source} ({counted(len(self.frames), 'frame')})"

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
        directories: folders to search; other files in them are passed over, and files that cannot be decoded
            are left out.
        cache: folder for the decoded frames; it takes about 1 MB per frame and may be deleted at any time.
        raw: keep videos at their own size and keep repeated frames, for footage of 240 frames per second;
            else large videos are halved, see `HALVE_FROM_PX`, and repeated frames left out.
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
    """Return the cached shots of a file; None if it is not cached, or any of its shots does not load."""
    try:
        entry = json.loads(index.read_text())
        return [
            Shot(entry["source"], np.load(index.with_name(name), mmap_mode="c")) for name in entry["shots"]
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
    known_by = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {STILL_SIDES_PX} {CACHE_VERSION}"
    return hashlib.sha256(os.fsencode(known_by)).hexdigest()[:16]


def _store(path: Path, cache: Path, stem: str, raw: bool) -> list[str]:
    """Decode `path` and write its shots, frame by frame so that none is held in memory; return their names.

    A photograph is a shot of one frame, at each of the sizes it is trained on. A video's shots of fewer than
    three frames are left out: they have no frame between two others.
    """
    is_photograph = path.suffix.lower() in PICTURE_SUFFIXES
    names: list[str] = []
    for side_px in STILL_SIDES_PX if is_photograph else (math.inf,):
        frames = decode(path, longest_side_px=side_px, halve=not raw and not is_photograph)
        longest_px = 0
        for shot in split_shots(frames, keep_repeated=raw):
            file = cache / f"{stem}-{len(names):03d}.npy"
            count, *size_px = _write(file, shot)
            longest_px = max(size_px)
            if min(size_px) >= MIN_SIDE_PX and (count > 2 or is_photograph):
                names.append(file.name)
            else:
                file.unlink()
        if longest_px < side_px:  # smaller already: further sizes would be the same
            break
    return names


def _write(file: Path, frames: Iterator[Frames]) -> tuple[int, int, int]:
    """Write (H, W, 3) frames as one (N, H, W, 3) array, with N filled in at the end; return N, H, W."""
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


def decode(path: Path, *, longest_side_px: float = math.inf, halve: bool = False) -> Iterator[Frames]:
    """Yield a video's frames, or the one in a photograph, as `upscale` reads them: (H, W, 3), in 8 bits.

    Args:
        longest_side_px: larger frames are reduced to this.
        halve: whether frames of `HALVE_FROM_PX` and more are halved until they are smaller.

    Raises:
        InputError: not one frame of the file can be decoded.
    """
    from PIL import Image  # cached frames can be trained on without Pillow and PyAV

    from videoinr_cli.media.planes import eight_bits
    from videoinr_cli.media.read.probe import probe
    from videoinr_cli.media.read.reader import read_frames

    for frame in read_frames(probe(path)):
        rgb = eight_bits(frame.rgb)
        height, width = rgb.shape[:2]
        factor = max(1.0, max(height, width) / longest_side_px)
        while halve and min(height, width) / factor >= HALVE_FROM_PX:
            factor *= 2
        if factor == 1:
            yield rgb
            continue
        size = round(width / factor), round(height / factor)
        kernel = Image.Resampling.BOX if factor >= 2 else Image.Resampling.BICUBIC
        yield np.asarray(Image.fromarray(rgb).resize(size, kernel))


def split_shots(frames: Iterable[Frames], *, keep_repeated: bool = False) -> Iterator[Iterator[Frames]]:
    """Cut a stream of (H, W, 3) frames into shots, and leave out repeated frames.

    Each shot is a stream too, to be read before the next one is requested.

    Args:
        keep_repeated: whether to keep repeated frames.
    """
    for _, shot in itertools.groupby(_numbered(frames, keep_repeated), key=lambda numbered: numbered[0]):
        yield (frame for _, frame in shot)


def _numbered(frames: Iterable[Frames], keep_repeated: bool) -> Iterator[tuple[int, Frames]]:
    """Yield each frame with the number of its shot."""
    number = 0
    numbered = with_cuts(_seen(frames, keep_repeated), DEFAULT_SCENE_THRESHOLD, lambda seen: seen[1])
    for (frame, _), is_cut in numbered:
        number += is_cut
        yield number, frame


def _seen(frames: Iterable[Frames], keep_repeated: bool) -> Iterator[tuple[Frames, Thumbnail]]:
    """Yield each frame that is to be kept with its thumbnail."""
    before: npt.NDArray[np.float32] | None = None
    for frame in frames:
        samples = frame[::8, ::8].astype(np.float32)
        if keep_repeated or before is None or np.abs(samples - before).mean() >= REPEAT_LEVELS:
            yield frame, thumbnail(frame)
            before = samples
