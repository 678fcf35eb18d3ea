"""Where weights come from, as a person writes it: a file on a hub, an address on the web, a path.

Knows nothing of how they are fetched.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path

from videoinr_cli.errors import OptionError

HUB_PREFIX = "hf:"
HUB_FILE = re.compile(
    r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>[^@\s]+))?", re.ASCII
)
DRIVE_FILE = re.compile(r"https://drive\.google\.com/(?:file/d/|(?:open|uc)\?(?:.*&)?id=)([\w-]+)", re.ASCII)
DRIVE_DOWNLOAD = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
"""Answers with the file itself, or with a page that asks whether to skip the virus scan: see `pages`."""


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file in a repository on Hugging Face's hub, or on one like it (HF_ENDPOINT)."""

    repository: str  # owner/name
    file: str | None = None  # None: the only weights file in it
    revision: str | None = None  # branch, tag or commit; None: main

    def __str__(self) -> str:
        file = "" if self.file is None else f"/{self.file}"
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{HUB_PREFIX}{self.repository}{file}{revision}"


@dataclasses.dataclass(frozen=True)
class WebFile:
    """A file at an address of its own."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def direct_url(self) -> str:
        """The address that gives the file itself, which on Google Drive is not the one people share."""
        drive = DRIVE_FILE.match(self.url)
        return self.url if drive is None else DRIVE_DOWNLOAD.format(drive[1])


Source = HubFile | WebFile | Path


def parse_source(text: str, revision: str | None = None) -> Source:
    """Read ``hf:owner/repository[/file][@revision]``, ``https://…``, or else a path.

    Args:
        revision: branch, tag or commit on the hub, as an option of its own.

    Raises:
        OptionError: not of such a form, or a revision of something that has none.
    """
    if text.startswith(HUB_PREFIX):
        match = HUB_FILE.fullmatch(text.removeprefix(HUB_PREFIX))
        if match is None:
            raise OptionError(f"weights {text!r} are not of the form hf:owner/repository/file[@revision]")
        if revision is not None and match["revision"] is not None:
            raise OptionError(f"weights {text!r} name a revision already; leave out --revision {revision}")
        return HubFile(match["repository"], match["file"], revision or match["revision"])
    if revision is not None:
        raise OptionError(f"--revision {revision} is for files on a hub (hf:owner/repository), not {text!r}")
    if text.startswith(("http://", "https://")):
        if not urllib.parse.urlsplit(text).hostname:
            raise OptionError(f"address {text!r} names no host")
        return WebFile(text)
    if re.match(r"\w+://", text):
        raise OptionError(
            f"address {text!r} is not http:// or https://; give a path or hf:owner/repository/file"
        )
    return Path(text).expanduser()


def default_name(source: Source) -> str:
    """Return what weights from a source are called unless a person names them."""
    if isinstance(source, HubFile):
        parts = (source.repository, Path(source.file or "").stem, source.revision)
        return re.sub(r"[^\w.-]+", "--", "/".join(filter(None, parts)))
    last = source.name if isinstance(source, Path) else urllib.parse.urlsplit(source.url).path.rsplit("/")[-1]
    stem = Path(urllib.parse.unquote(last)).stem
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "weights"
