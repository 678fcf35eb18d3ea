"""The source's sound, subtitles, chapters and tags, as a Matroska file within the fitted one.

Its video is one small grey picture, which is there since a video is what our tools take all else from.
"""

from __future__ import annotations

import dataclasses
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from videoinr_cli.fitting.file import FittedFile
from videoinr_cli.media.read.cutting import cut
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.media.write.kept_streams import decide_streams, log_changes
from videoinr_cli.media.write.output import OutputClock, OutputSpec
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.options import NORMAL_SPEED, EncodeOptions

PICTURE_PX = 16
ENCODING = EncodeOptions(codec="ffv1", crf=None, preset=None, pix_fmt="yuv420p")
PIX_FMT = "yuv420p"
"""Of what is rendered, unless another one is asked for: fitted pictures have 8 bits."""


def clock_of(source: VideoInfo) -> OutputClock:
    """Return the clock of a fitted clip, which starts where the source's first stream does."""
    return OutputClock.of(
        source.time_base,
        source.origin,
        start=source.start_pts * source.time_base,
        steady_rate=source.steady_rate,
    )


def pack_streams(source: VideoInfo) -> bytes:
    """Return the source's other streams; those that Matroska cannot hold are logged.

    Raises:
        FfmpegError: ffmpeg is missing or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "streams.mkv"
        written = output_format(path, source, ENCODING)
        streams = decide_streams(source, written.container, audio="keep", speed=NORMAL_SPEED, frame_rate=None)
        log_changes(streams)
        output = OutputSpec(
            destination=path,
            source=dataclasses.replace(source, mastering_display=None, content_light=None),
            format=written,
            encoding=ENCODING,
            size=(PICTURE_PX, PICTURE_PX),
            pixel_aspect=Fraction(1),
            clock=clock_of(source),
            frame_rate=source.frame_rate,
            kept=streams.kept,
        )
        with VideoWriter(output) as writer:
            writer.write(np.full((PICTURE_PX, PICTURE_PX, 3), 128, np.uint8), source.start_pts)
        return path.read_bytes()


def unpack_streams(
    fitted: FittedFile, path: Path, *, start: Fraction | None = None, end: Fraction | None = None
) -> VideoInfo:
    """Write a fitted clip's other streams to a file, and describe the clip as a source that has them.

    Args:
        fitted: the clip.
        path: of a Matroska file, which is to exist while the description is used.
        start: seconds from the start of the clip; see `cut`.
        end: likewise.

    Raises:
        OptionError: no frame is in the range.
        InputError: the streams cannot be read.
    """
    path.write_bytes(fitted.streams)
    clip = fitted.clip
    info = dataclasses.replace(
        probe(path),
        width=fitted.network.width,
        height=fitted.network.height,
        pix_fmt=PIX_FMT,
        colour=clip.colour,
        mastering_display=clip.mastering_display,
        content_light=clip.content_light,
        sample_aspect_ratio=clip.pixel_aspect,
        origin=Fraction(0),
        time_base=clip.time_base,
        start_pts=clip.pts[0],
        last_pts=clip.pts[-1],
        duration=(clip.end - clip.pts[0]) * clip.time_base,
        frame_rate=clip.frame_rate,
        steady_rate=clip.steady_rate,
        usual_seconds=clip.usual_seconds,
        frame_count=len(clip.pts),
    )
    return cut(info, start, end, times=clip.pts)
