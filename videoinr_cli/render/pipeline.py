"""Upscale a video: read, pair, encode, render, write. The only place where media and the model meet.

Three threads pass frames on through short queues: one decodes, the calling one renders, one encodes. Knows
nothing of terminals: how far it is goes to a callback.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from av.video.stream import VideoStream

from videoinr_cli.errors import MemoryLimitError, OptionError
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container
from videoinr_cli.media.write.destination import check_destination, written_bytes
from videoinr_cli.media.write.formats import OutputFormat, output_format
from videoinr_cli.media.write.writer import PacketWriter, VideoWriter, check_streams_fit
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.notes import collected_notes
from videoinr_cli.options import Audio, UpscaleOptions
from videoinr_cli.render.channel import WAKE_SECONDS, Channel
from videoinr_cli.render.memory import Sizes, choose_sizes, is_out_of_memory
from videoinr_cli.render.parts import LEAD_FRAMES, Part, Tally
from videoinr_cli.render.pictures import OutputFrame, compared, output_frames
from videoinr_cli.render.renderer import GivenFrame, Renderer
from videoinr_cli.render.timeline import Timeline
from videoinr_cli.threads import Task, run_beside
from videoinr_cli.weights import load_model

log = logging.getLogger(__name__)

QUEUED_FRAMES = 3
"""Frames that wait between two stages: enough to bridge a slow one, few enough not to count in memory."""

_Shape = tuple[tuple[int, int], tuple[int, int]]  # (H, W) of the source, (Ho, Wo) of the output

_PROVEN: weakref.WeakKeyDictionary[AnyVideoInr, dict[_Shape, Sizes]] = weakref.WeakKeyDictionary()
"""Of the pieces that rendering came down to when memory ran out: it would again in the next part or video."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a video is, after each output frame."""

    frames: int  # rendered
    total_frames: int | None  # None when the source does not say how long it is
    seconds: float  # of the video, rendered
    total_seconds: float | None
    elapsed_seconds: float  # since the first frame was waited for
    frames_before: int = 0  # of `frames`, those that an earlier run has rendered


ProgressCallback = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of a video."""

    destination: Path
    source_size: tuple[int, int]  # (width, height), pixels
    size: tuple[int, int]
    frames_read: int
    frames_written: int
    cuts: int
    elapsed_seconds: float  # without loading the model
    output_bytes: int | None  # of the file or the images; None of standard output
    frames_before: int = 0  # of `frames_written`, those that an earlier run had rendered
    notes: tuple[str, ...] = ()  # what was converted, guessed or left out, as the log says it


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a video, or of a part of it."""

    tally: Tally  # of source frames
    frames_written: int
    elapsed_seconds: float


