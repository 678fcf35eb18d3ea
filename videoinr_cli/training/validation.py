"""Measure a network in training, by PSNR, on clips that it is not trained on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from videoinr_cli.evaluation.metrics import psnr
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.training.crops import to_tensor
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.pairs import ClipPair
from videoinr_cli.training.samples import degraded

VALIDATION_FRAMES = 7
"""Frames of a shot to measure on; every second one is given: a pair, one frame before it and one after."""
VALIDATION_HR_FRAMES = 3
"""HR frames of a pair of clips to measure on: two given frames and the one between."""
CROPS = 16
"""Crops of all shots together, each reduced by `SCALE`."""
SCALE = 4

Clip = Shot | ClipPair
"""What is trained on: footage, from which LR frames are made, or an LR clip with its enlargement."""


@dataclasses.dataclass(frozen=True)
class _Case:
    """Two given frames with the frames beside them, and what is there at the first and in the middle."""

    lr: Tensor  # (4, 3, h, w): before, first, second, after
    given: Tensor  # (1, 3, H, W)
    between: Tensor  # (1, 3, H, W)


@torch.no_grad()
def validate(
    model: AnyVideoInr, held_out: Sequence[Clip], *, device: torch.device, degrade: bool = False
) -> tuple[float, float]:
    """Measure PSNR-Y (dB) of given and of in-between frames, on fixed crops of clips not trained on.

    With `degrade`, frames given of shots are degraded as in training, each crop always in the same way.

    Returns:
        The mean of the given frames and that of the in-between frames; NaN when no clip is long enough.
    """
    scores = []
    for case in _cases(held_out, degrade):
        before, first, second, after = (model.encode_frame(lr) for lr in case.lr.to(device).split(1))
        pair = model.encode_pair(first, second, before=before, after=after)
        height, width = case.given.shape[-2:]
        scores.append(
            [
                float(psnr(model.render(pair, tau, (height, width)), true.to(device)))
                for tau, true in ((0.0, case.given), (0.5, case.between))
            ]
        )
    if not scores:
        return math.nan, math.nan
    given, between = np.mean(scores, axis=0)
    return float(given), float(between)


def can_validate(clip: Clip) -> bool:
    """Return whether a clip is long enough to be validated on."""
    if isinstance(clip, ClipPair):
        return len(clip.hr) >= VALIDATION_HR_FRAMES
    return len(clip.frames) >= VALIDATION_FRAMES


def _cases(held_out: Sequence[Clip], degrade: bool) -> Iterator[_Case]:
    """Yield every pair of clips, and crops of the shots in turn."""
    clips = [clip for clip in held_out if can_validate(clip)]
    for clip in clips:
        if isinstance(clip, ClipPair):
            first, last = clip.first, len(clip.lr) - 1
            lr = clip.lr[[max(first - 2, 0), first, first + 2, min(first + 4, last)]]
            yield _Case(to_tensor(lr), to_tensor(clip.hr[:1]), to_tensor(clip.hr[1:2]))
    shots = [clip for clip in clips if isinstance(clip, Shot)]
    rng = np.random.default_rng(0)
    for number in range(CROPS if shots else 0):
        shot = shots[number % len(shots)]
        start = int(rng.integers(0, max(1, len(shot.frames) - VALIDATION_FRAMES + 1)))
        side = min(256, *shot.frames.shape[1:3]) // (8 * SCALE) * (8 * SCALE)
        top, left = (int(rng.integers(0, length - side + 1)) for length in shot.frames.shape[1:3])
        frames = shot.frames[start : start + VALIDATION_FRAMES, top : top + side, left : left + side]
        hr = to_tensor(frames)
        small = reduce(hr[::2], (side // SCALE, side // SCALE))
        yield _Case(degraded(small, number) if degrade else small, hr[2:3], hr[3:4])
