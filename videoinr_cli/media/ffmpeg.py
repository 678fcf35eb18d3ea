"""Find the ffmpeg program, run it, and turn each of its failures into one line.

Command lines are built elsewhere.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import IO, Any

from videoinr_cli.errors import FfmpegError
from videoinr_cli.threads import Task, run_beside

LAST_LINES = 4
"""Lines of ffmpeg's standard error at the end of an error message, at most."""

LOG_LEVEL = ("-loglevel", "level+warning")
"""Options by which ffmpeg prints only warnings and errors, each with its level."""

NICENESS = 10
"""Added to the niceness of a process with low priority."""

PATIENCE_SECONDS = 5.0
"""How long ffmpeg may take to end once its input is closed."""

ANSWER_SECONDS = 20.0
"""How long it may take to describe itself, which takes a few hundredths of a second on an idle machine."""

OLDEST = "5.1"
"""The oldest ffmpeg that has every option in use; ``fps_mode`` is new in it."""

OLDEST_LIBAVCODEC = (59, 37)
"""Its libavcodec's version, by which builds without a version number tell their age."""

EXACT = 7
"""The first ffmpeg that writes all times as they are meant, and that takes bitstream filters for inputs.

Of 5.1 was measured: sound of MPEG-TS that begins 0.2 s after the picture may come with it. Its other habits
are made up for: bitstream filters get times in the container's ticks, and Opus comes early in Matroska."""

EXACT_LIBAVCODEC = (61, 0)

_ADDRESS = re.compile(r" @ 0x[0-9a-f]+(?=\])")
_FAILURE = re.compile(r"\[(error|fatal)\] ?")
_ECHOES = re.compile(r"Task finished|Terminating thread|Nothing was written|Error while|Conversion failed")
"""Lines that follow any failure without telling its cause."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a job asks of an ffmpeg that not every one has, apart from `EXACT`."""

    encoders: tuple[str, ...] = ()  # ffmpeg's names
    hdr10: bool = False  # HDR10's metadata for any encoder, as since ffmpeg 9


NOTHING_SPECIAL = Needs()


@dataclasses.dataclass(frozen=True)
class Build:
    """What an ffmpeg says about itself."""

    version: str  # as it is printed
    libavcodec: tuple[int, int]  # the library's version
    encoders: frozenset[str]  # of video, sound and subtitles

    @property
    def is_recent(self) -> bool:
        """Whether it is `OLDEST` or newer."""
        return self.libavcodec >= OLDEST_LIBAVCODEC

    @property
    def is_exact(self) -> bool:
        """Whether it is `EXACT` or newer."""
        return self.libavcodec >= EXACT_LIBAVCODEC


@functools.cache
def describe(program: str) -> Build:
    """Ask an ffmpeg what it is, once, by one process; one that cannot be run is older than any."""
    encoders, banner = _printed(program, "-encoders")
    if "libavcodec" not in banner:  # as from a script that runs ffmpeg with -hide_banner
        banner, _ = _printed(program, "-version")
    version = re.search(r"^ffmpeg version (\S+)", banner, re.MULTILINE)
    libavcodec = re.search(r"^ *libavcodec +(\d+)\. *(\d+)", banner, re.MULTILINE)
    return Build(
        version=version[1] if version else "unknown",
        libavcodec=(int(libavcodec[1]), int(libavcodec[2])) if libavcodec else (0, 0),
        encoders=frozenset(re.findall(r"^ [VAS]\S{5} (\S+) ", encoders, re.MULTILINE)),
    )


@functools.cache
def find_ffmpeg(needs: Needs = NOTHING_SPECIAL) -> str:
    """Return the ffmpeg to run: FFMPEG_PATH, else the one on PATH or imageio-ffmpeg's.

    The one on PATH comes first, unless it is older than `OLDEST` or lacks more of what is needed.

    Raises:
        FfmpegError: FFMPEG_PATH is not a program or too old a one, or there is no ffmpeg at all.
    """
    chosen = os.environ.get("FFMPEG_PATH")
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise FfmpegError(f"FFMPEG_PATH is {chosen!r}, which is not a program; correct it or unset it")
        if not describe(found).is_recent:
            raise FfmpegError(
                f"FFMPEG_PATH is {chosen!r}, which is not ffmpeg {OLDEST} or later; correct it or unset it"
            )
        return found
    on_path = shutil.which("ffmpeg")
    is_usable = on_path is not None and describe(on_path).is_recent
    if on_path is not None and is_usable and not lacks(on_path, needs):
        return on_path
    bundled = _bundled()
    if on_path is not None and is_usable:
        return min(filter(None, (on_path, bundled)), key=lambda program: _shortcomings(program, needs))
    if bundled is None:
        raise FfmpegError(f"no ffmpeg {OLDEST} or later was found; install it, or set FFMPEG_PATH to one")
    return bundled


def _shortcomings(program: str, needs: Needs) -> tuple[int, int]:
    """Return how many of the needed encoders an ffmpeg lacks, then how much of all that is needed."""
    return len(_missing_encoders(program, needs)), len(lacks(program, needs))


def _missing_encoders(program: str, needs: Needs) -> list[str]:
    return [name for name in needs.encoders if name not in describe(program).encoders]


def lacks(program: str, needs: Needs) -> tuple[str, ...]:
    """Return what an ffmpeg lacks of what is needed, for people: encoders first."""
    missing = _missing_encoders(program, needs)
    if needs.hdr10 and not knows_option(program, "mastering_display"):
        missing.append("HDR10's metadata with every encoder (since 9)")
    if not describe(program).is_exact:
        missing.append(f"exact times (since {EXACT})")
    return tuple(missing)


