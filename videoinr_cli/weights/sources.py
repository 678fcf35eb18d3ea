"""Sources of weights as the user writes them: a file on the hub or in a package, a URL, or a path."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from videoinr_cli.errors import OptionError

HUB_PREFIX = "hf:"
HUB_FILE = re.compile(
    r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>[^@\s]+))?", re.ASCII
)
PACKAGE_PREFIX = "pip:"
PACKAGE_FILE = re.compile(
    r"(?P<package>[\w.-]+)==(?P<version>[\w.!+-]+)/(?P<file>[^#]+)#sha256=(?P<sha256>[0-9a-f]{64})", re.ASCII
)
DRIVE_FILE = re.compile(r"https://drive\.google\.com/(?:file/d/|(?:open|uc)\?(?:.*&)?id=)([\w-]+)", re.ASCII)
DRIVE_DOWNLOAD = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
"""Answers with the file, or with a page that asks whether to skip the virus scan; see `pages`."""


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file in a repository on Hugging Face's hub or a mirror of it (HF_ENDPOINT)."""

    repository: str  # owner/name
    file: str | None = None  # None: the only weights file in it
    revision: str | None = None  # branch, tag or commit; None: main

    def __str__(self) -> str:
        file = "" if self.file is None else f"/{self.file}"
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{HUB_PREFIX}{self.repository}{file}{revision}"


@dataclasses.dataclass(frozen=True)
class WebFile:
    """A file at a URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def direct_url(self) -> str:
        """The URL of the file itself; for Google Drive, it differs from the link that people share."""
        drive = DRIVE_FILE.match(self.url)
        return self.url if drive is None else DRIVE_DOWNLOAD.format(drive[1])


@dataclasses.dataclass(frozen=True)
class PackageFile:
    """A file in a Python package, on whichever package index pip is set up for."""

    package: str
    version: str
    file: str  # its path in the wheel
    sha256: str  # of the wheel

    def __str__(self) -> str:
        return f"{PACKAGE_PREFIX}{self.package}=={self.version}/{self.file}#sha256={self.sha256}"


Source = HubFile | PackageFile | WebFile | Path


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A file as it came from its source."""

    path: Path
    revision: str | None = None  # the hub's commit
    announced_sha256: str | None = None  # as stated by the source
    fresh: bool = True  # False: it was in the hub's cache already
    temporary: bool = False  # True: delete it when it has been read


TransferProgress = Callable[[int, "int | None"], None]
"""Called during a transfer with the bytes received so far, and the total if it is known."""


def parse_source(text: str, revision: str | None = None) -> Source:
    """Read a source as the user writes it.

    That is ``hf:owner/repository[/file][@revision]``, ``pip:package==version/file#sha256=…``, ``https://…``,
    or else a path.

    Args:
        revision: branch, tag or commit on the hub, if it was given separately.

    Raises:
        OptionError: the text has none of these forms, or a revision is given for a source that has none.
    """
    if text.startswith(HUB_PREFIX):
        match = HUB_FILE.fullmatch(text.removeprefix(HUB_PREFIX))
        if match is None:
            raise OptionError(f"weights {text!r} are not of the form hf:owner/repository/file[@revision]")
        if revision is not None and match["revision"] is not None:
            raise OptionError(f"weights {text!r} already name a revision; leave out --revision {revision}")
        return HubFile(match["repository"], match["file"], revision or match["revision"])
    if revision is not None:
        raise OptionError(f"--revision {revision} is for files on a hub (hf:owner/repository), not {text!r}")
    if text.startswith(PACKAGE_PREFIX):
        match = PACKAGE_FILE.fullmatch(text.removeprefix(PACKAGE_PREFIX))
        if match is None:
            raise OptionError(f"weights {text!r} are not of the form pip:package==version/file#sha256=HEX")
        return PackageFile(**match.groupdict())
    if text.startswith(("http://", "https://")):
        if not urllib.parse.urlsplit(text).hostname:
            raise OptionError(f"URL {text!r} names no host; check it")
        return WebFile(text)
    if re.match(r"\w+://", text):
        raise OptionError(
            f"URL {text!r} is not http:// or https://; give one that is, a path, or hf:owner/repository/file"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~ of a user without a home
        raise OptionError(f"weights {text!r} lie in a home that is not there; give a whole path") from None


def default_name(source: Source) -> str:
    """Return the name of weights from a source if the user gives none."""
    if isinstance(source, HubFile):
        parts = (source.repository, Path(source.file or "").stem, source.revision)
        return re.sub(r"[^\w.-]+", "--", "/".join(filter(None, parts)))
    if isinstance(source, PackageFile):
        return Path(source.file).stem
    last = source.name if isinstance(source, Path) else urllib.parse.urlsplit(source.url).path.rsplit("/")[-1]
    stem = Path(urllib.parse.unquote(last)).stem
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "weights"
