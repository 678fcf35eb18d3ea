"""What is asked for: one video into a file, or several into a folder."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path

from videoinr_cli.batch.items import Folder, Item, Refused, plan_batch, plan_one
from videoinr_cli.batch.names import DEFAULT_NAME, NamePattern
from videoinr_cli.batch.sources import find_sources, holds_videos, is_folder
from videoinr_cli.errors import OptionError, OutputError, VideoInrError
from videoinr_cli.media.write.containers import container_for
from videoinr_cli.options import UpscaleOptions
from videoinr_cli.texts import command_of


@dataclasses.dataclass(frozen=True)
class Request:
    """Sources, and where their outputs go.

    Raises:
        OptionError: the output does not suit the sources, or options exclude each other.
    """

    paths: tuple[Path, ...]  # at least one
    output: str  # a file; or a folder if it exists as one, ends with a slash, or is needed
    is_list: bool = False  # whether it is a batch, even if there is only one source
    name: str | None = None  # pattern of the outputs' names in a folder; None: `DEFAULT_NAME`
    recursive: bool = False  # whether folders within folders are searched
    skip_existing: bool = False  # whether a source is left out whose output exists

    def __post_init__(self) -> None:
        if self._may_be_several and self._names_file:
            raise OptionError(
                f"several sources cannot go into one file, {self.output!r}; try -o {self._as_folder}"
            )
        if self._names_file and is_folder(self.paths[0]) and holds_videos(self.paths[0]):
            raise OptionError(
                f"the videos in {str(self.paths[0])!r} cannot go into one file, {self.output!r}; "
                f"try -o {self._as_folder}"
            )
        if not self.is_batch and (self.name is not None or self.recursive):
            option = "--recursive" if self.name is None else "--name"
            raise OptionError(
                f"{option} is for outputs in a folder, not for {self.output!r}; name one, with / at its end"
            )

    @property
    def is_batch(self) -> bool:
        """Whether outputs go into a folder, under names of their own."""
        is_one_folder = is_folder(self.paths[0]) and not self._names_file
        return self._may_be_several or self._names_folder or is_one_folder

    def plan(self, options: UpscaleOptions, checked: Callable[[int, int], None]) -> list[Item]:
        """Plan every source.

        Args:
            options: for all of them.
            checked: called after each source with the number checked and the total.

        Raises:
            OptionError: two outputs would have the same name, or one the name of another source.
        """
        if not self.is_batch:
            source, destination = self.paths[0], Path(self.output)
            try:
                return [plan_one(source, destination, options, skip_existing=self.skip_existing)]
            except VideoInrError as error:
                return [Refused(source, destination, error)]
        folder = Folder(Path(self.output), NamePattern(self.name or DEFAULT_NAME))
        sources = find_sources(self.paths, recursive=self.recursive, outputs=folder.path)
        return plan_batch(
            sources,
            folder,
            options,
            skip_existing=self.skip_existing,
            checked=lambda count: checked(count, len(sources)),
        )

    @property
    def _as_folder(self) -> str:
        """A folder that is named as the file is."""
        return command_of([f"{Path(self.output).with_suffix('')}/"])

    @property
    def _may_be_several(self) -> bool:
        return len(self.paths) > 1 or self.is_list

    @property
    def _names_folder(self) -> bool:
        return Path(self.output).is_dir() or self.output.endswith(("/", os.sep))

    @functools.cached_property
    def _names_file(self) -> bool:
        if self._names_folder:
            return False
        try:
            container_for(self.output)
        except OutputError:
            return Path(self.output).exists()
        return True
