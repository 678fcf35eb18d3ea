"""Look into a file: which video it holds, how its frames are to be read, and what lies beside it.

Decodes one frame, since containers often say nothing, or the wrong thing, of what a decoder will give. Knows
nothing of pictures: reading them is the reader's part.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from PIL import ExifTags, Image

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.images import find_images
from videoinr_cli.media.read.clock_breaks import BREAKABLE, Clock, read_clock
from videoinr_cli.media.read.source import (
    STANDARD_INPUT,
    decoded_frames,
    open_source,
    packets_of,
    standard_input,
    video_stream,
)
from videoinr_cli.media.streams import Chapter, Crop, StreamInfo, VideoInfo
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES

FALLBACK_RATE = Fraction(25)
"""Frames per second of a source that says nothing of its rate; ffmpeg's own default."""

FIELD_ORDERS = {1: "progressive", 2: "tff", 3: "bff", 4: "tff", 5: "bff"}
"""Of ffmpeg's AVFieldOrder; 4 and 5 as its own programs use them, if not as their documentation has it."""

WITHOUT_TIMES = 0x80
"""ffmpeg's AVFMT_NOTIMESTAMPS: the flag of raw streams."""

LOST_SIDE_DATA = {
    "A53_CC": "closed captions",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "SPHERICAL": "360° metadata",
    "STEREO3D": "stereoscopic 3D metadata",
}
"""Side data of frames that rendering loses, by PyAV's names."""

PROFILED = frozenset({"png", "apng"})
"""Codecs whose frames may carry a colour profile under a name."""

EXIF_ORIENTATIONS = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
"""Clockwise rotation after mirroring left to right, or without it, that makes a picture upright.
**Source**: Exif 2.3, tag 0x0112."""

_MICROSECOND = Fraction(1, 1_000_000)


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
    """Describe numbered images by the first of them."""
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
    """Return what an open container and its first frame tell; reads on in the container if it can seek."""
    time_base = frame.time_base or stream.time_base
    assert time_base is not None
    start = frame.pts if frame.pts is not None else frame.dts if frame.dts is not None else 0
    carried = _carried(frame, stream.codec.canonical_name)
    rotation, mirrored = _exif_orientation(path) or _orientation(frame, carried)
    sideways = rotation in (90, 270)
    told = _dump(container)
    crop = _crop(told, stream, frame)
    width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
    aspect = stream.sample_aspect_ratio or Fraction(1)
    descriptions = _descriptions(told)
    others = [other for other in container.streams if other.index != stream.index]
    last: tuple[Fraction, Fraction] | None = None
    if can_seek and container.duration is not None:
        last = _last_packet(container, stream)
    elif can_seek and not _has_no_times(container):
        with open_source(path) as again:
            last = _last_of_all(again)
    clock: Clock | None = None
    if can_seek and container.format.name in BREAKABLE:
        with open_source(path) as again:
            clock = read_clock(again, stream.index)
    shifts = clock.shifts if clock else ()
    if clock and shifts:
        last = clock.end
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        codec=stream.codec.canonical_name,
        width=height if sideways else width,
        height=width if sideways else height,
        pix_fmt=frame.format.name,
        colour=_colour(stream, frame, descriptions.get(stream.index, "")),
        time_base=time_base,
        start_pts=start,
        last_pts=round(last[0] / time_base) if last else None,
        frame_rate=stream.average_rate or stream.guessed_rate or stream.base_rate or FALLBACK_RATE,
        duration=_duration(container, stream, start * time_base, last, is_one_clock=not shifts),
        origin=_origin(container),
        sample_aspect_ratio=1 / aspect if sideways else aspect,
        rotation=rotation,
        crop=crop,
        mirrored=mirrored,
        field_order=_field_order(stream, frame),
        frame_count=stream.frames or None,
        mastering_display=_mastering_display(carried),
        content_light=_content_light(carried),
        lost_side_data=tuple(what for name, what in LOST_SIDE_DATA.items() if carried.get(name) is not None),
        disposition=_dispositions(stream),
        tags=tuple(stream.metadata.items()),
        file_tags=tuple(container.metadata.items()),
        streams=tuple(
            _summary(
                other,
                descriptions.get(other.index, ""),
                is_empty=_says_nothing(other) and not (clock and other.index in clock.streams),
            )
            for other in others
        ),
        chapters=_chapters(container),
        clock_shifts=shifts,
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    reasons = ["it holds none"]
    for frame in decoded_frames(container, stream, reasons.append):
        return frame
    raise InputError(f"no frame of the video in {str(path)!r} can be decoded: {reasons[-1]}")


def _field_order(stream: VideoStream, frame: av.VideoFrame) -> str:
    if frame.interlaced_frame:
        return "flagged"
    return FIELD_ORDERS.get(stream.codec_context.field_order, "unknown")


