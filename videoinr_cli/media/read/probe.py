"""Probe a source: which video it holds, how its frames are to be read, and what else it holds.

Decodes one frame, since containers often state nothing, or the wrong thing, about what a decoder gives.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.images import find_images
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.read.clock_breaks import BREAKABLE, SPARSELY_TIMED, ClockScan, scan_clock
from videoinr_cli.media.read.decoding import changed_aspect, decoded_frames
from videoinr_cli.media.read.description import describe_streams
from videoinr_cli.media.read.extent import (
    Tail,
    content_end_of,
    duration_of,
    origin_of,
    tail_by_reading,
    tail_by_seeking,
)
from videoinr_cli.media.read.orientation import cropping, orientation
from videoinr_cli.media.read.side_data import content_light, lost_side_data, mastering_display, side_data_of
from videoinr_cli.media.read.source import (
    STANDARD_INPUT,
    companions,
    has_alpha_apart,
    open_source,
    other_programs,
    standard_input,
    video_stream,
)
from videoinr_cli.media.read.stream_info import chapters_of, dispositions, stream_info
from videoinr_cli.media.read.timing import (
    FALLBACK_RATE,
    Timing,
    believed_rate,
    has_no_times,
    timing_of_packets,
)
from videoinr_cli.media.read.undecodable import reason_of
from videoinr_cli.media.streams import ClockShift, VideoInfo

FIELD_ORDERS = {1: "progressive", 2: "tff", 3: "bff", 4: "tff", 5: "bff"}
"""Names of ffmpeg's AVFieldOrder; 4 and 5 as its programs use them, against their documentation."""


MAX_SMALL_FRAMES = 250
"""Frames at the start that are searched for the stated size."""


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
    if not has_no_times(container):
        raise OptionError(f"{str(info.path)!r} has its own times; --input-fps is for images and raw streams")
    return dataclasses.replace(
        info,
        counts_frames=True,
        time_base=1 / rate,
        frame_rate=rate,
        start_pts=0,
        last_pts=None,
        steady_rate=None,
        duration=None,
    )


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
    tail = _tail_of(path, container, stream) if can_seek else Tail(None, breaks=False)
    clock = _clock_of(path, container, stream, tail) if can_seek else None
    shifts = clock.shifts if clock else ()
    is_scanned = bool(shifts) or container.format.name in SPARSELY_TIMED
    last = clock.end if clock and is_scanned else None if tail.breaks else tail.last
    timing = _timing_of(path, shifts) if can_seek else None
    rate = believed_rate(container, stream, timing)
    duration, missing = duration_of(
        container, stream, start * time_base, last, rate=rate, is_stated=not (clock and is_scanned)
    )
    origin = origin_of(container, stream, start * time_base)
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        codec=stream.codec.canonical_name,
        width=height if is_sideways else width,
        height=width if is_sideways else height,
        pix_fmt=frame.format.name,
        colour=_stated_colour(stream, frame, description),
        time_base=time_base,
        start_pts=start,
        last_pts=round(last[0] / time_base) if last else None,
        frame_rate=rate,
        steady_rate=timing.steady if timing else None,
        usual_seconds=timing.usual_seconds if timing else None,
        duration=duration,
        missing_seconds=missing,
        origin=origin,
        content_end=content_end_of(
            container, stream, None if duration is None else start * time_base + duration
        ),
        sample_aspect_ratio=1 / aspect if is_sideways else aspect,
        follows_aspect=changed_aspect(frame) is None,
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
        other_programs=other_programs(container, stream),
        disposition=dispositions(stream),
        tags=tuple(stream.metadata.items()),
        file_tags=tuple(container.metadata.items()),
        streams=tuple(
            stream_info(
                other,
                descriptions.get(other.index, ""),
                has_packets=clock is not None and other.index in clock.streams,
                origin=origin,
            )
            for other in companions(container, stream)
        ),
        chapters=chapters_of(container),
        clock_shifts=shifts,
    )


def _stated_colour(stream: VideoStream, frame: av.VideoFrame, description: str) -> Colour:
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


def _tail_of(path: Path, container: InputContainer, stream: VideoStream) -> Tail:
    """Return what the end of a file shows: found by seeking, else by reading all of it."""
    if has_no_times(container):
        return Tail(None, breaks=False)
    if container.duration is not None:
        tail = tail_by_seeking(container, stream)
        if tail.last is not None:
            return tail
    with open_source(path) as again:
        return tail_by_reading(again, video_stream(again))


def _clock_of(path: Path, container: InputContainer, stream: VideoStream, tail: Tail) -> ClockScan | None:
    """Scan the clock of a file in which it may break; None for others."""
    if container.format.name not in BREAKABLE and not tail.breaks:
        return None
    with open_source(path) as again:
        return scan_clock(again, stream.index)


def _timing_of(path: Path, shifts: tuple[ClockShift, ...]) -> Timing | None:
    with open_source(path) as again:
        return timing_of_packets(again, shifts)


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    """Return the first frame, or where it has not the stated size, one that speaks for the rest, at its time.

    Recordings of calls begin small and grow. The stated size leads, else the one that most frames have.
    """
    stated = (stream.width, stream.height)
    reasons = ["it holds none"]
    frames = decoded_frames(container, stream, reasons.append)
    first = next(frames, None)
    if first is None:
        reason = reason_of(path) or reasons[-1]
        raise InputError(f"no frame of the video in {str(path)!r} can be decoded: {reason}")
    leading = {(first.width, first.height): first}  # the first frame of each size
    counts = Counter(leading.keys())
    if stated not in leading:
        for frame in itertools.islice(frames, MAX_SMALL_FRAMES):
            size = (frame.width, frame.height)
            counts[size] += 1
            leading.setdefault(size, frame)
            if size == stated:
                break
    size = stated if stated in leading else counts.most_common(1)[0][0]
    leading[size].pts = first.pts if first.pts is not None else first.dts
    return leading[size]


def _field_order(stream: VideoStream, frame: av.VideoFrame) -> str:
    if frame.interlaced_frame:
        return "flagged"
    return FIELD_ORDERS.get(stream.codec_context.field_order, "unknown")