class _FileSettings(TypedDict, total=False):
    end_pts: int | None
    last_pts: int | None
    speed: Fraction
    audio: Audio
    overwrite: bool
    strict: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is known of a video's output, or of a part of it, before the first frame."""

    source: VideoInfo
    destination: Path
    options: UpscaleOptions
    format: OutputFormat
    size: tuple[int, int]  # (width, height), pixels
    timeline: Timeline
    processes: int = 1  # that share the memory
    part: Part | None = None  # None: the whole video, with all that is beside it in its file

    @classmethod
    def make(cls, source: VideoInfo, destination: Path, options: UpscaleOptions) -> Plan:
        """Decide everything that can be decided before any work, and say in the log what is not as asked.

        Whether there is room for the output is another question: see `check_destination`.

        Raises:
            OptionError: the options do not fit the source.
            OutputError: the destination cannot be written in the format that is asked for.
            FfmpegError: there is no ffmpeg.
        """
        written = output_format(destination, source, options.encode)
        rate = options.rate_of(source.frame_rate)
        _check_rate(written.container, rate or source.frame_rate)
        size = options.output_size(source.width, source.height, multiple=written.size_multiple)
        _say_adapted(options, written, size)
        return cls(
            source=source,
            destination=destination,
            options=options,
            format=written,
            size=size,
            timeline=Timeline(source.time_base, rate, source.start_pts, options.speed),
        )

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
    def total_seconds(self) -> float | None:
        """How long the output will be, as far as the source says."""
        return None if self.source.duration is None else float(self.source.duration / self.options.speed)

    @property
    def writes_alpha(self) -> bool:
        """Whether the output holds the source's transparency."""
        return layout_of(self.format.pix_fmt).has_alpha and self.source.has_alpha

    def of_part(self, part: Part, path: Path) -> Plan:
        """Return the plan for a part alone, encoded as in the whole, in a file of its own."""
        encode = dataclasses.replace(
            self.options.encode, codec=self.format.encoder.name, pix_fmt=self.format.pix_fmt
        )
        options = dataclasses.replace(self.options, encode=encode, overwrite=True)
        return dataclasses.replace(self, options=options, part=part, destination=path)

    def open_writer(self, *, low_priority: bool) -> VideoWriter:
        """Return what takes the pictures: those of a part go into a file that holds nothing else.

        Args:
            low_priority: see `VideoWriter`.
        """
        alone: _FileSettings = {"speed": self.options.speed, "overwrite": True}
        return VideoWriter(
            self.destination,
            self.size,
            self.timeline.time_base,
            self.source,
            self.options.encode,
            frame_rate=self.timeline.rate,
            alone=self.part is not None,
            low_priority=low_priority,
            **(self._file_settings() if self.part is None else alone),
        )

    def open_packet_writer(self, template: VideoStream) -> PacketWriter:
        """Return what takes the encoded pictures of all parts in turn, and makes the whole of them."""
        return PacketWriter(
            self.destination,
            template,
            self.source,
            self.options.encode,
            time_base=self.timeline.time_base,
            frame_rate=self.timeline.rate or self.source.frame_rate,
            **self._file_settings(),
        )

    def check_streams_fit(self, path: Path) -> None:
        """Have ffmpeg begin a file of the output's kind at `path`, and remove it.

        Raises:
            FfmpegError: it does not take all that is kept of the source.
        """
        check_streams_fit(
            path,
            self.size,
            self.timeline.time_base,
            self.source,
            self.options.encode,
            frame_rate=self.timeline.rate or self.source.frame_rate,
            speed=self.options.speed,
            audio=self.options.audio,
        )

    def _file_settings(self) -> _FileSettings:
        end = self.source.end_pts
        return {
            "end_pts": None if end is None else self.timeline.end_pts(end),
            "last_pts": self.source.last_pts if self.timeline.rate is None else None,
            "speed": self.options.speed,
            "audio": self.options.audio,
            "overwrite": self.options.overwrite,
            "strict": self.options.strict,
        }

    def make_renderer(self, model: AnyVideoInr) -> Renderer:
        """Prepare for rendering in pieces that fit in memory.

        Raises:
            MemoryLimitError: the options' limit is too low for any.
        """
        bit_depth = layout_of(self.format.pix_fmt).bit_depth
        sizes = self.choose_sizes(model)
        return Renderer(model, self.size, bit_depth=bit_depth, with_alpha=self.writes_alpha, sizes=sizes)

    def choose_sizes(self, model: AnyVideoInr) -> Sizes:
        """Return the sizes of the pieces in which a renderer would begin now.

        Raises:
            MemoryLimitError: the options' limit is too low for any.
        """
        shape = self._shape
        sizes = choose_sizes(
            model,
            *shape,
            tile=self.options.tile,
            limit_bytes=self.options.max_memory_bytes,
            processes=self.processes,
        )
        proven = _PROVEN.get(model, {}).get(shape, sizes)
        return min(sizes, proven, key=lambda sizes: sizes.order(shape[0]))

    def keep_sizes(self, model: AnyVideoInr, renderer: Renderer) -> None:
        """Have the next renderer begin with the pieces that this one came down to, if it did."""
        if renderer.has_shrunk:
            _PROVEN.setdefault(model, {})[self._shape] = renderer.sizes

    @property
    def _shape(self) -> _Shape:
        return (self.source.height, self.source.width), (self.size[1], self.size[0])


