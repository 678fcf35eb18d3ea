"""Optical flow between two frames by a spatial pyramid (SPyNet; Ranjan and Black, CVPR 2017).

Coarse to fine: at each level the second picture is warped by the flow so far, and five convolutions read from
both pictures what that flow lacks. Layers and constants are those of the published weights of BasicVSR.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.coords import constants
from videoinr_cli.model.flow import warp

LEVELS = 6
STRIDE = 32
"""Frames are resized to multiples of this: the coarsest level is smaller by as much."""

CHANNELS = (8, 32, 64, 32, 16, 2)
"""Channels of a level's layers; it reads the first picture, the second one warped, and the flow."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's RGB; the published weights expect normalised pictures."""


class FlowLevel(nn.Sequential):
    """Read from two pictures what the flow between them lacks at one level of the pyramid."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(CHANNELS):
            layers += [nn.Conv2d(inputs, outputs, 7, padding=3), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])


class SpyNet(nn.Module):
    """The flow from each picture of a batch to its counterpart."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(FlowLevel() for _ in range(LEVELS))

    def forward(self, here: Tensor, there: Tensor) -> Tensor:
        """Return (B, 2, H, W) float32, (dx, dy) in pixels.

        Args:
            here: (B, 3, H, W) float32 RGB in [0, 1]: where the flow starts.
            there: likewise, where it leads.
        """
        height, width = here.shape[-2:]
        rows, columns = (-(-side // STRIDE) * STRIDE for side in (height, width))
        first, second = (_pyramid(_normalised(rgb, (rows, columns))) for rgb in (here, there))
        flow = torch.zeros_like(first[0][:, :2])
        for level, mine, other in zip(self.levels, first, second, strict=True):
            if level is not self.levels[0]:
                flow = 2 * F.interpolate(flow, mine.shape[-2:], mode="bilinear", align_corners=True)
            read = torch.cat([mine, warp(other, flow), flow], dim=1)
            flow = flow + level(read.contiguous(memory_format=torch.channels_last)).float()
        flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        return flow * constants((width / columns, height / rows), flow.device).view(1, 2, 1, 1)


def _normalised(rgb: Tensor, size: tuple[int, int]) -> Tensor:
    mean, deviation = (constants(values, rgb.device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (F.interpolate(rgb, size, mode="bilinear", align_corners=False) - mean) / deviation


def _pyramid(rgb: Tensor) -> list[Tensor]:
    """Return a picture halved again and again, the smallest first."""
    levels = [rgb]
    while len(levels) < LEVELS:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels[::-1]
