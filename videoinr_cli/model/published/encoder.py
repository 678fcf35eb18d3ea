"""The encoder (Zooming Slow-Mo, Xiang et al., CVPR 2020): a pair of frames becomes three feature maps at LR.

Sizes must be multiples of four here; the network pads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import PublishedConfig
from videoinr_cli.model.convolution import Conv3x3, winograd_serves
from videoinr_cli.model.published.alignment import Pyramid, PyramidAlignment, PyramidBuilder, lrelu
from videoinr_cli.model.published.recurrence import DeformableConvLstm, Observation, State


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), with small initial weights, so that a deep trunk starts near the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, channels)
        self.conv2 = Conv3x3(channels, channels)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu_(self.conv1(x))).add_(x)  # type: ignore[no-any-return]


class FrameFeatures(NamedTuple):
    """What depends on one frame alone."""

    pyramid: Pyramid
    state: State  # the recurrence's, started at this frame


class PublishedEncoder(nn.Module):
    """Features of the first frame, of the time between, and of the second frame."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        channels, groups = config.channels, config.deformable_groups
        self.first = Conv3x3(3, channels)
        self.front = nn.Sequential(*(ResidualBlock(channels) for _ in range(config.front_blocks)))
        self.pyramid = PyramidBuilder(channels)
        self.align = PyramidAlignment(channels, groups)
        self.fusion = nn.Conv2d(2 * channels, channels, 1)
        self.recurrence = DeformableConvLstm(channels, groups)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.trunk = nn.Sequential(*(ResidualBlock(channels) for _ in range(config.back_blocks)))

    def frame(self, rgb: Tensor) -> FrameFeatures:
        """Encode (B, 3, H, W), sizes multiples of four.

        The recurrence runs over a pair in both directions with the same weights, and starts from zeros: its
        first step at a frame is the same in the pair that this frame ends and in the one that it begins.
        """
        if not winograd_serves(rgb):
            rgb = rgb.contiguous(memory_format=torch.channels_last)
        fine = self.front(lrelu(self.first(rgb)))
        return FrameFeatures(self.pyramid(fine), self.recurrence(self.recurrence.observe(fine), None))

    def between(self, first: Pyramid, second: Pyramid) -> Tensor:
        """Guess the feature of the time between: (B, C, H, W)."""
        return self.fusion(self.align(first, second, self.align.start_a(first)))  # type: ignore[no-any-return]

    def pair(self, first: FrameFeatures, second: FrameFeatures) -> list[Tensor]:
        """Encode a pair: three (B, C, H, W) features, of the first frame, the middle and the second frame."""
        middle = self.recurrence.observe(self.between(first.pyramid, second.pyramid))
        onward = [first.state, self.recurrence(middle, first.state)]
        backward = [second.state, self.recurrence(middle, second.state)]
        del middle  # large
        onward.append(self.recurrence(self._observe(second), onward[-1]))
        backward.append(self.recurrence(self._observe(first), backward[-1]))
        both = zip(onward, reversed(backward), strict=True)
        merged = [self.merge(torch.cat((ahead.hidden, back.hidden), 1)) for ahead, back in both]
        return [self.trunk(feature) for feature in merged]

    def _observe(self, features: FrameFeatures) -> Observation:
        assert features.pyramid.fine is not None
        return self.recurrence.observe(features.pyramid.fine)
