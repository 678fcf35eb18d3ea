"""A small server on loopback that answers as Hugging Face's hub does, and serves plain files too."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret"  # of this server only


@dataclasses.dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = dataclasses.field(
        default_factory=dict
    )  # by path: owner/repo/file, or files/name
    private: frozenset[str] = frozenset()  # repositories that want `TOKEN`
    cut_bytes: int | None = None  # the next answers with a body end after so many bytes ...
    cuts: int = 0  # ... so many times
    corrupt: bool = False  # bytes other than the hash says
    status: int | None = None  # answered to every request
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # of plain files, added or replaced
    page: bytes | None = None  # answered in the place of plain files ...
    page_unless: str | None = None  # ... unless this is the query
    asked: list[tuple[str, str, str | None]] = dataclasses.field(default_factory=list)  # method, path, range
    agents: set[str] = dataclasses.field(default_factory=set)
    url: str = ""

    def reset(self) -> None:
        """Forget everything but the address."""
        for name, value in vars(Hub(url=self.url)).items():
            setattr(self, name, value)

    def ranges(self) -> list[str | None]:
        """Return the ranges that were asked for with GET, in order."""
        return [asked for method, _, asked in self.asked if method == "GET"]


@contextlib.contextmanager
def serve() -> Iterator[Hub]:
    """Run a server for as long as the block lasts."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path).lstrip("/")
            hub.asked.append((self.command, path, self.headers.get("Range")))
            hub.agents.add(self.headers.get("User-Agent", ""))
            if hub.status is not None:
                self.refuse(hub.status)
            elif (tree := re.fullmatch(r"api/models/([^/]+/[^/]+)/tree/[^/]+", path)) is not None:
                self.list_files(tree[1])
            elif (wanted := re.fullmatch(r"([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)) is not None:
                self.resolve(*wanted.groups())
            elif hub.page is not None and urlsplit(self.path).query != hub.page_unless:
                self.send(hub.page, {"Content-Type": "text/html; charset=utf-8"})
            elif path in hub.files:
                pages = {"Content-Type": "text/html"} if path.endswith("/") else {}
                self.send(hub.files[path], hub.headers | pages)
            else:
                self.refuse(404)

        def resolve(self, repository: str, revision: str, file: str) -> None:
            if not any(name.startswith(f"{repository}/") for name in hub.files):
                self.refuse(404, "RepoNotFound")
            elif repository in hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.refuse(401, "RepoNotFound")
            elif revision not in ("main", COMMIT):
                self.refuse(404, "RevisionNotFound")
            elif f"{repository}/{file}" not in hub.files:
                self.refuse(404, "EntryNotFound")
            else:
                self.send(hub.files[f"{repository}/{file}"], {"X-Repo-Commit": COMMIT})

        def list_files(self, repository: str) -> None:
            names = [
                name.removeprefix(f"{repository}/") for name in hub.files if name.startswith(f"{repository}/")
            ]
            if not names:
                self.refuse(404, "RepoNotFound")
                return
            entries = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in names]
            self.send(json.dumps(entries).encode(), {"Content-Type": "application/json"})

        def refuse(self, status: int, code: str | None = None) -> None:
            self.send_response(status)
            if code is not None:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, content: bytes, headers: dict[str, str]) -> None:
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            start = int(wanted[1]) if wanted and self.headers.get("If-Range", etag) == etag else 0
            if start >= len(content) > 0:
                self.refuse(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            sent = {
                "Content-Type": "application/octet-stream",
                "ETag": etag,
                "Accept-Ranges": "bytes",
            } | headers
            for name, value in sent.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "GET":
                self.send_body(bytes(255 - byte for byte in content) if hub.corrupt else content, start)

        def send_body(self, content: bytes, start: int) -> None:
            if hub.cuts and hub.cut_bytes is not None:
                hub.cuts -= 1
                self.wfile.write(content[start : start + hub.cut_bytes])
                self.close_connection = True
            else:
                self.wfile.write(content[start:])

    return Handler
