"""Download files from Hugging Face's hub with its own client: its cache, tokens, mirrors and offline mode.

HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE have the client's meaning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import constants, hf_hub_download, hf_hub_url, list_repo_files, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from videoinr_cli.errors import WeightsError
from videoinr_cli.options import DEFAULT_WEIGHTS, model_name
from videoinr_cli.weights.manifest import SUFFIX
from videoinr_cli.weights.sources import Arrival, HubFile, TransferProgress

FILE_SUFFIXES = (SUFFIX, ".pth", ".pt", ".ckpt")
TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)),
)
"""What the client raises when a transfer fails. Its HTTP library depends on its version, and not every error
of such a library is an OSError; but the client's own error always derives from the library's."""

logger = logging.getLogger(__name__)


def offline() -> bool:
    """Return whether downloads are disabled (HF_HUB_OFFLINE)."""
    return constants.HF_HUB_OFFLINE


def fetch_from_hub(source: HubFile, progress: TransferProgress | None, *, sha256: str | None) -> Arrival:
    """Return the newest available copy of a file: from the hub if it answers, else from the cache.

    The client resumes a broken transfer by itself. It does not check the bytes; the caller does.

    Args:
        source: which file.
        progress: called during the transfer.
        sha256: of the file, if it is known; named in the error when the hub cannot be reached.

    Raises:
        WeightsError: there is no such repository, revision or file, or no access to it; there is neither a
            connection nor a cached copy; or the transfer failed.
    """
    file = source.file or _only_weights_file(source)
    source = dataclasses.replace(source, file=file)
    try:
        cached = try_to_load_from_cache(source.repository, file, revision=source.revision)
        if progress is None and not isinstance(cached, str) and not offline():
            logger.info("downloading %s from %s", source, constants.ENDPOINT)
        with _quiet_client():
            path = Path(
                hf_hub_download(
                    source.repository,
                    file,
                    revision=source.revision,
                    tqdm_class=_bar(progress),
                    library_name="videoinr",
                )
            )
    except LocalEntryNotFoundError as error:
        raise _unreachable(source, sha256) from error
    except TRANSPORT_ERRORS as error:
        raise _explained(source, error) from error
    # The cache stores a large file under its SHA-256, and links to it from the commit's folder.
    announced = path.resolve().name
    return Arrival(
        path,
        path.parts[-1 - len(PurePosixPath(file).parts)],
        announced if re.fullmatch("[0-9a-f]{64}", announced) else None,
        fresh=cached != str(path),
    )


def _only_weights_file(source: HubFile) -> str:
    """Return the name of a repository's only weights file; ours is preferred to PyTorch's."""
    try:
        with _quiet_client():
            names = list_repo_files(source.repository, revision=source.revision)
    except HfHubHTTPError as error:
        raise _explained(source, error) from error
    except TRANSPORT_ERRORS as error:
        raise WeightsError(
            f"cannot list the files of {source} on {constants.ENDPOINT}: {_reason(error)}; "
            f"name one of them ({source}/FILE) to use a copy in the cache"
        ) from error
    for suffixes in ((SUFFIX,), FILE_SUFFIXES):
        found = [name for name in names if name.endswith(suffixes)]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(sorted(found)[:10])
            raise WeightsError(f"{source} holds several weights files; name one of them: {listed}")
    raise WeightsError(f"{source} holds no weights file ({', '.join(FILE_SUFFIXES)})")


@contextlib.contextmanager
def _quiet_client() -> Iterator[None]:
    """Silence the client's warning about each attempt: the error after the last one says what matters."""
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        client.setLevel(level)


def _bar(progress: TransferProgress | None) -> type[Any]:
    """Return a progress bar class for the client that draws nothing and calls `progress`."""

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
            # `name` comes from the client; tqdm does not know it
            super().__init__(*args, **{**options, "disable": progress is None, "file": io.StringIO()})

        def display(self, *_: Any, **__: Any) -> bool:
            if progress is not None:
                progress(int(self.n), None if self.total is None else int(self.total))
            return True

    return Bar


def _explained(source: HubFile, error: BaseException) -> WeightsError:
    """Return an error that says why a download failed, and what would help."""
    page = f"{constants.ENDPOINT}/{source.repository}"
    if isinstance(error, GatedRepoError):
        return WeightsError(f"{source} is gated: accept its terms at {page}, then set HF_TOKEN to your token")
    if isinstance(error, RepositoryNotFoundError):
        return WeightsError(
            f"there is no repository {page}, or it is private; check the name, or set HF_TOKEN for it"
        )
    if isinstance(error, RevisionNotFoundError):
        return WeightsError(f"{page} has no revision {source.revision!r}; check the branch, tag or commit")
    if isinstance(error, RemoteEntryNotFoundError):
        return WeightsError(f"{page} has no file {source.file!r}; see its list of files")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        hint = "; set HF_TOKEN to a token with access" if status in (401, 403) else ""
        return WeightsError(f"{page} answered with status {status} when asked for {source}{hint}")
    remedy = "check the name" if isinstance(error, ValueError) else "try again"
    return WeightsError(f"cannot download {source} from {constants.ENDPOINT}: {_reason(error)}; {remedy}")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _unreachable(source: HubFile, sha256: str | None) -> WeightsError:
    address = hf_hub_url(source.repository, source.file or "", revision=source.revision)
    why = "HF_HUB_OFFLINE is set" if offline() else "the hub cannot be reached"
    folder = Path(constants.HF_HUB_CACHE) / f"models--{source.repository.replace('/', '--')}"
    known = f" (sha256 {sha256})" if sha256 else ""
    embedded = model_name(DEFAULT_WEIGHTS)
    return WeightsError(
        f"cannot download {address}{known}: {why}, and there is no copy in {folder}; "
        f"download it where there is a connection, or use an embedded model: --model {embedded}"
    )
