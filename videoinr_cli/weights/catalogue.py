"""The weights that this machine has or can download: list them, find them by name, verify them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.options import AUTO_MODEL, MODEL_NAMES, faithful_of, weights_named
from videoinr_cli.texts import command_of
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
from videoinr_cli.weights.sources import HUB_FILE, HUB_PREFIX, Source, TransferProgress, parse_source


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights on this machine, or that the manifest says where to download."""

    name: str
    path: Path | None  # None: not on this machine
    known: Known | None = None  # their entry in the manifest
    record: Record | None = None  # of their download

    @property
    def origin(self) -> str:
        """Where they come from: a source, "embedded" or "a file"."""
        if self.record is not None:
            return self.record.source
        if self.known is not None and self.known.source is not None:
            return self.known.source
        return "embedded" if self.path == embedded_file(self.name) else "a file"

    @property
    def expected_sha256(self) -> str | None:
        """The SHA-256 that the file must have, if it is known."""
        if self.record is not None:
            return self.record.sha256
        return None if self.known is None else self.known.sha256

    @property
    def model_names(self) -> tuple[str, ...]:
        """What ``--model`` also calls them."""
        return tuple(name for name, weights in MODEL_NAMES.items() if weights == self.name)

    @property
    def remedy(self) -> str:
        """What to do if the file is damaged or was changed."""
        if self.record is not None:
            source = command_of([self.record.source])
            return f"delete it and download it again: videoinr weights download {self.name} --from {source}"
        return "reinstall videoinr" if self.origin == "embedded" else "get a new copy from its author"


def embedded_weights() -> list[Weights]:
    """Return the weights that come with the package."""
    files = ((name, embedded_file(name)) for name in known_weights())
    return [Weights(name, path, known_by_name().get(name)) for name, path in files if path is not None]


def all_weights() -> list[Weights]:
    """Return the embedded weights, then the downloaded ones, then the others of the manifest.

    Raises:
        WeightsError: the record of downloaded weights is damaged.
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
    """Return the local file for a name, a path or ``hf:owner/repository/file[@revision]``.

    ``clean``, ``real``, ``large`` and ``fast`` are names too, see `MODEL_NAMES`. Weights on a hub, or in the
    manifest only, are downloaded the first time.

    Raises:
        WeightsError: the text is none of these, or the download failed; the message lists the known names.
        OptionError: it is ``auto``, and there is no source to choose a model for.
    """
    text = os.fspath(text)
    if text == AUTO_MODEL:
        raise OptionError("--model auto looks at a video file; here, name a model, such as clean or real")
    text = weights_named(text)
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
        raise WeightsError(f"weights {text!r} are not downloaded yet; run: videoinr weights download {text}")
    listed = [weights.name for weights in all_weights()]
    names = ", ".join((*(name for name, file in MODEL_NAMES.items() if file in listed), *listed))
    raise WeightsError(
        f"no weights {text!r}: there is no such file, and the known names are: {names}; "
        f"upscale, preview and suggest take {AUTO_MODEL} too"
    )


def weights_digest(text: str) -> str:
    """Return what tells weights from others: their SHA-256; of mixtures, one of both files' hashes.

    Raises:
        WeightsError: see `find_weights`.
        OSError: a file cannot be read.
    """
    digest, faithful = sha256_of(find_weights(text)), faithful_of(text)
    if faithful is None:
        return digest
    return hashlib.sha256(f"{digest} {sha256_of(find_weights(faithful))}".encode()).hexdigest()


def locate(text: str, revision: str | None = None) -> tuple[Source, str | None]:
    """Return where to download weights from, and the name to record them under.

    Args:
        text: a name in the manifest, a source as `parse_source` takes it, or
            ``owner/repository[/file][@revision]`` on the hub.
        revision: branch, tag or commit on the hub.

    Raises:
        WeightsError: the text is none of these.
        OptionError: a revision is given for a source that has none.
    """
    name = weights_named(text)
    known = known_by_name().get(name)
    if known is not None and known.source is not None:
        return parse_source(known.source, revision), name
    source = parse_source(text, revision if text.startswith(HUB_PREFIX) else None)
    if not isinstance(source, Path) or source.exists():
        return source, None
    if HUB_FILE.fullmatch(text):
        return parse_source(HUB_PREFIX + text, revision), None
    raise WeightsError(
        f"no weights are known as {text!r}; give a name of videoinr weights list, "
        "hf:OWNER/REPOSITORY/FILE, a URL or a file"
    )


def download_weights(
    name: str | None = None,
    *,
    source: str | None = None,
    revision: str | None = None,
    folder: Path | None = None,
    progress: TransferProgress | None = None,
) -> Weights:
    """Bring weights to this machine, unless they are embedded, and check them.

    Args:
        name: a listed name, ``owner/repository[/file]`` on the hub, or a URL; with `source`, what to call
            the weights.
        source: ``hf:owner/repository/file``, a URL, or a file.
        revision: branch, tag or commit on the hub.
        folder: see `fetch_weights`.
        progress: called with the bytes so far, and in all as far as that is known.

    Raises:
        WeightsError: no such weights, they cannot be fetched, or they are not what they should be.
        OutputError: they cannot be written, or other weights of this name are there.
        OptionError: nothing is named, or what is named does not go together.
    """
    if source is not None:
        origin = parse_source(source, revision)
    elif name is None:
        raise OptionError("no weights named; give a NAME, see: videoinr weights list")
    elif (embedded := embedded_file(weights_named(name))) is not None:
        return Weights(name, embedded, known_by_name().get(weights_named(name)))
    else:
        origin, name = locate(name, revision)
    record = fetch_weights(origin, name, folder=folder, progress=progress)
    return Weights(record.name, record.path, known_by_name().get(record.name), record)


def look_up_weights(text: str) -> Weights:
    """Return what is known about weights, named as for `find_weights`.

    Raises:
        WeightsError: see `find_weights`.
    """
    path = find_weights(text)
    for weights in all_weights():
        if weights.path is not None and weights.path.resolve() == path.resolve():
            return weights
    return Weights(path.stem, path)


def verify_weights(weights: Weights, *, sha256: str | None = None) -> str:
    """Check that a weights file is sound and has the expected hash.

    Args:
        weights: weights on this machine.
        sha256: an expected hash, checked in addition to the one that is known.

    Returns:
        Its SHA-256.

    Raises:
        WeightsError: the file is damaged, or its hash is another one; the message says which was expected.
    """
    from videoinr_cli.weights.files import inspect_file, read_tensors  # torch takes seconds to import

    if weights.path is None:
        raise WeightsError(
            f"weights {weights.name!r} are not downloaded yet; run: videoinr weights download {weights.name}"
        )
    inspect_file(weights.path)
    read_tensors(weights.path)
    found = sha256_of(weights.path)
    known = weights.expected_sha256
    sound = "the file has not changed since it arrived, so check the hash that you gave"
    for expected, remedy in ((known, weights.remedy), (sha256, sound if known else weights.remedy)):
        if expected is not None and found != expected.lower():
            raise WeightsError(
                f"{str(weights.path)!r} is not the expected file: its sha256 is {found}, not {expected}; "
                f"{remedy}"
            )
    return found
