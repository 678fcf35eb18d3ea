"""Download files from plain URLs, and resume downloads that broke off.

A download that broke off is kept beside its destination as ``.part``, with the server's version tag in
``.part.tag``, so that the next run resumes it only if the server still has the same file. Nothing is kept
where the disk is full.
"""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from videoinr_cli.errors import OutputError, WeightsError, writing
from videoinr_cli.weights.pages import read_page
from videoinr_cli.weights.sources import TransferProgress, WebFile

ATTEMPTS = 5
RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
"""How long a server may stay silent."""
PIECE_BYTES = 1 << 18
MOST_PAGES = 2
"""Pages to load before expecting a file: the first may be Google Drive's question."""
TEMPORARY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
RANGE_NOT_SATISFIABLE = 416


class _BrokenError(Exception):
    """A transfer ended early; another attempt may resume it."""


def download(source: WebFile, destination: Path, progress: TransferProgress | None = None) -> None:
    """Download a file; it appears under its name only when it is complete.

    Raises:
        WeightsError: the server refuses, answers with a web page, or fails `ATTEMPTS` times.
        OutputError: the file cannot be written.
    """
    partial = destination.with_name(destination.name + ".part")
    tag = partial.with_name(partial.name + ".tag")
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _resume(source, partial, tag, progress)
            break
        except OutputError:
            for path in (partial, tag):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
        except _BrokenError as error:
            if attempt == ATTEMPTS:
                kept = partial.stat().st_size if partial.exists() else 0
                again = (
                    f"{kept / 1e6:.1f} MB are kept; run the command again to resume"
                    if kept
                    else "try again later"
                )
                raise WeightsError(f"cannot download {source}: {error}; {again}") from error
            time.sleep(RETRY_SECONDS)
    with writing(destination):
        partial.replace(destination)
        tag.unlink(missing_ok=True)


def _resume(source: WebFile, partial: Path, tag: Path, progress: TransferProgress | None) -> None:
    """Download the missing rest of a file, or all of it if the server's file has changed."""
    here = partial.stat().st_size if partial.exists() and tag.exists() else 0
    headers = {"User-Agent": "videoinr"}
    if here:
        headers |= {"Range": f"bytes={here}-", "If-Range": tag.read_text(encoding="utf-8")}
    with _file(source, headers, partial) as response:
        resumes = response.status == http.client.PARTIAL_CONTENT
        here = here if resumes else 0
        length = response.headers.get("Content-Length", "")
        total = here + int(length) if length.isdecimal() else None
        with writing(partial):  # the network raises OSError too
            _keep_tag(response, tag)
            with partial.open("ab" if resumes else "wb") as file:
                while piece := _piece(response):
                    file.write(piece)
                    here += len(piece)
                    if progress is not None:
                        progress(here, total)
    if total is not None and here != total:
        raise _BrokenError(f"the connection ended after {here} of {total} bytes")


@contextlib.contextmanager
def _file(source: WebFile, headers: dict[str, str], partial: Path) -> Iterator[http.client.HTTPResponse]:
    """Request a file; confirm the download if a page asks for it."""
    url = source.direct_url
    for _ in range(MOST_PAGES):
        with _answer(source, urllib.request.Request(url, headers=headers), partial) as response:
            if response.headers.get_content_type() != "text/html":
                yield response
                return
            page = read_page(_piece(response).decode(errors="replace"), response.url)
        if page.download_url is None:
            break
        url = page.download_url
    named = f" ({page.title!r})" if page.title else ""
    raise WeightsError(
        f"{source} answered with a web page{named} instead of a file: the file is gone, needs a sign-in, "
        "or was downloaded too often today"
    )


def _keep_tag(response: http.client.HTTPResponse, tag: Path) -> None:
    """Store the version tag of the server's file; without one, the download cannot be resumed."""
    etag = response.headers.get("ETag", "")
    version = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    if version:
        tag.write_text(version, encoding="utf-8")
    else:
        tag.unlink(missing_ok=True)


@contextlib.contextmanager
def _answer(
    source: WebFile, request: urllib.request.Request, partial: Path
) -> Iterator[http.client.HTTPResponse]:
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE:
            partial.unlink(missing_ok=True)
            raise _BrokenError("the file has changed since the download began") from error
        if error.code in TEMPORARY_STATUSES:
            raise _BrokenError(f"the server answered with status {error.code}") from error
        raise WeightsError(f"{source} answered with status {error.code}; check the address") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _BrokenError(f"the server cannot be reached ({reason})") from error
    with response:
        yield response


def _piece(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(PIECE_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"the connection broke ({error})") from error
