"""Write measured tables into Markdown files, between marker comments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_tables(path: Path, tables: Mapping[str, str]) -> None:
    """Replace the text between ``<!-- name -->`` and ``<!-- /name -->``, for every name that a file marks.

    Raises:
        ValueError: the file marks none of them.
    """
    content = updated = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = updated.partition(opening)
        _, closed, after = rest.partition(closing)
        if found and closed:
            updated = f"{before}{opening}\n{table}\n{closing}{after}"
    if not any(f"<!-- {name} -->" in content for name in tables):
        raise ValueError(f"{path} has no marker for any of: {', '.join(tables)}")
    path.write_text(updated, encoding="utf-8")
