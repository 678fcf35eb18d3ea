"""What will become of each of several sources: all of them are planned before the first frame is rendered."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from videoinr_cli.batch.names import NamePattern
from videoinr_cli.batch.sources import Source
from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.media.images import find_numbered
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.source import STANDARD_INPUT
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.destination import check_destination, is_image_pattern
from videoinr_cli.media.write.formats import output_format
from videoinr_cli.notes import collected_notes
from videoinr_cli.options import UpscaleOptions
from videoinr_cli.render.plan import Plan, plan_video


@dataclasses.dataclass(frozen=True)
class Pending:
    """A source that will be rendered."""

    source: Path  # as it was named
    plan: Plan

    @property
    def destination(self) -> Path:
        """Where the output goes."""
        return self.plan.destination


@dataclasses.dataclass(frozen=True)
class Existing:
    """A source that is skipped, as its output exists or as it is such an output itself."""

    source: Path
    destination: Path  # in the latter case, the source


@dataclasses.dataclass(frozen=True)
class Refused:
    """A source that cannot be rendered."""

    source: Path
    destination: Path | None  # None where it could not be named
    error: Exception


Item = Pending | Existing | Refused


@dataclasses.dataclass(frozen=True)
class Folder:
    """Where the outputs of several sources go, and their names."""

    path: Path
    pattern: NamePattern


def plan_one(
    source: Path, destination: Path, options: UpscaleOptions, *, skip_existing: bool
) -> Pending | Existing:
    """Plan one source.

    Raises:
        VideoInrError: it cannot be rendered; see `jobs.upscale.upscale_video`.
    """
    if skip_existing and _exists(destination):
        return Existing(source, destination)
    return Pending(source, plan_video(source, destination, options))


def plan_batch(
    sources: Sequence[Source],
    folder: Folder,
    options: UpscaleOptions,
    *,
    skip_existing: bool = False,
    checked: Callable[[int], None] = lambda _: None,
) -> list[Item]:
    """Plan several sources.

    Args:
        sources: in the order in which they are rendered.
        folder: of the outputs; it need not exist.
        options: for all of them.
        skip_existing: whether a source whose output exists is skipped, and the output too where it is among
            the sources; otherwise that is an error.
        checked: called after each source with the number checked so far.

    Returns:
        What will become of each source.

    Raises:
        OptionError: two outputs would have the same name, or one the name of another source.
    """
    items: list[Item] = []
    for index, source in enumerate(sources, start=1):
        items.append(_plan(source, index, folder, options, skip_existing))
        checked(index)
    made = {item.destination.resolve() for item in items if isinstance(item, Existing)}
    _check_collisions([item for item in items if item.source.resolve() not in made])
    # Where outputs lie beside their sources, those of an earlier run are among the sources.
    return [Existing(item.source, item.source) if item.source.resolve() in made else item for item in items]


def _plan(source: Source, index: int, folder: Folder, options: UpscaleOptions, skip_existing: bool) -> Item:
    destination: Path | None = None
    try:
        if source.problem is not None:
            raise source.problem
        if source.path == STANDARD_INPUT:
            raise OptionError("standard input cannot be one of several sources; upscale it alone")
        with collected_notes() as notes:
            info = prepare(source.path, options.read)
            destination = folder.path / _name(source, info, index, folder.pattern, options)
            if _is_same(source.path, destination):
                raise OutputError(
                    f"{str(destination)!r} is the source itself; choose another folder, or --name "
                    "{stem}_large{ext}"
                )
            if skip_existing and _exists(destination):
                return Existing(source.path, destination)
            _check_place(destination, info)
            if _exists(destination) and not options.overwrite:
                raise OutputError(
                    f"{str(destination)!r} exists; go on with --skip-existing, or replace it with -y"
                )
            plan = Plan.make(info, destination, options)
        return Pending(source.path, dataclasses.replace(plan, notes=tuple(notes)))
    except Exception as error:  # any: the other sources may have nothing to do with it
        return Refused(source.path, destination, error)


def _name(source: Source, info: VideoInfo, index: int, pattern: NamePattern, options: UpscaleOptions) -> Path:
    """Name an output. Its size may be in the name, and depends on its format, that is, on its extension."""
    nameless = f"%d{pattern.suffix(source.path)}"  # a file or images, by its extension
    written = output_format(nameless, info, options.encode)
    size = options.output_size(info.width, info.height, multiple=written.size_multiple)
    return pattern.name(source, size, options.rate_of(info.frame_rate) or info.frame_rate, index)


def _check_place(destination: Path, info: VideoInfo) -> None:
    """Refuse a destination that cannot be written, even if what exists there may be replaced.

    Its folder may still have to be created.
    """
    folder = destination.parent
    if folder.is_dir():
        check_destination(destination, info, overwrite=True)
        return
    present = next(parent for parent in folder.absolute().parents if parent.exists())
    if folder.exists() or not (present.is_dir() and os.access(present, os.W_OK)):
        raise OutputError(f"no folder {str(folder)!r} can be created in {str(present)!r}; choose another one")


def _exists(destination: Path) -> bool:
    is_there = destination.exists() and not destination.is_dir()
    return is_there or (is_image_pattern(destination) and bool(find_numbered(destination)))


def _is_same(source: Path, destination: Path) -> bool:
    return destination.exists() and source.samefile(destination)


def _check_collisions(items: Sequence[Item]) -> None:
    """Refuse outputs that would replace one another, or a source."""
    sources = {item.source.resolve(): item.source for item in items}
    taken: dict[Path, Path] = {}
    for item in items:
        if item.destination is None:
            continue
        place, name = item.destination.resolve(), str(item.destination)
        if place in taken:
            raise OptionError(
                f"{str(taken[place])!r} and {str(item.source)!r} would both become {name!r}; "
                "tell them apart by --name, such as {parent}_{stem}{ext}"
            )
        taken[place] = item.source
        if place in sources and sources[place] != item.source:
            raise OptionError(
                f"the output of {str(item.source)!r} would replace {name!r}, which is a source itself; "
                "choose another folder, or --name"
            )
