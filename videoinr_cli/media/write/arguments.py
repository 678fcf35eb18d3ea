"""Command lines of ffmpeg-python with names of any bytes, of which it takes only those that are UTF-8.

Knows nothing of what the arguments mean.
"""

from __future__ import annotations

import os

import ffmpeg

_STANDS_FOR = "bytes-in-hexadecimal:"


def utf8(name: str) -> str:
    """Return what stands for a name, or is it, until `arguments_of` puts it back.

    Python has in a name a lone surrogate for each byte that is no UTF-8; ffmpeg-python hashes names as UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return _STANDS_FOR + os.fsencode(name).hex()
    return name


def arguments_of(output: ffmpeg.nodes.OutputStream) -> list[str]:
    """Return ffmpeg's arguments, without the program, with every name as it was."""
    return [_original(argument) for argument in ffmpeg.get_args(output)]


def _original(argument: str) -> str:
    if not argument.startswith(_STANDS_FOR):
        return argument
    return os.fsdecode(bytes.fromhex(argument.removeprefix(_STANDS_FOR)))
