"""The command line of the ffmpeg that encodes an output and takes everything else from the source.

Knows nothing of running it, nor of the pictures that it is sent.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from fractions import Fraction

import ffmpeg

from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.ffmpeg import LOG_LEVEL, check_filters_input, takes_option
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.arguments import arguments_of, utf8
from videoinr_cli.media.write.containers import Container, KeptStream, renamed_tags
from videoinr_cli.media.write.formats import OutputFormat
from videoinr_cli.media.write.other_streams import beside
from videoinr_cli.media.write.timecode import moved_timecode
from videoinr_cli.options import EncodeOptions

MAX_TIMESCALE = 2**31 - 1
"""Ticks per second that mp4 and H.264 can express; a finer time base is rounded to `FALLBACK_TICK`."""

MIN_MOVIE_TIMESCALE = 90_000
"""Ticks per second for the starts of all streams in mp4, at least; fine enough for sound."""

FALLBACK_TICK = Fraction(1, 1_000_000)

MAX_ASPECT = 65535
"""Largest width or height of a pixel that H.264 can express."""

_STALE_TAGS = re.compile(r"(?i)^(rotate|duration|bps|number_of_(frames|bytes)|_statistics_.*)(-\w+)?$")
"""Tags of the source's video that are no longer true of the output."""


@dataclasses.dataclass(frozen=True)
class Clock:
    """Puts times of the source's clock on the output's, which starts where the source's first stream does."""

    time_base: Fraction  # of the times given, in seconds per tick
    origin: Fraction  # in seconds
    tick: Fraction  # of the times returned, in seconds

    @classmethod
    def of(cls, time_base: Fraction, origin: Fraction) -> Clock:
        """Choose the coarsest tick that holds every time exactly."""
        tick = Fraction(
            math.gcd(time_base.numerator * origin.denominator, origin.numerator * time_base.denominator),
            time_base.denominator * origin.denominator,
        )
        return cls(time_base, origin, tick if tick.denominator <= MAX_TIMESCALE else FALLBACK_TICK)

    def ticks(self, pts: int) -> int:
        """Return the time that `pts` is, in ticks of the output."""
        return round((pts * self.time_base - self.origin) / self.tick)


@dataclasses.dataclass(frozen=True)
class Job:
    """All that ffmpeg's command line depends on."""

    format: OutputFormat
    encoding: EncodeOptions
    source: VideoInfo
    kept: tuple[KeptStream, ...]
    speed: Fraction  # how much faster than the source the output is played
    colour: Colour
    clock: Clock
    frame_rate: Fraction  # frames per second, constant or average
    pixel_aspect: Fraction  # width over height
    last_duration: str | None  # the bitstream filter that gives the last picture its duration
    is_alone: bool = False  # whether nothing is taken from the source
    carrier: str | None = None  # the container in which pictures come encoded; None: they come raw
    trial_size: tuple[int, int] | None = None  # of one grey picture, where the head is all that is wanted


def ffmpeg_arguments(job: Job, address: str, attached: Sequence[str] = ()) -> list[str]:
    """Return ffmpeg's command line without the program.

    Args:
        job: what it is to do.
        address: of the output.
        attached: options of what goes into the output as files.
    """
    video = _raw(job) if job.carrier is None else _encoded(job)
    taken = job.source.is_file and not job.is_alone
    if taken and job.kept and job.source.clock_shifts:
        check_filters_input(str(job.source.path))
    streams, options = beside(job.source, job.kept, job.speed, job.format.container) if taken else ([], {})
    if job.trial_size is not None:
        options["fs"] = "1"  # byte: the first packet after the head is the last one
    options = {
        "format": job.format.container.muxer,
        "copyts": None,  # both inputs are on the output's clock by now
        **_video_options(job),
        **dict(job.format.container.settings),
        **options,
    }
    *arguments, target = arguments_of(ffmpeg.output(video, *streams, utf8(address), **options))
    tags = [("-metadata:s:0", f"{tag}=") for tag, _ in job.source.tags if _STALE_TAGS.match(tag)]
    if taken:
        tags += _timecode_tags(job)
        renamed = renamed_tags(job.source, job.format.container)
        tags += [("-metadata", f"{name}={said}") for name, said in renamed.items()]
    # ffmpeg-python cannot repeat an option.
    told = [word for option in tags for word in option]
    return ["-hide_banner", "-nostdin", *LOG_LEVEL, *arguments, *told, *attached, target, "-y"]


def _timecode_tags(job: Job) -> list[tuple[str, str]]:
    """Return the options that replace the source's timecode, or remove it, wherever it is said."""
    places = [("-metadata:s:0", job.source.tags), ("-metadata", job.source.file_tags)]
    moved = moved_timecode(job.source, job.frame_rate) or ""
    return [
        (option, f"{name}={moved}")
        for option, tags in places
        for name, _ in tags
        if name.lower() == "timecode"
    ]


def _raw(job: Job) -> ffmpeg.nodes.FilterableStream:
    """Return the pictures as they are to be encoded."""
    pictures = _trial(*job.trial_size) if job.trial_size is not None else _nut(job)
    video = pictures["v:0"].filter("setsar", r=str(job.pixel_aspect), max=MAX_ASPECT)
    if job.format.container.counts_frames:
        video = video.filter("settb", str(1 / job.frame_rate)).filter("setpts", "N")
    return _with_palettes(video) if job.format.pix_fmt == "pal8" else video


