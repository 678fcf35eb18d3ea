"""Alignment of two feature pyramids, a and b, in both directions (PCD of EDVR, Wang et al., 2019).

What depends on one of them alone can be computed once and reused; a pyramid of zeros can be left out.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.convolution import Conv3x3, convolve3x3
from videoinr_cli.model.deformable import DeformableConv

LEVELS = 3


def lrelu(x: Tensor) -> Tensor:
    """Apply the network's leaky ReLU in place."""
    return F.leaky_relu_(x, 0.1)


def upsample(x: Tensor) -> Tensor:
    """Enlarge (B, C, H, W) twofold, bilinearly."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _filled(like: Tensor, values: Tensor) -> Tensor:
    """Return a tensor shaped as `like` (B, C, H, W) and laid out as it is, each channel (C,) of one value.

    An expanded view has no memory layout of its own, and whatever is computed from it would become NCHW.
    """
    return torch.zeros_like(like).add_(values.view(1, -1, 1, 1))


class Pyramid(NamedTuple):
    """Features (B, C, ...) at full, half and quarter LR size; ``fine`` is None where it is all zeros."""

    fine: Tensor | None
    half: Tensor
    quarter: Tensor


class PyramidBuilder(nn.Module):
    """Two strided steps down from a feature at full LR size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.level2_conv1 = Conv3x3(channels, channels, stride=2)
        self.level2_conv2 = Conv3x3(channels, channels)
        self.level3_conv1 = Conv3x3(channels, channels, stride=2)
        self.level3_conv2 = Conv3x3(channels, channels)

    def forward(self, fine: Tensor) -> Pyramid:
        return self._below(fine, lrelu(self.level2_conv1(fine)))

    def of_zeros(self, like: Tensor) -> Pyramid:
        """Return the pyramid of zeros shaped as `like`; its lower levels are not zero, by their biases."""
        bias = self.level2_conv1.bias
        assert bias is not None
        return self._below(None, lrelu(_filled(like[..., ::2, ::2], bias)))

    def _below(self, fine: Tensor | None, half: Tensor) -> Pyramid:
        half = lrelu(self.level2_conv2(half))
        return Pyramid(fine, half, lrelu(self.level3_conv2(lrelu(self.level3_conv1(half)))))


class Level(nn.Module):
    """One level of one direction: finds offsets with the coarser level's help, deforms, and refines."""

    offset_conv3: Conv3x3  # these two not at the coarsest level
    feature_conv: Conv3x3

    def __init__(self, channels: int, groups: int, *, coarsest: bool) -> None:
        super().__init__()
        self.offset_conv1 = Conv3x3(2 * channels, channels)
        self.offset_conv2 = Conv3x3(channels if coarsest else 2 * channels, channels)
        self.deform = DeformableConv(channels, groups)
        if not coarsest:
            self.offset_conv3 = Conv3x3(channels, channels)
            self.feature_conv = Conv3x3(2 * channels, channels)


class Direction(nn.Module):
    """Aligns one pyramid with another."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        levels = [Level(channels, groups, coarsest=number == LEVELS - 1) for number in range(LEVELS)]
        self.levels = nn.ModuleList(levels)

    def forward(self, aligned: Pyramid, started: list[Tensor]) -> Tensor:
        """Deform `aligned` coarse to fine.

        Args:
            started: each level's `offset_conv1` of both pyramids, activated.

        Returns:
            (B, C, H, W), without an activation.
        """
        fine, half, quarter = (cast(Level, level) for level in self.levels)
        guide = lrelu(quarter.offset_conv2(started[2]))
        feature = lrelu(quarter.deform(aligned.quarter, guide))
        guide = self._guide(half, started[1], guide)
        deformed = half.deform(aligned.half, guide)
        feature = lrelu(half.feature_conv(torch.cat((deformed, upsample(feature)), 1)))
        coarse = upsample(feature)
        if aligned.fine is None:  # displaced zeros are zeros: no guide is needed
            deformed = _filled(coarse, fine.deform.bias)
        else:
            deformed = fine.deform(aligned.fine, self._guide(fine, started[0], guide))
        return fine.feature_conv(torch.cat((deformed, coarse), 1))  # type: ignore[no-any-return]

    @staticmethod
    def _guide(level: Level, started: Tensor, coarser: Tensor) -> Tensor:
        """Find the feature that offsets are read from; displacements double from the coarser level."""
        guide = level.offset_conv2(torch.cat((started, upsample(coarser).mul_(2)), 1))
        return lrelu(level.offset_conv3(lrelu(guide)))


class PyramidAlignment(nn.Module):
    """Aligns a with b and b with a, by separate weights.

    Every level of both directions begins with a convolution over the two features side by side. It is
    computed as the sum of a's part and b's, each for both directions at once.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.channels = channels
        self.directions = nn.ModuleList(Direction(channels, groups) for _ in range(2))

    def start_a(self, a: Pyramid) -> list[Tensor]:
        """Compute a's part of every level's first convolution, biases included: (B, 2C, ...) each."""
        return [
            self._start(level, feature, is_a=True) for level, feature in enumerate(a) if feature is not None
        ]

    def forward(self, a: Pyramid, b: Pyramid, started_a: list[Tensor]) -> Tensor:
        """Align both ways.

        Args:
            a: complete.
            b: its `fine` may be None.
            started_a: from `start_a`.

        Returns:
            (B, 2C, H, W): a aligned with b, then b aligned with a.
        """
        started = [
            lrelu(part.clone() if feature is None else part + self._start(level, feature, is_a=False))
            for level, (feature, part) in enumerate(zip(b, started_a, strict=True))
        ]
        first, second = self.directions
        forth = first(a, [part[:, : self.channels] for part in started])
        return torch.cat((forth, second(b, [part[:, self.channels :] for part in started])), 1)

    def _start(self, level: int, feature: Tensor, *, is_a: bool) -> Tensor:
        convs = [direction.levels[level].offset_conv1 for direction in self.directions]  # type: ignore[union-attr,index]
        own, other = slice(0, self.channels), slice(self.channels, None)
        # The first direction's input is a beside b, the second's b beside a.
        slices = (own, other) if is_a else (other, own)
        weight = torch.cat([conv.weight[:, part] for conv, part in zip(convs, slices, strict=True)])
        return convolve3x3(feature, weight, torch.cat([conv.bias for conv in convs]) if is_a else None)
