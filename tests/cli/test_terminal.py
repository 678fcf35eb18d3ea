"""What a person sees at a terminal, byte by byte: runs of the command with a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeClip

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

COLUMNS = 100
STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]")
BAR = "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
ERASED = "\r\x1b[2K"

Watcher = Callable[[int, str], None]


def at_terminal(
    *arguments: object, columns: int = COLUMNS, watch: Watcher = lambda process, shown: None
) -> tuple[int, str]:
    """Run ``videoinr`` at a terminal of its own, and return its exit code and what it wrote.

    Args:
        arguments: of the command.
        columns: width of the terminal.
        watch: called with the process and what it has written so far, whenever it has written something.
    """
    process, ours = begun_at_terminal(*arguments, columns=columns)
    written = b""
    while True:
        try:
            new = os.read(ours, 65536)
        except OSError:  # Linux says so when the last process has closed the terminal
            break
        if not new:
            break
        written += new
        watch(process.pid, written.decode(errors="replace"))
    os.close(ours)
    return process.wait(timeout=60), STYLE.sub("", written.decode())


def begun_at_terminal(*arguments: object, columns: int = COLUMNS) -> tuple[subprocess.Popen[bytes], int]:
    """Start ``videoinr`` at a terminal of its own, which it controls, and return our end of that too."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def prepare() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)  # so that closing it sends SIGHUP
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # also in the background

    process = subprocess.Popen(
        [sys.executable, "-m", "videoinr_cli", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**_elsewhere(), "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"},
        preexec_fn=prepare,
    )
    os.close(theirs)
    return process, ours


def _elsewhere() -> dict[str, str]:
    """Return the environment without the size of the terminal that the tests run at."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


def lines_on(shown: str) -> list[str]:
    """Return the lines that stay on the screen, and check that no text shares one with a bar.

    Before each text, a bar is erased; what is overwritten in a line without that would stay visible.
    """
    kept = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        stretches = line.replace("\x1b[1A", "").replace("\x1b[2K", "\x00").split("\x00")
        for stretch in stretches:
            text = stretch.replace("\r", "")
            assert not (BAR in text and re.search("note:|warning:|error:|frames? in", text)), repr(line)
        last = stretches[-1].replace("\r", "")
        if last.strip() and BAR not in last:
            kept.append(last)
    return kept


@pytest.fixture
def options(weights: Path) -> list[object]:
    return ["--weights", weights, "--device", "cpu", "--scale", 2, "--preset", "ultrafast"]


def test_a_plain_run(make_clip: MakeClip, options: list[object], tmp_path: Path) -> None:
    source = make_clip("in.mkv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    code, shown = at_terminal("upscale", source, *options, "-o", tmp_path / "out.mkv")
    assert code == 0, shown
    assert BAR in shown
    (line,) = lines_on(shown)
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/out.mkv: 128x96, 10 frames in, 10 out, \S+( s)? \(\d.*\), .* kB", line
    )
    assert shown.endswith("\x1b[1A\x1b[2K"), "the bar is gone"


def test_notes_stand_above_the_bar(make_clip: MakeClip, options: list[object], tmp_path: Path) -> None:
    source = make_clip("in.mpg", "-flags", "+ildct+ilme", "-c:v", "mpeg2video", filters="interlace")
    code, shown = at_terminal("upscale", source, *options, "--fps", 5, "-o", tmp_path / "out.mkv")
    assert code == 0, shown
    lines = lines_on(shown)
    assert [line.partition(" ")[0] for line in lines[:-1]] == ["note:", "note:"]
    assert "is deinterlaced" in lines[0]
    assert "--fps 5x multiplies them" in lines[1]
    for line in lines:
        assert f"{ERASED}{line}\r\n" in shown or f"\n{line}\r\n" in shown, "it begins where a line begins"


def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(
    make_clip: MakeClip, options: list[object], tmp_path: Path
) -> None:
    source = make_clip("in.mkv", frames=100, size=(96, 80))
    command = ["upscale", source, *options, "--segment-seconds", 1, "-o", tmp_path / "out.mkv"]
    interrupted: list[str] = []

    def interrupt(process: int, shown: str) -> None:
        if not interrupted and re.search(r"[1-9]\d*/100 frames", shown):
            interrupted.append(shown)
            os.kill(process, signal.SIGINT)

    code, shown = at_terminal(*command, watch=interrupt)
    assert code == -signal.SIGINT, shown
    *_, finishing, last = lines_on(shown)
    assert finishing == "warning: finishing the current segment; press Ctrl-C again to stop at once"
    again = "run the same command again to go on"
    assert re.fullmatch(rf"error: interrupted: kept \d of 4 segments of '.*out.mkv'; {again}", last)
    code, shown = at_terminal(*command)
    assert code == 0, shown
    assert any(
        re.fullmatch("note: continuing: [1-3] of 4 segments are done", line) for line in lines_on(shown)
    )


def test_a_batch_tells_a_failure_once(make_clip: MakeClip, options: list[object], tmp_path: Path) -> None:
    sources = [make_clip(f"{name}.mkv", frames=2) for name in ("a", "c")]
    broken = tmp_path / "b.mkv"
    broken.write_bytes(b"not a video")
    code, shown = at_terminal(
        "upscale", sources[0], broken, sources[1], *options, "-o", f"{tmp_path / 'out'}/"
    )
    assert code == 1
    lines = [line for line in lines_on(shown) if not line.startswith("note:")]
    assert sum("b.mkv" in line for line in lines) == 1
    assert lines[0].startswith(f"error: '{broken}'")
    assert lines[-1].startswith("2 done, 1 failed: 4 frames in ")


def test_a_narrow_window_breaks_no_line(make_clip: MakeClip, options: list[object], tmp_path: Path) -> None:
    source = make_clip("a name that is long enough to fill the window alone.mkv", frames=6)
    command = ["upscale", source, *options, "--fps", 5, "-o", tmp_path / "out.mkv"]
    code, shown = at_terminal(*command, columns=32)
    assert code == 0, shown
    note = "note: --fps 5 makes 5 frames per second of the source's 25; --fps 5x multiplies them"
    assert note in lines_on(shown)
    for stretch in re.split(r"\x1b\[2K|\r\n", shown):
        if BAR in stretch:
            assert len(stretch.replace("\r", "")) <= 32, stretch


def test_a_terminal_that_closes_leaves_nothing_unfinished(
    make_clip: MakeClip, options: list[object], tmp_path: Path
) -> None:
    """Not even words that nobody can read: those of the videos that are left."""
    sources = [make_clip(f"{name}.mkv", frames=200) for name in ("a", "b")]
    out = tmp_path / "out"
    process, ours = begun_at_terminal("upscale", *sources, *options, "--json", "-o", f"{out}/")
    while b'"progress"' not in os.read(ours, 65536):
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert list(out.iterdir()) == []
