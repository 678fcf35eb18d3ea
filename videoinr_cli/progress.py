"""Show on stderr how far a job is: a live display on a terminal, plain lines elsewhere, nothing when quiet.

The only module that draws; jobs report to the callbacks that it hands out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

if TYPE_CHECKING:
    from videoinr_cli.evaluation.measure import FrameScore
    from videoinr_cli.pipeline import Progress as VideoProgress
    from videoinr_cli.training.loop import TrainingProgress

PLAIN_SECONDS = 10.0
"""How often a line is printed where no live display can be."""


class _Display:
    """One bar with a line of figures, or plain lines of the same figures."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False)
        self.title = escape(title)  # a file's name may hold brackets, which are markup to rich
        self.live: Progress | None = None
        self.task: TaskID | None = None
        self.next_line = time.monotonic() + PLAIN_SECONDS
        if self.console.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
            self.live = Progress(*columns, console=self.console, transient=True)
            self.task = self.live.add_task(self.title, total=None, figures="")

    def __enter__(self) -> _Display:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def show(self, fraction: float | None, figures: str, *, now: bool = False) -> None:
        """Show how far the job is; plain lines come every `PLAIN_SECONDS`, or `now`."""
        if self.live is not None and self.task is not None:
            total = None if fraction is None else 1.0
            self.live.update(self.task, completed=fraction or 0.0, total=total, figures=figures)
            if now:
                self.console.print(figures)
        elif now or time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + PLAIN_SECONDS
            share = "" if fraction is None else f"{fraction:4.0%}  "
            self.console.print(f"{self.title}  {share}{figures}", soft_wrap=True)

    def note(self, message: str) -> None:
        """Say something once, above the bar."""
        self.console.print(escape(message), soft_wrap=True)


@contextlib.contextmanager
def upscale_display(title: str, *, quiet: bool) -> Iterator[Callable[[VideoProgress], None]]:
    """Show a video's progress: frames, frames per second, speed against real time, time left."""
    with _Display(title, quiet=quiet) as display:

        def update(progress: VideoProgress) -> None:
            elapsed = max(progress.elapsed_seconds, 1e-6)
            fresh = progress.frames - progress.frames_before  # rendered by this run
            speed = progress.seconds * fresh / progress.frames / elapsed
            fraction, left = None, "?"
            if progress.total_seconds:
                fraction = min(1.0, progress.seconds / progress.total_seconds)
                left = clock(max(0.0, progress.total_seconds - progress.seconds) / max(speed, 1e-9))
            total = "" if progress.total_frames is None else f"/{progress.total_frames}"
            rate = fresh / elapsed
            display.show(
                fraction, f"{progress.frames}{total} frames  {rate:.2f} fps  {speed:.3f}x  {left} left"
            )

        yield update


@contextlib.contextmanager
def count_display(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how many pictures of how many are done."""
    with _Display(title, quiet=quiet) as display:
        yield lambda done, total: display.show(done / total, f"{done}/{total} pictures")


class _TrainingDisplay:
    def __init__(self, display: _Display) -> None:
        self._display = display
        self.note = display.note

    def update(self, progress: TrainingProgress) -> None:
        left = progress.seconds * (1 / progress.fraction - 1) if progress.fraction else 0.0
        figures = (
            f"step {progress.step}  loss {progress.loss:.5f}  rate {progress.learning_rate:.1e}  "
            f"{progress.seconds / progress.step:.2f} s/step  {clock(left)} left"
        )
        if progress.validation is not None:
            given, between = progress.validation
            figures += f"  held out {given:.2f} / {between:.2f} dB"
        self._display.show(progress.fraction, figures, now=progress.validation is not None)


@contextlib.contextmanager
def training_display(*, quiet: bool) -> Iterator[_TrainingDisplay]:
    """Show a training run: step, loss, learning rate, time left, PSNR on held-out footage when measured."""
    with _Display("training", quiet=quiet) as display:
        yield _TrainingDisplay(display)


@contextlib.contextmanager
def evaluation_display(
    title: str, total_frames: int, *, quiet: bool
) -> Iterator[Callable[[FrameScore], None]]:
    """Show how far the measuring of one method is: frames, their mean PSNR so far, time left."""
    started, frames, mean = time.monotonic(), 0, 0.0
    with _Display(title, quiet=quiet) as display:

        def update(score: FrameScore) -> None:
            nonlocal frames, mean
            frames += 1
            mean += (score.psnr - mean) / frames
            elapsed = time.monotonic() - started
            left = clock(max(0, total_frames - frames) * elapsed / frames)
            fraction = min(1.0, frames / max(1, total_frames))
            display.show(fraction, f"{frames}/{total_frames} frames  {mean:.2f} dB  {left} left")

        yield update


@contextlib.contextmanager
def download_display(title: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show how much of a file has come: megabytes, and how many come per second."""
    with _Display(title, quiet=quiet) as display:
        start, first = time.monotonic(), 0

        def update(here: int, total: int | None) -> None:
            nonlocal start, first
            if first == 0:  # what an earlier run had brought already tells nothing of the speed
                start, first = time.monotonic(), here
            speed = (here - first) / max(time.monotonic() - start, 1e-6)
            whole = "" if total is None else f"/{total / 1e6:.1f}"
            display.show(
                here / total if total else None, f"{here / 1e6:.1f}{whole} MB  {speed / 1e6:.1f} MB/s"
            )

        yield update


def error_line(message: str) -> None:
    """Print one line on stderr that says what went wrong, red on a terminal."""
    console = Console(stderr=True, highlight=False, emoji=False)
    console.print(f"[red]error:[/red] {escape(' '.join(message.split()))}", soft_wrap=True)


def clock(seconds: float) -> str:
    """Return H:MM:SS."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
