"""Read a video's pictures: every frame that its decoder holds, upright, as R'G'B', each at its own time.

Knows nothing of files' insides (`probe` has looked) nor of what the pictures are for.

Timestamps are the decoder's. Where they fall short these rules hold, and no frame is ever lost to them:

- A frame without a timestamp gets its decoding timestamp, else the end of the frame before it.
- A frame whose timestamp does not come after the one before it is shown one tick after that one.
- A clock that jumps back by more than `CLOCK_JUMP_SECONDS` was set anew: from there on, times go on from the
  end of the frame before.
- The last frame lasts until the end that the file states, else as long as its packet says.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from videoinr_cli.errors import InputError
from videoinr_cli.media.planes import Picture, to_rgb
from videoinr_cli.media.source import decoded_frames, open_source, video_stream
from videoinr_cli.media.streams import VideoInfo

CLOCK_JUMP_SECONDS = 1
"""Smallest step back in time that is a new clock, as of recordings joined end to end, and no mere disorder."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SourceFrame:
    """One picture of the source and when it is shown."""

    rgb: Picture  # (H, W, 3), full-range R'G'B': uint8, or uint16 of sources of more than 8 bits
    pts: int  # in ticks of the source's time base
    duration: int | None = None  # in ticks, when the source says it
    alpha: Picture | None = None  # (H, W), of rgb's type, the maximum opaque; None when there is none


def read_frames(info: VideoInfo, *, strict: bool = False) -> Iterator[SourceFrame]:
    """Yield every frame of the video, with strictly increasing timestamps from ``info.start_pts`` on.

    What cannot be decoded is left out and said in the log, with its time.

    Args:
        info: what `probe` returned.
        strict: whether damage is an error.

    Raises:
        InputError: the file has gone, or `strict` is set and something in it cannot be decoded.
    """
    clock = _Clock(info)
    damage = _Damage(info, strict=strict)
    to_size = _ToFirstSize(info, damage)
    with open_source(info.path) as container:
        stream = video_stream(container)
        held: SourceFrame | None = None
        for frame in decoded_frames(container, stream, damage.lost):
            pts = clock.time_of(frame)
            damage.reached(pts, corrupt=frame.is_corrupt)
            rgb, alpha = to_rgb(to_size(frame), info.resolved_colour)
            if held is not None:
                yield held
            held = SourceFrame(
                _upright(rgb, info), pts, frame.duration or None, None if alpha is None else _upright(alpha, info)
            )
        if held is not None:
            yield _until_end(held, info)
    damage.summarise()
