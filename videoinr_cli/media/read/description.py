"""ffmpeg's own description of an open file, for what PyAV has no attribute of."""

from __future__ import annotations

import re

import av
from av.container import InputContainer

_STREAM = re.compile(r"^ *Stream #0:(\d+)\b.*(?:\n(?! *Stream #).*)*", re.MULTILINE)


def describe_streams(container: InputContainer) -> dict[int, str]:
    """Return ffmpeg's lines about each stream, by its index.

    The first line is such as ``Stream #0:0[0x1](und): Video: h264 (High) yuv420p(tv, bt709, topleft), ...``,
    where the chroma location appears only at a verbose log level; metadata and side data follow.
    """
    text = _dumped(container)
    return {int(lines[1]): lines[0].lstrip() for lines in _STREAM.finditer(text)}


def streams_of_programs(container: InputContainer) -> list[set[int]]:
    """Return the streams of each program, such as a variant of HLS, by their indices."""
    parts = re.split(r"^ *((?:No )?Program)\b.*$", _dumped(container), flags=re.MULTILINE)[1:]
    programs = [text for head, text in zip(parts[::2], parts[1::2], strict=True) if head == "Program"]
    return [{int(lines[1]) for lines in _STREAM.finditer(program)} for program in programs]


def _dumped(container: InputContainer) -> str:
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    av.logging.set_libav_level(av.logging.VERBOSE)
    try:
        return str(container.dumps_format())  # type: ignore[attr-defined]
    finally:
        av.logging.set_libav_level(av.logging.INFO)
        av.logging.set_level(level)
