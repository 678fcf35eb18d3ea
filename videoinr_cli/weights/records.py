"""The folder of downloaded weights, and a record for each of them: its source and its SHA-256.

The record makes it possible to verify a file later even if the manifest does not know it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

from platformdirs import user_cache_path

from videoinr_cli.errors import WeightsError, writing
from videoinr_cli.sidecars import whole

FOLDER_VARIABLE = "VIDEOINR_WEIGHTS_DIR"
PLAIN_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
RECORD_SUFFIX = ".record.json"


@dataclasses.dataclass(frozen=True)
class Record:
    """Where downloaded weights came from."""

    name: str
    source: str
    path: Path
    sha256: str  # of the file at `path`
    fetched_sha256: str  # of the source's file; differs from `sha256` if that was converted
    revision: str | None = None  # the hub's commit


def weights_folder() -> Path | None:
    """Return the folder of downloaded weights: VIDEOINR_WEIGHTS_DIR, or one in the user's cache.

    None where the user has no home, as a container's may.
    """
    try:
        if chosen := os.environ.get(FOLDER_VARIABLE):
            return Path(chosen).expanduser()
        return user_cache_path("videoinr", appauthor=False, opinion=False).expanduser() / "weights"
    except RuntimeError:  # older versions of platformdirs leave the ~, which `expanduser` refuses
        return None


def all_records(folder: Path | None) -> list[Record]:
    """Return the records in a folder, by name; none where there is no folder.

    Raises:
        WeightsError: one of them is damaged.
    """
    if folder is None:
        return []
    return [_read(path) for path in sorted(folder.glob(f"*{RECORD_SUFFIX}"))]


def find_record(folder: Path | None, name: str) -> Record | None:
    """Return the record of the weights called `name`, or None if there is none.

    Raises:
        WeightsError: the record is damaged.
    """
    if folder is None:
        return None
    path = folder / f"{name}{RECORD_SUFFIX}"
    return _read(path) if PLAIN_NAME.fullmatch(name) and path.is_file() else None


def write_record(folder: Path, record: Record) -> None:
    """Write a record; its file appears only when it is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    path = folder / f"{record.name}{RECORD_SUFFIX}"
    # Paths inside the folder are stored relative to it, so that the folder can be moved as a whole.
    inside = record.path.parent == folder
    where = record.path.name if inside else str(record.path.absolute())
    fields = {**dataclasses.asdict(record), "path": where}
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            partial.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> Record:
    damaged = WeightsError(f"the record {str(path)!r} is damaged; delete it and download the weights again")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**{**fields, "path": path.parent / fields["path"]})
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged from error
    texts = (record.name, record.source, record.sha256, record.fetched_sha256, record.revision or "")
    if not all(isinstance(text, str) for text in texts):
        raise damaged
    return record
