"""What a source file holds, as plain records: its video, its other streams, its clock.

Knows nothing of how they are read: `probe` fills these records, the reader and the writer follow them.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from videoinr_cli.media.colour import Colour
from videoinr_cli.media.planes import layout_of


@dataclasses.dataclass(frozen=True)
class StreamInfo:
    """One stream beside the video that is upscaled."""

    index: int  # within the file, as ffmpeg counts
    kind: str  # "video", "audio", "subtitle", "data" or "attachment"
    codec: str  # ffmpeg's name of the codec, such as "aac"; "" when it knows none
    tag: str = ""  # the container's name of it, such as "tmcd"
    start_seconds: Fraction | None = None
    duration_seconds: Fraction | None = None
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()  # such as "default", "forced", "attached_pic"
    detail: str = ""  # for people: "48000 Hz, stereo"
    sample_rate: int | None = None  # of sound, in samples per second; None: not known
    padding_seconds: Fraction = Fraction(0)  # of sound that comes first and is not played; known of parts
    is_empty: bool = False  # announced by the file, but no packet at its start tells its form

    @property
    def is_cover(self) -> bool:
        """Whether it is a picture for the whole file, as players show before it is played."""
        return "attached_pic" in self.disposition

    @property
    def name(self) -> str:
        """What people may call it: its kind, number and codec."""
        return f"{self.kind} stream {self.index} ({self.codec or 'of unknown codec'})"


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A part of the file, with a name in its tags."""

    start_seconds: Fraction  # on the file's clock
    end_seconds: Fraction
    tags: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class ClockShift:
    """Puts what comes after a break of the file's clock on the clock that the file begins with."""

    position: int  # where in the file the first packet begins that it holds for, in bytes
    seconds: Fraction  # to be added to all times from there to the next break


def shift_at(shifts: Sequence[ClockShift], position: int) -> Fraction:
    """Return what is to be added to the times of a packet that begins at a place in the file, in seconds."""
    number = bisect.bisect_right(shifts, position, key=lambda shift: shift.position)
    return shifts[number - 1].seconds if number else Fraction(0)


@dataclasses.dataclass(frozen=True)
class Crop:
    """What the file says is to be cut off the coded picture, before it is turned upright, in pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """A source and the video stream in it that is upscaled, upright as it is shown."""

    path: Path  # "-" for standard input; a folder or a pattern of images
    container: str  # name of ffmpeg's demuxer, such as "mov,mp4,m4a,3gp,3g2,mj2"; "images"
    stream_index: int
    codec: str  # ffmpeg's name of the codec, such as "h264"
    width: int  # of the picture as shown, after cropping and rotation, in pixels
    height: int
    pix_fmt: str  # ffmpeg's name, such as "yuv420p10le"
    colour: Colour  # as the file says, None where it does not
    time_base: Fraction  # seconds per tick
    start_pts: int  # of the first frame, in ticks
    frame_rate: Fraction  # average, frames per second
    duration: Fraction | None  # seconds from the first frame's start to the last one's end; None: not known
    last_pts: int | None = None  # of the last frame, in ticks, as far as the file's end tells
    origin: Fraction = Fraction(0)  # the earliest start of any stream, in seconds on the video's clock
    sample_aspect_ratio: Fraction = Fraction(1)  # width over height of a pixel as shown, after rotation
    rotation: int = 0  # degrees clockwise that make the coded picture upright: 0, 90, 180 or 270
    crop: Crop = Crop()
    mirrored: bool = False  # whether the coded picture is flipped left to right before it is turned
    field_order: str = "unknown"  # "progressive", "tff", "bff", "unknown", or "flagged": each frame tells
    fields: str | None = None  # "tff", "bff" or "flagged" when every field is read as a picture of its own
    counts_frames: bool = False  # whether frames are one tick each, whatever the file says
    frame_count: int | None = None  # as the file says, often absent and sometimes wrong
    mastering_display: str | None = None  # of HDR10, for encoders: "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)"
    content_light: str | None = None  # of HDR10: "MaxCLL,MaxFALL" in cd/m2
    lost_side_data: tuple[str, ...] = ()  # of its frames, such as "closed captions": no output keeps it
    disposition: tuple[str, ...] = ()  # of the video, such as "default"
    tags: tuple[tuple[str, str], ...] = ()  # of the video
    file_tags: tuple[tuple[str, str], ...] = ()  # of the whole file
    streams: tuple[StreamInfo, ...] = ()  # every other stream of the file
    chapters: tuple[Chapter, ...] = ()
    clock_shifts: tuple[ClockShift, ...] = ()  # by place, where the file's clock breaks
    images: tuple[tuple[int, Path], ...] = ()  # numbered images: when each is shown, in ticks, and its file

    whole: VideoInfo | None = None  # of a part, what it was cut out of
    stop_pts: int | None = None  # of a part, where it ends, in ticks; None: with the file

    @property
    def is_cut(self) -> bool:
        """Whether this is a part of a source."""
        return self.whole is not None

    @property
    def stop_seconds(self) -> Fraction | None:
        """Where a part ends, in seconds from its origin; None: with the file."""
        return None if self.stop_pts is None else self.stop_pts * self.time_base - self.origin

    @property
    def is_file(self) -> bool:
        """Whether this is one file, that can be opened again for all that is beside its video."""
        return not self.images and self.path != Path("-")

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of the pictures that the decoder gives, neither cropped nor turned."""
        width, height = self.width, self.height
        if self.rotation in (90, 270):
            width, height = height, width
        return width + self.crop.left + self.crop.right, height + self.crop.top + self.crop.bottom

    @property
    def bit_depth(self) -> int:
        """Bits per component."""
        return layout_of(self.pix_fmt).bit_depth

    @property
    def has_alpha(self) -> bool:
        """Whether the pixel format carries transparency."""
        return layout_of(self.pix_fmt).has_alpha

    @property
    def resolved_colour(self) -> Colour:
        """The colour that the pictures are read with: the file's, and the customary guess where it has none.

        Of R'G'B' pictures the matrix and the chroma location say how a Y'CbCr output is made of them.
        """
        return self.colour.resolved(self.width, self.height, samples=layout_of(self.pix_fmt).kind)

    @property
    def end_pts(self) -> int | None:
        """Where the last frame ends, in ticks; None when the file does not say."""
        return None if self.duration is None else self.start_pts + round(self.duration / self.time_base)
