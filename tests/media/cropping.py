"""Let a Matroska file ask for its pictures to be cropped, as ffmpeg has no option to."""

from __future__ import annotations

from pathlib import Path

VIDEO = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
"""Segment, Tracks, the first track, and what it says of its video."""

BOTTOM, TOP, LEFT, RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD


def crop_matroska(path: Path, *, top: int, bottom: int, left: int, right: int) -> None:
    """Add the PixelCrop elements, of less than 256 pixels each, to a file written with ``-write_crc32 0``."""
    content = bytearray(path.read_bytes())
    sides = {BOTTOM: bottom, TOP: top, LEFT: left, RIGHT: right}
    added = b"".join(name.to_bytes(2, "big") + bytes([0x81, pixels]) for name, pixels in sides.items())
    begin, sizes = 0, []
    for wanted in VIDEO:
        while True:
            name, start = _number(content, begin, keep_marker=True)
            size, inner = _number(content, start)
            if name == wanted:
                break
            begin = inner + size
        sizes.append((start, inner, size))
        begin = inner
    content[inner + size : inner + size] = added
    for start, inner, size in sizes:
        marked = size + len(added) | 1 << 7 * (inner - start)
        content[start:inner] = marked.to_bytes(inner - start, "big")
    path.write_bytes(content)


def _number(content: bytearray, start: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Return the EBML number at a place, and where it ends."""
    end = start + 9 - content[start].bit_length()
    number = int.from_bytes(content[start:end], "big")
    return number if keep_marker else number & ~(1 << 7 * (end - start)), end
