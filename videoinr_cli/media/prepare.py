"""A source as the user wants it read: found, described, its fields taken apart, and cut."""

from __future__ import annotations

import os

from videoinr_cli.media.cutting import cut
from videoinr_cli.media.interlacing import deinterlaced
from videoinr_cli.media.probe import probe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import ReadOptions


def prepare(path: str | os.PathLike[str], reading: ReadOptions) -> VideoInfo:
    """Return what a source holds, as it is to be read.

    Raises:
        InputError: see `probe`.
        OptionError: the options do not fit the source.
    """
    whole = deinterlaced(probe(path, rate=reading.rate), reading.deinterlace)
    return cut(whole, reading.start, reading.end)
