"""Text files as people write them, on Windows too: UTF-8 with or without a mark at its start, or UTF-16."""

from __future__ import annotations

import codecs


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
