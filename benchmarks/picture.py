r"""Draw parts of clips: the source, bicubic enlargement, and the models' output.

    python benchmarks/picture.py docs/result.png
    python benchmarks/picture.py docs/real.png --crf 32 --weights clean real
    python benchmarks/picture.py docs/crisp.png --weights real vivid --strengths 0.5 1 --spatial x4plus.pth \
        --view tape.mpg 40 300 120 120 90 --view phone.mp4 12 80 200 120 90

Columns: the source's own pixels, bicubic enlargement with blended frames, each of the weights (at each of the
strengths, if they have one), each of the single-image models; their names are printed. Without --view, the
upper row is a frame of the example clip, and the lower row the instant halfway to the next one, where the
source still shows that frame. With --view, each row is a frame of a clip.
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
from videoinr_cli.evaluation.methods import Method, ModelMethod
from videoinr_cli.evaluation.options import EvaluateOptions
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.previews.moment import ALIGNMENT_PX, HALO_PX
from videoinr_cli.weights import load_network

CLIP = Path(__file__).resolve().parent.parent / "examples" / "clip.mp4"
SCALE = 4
GAP_PX = 8  # white, between the panels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="PNG to write")
    parser.add_argument("--weights", nargs="+", default=[DEFAULT_WEIGHTS], help="names or files")
    parser.add_argument("--strengths", nargs="+", type=float, default=[], help="of weights that have one")
    parser.add_argument("--spatial", nargs="+", default=[], help="files of single-image models")
    parser.add_argument("--crf", type=float, help="let x264 compress the clips at this rate factor first")
    parser.add_argument("--frame", type=int, default=36, help="of the example clip")
    parser.add_argument(
        "--region", type=int, nargs=4, default=[130, 10, 100, 90], metavar=("X", "Y", "W", "H")
    )
    parser.add_argument(
        "--view",
        nargs=6,
        action="append",
        metavar=("CLIP", "FRAME", "X", "Y", "W", "H"),
        help="a row; may be repeated, for regions of one size",
    )
    arguments = parser.parse_args()

    asked = EvaluateOptions(
        weights=tuple(arguments.weights),
        strengths=tuple(arguments.strengths),
        spatial=tuple(arguments.spatial),
    )
    methods: list[Method] = [PerFrame("bicubic", "blend")]
    methods += [ModelMethod(name, load_network(network)) for name, network in asked.networks]
    print("columns: source,", ", ".join(method.name for method in methods))
    views = arguments.view or [(CLIP, arguments.frame, *arguments.region)]
    rows = []
    for clip, *numbers in views:
        frame, *region = map(int, numbers)
        given, shown = cropped(frames_of(Path(clip), frame, arguments.crf), region)
        rows += rows_of(given, shown, methods, instants=1 if arguments.view else 2)
    save_picture(join([join(row, dim=2) for row in rows], dim=1), arguments.output)


def frames_of(path: Path, frame: int, crf: float | None) -> list[Tensor]:
    """Return a frame of a clip and the next one, (1, 3, H, W)."""
    (clip,) = find_clips(path)
    frames = (one[None] for one in islice(clip.frames(), frame + 2))
    if crf is not None:
        frames = compressed(frames, crf)
    return list(frames)[frame:]


def cropped(frames: list[Tensor], region: list[int]) -> tuple[list[Tensor], list[int]]:
    """Return what models see of frames, a region and its surroundings, and where the region lies in that."""
    x, y, width, height = region
    left, top = (max(0, start - HALO_PX) // ALIGNMENT_PX * ALIGNMENT_PX for start in (x, y))
    rows, columns = slice(top, y + height + HALO_PX), slice(left, x + width + HALO_PX)
    return [frame[:, :, rows, columns] for frame in frames], [x - left, y - top, width, height]


def rows_of(
    given: list[Tensor], region: list[int], methods: list[Method], *, instants: int
) -> list[list[Tensor]]:
    """Return a row of pictures for each instant: a region of the source, and what each method makes of it."""
    size = (given[0].shape[2] * SCALE, given[0].shape[3] * SCALE)
    columns = [[F.interpolate(given[0], size=size, mode="nearest")] * instants]
    columns += [list(islice(method.render(given, 2, size), instants)) for method in methods]
    x, y, width, height = (SCALE * side for side in region)
    return [
        [picture[0, :, y : y + height, x : x + width].cpu() for picture in row]
        for row in zip(*columns, strict=True)
    ]


def join(pictures: list[Tensor], dim: int) -> Tensor:
    """Put (3, H, W) pictures side by side along a dimension, with gaps."""
    shape = list(pictures[0].shape)
    shape[dim] = GAP_PX
    parts = [part for picture in pictures for part in (picture, torch.ones(shape))]
    return torch.cat(parts[:-1], dim=dim)


if __name__ == "__main__":
    main()
