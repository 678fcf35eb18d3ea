"""Write into weights/manifest.json what can be read from the embedded files: run it when one of them changes.

    python scripts/update_manifest.py

The hash and the size come from each file, its quality from the table that benchmarks/quality.py writes into
weights/README.md, if that is of the same file. Everything else in the manifest is left as it is.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from videoinr_cli.weights.manifest import MANIFEST, SUFFIX, sha256_of

WEIGHTS = Path(__file__).parent.parent / "weights"


def updated(folder: Path) -> str:
    """Return the text that a folder's manifest should have."""
    manifest: dict[str, dict[str, Any]] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        entry = manifest.setdefault(path.stem, {"about": "embedded weights"})
        entry.update(size_bytes=path.stat().st_size, sha256=sha256_of(path))
        if (measured := measured_quality(card, path.stem, entry["sha256"])) is not None:
            entry["measured"] = measured
        else:
            entry.pop("measured", None)
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def measured_quality(card: str, name: str, sha256: str) -> str | None:
    """Return what the quality table of a model card says of weights, its last column, or None.

    Raises:
        SystemExit: the table is of other weights of that name.
    """
    table = re.search(r"<!-- quality -->\n(.*?)<!-- /quality -->", card, re.DOTALL)
    digits = table and re.search(rf"`{re.escape(name)}` \(sha256 (\w+)\.\.\.\)", table[1])
    if digits and not sha256.startswith(digits[1]):
        raise SystemExit(f"weights/README.md has the quality of another {name}; run benchmarks/card.py")
    last_cell = rf"^\| {re.escape(name)} .*\| *([\d.]+) / ([\d.]+) *\|$"
    row = table and re.search(last_cell, table[1], re.MULTILINE)
    return row and f"Vid4, space x4, time x2: PSNR-Y {row[1]} dB of frames given, {row[2]} dB between them"


if __name__ == "__main__":
    (WEIGHTS / MANIFEST).write_text(updated(WEIGHTS), encoding="utf-8")
