"""Take what was trained here out of weights of the large network, for others to download the rest themselves.

    videoinr train --recipe between --data footage/ -o mine.safetensors
    python scripts/ship_part.py mine.safetensors

The part is written in half precision among the embedded weights, and its hash into their manifest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from update_manifest import WEIGHTS, updated

from videoinr_cli.weights.checkpoints import PART_PREFIX
from videoinr_cli.weights.files import inspect_file, read_tensors, save_tensors
from videoinr_cli.weights.manifest import MANIFEST, completing_files


def main(trained: Path) -> None:
    """Write the part of trained weights."""
    info = inspect_file(trained)
    part = {
        name: tensor.half() for name, tensor in read_tensors(trained).items() if name.startswith(PART_PREFIX)
    }
    if not part:
        raise SystemExit(f"{trained} is a {info.config.architecture}, of which nothing is shipped apart")
    _, destination = completing_files(WEIGHTS)
    destination.parent.mkdir(exist_ok=True)
    save_tensors(part, info.config, destination, {"licence": "Apache-2.0", **info.metadata})
    (WEIGHTS / MANIFEST).write_text(updated(WEIGHTS), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