def _exif_orientation(path: Path) -> tuple[int, bool] | None:
    """Return what `_orientation` does, of a picture with EXIF data, told in part by decoders; else None."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return None
    try:
        with Image.open(path) as picture:
            return EXIF_ORIENTATIONS.get(picture.getexif().get(ExifTags.Base.Orientation, 0))
    except (OSError, ValueError, SyntaxError):  # not read by Pillow, or damaged where it looks
        return None


def _orientation(frame: av.VideoFrame, carried: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the clockwise rotation that makes the frame upright, and whether it is mirrored before.

    The display matrix takes a pixel (x, y) of the coded picture to (a x + c y, b x + d y), y downwards.
    Rotations that are not of quarter turns are left alone, as nobody can show them without black corners.
    """
    matrix = carried.get("DISPLAYMATRIX")
    if matrix is None:
        return -frame.rotation % 360 // 90 * 90, False
    a, b, _, c, d = (int(sign) for sign in np.sign(np.frombuffer(matrix, np.int32)[:5]))
    mirrored = a * d - b * c < 0
    turns = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}
    return turns.get((-a, -b) if mirrored else (a, b), 0), mirrored


def _carried(frame: av.VideoFrame, codec: str) -> Mapping[str, Any]:
    """Return what a frame carries beside its picture, as buffers by PyAV's names.

    PyAV gives none of it where there is some of a kind that it does not know, such as EXIF. Of a PNG's colour
    profile it frees the name a second time (PyAV 18), which ends the process: such frames are not asked, even
    if their container may mirror them.
    """
    if codec in PROFILED:
        return {}
    with contextlib.suppress(ValueError):
        return frame.side_data
    return {}


def _descriptions(told: str) -> dict[int, str]:
    """Return ffmpeg's own line about each stream from what `_dump` returns.

    Such as ``Stream #0:0[0x1](und): Video: h264 (High) yuv420p(tv, bt709, topleft), ...``,
    where the chroma's location appears only at a verbose level of ffmpeg's log.
    """
    return {int(line[1]): line[0] for line in re.finditer(r"Stream #0:(\d+).*", told)}


def _dump(container: InputContainer) -> str:
    """Return what ffmpeg says of a file, in many lines, for what PyAV has no attribute of."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    av.logging.set_libav_level(av.logging.VERBOSE)
    try:
        return str(container.dumps_format())  # type: ignore[attr-defined]
    finally:
        av.logging.set_libav_level(av.logging.INFO)
        av.logging.set_level(level)


def _crop(told: str, stream: VideoStream, frame: av.VideoFrame) -> Crop:
    """Return what Matroska's PixelCrop or mp4's clean aperture cut off, which ffmpeg's decoders leave there.

    One that leaves nothing of a picture smaller than the file says is none.
    """
    of_stream = rf"Stream #0:{stream.index}\b.*(?:\n(?! *Stream #).*)*"
    lines = re.search(of_stream, told)
    sides = re.search(r"\n +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", lines[0]) if lines else None
    if sides is None:
        return Crop()
    left, right, top, bottom = map(int, sides.groups())
    if left + right >= frame.width or top + bottom >= frame.height:
        return Crop()
    return Crop(top=top, bottom=bottom, left=left, right=right)


def _colour(stream: VideoStream, frame: av.VideoFrame, description: str) -> Colour:
    context = stream.codec_context
    sample_range = RANGES.get(frame.color_range) or RANGES.get(context.color_range)
    location = re.search(rf"[(,] *({'|'.join(CHROMA_LOCATIONS)})\)", description)
    return Colour(
        matrix=MATRICES.get(frame.colorspace) or MATRICES.get(context.colorspace),
        primaries=PRIMARIES.get(frame.color_primaries) or PRIMARIES.get(context.color_primaries),
        transfer=TRANSFERS.get(frame.color_trc) or TRANSFERS.get(context.color_trc),
        range="full" if frame.format.name.startswith("yuvj") else sample_range,
        chroma_location=location[1] if location else None,
    )


def _mastering_display(carried: Mapping[str, Any]) -> str | None:
    """Return the volume of colours of the display that HDR10 was made on, as SMPTE ST 2086 counts.

    Chromaticities in 0.00002, luminances in 0.0001 cd/m2. ffmpeg's AVMasteringDisplayMetadata is ten
    fractions (x and y of red, green, blue and white, least and greatest luminance) and two flags.
    """
    data = carried.get("MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    numbers = [int(number) for number in np.frombuffer(data, np.int32, count=22)]
    if not (numbers[20] and numbers[21]):
        return None
    fractions = [Fraction(*numbers[place : place + 2]) for place in range(0, 20, 2)]
    red, green, blue, white = (
        f"({round(fractions[place] * 50_000)},{round(fractions[place + 1] * 50_000)})"
        for place in (0, 2, 4, 6)
    )
    least, greatest = (round(luminance * 10_000) for luminance in fractions[8:])
    return f"G{green}B{blue}R{red}WP{white}L({greatest},{least})"


def _content_light(carried: Mapping[str, Any]) -> str | None:
    data = carried.get("CONTENT_LIGHT_LEVEL")
    if data is None:
        return None
    brightest, average = np.frombuffer(data, np.uint32, count=2)
    return f"{brightest},{average}"


def _origin(container: InputContainer) -> Fraction:
    """Return when the first of the sounds and pictures starts, in seconds on the file's own clock.

    A start before zero, as sound has that a player skips, is not counted: everything stays where it is. In
    MPEG-TS and MPEG-PS it comes of a clock that ran over soon after (33 bits, 26.5 hours), and is a start.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    start = min(starts, default=Fraction(0))
    return start if container.format.name in BREAKABLE else max(start, Fraction(0))