def _nut(job: Job) -> ffmpeg.nodes.FilterableStream:
    return ffmpeg.input(
        "pipe:0",
        format="nut",
        probesize=32,  # NUT's header says all; else ffmpeg reads megabytes before it opens the encoder
        analyzeduration=0,
        **_colour_options(job.colour),
        **_hdr_input_options(job.source),
    )


def _trial(width: int, height: int) -> ffmpeg.nodes.FilterableStream:
    """Return a picture of width * height bytes, all of them its luma."""
    return ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="gray", s=f"{width}x{height}", framerate=1)


def _encoded(job: Job) -> ffmpeg.nodes.FilterableStream:
    """Return the pictures that are encoded already."""
    return ffmpeg.input("pipe:0", format=job.carrier, **_hdr_input_options(job.source))["v:0"]


def _with_palettes(video: ffmpeg.nodes.FilterableStream) -> ffmpeg.nodes.FilterableStream:
    """Reduce each picture to the 256 colours that suit it best; one palette for all needs all in memory."""
    copies = video.filter_multi_output("split")
    palettes = copies[0].filter("palettegen", stats_mode="single")
    return ffmpeg.filter([copies[1], palettes], "paletteuse", new=1)


def _video_options(job: Job) -> dict[str, str | None]:
    """Return ffmpeg's options for the encoded video, which is stream 0 of the output."""
    tick = 1 / job.frame_rate if job.format.container.counts_frames else job.clock.tick
    if job.carrier is not None:
        # Not every carrier holds all that is to be said of the colours.
        said = {f"{name}:0": str(number) for name, number in _colour_options(job.colour).items()}
        options: dict[str, str | None] = {"c:0": "copy", **said}
    else:
        options = {
            "c:0": job.format.encoder.name,
            "pix_fmt:0": job.format.pix_fmt,
            "fps_mode:0": "passthrough",
            "enc_time_base:0": f"{tick.numerator}/{tick.denominator}",
            **_encoder_settings(job),
        }
    if job.format.container.exact_ticks:
        options["video_track_timescale"] = str(tick.denominator)
        # Of edit lists, where any stream's start is kept; ffmpeg 7 and older would round it to 1/1000 s.
        options["movie_timescale"] = str(tick.denominator * max(1, MIN_MOVIE_TIMESCALE // tick.denominator))
    if job.last_duration is not None:
        options["bsf:0"] = job.last_duration
    return options


def _encoder_settings(job: Job) -> dict[str, str]:
    """Return the encoder's own options; where the user gives one that HDR10 needs as well, both hold."""
    settings = job.format.encoder.settings(job.encoding)
    if not takes_option("mastering_display"):
        said = job.format.encoder.hdr_settings(job.source.mastering_display, job.source.content_light)
        for option, value in said.items():
            settings[option] = f"{value}:{settings[option]}" if option in settings else value
    return settings


def _hdr_input_options(source: VideoInfo) -> dict[str, str]:
    """Return the options that attach HDR10's metadata to the pictures, for any encoder and container."""
    said = {"mastering_display": source.mastering_display, "content_light": source.content_light}
    return {name: value for name, value in said.items() if value is not None and takes_option(name)}


def last_duration(
    container: Container, clock: Clock, frame_rate: Fraction, end_pts: int | None, last_pts: int | None
) -> str | None:
    """Return the bitstream filter by which the last picture lasts until `end_pts`.

    Raw frames in NUT have no duration, so ffmpeg takes them to last one frame. Matroska stores a packet's
    duration where it differs. Mp4 takes the latest end of any packet for its edit list, but for the track
    itself the sum of decoding times and the duration of the packet that is coded last, which with B-frames is
    not the one shown last. Where pictures last longer at the end than at the start, that packet is decoded so
    early that both cannot hold: it is then decoded as long before it is shown as the first one is, which
    is after every other and delays nothing.
    """
    if end_pts is None:
        return None
    end = clock.ticks(end_pts)
    if not container.exact_ticks:
        last = clock.ticks(last_pts) if last_pts is not None else end - 3 // (2 * frame_rate * clock.tick)
        return f"setts=pts=PTS:dts=DTS:duration='if(gte(PTS,{last}),{end}-PTS,DURATION)'"
    decoded = "if(eq(NEXT_PTS,NOPTS),max(DTS,PTS-STARTPTS+STARTDTS),DTS)"
    duration = f"max(1,min({end}-PTS,{end}-STARTPTS-DTS+STARTDTS))"
    return f"setts=pts=PTS:dts='{decoded}':duration='{duration}'"


def _colour_options(colour: Colour) -> dict[str, int]:
    """Return the decoder options that tag raw frames, as H.273's numbers, which every ffmpeg understands."""
    numbered = {
        "colorspace": (MATRICES, colour.matrix),
        "color_primaries": (PRIMARIES, colour.primaries),
        "color_trc": (TRANSFERS, colour.transfer),
        "color_range": (RANGES, colour.range),
        "chroma_sample_location": (dict(enumerate(CHROMA_LOCATIONS, start=1)), colour.chroma_location),
    }
    return {
        option: number
        for option, (names, wanted) in numbered.items()
        for number, name in names.items()
        if name == wanted
    }


def pixel_aspect(source: VideoInfo, size: tuple[int, int]) -> Fraction:
    """Return width over height of an output pixel, so that the picture is shown in the source's shape.

    Rounding a size to whole pixels changes the shape by less than anyone sees; that is let be.
    """
    width, height = size
    if abs(Fraction(width * source.height, source.width) - height) <= 2:
        return source.sample_aspect_ratio
    shape = source.sample_aspect_ratio * Fraction(source.width, source.height)
    return (shape * Fraction(height, width)).limit_denominator(MAX_ASPECT)
