"""Read a web page that came instead of a file, such as Google Drive's question before a large download."""

from __future__ import annotations

import dataclasses
import html.parser
import urllib.parse

CONFIRMATION = "download-form"
"""Id of the form with which Google Drive asks whether to download a file that it did not scan for viruses.
The form's hidden fields change from page to page, so no fixed URL reliably avoids it."""

MOST_TITLE_CHARACTERS = 80


@dataclasses.dataclass(frozen=True)
class Page:
    """The relevant parts of a page."""

    title: str  # on one line; may be empty
    download_url: str | None  # target of its download form


def read_page(text: str, url: str) -> Page:
    """Parse a page.

    Args:
        text: the page's HTML.
        url: the page's own URL; a form that leads to another server is ignored.
    """
    reader = _Reader()
    reader.feed(text)
    title = "".join(letter if letter.isprintable() else " " for letter in reader.title)
    target = None
    if reader.action is not None:
        address, _, query = urllib.parse.urljoin(url, reader.action).partition("?")
        if urllib.parse.urlsplit(address)[:2] == urllib.parse.urlsplit(url)[:2]:
            target = f"{address}?{urllib.parse.urlencode([*urllib.parse.parse_qsl(query), *reader.fields])}"
    return Page(" ".join(title.split())[:MOST_TITLE_CHARACTERS], target)


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.action: str | None = None
        self.fields: list[tuple[str, str]] = []
        self._within = ""  # the title, or the form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "title":
            self._within = tag
        elif tag == "form" and given.get("id") == CONFIRMATION:
            self._within = tag
            self.action = given.get("action", "")
        elif tag == "input" and self._within == "form" and given.get("name"):
            self.fields.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "title":
            self.title += data