def _duration(
    container: InputContainer,
    stream: VideoStream,
    start: Fraction,
    last: tuple[Fraction, Fraction] | None,
    *,
    is_one_clock: bool,
) -> Fraction | None:
    """Return the seconds from the first frame's start to the last one's end.

    Said by the stream, else by the packets at the end of the file, else by the whole file. A stream that ends
    before its last packet is shown is not believed: ffmpeg writes such mp4 of variable rate with B-frames.

    Args:
        container: the file.
        stream: its video.
        start: when the first frame is shown, in seconds.
        last: when the last packet is shown and when it ends, in seconds.
        is_one_clock: whether what the stream says can be right.
    """
    stated: Fraction | None = None
    if is_one_clock and stream.duration is not None and stream.time_base is not None:
        first = stream.start_time * stream.time_base if stream.start_time is not None else start
        stated = first + stream.duration * stream.time_base
    if stated is not None and (last is None or last[0] < stated):
        end = stated
    elif last is not None:
        end = last[1]
    elif container.duration is not None:
        end = (container.duration + (container.start_time or 0)) * _MICROSECOND
    else:
        return None
    return end - start if end > start else None


def _last_packet(container: InputContainer, stream: VideoStream) -> tuple[Fraction, Fraction] | None:
    """Return when the last packet is shown and when it ends, in seconds; seeks to the stated end."""
    assert container.duration is not None
    last: tuple[Fraction, Fraction] | None = None
    try:
        container.seek((container.start_time or 0) + container.duration)
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                end = packet.pts + (packet.duration or 0)
                shown = (packet.pts * packet.time_base, end * packet.time_base)
                last = shown if last is None else max(last, shown)
    except av.FFmpegError:
        pass  # a damaged end: what came before it is known
    return last


def _last_of_all(container: InputContainer) -> tuple[Fraction, Fraction] | None:
    """Return the same of a file that states no length, as written to a pipe; reads it from start to end.

    None where the clock is set anew: a keyframe is not shown after the one before it. Files may be joined so,
    and the last time is then not their end.
    """
    last: tuple[Fraction, Fraction] | None = None
    key: Fraction | None = None
    for packet in packets_of(container, video_stream(container), lambda _: None):
        if packet.pts is None or packet.is_discard:
            continue
        shown = packet.pts * packet.time_base
        if packet.is_keyframe:
            if key is not None and shown <= key:
                return None
            key = shown
        end = shown + (packet.duration or 0) * packet.time_base
        last = max(last or (shown, end), (shown, end))
    return last


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    return tuple(
        Chapter(
            start_seconds=chapter["start"] * chapter["time_base"],
            end_seconds=chapter["end"] * chapter["time_base"],
            tags=tuple(chapter["metadata"].items()),
        )
        for chapter in container.chapters()
        if chapter["time_base"] is not None
    )


def _summary(stream: Stream, description: str, *, is_empty: bool) -> StreamInfo:
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    time_base = stream.time_base or Fraction(0)
    tag = re.search(r"\((\w{4}) / 0x", description)
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=_codec(stream),
        tag=tag[1] if tag else "",
        start_seconds=None if stream.start_time is None else stream.start_time * time_base,
        duration_seconds=None if stream.duration is None else stream.duration * time_base,
        language=tags.get("language"),
        title=tags.get("title") or tags.get("filename"),
        disposition=_dispositions(stream),
        detail=_detail(stream),
        sample_rate=_sample_rate(stream),
        is_empty=is_empty,
    )


def _codec(stream: Stream) -> str:
    """Return ffmpeg's name of the codec; of streams that are not decoded, PyAV gives it as their name."""
    if stream.codec_context is not None:
        return stream.codec.canonical_name
    return stream.name or "" if stream.type == "data" else ""


def _dispositions(stream: Stream) -> tuple[str, ...]:
    return tuple(flag.name for flag in Disposition if flag.name is not None and stream.disposition & flag)


def _detail(stream: Stream) -> str:
    if isinstance(stream, AudioStream) and stream.codec_context is not None:
        return f"{stream.rate} Hz, {stream.layout.name}"
    if isinstance(stream, VideoStream) and stream.codec_context is not None:
        return f"{stream.width}x{stream.height}"
    return ""


def _sample_rate(stream: Stream) -> int | None:
    return stream.rate if isinstance(stream, AudioStream) and stream.codec_context is not None else None


def _says_nothing(stream: Stream) -> bool:
    """Whether no packet has told the rate of sound or the size of pictures; broadcasts have such streams."""
    if stream.codec_context is None:  # without a decoder ffmpeg knows neither
        return False
    if isinstance(stream, AudioStream):
        return not (stream.rate and stream.channels)
    return isinstance(stream, VideoStream) and not (stream.width and stream.height)
