"""Put measured tables where they are read: between marker comments of a Markdown file, never by hand."""

from __future__ import annotations

from pathlib import Path


def replace_block(path: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a file.

    Raises:
        ValueError: the file has no such pair of markers.
    """
    content = path.read_text(encoding="utf-8")
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = content.partition(opening)
    _, closed, after = rest.partition(closing)
    if not found or not closed:
        raise ValueError(f"{path} has no markers {opening} and {closing}")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{after}", encoding="utf-8")
