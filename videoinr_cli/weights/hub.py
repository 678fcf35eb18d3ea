"""Files on Hugging Face's hub, by its own client: its cache, its tokens, its mirrors, its offline mode.

HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to that client. Knows nothing of what is
in a file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import re
from collections.abc import Callable, Iterator
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
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.weights.manifest import SUFFIX
from videoinr_cli.weights.sources import HubFile

FILE_SUFFIXES = (SUFFIX, ".pth", ".pt", ".ckpt")
TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)),
)
"""What the client raises when a transfer fails. Its HTTP library changes between its versions, and not every
error of such a library is an OSError; but the client's own error always derives from the library's."""

Report = Callable[[int, "int | None"], None]
"""Called with how many bytes have come, and how many there are in all, as far as that is known."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class HubCopy:
    """A hub's file in the client's cache."""

    path: Path
    commit: str
    sha256: str | None  # as the hub announced it, for a file in large-file storage
    fresh: bool  # False: the cache had it already


def offline() -> bool:
    """Return whether the person wants nothing fetched (HF_HUB_OFFLINE)."""
    return constants.HF_HUB_OFFLINE


def fetch_from_hub(source: HubFile, report: Report | None = None, *, sha256: str | None = None) -> HubCopy:
    """Return the newest copy of a file that can be had: of the hub if it answers, else of the cache.

    The client goes on by itself where a connection breaks. It does not check the bytes that came: the caller
    does.

    Args:
        sha256: of the file, where it is known; for the error that tells a person how to get it elsewhere.

    Raises:
        WeightsError: no such repository, revision or file, no access to it, no connection and nothing cached,
            or a transfer that failed.
    """
    file = source.file or _only_weights_file(source)
    source = dataclasses.replace(source, file=file)
    try:
        cached = try_to_load_from_cache(source.repository, file, revision=source.revision)
        if report is None and not isinstance(cached, str) and not offline():
            logger.info("fetching %s from %s", source, constants.ENDPOINT)
        with _without_chatter():
            path = Path(
                hf_hub_download(
                    source.repository,
                    file,
                    revision=source.revision,
                    tqdm_class=_bar(report),
                    library_name="videoinr",
                )
            )
    except LocalEntryNotFoundError as error:
        raise _unreachable(source, sha256) from error
    except TRANSPORT_ERRORS as error:
        raise _explained(source, error) from error
    # The cache keeps a large file's bytes under their SHA-256, and links to them from
    # a folder of the commit.
    announced = path.resolve().name
    return HubCopy(
        path,
        path.parts[-1 - len(PurePosixPath(file).parts)],
        announced if re.fullmatch("[0-9a-f]{64}", announced) else None,
        fresh=cached != str(path),
    )


def _only_weights_file(source: HubFile) -> str:
    """Return the name of a repository's weights file if it holds one only, ours before PyTorch's."""
    try:
        with _without_chatter():
            names = list_repo_files(source.repository, revision=source.revision)
    except HfHubHTTPError as error:
        raise _explained(source, error) from error
    except TRANSPORT_ERRORS as error:
        raise WeightsError(
            f"cannot ask {constants.ENDPOINT} which files {source} holds: {_reason(error)}; "
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
def _without_chatter() -> Iterator[None]:
    """Let the client's warnings of each attempt go unsaid: the error after the last one says what matters."""
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        client.setLevel(level)


def _bar(report: Report | None) -> type[Any]:
    """Return a class for the client to show progress with, which draws nothing and calls `report`."""

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
            # `name` is the client's own, which tqdm does not know
            super().__init__(*args, **{**options, "disable": report is None, "file": io.StringIO()})

        def display(self, *_: Any, **__: Any) -> bool:
            if report is not None:
                report(int(self.n), None if self.total is None else int(self.total))
            return True

    return Bar


def _explained(source: HubFile, error: BaseException) -> WeightsError:
    """Say in one line why a file could not be had, and what would help."""
    page = f"{constants.ENDPOINT}/{source.repository}"
    if isinstance(error, GatedRepoError):
        return WeightsError(f"{source} is gated: accept its terms at {page}, then set HF_TOKEN to your token")
    if isinstance(error, RepositoryNotFoundError):
        return WeightsError(
            f"no repository {page}, or it is private; check the name, or set HF_TOKEN to a token for it"
        )
    if isinstance(error, RevisionNotFoundError):
        return WeightsError(f"no revision {source.revision!r} of {page}; check the branch, tag or commit")
    if isinstance(error, RemoteEntryNotFoundError):
        return WeightsError(f"no file {source.file!r} in {page}; look at its list of files")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        hint = "; set HF_TOKEN to a token that may read it" if status in (401, 403) else ""
        return WeightsError(f"{page} answered with status {status} when asked for {source}{hint}")
    remedy = "check the name" if isinstance(error, ValueError) else "run it again"
    return WeightsError(f"cannot fetch {source} from {constants.ENDPOINT}: {_reason(error)}; {remedy}")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _unreachable(source: HubFile, sha256: str | None) -> WeightsError:
    address = hf_hub_url(source.repository, source.file or "", revision=source.revision)
    why = "HF_HUB_OFFLINE is set" if offline() else "the hub cannot be reached"
    folder = Path(constants.HF_HUB_CACHE) / f"models--{source.repository.replace('/', '--')}"
    known = f" (sha256 {sha256})" if sha256 else ""
    return WeightsError(
        f"cannot fetch {address}{known}: {why}, and there is no copy in {folder}; "
        f"fetch it where there is a connection, or use the embedded weights: --weights {DEFAULT_WEIGHTS}"
    )
