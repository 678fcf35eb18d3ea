"""Show progress on stderr: a live display on a terminal, plain lines elsewhere, nothing if quiet.

The only module that imports rich. Each display is a context manager that yields a callback for the job.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from videoinr_cli.batch.events import Done, End, Error, Event, Progress, Skipped, Start
from videoinr_cli.quantities import clock, counted, lasted, pace, size_of

if TYPE_CHECKING:
    from videoinr_cli.evaluation.evaluate import EvaluationProgress
    from videoinr_cli.fitting.fit import FitProgress
    from videoinr_cli.shares import NodeShare
    from videoinr_cli.training.loop import TrainingProgress

FEW_NODES = 4
"""Nodes of a cluster that are told one by one while they work."""

WIDEST_BAR = 40
"""Columns of a bar at most; a third of a narrow window."""

SHORTEST_TITLE = 8
"""Columns that a title may have in any window; a third of a wide one."""

PLAIN_SECONDS = 10.0
"""Interval of plain lines where there is no live display."""


class _Display:
    """One bar with a line of figures, or plain lines of the same figures."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        # Long lines are broken by the terminal, so that a file's name can be copied from them.
        self.console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False, soft_wrap=True)
        self.title = self._named(title)
        self.live: Bar | None = None
        self.task: TaskID | None = None
        self.next_line = time.monotonic() + PLAIN_SECONDS
        if self.console.is_terminal and not quiet:
            bar = BarColumn(self._bar_columns)
            columns = (TextColumn("{task.description}"), bar, TextColumn("{task.fields[figures]}"))
            self.live = Bar(*columns, console=self.console, transient=True)
            self.task = self.live.add_task(self.title, visible=bool(title), total=None, figures="")

    def __enter__(self) -> _Display:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def show(self, fraction: float | None, figures: str, *, now: bool = False) -> None:
        """Show progress; without a live display, print a line every `PLAIN_SECONDS`, or `now`."""
        if self.live is not None and self.task is not None:
            total = None if fraction is None else 1.0
            room = self.console.width - self._bar_columns - Text.from_markup(self.title).cell_len - 2
            fitting = _fitting(figures, room)
            self.live.update(self.task, completed=fraction or 0.0, total=total, figures=fitting)
            if now:
                self.console.print(figures)
        elif now or time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + PLAIN_SECONDS
            share = "" if fraction is None else f"{fraction:4.0%}  "
            self.console.print(f"{self.title}  {share}{figures}")

    def restart(self, title: str) -> None:
        """Start over with another job."""
        self.title = self._named(title)
        if self.live is not None and self.task is not None:
            self.live.update(
                self.task, description=self.title, visible=True, completed=0.0, total=None, figures=""
            )

    @property
    def _bar_columns(self) -> int:
        return min(WIDEST_BAR, self.console.width // 3)

    def _named(self, title: str) -> str:
        """Return a title as markup, which a file's name with brackets is not; on a terminal, shortened."""
        text = Text(title)
        if self.console.is_terminal:
            text.truncate(max(SHORTEST_TITLE, self.console.width // 3), overflow="ellipsis")
        return text.markup

    def note(self, message: str) -> None:
        """Print a line above the bar."""
        self.console.print(escape(message))

    def error(self, message: str) -> None:
        """Print an error above the bar; quiet displays print it too."""
        if self.console.quiet:
            error_line(message)
        else:
            self.console.print(_as_error(message))


def _fitting(figures: str, columns: int) -> str:
    """Leave figures out until the others fit: those in the middle first, the last, what is left, never."""
    parts = figures.split("  ")
    while len(parts) > 1 and cell_len("  ".join(parts)) > columns:
        del parts[1 if len(parts) > 2 else 0]
    return "  ".join(parts)


class _VideosDisplay:
    """Shows the events of one or several videos."""

    def __init__(self, display: _Display, *, is_batch: bool, quiet: bool) -> None:
        self._display = display
        self._is_batch = is_batch
        self._quiet = quiet

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Start):
            place = f"[{event.index}/{event.count}] " if self._is_batch else ""
            self._display.restart(f"{place}{event.source.name}")
        elif isinstance(event, Progress):
            self._display.show(*_figures(event, is_batch=self._is_batch))
        elif isinstance(event, Error) and self._is_batch:  # a single video's error is printed by the caller
            self._display.error(_reason(event))
        elif isinstance(event, (Done, Skipped)) and not self._quiet:
            self._display.note(_outcome(event))
            if isinstance(event, Done) and event.nodes:
                self._display.note(f"nodes: {_shares(event.nodes)}")
        elif isinstance(event, End) and self._is_batch:
            self._sum_up(event)

    def _sum_up(self, end: End) -> None:
        """Print a summary; if quiet, only what an interruption left."""
        if end.left and (end.interrupted or not self._quiet):
            names = ", ".join(repr(str(source)) for source in end.left)
            self._display.error(f"not done: {names}")
        if not self._quiet:
            self._display.note(_totals(end))


def _figures(progress: Progress, *, is_batch: bool) -> tuple[float | None, str]:
    """Return the finished share of a video, and its figures as text."""
    elapsed = max(progress.elapsed_seconds, 1e-6)
    fresh = progress.frames - progress.frames_before  # rendered by this run
    speed = progress.seconds * fresh / max(1, progress.frames) / elapsed
    fraction = min(1.0, progress.seconds / progress.total_seconds) if progress.total_seconds else None
    total = "" if progress.total_frames is None else f"/{max(progress.total_frames, progress.frames)}"
    parts = [
        f"{progress.frames}{total} frames",
        pace(fresh / elapsed),
        f"{speed:.3f}x",
        _left(progress.left_seconds),
    ]
    if progress.nodes:
        parts.append(_at_work(progress.nodes))
    if is_batch:
        share = "" if progress.overall_fraction is None else f"{progress.overall_fraction:.0%}, "
        parts.append(f"all: {share}{_left(progress.overall_left_seconds)}")
    return fraction, "  ".join(parts)


def _at_work(nodes: Sequence[NodeShare]) -> str:
    """Say how many nodes are at work, and how fast each is if there are few."""
    under_way = sum(node.under_way for node in nodes)
    each = ", ".join(f"{node.node} {_pace(node)}" for node in nodes)
    few = f" ({each})" if len(nodes) <= FEW_NODES else ""
    return f"{counted(len(nodes), 'node')}, {counted(under_way, 'segment')} under way{few}"


def _pace(node: NodeShare) -> str:
    return pace(node.frames_per_second)


def _shares(nodes: Sequence[NodeShare]) -> str:
    """Say what each node has rendered."""
    total = max(1, sum(node.frames for node in nodes))
    return ", ".join(
        f"{node.node} {node.frames / total:.0%} ({counted(node.segments, 'segment')}, {_pace(node)})"
        for node in nodes
    )


def _reason(error: Error) -> str:
    named = any(name in error.message for name in (str(error.source), repr(str(error.source))))
    return error.message if named else f"{str(error.source)!r}: {error.message}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "? left"
    return f"{clock(seconds)} left" if seconds >= 0.5 else "finishing"


def _outcome(event: Done | Skipped) -> str:
    if isinstance(event, Skipped):
        return f"{event.destination}: exists, {str(event.source)!r} is skipped"
    parts = [
        "{}x{}".format(*event.size),
        f"{counted(event.frames_read, 'frame')} in",
        f"{event.frames_written} out",
        *([counted(event.cuts, "scene cut")] if event.cuts else []),
        f"{lasted(event.elapsed_seconds)} ({pace(event.frames_per_second)})",
        *([] if event.output_bytes is None else [size_of(event.output_bytes)]),
    ]
    return f"{event.destination}: {', '.join(parts)}"


def _totals(end: End) -> str:
    counts = {"done": end.done, "failed": end.failed, "skipped": end.skipped, "not done": len(end.left)}
    videos = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "done")
    if not end.frames_written:
        return videos
    rate = pace(end.frames_written / max(end.elapsed_seconds, 1e-6))
    return (
        f"{videos}: {counted(end.frames_written, 'frame')} in {lasted(end.elapsed_seconds)} ({rate}), "
        f"{size_of(end.output_bytes)}"
    )


@contextlib.contextmanager
def videos_display(*, is_batch: bool, quiet: bool) -> Iterator[Callable[[Event], None]]:
    """Show videos being rendered: frames, frames per second, speed relative to real time, time left.

    Args:
        is_batch: whether there may be several videos; if so, also show the time left for all, and a summary.
        quiet: whether to show only the failures of a batch.
    """
    with _Display("", quiet=quiet) as display:
        yield _VideosDisplay(display, is_batch=is_batch, quiet=quiet)


@contextlib.contextmanager
def measuring_display(source: Path, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show that a video is being measured, and how many frames have been rendered for that."""
    with _Display(f"measuring {source.name}", quiet=quiet) as display:
        yield lambda frames: display.show(None, counted(frames, "frame"))


@contextlib.contextmanager
def count_display(
    title: str, things: str = "pictures", *, quiet: bool
) -> Iterator[Callable[[int, int], None]]:
    """Show how many of some things are done."""
    with _Display(title, quiet=quiet) as display:
        yield lambda done, total: display.show(done / total, f"{done}/{total} {things}")


@contextlib.contextmanager
def training_display(
    *, quiet: bool
) -> Iterator[tuple[Callable[[TrainingProgress], None], Callable[[str], None]]]:
    """Show a training run: step, loss, learning rate, time left, PSNR on held-out footage; and its notes."""
    with _Display("training", quiet=quiet) as display:

        def update(progress: TrainingProgress) -> None:
            figures = (
                f"step {progress.step}  loss {progress.loss:.5f}  rate {progress.learning_rate:.1e}  "
                f"{progress.seconds / progress.step:.2f} s/step  {_rest_of(progress)} left"
            )
            if progress.validation is not None:
                given, between = progress.validation
                figures += f"  held out {given:.2f} / {between:.2f} dB"
            display.show(progress.fraction, figures, now=progress.validation is not None)

        yield update, display.note


def _rest_of(run: TrainingProgress | FitProgress) -> str:
    """Return how long the rest of a schedule takes."""
    return clock(run.seconds * (1 / run.fraction - 1) if run.fraction else 0.0)


@contextlib.contextmanager
def fit_display(title: str, *, quiet: bool) -> Iterator[Callable[[FitProgress], None]]:
    """Show a fit: steps, PSNR and bits per pixel of the best file so far, time left."""
    with _Display(title, quiet=quiet) as display:

        def update(progress: FitProgress) -> None:
            best = ""
            if progress.bits_per_pixel:
                best = f"best {progress.psnr:.2f} dB at {progress.bits_per_pixel:.3f} bits per pixel  "
            figures = f"step {progress.step}  loss {progress.loss:.4f}  {best}{_rest_of(progress)} left"
            display.show(progress.fraction, figures)

        yield update


@contextlib.contextmanager
def evaluation_display(*, quiet: bool) -> Iterator[Callable[[EvaluationProgress], None]]:
    """Show the evaluation of each method: frames, mean PSNR so far, time left."""
    with _Display("", quiet=quiet) as display:

        def update(progress: EvaluationProgress) -> None:
            if progress.frames == 0:
                display.restart(progress.method)
                return
            frames, total = progress.frames, progress.total_frames
            left = clock(max(0, total - frames) * progress.elapsed_seconds / frames)
            fraction = min(1.0, frames / max(1, total))
            display.show(fraction, f"{frames}/{total} frames  {progress.psnr:.2f} dB  {left} left")

        yield update


@contextlib.contextmanager
def download_display(title: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a download: megabytes so far, and per second."""
    with _Display(title, quiet=quiet) as display:
        start, first = time.monotonic(), 0

        def update(here: int, total: int | None) -> None:
            nonlocal start, first
            if first == 0:  # the part from an earlier run does not count for the speed
                start, first = time.monotonic(), here
            speed = (here - first) / max(time.monotonic() - start, 1e-6)
            whole = "" if total is None else f"/{total / 1e6:.1f}"
            display.show(
                here / total if total else None, f"{here / 1e6:.1f}{whole} MB  {speed / 1e6:.1f} MB/s"
            )

        yield update


def error_line(message: str) -> None:
    """Print an error on one line of stderr, in red on a terminal."""
    console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
    with contextlib.suppress(OSError):  # the terminal may be closed
        console.print(_as_error(message))


def _as_error(message: str) -> str:
    return f"[red]error:[/red] {escape(' '.join(message.split()))}"