def found_on_path() -> str | None:
    """Return the ffmpeg on PATH, which is run unless another suits better; None if FFMPEG_PATH names one."""
    return None if os.environ.get("FFMPEG_PATH") else shutil.which("ffmpeg")


def _bundled() -> str | None:
    """Return imageio-ffmpeg's program, if it has one for this system."""
    import imageio_ffmpeg  # only where it is asked for

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return None


def passed_over() -> str | None:
    """Return the ffmpeg on PATH if it is too old to be used, else None."""
    on_path = found_on_path()
    return None if on_path is None or describe(on_path).is_recent else on_path


def knows_option(program: str, option: str) -> bool:
    """Whether an ffmpeg knows an option, such as ``mastering_display`` since ffmpeg 9."""
    listed, _ = _printed(program, "-h", "long")
    return re.search(rf"^-{option}\b", listed, re.MULTILINE) is not None


def check_filters_input(program: str, path: str) -> None:
    """Check that an ffmpeg takes bitstream filters for inputs, as ffmpeg 7 (libavcodec 61) and later do.

    Args:
        program: the ffmpeg.
        path: the file that needs them.

    Raises:
        FfmpegError: it is older.
    """
    if not describe(program).is_exact:
        bundled = _bundled()
        raise FfmpegError(
            f"{path!r} consists of several recordings: only ffmpeg 7 or later keeps their sound in sync, "
            f"and {program} is older; set FFMPEG_PATH to a newer one"
            + (f", such as {bundled}" if bundled and bundled != program else "")
        )


@functools.cache
def _printed(program: str, *options: str) -> tuple[str, str]:
    """Return what a program prints to standard output and to standard error; "" if it cannot be run."""
    try:
        done = subprocess.run(
            [program, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    return done.stdout, done.stderr


_KILLERS = {
    "SIGXFSZ": ", as its output exceeds the largest file that is allowed here (ulimit -f)",
    "SIGXCPU": ", as it has used the processor time that is allowed here (ulimit -t)",
    "SIGKILL": ", perhaps by the system for lack of memory",
}
"""Why the system ends a program by a signal."""


class FfmpegProcess:
    """An ffmpeg that reads what is written to its standard input.

    A thread reads its standard error all the time; a full pipe would block both sides.
    """

    def __init__(
        self,
        program: str,
        arguments: list[str],
        *,
        to_standard_output: bool = False,
        low_priority: bool = False,
    ) -> None:
        """Start ffmpeg.

        Args:
            program: the ffmpeg.
            arguments: its command line.
            to_standard_output: whether its standard output is ours.
            low_priority: whether it yields busy processors to others.

        Raises:
            FfmpegError: the system refuses to run it.
        """
        try:
            self._process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.PIPE,
                stdout=None if to_standard_output else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                **_apart(low_priority=low_priority),
            )
        except OSError as error:
            raise FfmpegError(f"ffmpeg at {program} cannot be run: {error.strerror}") from error
        if low_priority and hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):  # it has ended already, which later calls find out
                niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
                os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)
        assert self._process.stdin is not None
        self.stdin: IO[bytes] = self._process.stdin
        self._lines: collections.deque[str] = collections.deque(maxlen=8 * LAST_LINES)
        try:
            self._drain: Task = run_beside(self._read_lines)
        except BaseException:
            self.kill()
            self._close_input()
            raise

    def finish(self) -> None:
        """Close ffmpeg's input, and wait until it has written everything.

        Raises:
            FfmpegError: it failed; the message ends with the last lines it printed.
        """
        self._close_input()
        code = self._process.wait()
        self._drain.wait()
        if code:
            raise self.failure()

    def failure(self) -> FfmpegError:
        """Wait for an ffmpeg that ended early or failed, and return its error."""
        self._close_input()
        try:
            how = _ending(self._process.wait(PATIENCE_SECONDS))
        except subprocess.TimeoutExpired:
            how = "stopped reading"
        self.stop()
        causes = [line for line in self._lines if _FAILURE.search(line)] or list(self._lines)
        printed = " | ".join(_FAILURE.sub("", line) for line in causes[-LAST_LINES:])
        is_told = any(how.endswith(why) for why in _KILLERS.values())
        said = f": {printed}" if printed else "" if is_told else ": it printed nothing"
        if os.strerror(errno.ENOSPC) in printed:
            said += "; make room, and run the command again"
        return FfmpegError(f"ffmpeg {how}{said}")

    def kill(self) -> None:
        """Kill ffmpeg; its input stays open, but nothing reads it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Kill ffmpeg if it still runs, and release its pipes and its thread."""
        self.kill()
        self._close_input()
        self._drain.wait()

    def _close_input(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # ffmpeg has ended: its exit code says why
            self.stdin.close()

    def _read_lines(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(MemoryError), self._process.stderr as stderr:  # lines are not worth failing
            for line in stderr:
                text = _ADDRESS.sub("", line.decode(errors="replace")).strip()
                if text and not _ECHOES.search(text):
                    self._lines.append(text)


def _apart(*, low_priority: bool) -> dict[str, Any]:
    """Return `Popen`'s arguments for a program that Ctrl-C in our terminal does not reach: we handle it.

    It stays in our session where possible: Linux weighs priorities within a session (sched_autogroup).
    """
    if sys.platform == "win32":
        priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | priority}
    return {"process_group": 0} if sys.version_info >= (3, 11) else {"start_new_session": True}


def _ending(code: int) -> str:
    """Say how a program ended, by its exit code."""
    if code >= 0:
        return f"failed with code {code}"
    name = signal.Signals(-code).name
    return f"was killed by {name}{_KILLERS.get(name, '')}"
