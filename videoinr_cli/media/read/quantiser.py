"""How coarsely a source was quantised.

Decoders of H.264 and of MPEG-1, 2 and 4 tell it; for other codecs nothing is known.
"""

from __future__ import annotations

import itertools
from statistics import fmean

import av
import numpy as np
from av.sidedata.encparams import VideoEncParams, VideoEncParamsType
from av.sidedata.sidedata import SideData

from videoinr_cli.errors import InputError
from videoinr_cli.media.read.source import open_source, video_stream
from videoinr_cli.media.streams import VideoInfo

CODECS = frozenset({"h263", "h264", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4v3", "wmv1"})

KEYFRAMES = 3
"""Keyframes that are looked at, from the start of the file: what others repeat of them says nothing."""

MIN_BLOCKS = 200
"""Macroblocks of a frame below which nothing is said: a picture of 256x200 px is too small to be a film."""

COARSE_STEP = 19.0
"""Mean step from which a source looks strongly compressed. H.264's quantiser is 29.5 there; x264 takes 30 for
keyframes at --crf 28, at which `videoinr-real` is ahead on Vid4 (`benchmarks/real.py`)."""

FINE_STEP = 5.0
"""Mean step up to which it looks hardly compressed; H.264's quantiser is 18."""


def quantiser_step(source: VideoInfo) -> float | None:
    """Return the mean step of the quantiser over the first keyframes; None where it is not told."""
    if not source.is_file or source.codec not in CODECS:
        return None
    try:
        with open_source(source.path) as container:
            stream = video_stream(container)
            stream.codec_context.options = {"export_side_data": "venc_params"}
            stream.codec_context.skip_frame = "NONKEY"
            frames = itertools.islice(container.decode(stream), KEYFRAMES)
            steps = [_mean_step(data) for frame in frames for data in frame.side_data]
    except (av.FFmpegError, InputError):  # what cannot be read is reported by who reads it
        return None
    known = [step for step in steps if step is not None]
    return fmean(known) if known else None


def _mean_step(data: SideData) -> float | None:
    """Return the mean step of a frame's macroblocks, if the data says it."""
    if not isinstance(data, VideoEncParams):
        return None
    try:
        quantisers = data.qp_map()
    except (RuntimeError, ValueError):  # of blocks of another size, or of another codec
        return None
    if quantisers.size < MIN_BLOCKS:
        return None
    # H.264's quantiser is a logarithm: the step doubles every six, and is 1 at 4. MPEG's is the step.
    is_log = data.codec_type == VideoEncParamsType.H264
    return float(np.mean(2.0 ** ((quantisers - 4) / 6) if is_log else quantisers))
