"""A source as the user wants it read: probed, deinterlaced and cut."""

from __future__ import annotations

import os

from videoinr_cli.media.read.cutting import cut
from videoinr_cli.media.read.interlacing import deinterlaced
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import ReadOptions


def prepare(path: str | os.PathLike[str], reading: ReadOptions) -> VideoInfo:
    """Probe a source, and return how it is to be read.

    Raises:
        InputError: see `probe`.
        OptionError: the options do not fit the source.
    """
    return as_read(probe(path, rate=reading.rate), reading)


def as_read(found: VideoInfo, reading: ReadOptions) -> VideoInfo:
    """Return a probed source as it is to be read.

    Raises:
        OptionError: the options do not fit the source.
    """
    return cut(deinterlaced(found, reading.deinterlace), reading.start, reading.end)
