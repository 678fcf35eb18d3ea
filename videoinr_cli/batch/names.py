"""The names of several outputs: a pattern such as ``{stem}_{height}p{ext}``, filled in for each source."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path, PurePath

from videoinr_cli.batch.sources import Source
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.media.images import is_pattern
from videoinr_cli.media.write.containers import AVI, container_for
from videoinr_cli.options import UpscaleOptions

DEFAULT_NAME = "{stem}{ext}"

FALLBACK_SUFFIX = ".mkv"
"""Extension of an output where the source's container cannot be written: Matroska holds any codec."""

FIELDS = ("stem", "ext", "parent", "width", "height", "fps", "index")


@dataclasses.dataclass(frozen=True)
class NamePattern:
    """Names outputs after their sources.

    ``stem`` is the source's name without its extension, ``ext`` the extension (`FALLBACK_SUFFIX` where that
    cannot be written), ``parent`` the name of its folder; ``width``, ``height`` and ``fps`` are the output's,
    and ``index`` counts the sources from 1. Values take Python's formats: ``{index:03}``. Folders in a
    pattern are created.

    Raises:
        OptionError: the pattern has an unknown field, an unsuitable format, or leads out of the folder.
    """

    text: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(self.text) if field is not None]
        except ValueError as error:
            raise OptionError(f"name pattern {self.text!r}: {error}; try {DEFAULT_NAME!r}") from error
        for field in fields:
            if field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise OptionError(
                    f"name pattern {self.text!r} has an unknown field {{{field}}}; there are {known}"
                )
        path = PurePath(self._filled(stem="a", ext=".mkv", parent="b", width=1, height=1, fps="1", index=1))
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise OptionError(f"name pattern {self.text!r} leads out of the output's folder")

    def suffix(self, source: Path) -> str:
        """Return the extension of a source's output, which names its container."""
        return _own_suffix(source) if self.text.endswith("{ext}") else PurePath(self.text).suffix

    def name(self, source: Source, size: tuple[int, int], rate: Fraction, index: int) -> Path:
        """Return the output's name within the folder of outputs.

        Args:
            source: the video.
            size: (width, height) of the output, in pixels.
            rate: of the output, in frames per second.
            index: of the source, from 1.
        """
        path = source.path
        name = self._filled(
            stem=path.name if path.is_dir() else path.stem,
            ext=_own_suffix(path),
            parent=path.parent.resolve().name,
            width=size[0],
            height=size[1],
            fps=f"{float(rate):.2f}".rstrip("0").rstrip("."),
            index=index,
        )
        return source.folder / name

    def _filled(self, **values: str | int) -> str:
        try:
            return self.text.format(**values)
        except ValueError as error:
            raise OptionError(f"name pattern {self.text!r}: {error}; try {{index:03}}") from error


def default_name(source: Path, options: UpscaleOptions) -> Path:
    """Name an output beside its source by what is asked for: ``in-2x.mp4``, ``in-1080p-60fps.mkv``."""
    parts = [*_size_words(options)]
    if options.fps is not None:
        parts.append(f"{float(options.fps.value):.5g}{'x' if options.fps.relative else ''}fps")
    if options.speed != 1:
        parts.append(f"{float(options.speed):.5g}speed")
    if options.read.start is not None or options.read.end is not None:
        parts.append("part")
    return source.with_name("-".join([source.stem, *(parts or ["new"])]) + _own_suffix(source))


def _size_words(options: UpscaleOptions) -> Iterator[str]:
    """Yield the size that is asked for in a word; none where the source's stays."""
    if frame := options.size or options.pad or options.crop:
        yield "{}x{}".format(*frame)
    elif options.fit is not None:
        yield f"{options.fit[1]}p"
    elif options.height is not None:
        yield f"{options.height}p"
    elif options.width is not None:
        yield f"{options.width}w"
    elif options.enlargement != 1:
        yield f"{options.enlargement:.5g}x"


def _own_suffix(source: Path) -> str:
    """Return a source's extension, or `FALLBACK_SUFFIX` for what cannot be written, and for AVI."""
    if is_pattern(source):
        return FALLBACK_SUFFIX
    try:
        is_old = container_for(f"name{source.suffix}") is AVI
    except OutputError:
        return FALLBACK_SUFFIX
    return FALLBACK_SUFFIX if is_old else source.suffix
