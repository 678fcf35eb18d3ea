"""What is known of weights by name: the manifest that ships beside the embedded files.

Knows nothing of networks, nor how anything is fetched.
"""

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
    """Weights that the manifest names."""

    name: str
    about: str  # one line for a person
    source: str | None = None  # where they come from; None: they are embedded
    page: str | None = None  # where a person finds them, should the source fail
    size_bytes: int | None = None  # of the embedded file, or of what the source gives
    sha256: str | None = None  # likewise; None: nobody who wrote the manifest has seen the file
    licence: str | None = None  # None: their authors state none
    training_data: str | None = None
    measured: str | None = None  # quality, and on what


def embedded_folder() -> Path:
    """Return the folder of the weights that come with the package.

    It lies inside an installed package, and at the top of a source checkout.
    """
    package = Path(str(importlib.resources.files("videoinr_cli")))
    installed = package / "embedded"
    return installed if installed.is_dir() else package.parent / "weights"


def embedded_file(name: str) -> Path | None:
    """Return the file of embedded weights, or None if there are none of that name."""
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
