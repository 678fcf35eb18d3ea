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

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator


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


@contextlib.contextmanager
def writing(path: os.PathLike[str]) -> Iterator[None]:
    """Turn an error of the system while a file is written into one that names the file.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)!r}: {error.strerror or error}") from error


_SHORTAGES = {
    errno.EAGAIN: "no process or thread can begin; end other programs, or raise the limits (ulimit -u, -v)",
    errno.ENOMEM: "memory ran out; end other programs, or raise the limit (ulimit -v)",
    errno.EMFILE: "too many files are open; raise their limit (ulimit -n)",
    errno.ENFILE: "too many files are open in the system; end other programs",
    errno.ENOSPC: "the disk is full; make room, and run the command again",
    errno.EDQUOT: "your quota of the disk is used up; make room, and run the command again",
    errno.EFBIG: "a file would be larger than is allowed; raise the limit (ulimit -f)",
    errno.EIO: "a disk or a terminal does not respond (input/output error)",
}
"""What the system refuses, by its number of the error, and what to do about it in any command."""


SHORTAGE = re.compile(
    r"out of memory|(not enough|can.t allocate|cannot allocate) memory|bad_alloc|ALLOC(ATION)?_FAILED"
    r"|could not create a (primitive|memory)"  # oneDNN, where there is no room for its code or its scratch
    r"|can't start new thread"  # Python, where there is no room for its stack
    r"|failed to map segment",  # the system's loader, where a library does not fit
    re.IGNORECASE,
)
"""Matches out-of-memory messages of allocators, CUDA's libraries, oneDNN, Python and the system's loader."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: libraries have many for it.

    A library that raises nothing where it should, which Python calls a SystemError, has had no memory for
    that where the address space is limited.
    """
    if isinstance(error, SystemError):
        return _is_limited()
    by_text = isinstance(error, (RuntimeError, ImportError)) and SHORTAGE.search(str(error)) is not None
    return by_text or isinstance(error, MemoryError)


def _is_limited() -> bool:
    """Whether there is a limit on the address space (``ulimit -v``)."""
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def is_expected(error: Exception) -> bool:
    """Whether an error is not a bug: one of the above, or one of the system about a file or a shortage."""
    if is_out_of_memory(error):
        return True
    if isinstance(error, OSError):
        return error.filename is not None or error.errno in _SHORTAGES
    return isinstance(error, VideoInrError)


def one_line(error: Exception) -> str:
    """Return any error as one line, whether or not it was raised on purpose."""
    if is_out_of_memory(error):
        return _SHORTAGES[errno.ENOMEM]
    if isinstance(error, OSError) and error.errno in _SHORTAGES and _is_about_no_file(error):
        return _SHORTAGES[error.errno]
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)!r} is too long for the name of a file; choose a shorter one"
    if isinstance(error, OSError) and is_expected(error):
        return f"{str(error.filename)!r} cannot be used: {error.strerror}"
    return str(error) if is_expected(error) else f"unexpected {type(error).__name__}: {error}"


def _is_about_no_file(error: OSError) -> bool:
    """Whether it names no file; PyAV names its functions, where threads or memory are missing."""
    return error.filename is None or error.errno in (errno.EAGAIN, errno.ENOMEM)
