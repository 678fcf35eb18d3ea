"""The segments of one video: which are rendered, which are missing, and how far it is."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from videoinr_cli.errors import OutputError
from videoinr_cli.jobs.join import damaged, join, misfits
from videoinr_cli.jobs.manifest import Manifest, Rendered
from videoinr_cli.jobs.pool import Message
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.media.write.containers import carrier_for
from videoinr_cli.media.write.destination import written_bytes
from videoinr_cli.media.write.writer import check_streams_fit
from videoinr_cli.render.pipeline import Progress, ProgressCallback, Summary
from videoinr_cli.render.plan import Plan
from videoinr_cli.shares import NodeShare

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentDone:
    """A segment whose file is complete."""

    number: int  # from 1
    total: int
    frames: int  # pictures in it
    bytes: int
    was_done: bool  # by an earlier run
    node: str | None = None  # of a cluster, which has rendered it


SegmentCallback = Callable[[SegmentDone], None]


class Segments:
    """One video's segments, from those that an earlier run has rendered to the joined output.

    They may be rendered before the video's turn among several has come, and are recorded at once. What there
    is to tell of them is told from `present` on.
    """

    def __init__(self, plan: Plan, manifest: Manifest) -> None:
        """Look at what is there, and check that the output can be written.

        Raises:
            FfmpegError: the output's format refuses a stream.
            OutputError: the job's folder cannot be written to.
        """
        self._plan, self._manifest = plan, manifest
        self._progress: ProgressCallback = lambda _: None
        self._on_segment: SegmentCallback = lambda _: None
        self._untold: list[Callable[[], None]] | None = []  # None: its turn has come
        self.failure: Exception | None = None
        carrier = carrier_for(plan.format.encoder.name)
        assert carrier is not None
        self._paths = [manifest.path_of(number, f".{carrier}") for number in range(len(manifest.parts))]
        self._forget_damaged()
        self._before = dict(manifest.rendered)
        self._missing = collections.deque(
            SegmentRequest(number, plan, part, self._paths[number])
            for number, part in enumerate(manifest.parts)
            if number not in manifest.rendered
        )
        if self._missing:
            trial = manifest.folder / f"trial{plan.destination.suffix}"
            check_streams_fit(plan.output.into(trial))
        self._under_way: set[int] = set()
        self._made: dict[int, dict[str | None, int]] = {}  # pictures so far of each, by node
        self._frames_before = sum(done.frames_written for done in self._before.values())
        self._frames = self._frames_before  # of segments that are done
        self._done_by: dict[str, tuple[int, int]] = {}  # segments and pictures of each node
        self._started: float | None = None

    @property
    def missing(self) -> int:
        """How many segments have not begun."""
        return len(self._missing)

    @property
    def is_begun(self) -> bool:
        """Whether no further segment will begin."""
        return not self._missing or self.failure is not None

    @property
    def is_over(self) -> bool:
        """Whether all are rendered, or one has failed and the others that had begun have ended."""
        return self.is_begun and not self._under_way

    def present(self, progress: ProgressCallback | None, on_segment: SegmentCallback | None) -> None:
        """Tell what has happened so far, and from now on what happens, to these callbacks."""
        self._progress, self._on_segment = progress or self._progress, on_segment or self._on_segment
        self._started = self._started or time.monotonic()
        total = len(self._paths)
        if self._before:
            log.info(f"continuing: {len(self._before)} of {total} segments are done")
        for number, done in sorted(self._before.items()):
            self._on_segment(SegmentDone(number + 1, total, done.frames_written, done.bytes, was_done=True))
        untold, self._untold = self._untold or [], None
        for tell in untold:
            tell()

    def next_request(self) -> SegmentRequest | None:
        """Return the next segment to begin, which counts as begun; None: there is none."""
        if self.is_begun:
            return None
        request = self._missing.popleft()
        self._under_way.add(request.number)
        self._started = self._started or time.monotonic()
        return request

    def hear(self, number: int, message: Message, node: str | None = None) -> None:
        """Take note of what becomes of a segment; see `pool.Listener`."""
        if isinstance(message, logging.LogRecord):
            record = message
            self._tell(lambda: logging.getLogger(record.name).handle(record))
        elif isinstance(message, Rendered):
            self._under_way.discard(number)
            is_told = message.frames_written in (0, *self._made.pop(number, {}).values())
            self._frames += message.frames_written
            if node is not None:
                segments, frames = self._done_by.get(node, (0, 0))
                self._done_by[node] = segments + 1, frames + message.frames_written
            self._manifest.record(number, message)
            if not is_told and self._untold is None:
                self._progress(self._so_far())
            event = SegmentDone(
                *(number + 1, len(self._paths), message.frames_written, message.bytes),
                was_done=False,
                node=node,
            )
            self._tell(lambda: self._on_segment(event))
        elif isinstance(message, Exception):
            self._under_way.discard(number)
            self._made.pop(number, None)
            self.failure = self.failure or message
        elif message is None:
            self._made.get(number, {}).pop(node, None)
        else:
            self._made.setdefault(number, {})[node] = message
            if message and self._untold is None:
                self._progress(self._so_far())

    def joined(self, go_on: Callable[[], None]) -> Summary:
        """Put the segments together, all of which are rendered, as `join` does.

        Raises:
            OutputError: they do not fit together, or the output cannot be written.
            FfmpegError: ffmpeg failed.
        """
        rendered = [done for _, done in sorted(self._manifest.rendered.items())]
        if wrong := misfits(rendered):
            for number in wrong:
                self._manifest.record(number, None)
            raise OutputError(
                f"seeking into {str(self._plan.source.path)!r} does not reproduce a straight decode; render "
                "it in one go, with --segment-seconds 0 --no-resume"
            )
        plan, source = self._plan, self._plan.source
        paths = [path for path, done in zip(self._paths, rendered, strict=True) if done.bytes]
        join(plan, paths, go_on)
        return Summary(
            destination=plan.destination,
            source_size=(source.width, source.height),
            size=plan.size,
            frames_read=sum(done.frames_read for done in rendered),
            frames_written=sum(done.frames_written for done in rendered),
            cuts=sum(done.cuts for done in rendered),
            elapsed_seconds=self._elapsed_seconds,
            output_bytes=written_bytes(plan.destination),
            frames_before=self._frames_before,
            nodes=self._shares(),
        )

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._untold is None:
            tell()
        else:
            self._untold.append(tell)

    def _forget_damaged(self) -> None:
        """Remove segments from the manifest whose files are missing or damaged, and unfinished files."""
        for stray in self._manifest.folder.glob("*.try-*"):
            stray.unlink(missing_ok=True)
        numbers = sorted(self._manifest.rendered)
        files = [(self._paths[number], self._manifest.rendered[number]) for number in numbers]
        for place in damaged(files):
            name = str(self._paths[numbers[place]])
            self._tell(lambda name=name: log.warning(f"{name!r} is damaged and is rendered again"))  # type: ignore[misc]
            self._manifest.record(numbers[place], None)

    @property
    def _elapsed_seconds(self) -> float:
        return time.monotonic() - (self._started or time.monotonic())

    def _so_far(self) -> Progress:
        """Return the progress of the whole video."""
        plan = self._plan
        made = self._frames + sum(max(by_node.values(), default=0) for by_node in self._made.values())
        total = plan.total_seconds
        seconds = float(made / (plan.timeline.rate or plan.source.frame_rate * plan.options.speed))
        return Progress(
            frames=made,
            total_frames=plan.total_frames,
            seconds=seconds if total is None else min(seconds, total),
            total_seconds=total,
            elapsed_seconds=self._elapsed_seconds,
            frames_before=self._frames_before,
            nodes=self._shares(),
        )

    def _shares(self) -> tuple[NodeShare, ...]:
        under_way: collections.defaultdict[str, list[int]] = collections.defaultdict(list)
        for by_node in self._made.values():
            for node, made in by_node.items():
                if node is not None:
                    under_way[node].append(made)
        seconds, shares = max(self._elapsed_seconds, 1e-6), []
        for node in sorted({*self._done_by, *under_way}):
            segments, frames = self._done_by.get(node, (0, 0))
            frames += sum(under_way[node])
            shares.append(NodeShare(node, segments, len(under_way[node]), frames, frames / seconds))
        return tuple(shares)
