"""What a person sees of a running job: a bar on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from videoinr_cli import progress
from videoinr_cli.batch.events import Done, End, Error, Event, Progress, Skipped, Start
from videoinr_cli.evaluation.evaluate import EvaluationProgress
from videoinr_cli.progress import error_line, evaluation_display, videos_display
from videoinr_cli.quantities import clock, exact_clock, pace, roughly, size_of

HALFWAY = Progress(
    index=2,
    count=3,
    source=Path("in.mp4"),
    frames=30,
    frames_before=0,
    total_frames=60,
    seconds=1.0,
    total_seconds=2.0,
    elapsed_seconds=10.0,
    left_seconds=10.0,
    overall_fraction=0.5,
    overall_left_seconds=20.0,
)


def start_of(name: str) -> Start:
    return Start(
        index=2,
        count=3,
        source=Path("folder") / name,
        destination=Path("out.mp4"),
        source_size=(64, 48),
        size=(128, 96),
        source_fps=25.0,
        fps=None,
        frames=60,
        seconds=2.0,
        model="clean",
        strength=None,
    )


@contextlib.contextmanager
def upscale_display(name: str, *, quiet: bool = False) -> Iterator[Callable[[Event], None]]:
    """Show the second of three videos, but for itself."""
    with videos_display(is_batch=False, quiet=quiet) as show:
        show(start_of(name))
        yield show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.getvalue())


def take_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 120) -> Terminal:
    """Put a terminal in the place of stderr; in the test itself, as pytest puts its own there before it."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    return screen


def test_plain_lines_hold_all_figures(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("in.mp4", quiet=False) as update:
        update(HALFWAY)
    assert capfd.readouterr() == ("", "in.mp4   50%  30/60 frames  3.00 fps  0.100x  0:00:10 left\n")


def test_measuring_shows_the_mean_so_far(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with evaluation_display(quiet=False) as update:
        for frames, psnr in ((0, 0.0), (1, 20.0), (2, 25.0)):
            update(EvaluationProgress("bicubic+blend", frames, 4, psnr, elapsed_seconds=6.0 * frames))
    assert capfd.readouterr().err.splitlines() == [
        "bicubic+blend   25%  1/4 frames  20.00 dB  0:00:18 left",
        "bicubic+blend   50%  2/4 frames  25.00 dB  0:00:12 left",
    ]


def test_plain_lines_are_few(capfd: pytest.CaptureFixture[str]) -> None:
    with upscale_display("in.mp4", quiet=False) as update:
        for _ in range(100):
            update(HALFWAY)
    assert capfd.readouterr().err == ""


def test_a_source_of_unknown_length_has_no_share_and_no_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("in.mkv", quiet=False) as update:
        update(
            dataclasses.replace(
                HALFWAY,
                frames=5,
                total_frames=None,
                seconds=0.2,
                total_seconds=None,
                elapsed_seconds=1.0,
                left_seconds=None,
            )
        )
    assert capfd.readouterr().err == "in.mkv  5 frames  5.00 fps  0.200x  ? left\n"


def test_a_terminal_gets_a_bar_that_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch)
    with upscale_display("in.mp4", quiet=False) as update:
        update(HALFWAY)
    assert "30/60 frames  3.00 fps  0.100x  0:00:10 left" in terminal.text()
    assert "━" in terminal.text()
    assert terminal.getvalue().endswith("\x1b[2K"), "the line is erased"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (60, "in.mp4 ━━━━━━━━━━╺━━━━━━━━━ 30/60 frames  0:00:10 left"),
        (42, "in.mp4 ━━━━━━━╺━━━━━━ 0:00:10 left"),
        (20, "in.mp4  0:00:10 left"),
    ],
)
def test_a_narrow_window_shows_the_time_left(
    columns: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = take_terminal(monkeypatch, columns)
    with upscale_display("in.mp4") as update:
        update(HALFWAY)
    assert shown in terminal.text()


def test_a_long_name_leaves_room_for_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch, 60)
    with upscale_display("a [very] long name of a recording.mp4") as update:
        update(HALFWAY)
    assert re.search(r"a \[very\] long name … ━+╺━+ 0:00:10 left", terminal.text())


def test_a_name_in_wide_letters_is_shortened_by_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch, 60)
    with upscale_display("長い録画の名前の例です.mp4") as update:  # 26 columns, of which 20 are for names
        update(HALFWAY)
    assert re.search(r"長い録画の名前の例 … ━+╺━+ 0:00:10 left", terminal.text())


