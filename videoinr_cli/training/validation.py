"""Measure a network in training, by PSNR, on footage that it is not trained on."""

from __future__ import annotations

import math

import numpy as np
import torch

from videoinr_cli.evaluation.metrics import psnr
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.samples import degraded

VALIDATION_FRAMES = 7
"""Every second frame is given: a pair, one frame before it and one after."""


@torch.no_grad()
def validate(
    model: AnyVideoInr,
    held_out: list[Shot],
    *,
    device: torch.device,
    degrade: bool = False,
    pairs: int = 16,
    scale: int = 4,
) -> tuple[float, float]:
    """Measure PSNR-Y (dB) of given and of in-between frames, on fixed crops of shots not trained on.

    With `degrade`, given frames are degraded as in training, each crop always in the same way.

    Returns:
        The mean of the given frames and that of the in-between frames; NaN when no shot is long enough.
    """
    clips = [shot for shot in held_out if len(shot.frames) >= VALIDATION_FRAMES]
    if not clips:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    scores = []
    for number in range(pairs):
        clip = clips[number % len(clips)]
        start = int(rng.integers(0, max(1, len(clip.frames) - VALIDATION_FRAMES + 1)))
        side = min(256, *clip.frames.shape[1:3]) // (8 * scale) * (8 * scale)
        top, left = (int(rng.integers(0, length - side + 1)) for length in clip.frames.shape[1:3])
        frames = clip.frames[start : start + VALIDATION_FRAMES, top : top + side, left : left + side]
        hr = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div(255).to(device)
        given = reduce(hr[::2], (side // scale, side // scale))
        if degrade:
            given = degraded(given.cpu(), number).to(device)
        before, first, second, after = (model.encode_frame(frame) for frame in given.split(1))
        pair = model.encode_pair(first, second, before=before, after=after)
        scores.append(
            [
                float(psnr(model.render(pair, tau, (side, side)), hr[i : i + 1]))
                for i, tau in ((2, 0.0), (3, 0.5))
            ]
        )
    given, between = np.mean(scores, axis=0)
    return float(given), float(between)
