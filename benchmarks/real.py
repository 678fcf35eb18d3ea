"""Print the quality of the embedded models on Vid4 when the given frames are compressed, as most footage is.

    python benchmarks/real.py VID4_DIR --max-frames 17 --write weights/README.md

Every second frame is reduced by four, encoded by x264 at each rate factor, and given. PSNR and SSIM of luma
and VMAF (by an ffmpeg that has libvmaf) compare with the untouched originals. --write puts the
table between the markers ``<!-- real -->`` of Markdown files.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch
from models import models_of
from tables import write_tables
from torch import Tensor
from vmaf import vmaf

from videoinr_cli.evaluation.baselines import make_baseline
from videoinr_cli.evaluation.clips import Clip, find_clips
from videoinr_cli.evaluation.measure import MethodResult, measure_quality
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.report import markdown

CRFS = (28.0, 34.0)
"""What streaming services and phones use for small sizes, and what is left of a video sent around."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One method at one rate factor."""

    result: MethodResult
    vmaf: float  # mean of the clips


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vid4", type=Path, help="folder of the four clips")
    parser.add_argument(
        "--weights", nargs="*", default=[], help="names or files; by default all embedded ones"
    )
    parser.add_argument("--max-frames", type=int, help="use the first frames of each clip only")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="Markdown files to update")
    arguments = parser.parse_args()

    clips = find_clips(arguments.vid4)
    models, described = models_of(arguments.weights)
    methods = [make_baseline("bicubic+blend"), make_baseline("lanczos+blend"), *models]
    rows = []
    for crf in CRFS:
        protocol = Protocol(max_frames=arguments.max_frames, crf=crf)
        rows.append([measure(method, clips, protocol) for method in methods])
    table = f"{described}:\n\n{real_table(rows)}"
    print(table)
    for path in arguments.write:
        write_tables(path, {"real": table})


def measure(method: Method, clips: Sequence[Clip], protocol: Protocol) -> Measured:
    print(f"{protocol}: {method.name}", file=sys.stderr)
    pictures: dict[str, list[Tensor]] = {clip.name: [] for clip in clips}
    result = measure_quality(
        method,
        clips,
        protocol,
        on_frame=lambda score, picture: pictures[score.clip].append(picture[0].cpu().to(torch.float16)),
    )
    scores = []
    for clip in clips:
        rendered = pictures.pop(clip.name)
        size = (rendered[0].shape[1], rendered[0].shape[2])
        truth = (frame[:, : size[0], : size[1]] for frame in islice(clip.frames(), len(rendered)))
        scores.append(vmaf((frame.float() for frame in rendered), truth, size))
    return Measured(result, fmean(scores))


def real_table(rows: Sequence[Sequence[Measured]]) -> str:
    """Return PSNR given / between, SSIM and VMAF, means of the clips, by rate factor and method."""
    table = [["given frames", "method", "PSNR-Y, given / between", "SSIM", "VMAF"]]
    for measured in rows:
        for item in measured:
            result = item.result
            given, between = (
                fmean(part(clip).psnr for clip in result.clips) for part in (result.given, result.between)
            )
            table.append(
                [
                    f"x264, crf {result.protocol.crf:g}",
                    result.method,
                    f"{given:.2f} / {between:.2f}",
                    f"{result.average().ssim:.4f}",
                    f"{item.vmaf:.1f}",
                ]
            )
    return markdown(table)


if __name__ == "__main__":
    main()
