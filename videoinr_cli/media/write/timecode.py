"""What a source's timecode becomes: the number of the output's first frame, at the output's rate.

Knows nothing of what holds it, and counts no frames but those before a part.
"""

from __future__ import annotations

import re
from fractions import Fraction

from videoinr_cli.media.streams import VideoInfo

_FORM = re.compile(r"^(\d\d?):(\d\d):(\d\d)([:;.])(\d{2,3})$")

_DROP_RATES = (Fraction(30_000, 1001), Fraction(60_000, 1001))
"""Frames per second of which drop-frame timecode leaves out numbers, so that it keeps up with the clock."""

_SAME_RATE = Fraction(1, 100)
"""Frames per second that a rate counted from a file may be off."""


def timecode(source: VideoInfo) -> str | None:
    """Return a source's timecode as it says it, such as "01:00:00:00", or with ";" before the frame."""
    tags = [*source.tags, *source.file_tags]
    return next((said for name, said in tags if name.lower() == "timecode"), None)


def moved_timecode(source: VideoInfo, frame_rate: Fraction) -> str | None:
    """Return the timecode that an output begins with; None: there is none, or none that is right.

    Args:
        source: the whole or a part, which begins as many frames later.
        frame_rate: of the output, in frames per second.
    """
    said = timecode(source)
    counted = source.frame_rate / (2 if source.fields else 1)  # a frame of two fields has one number
    whole = source.whole or source
    frames_before = (source.start_pts - whole.start_pts) * source.time_base * counted
    if said is None or (not frames_before and counted == frame_rate):
        return said
    form = _FORM.match(said)
    if form is None:
        return None
    hours, minutes, seconds, mark, frame = form.groups()
    if mark != ":":  # to count on in it, the numbers that it leaves out would have to be
        is_held = any(abs(frame_rate - rate) < _SAME_RATE for rate in _DROP_RATES)
        if frames_before or not is_held:
            return None
    if frames_before and abs(counted - round(counted)) >= _SAME_RATE:
        return None
    numbers, held = round(counted), round(frame_rate)  # in a second
    if not (numbers and held):
        return None
    total = Fraction(int(frame)) + (round(2 * frames_before) / Fraction(2))
    second = (int(hours) * 60 + int(minutes)) * 60 + int(seconds) + total // numbers
    place = int(total % numbers * held / numbers)
    return f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}{mark}{place:02d}"
