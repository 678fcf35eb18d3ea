"""Measure the embedded weights and update README.md, the model card, the manifest and the pictures.

    python benchmarks/card.py VID4_DIR HELD_OUT_DIR

The folders are as for benchmarks/quality.py. Takes half an hour on two CPU cores, which must be idle
otherwise: speed is measured too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README, CARD = "README.md", "weights/README.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vid4", type=Path, help="folder of the four clips")
    parser.add_argument("held_out", type=Path, help="folder of clips that were not trained on")
    parser.add_argument("--max-frames", default="17", help="use the first frames of each clip only")
    arguments = parser.parse_args()
    vid4, held_out = arguments.vid4.resolve(), arguments.held_out.resolve()
    frames = ("--max-frames", arguments.max_frames)
    for command in (
        ("benchmarks/quality.py", vid4, "--held-out", held_out, *frames, "--sweep", "--write", README, CARD),
        ("benchmarks/real.py", vid4, *frames, "--write", CARD),
        ("benchmarks/picture.py", "docs/result.png"),
        ("benchmarks/picture.py", "docs/real.png", "--crf", "30", "--weights", "clean", "real"),
        ("benchmarks/speed.py", "--write", README),
        ("scripts/update_manifest.py",),
    ):
        subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
