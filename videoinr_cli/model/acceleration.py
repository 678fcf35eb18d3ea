"""How motion between two frames gathers speed or loses it, by what the frames beside them show.

Knows nothing of time stamps: frames are taken to follow one another evenly, and believed less where they do
not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.flow import warp

UNSTEADY = 0.1**2
"""Squared acceleration, in pixels of the flows' grid, that may be an error of flows as well as not."""


def acceleration(flows: Tensor, between: Sequence[Tensor], beside: Sequence[Tensor], area: int) -> Tensor:
    """Return the acceleration of what lies at an instant, (B, 2, h, w), in pixels from frame to frame.

    It is the mean of what the frame before the pair and the one after it say, and less where they contradict
    each other, as where time is uneven because a frame is missing. One of them alone is not believed. Nothing
    turns back between two frames: what does not move from one to the other stays where it is.

    **Source**: Xu et al., "Quadratic video interpolation", NeurIPS 2019, equation 3.

    Args:
        flows: (B, 4, h, w), from the instant to both frames.
        between: flows (B, 2, h, w) from the first frame to the second, and back.
        beside: from the first frame to the one before it, and from the second to the one after it.
        area: side of the squares over which it is averaged, in pixels.
    """
    said = [
        averaged(warp(away + back, flow), area)
        for away, back, flow in zip(between, beside, flows.chunk(2, dim=1), strict=True)
    ]
    return agreed(flows, said, area)


def agreed(flows: Tensor, said: Sequence[Tensor], area: int) -> Tensor:
    """Return what is believed of (B, 2, h, w) accelerations, of one side or both; see `acceleration`."""
    first, second = said[0], said[-1]
    mean = (first + second) / 2
    certain, uncertain = (averaged(squared(vectors), area) for vectors in (mean, (first - second) / 2))
    mean = mean * (certain / (certain + uncertain + UNSTEADY))
    most = 4 * squared(flows[:, 2:] - flows[:, :2])
    limited: Tensor = mean * (most / squared(mean).clamp(min=1e-9)).clamp(max=1).sqrt()
    return limited


def ahead(tau: Tensor, accelerating: Tensor) -> Tensor:
    """Return by how much farther ahead both frames are read than by uniform motion, (B, 2, h, w).

    Args:
        tau: (B, 1, 1, 1), the instant's place between the frames.
        accelerating: see `acceleration`.
    """
    return tau * (1 - tau) / 2 * accelerating


def squared(vectors: Tensor) -> Tensor:
    """Return the (B, 1, h, w) squared lengths of (B, 2, h, w) vectors."""
    return vectors.square().sum(1, keepdim=True)


def averaged(values: Tensor, area: int) -> Tensor:
    """Return the means of (B, C, h, w) values in the square around each, as far as it is in the picture."""
    for size in ((area, 1), (1, area)):
        padding = size[0] // 2, size[1] // 2
        values = F.avg_pool2d(values, size, 1, padding, count_include_pad=False)
    return values
