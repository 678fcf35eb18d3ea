"""The side data of decoded frames: what is lost of it, and HDR10's metadata."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np

LOST_SIDE_DATA = {
    "A53_CC": "closed captions",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "SPHERICAL": "360° metadata",
    "STEREO3D": "stereoscopic 3D metadata",
}
"""Side data that rendering loses, by PyAV's names, and what people call it."""

PROFILED = frozenset({"png", "apng"})
"""Codecs whose frames may carry a named colour profile."""

SideData = Mapping[str, Any]
"""Buffers by PyAV's names, such as "DISPLAYMATRIX"."""


def side_data_of(frame: av.VideoFrame, codec: str) -> SideData:
    """Return a frame's side data, as far as PyAV can give it.

    PyAV gives none where there is some of a kind that it does not know, such as EXIF. It frees the name of a
    PNG's colour profile twice (PyAV 18), which crashes the process: the side data of such frames is not read,
    even though their container may say that they are mirrored.
    """
    if codec in PROFILED:
        return {}
    with contextlib.suppress(ValueError):
        return frame.side_data
    return {}


def lost_side_data(side_data: SideData) -> tuple[str, ...]:
    """Return what rendering loses of a frame's side data, as people call it."""
    return tuple(name for key, name in LOST_SIDE_DATA.items() if side_data.get(key) is not None)


def mastering_display(side_data: SideData) -> str | None:
    """Return the colour volume of HDR10's mastering display: "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)".

    Chromaticities count 0.00002, luminances 0.0001 cd/m2, as in SMPTE ST 2086. ffmpeg's
    AVMasteringDisplayMetadata is ten fractions (x and y of red, green, blue and white, then the least and the
    greatest luminance) and two flags.
    """
    data = side_data.get("MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    numbers = [int(number) for number in np.frombuffer(data, np.int32, count=22)]
    if not (numbers[20] and numbers[21]):
        return None
    fractions = [Fraction(*numbers[place : place + 2]) for place in range(0, 20, 2)]
    red, green, blue, white = (
        f"({round(fractions[place] * 50_000)},{round(fractions[place + 1] * 50_000)})"
        for place in (0, 2, 4, 6)
    )
    least, greatest = (round(luminance * 10_000) for luminance in fractions[8:])
    return f"G{green}B{blue}R{red}WP{white}L({greatest},{least})"


def content_light(side_data: SideData) -> str | None:
    """Return HDR10's content light level, "MaxCLL,MaxFALL" in cd/m2."""
    data = side_data.get("CONTENT_LIGHT_LEVEL")
    if data is None:
        return None
    brightest, average = np.frombuffer(data, np.uint32, count=2)
    return f"{brightest},{average}"
