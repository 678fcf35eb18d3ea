"""How a coded picture is cropped, mirrored and turned to be upright."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
from PIL import ExifTags, Image

from videoinr_cli.media.read.side_data import SideData
from videoinr_cli.media.streams import Crop
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES

EXIF_ORIENTATIONS = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
"""Clockwise rotation, and whether the picture is mirrored left to right before it, that make it upright.
**Source**: Exif 2.3, tag 0x0112."""


def orientation(path: Path, frame: av.VideoFrame, side_data: SideData) -> tuple[int, bool]:
    """Return the clockwise rotation that makes a frame upright, and whether it is mirrored before.

    Rotations other than quarter turns are ignored: nobody can show them without black corners.
    """
    exif = _exif_orientation(path)
    return exif if exif is not None else _displayed_orientation(frame, side_data)


def _exif_orientation(path: Path) -> tuple[int, bool] | None:
    """Return the orientation in a picture's EXIF data, which not every decoder passes on, or None."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return None
    try:
        with Image.open(path) as picture:
            return EXIF_ORIENTATIONS.get(picture.getexif().get(ExifTags.Base.Orientation, 0))
    except (OSError, ValueError, SyntaxError):  # not read by Pillow, or damaged where it looks
        return None


def _displayed_orientation(frame: av.VideoFrame, side_data: SideData) -> tuple[int, bool]:
    """Return the orientation by the display matrix.

    It takes a pixel (x, y) of the coded picture to (a x + c y, b x + d y), y downwards.
    """
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return -frame.rotation % 360 // 90 * 90, False
    a, b, _, c, d = (int(sign) for sign in np.sign(np.frombuffer(matrix, np.int32)[:5]))
    mirrored = a * d - b * c < 0
    turns = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}
    return turns.get((-a, -b) if mirrored else (a, b), 0), mirrored


def cropping(frame: av.VideoFrame, description: str) -> Crop:
    """Return what Matroska's PixelCrop or mp4's clean aperture cuts off, which ffmpeg's decoders leave there.

    A crop that leaves nothing of the picture is ignored.

    Args:
        frame: as decoded.
        description: ffmpeg's, of the stream.
    """
    sides = re.search(r"\n +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", description)
    if sides is None:
        return Crop()
    left, right, top, bottom = map(int, sides.groups())
    if left + right >= frame.width or top + bottom >= frame.height:
        return Crop()
    return Crop(top=top, bottom=bottom, left=left, right=right)
