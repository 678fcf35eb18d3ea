"""Where an output goes: a file, numbered images or standard output, under its name only when it is complete.

Until then it lies beside, with ``.part`` at the end, and one run alone writes to it. Knows nothing of what is
written.
"""

from __future__ import annotations

import abc
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.locks import LockFile
from videoinr_cli.media.images import SUFFIXES, find_numbered, is_pattern
from videoinr_cli.media.streams import VideoInfo

STANDARD_OUTPUT = "-"
"""What a name begins with that means standard output: ``-``, or with the format behind it, ``-.y4m``."""


class Destination(abc.ABC):
    """Takes what ffmpeg writes, and gives it its name or throws it away."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """What ffmpeg is to write to."""

    @abc.abstractmethod
    def check(self, source: VideoInfo) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises:
            OutputError: the place is missing, may not be written to, holds the source itself, or something
                that may not be replaced; another run writes to it.
        """

    @abc.abstractmethod
    def reserve(self) -> None:
        """Make room for what ffmpeg will write, and keep other runs from it.

        Raises:
            OutputError: it cannot be written there, or another run writes to it.
        """

    @abc.abstractmethod
    def commit(self) -> None:
        """Give the complete output its name, and remove the rest of what it replaces.

        Raises:
            OutputError: something has appeared there meanwhile.
        """

    @abc.abstractmethod
    def discard(self) -> None:
        """Remove what has been written so far."""


def destination_of(name: str | os.PathLike[str], *, overwrite: bool) -> Destination:
    """Return where a name leads to.

    Args:
        name: a file, a pattern of images such as ``out/%06d.png``, ``-`` or ``-.y4m``.
        overwrite: whether something that exists may be replaced.
    """
    path = Path(name)
    if is_standard_output(path):
        return _StandardOutput()
    if is_image_pattern(path):
        return _Images(path, overwrite=overwrite)
    return _File(path, overwrite=overwrite)


def is_standard_output(name: str | os.PathLike[str]) -> bool:
    """Whether a name means standard output."""
    path = Path(name)
    return path.name == str(path) and path.stem == STANDARD_OUTPUT


def is_image_pattern(path: Path) -> bool:
    """Whether a name means numbered images."""
    return is_pattern(path) and path.suffix.lower() in SUFFIXES


def check_destination(name: str | os.PathLike[str], source: VideoInfo, *, overwrite: bool) -> None:
    """Refuse a destination that cannot be written, before any work is done.

    Raises:
        OutputError: its folder is missing or may not be written to; it is a folder, or the source itself, or
            exists and may not be replaced; another run writes to it.
    """
    destination_of(name, overwrite=overwrite).check(source)


def written_bytes(name: str | os.PathLike[str]) -> int | None:
    """Return the size of a complete output; None of standard output, and of what has been moved already."""
    path = Path(name)
    if is_standard_output(path):
        return None
    files = [file for _, file in find_numbered(path)] if is_image_pattern(path) else [path]
    try:
        return sum(file.stat().st_size for file in files)
    except FileNotFoundError:
        return None


class _File(Destination):
    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._partial = path.with_name(f"{path.name}.part")
        self._lock = _lock_of(self._partial)
        self._overwrite = overwrite

    @property
    def address(self) -> str:
        return f"file:{self._partial}"

    def check(self, source: VideoInfo) -> None:
        path = self._path
        _check_folder(path.parent, path.name)
        if path.is_dir():
            raise OutputError(f"{str(path)!r} is a folder; name a file in it")
        if path.exists() and source.is_file and path.samefile(source.path):
            raise OutputError(f"{str(path)!r} is the source itself; choose another name for the output")
        if path.exists() and not self._overwrite:
            raise OutputError(f"{str(path)!r} exists; choose another name, or replace it with -y")
        if self._lock.is_held():
            raise _taken(path)

    def reserve(self) -> None:
        with _reserved(self._path, self._lock):
            self._partial.unlink(
                missing_ok=True
            )  # of a run that was killed, whose ffmpeg may still write to it
            self._partial.write_bytes(b"")

    def commit(self) -> None:
        if self._path.exists() and not self._overwrite:
            raise OutputError(f"{str(self._path)!r} has appeared meanwhile; choose another name, or use -y")
        try:
            with self._partial.open("rb+") as file:
                os.fsync(file.fileno())  # else, after a power cut, the name may be that of an empty file
            self._partial.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._lock.release()

    def discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._lock.release()


class _Images(Destination):
    """Images, which are written into a folder of their own and moved out of it together."""

    def __init__(self, pattern: Path, *, overwrite: bool) -> None:
        self._pattern = pattern
        self._partial = pattern.with_name(f".{pattern.name.replace('%', '')}.part")
        self._lock = _lock_of(self._partial)
        self._overwrite = overwrite

    @property
    def address(self) -> str:
        folder = str(self._partial).replace("%", "%%")  # for ffmpeg a % anywhere is part of the pattern
        return f"file:{folder}/{self._pattern.name}"

    def check(self, source: VideoInfo) -> None:
        folder = self._pattern.parent
        if not folder.exists():  # it is made, as nobody wants a thousand images in a folder of other things
            folder = folder.parent
        _check_folder(folder, self._pattern.name)
        present = find_numbered(self._pattern)
        sources = {file.resolve() for file in [source.path, *(image for _, image in source.images)]}
        if sources.intersection(file.resolve() for _, file in present):
            raise OutputError(f"{str(self._pattern)!r} are the source's own images; choose another name")
        if present and not self._overwrite:
            raise OutputError(f"images {str(self._pattern)!r} exist; choose another name, or use -y")
        if self._lock.is_held():
            raise _taken(self._pattern)

    def reserve(self) -> None:
        with _reserved(self._pattern, self._lock):
            if self._partial.exists():  # of a run that was killed
                shutil.rmtree(self._partial)
            self._partial.mkdir()

    def commit(self) -> None:
        if find_numbered(self._pattern) and not self._overwrite:
            raise OutputError(f"images {str(self._pattern)!r} have appeared meanwhile; choose another name")
        try:
            images = {image: self._pattern.with_name(image.name) for image in self._partial.iterdir()}
            for image, place in images.items():
                image.replace(place)
            present = {file for _, file in find_numbered(self._pattern)}
            for stale in present.difference(images.values()):  # the old video would go on behind the new one
                stale.unlink()
        except OSError as error:
            raise _unwritable(self._pattern, error) from error
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._lock.release()


class _StandardOutput(Destination):
    address = "pipe:1"

    def check(self, source: VideoInfo) -> None:
        if sys.stdout is None:  # what Python makes of a closed one
            raise OutputError("standard output is closed; pipe it into a program, or name a file")
        if sys.stdout.isatty():
            raise OutputError("standard output is a terminal; pipe it into a program, or name a file")

    def reserve(self) -> None: ...

    def commit(self) -> None: ...

    def discard(self) -> None: ...


def _check_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise OutputError(f"there is no folder {str(folder)!r} to write {name!r} to; make it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {str(folder)!r} may not be written to; choose another one")


def _lock_of(partial: Path) -> LockFile:
    return LockFile(partial.with_name(f"{partial.name}.lock"))


@contextlib.contextmanager
def _reserved(path: Path, lock: LockFile) -> Iterator[None]:
    """Hold an output's lock, from this block on; not if the block fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # that of images may be still to be made
        if not lock.acquire():
            raise _taken(path)
        try:
            yield
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _taken(path: Path) -> OutputError:
    return OutputError(f"another run writes {str(path)!r}; wait for it, or choose another name")


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{str(path)!r} cannot be written: {error.strerror}; choose another folder")
