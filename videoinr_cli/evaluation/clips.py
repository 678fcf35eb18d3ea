"""Ground truth from disk: folders of pictures and video files, as streams of frames.

Knows nothing of protocols or networks. A benchmark's folder holds one folder of pictures, or one video file,
for each clip; a folder that holds pictures itself, and no video, is a single clip.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator, Set
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from videoinr_cli.errors import InputError, OutputError
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
            InputError: a file cannot be decoded, or a picture's size differs from the first one's.
        """
        size: torch.Size | None = None
        for path in self.paths:
            for rgb in _decode(path):
                frame = _to_tensor(rgb)
                size = size or frame.shape
                if frame.shape != size:
                    raise InputError(
                        f"{path} is {frame.shape[2]}x{frame.shape[1]}, but {self.paths[0].name} "
                        f"{size[2]}x{size[1]}; the frames of a clip need one size"
                    )
                yield frame

    def length(self) -> int:
        """Return how many frames there are, or what a video says of itself; 0 if it does not.

        Raises:
            InputError: a video cannot be read.
        """
        if self.paths[0].suffix.lower() in PICTURE_SUFFIXES:
            return len(self.paths)
        info = probe(self.paths[0])
        return info.frame_count or round(float((info.duration or 0) * info.frame_rate))


def find_clips(path: Path, root: str | None = None) -> list[Clip]:
    """Return the clips at a path, sorted by name.

    Videos go by their names without the suffixes, unless two clips would then go by the same.

    Args:
        path: a video, a folder of pictures, or a folder of such folders and of videos.
        root: name of a folder in `path` to look in instead, where there is one.

    Raises:
        InputError: there is no such path, or nothing to measure there.
    """
    if path.is_file():
        return [Clip(path.stem, (path,))]
    if not path.is_dir():
        raise InputError(f"ground truth {str(path)!r} is neither a file nor a folder")
    if (pictures := _pictures(path)) and not _among(path, VIDEO_SUFFIXES):
        return [Clip(path.name, pictures)]
    if root is not None and (path / root).is_dir():
        path = path / root
        pictures = ()
    if pictures:
        log.warning("%r lies beside videos and is passed over, as every picture there", str(pictures[0]))
    found: dict[Path, tuple[Path, ...]] = {}
    for entry in sorted(path.iterdir(), key=natural_key):
        if entry.is_dir():
            if pictures := _pictures(entry):
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
    """Make the folder that pictures are to be saved in.

    Raises:
        OutputError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"no pictures can be saved in {str(path)!r}: {error.strerror or error}") from error


def save_picture(frame: Tensor, path: Path) -> None:
    """Write a (3, H, W) frame in [0, 1] as an 8-bit PNG, making the folder it lies in.

    Raises:
        OutputError: the file cannot be written.
    """
    levels = to_levels(frame)
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = levels.shape[:2]
    encoder.pix_fmt, encoder.framerate = "rgb24", Fraction(1)
    picture = av.VideoFrame.from_ndarray(levels, format="rgb24")
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(bytes(packet) for packet in packets))
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def to_levels(frame: Tensor) -> NDArray[np.uint8]:
    """Turn a (3, H, W) frame in [0, 1], clamped to it, into (H, W, 3) 8-bit levels."""
    levels = (frame.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())


def _decode(path: Path) -> Iterator[NDArray[np.uint8] | NDArray[np.uint16]]:
    """Yield a video's frames or the one picture in a file, (H, W, 3)."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        for frame in read_frames(probe(path)):
            yield frame.rgb
        return
    try:
        with av.open(str(path)) as container:
            picture = next(container.decode(video=0))
            yield picture.to_ndarray(format="rgb24")
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise InputError(f"cannot read picture {str(path)!r}: {error}") from error


def _to_tensor(rgb: NDArray[np.uint8] | NDArray[np.uint16]) -> Tensor:
    peak = np.iinfo(rgb.dtype).max
    values = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32))
    return values / peak


def _pictures(folder: Path) -> tuple[Path, ...]:
    return _among(folder, PICTURE_SUFFIXES)


def _among(folder: Path, suffixes: Set[str]) -> tuple[Path, ...]:
    return tuple(sorted((path for path in folder.iterdir() if is_among(path, suffixes)), key=natural_key))
