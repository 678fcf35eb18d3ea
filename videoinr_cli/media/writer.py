"""Write pictures as a video: one ffmpeg encodes them and takes everything else from the source.

The pictures go to ffmpeg as raw frames in NUT, which carries any time base exactly. The output has its name
only when it is complete. Knows nothing of where pictures come from.

Times come out exactly as given in mp4, mov and nut; Matroska and WebM round them to a millisecond, MPEG-TS to
1/90000 s, GIF to 1/100 s. The output's clock starts at zero where the source's first stream starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import ffmpeg

from videoinr_cli.errors import FfmpegError, OutputError
from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.containers import Container, KeptStream, container_for, kept_streams
from videoinr_cli.media.encoders import Encoder, find_encoder
from videoinr_cli.media.ffmpeg import LOG_LEVEL, FfmpegProcess, takes_option
from videoinr_cli.media.planes import Picture, from_rgb, layout_of, size_multiple
from videoinr_cli.media.streams import VideoInfo
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
class OutputFormat:
    """In what a destination is written."""

    container: Container
    encoder: Encoder
    pix_fmt: str  # what is encoded, by ffmpeg's name

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What the output's width and height have to be multiples of."""
        return size_multiple(self.pix_fmt)


def output_format(
    destination: str | os.PathLike[str], source: VideoInfo, encoding: EncodeOptions
) -> OutputFormat:
    """Return how a destination is written: by its extension, the user's wishes, and else after the source.

    Raises:
        OutputError: the extension, the codec or the pixel format is unknown, or they do not go together.
        FfmpegError: there is no ffmpeg.
    """
    container = container_for(destination)
    codec = container.video_encoder if encoding.codec == "auto" else encoding.codec
    if container.video_encoders and not any(word in codec for word in container.video_encoders):
        raise OutputError(
            f"{container.muxer} cannot hold what {codec} makes; try --codec {container.video_encoder}, "
            "or an output in .mkv"
        )
    encoder = find_encoder(codec)
    if encoding.pix_fmt == "auto" and codec == "gif":
        return OutputFormat(container, encoder, "pal8")
    if encoding.pix_fmt == "auto":
        return OutputFormat(container, encoder, encoder.closest_format(layout_of(source.pix_fmt)))
    try:
        layout_of(encoding.pix_fmt)
    except ValueError as error:
        raise OutputError(f"there is no pixel format {encoding.pix_fmt!r}; try --pix-fmt auto") from error
    if encoder.pix_fmts and encoding.pix_fmt not in encoder.pix_fmts:
        raise OutputError(
            f"{codec} does not take pixel format {encoding.pix_fmt}; try --pix-fmt auto, "
            f"or one of {', '.join(encoder.pix_fmts)}"
        )
    return OutputFormat(container, encoder, encoding.pix_fmt)


def check_destination(destination: str | os.PathLike[str], source: VideoInfo, *, overwrite: bool) -> None:
    """Refuse a destination that cannot be written, before any work is done.

    Raises:
        OutputError: its folder is missing or may not be written to; it is a folder, or the source itself, or
            exists and may not be replaced.
    """
    path = Path(destination)
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"there is no folder {str(folder)!r} to write {path.name!r} to; make it first")
    if path.is_dir():
        raise OutputError(f"{str(path)!r} is a folder; name a file in it")
    if path.exists() and path.samefile(source.path):
        raise OutputError(f"{str(path)!r} is the source itself; choose another name for the output")
    if path.exists() and not overwrite:
        raise OutputError(f"{str(path)!r} exists; choose another name, or replace it with -y")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {str(folder)!r} may not be written to; choose another one")


def _reserve(partial: Path) -> None:
    """Make the file that ffmpeg will write, where errors are told apart better than by its exit code."""
    try:
        partial.write_bytes(b"")
    except OSError as error:
        raise OutputError(
            f"{str(partial)!r} cannot be written: {error.strerror}; choose another folder"
        ) from error


