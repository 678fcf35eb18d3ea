"""What a person sees of a running job: a bar on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import re
import sys

import click
import pytest

from videoinr_cli import progress
from videoinr_cli.evaluation.measure import FrameScore
from videoinr_cli.pipeline import Progress
from videoinr_cli.progress import clock, error_line, evaluation_display, upscale_display

HALFWAY = Progress(frames=30, total_frames=60, seconds=1.0, total_seconds=2.0, elapsed_seconds=10.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.getvalue())


def take_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr; in the test itself, as pytest puts its own there before it."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
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
    with evaluation_display("bicubic+blend", 4, quiet=False) as update:
        for psnr in (20.0, 30.0):
            update(FrameScore("city", 0, 0, psnr, 0.5))
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("bicubic+blend   50%  2/4 frames  25.00 dB  0:00:0")


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
        update(Progress(5, None, 0.2, None, 1.0))
    assert capfd.readouterr().err == "in.mkv  5 frames  5.00 fps  0.200x  ? left\n"


def test_a_terminal_gets_a_bar_that_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = take_terminal(monkeypatch)
    with upscale_display("in.mp4", quiet=False) as update:
        update(HALFWAY)
    assert "30/60 frames  3.00 fps  0.100x  0:00:10 left" in terminal.text()
    assert "━" in terminal.text()
    assert terminal.getvalue().endswith("\x1b[2K"), "the line is erased"


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
