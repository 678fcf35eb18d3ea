"""Ground truth on disk, as streams of frames; and rendered frames to disk.

A benchmark's folder holds one folder of pictures, or one video file,
for each clip; a folder that holds pictures itself, and no video, is a single clip.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from videoinr_cli.errors import InputError, OutputError, writing
from videoinr_cli.media.planes import Picture
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_among, natural_key

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Clip:
    """Consecutive frames of ground truth."""

    name: str
    paths: tuple[Path, ...]  # the pictures in order, or one video

    def frames(self) -> Iterator[Tensor]:
        """Yield every frame, (3, H, W) float32 RGB in [0, 1].

        Raises:
            InputError: a file cannot be decoded, or a picture's size differs from the first picture's.
        """
        size: torch.Size | None = None
        for path in self.paths:
            for picture in read_frames(probe(path)):
                frame = _to_tensor(picture.rgb)
                size = size or frame.shape
                if frame.shape != size:
                    raise InputError(
                        f"{path} is {frame.shape[2]}x{frame.shape[1]}, but {self.paths[0].name} "
                        f"{size[2]}x{size[1]}; the frames of a clip need one size"
                    )
                yield frame

    def length(self) -> int:
        """Return the number of frames, as the file states it for a video; 0 if it does not.

        Raises:
            InputError: a video cannot be read.
        """
        if self.paths[0].suffix.lower() in PICTURE_SUFFIXES:
            return len(self.paths)
        info = probe(self.paths[0])
        return info.frame_count or round(float((info.duration or 0) * info.frame_rate))


def find_clips(path: Path, root: str | None = None) -> list[Clip]:
    """Return the clips at a path, sorted by name.

    A video's name is its file's without the suffix, or with it where two clips would share a name.

    Args:
        path: a video, a folder of pictures, or a folder of such folders and of videos.
        root: name of a folder in `path` that is searched instead, if it exists.

    Raises:
        InputError: there is no such path, or no clip in it.
    """
    if path.is_file():
        return [Clip(path.stem, (path,))]
    if not path.is_dir():
        raise InputError(f"ground truth {str(path)!r} is neither a file nor a folder")
    if (pictures := _among(path, PICTURE_SUFFIXES)) and not _among(path, VIDEO_SUFFIXES):
        return [Clip(path.name, pictures)]
    if root is not None and (path / root).is_dir():
        path = path / root
        pictures = ()
    if pictures:
        log.warning("%r and other pictures beside videos are left out", str(pictures[0]))
    found: dict[Path, tuple[Path, ...]] = {}
    for entry in sorted(path.iterdir(), key=natural_key):
        if entry.is_dir():
            if pictures := _among(entry, PICTURE_SUFFIXES):
                found[entry] = pictures
        elif is_among(entry, VIDEO_SUFFIXES):
            found[entry] = (entry,)
    if not found:
        raise InputError(
            f"no clips in {str(path)!r}: it should hold one folder of pictures or one video for each"
        )
    names = [entry.name if entry.is_dir() else entry.stem for entry in found]
    if len(set(names)) < len(names):
        names = [entry.name for entry in found]
    return [Clip(name, paths) for name, paths in zip(names, found.values(), strict=True)]


def make_folder(path: Path) -> None:
    """Make a folder for pictures.

    Raises:
        OutputError: it cannot be made, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"no pictures can be saved in {str(path)!r}: {error.strerror or error}") from error


def save_picture(frame: Tensor, path: Path) -> None:
    """Write a (3, H, W) frame in [0, 1] as an 8-bit PNG, and make its folder.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_levels(frame)).save(path, "PNG")


def to_levels(frame: Tensor) -> NDArray[np.uint8]:
    """Clamp a (3, H, W) frame to [0, 1] and return it in 8-bit levels, (H, W, 3)."""
    levels = (frame.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())


def _to_tensor(rgb: Picture) -> Tensor:
    peak = np.iinfo(rgb.dtype).max
    values = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32))
    return values / peak


def _among(folder: Path, suffixes: Set[str]) -> tuple[Path, ...]:
    return tuple(sorted((path for path in folder.iterdir() if is_among(path, suffixes)), key=natural_key))
