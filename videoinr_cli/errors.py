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


def is_expected(error: Exception) -> bool:
    """Whether an error is not a bug: one of the above, or a system error about a file."""
    return isinstance(error, VideoInrError) or (isinstance(error, OSError) and error.filename is not None)


def one_line(error: Exception) -> str:
    """Return any error as one line, whether or not it was raised on purpose."""
    if isinstance(error, OSError) and is_expected(error):
        return f"{str(error.filename)!r} cannot be used: {error.strerror}"
    return str(error) if is_expected(error) else f"unexpected {type(error).__name__}: {error}"
