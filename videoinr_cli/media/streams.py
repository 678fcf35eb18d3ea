"""What a source file holds, as plain records: its video, its other streams, its clock.

`probe` fills them; the reader and the writer follow them.
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
    """One stream besides the video that is upscaled."""

    index: int  # within the file, as ffmpeg counts
    kind: str  # "video", "audio", "subtitle", "data" or "attachment"
    codec: str  # ffmpeg's name, such as "aac"; "" when it knows none
    tag: str = ""  # the container's name of the codec, such as "tmcd"
    start_seconds: Fraction | None = None
    duration_seconds: Fraction | None = None
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()  # such as "default", "forced", "attached_pic"
    detail: str = ""  # for people: "48000 Hz, stereo"
    layout: str = ""  # of sound's channels, in ffmpeg's words: "5.1(side)", "9 channels"; "": not known
    sample_rate: int | None = None  # of sound, in samples per second; None: not known
    late_seconds: Fraction = Fraction(0)  # by which it begins after the first sound or picture
    padding_at_48_khz: int = 0  # of Opus: samples at its start that are not played, as its header states
    is_gapless: bool = False  # of sound: whether the file states no times at which there could be pauses
    padding_seconds: Fraction = Fraction(0)  # of sound: its start, which is not played; known in parts
    cut_out: tuple[tuple[int, int], ...] = ()  # of sound: byte positions of first and last packets not played
    hidden_start: tuple[tuple[int, int], ...] = ()  # likewise: of those before its start but the last one
    is_empty: bool = False  # announced, but no packet at the file's start shows its form

    @property
    def is_cover(self) -> bool:
        """Whether it is a cover: a picture that players show for the whole file."""
        return "attached_pic" in self.disposition

    @property
    def name(self) -> str:
        """Its kind, number and codec, for messages."""
        return f"{self.kind} stream {self.index} ({self.codec or 'of unknown codec'})"


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter of the file; its name is among its tags."""

    start_seconds: Fraction  # on the file's clock
    end_seconds: Fraction
    tags: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class ClockShift:
    """Converts the times after a break of the file's clock to the clock that the file begins with."""

    position: int  # of the first packet after the break, in bytes
    seconds: Fraction  # added to all times from there to the next break


def shift_at(shifts: Sequence[ClockShift], position: int) -> Fraction:
    """Return the seconds to add to the times of a packet, by its byte position in the file."""
    number = bisect.bisect_right(shifts, position, key=lambda shift: shift.position)
    return shifts[number - 1].seconds if number else Fraction(0)


@dataclasses.dataclass(frozen=True)
class Crop:
    """Pixels to cut off the coded picture before it is turned upright."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """A source, and the video stream in it that is upscaled; its size is that of the upright picture."""

    path: Path  # "-" for standard input; a folder or a pattern of images
    container: str  # name of ffmpeg's demuxer, such as "mov,mp4,m4a,3gp,3g2,mj2"; "images"
    stream_index: int
    codec: str  # ffmpeg's name of the codec, such as "h264"
    width: int  # of the picture as shown, after cropping and rotation, in pixels
    height: int
    pix_fmt: str  # ffmpeg's name, such as "yuv420p10le"
    colour: Colour  # as the file states, None where it does not
    time_base: Fraction  # seconds per tick
    start_pts: int  # of the first frame, in ticks
    frame_rate: Fraction  # average, frames per second
    duration: Fraction | None  # seconds from the first frame's start to the last one's end; None: unknown
    last_pts: int | None = None  # of the last frame, in ticks, as far as the file's end shows it
    steady_rate: Fraction | None = None  # which all frame times follow, to within the rounding of their clock
    usual_seconds: Fraction | None = None  # between two frames: the median; None: not measured
    missing_seconds: Fraction = Fraction(0)  # from where the data breaks off to the end that the file states
    content_end: Fraction | None = None  # of the last sound or picture, in seconds on the file's clock
    origin: Fraction = Fraction(0)  # the earliest start of any stream, in seconds on the video's clock
    sample_aspect_ratio: Fraction = Fraction(1)  # width over height of a pixel as shown, after rotation
    follows_aspect: bool = False  # whether frames that state another one have changed it
    rotation: int = 0  # degrees clockwise that make the coded picture upright: 0, 90, 180 or 270
    crop: Crop = Crop()
    mirrored: bool = False  # whether the coded picture is flipped left to right before it is turned
    field_order: str = "unknown"  # "progressive", "tff", "bff", "unknown", or "flagged": each frame states it
    fields: str | None = None  # "tff", "bff" or "flagged" if every field is read as a picture; "mixed": some
    counts_frames: bool = False  # whether every frame lasts one tick, whatever the file states
    frame_count: int | None = None  # as the file states: often absent, sometimes wrong
    mastering_display: str | None = None  # of HDR10, for encoders: "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)"
    content_light: str | None = None  # of HDR10: "MaxCLL,MaxFALL" in cd/m2
    lost_side_data: tuple[str, ...] = ()  # of its frames, such as "closed captions": no output keeps it
    other_programs: int = 0  # of a broadcast, beside the video's: none of their streams are among `streams`
    disposition: tuple[str, ...] = ()  # of the video, such as "default"
    tags: tuple[tuple[str, str], ...] = ()  # of the video
    file_tags: tuple[tuple[str, str], ...] = ()  # of the whole file
    streams: tuple[StreamInfo, ...] = ()  # every other stream of the file
    chapters: tuple[Chapter, ...] = ()
    clock_shifts: tuple[ClockShift, ...] = ()  # at each break of the file's clock, in order
    images: tuple[tuple[int, Path], ...] = ()  # numbered images: when each is shown, in ticks, and its file

    whole: VideoInfo | None = None  # the source that this part was cut out of
    stop_pts: int | None = None  # where this part ends, in ticks; None: with the file

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
        """Whether this is one file, which can be opened again for its other streams."""
        return not self.images and self.path != Path("-")

    @property
    def files(self) -> list[Path]:
        """What it is read from: one file, or images; none of standard input."""
        return [self.path] if self.is_file else [path for _, path in self.images]

    @property
    def is_photo(self) -> bool:
        """Whether this is a file with one picture."""
        is_picture = self.container == "image2" or self.container.endswith("_pipe")
        return self.is_file and (is_picture or self.frame_count == 1)

    @property
    def coded_size(self) -> tuple[int, int]:
        """(width, height) of the pictures that the decoder gives, neither cropped nor turned."""
        width, height = self.width, self.height
        if self.rotation in (90, 270):
            width, height = height, width
        return width + self.crop.left + self.crop.right, height + self.crop.top + self.crop.bottom

    @property
    def coded_aspect(self) -> Fraction:
        """Width over height of a pixel of the pictures that the decoder gives."""
        return 1 / self.sample_aspect_ratio if self.rotation in (90, 270) else self.sample_aspect_ratio

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
        """The colour that the pictures are read with: the file's, with the usual guess for what it lacks.

        For R'G'B' pictures, the matrix and the chroma location are those of a Y'CbCr output.
        """
        return self.colour.resolved(self.width, self.height, samples=layout_of(self.pix_fmt).kind)

    @property
    def end_pts(self) -> int | None:
        """Where the last frame ends, in ticks; None when the file does not state it."""
        return None if self.duration is None else self.start_pts + round(self.duration / self.time_base)
