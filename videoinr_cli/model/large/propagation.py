"""What a scene's frames tell of one another: BasicVSR's two branches and its upsampling.

Chan, Wang, Yu, Dong and Loy, "BasicVSR: The Search for Essential Components in Video Super-Resolution and
Beyond", CVPR 2021. A state is handed from frame to frame, warped along the flow and refined at each; one
branch goes backward in time, one forward, and a frame's picture is made of both. Layers are those of the
published weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.convolution import residual_block
from videoinr_cli.model.flow import warp

SLOPE = 0.1
"""Negative slope of the leaky ReLUs."""

ENLARGEMENT = 4
"""Samples of the picture per LR pixel and axis."""

RGB = 3

STRIP_PX = 1 << 14
"""LR pixels of which a picture is made at a time: its features take 37 values of a state's size for each."""

STRIP_REACH_PX = 2
"""LR rows on either side of a strip that its picture depends on."""


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return residual_block(x, self.conv1, self.conv2)


class Branch(nn.Module):
    """One step of a state through time: to the next frame of the branch."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.channels = channels
        self.entry = nn.Conv2d(RGB + channels, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, rgb: Tensor, state: Tensor | None, flow: Tensor | None) -> Tensor:
        """Return the state (B, C, H, W) at a frame.

        Args:
            rgb: (B, 3, H, W) of the frame.
            state: at the frame before it in the branch; None: it is the first.
            flow: (B, 2, H, W) from this frame to that one.
        """
        if state is None or flow is None:
            handed = rgb.new_zeros(len(rgb), self.channels, *rgb.shape[-2:])
        else:
            handed = warp(state, flow, "zeros")
        read = torch.cat([rgb.to(handed.dtype), handed], dim=1)
        x = F.leaky_relu_(self.entry(read.contiguous(memory_format=torch.channels_last)), SLOPE)
        refined: Tensor = self.blocks(x)
        return refined


class Upsampling(nn.Module):
    """A frame's picture from both branches' states."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fusion = nn.Conv2d(2 * channels, channels, 1)
        self.layer1 = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.layer2 = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.fine = nn.Conv2d(channels, channels, 3, padding=1)
        self.rgb = nn.Conv2d(channels, RGB, 3, padding=1)

    def forward(self, rgb: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        """Return (B, 3, 4 H, 4 W) float32, not clamped, for a frame's (B, 3, H, W) RGB and states."""
        batch, _, height, width = rgb.shape
        rows = max(1, STRIP_PX // (batch * width))
        picture = rgb.new_empty(batch, RGB, ENLARGEMENT * height, ENLARGEMENT * width)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            begin, end = max(0, top - STRIP_REACH_PX), min(height, bottom + STRIP_REACH_PX)
            strip = self._strip(*(part[:, :, begin:end] for part in (rgb, backward, forward)))
            inner = strip[:, :, ENLARGEMENT * (top - begin) : ENLARGEMENT * (bottom - begin)]
            picture[:, :, ENLARGEMENT * top : ENLARGEMENT * bottom] = inner
        return picture

    def _strip(self, rgb: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        x = F.leaky_relu_(self.fusion(torch.cat([backward, forward], dim=1)), SLOPE)
        for layer in (self.layer1, self.layer2):
            x = F.leaky_relu_(F.pixel_shuffle(layer(x), 2), SLOPE)
            x = x.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu_(self.fine(x), SLOPE)
        residual: Tensor = self.rgb(x).float()
        return residual.add_(F.interpolate(rgb, scale_factor=ENLARGEMENT, mode="bilinear"))
