"""How an output is written: everything that the writers need to know besides its pictures.

It is decided once, before the first picture is rendered. The writers only follow it.
"""

from __future__ import annotations

import dataclasses
import logging
from fractions import Fraction
from pathlib import Path

from videoinr_cli.media.colour import Colour
from videoinr_cli.media.ffmpeg import lacks
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.read.timing import common_tick
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import container_for
from videoinr_cli.media.write.formats import OutputFormat
from videoinr_cli.media.write.kept_streams import KeptStream
from videoinr_cli.options import NORMAL_SPEED, EncodeOptions

log = logging.getLogger(__name__)

MAX_TIMESCALE = 2**31 - 1
"""Ticks per second that mp4 and H.264 can express; a finer time base is rounded to `FALLBACK_TICK`."""

FALLBACK_TICK = Fraction(1, 1_000_000)

MAX_ASPECT = 65535
"""Largest width or height of a pixel that H.264 can express."""


@dataclasses.dataclass(frozen=True)
class OutputClock:
    """Converts timestamps to the output's clock, which starts where the source's first stream does."""

    time_base: Fraction  # of the timestamps given, in seconds per tick
    origin: Fraction  # in seconds
    tick: Fraction  # of the timestamps returned, in seconds
    start: Fraction = Fraction(0)  # of the first picture, in seconds
    steady_rate: Fraction | None = None  # that the pictures follow from there on; None: they keep their times
    delay: Fraction = Fraction(0)  # seconds by which the output starts after zero

    @classmethod
    def of(
        cls,
        time_base: Fraction,
        origin: Fraction,
        *,
        start: Fraction = Fraction(0),
        steady_rate: Fraction | None = None,
        most_ticks: int | None = None,
    ) -> OutputClock:
        """Choose the coarsest tick that holds every timestamp exactly.

        Timestamps of a steady rate that were rounded to a clock become exact again.

        Args:
            time_base: of the timestamps, in seconds per tick.
            origin: where the source's first stream starts, in seconds.
            start: of the first picture, in seconds.
            steady_rate: see `OutputClock`.
            most_ticks: per second that the encoder can state; 0: only the rate. Of a steady rate, the
                pictures then lie on its multiples, for which everything starts up to a frame later.
        """
        step, offset = (time_base, origin) if steady_rate is None else (1 / steady_rate, start - origin)
        tick = common_tick(step, offset)
        most = MAX_TIMESCALE if most_ticks is None else most_ticks
        if tick.denominator <= most:
            return cls(time_base, origin, tick, start, steady_rate)
        if steady_rate is None or most_ticks is None:
            tick = Fraction(1, most_ticks) if most_ticks else FALLBACK_TICK
            return cls(time_base, origin, tick, start, steady_rate)
        delay = -offset % step
        tick = step.limit_denominator(most) if most else step
        return cls(time_base, origin, tick, start, steady_rate, delay)

    def ticks(self, pts: int) -> int:
        """Return the timestamp `pts` in ticks of the output."""
        seconds = pts * self.time_base
        if self.steady_rate is not None:
            seconds = self.start + round((seconds - self.start) * self.steady_rate) / self.steady_rate
        return round((seconds - self.origin + self.delay) / self.tick)


