"""Draw a part of the example clip: the source, bicubic enlargement, and the models' output.

    python benchmarks/picture.py docs/result.png
    python benchmarks/picture.py docs/real.png --crf 32 --weights clean real

Columns: the source's own pixels, bicubic enlargement with blended frames, each of the weights. Upper row: a
frame of the source; lower row: the instant halfway to the next one, where the source still shows that frame.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.baselines import PerFrame
from videoinr_cli.evaluation.clips import find_clips, save_picture
from videoinr_cli.evaluation.measure import compressed
from videoinr_cli.evaluation.methods import ModelMethod
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.weights import load_model

CLIP = Path(__file__).resolve().parent.parent / "examples" / "clip.mp4"
SCALE = 4
GAP_PX = 8  # white, between the panels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="PNG to write")
    parser.add_argument("--weights", nargs="+", default=[DEFAULT_WEIGHTS], help="names or files")
    parser.add_argument("--crf", type=float, help="let x264 compress the clip at this rate factor first")
    parser.add_argument("--frame", type=int, default=36, help="of the example clip")
    parser.add_argument(
        "--region", type=int, nargs=4, default=[130, 10, 100, 90], metavar=("X", "Y", "W", "H")
    )
    arguments = parser.parse_args()

    (clip,) = find_clips(CLIP)
    frames = (frame[None] for frame in islice(clip.frames(), arguments.frame + 2))
    if arguments.crf is not None:
        frames = compressed(frames, arguments.crf)
    given = list(frames)[arguments.frame :]
    size = (given[0].shape[2] * SCALE, given[0].shape[3] * SCALE)
    columns = [
        [F.interpolate(given[0], size=size, mode="nearest")] * 2,
        list(PerFrame("bicubic", "blend").render(given, 2, size)),
        *(list(ModelMethod(name, load_model(name)).render(given, 2, size)) for name in arguments.weights),
    ]
    x, y, width, height = (SCALE * side for side in arguments.region)
    panels = [[frame[0, :, y : y + height, x : x + width].cpu() for frame in column] for column in columns]
    save_picture(join([join(column, dim=1) for column in panels], dim=2), arguments.output)


def join(pictures: list[Tensor], dim: int) -> Tensor:
    """Put (3, H, W) pictures side by side along a dimension, with gaps."""
    shape = list(pictures[0].shape)
    shape[dim] = GAP_PX
    parts = [part for picture in pictures for part in (picture, torch.ones(shape))]
    return torch.cat(parts[:-1], dim=dim)


if __name__ == "__main__":
    main()