class VideoWriter:
    """Encodes pictures into a file, with the source's other streams, chapters and tags.

    A context manager: the file appears when the block ends well, and not at all when it ends with an
    exception. All errors that ffmpeg meets are raised as `FfmpegError` by the call at hand.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str],
        size: tuple[int, int],
        time_base: Fraction,
        source: VideoInfo,
        encoding: EncodeOptions,
        *,
        frame_rate: Fraction | None = None,
        end_pts: int | None = None,
        last_pts: int | None = None,
        overwrite: bool = False,
        strict: bool = False,
    ) -> None:
        """Start ffmpeg.

        Args:
            destination: of the output; its extension names the container.
            size: (width, height) in pixels, multiples of what `output_format` says.
            time_base: seconds per tick of the timestamps, which are on the source's clock.
            source: where all other streams come from, and how its colours and pixels are to be understood.
            encoding: the user's wishes.
            frame_rate: in frames per second, constant or average; the source's when None.
            end_pts: where the last picture ends, in ticks; when None it lasts one frame.
            last_pts: when the last picture is shown, in ticks, as far as is known; when None, as in the
                source if it has neither another rate nor time base, else one frame before the end.
            overwrite: whether an existing file may be replaced.
            strict: whether a stream that the container cannot hold is an error.

        Raises:
            OutputError: the destination cannot be written, or not in this format.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        check_destination(destination, source, overwrite=overwrite)
        self._path = Path(destination)
        self._partial = self._path.with_name(f"{self._path.name}.part")
        self._source = source
        self._overwrite = overwrite
        self._format = output_format(destination, source, encoding)
        self._colour = _output_colour(source, self._format.pix_fmt)
        self._raw_format = layout_of(self._format.pix_fmt).pix_fmt
        self._clock = _Clock.of(time_base, source.origin)
        if last_pts is None and frame_rate is None and time_base == source.time_base:
            last_pts = source.last_pts
        frame_rate = frame_rate or source.frame_rate
        arguments = _arguments(
            _Job(
                format=self._format,
                encoding=encoding,
                source=source,
                kept=kept_streams(source, self._format.container, strict=strict),
                colour=self._colour,
                clock=self._clock,
                pixel_aspect=_pixel_aspect(source, size),
                last_duration=_last_duration(
                    self._format.container, self._clock, frame_rate, end_pts, last_pts
                ),
            ),
            self._partial,
        )
        _reserve(self._partial)
        self._is_done = False
        with contextlib.ExitStack() as undo:
            undo.callback(self._partial.unlink, missing_ok=True)
            self._process = FfmpegProcess(arguments)
            undo.callback(self._process.stop)
            self._nut = av.open(f"pipe:{self._process.stdin.fileno()}", "w", format="nut")
            self._stream = self._nut.add_stream("rawvideo", rate=frame_rate)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = self._raw_format
            self._stream.time_base = self._stream.codec_context.time_base = self._clock.tick
            undo.pop_all()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, rgb: Picture, pts: int, *, alpha: Picture | None = None) -> None:
        """Encode one picture.

        Args:
            rgb: (Ho, Wo, 3), full-range R'G'B' of uint8 or uint16.
            pts: when it is shown, in ticks; above the one before it.
            alpha: (Ho, Wo), of rgb's type, the maximum opaque; used where the output holds transparency.

        Raises:
            FfmpegError: ffmpeg ended; the message says what it printed.
        """
        frame = from_rgb(rgb, self._raw_format, self._colour, alpha=alpha)
        frame.pts, frame.time_base = self._clock.ticks(pts), self._clock.tick
        try:
            self._nut.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error

    def close(self) -> None:
        """Finish the file and give it its name; does nothing the second time.

        Raises:
            FfmpegError: ffmpeg failed; nothing is left.
            OutputError: the file cannot get its name, since one has appeared there meanwhile.
        """
        if self._is_done:
            return
        try:
            self._end_input()
            self._process.finish()
            if self._path.exists() and not self._overwrite:
                raise OutputError(
                    f"{str(self._path)!r} has appeared meanwhile; choose another name, or use -y"
                )
            self._partial.replace(self._path)
        except BaseException:
            self.abort()
            raise
        self._is_done = True

    def interrupt(self) -> None:
        """End ffmpeg at once, from any thread; a call under way elsewhere raises, and `abort` is next."""
        self._process.kill()

    def abort(self) -> None:
        """End ffmpeg at once and remove what it has written; does nothing after `close`."""
        if self._is_done:
            return
        self._is_done = True
        self._process.kill()
        with contextlib.suppress(FfmpegError):  # nobody reads it any more
            self._end_input()
        self._process.stop()
        self._partial.unlink(missing_ok=True)

    def _end_input(self) -> None:
        try:
            self._nut.close()
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error


@dataclasses.dataclass(frozen=True)
class _Clock:
    """Puts times of the source's clock on the output's, which starts where the source's first stream does."""

    time_base: Fraction  # of the times given, in seconds per tick
    origin: Fraction  # in seconds
    tick: Fraction  # of the times returned, in seconds

    @classmethod
    def of(cls, time_base: Fraction, origin: Fraction) -> _Clock:
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
class _Job:
    """All that ffmpeg's command line depends on."""

    format: OutputFormat
    encoding: EncodeOptions
    source: VideoInfo
    kept: tuple[KeptStream, ...]
    colour: Colour
    clock: _Clock
    pixel_aspect: Fraction  # width over height
    last_duration: str | None  # the bitstream filter that gives the last picture its duration


