"""The record of a job, on disk beside its output: what to do, and what is done. It survives a power cut."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoinr_cli.errors import OutputError
from videoinr_cli.jobs.fingerprint import Fingerprint, difference
from videoinr_cli.locks import LockFile
from videoinr_cli.media.suffixes import SEGMENTS_SUFFIX
from videoinr_cli.render.parts import Part
from videoinr_cli.sidecars import beside, whole

VERSION = 1
"""Version of the manifest's format."""


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A segment that is done."""

    frames_read: int  # source frames that begin in it
    frames_written: int  # pictures in its file; there is no file when there are none
    cuts: int
    bytes: int  # of its file
    opening: str | None  # identifies its first source frame; equal to `closing` of the segment before
    closing: str | None  # identifies the source frame after its last one


@dataclasses.dataclass
class Manifest:
    """A job's parts and progress. Holding one implies holding the folder's lock."""

    folder: Path
    fingerprint: Fingerprint
    parts: tuple[Part, ...]
    rendered: dict[int, Rendered]  # by the number of the part

    def path_of(self, number: int, suffix: str) -> Path:
        """Return the file of a segment."""
        return self.folder / f"{number:06d}{suffix}"

    def record(self, number: int, rendered: Rendered | None) -> None:
        """Record that a segment is done, or with None that it is not, and save that.

        Raises:
            OutputError: the manifest cannot be written.
        """
        if rendered is None:
            self.rendered.pop(number, None)
        else:
            self.rendered[number] = rendered
        self.save()

    def save(self) -> None:
        """Write the manifest, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "version": VERSION,
            "fingerprint": dict(self.fingerprint),
            "parts": [[part.begin, part.end] for part in self.parts],
            "rendered": {str(number): dataclasses.asdict(done) for number, done in self.rendered.items()},
        }
        path = self.folder / "manifest.json"
        with room_for(path):
            with whole(path) as partial, partial.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self.folder)


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn an error of the system into one that names the file of a job, and says to make room for it."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{str(path)!r} cannot be written: {error.strerror}; make room, and run the command again"
        ) from error


def job_folder(destination: Path) -> Path:
    """Return the folder in which the job of an output keeps its segments."""
    return beside(destination, SEGMENTS_SUFFIX)


@contextlib.contextmanager
def open_manifest(
    destination: Path, now: Fingerprint, parts: Sequence[Part], *, resume: bool
) -> Iterator[Manifest]:
    """Continue the job of an output, or begin it, and keep others from it inside the block.

    A job of which no segment is done begins anew, whatever its options were, and is removed after the block.

    Args:
        destination: the output.
        now: what the output will be made of.
        parts: how the video is divided, if the job begins now.
        resume: whether to continue a job that was begun before; else that is removed.

    Raises:
        OutputError: the folder cannot be used, belongs to a running job, or to one that differs from this.
    """
    folder = job_folder(destination)
    with _usable(folder):
        folder.mkdir(exist_ok=True)
    try:
        with _alone_in(folder):
            manifest = _read(folder) if resume else None
            if manifest is None or not manifest.rendered:
                _empty(folder)
                manifest = Manifest(folder, now, tuple(parts), {})
                manifest.save()
            elif (how := difference(manifest.fingerprint, now)) is not None:
                raise OutputError(
                    f"{str(folder)!r} holds a job begun with {how}; continue it with the same options, or "
                    "start over with --no-resume"
                )
            try:
                yield manifest
            finally:
                if not manifest.rendered:
                    with contextlib.suppress(OutputError):
                        _empty(folder)
    finally:
        with contextlib.suppress(OSError):  # it is not empty, or another run has removed it
            folder.rmdir()


def remove_job(destination: Path) -> None:
    """Remove what a job has kept beside its output, if anything.

    Raises:
        OutputError: another run is using it, or it may not be written to.
    """
    folder = job_folder(destination)
    if folder.is_dir():
        with _alone_in(folder):
            pass  # not inside the block, as Windows does not remove a locked file
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Turn an error of the system into one that names the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{str(folder)!r} cannot be used: {error.strerror}; remove it, or name another output"
        ) from error


def _empty(folder: Path) -> None:
    with _usable(folder):
        for path in folder.iterdir():
            if path.name != "lock":
                path.unlink()


def _read(folder: Path) -> Manifest | None:
    """Return what was saved; None when nothing was saved yet.

    Raises:
        OutputError: the file is not a manifest of this version.
    """
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError("it was written by another version")
        return Manifest(
            folder,
            content["fingerprint"],
            tuple(Part(begin, end) for begin, end in content["parts"]),
            {int(number): Rendered(**done) for number, done in content["rendered"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{str(path)!r} cannot be read ({error}); remove the folder, or start over with --no-resume"
        ) from error


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases however this process ends."""
    lock = LockFile(folder / "lock")
    with _usable(folder):
        is_alone = lock.acquire()
    if not is_alone:
        raise OutputError(f"another run is using {str(folder)!r}; wait for it, or stop it")
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
