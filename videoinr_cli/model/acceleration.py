"""How motion between two frames gathers speed or loses it, by what the frames beside them show.

Knows nothing of time stamps: frames are taken to follow one another evenly, and believed less where they do
not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.flow import warp

UNSTEADY = 0.1**2
"""Squared acceleration, in pixels of the flows' grid, that may be an error of flows as well as not."""

CERTAIN = (2 / 255) ** 2
"""Mean squared difference that tells nothing of flows: a noise of two levels."""


def told(here: Tensor, beside: Tensor, away: Tensor, back: Tensor, area: int) -> Tensor:
    """Return the acceleration that a frame beside a pair tells of, (B, 2, h, w), in pixels a frame.

    It counts as far as that frame is met with where the flow leads rather than where steady motion would:
    flows err where motion is fast. Where the flow leads out of the picture it tells nothing.

    **Source**: Xu et al., "Quadratic video interpolation", NeurIPS 2019, equation 3.

    Args:
        here: (B, C, h, w), the pair's frame next to the one beside it.
        beside: that one, likewise.
        away: flow (B, 2, h, w) from here to the pair's other frame.
        back: flow from here to the frame beside the pair.
        area: side of the squares over which frames are compared, in pixels.
    """
    steady, found = (difference(here, warp(beside, flow), area) for flow in (-away, back))
    return (away + back) * likelihood(found, steady) * _inside(back)


def agreed(flows: Tensor, said: Sequence[Tensor], area: int) -> Tensor:
    """Return what is believed of accelerations at an instant, (B, 2, h, w), told on one side or on both.

    It is their mean, and less where they contradict each other, as where time is uneven because a frame is
    missing. Nothing turns back between two frames: what does not move from one to the other stays.

    Args:
        flows: (B, 4, h, w), from the instant to both frames.
        said: (B, 2, h, w), see `told`, moved to the instant.
        area: side of the squares over which they are compared, in pixels.
    """
    first, second = said[0], said[-1]
    mean = (first + second) / 2
    certain, uncertain = (averaged(squared(vectors), area) for vectors in (mean, (first - second) / 2))
    mean = mean * (certain / (certain + uncertain + UNSTEADY))
    most = 4 * squared(flows[:, 2:] - flows[:, :2])
    limited: Tensor = mean * (most / squared(mean).clamp(min=1e-9)).clamp(max=1).sqrt()
    return limited


def lead(tau: Tensor, accelerating: Tensor) -> Tensor:
    """Return by how much farther ahead both frames are read than by uniform motion, (B, 2, h, w).

    Args:
        tau: (B, 1, 1, 1), the instant's place between the frames.
        accelerating: see `agreed`.
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


def difference(first: Tensor, second: Tensor, area: int) -> Tensor:
    """Return how two (B, C, h, w) pictures differ in the square around each point: (B, 1, h, w), squared."""
    return averaged(differing(first, second), area) + CERTAIN


def differing(first: Tensor, second: Tensor) -> Tensor:
    """Return how two (B, C, h, w) pictures differ at each point: (B, 1, h, w), squared."""
    return (first - second).square().mean(1, keepdim=True)


def likelihood(found: Tensor, other: Tensor) -> Tensor:
    """Return the share of one of two flows, by how pictures differ along it and along the other."""
    return other.square() / (other.square() + found.square())


def _inside(flow: Tensor) -> Tensor:
    """Return 1 where a (B, 2, h, w) flow leads to a place in the picture, else 0, (B, 1, h, w)."""
    height, width = flow.shape[2:]
    x = torch.arange(width, device=flow.device) + flow[:, :1]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1:]
    inside: Tensor = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside.to(flow.dtype)