@dataclasses.dataclass(frozen=True)
class OutputSpec:
    """How one output is written."""

    destination: Path  # a file, a pattern of images, or standard output
    source: VideoInfo  # where the other streams, tags and chapters come from, and the meaning of colours
    format: OutputFormat
    encoding: EncodeOptions
    size: tuple[int, int]  # (width, height), pixels: multiples of `format.size_multiple`
    pixel_aspect: Fraction  # width over height of a pixel
    clock: OutputClock
    frame_rate: Fraction  # frames per second, constant or average
    kept: tuple[KeptStream, ...] = ()  # the source's other streams that go into the output
    speed: Fraction = NORMAL_SPEED  # how much faster than the source it is played
    end_pts: int | None = None  # where the last picture ends, before `clock`; None: it lasts one frame
    last_pts: int | None = None  # of the last picture, likewise; None: not known
    keeps_times: bool = False  # whether the pictures have the times of the source's frames
    pictures_only: bool = False  # whether nothing is taken from the source's file
    overwrite: bool = False  # whether an existing output may be replaced
    strict: bool = False  # whether it is an error to lose the frames' times

    @property
    def colour(self) -> Colour:
        """What the output's samples mean."""
        return self.format.colour(self.source, self.size)

    @property
    def frame_tick(self) -> Fraction:
        """How long a frame lasts where they are counted, in seconds, as far as the codec can state it."""
        tick = 1 / self.frame_rate
        most = self.format.encoder.most_ticks
        return tick.limit_denominator(most) if most else tick

    @property
    def first_repeats(self) -> int:
        """How often the first picture is repeated where all starts at once, to stay with its sound."""
        if not any(keep.stream.kind == "audio" for keep in self.kept):
            return 0
        return max(0, round((self.clock.start - self.clock.origin) * self.frame_rate))

    @property
    def hides_subtitles(self) -> bool:
        """Whether no subtitle is shown unasked, though ffmpeg would have the first one shown."""
        subtitles = [keep.stream for keep in self.kept if keep.stream.kind == "subtitle"]
        is_any_shown = any("default" in subtitle.disposition for subtitle in subtitles)
        return bool(subtitles) and self.format.container.shows_first_subtitle and not is_any_shown

    def into(self, path: Path) -> OutputSpec:
        """Return the same output under another name with the same extension; an existing file is replaced."""
        return dataclasses.replace(self, destination=path, overwrite=True)

    def of_piece(self, path: Path, size: tuple[int, int]) -> OutputSpec:
        """Return how pictures of another size are written, and nothing else: encoded likewise."""
        return dataclasses.replace(
            self,
            destination=path,
            size=size,
            kept=(),
            end_pts=None,
            last_pts=None,
            pictures_only=True,
            overwrite=True,
        )

    def of_segment(self, path: Path) -> OutputSpec:
        """Return how the pictures of a segment are written: encoded likewise, in a file of their own."""
        written = dataclasses.replace(self.format, container=container_for(path))
        return dataclasses.replace(self.of_piece(path, self.size), format=written)


def pixel_aspect(source: VideoInfo, size: tuple[int, int]) -> Fraction:
    """Return width over height of an output pixel, so that the picture is shown in the source's shape.

    Rounding a size to whole pixels changes the shape by less than anyone sees, and is ignored.
    """
    width, height = size
    if abs(Fraction(width * source.height, source.width) - height) <= 2:
        return source.sample_aspect_ratio
    shape = source.sample_aspect_ratio * Fraction(source.width, source.height)
    return (shape * Fraction(height, width)).limit_denominator(MAX_ASPECT)


def log_guesses(source: VideoInfo, written: OutputFormat, size: tuple[int, int]) -> None:
    """Log a broken clock, lost transparency, guessed colours, and what ffmpeg lacks.

    Colours are guessed as players guess them. That is of interest where they would guess others for a picture
    of the output's size: where standard definition becomes high definition.

    Args:
        source: the video.
        written: the output's format.
        size: (width, height) of the output, in pixels.
    """
    if missing := ", ".join(lacks(written.program, written.needs)):
        log.info(f"ffmpeg at {written.program} lacks {missing}: set FFMPEG_PATH to one that has it")
    if source.clock_shifts:
        log.info(
            f"the clock of {str(source.path)!r} breaks (places: {len(source.clock_shifts)}), as in joined "
            "recordings: each part follows the one before without a gap"
        )
    if source.has_alpha and not layout_of(written.pix_fmt).has_alpha and written.pix_fmt != "pal8":
        log.info(
            f"{written.encoder.name} holds no transparency: that of {str(source.path)!r} is left out; "
            "webm, gif, images and prores_ks in .mov hold it"
        )
    unknown = [name for name in source.colour.unknown if name != "chroma_location"]
    if layout_of(source.pix_fmt).kind == "yuv" and "matrix" in unknown:
        taken, others = source.resolved_colour, source.colour.resolved(*size)
        is_of_interest = (taken.matrix == "bt709") != (others.matrix == "bt709")
        guess = ", ".join(f"{name} {getattr(taken, name)}" for name in unknown)
        log.log(
            logging.INFO if is_of_interest else logging.DEBUG,
            f"{str(source.path)!r} does not state its colours: taken for {guess}, as is usual for its size",
        )