def test_messages_appear_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch)
    with upscale_display("in.mp4", quiet=False) as update:
        update(HALFWAY)
        click.echo("warning: left out", err=True)
        update(HALFWAY)
    assert "\x1b[2Kwarning: left out\n" in terminal.getvalue(), "on a line from which the bar was erased"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_quiet_is_silent(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    screen = take_terminal(monkeypatch) if is_terminal else io.StringIO()
    with upscale_display("in.mp4", quiet=True) as update:
        update(HALFWAY)
    assert screen.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_names_are_shown_as_they_are(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets and colons mean colours and emoji to rich."""
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("[red]:smile:.mp4", quiet=False) as update:
        update(HALFWAY)
    error_line("no '[/bold]:smile:.mp4'")
    shown = capfd.readouterr().err.splitlines()
    assert shown[0].startswith("[red]:smile:.mp4   50%")
    assert shown[1] == "error: no '[/bold]:smile:.mp4'"


def test_errors_are_one_line_and_red_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch)
    error_line("first\n  second " + "long " * 100)
    assert "\x1b[31merror:\x1b[0m first second long" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3599, "0:59:59"), (360000, "100:00:00")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00:00.000"), (70.5, "0:01:10.500"), (59.9999, "0:01:00.000"), (36000.25, "10:00:00.250")],
)
def test_exact_clock(seconds: float, shown: str) -> None:
    assert exact_clock(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_about_how_long(seconds: float, shown: str) -> None:
    assert roughly(seconds) == shown


DONE = Done(
    index=1,
    count=3,
    source=Path("a.mp4"),
    destination=Path("out/a.mp4"),
    source_size=(64, 48),
    size=(128, 96),
    frames_read=10,
    frames_written=20,
    frames_before=0,
    cuts=1,
    elapsed_seconds=4.0,
    frames_per_second=5.0,
    output_bytes=1_234_567,
    notes=(),
)
END = End(
    done=1,
    skipped=1,
    failed=1,
    left=(),
    interrupted=False,
    frames_written=20,
    output_bytes=1_234_567,
    elapsed_seconds=4.0,
)


def test_a_batch_shows_its_place_and_the_time_for_all(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with videos_display(is_batch=True, quiet=False) as show:
        show(start_of("in.mp4"))
        show(HALFWAY)
        show(dataclasses.replace(HALFWAY, overall_fraction=None, overall_left_seconds=None))
    shown = capfd.readouterr().err.splitlines()
    figures = "[2/3] in.mp4   50%  30/60 frames  3.00 fps  0.100x  0:00:10 left"
    assert shown == [f"{figures}  all: 50%, 0:00:20 left", f"{figures}  all: ? left"]


def test_a_batch_ends_with_what_failed_and_the_sums(capfd: pytest.CaptureFixture[str]) -> None:
    failed = Error(2, 3, Path("b.mp4"), None, "FfmpegError", "no space is left")
    with videos_display(is_batch=True, quiet=False) as show:
        for event in (DONE, failed, Skipped(3, 3, Path("c.mp4"), Path("out/c.mp4")), END):
            show(event)
    assert capfd.readouterr().err.splitlines() == [
        "out/a.mp4: 128x96, 10 frames in, 20 out, 1 scene cut, 4.0 s (5.00 fps), 1.2 MB",
        "error: 'b.mp4': no space is left",
        "out/c.mp4: exists, 'c.mp4' is skipped",
        "1 done, 1 failed, 1 skipped: 20 frames in 4.0 s (5.00 fps), 1.2 MB",
    ]


def test_a_quiet_batch_says_what_failed_and_what_an_interruption_left(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with videos_display(is_batch=True, quiet=True) as show:
        show(DONE)
        show(Error(2, 3, Path("b.mp4"), None, "InputError", "'b.mp4' is empty"))
        show(dataclasses.replace(END, left=(Path("c.mp4"), Path("d.mp4")), interrupted=True))
    assert capfd.readouterr().err.splitlines() == [
        "error: 'b.mp4' is empty",
        "error: not done: 'c.mp4', 'd.mp4'",
    ]


def test_figures_that_are_no_sentence_without_care(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("in.mp4") as update:
        update(dataclasses.replace(HALFWAY, frames=1, elapsed_seconds=40.0))
        update(dataclasses.replace(HALFWAY, frames=60, seconds=2.0, left_seconds=0.0))
        update(dataclasses.replace(DONE, frames_read=1, cuts=0, elapsed_seconds=40.0, frames_per_second=0.02))
    first, last, done = capfd.readouterr().err.splitlines()
    assert "1/60 frames  40.0 s/frame" in first
    assert last.endswith("0.200x  finishing")
    assert done == "out/a.mp4: 128x96, 1 frame in, 20 out, 0:00:40 (50.0 s/frame), 1.2 MB"


def test_what_an_earlier_run_rendered_is_not_this_one_s_speed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("in.mp4") as update:
        update(dataclasses.replace(HALFWAY, frames_before=20))
    assert "30/60 frames  1.00 fps  0.033x" in capfd.readouterr().err


def test_more_frames_than_the_file_told_of(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with upscale_display("in.mp4") as update:
        update(dataclasses.replace(HALFWAY, frames=61, seconds=2.03, left_seconds=0.0))
    assert "100%  61/61 frames" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (2_500_000_000_000, "2.5 TB"),
    ],
)
def test_size(size_bytes: int, shown: str) -> None:
    assert size_of(size_bytes) == shown


def test_a_slow_pace_is_told_in_seconds_for_each_frame() -> None:
    assert [pace(fps) for fps in (0.0, 0.1, 24.0, 0.02)] == [
        "0.00 fps",
        "0.10 fps",
        "24.00 fps",
        "50.0 s/frame",
    ]
