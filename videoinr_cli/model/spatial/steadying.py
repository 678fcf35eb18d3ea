"""Steady the pictures of consecutive frames that were enlarged one by one, and so flicker.

Where the source's frames agree along the motion, what differs between their enlarged pictures was invented
for each of them anew: it is averaged. Where they do not agree, each frame keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.flow import warp
from videoinr_cli.model.samples import along

TOLERANCE = 0.02
"""Mean difference of RGB, of 1, at which a neighbour's share has fallen to 1/e."""

WINDOW_PX = 3
"""Side of the square over which frames are compared."""

STEADYING_BYTES = 80
"""Temporary memory of one sample, as counted: where a flow leads, what is there, and sums."""


def steadied(
    picture: Tensor, rgb: Tensor, neighbours: Iterable[tuple[Tensor, Tensor, Tensor]], strength: float
) -> Tensor:
    """Average a frame's picture with those of its neighbours in time.

    Args:
        picture: (B, 3, s H, s W) of the frame.
        rgb: (B, 3, H, W), the frame itself.
        neighbours: of each: its picture, its RGB, and the flow to it, (B, 2, H, W) in LR pixels.
        strength: a neighbour's share where it agrees fully, the frame's own being 1.
    """
    enlargement = picture.shape[2] // rgb.shape[2]
    total, weight = picture, torch.ones_like(picture[:, :1])
    for other_picture, other_rgb, flow in neighbours:
        share = strength * agreement(rgb, other_rgb, flow)
        fine = F.interpolate(
            torch.cat([enlargement * flow, share], dim=1),
            scale_factor=enlargement,
            mode="bilinear",
            align_corners=False,
        )
        total = torch.addcmul(total, along(other_picture, fine[:, :2]), fine[:, 2:])
        weight = weight + fine[:, 2:]
    return total / weight


def agreement(rgb: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """Return how well another frame agrees with one where a flow leads: (B, 1, H, W), 1 fully, 0 not at all.

    Args:
        rgb: (B, 3, H, W) of the frame.
        other: likewise, of the other one.
        flow: (B, 2, H, W) to it, in pixels.
    """
    difference = (warp(other, flow) - rgb).abs().mean(dim=1, keepdim=True)
    difference = F.avg_pool2d(
        difference, WINDOW_PX, stride=1, padding=WINDOW_PX // 2, count_include_pad=False
    )
    height, width = rgb.shape[-2:]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1:]
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, :1]
    inside = (y >= -0.5) & (y <= height - 0.5) & (x >= -0.5) & (x <= width - 0.5)
    return torch.exp(-((difference / TOLERANCE).square())) * inside
