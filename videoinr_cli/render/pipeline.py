"""The engine: carry out a plan in three stages, which decode, render and encode.

Three threads pass frames on through short queues: one decodes, the calling one renders, one encodes. How far
the video is goes to a callback.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from videoinr_cli.errors import MemoryLimitError, is_out_of_memory
from videoinr_cli.media.planes import layout_of
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.write.destination import written_bytes
from videoinr_cli.media.write.writer import VideoWriter
from videoinr_cli.model import AnyVideoInr, ModelConfig
from videoinr_cli.model.devices import on_threads
from videoinr_cli.render.channel import WAKE_SECONDS, Channel
from videoinr_cli.render.drawings import drawings
from videoinr_cli.render.parts import Part, Tally
from videoinr_cli.render.pictures import OutputFrame, compared, lead_frames, output_frames, sections_of
from videoinr_cli.render.pieces import Sizes, choose_sizes, needed_bytes
from videoinr_cli.render.plan import Plan
from videoinr_cli.render.renderer import GivenFrame, Renderer
from videoinr_cli.shares import NodeShare
from videoinr_cli.threads import Task, run_beside

QUEUED_FRAMES = 3
"""Frames that wait between two stages: enough to bridge a slow frame, few enough to need little memory."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a video is after an output frame."""

    frames: int  # rendered
    total_frames: int | None  # None when the source does not say how long it is
    seconds: float  # of the video, rendered
    total_seconds: float | None
    elapsed_seconds: float  # since the first frame was waited for
    frames_before: int = 0  # of `frames`, those that an earlier run has rendered
    nodes: tuple[NodeShare, ...] = ()  # of a cluster that have worked on it


ProgressCallback = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The result of upscaling a video."""

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
    nodes: tuple[NodeShare, ...] = ()  # of a cluster that have worked on it


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of rendering a video or a part of it."""

    tally: Tally  # of source frames
    frames_written: int
    elapsed_seconds: float


class Engine:
    """Renders videos, and parts of them, by one network.

    It remembers the sizes that rendering came down to when memory ran out: the next part, or the next video
    of the same size, begins with them.
    """

    def __init__(self, model: AnyVideoInr) -> None:
        self.model = model
        self._proven: dict[tuple[tuple[int, int], tuple[int, int]], Sizes] = {}

    def upscale(self, plan: Plan, progress: ProgressCallback | None = None) -> Summary:
        """Carry out the plan of a whole video in one go.

        Raises:
            VideoInrError: see `upscale_video`.
        """
        outcome = self.render(plan, progress or (lambda _: None))
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

    def render(self, plan: Plan, report: ProgressCallback, *, sizes: Sizes | None = None) -> Outcome:
        """Run the three stages to their end, or end all of them with the first error.

        Args:
            plan: what to render.
            report: called after each output frame.
            sizes: of the pieces; None: `choose_sizes`.

        Raises:
            VideoInrError: see `upscale_video`.
        """
        started = time.monotonic()
        frames: Channel[GivenFrame] = Channel(QUEUED_FRAMES)
        pictures: Channel[OutputFrame] = Channel(QUEUED_FRAMES)
        tally, written = Tally(), 0
        # On a CPU, ffmpeg would take cores from the network, whose threads wait for one another at a layer.
        writing = _WriteStage(plan, pictures, low_priority=self.model.device.type == "cpu")

        def decode() -> None:
            _decode(plan, self.model.config, frames)

        def stop(error: BaseException) -> None:
            frames.fail(error)
            pictures.fail(error)
            writing.interrupt()

        with memory_errors(plan), _concurrently([decode, writing.run], stop):
            for output in self._rendered(plan, frames, tally, sizes or self.choose_sizes(plan)):
                pictures.put(output)
                written += 1
                report(_progress(plan, output.pts, written, time.monotonic() - started))
            frames.fail(_Enough())
            pictures.finish()
        pictures.check()
        return Outcome(tally, written, time.monotonic() - started)

    def choose_sizes(self, plan: Plan) -> Sizes:
        """Return the sizes of the pieces in which a video would be rendered now.

        Raises:
            MemoryLimitError: the options' limit is too low for any.
        """
        sizes = choose_sizes(
            self.model,
            *plan.shapes,
            tile=plan.options.tile,
            limit_bytes=plan.options.max_memory_bytes,
            processes=plan.processes,
            instants=plan.instants,
        )
        proven = self._proven.get(plan.shapes, sizes)
        return min(sizes, proven, key=lambda sizes: needed_bytes(self.model, *plan.shapes, sizes))

    def _rendered(
        self, plan: Plan, frames: Iterable[GivenFrame], tally: Tally, sizes: Sizes
    ) -> Iterator[OutputFrame]:
        """Stage two: the output's frames, in the calling thread."""
        renderer = Renderer(
            self.model,
            plan.framing.picture,
            window=plan.framing.window,
            bit_depth=layout_of(plan.format.pix_fmt).bit_depth,
            with_alpha=plan.writes_alpha,
            sizes=sizes,
        )
        try:
            outputs = output_frames(
                renderer,
                plan.timeline,
                frames,
                source_rate=plan.source.frame_rate,
                part=plan.part or Part(),
                tally=tally,
            )
            yield from on_threads(plan.options.threads, outputs)
        finally:
            if renderer.has_shrunk:
                self._proven[plan.shapes] = renderer.sizes


