"""The output's timecode: the number of its first frame, at its frame rate."""

from __future__ import annotations

import re
from fractions import Fraction

from videoinr_cli.media.streams import VideoInfo

_FORM = re.compile(r"^(\d\d?):(\d\d):(\d\d)([:;.])(\d{2,3})$")

_DROP_RATES = (Fraction(30_000, 1001), Fraction(60_000, 1001))
"""Frames per second at which drop-frame timecode skips numbers, to keep up with the clock."""

_SAME_RATE = Fraction(1, 100)
"""Frames per second by which a rate that was measured from a file may be wrong."""


def timecode(source: VideoInfo) -> str | None:
    """Return a source's timecode as it is written, such as "01:00:00:00", or with ";" before the frame."""
    tags = [*source.tags, *source.file_tags]
    return next((value for name, value in tags if name.lower() == "timecode"), None)


def moved_timecode(source: VideoInfo, frame_rate: Fraction) -> str | None:
    """Return the timecode of an output's first frame; None: there is none, or none that is exact.

    Args:
        source: the whole, or a part that begins some frames later.
        frame_rate: of the output, in frames per second.
    """
    stated = timecode(source)
    counted = source.frame_rate / (2 if source.fields else 1)  # a frame of two fields has one number
    whole = source.whole or source
    frames_before = (source.start_pts - whole.start_pts) * source.time_base * counted
    if stated is None or (not frames_before and counted == frame_rate):
        return stated
    form = _FORM.match(stated)
    if form is None:
        return None
    hours, minutes, seconds, mark, frame = form.groups()
    if mark != ":":  # counting in it would have to skip numbers too
        keeps_rate = any(abs(frame_rate - rate) < _SAME_RATE for rate in _DROP_RATES)
        if frames_before or not keeps_rate:
            return None
    if frames_before and abs(counted - round(counted)) >= _SAME_RATE:
        return None
    source_rate, output_rate = round(counted), round(frame_rate)  # numbers per second
    if not (source_rate and output_rate):
        return None
    total = Fraction(int(frame)) + (round(2 * frames_before) / Fraction(2))
    second = (int(hours) * 60 + int(minutes)) * 60 + int(seconds) + total // source_rate
    place = int(total % source_rate * output_rate / source_rate)
    return f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}{mark}{place:02d}"
