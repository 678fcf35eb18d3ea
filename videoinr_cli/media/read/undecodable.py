"""Why no frame of a file can be decoded, where its own bytes tell more than the decoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_ANIMATED_WEBP = b"WEBPVP8X"
_ANIMATION = 2
"""Flag of an animation in the extended header. Source: RFC 9649, section 2.7."""

_ENCRYPTED = (b"encv", b"drmi")
"""Names of encrypted video in mp4's list of codecs.

Source: ISO/IEC 14496-12, section 8.12; Apple's FairPlay."""

_MOST_BYTES = 1 << 26
"""The most bytes of an index to look at."""


def reason_of(path: Path) -> str | None:
    """Return why the video in a file cannot be decoded, and the remedy; None: nothing special is known."""
    with contextlib.suppress(OSError), path.open("rb") as file:  # what has failed before is said instead
        head = file.read(21)
        if head[8:16] == _ANIMATED_WEBP and head[20] & _ANIMATION:
            return "it is an animated WebP, which ffmpeg does not read; convert it to APNG or GIF first"
        if any(name in index for index in _indices(file) for name in _ENCRYPTED):
            return "it is encrypted; only the programs that it was made for play it"
    return None


def _indices(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of an mp4's ``moov`` box, if there is one."""
    file.seek(0)
    while len(header := file.read(8)) == 8:
        size, name, begun = int.from_bytes(header[:4], "big"), header[4:], 8
        if size == 1:  # the real one follows
            size, begun = int.from_bytes(file.read(8), "big"), 16
        if size < begun or not name.isalnum():
            return
        if name == b"moov":
            yield file.read(min(size - begun, _MOST_BYTES))
            return
        file.seek(size - begun, 1)