class _Enough(Exception):
    """Ends decoding once the part has all its frames."""


@contextlib.contextmanager
def _concurrently(calls: list[Callable[[], None]], stop: Callable[[BaseException], None]) -> Iterator[None]:
    """Run calls in threads while the block runs, and wait for them at its end.

    Args:
        calls: which catch their own errors.
        stop: called when the block or the wait ends with an error, to make the calls end soon.
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
        while not task.wait(WAKE_SECONDS):  # between two waits, Ctrl-C is handled on Windows too
            pass


def _decode(plan: Plan, config: ModelConfig, frames: Channel[GivenFrame]) -> None:
    """Stage one: the source's frames, compared with one another while they are in the cache."""
    begin = None if plan.part is None else plan.part.begin
    try:
        source = read_frames(
            plan.source, strict=plan.options.strict, begin=begin, lead=lead_frames(config, plan.repeats)
        )
        sections = sections_of(plan.source, config)
        # Closed at once, as an error's traceback would keep the file and its decoder open.
        with contextlib.closing(source):
            given = compared(source, plan.options.scene_threshold, sections)
            if plan.repeats is not None:
                given = drawings(given, plan.repeats, sections.frame_ticks)
            with contextlib.closing(given):  # as it would keep the frames that wait in it
                for frame in given:
                    frames.put(frame if plan.piece is None else frame.cropped(plan.piece))
        frames.finish()
    except BaseException as error:  # handed to the thread that waits for frames
        frames.fail(error)


class _WriteStage:
    """Stage three: write the output frames into a file.

    The writer is used by this stage's thread only, where no Ctrl-C can interrupt it between two steps.
    """

    def __init__(self, plan: Plan, pictures: Channel[OutputFrame], *, low_priority: bool) -> None:
        self._plan = plan
        self._pictures = pictures
        self._low_priority = low_priority
        self._writer: VideoWriter | None = None

    def run(self) -> None:
        pictures = iter(self._pictures)
        try:
            if self._plan.part is not None:  # a part without pictures has no file
                first = next(pictures, None)
                if first is None:
                    return
                pictures = itertools.chain([first], pictures)
            with VideoWriter(self._plan.output, low_priority=self._low_priority) as self._writer:
                for output in pictures:
                    picture = self._plan.framing.framed(output.picture)
                    self._writer.write(picture.rgb, output.pts, alpha=picture.alpha)
        except BaseException as error:  # handed to the thread that delivers pictures
            self._pictures.fail(error)

    def interrupt(self) -> None:
        """Kill ffmpeg, on which this stage may be waiting."""
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
    """Turn the various errors for a lack of memory outside of the renderer into one.

    Raises:
        MemoryLimitError: instead of these.
    """
    try:
        yield
    except (MemoryError, RuntimeError, SystemError) as error:
        if not is_out_of_memory(error):
            raise
        width, height = plan.size
        raise MemoryLimitError(
            f"enlarging {plan.source.width}x{plan.source.height} to {width}x{height} needs more memory than "
            "is free; try a lower --max-memory, or a smaller --scale, or end other programs"
        ) from error
