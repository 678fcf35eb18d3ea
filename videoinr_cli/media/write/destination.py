"""Where an output goes: a file, numbered images or standard output.

An output gets its name only when it is complete. Until then ``.part`` ends its name, and a lock keeps other
runs from writing it.
"""

from __future__ import annotations

import abc
import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.locks import LockFile
from videoinr_cli.media.images import SUFFIXES, find_numbered, is_pattern
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.sidecars import beside

STANDARD_OUTPUT = "-"
"""The name of standard output; an extension names the format, as in ``-.y4m``."""


class Destination(abc.ABC):
    """Receives what ffmpeg writes, and gives it its name or removes it."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """The address that ffmpeg writes to."""

    @abc.abstractmethod
    def check(self, source: VideoInfo) -> None:
        """Refuse an output that cannot be written, before any work is done.

        Raises:
            OutputError: its folder is missing or may not be written to; it is the source itself, or exists
                and may not be replaced; another run writes it.
        """

    @abc.abstractmethod
    def reserve(self) -> None:
        """Create the place that ffmpeg writes to, and lock it.

        Raises:
            OutputError: it cannot be created, or another run writes the output.
        """

    @abc.abstractmethod
    def commit(self) -> None:
        """Give the complete output its name, and remove what is left of an older one.

        Raises:
            OutputError: something else has got that name in the meantime.
        """

    @abc.abstractmethod
    def discard(self) -> None:
        """Remove what has been written so far."""


def destination_of(name: str | os.PathLike[str], *, overwrite: bool) -> Destination:
    """Return the destination that a name means.

    Args:
        name: a file, a pattern of images such as ``out/%06d.png``, ``-`` or ``-.y4m``.
        overwrite: whether an existing output may be replaced.
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
        OutputError: its folder is missing or may not be written to; it is a folder or the source itself, or
            exists and may not be replaced; another run writes it.
    """
    destination_of(name, overwrite=overwrite).check(source)


def written_bytes(name: str | os.PathLike[str]) -> int | None:
    """Return the size of a complete output; None for standard output, or if it has been moved already."""
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
        self._partial = beside(path, ".part")
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
            raise _locked(path)

    def reserve(self) -> None:
        with _reserved(self._path, self._lock):
            # A killed run may have left one, to which its ffmpeg may still write.
            self._partial.unlink(missing_ok=True)
            self._partial.write_bytes(b"")

    def commit(self) -> None:
        if self._path.exists() and not self._overwrite:
            raise OutputError(
                f"{str(self._path)!r} appeared while this run was writing; choose another name, or use -y"
            )
        try:
            with self._partial.open("rb+") as file:
                os.fsync(file.fileno())  # otherwise a power cut may leave an empty file under the name
            self._partial.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._lock.release()

    def discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._lock.release()


class _Images(Destination):
    """Images, which are written into a temporary folder and moved out of it together."""

    def __init__(self, pattern: Path, *, overwrite: bool) -> None:
        self._pattern = pattern
        self._partial = beside(pattern.with_name(pattern.name.replace("%", "")), ".part", prefix=".")
        self._lock = _lock_of(self._partial)
        self._overwrite = overwrite

    @property
    def address(self) -> str:
        folder = str(self._partial).replace("%", "%%")  # ffmpeg takes any % for a part of the pattern
        return f"file:{folder}/{self._pattern.name}"

    def check(self, source: VideoInfo) -> None:
        folder = self._pattern.parent
        if not folder.exists():  # it will be made, so that a thousand images get a folder of their own
            folder = folder.parent
        _check_folder(folder, self._pattern.name)
        present = find_numbered(self._pattern)
        sources = {file.resolve() for file in [source.path, *(image for _, image in source.images)]}
        if sources.intersection(file.resolve() for _, file in present):
            raise OutputError(f"{str(self._pattern)!r} are the source's own images; choose another name")
        if present and not self._overwrite:
            raise OutputError(f"images {str(self._pattern)!r} exist; choose another name, or use -y")
        if self._lock.is_held():
            raise _locked(self._pattern)

    def reserve(self) -> None:
        with _reserved(self._pattern, self._lock):
            if self._partial.exists():  # left by a killed run
                shutil.rmtree(self._partial)
            self._partial.mkdir()

    def commit(self) -> None:
        if find_numbered(self._pattern) and not self._overwrite:
            raise OutputError(
                f"images {str(self._pattern)!r} appeared while this run was writing; choose another name"
            )
        try:
            images = {image: self._pattern.with_name(image.name) for image in self._partial.iterdir()}
            for image, place in images.items():
                image.replace(place)
            present = {file for _, file in find_numbered(self._pattern)}
            # Otherwise the old video would continue after the new one.
            for stale in present.difference(images.values()):
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
        if sys.stdout is None:  # Python's value for a closed one
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
    return LockFile(beside(partial, ".lock"))


@contextlib.contextmanager
def _reserved(path: Path, lock: LockFile) -> Iterator[None]:
    """Take an output's lock and keep it, unless the block fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # the folder of images may not exist yet
        if not lock.acquire():
            raise _locked(path)
        try:
            yield
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _locked(path: Path) -> OutputError:
    return OutputError(f"another run writes {str(path)!r}; wait for it, or choose another name")


def _unwritable(path: Path, error: OSError) -> OutputError:
    remedy = "choose a shorter name" if error.errno == errno.ENAMETOOLONG else "choose another folder"
    return OutputError(f"{str(path)!r} cannot be written: {error.strerror}; {remedy}")
