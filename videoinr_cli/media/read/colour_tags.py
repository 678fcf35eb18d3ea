"""The colour that a file states: in its frames, else in its headers."""

from __future__ import annotations

import re

import av
from av.video.stream import VideoStream

from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.planes import layout_of


def stated_colour(stream: VideoStream, frame: av.VideoFrame, description: str) -> Colour:
    """Return a video's colour, None where the file does not state it.

    Args:
        stream: the video.
        frame: its first one.
        description: ffmpeg's, of the stream; PyAV has no attribute for the chroma location.
    """
    context = stream.codec_context
    sample_range = RANGES.get(frame.color_range) or RANGES.get(context.color_range)
    location = re.search(rf"[(,] *({'|'.join(CHROMA_LOCATIONS)})\)", description.partition("\n")[0])
    matrix = MATRICES.get(frame.colorspace) or MATRICES.get(context.colorspace)
    return Colour(
        # Y'CbCr that is marked as R'G'B' is marked wrongly: it would lose most of its colours.
        matrix=None if matrix == "gbr" and layout_of(frame.format.name).kind != "rgb" else matrix,
        primaries=PRIMARIES.get(frame.color_primaries) or PRIMARIES.get(context.color_primaries),
        transfer=TRANSFERS.get(frame.color_trc) or TRANSFERS.get(context.color_trc),
        range="full" if frame.format.name.startswith("yuvj") else sample_range,
        chroma_location=location[1] if location else None,
    )
