"""The weights that this machine has or could have: listed, found by what a person calls them, and verified.

Knows nothing of tensors beyond asking whether a file is sound.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from pathlib import Path

from videoinr_cli.errors import WeightsError
from videoinr_cli.options import MODELS
from videoinr_cli.weights.fetching import fetch_weights
from videoinr_cli.weights.manifest import (
    SUFFIX,
    Known,
    embedded_file,
    known_by_name,
    known_weights,
    sha256_of,
)
from videoinr_cli.weights.records import Record, all_records, find_record, weights_folder
from videoinr_cli.weights.sources import HUB_FILE, HUB_PREFIX, Source, parse_source


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights that are on this machine, or that the manifest says where to fetch."""

    name: str
    path: Path | None  # None: not on this machine
    known: Known | None = None  # what the manifest says
    record: Record | None = None  # how they came, if they were fetched

    @property
    def origin(self) -> str:
        """Where they are from, in a word or an address."""
        if self.record is not None:
            return self.record.source
        if self.known is not None and self.known.source is not None:
            return self.known.source
        return "embedded" if self.path == embedded_file(self.name) else "a file"

    @property
    def expected_sha256(self) -> str | None:
        """The hash that the file must have, if anything is known of it."""
        if self.record is not None:
            return self.record.sha256
        return None if self.known is None else self.known.sha256

    @property
    def remedy(self) -> str:
        """What to do where the file is damaged, or is not what came."""
        if self.record is not None:
            source = shlex.quote(self.record.source)
            return f"delete it and fetch it again: videoinr download-weights {self.name} --from {source}"
        return (
            "install videoinr again" if self.origin == "embedded" else "get it again from where it was made"
        )


def embedded_weights() -> list[Weights]:
    """Return the weights that come with the package."""
    files = ((name, embedded_file(name)) for name in known_weights())
    return [Weights(name, path, known_by_name().get(name)) for name, path in files if path is not None]


def all_weights() -> list[Weights]:
    """Return the embedded weights, then what was fetched, then what the manifest names besides.

    Raises:
        WeightsError: the record of fetched weights is damaged.
    """
    known = known_by_name()
    embedded = embedded_weights()
    fetched = [
        Weights(record.name, record.path if record.path.is_file() else None, known.get(record.name), record)
        for record in all_records(weights_folder())
    ]
    here = {weights.name for weights in (*embedded, *fetched)}
    return [*embedded, *fetched, *(Weights(name, None, known[name]) for name in known if name not in here)]


def find_weights(text: str | os.PathLike[str]) -> Path:
    """Turn a name, a path or ``hf:owner/repository/file[@revision]`` into the path of a file that is here.

    ``clean`` and ``real`` are names too: what the embedded models are for, see `MODELS`.
    What is on a hub, or known by name only, is fetched unless it has been.

    Raises:
        WeightsError: none of these, or it cannot be fetched; the message says what there is instead.
    """
    text = os.fspath(text)
    text = MODELS.get(text, text)
    if (embedded := embedded_file(text)) is not None:
        return embedded
    if text.startswith(HUB_PREFIX):
        return fetch_weights(parse_source(text)).path
    record = find_record(weights_folder(), text)
    if record is not None and record.path.is_file():
        return record.path
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise WeightsError(f"weights {text!r} is a folder; give a {SUFFIX} file in it")
    known = known_by_name().get(text)
    if known is not None and known.source is not None:
        return fetch_weights(parse_source(known.source), text).path
    if text.startswith(("http://", "https://")):
        raise WeightsError(
            f"weights {text!r} are not here; fetch them first: videoinr download-weights {text}"
        )
    names = ", ".join(weights.name for weights in all_weights())
    raise WeightsError(f"no weights {text!r}: not a file, and the names known are: {names or 'none'}")


def locate(text: str, revision: str | None = None) -> tuple[Source, str | None]:
    """Return where weights are to be fetched from that a person names, and what to call them here.

    Args:
        text: a name of the manifest, a source as `parse_source` takes it, or a hub's
            ``owner/repository[/file][@revision]``.
        revision: branch, tag or commit on the hub.

    Raises:
        WeightsError: nothing of the kind is known.
        OptionError: a revision of something that has none.
    """
    known = known_by_name().get(text)
    if known is not None and known.source is not None:
        return parse_source(known.source, revision), text
    source = parse_source(text, revision if text.startswith(HUB_PREFIX) else None)
    if not isinstance(source, Path) or source.exists():
        return source, None
    if HUB_FILE.fullmatch(text):
        return parse_source(HUB_PREFIX + text, revision), None
    raise WeightsError(
        f"no weights {text!r} are known; videoinr download-weights --list names those that are, "
        "and others come from hf:OWNER/REPOSITORY/FILE, an address or a file"
    )


def look_up(text: str) -> Weights:
    """Return what is known of the weights that a person names as `find_weights` takes them.

    Raises:
        WeightsError: see `find_weights`.
    """
    path = find_weights(text)
    for weights in all_weights():
        if weights.path is not None and weights.path.resolve() == path.resolve():
            return weights
    return Weights(path.stem, path)


def verify(weights: Weights, *, sha256: str | None = None) -> str:
    """Check that a file is sound weights, and the very bytes that it should be.

    Args:
        weights: on this machine.
        sha256: what its hash should be, besides what is known of it.

    Returns:
        Its SHA-256.

    Raises:
        WeightsError: it is not; the message says what was expected.
    """
    from videoinr_cli.weights.files import inspect_file, read_tensors  # torch takes seconds to import

    if weights.path is None:
        raise WeightsError(f"weights {weights.name!r} are not here: videoinr download-weights {weights.name}")
    inspect_file(weights.path)
    read_tensors(weights.path)
    found = sha256_of(weights.path)
    known = weights.expected_sha256
    sound = "the file is as it came, so check the hash that was given"
    for expected, remedy in ((known, weights.remedy), (sha256, sound if known else weights.remedy)):
        if expected is not None and found != expected.lower():
            raise WeightsError(
                f"{str(weights.path)!r} is not what it should be: its sha256 is {found}, not {expected}; "
                f"{remedy}"
            )
    return found
