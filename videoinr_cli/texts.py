"""Text that people and shells read and write, on Windows too: files of it, and commands to copy."""

from __future__ import annotations

import codecs
import os
import re
import shlex
from collections.abc import Iterable

PLAIN_WORD = re.compile(r"[\w+./:=\\-]+")
"""Words that mean themselves in cmd and in PowerShell."""


def decoded(data: bytes, *, errors: str = "strict") -> str:
    """Return the text of a file.

    Args:
        data: the file's content.
        errors: what to do with bytes that are not UTF-8, as `bytes.decode` takes it.

    Raises:
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16.
    """
    if (encoding := _utf_16(data)) is not None:
        return data.decode(encoding, "replace" if errors == "surrogateescape" else errors)
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors)


def _utf_16(data: bytes) -> str | None:
    """Return which UTF-16 a text is in, by its mark or by the ends of its lines; None: it is none."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-16-le" if b"\n\0" in data else None  # of find -print0, such a name would end with a new line


def command_of(words: Iterable[str], *, windows: bool = os.name == "nt") -> str:
    """Return a command that a person can copy: its words, quoted where a shell would read them otherwise.

    Args:
        words: of the command.
        windows: whether it is for cmd and PowerShell, or else for a POSIX shell.
    """
    return " ".join(_double_quoted(word) if windows else shlex.quote(word) for word in words)


def _double_quoted(word: str) -> str:
    """Quote a word for both of Windows' shells; programs there read backslashes only before quotes."""
    if PLAIN_WORD.fullmatch(word):
        return word
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', word)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
