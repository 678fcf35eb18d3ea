"""Probe a source: which video it holds, how its frames are to be read, and what else it holds.

Decodes one frame, since containers often state nothing, or the wrong thing, about what a decoder gives.
"""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.images import find_images
from videoinr_cli.media.read.clock_breaks import BREAKABLE, ClockScan, scan_clock
from videoinr_cli.media.read.colour_tags import stated_colour
from videoinr_cli.media.read.decoding import decoded_frames
from videoinr_cli.media.read.description import describe_streams
from videoinr_cli.media.read.extent import Shown, duration_of, last_by_reading, last_by_seeking, origin_of
from videoinr_cli.media.read.orientation import cropping, orientation
from videoinr_cli.media.read.side_data import content_light, lost_side_data, mastering_display, side_data_of
from videoinr_cli.media.read.source import (
    STANDARD_INPUT,
    companions,
    has_alpha_apart,
    open_source,
    standard_input,
    video_stream,
)
from videoinr_cli.media.read.stream_info import chapters_of, dispositions, stream_info
from videoinr_cli.media.read.undecodable import reason_of
from videoinr_cli.media.streams import VideoInfo

FALLBACK_RATE = Fraction(25)
"""Frames per second of a source that does not state its rate; ffmpeg's own default."""

FIELD_ORDERS = {1: "progressive", 2: "tff", 3: "bff", 4: "tff", 5: "bff"}
"""Names of ffmpeg's AVFieldOrder; 4 and 5 as its programs use them, against their documentation."""

WITHOUT_TIMES = 0x80
"""ffmpeg's AVFMT_NOTIMESTAMPS: the flag of raw streams."""


def probe(path: str | os.PathLike[str], *, rate: Fraction | None = None) -> VideoInfo:
    """Return what a source holds.

    Args:
        path: a video file, ``-`` for standard input, a folder of images, or a pattern such as
            ``frames/%05d.png``.
        rate: frames per second, of images and raw streams, which have no times; None: what a raw stream
            says, else `FALLBACK_RATE`.

    Raises:
        InputError: the file is missing or no media file, the folder holds no images; there is no video in
            it, no decoder for it, or not one frame of it can be decoded.
        OptionError: a rate is given for a source that has its own times.
    """
    source = Path(path)
    if source == STANDARD_INPUT:
        pipe = standard_input()
        if pipe.first is None:
            raise InputError("no frame of the video on standard input can be decoded")
        info = _described(source, pipe.container, pipe.stream, pipe.first, can_seek=False)
        return info if rate is None else _counted(info, rate, pipe.container)
    if images := find_images(source):
        return _of_images(source, images, rate or FALLBACK_RATE)
    with open_source(source) as container:
        stream = video_stream(container)
        info = _described(source, container, stream, _first_frame(container, stream, source), can_seek=True)
        return info if rate is None else _counted(info, rate, container)


def _counted(info: VideoInfo, rate: Fraction, container: InputContainer) -> VideoInfo:
    """Return a raw stream at the rate that the user gives it."""
    if not _has_no_times(container):
        raise OptionError(f"{str(info.path)!r} has its own times; --input-fps is for images and raw streams")
    return dataclasses.replace(
        info,
        counts_frames=True,
        time_base=1 / rate,
        frame_rate=rate,
        start_pts=0,
        last_pts=None,
        duration=None,
    )


def _has_no_times(container: InputContainer) -> bool:
    return bool(container.format.flags & WITHOUT_TIMES) or container.format.name.endswith("_pipe")


def _of_images(path: Path, images: tuple[tuple[int, Path], ...], rate: Fraction) -> VideoInfo:
    """Describe numbered images by the first one."""
    first = images[0][1]
    with open_source(first) as container:
        stream = video_stream(container)
        info = _described(first, container, stream, _first_frame(container, stream, first), can_seek=False)
    last = images[-1][0]
    return dataclasses.replace(
        info,
        path=path,
        container="images",
        images=images,
        time_base=1 / rate,
        frame_rate=rate,
        frame_count=len(images),
        start_pts=0,
        last_pts=last,
        duration=(last + 1) / rate,
        tags=(),
        file_tags=(),
        streams=(),  # of one image
    )


def _described(
    path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame, *, can_seek: bool
) -> VideoInfo:
    """Describe an open container by its headers, its first frame and, if it can seek, its last packets."""
    time_base = frame.time_base or stream.time_base
    assert time_base is not None
    start = frame.pts if frame.pts is not None else frame.dts if frame.dts is not None else 0
    descriptions = describe_streams(container)
    description = descriptions.get(stream.index, "")
    side_data = side_data_of(frame, stream.codec.canonical_name)
    rotation, mirrored = orientation(path, frame, side_data)
    is_sideways = rotation in (90, 270)
    crop = cropping(frame, description)
    width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
    aspect = stream.sample_aspect_ratio or Fraction(1)
    last = _last_shown(path, container, stream) if can_seek else None
    clock = _clock_of(path, container, stream) if can_seek else None
    shifts = clock.shifts if clock else ()
    if clock and shifts:
        last = clock.end
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        codec=stream.codec.canonical_name,
        width=height if is_sideways else width,
        height=width if is_sideways else height,
        pix_fmt=frame.format.name,
        colour=stated_colour(stream, frame, description),
        time_base=time_base,
        start_pts=start,
        last_pts=round(last[0] / time_base) if last else None,
        frame_rate=stream.average_rate or stream.guessed_rate or stream.base_rate or FALLBACK_RATE,
        duration=duration_of(container, stream, start * time_base, last, is_one_clock=not shifts),
        origin=origin_of(container),
        sample_aspect_ratio=1 / aspect if is_sideways else aspect,
        rotation=rotation,
        crop=crop,
        mirrored=mirrored,
        field_order=_field_order(stream, frame),
        frame_count=stream.frames or None,
        mastering_display=mastering_display(side_data),
        content_light=content_light(side_data),
        lost_side_data=(
            *lost_side_data(side_data),
            *(("transparency",) if has_alpha_apart(container, stream) else ()),
        ),
        disposition=dispositions(stream),
        tags=tuple(stream.metadata.items()),
        file_tags=tuple(container.metadata.items()),
        streams=tuple(
            stream_info(
                other,
                descriptions.get(other.index, ""),
                has_packets=clock is not None and other.index in clock.streams,
            )
            for other in companions(container, stream)
        ),
        chapters=chapters_of(container),
        clock_shifts=shifts,
    )


def _last_shown(path: Path, container: InputContainer, stream: VideoStream) -> Shown | None:
    """Return the times of the packet that is shown last; None: unknown."""
    if container.duration is not None:
        return last_by_seeking(container, stream)
    if _has_no_times(container):
        return None
    with open_source(path) as again:
        return last_by_reading(again)


def _clock_of(path: Path, container: InputContainer, stream: VideoStream) -> ClockScan | None:
    """Scan the clock of a file in which it may break; None for others."""
    if container.format.name not in BREAKABLE:
        return None
    with open_source(path) as again:
        return scan_clock(again, stream.index)


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    reasons = ["it holds none"]
    for frame in decoded_frames(container, stream, reasons.append):
        return frame
    reason = reason_of(path) or reasons[-1]
    raise InputError(f"no frame of the video in {str(path)!r} can be decoded: {reason}")


def _field_order(stream: VideoStream, frame: av.VideoFrame) -> str:
    if frame.interlaced_frame:
        return "flagged"
    return FIELD_ORDERS.get(stream.codec_context.field_order, "unknown")
