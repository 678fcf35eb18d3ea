"""Everything that is decided about a video's output before its first frame.

A source is probed, read through and planned once. What carries out the plan checks that the source is still
the same, and asks no more of it than its frames.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from fractions import Fraction
from pathlib import Path

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.repeats import Repeats, find_repeats
from videoinr_cli.media.read.suitability import with_suited_model
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container
from videoinr_cli.media.write.destination import check_destination
from videoinr_cli.media.write.formats import OutputFormat, output_format
from videoinr_cli.media.write.kept_streams import decide_streams, log_changes, refuse_dropped
from videoinr_cli.media.write.output import OutputClock, OutputSpec, log_guesses, pixel_aspect
from videoinr_cli.media.write.times_fit import check_times_fit
from videoinr_cli.notes import Advice, Note, collected_notes, log_advised
from videoinr_cli.options import EncodeOptions, Region, UpscaleOptions
from videoinr_cli.render.framing import Framing
from videoinr_cli.render.parts import Part
from videoinr_cli.render.timeline import Timeline

log = logging.getLogger(__name__)

MULTIPLES = 9
"""Rates below are hardly ever wanted, and multiples of the source's rate are."""

FileStamp = tuple[int, int]
"""Size of a file in bytes, and when it was last changed, in nanoseconds."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a video's output, or that of a part of it, will be. Can be pickled."""

    options: UpscaleOptions
    timeline: Timeline
    output: OutputSpec
    stamps: tuple[FileStamp, ...]  # of the source's files; none of standard input
    framing: Framing
    notes: tuple[Note, ...] = ()  # what will be converted, guessed or left out
    processes: int = 1  # that share the memory
    part: Part | None = None  # None: the whole video
    piece: Region | None = None  # of the source's picture; None: the whole
    repeats: Repeats | None = None  # of drawings, which are left out; None: every frame counts

    @classmethod
    def make(cls, source: VideoInfo, destination: Path, options: UpscaleOptions) -> Plan:
        """Decide everything that can be decided before any work, and log what differs from the source.

        Whether there is room for the output is another question: see `check_destination`.

        Raises:
            OptionError: the options do not fit the source.
            OutputError: the destination cannot be written in the format that is asked for, or not without
                a loss that `options.strict` forbids.
            FfmpegError: there is no ffmpeg.
        """
        written = output_format(destination, source, options.encode)
        rate = options.rate_of(source.frame_rate)
        _check_rate(written.container, rate or source.frame_rate)
        _log_few(options, source)
        size = options.output_size(source.width, source.height, multiple=written.size_multiple)
        _log_adapted(options, written, size)
        log_guesses(source, written, size)
        if rate is None:
            check_times_fit(source, written.container, strict=options.strict)
        streams = decide_streams(
            source, written.container, audio=options.audio, speed=options.speed, frame_rate=rate
        )
        if options.strict:
            refuse_dropped(streams)
        log_changes(streams)
        options = with_suited_model(source, options)
        timeline = Timeline(
            source.time_base, rate, source.start_pts, options.speed, usual_seconds=source.usual_seconds
        )
        output = OutputSpec(
            destination=destination,
            source=source,
            format=written,
            encoding=options.encode,
            size=size,
            pixel_aspect=Fraction(1) if options.pad or options.crop else pixel_aspect(source, size),
            clock=OutputClock.of(
                timeline.time_base,
                source.origin / options.speed,
                start=source.start_pts * timeline.tick_seconds,
                steady_rate=rate or (source.steady_rate and source.steady_rate * options.speed),
                most_ticks=written.encoder.most_ticks,
            ),
            frame_rate=rate or source.frame_rate,
            kept=streams.kept,
            speed=options.speed,
            end_pts=None if source.end_pts is None else timeline.end_pts(source.end_pts),
            last_pts=source.last_pts if rate is None else None,
            keeps_times=rate is None,
            overwrite=options.overwrite,
            strict=options.strict,
        )
        framing = Framing.of(
            options, (source.width, source.height), size, pixel_aspect=source.sample_aspect_ratio
        )
        return cls(options, timeline, output, _stamps(source), framing)

    @property
    def source(self) -> VideoInfo:
        """What is read, as it is to be read."""
        return self.output.source

    @property
    def destination(self) -> Path:
        """Where the output goes."""
        return self.output.destination

    @property
    def format(self) -> OutputFormat:
        """The output's container, encoder and pixel format."""
        return self.output.format

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the output, in pixels."""
        return self.output.size

    @property
    def lr_size(self) -> tuple[int, int]:
        """(H, W) of what is rendered, in pixels of the source."""
        shown = self.piece or self.source
        return shown.height, shown.width

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(H, W) of what is rendered, in pixels of the source, and (Ho, Wo) of the picture made of it."""
        width, height = self.framing.picture
        return self.lr_size, (height, width)

    @property
    def total_frames(self) -> int | None:
        """How many frames the output will have, as far as the source says."""
        if self.timeline.rate is None:
            estimate = self.source.frame_count
            if estimate is None and self.source.duration is not None:
                estimate = round(self.source.duration * self.source.frame_rate)
            return estimate
        return None if self.source.end_pts is None else self.timeline.frames_until(self.source.end_pts)

    @property
    def instants(self) -> float:
        """How many instants are rendered for each pair of the source's frames, on average."""
        rate = self.timeline.rate
        return 1.0 if rate is None else float(rate / self.options.speed / self.source.frame_rate)

    @property
    def total_seconds(self) -> float | None:
        """How long the output will be, as far as the source says."""
        return None if self.source.duration is None else float(self.source.duration / self.options.speed)

    @property
    def writes_alpha(self) -> bool:
        """Whether the output holds the source's transparency."""
        return layout_of(self.format.pix_fmt).has_alpha and self.source.has_alpha

    def into(self, path: Path) -> Plan:
        """Return the plan for another file with the same extension; an existing one is replaced."""
        return dataclasses.replace(self, output=self.output.into(path))

    def of_part(self, part: Part, path: Path) -> Plan:
        """Return the plan for a part of the video, encoded as the whole is, in a file of its own."""
        return dataclasses.replace(self, part=part, output=self.output.of_segment(path))

    def of_piece(self, piece: Region, path: Path) -> Plan:
        """Return the plan for a piece of every picture, encoded as the whole is, without other streams."""
        source, output = self.source, self.output
        width, height = self.framing.picture
        lengths = (piece.width * width / source.width, piece.height * height / source.height)
        size = tuple(
            max(multiple, round(length / multiple) * multiple)
            for length, multiple in zip(lengths, output.format.size_multiple, strict=True)
        )
        frame = (size[0], size[1])
        return dataclasses.replace(
            self, piece=piece, output=output.of_piece(path, frame), framing=Framing(frame, frame)
        )

    def on(self, device: str, threads: int | None = None) -> Plan:
        """Return the plan for another device, and another number of threads unless that is None."""
        options = dataclasses.replace(self.options, device=device, threads=threads or self.options.threads)
        return dataclasses.replace(self, options=options)

    def check_unchanged(self) -> None:
        """Check that the source's files are those that were probed, by their sizes and times.

        Raises:
            InputError: one of them has changed or is missing.
        """
        if _stamps(self.source) != self.stamps:
            raise InputError(
                f"{str(self.source.path)!r} has changed since it was checked; run the command again when it "
                "is complete"
            )


