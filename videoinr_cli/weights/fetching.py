"""How weights come to this machine: brought, checked, converted where they must be, and recorded.

Knows nothing of what is done with them here.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.options import DEFAULT_WEIGHTS, MODELS
from videoinr_cli.weights.manifest import SUFFIX, Known, embedded_file, known_by_name, sha256_of
from videoinr_cli.weights.records import PLAIN_NAME, Record, find_record, weights_folder, write_record
from videoinr_cli.weights.sources import HubFile, Source, WebFile, default_name

Report = Callable[[int, "int | None"], None]
"""Called with how many bytes have come, and how many there are in all, as far as that is known."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Arrival:
    """What a source gave."""

    path: Path
    revision: str | None = None  # the hub's commit
    announced_sha256: str | None = None  # what the source said its hash is
    fresh: bool = True  # False: the hub's cache had it already
    ours: bool = False  # True: nobody else needs the file at `path`


def fetch_weights(
    source: Source, name: str | None = None, *, folder: Path | None = None, report: Report | None = None
) -> Record:
    """Bring weights to this machine, check them, and record how they came.

    Args:
        source: where they are; a PyTorch checkpoint is converted on arrival.
        name: what to call them; by default, after the source.
        folder: where to put them; by default `weights_folder`, except that a hub's file that needs no
            conversion stays in the hub's own cache.
        report: told how far a transfer is.

    Raises:
        WeightsError: they cannot be fetched, have a wrong SHA-256, or are no weights of ours.
        OutputError: they cannot be written, or other weights of this name are there.
        OptionError: the name is no plain one, or that of embedded weights.
    """
    known = known_by_name().get(name or "")
    name = _checked(name or default_name(source))
    into = folder or weights_folder()
    present = find_record(into, name)
    if present is not None and not present.path.is_file():
        present = None
    if present is not None and present.source != str(source):
        raise OutputError(
            f"weights {name!r} came to {str(present.path)!r} from {present.source}; delete that file, "
            "or choose another name: videoinr download-weights NAME --from SOURCE"
        )
    if present is not None and isinstance(source, WebFile):
        return present
    arrival = _bring(source, into / f"{name}.fetched", known, report)
    if present is not None and not arrival.fresh and arrival.revision == present.revision:
        return present
    try:
        digest = sha256_of(arrival.path)
        _check_hash(digest, arrival, source, known)
        path = _settle(arrival, into / f"{name}{SUFFIX}", source, known, stays=folder is None)
    finally:
        if arrival.ours:
            arrival.path.unlink(missing_ok=True)
    record = Record(name, str(source), path, sha256_of(path), digest, arrival.revision)
    write_record(into, record)
    if known is not None and known.licence is None:
        logger.warning(
            "the authors of %s state no licence; ask them before you pass on the file or what it makes: %s",
            name,
            known.page,
        )
    return record


def _checked(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise OptionError(f"weights cannot be called {name!r}; use letters, digits, '-', '_' and '.' only")
    if embedded_file(MODELS.get(name, name)) is not None:
        raise OptionError(
            f"{name!r} is the name of embedded weights; choose another: "
            "videoinr download-weights NAME --from SOURCE"
        )
    return name


def _bring(source: Source, temporary: Path, known: Known | None, report: Report | None) -> _Arrival:
    """Get the file that a source gives, whatever it is."""
    if isinstance(source, Path):
        if not source.is_file():
            raise WeightsError(
                f"no weights {str(source)!r}: {'a folder' if source.is_dir() else 'no such file'}"
            )
        return _Arrival(source)
    sha256 = None if known is None else known.sha256
    from videoinr_cli.weights.hub import fetch_from_hub, offline  # the hub's client takes a second to import

    if isinstance(source, HubFile):
        copy = fetch_from_hub(source, report, sha256=sha256)
        return _Arrival(copy.path, copy.commit, copy.sha256, copy.fresh)
    from videoinr_cli.weights.web import download

    try:
        if offline():
            raise WeightsError(_unreachable(source, temporary.with_suffix(SUFFIX), sha256))
        if report is None:
            logger.info("fetching %s", source)
        download(source, temporary, report)
    except WeightsError as error:
        raise _with_another_way(error, known) from error
    return _Arrival(temporary, ours=True)


def _unreachable(source: WebFile, destination: Path, sha256: str | None) -> str:
    known = f" (sha256 {sha256})" if sha256 else ""
    return f"cannot fetch {source}{known}: HF_HUB_OFFLINE is set, and there is no {str(destination)!r}"


def _with_another_way(error: WeightsError, known: Known | None) -> WeightsError:
    """Add to an error what a person can do whom no server answers."""
    by_hand = ""
    if known is not None and known.page is not None:
        by_hand = (
            f"; fetch the file by hand from {known.page}, then: "
            f"videoinr download-weights {known.name} --from FILE"
        )
    return WeightsError(f"{error}{by_hand}; or use the embedded weights: --weights {DEFAULT_WEIGHTS}")


def _check_hash(digest: str, arrival: _Arrival, source: Source, known: Known | None) -> None:
    expected = (known.sha256 if known is not None else None) or arrival.announced_sha256
    if expected is None or digest == expected:
        return
    if not isinstance(source, Path):
        # As the hub's cache names a file after its hash, a damaged one would else be taken for good for ever.
        for damaged in (arrival.path.resolve(), arrival.path):
            damaged.unlink(missing_ok=True)
    raise WeightsError(
        f"what came from {source} is not what it should be: its sha256 is {digest}, not {expected}; "
        "it is not used; fetch it again, or from elsewhere"
    )


def _settle(
    arrival: _Arrival, destination: Path, source: Source, known: Known | None, *, stays: bool
) -> Path:
    """Check that a file is weights of ours, made so if need be, and put it where it is to lie."""
    from videoinr_cli.weights.checkpoints import convert_checkpoint  # torch takes seconds to import
    from videoinr_cli.weights.files import inspect_file, is_checkpoint

    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if is_checkpoint(arrival.path):
            convert_checkpoint(arrival.path, destination, metadata=_provenance(source, known))
            return destination
        inspect_file(arrival.path)
        if isinstance(source, HubFile) and stays:
            return arrival.path
        partial = destination.with_name(f"{destination.name}.part")
        shutil.copyfile(arrival.path, partial)
        partial.replace(destination)
    except OSError as error:
        raise OutputError(f"cannot write {str(destination)!r}: {error.strerror or error}") from error
    except WeightsError as error:
        raise WeightsError(f"what came from {source} cannot be used: {error}") from error
    return destination


def _provenance(source: Source, known: Known | None) -> dict[str, str]:
    """Return what a converted checkpoint's file says of where it comes from."""
    said = {"source": str(source)}
    if known is not None:
        said["licence"] = known.licence or "none stated by the authors"
        if known.training_data is not None:
            said["training_data"] = known.training_data
    return said
