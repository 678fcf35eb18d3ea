"""The manifest of weights known by name, which ships with the embedded files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
from pathlib import Path

SUFFIX = ".safetensors"
MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Known:
    """An entry of the manifest."""

    name: str
    about: str  # one line, for people
    source: str | None = None  # where to download them; None: they are embedded
    page: str | None = None  # the authors' page, for a download by hand
    size_bytes: int | None = None  # of the embedded file, or of the source's
    fetched_bytes: int | None = None  # of what is transferred, if that is more
    sha256: str | None = None  # of the file of `size_bytes`; None: unknown
    licence: str | None = None  # None: the authors state none
    training_data: str | None = None
    measured: str | None = None  # quality, and on what


def embedded_folder() -> Path:
    """Return the folder of the embedded weights: in an installed package, or at the top of a source tree."""
    package = Path(str(importlib.resources.files("videoinr_cli")))
    installed = package / "embedded"
    return installed if installed.is_dir() else package.parent / "weights"


def embedded_file(name: str) -> Path | None:
    """Return the file of embedded weights, or None if no embedded weights have that name."""
    files = {path.stem: path for path in embedded_folder().glob(f"*{SUFFIX}")}
    return files.get(name)


@functools.cache
def known_by_name() -> dict[str, Known]:
    """Return the manifest's entries by their names."""
    entries = json.loads((embedded_folder() / MANIFEST).read_text(encoding="utf-8"))
    return {name: Known(name, **entry) for name, entry in entries.items()}


def known_weights() -> list[str]:
    """Return the names that `load_model` takes without a path: the embedded ones first."""
    embedded = sorted(path.stem for path in embedded_folder().glob(f"*{SUFFIX}"))
    return [*embedded, *sorted(known_by_name().keys() - set(embedded))]


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