def plan_video(source: str | os.PathLike[str], destination: Path, options: UpscaleOptions) -> Plan:
    """Probe one source, check where its output goes, and plan it.

    Raises:
        InputError: the source cannot be read.
        OutputError: the destination cannot be written.
        VideoInrError: see `Plan.make`.
    """
    with collected_notes() as notes:
        info = prepare(source, options.read)
        check_destination(destination, info, overwrite=options.overwrite)
        plan = Plan.make(info, destination, options)
        if plan.timeline.rate is not None and (repeats := find_repeats(info, options.dedupe)) is not None:
            plan = dataclasses.replace(plan, repeats=repeats)
            advice = Advice("--dedupe off keeps every frame", ("--dedupe",))
            log_advised(log, logging.INFO, repeats.described(info.frame_rate), advice)
    return dataclasses.replace(plan, notes=tuple(notes))


def _stamps(source: VideoInfo) -> tuple[FileStamp, ...]:
    try:
        states = [path.stat() for path in source.files]
    except OSError as error:
        raise InputError(f"{error.filename!r} cannot be read any more: {error.strerror}") from error
    return tuple((state.st_size, state.st_mtime_ns) for state in states)


def _check_rate(container: Container, rate: Fraction) -> None:
    """Refuse a rate that the container's clock, or what plays it, would slow down.

    Raises:
        OptionError: it is too high.
    """
    if container.max_rate is not None and rate > container.max_rate:
        raise OptionError(
            f"{container.muxer} is played at {container.max_rate} frames per second at most, not "
            f"{float(rate):g}; try --fps {container.max_rate}, or an output in .mp4"
        )


def _log_few(options: UpscaleOptions, source: VideoInfo) -> None:
    """Log what a rate makes that may be meant as a multiple of the source's."""
    rate = options.fps
    if rate is None or rate.relative:
        return
    if rate.value < MULTIPLES and rate.value < source.frame_rate:
        said = f"--fps {rate} makes {rate} frames per second of the source's {float(source.frame_rate):g}"
        log_advised(log, logging.INFO, said, Advice(f"--fps {rate}x multiplies them", ("--fps",)))


def _log_adapted(options: UpscaleOptions, written: OutputFormat, size: tuple[int, int]) -> None:
    """Log what the user named and the output's format or encoder cannot have."""
    if not options.asks_for(size):
        wide, high = written.size_multiple
        log.info(
            f"{written.pix_fmt} takes widths that are multiples of {wide} and heights that are multiples of "
            f"{high}: the output is {size[0]}x{size[1]}"
        )
    crf, preset = options.encode.crf, options.encode.preset
    if preset not in (None, EncodeOptions.preset) and not written.encoder.takes_preset(preset):
        log.info(f"{written.encoder.name} has no preset {preset!r}: --preset changes nothing")
    if isinstance(crf, (int, float)) and not written.encoder.has_rate_factor:
        log.info(f"{written.encoder.name} has no constant rate factor: --crf {crf:g} changes nothing")
