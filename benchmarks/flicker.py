"""How much single-image models flicker on real clips, and what `--steady` makes of it: a Markdown table.

Of each clip, the first frames are reduced by four, rounded to 8 bits and enlarged by each model; a frame and
the next are compared along the motion that the embedded network finds between the reduced frames, where these
agree. Steadiness 0 is the model used alone, frame by frame.

    python benchmarks/flicker.py Vid4/city Vid4/walk --spatial realesr-animevideov3.pth --steady 0 0.5 1
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.clips import find_clips
from videoinr_cli.evaluation.metrics import luma
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model.samples import along
from videoinr_cli.model.spatial import SpatialVideoInr
from videoinr_cli.model.spatial.network import SpatialFrame
from videoinr_cli.model.spatial.steadying import agreement
from videoinr_cli.weights import load_model

REDUCTION = 4
BORDER_PX = 8
AGREEING = 0.5
"""Agreement of reduced frames from which their enlarged pictures are compared."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Means over the frames that have a neighbour on either side."""

    psnr: float  # dB, luma
    flicker: float  # mean change of luma along the motion, 8-bit levels
    sharpness: float  # mean magnitude of the gradient of luma, 8-bit levels a pixel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--spatial", nargs="+", required=True)
    parser.add_argument("--steady", nargs="+", type=float, default=[0.0, 0.5, 1.0])
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--max-side", type=int, default=176, help="of a reduced frame, in pixels")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    print("| clip | model | steady | PSNR-Y, dB | flicker, levels | sharpness, levels |")
    print("|---|---|---|---|---|---|")
    for path in arguments.clips:
        truths = list(itertools.islice(first_frames(path, arguments.max_side), arguments.frames))
        for spatial in arguments.spatial:
            model = load_model(device="cpu", precision=arguments.precision, spatial=spatial)
            assert isinstance(model, SpatialVideoInr)
            for steady, found in measured(model, truths, arguments.steady):
                figures = f"{found.psnr:.2f} | {found.flicker:.2f} | {found.sharpness:.2f}"
                print(f"| {path.stem} | {Path(spatial).stem} | {steady:g} | {figures} |", flush=True)


def first_frames(path: Path, max_side: int) -> Iterator[Tensor]:
    """Yield (1, 3, H, W) frames of a clip, cut to a multiple of the reduction."""
    for frame in find_clips(path, None)[0].frames():
        height, width = (min(side // REDUCTION, max_side) * REDUCTION for side in frame.shape[-2:])
        yield frame[None, :, :height, :width]


@torch.inference_mode()
def measured(
    model: SpatialVideoInr, truths: list[Tensor], strengths: list[float]
) -> Iterator[tuple[float, Measured]]:
    """Yield what a model reaches at each strength; its pictures are made once."""
    lr_size = (truths[0].shape[2] // REDUCTION, truths[0].shape[3] // REDUCTION)
    reduced = [(reduce(truth, lr_size, "torch").clamp(0, 1) * 255).round() / 255 for truth in truths]
    frames = [model.encode_frame(frame) for frame in reduced]
    flows = [flow_between(model, *pair) for pair in pairwise(frames)]
    for strength in strengths:
        model.steadiness = strength
        pictures = []
        for place in range(1, len(frames) - 1):
            pair = model.encode_pair_of(frames[place - 1 : place + 3], 1)
            pictures.append(luma(model.render(pair, 0.0, truths[0].shape[-2:])) * 255)
        quality = [
            -10 * math.log10(_inner(picture / 255 - luma(truth)).square().mean().item())
            for picture, truth in zip(pictures, truths[1:-1], strict=True)
        ]
        changes = [
            change_along(*shown, flow, *given)
            for shown, flow, given in zip(
                pairwise(pictures), flows[1:-1], pairwise(frames[1:-1]), strict=True
            )
        ]
        gradients = [
            (picture.diff(dim=2).abs().mean() + picture.diff(dim=3).abs().mean()).item()
            for picture in pictures
        ]
        yield strength, Measured(fmean(quality), fmean(changes), fmean(gradients))


def _inner(picture: Tensor) -> Tensor:
    return picture[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]


def flow_between(model: SpatialVideoInr, first: SpatialFrame, second: SpatialFrame) -> Tensor:
    """Return the flow from one frame to the next, (1, 2, h, w) in reduced pixels."""
    flow = model.motion.flows_between(first.motion, second.motion)[0].chunk(2)[0]
    fine = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear")
    return fine[..., : first.height, : first.width]


def change_along(
    first: Tensor, second: Tensor, flow: Tensor, before: SpatialFrame, after: SpatialFrame
) -> float:
    """Return the mean difference of two (1, 1, H, W) lumas along a flow, where the frames agree."""
    agrees = (agreement(before.rgb, after.rgb, flow) > AGREEING).float()
    fine, mask = (
        F.interpolate(grid, scale_factor=REDUCTION, mode="bilinear") for grid in (REDUCTION * flow, agrees)
    )
    return ((along(second, fine) - first).abs().mul(mask).sum() / mask.sum()).item()


if __name__ == "__main__":
    main()