def _arguments(job: _Job, partial: Path) -> list[str]:
    """Return ffmpeg's command line without the program."""
    pictures = ffmpeg.input(
        "pipe:0",
        format="nut",
        probesize=32,  # NUT's header says all; else ffmpeg reads megabytes before it opens the encoder
        analyzeduration=0,
        **_colour_options(job.colour),
        **_hdr_input_options(job.source),
    )
    original = ffmpeg.input(f"file:{job.source.path}", itsoffset=f"{float(-job.clock.origin):.6f}")
    video = pictures["v:0"].filter("setsar", r=str(job.pixel_aspect), max=MAX_ASPECT)
    if job.format.pix_fmt == "pal8":
        video = _with_palettes(video)
    streams = [video, *(original[str(kept.stream.index)] for kept in job.kept)]
    streams.append(original["v:9999?"])  # none, but ffmpeg-python drops inputs of which nothing is mapped
    options: dict[str, str | None] = {
        "format": job.format.container.muxer,
        "map_metadata": "1",
        "map_chapters": "1",
        "copyts": None,  # both inputs are on the output's clock by now
        **_video_options(job),
        **dict(job.format.container.settings),
    }
    for place, kept in enumerate(job.kept, start=1):
        options[f"c:{place}"] = kept.encoder
        options[f"map_metadata:s:{place}"] = f"1:s:{kept.stream.index}"
    output = ffmpeg.output(*streams, f"file:{partial}", **options)
    *arguments, target = ffmpeg.get_args(output)
    stale = [f"{tag}=" for tag, _ in job.source.tags if _STALE_TAGS.match(tag)]
    # ffmpeg-python cannot repeat an option.
    cleared = [word for tag in stale for word in ("-metadata:s:0", tag)]
    return ["-hide_banner", "-nostdin", *LOG_LEVEL, *arguments, *cleared, target, "-y"]


def _with_palettes(video: ffmpeg.nodes.FilterableStream) -> ffmpeg.nodes.FilterableStream:
    """Reduce each picture to the 256 colours that suit it best; one palette for all needs all in memory."""
    copies = video.filter_multi_output("split")
    palettes = copies[0].filter("palettegen", stats_mode="single")
    return ffmpeg.filter([copies[1], palettes], "paletteuse", new=1)


def _video_options(job: _Job) -> dict[str, str | None]:
    """Return ffmpeg's options for the encoded video, which is stream 0 of the output."""
    tick = job.clock.tick
    options: dict[str, str | None] = {
        "c:0": job.format.encoder.name,
        "pix_fmt:0": job.format.pix_fmt,
        "fps_mode:0": "passthrough",
        "enc_time_base:0": f"{tick.numerator}/{tick.denominator}",
        "map_metadata:s:0": f"1:s:{job.source.stream_index}",
        "disposition:0": "+".join(job.source.disposition) or "0",
        **_encoder_settings(job),
    }
    if job.format.container.exact_ticks:
        options["video_track_timescale"] = str(tick.denominator)
        # Of edit lists, where any stream's start is kept; ffmpeg 7 and older would round it to 1/1000 s.
        options["movie_timescale"] = str(tick.denominator * max(1, MIN_MOVIE_TIMESCALE // tick.denominator))
    if job.last_duration is not None:
        options["bsf:0"] = job.last_duration
    return options


def _encoder_settings(job: _Job) -> dict[str, str]:
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


def _last_duration(
    container: Container, clock: _Clock, frame_rate: Fraction, end_pts: int | None, last_pts: int | None
) -> str | None:
    """Return the bitstream filter by which the last picture lasts until `end_pts`.

    Raw frames in NUT have no duration, so ffmpeg takes them to last one frame. Matroska stores a packet's
    duration where it differs. Mp4 takes the latest end of any packet for its edit list, but for the track
    itself the sum of decoding times and the duration of the packet that is coded last, which with B-frames is
    not the one shown last.
    """
    if end_pts is None:
        return None
    end = clock.ticks(end_pts)
    if container.exact_ticks:
        duration = f"max(1,min({end}-PTS,{end}-STARTPTS-DTS+STARTDTS))"
    else:
        last = (
            clock.ticks(last_pts) if last_pts is not None else end - round(3 / (2 * frame_rate * clock.tick))
        )
        duration = f"if(gte(PTS,{last}),{end}-PTS,DURATION)"
    return f"setts=pts=PTS:dts=DTS:duration='{duration}'"


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


def _output_colour(source: VideoInfo, pix_fmt: str) -> Colour:
    """Return how the output's numbers are to be read: as the source's, as far as its pixel format can."""
    colour = source.resolved_colour
    kind = layout_of(pix_fmt).kind
    if kind == "rgb":
        return dataclasses.replace(colour, matrix="gbr", range="full", chroma_location=None)
    if layout_of(source.pix_fmt).kind == "rgb":
        return dataclasses.replace(colour, range="limited")
    return colour


def _pixel_aspect(source: VideoInfo, size: tuple[int, int]) -> Fraction:
    """Return width over height of an output pixel, so that the picture is shown in the source's shape.

    Rounding a size to whole pixels changes the shape by less than anyone sees; that is let be.
    """
    width, height = size
    if abs(Fraction(width * source.height, source.width) - height) <= 2:
        return source.sample_aspect_ratio
    shape = source.sample_aspect_ratio * Fraction(source.width, source.height)
    return (shape * Fraction(height, width)).limit_denominator(MAX_ASPECT)