def _check_rate(container: Container, rate: Fraction) -> None:
    """Refuse a rate at which a container's clock, or what plays it, would make the video slower.

    Raises:
        OptionError: it is too high.
    """
    if container.max_rate is not None and rate > container.max_rate:
        raise OptionError(
            f"{container.muxer} is played at {container.max_rate} frames per second at most, not "
            f"{float(rate):g}; try --fps {container.max_rate}, or an output in .mp4"
        )


def _say_adapted(options: UpscaleOptions, written: OutputFormat, size: tuple[int, int]) -> None:
    """Say of what the user named that the output's format or encoder cannot have it."""
    if not options.asks_for(size):
        wide, high = written.size_multiple
        log.info(
            f"{written.pix_fmt} takes widths that are multiples of {wide} and heights that are multiples of "
            f"{high}: the output is {size[0]}x{size[1]}"
        )
    crf = options.encode.crf
    if isinstance(crf, (int, float)) and not written.encoder.has_rate_factor:
        log.info(f"{written.encoder.name} has no constant rate factor: --crf {crf:g} changes nothing")


def upscale_video(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: UpscaleOptions | None = None,
    *,
    model: AnyVideoInr | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Render a video at another size and frame rate, with everything else in its file kept.

    Args:
        source: a video file.
        destination: the output's name; it exists only once it is complete.
        options: what is wanted; `UpscaleOptions()` by default.
        model: the network, for several videos in a row; loaded as the options say when None.
        progress: called in this thread after each output frame.

    Raises:
        InputError: the source cannot be read.
        OptionError: the options do not fit the source.
        OutputError: the destination cannot be written.
        WeightsError: the weights cannot be used.
        FfmpegError: ffmpeg is missing or failed.
        MemoryLimitError: a frame does not fit in memory.
    """
    options = options or UpscaleOptions()
    with collected_notes() as notes:
        info = prepare(source, options.read)
        check_destination(destination, info, overwrite=options.overwrite)
        plan = Plan.make(info, Path(destination), options)
        if model is None:
            model = load_model(options.weights, device=options.device, precision=options.precision)
        summary = render_whole(plan, model, progress)
    return dataclasses.replace(summary, notes=tuple(notes))


def render_whole(plan: Plan, model: AnyVideoInr, progress: ProgressCallback | None = None) -> Summary:
    """Carry out a plan in one go.

    Raises:
        VideoInrError: see `upscale_video`.
    """
    outcome = run(plan, model, progress or (lambda _: None))
    return Summary(
        destination=plan.destination,
        source_size=(plan.source.width, plan.source.height),
        size=plan.size,
        frames_read=outcome.tally.frames,
        frames_written=outcome.frames_written,
        cuts=outcome.tally.cuts,
        elapsed_seconds=outcome.elapsed_seconds,
        output_bytes=written_bytes(plan.destination),
    )


def run(plan: Plan, model: AnyVideoInr, report: ProgressCallback) -> Outcome:
    """Run the three stages to their end, or end all of them with the first error.

    Raises:
        VideoInrError: see `upscale_video`.
    """
    started = time.monotonic()
    frames: Channel[GivenFrame] = Channel(QUEUED_FRAMES)
    pictures: Channel[OutputFrame] = Channel(QUEUED_FRAMES)
    tally, written = Tally(), 0
    # on a CPU it would take turns with the network, whose threads wait for one another at every layer
    encoder = _Encoder(plan, pictures, low_priority=model.device.type == "cpu")

    def stop(error: BaseException) -> None:
        frames.fail(error)
        pictures.fail(error)
        encoder.interrupt()

    with memory_errors(plan), _beside([lambda: _decode(plan, frames), encoder.run], stop):
        for output in _render(plan, model, frames, tally):
            pictures.put(output)
            written += 1
            report(_progress(plan, output.pts, written, time.monotonic() - started))
        frames.fail(_Enough())
        pictures.finish()
    pictures.check()
    return Outcome(tally, written, time.monotonic() - started)


class _Enough(Exception):
    """Ends the reading of a source of which only a part is wanted."""


@contextlib.contextmanager
def _beside(calls: list[Callable[[], None]], stop: Callable[[BaseException], None]) -> Iterator[None]:
    """Run calls beside the block, and leave none of them running after it.

    Args:
        calls: they catch their own errors.
        stop: called when the block, or the wait for them, ends with an error; makes them end soon.
    """
    tasks: list[Task] = []
    try:
        for call in calls:
            tasks.append(run_beside(call))
        yield
        _wait_for(tasks)
    except BaseException as error:
        stop(error)
        raise
    finally:
        _wait_for(tasks)


def _wait_for(tasks: list[Task]) -> None:
    for task in tasks:
        while not task.wait(WAKE_SECONDS):  # where Ctrl-C cannot interrupt it, in between it can
            pass


def _decode(plan: Plan, frames: Channel[GivenFrame]) -> None:
    """Stage one: the source's frames, compared with one another while they are in the cache."""
    begin = None if plan.part is None else plan.part.begin
    try:
        source = read_frames(plan.source, strict=plan.options.strict, begin=begin, lead=LEAD_FRAMES)
        # Closed at once: an error keeps what was under way alive, the file and its decoder with it.
        with contextlib.closing(source):
            for frame in compared(source, plan.options.scene_threshold):
                frames.put(frame)
        frames.finish()
    except BaseException as error:  # handed to the thread that waits for frames
        frames.fail(error)


def _render(
    plan: Plan, model: AnyVideoInr, frames: Iterable[GivenFrame], tally: Tally
) -> Iterator[OutputFrame]:
    """Stage two: the output's frames, in the calling thread."""
    renderer = plan.make_renderer(model)
    try:
        yield from output_frames(
            renderer,
            plan.timeline,
            frames,
            source_rate=plan.source.frame_rate,
            part=plan.part or Part(),
            tally=tally,
        )
    finally:
        plan.keep_sizes(model, renderer)


class _Encoder:
    """Stage three: from an output frame to a finished file.

    The writer lives in this stage's thread alone, where no Ctrl-C can hit it between two steps.
    """

    def __init__(self, plan: Plan, pictures: Channel[OutputFrame], *, low_priority: bool) -> None:
        self._plan = plan
        self._pictures = pictures
        self._low_priority = low_priority
        self._writer: VideoWriter | None = None

    def run(self) -> None:
        pictures = iter(self._pictures)
        try:
            if self._plan.part is not None:  # may be empty, and so has no file
                first = next(pictures, None)
                if first is None:
                    return
                pictures = itertools.chain([first], pictures)
            with self._plan.open_writer(low_priority=self._low_priority) as self._writer:
                for output in pictures:
                    self._writer.write(output.picture.rgb, output.pts, alpha=output.picture.alpha)
        except BaseException as error:  # handed to the thread that delivers pictures
            self._pictures.fail(error)

    def interrupt(self) -> None:
        """End ffmpeg, which may be in no hurry to take a picture or to finish the file."""
        if self._writer is not None:
            self._writer.interrupt()


def _progress(plan: Plan, pts: int, frames: int, elapsed_seconds: float) -> Progress:
    period = 1 / (plan.timeline.rate or plan.source.frame_rate)
    begin = plan.source.start_pts * plan.timeline.tick_seconds
    return Progress(
        frames=frames,
        total_frames=plan.total_frames,
        seconds=float(pts * plan.timeline.time_base - begin + period),
        total_seconds=plan.total_seconds,
        elapsed_seconds=elapsed_seconds,
    )


@contextlib.contextmanager
def memory_errors(plan: Plan) -> Iterator[None]:
    """Turn the many ways in which memory runs out, elsewhere than in the renderer, into one error.

    Raises:
        MemoryLimitError: instead of these.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        width, height = plan.size
        raise MemoryLimitError(
            f"enlarging {plan.source.width}x{plan.source.height} to {width}x{height} needs more memory than "
            "is free; try a lower --max-memory, or a smaller --scale, or end other programs"
        ) from error
