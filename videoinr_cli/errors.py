"""Every error that this package raises on purpose, and how to print any error on one line.

    VideoInrError
    ├── OptionError     an option's value makes no sense (the CLI exits with 2)
    ├── InputError      a source cannot be read: missing, no video in it, damaged
    ├── OutputError     a destination cannot be written, or exists already
    ├── WeightsError    a weights file is missing or damaged, or does not fit its network
    ├── FfmpegError     ffmpeg is missing or failed; carries the last lines it printed
    └── MemoryLimitError    a frame does not fit in memory at the smallest chunk

A message is one line: what failed, the value, and what to do about it. Only the command line turns errors
into exit codes.
"""

from __future__ import annotations

import errno
import re


class VideoInrError(Exception):
    """Base of every error raised on purpose by this package."""


class OptionError(VideoInrError):
    """An option's value makes no sense."""


class InputError(VideoInrError):
    """A source cannot be used."""


class OutputError(VideoInrError):
    """A destination cannot be written."""


class WeightsError(VideoInrError):
    """A weights file cannot be used."""


class FfmpegError(VideoInrError):
    """ffmpeg is missing or failed."""


class MemoryLimitError(VideoInrError):
    """A frame does not fit in memory even in the smallest chunks."""


_SHORTAGES = {
    errno.EAGAIN: "no process can be started; end other programs, or raise the limits (ulimit -u, -v)",
    errno.ENOMEM: "memory ran out; end other programs, lower --max-memory, or raise the limit (ulimit -v)",
    errno.EMFILE: "too many files are open; raise their limit (ulimit -n)",
    errno.ENFILE: "too many files are open in the system; end other programs",
    errno.ENOSPC: "the disk is full; make room, and run the command again",
    errno.EDQUOT: "your quota of the disk is used up; make room, and run the command again",
    errno.EFBIG: "a file would be larger than is allowed; raise the limit (ulimit -f)",
    errno.EIO: "a disk or a terminal does not respond (input/output error)",
}
"""What the system refuses, by its number of the error, and what to do about it."""


_NO_ROOM = re.compile("failed to map segment|cannot allocate memory", re.IGNORECASE)
"""Matches what the system's loader says where a library does not fit in memory."""


def is_expected(error: Exception) -> bool:
    """Whether an error is not a bug: one of the above, or one of the system about a file or a shortage."""
    if isinstance(error, ImportError):
        return _NO_ROOM.search(str(error)) is not None
    if isinstance(error, OSError):
        return error.filename is not None or error.errno in _SHORTAGES
    return isinstance(error, (VideoInrError, MemoryError))


def one_line(error: Exception) -> str:
    """Return any error as one line, whether or not it was raised on purpose."""
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and is_expected(error)):
        return _SHORTAGES[errno.ENOMEM]
    if isinstance(error, OSError) and error.filename is None and error.errno in _SHORTAGES:
        return _SHORTAGES[error.errno]
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)!r} is too long for the name of a file; choose a shorter one with -o"
    if isinstance(error, OSError) and is_expected(error):
        return f"{str(error.filename)!r} cannot be used: {error.strerror}"
    return str(error) if is_expected(error) else f"unexpected {type(error).__name__}: {error}"
