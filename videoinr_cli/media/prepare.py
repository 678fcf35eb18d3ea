"""A source as the user wants it read: found, described, and its fields taken apart if it is interlaced."""

from __future__ import annotations

import os

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
    return deinterlaced(probe(path, rate=reading.rate), reading.deinterlace)
