"""The encoder: features of one frame, the motion between two frames, and features fused along that motion."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.fast.layers import RGB, ResidualBlock, concatenate, start_small
from videoinr_cli.model.fast.levels import Levels
from videoinr_cli.model.fast.still import StillEstimator, compare_still, unchanged
from videoinr_cli.model.flow import compare, refine_flow, upsample_flow, warp
from videoinr_cli.model.network import Encoding

PYRAMID_STRIDE = 8
"""Frames are padded to a multiple of this, and on the levels above it the last row and column may stand for
fewer pixels."""

POOLED_LEVELS = 3
"""Levels above 1/8, made by pooling: motion is first estimated at 1/64 of the LR size."""

COARSE_REACH = 3
"""How far around each point frames are compared from 1/64 to 1/4, in pixels there: 192 to 12 at LR."""

SMALLEST_EVIDENCE = 1e-3
"""Sum of two neighbours' features below which their mean fades to zero instead of being weighed."""


@dataclasses.dataclass(frozen=True, eq=False)
class FastFrame(Encoding):
    """What depends on one frame alone; H and W are padded to a multiple of `PYRAMID_STRIDE`."""

    rgb: Tensor  # (B, 3, H, W)
    luma: Tensor  # (B, 1, H, W), see `smooth_luma`
    levels: Levels
    features: Tensor  # (B, C, H, W)
    pyramid: tuple[Tensor, ...]  # (B, P, H / 2, W / 2), then 1/4 and so on to 1/64


@dataclasses.dataclass(frozen=True, eq=False)
class FastMotion:
    """The motion between two consecutive frames; the first B of a batch of 2B belong to the first of them."""

    first: FastFrame
    second: FastFrame
    flow: Tensor  # (2B, 2, H / 2, W / 2), float32, (dx, dy) in pixels of that grid: to the other frame
    coarse_flows: tuple[Tensor, ...]  # from 1/4 to 1/64, in pixels of each grid: what it was refined from
    hidden: Tensor  # (2B, P, H / 2, W / 2): the features it was read from
    still: Tensor | None  # (2B, 1, H, W) float32, logit: see `StillEstimator`
    frozen: Tensor  # (B, 1, H, W) float32: 1 where nothing changed

    def seen_from(self, frame: FastFrame) -> tuple[FastFrame, Tensor]:
        """Return the other frame, and the flow to it."""
        to_second, to_first = self.flow.chunk(2)
        return (self.second, to_second) if frame is self.first else (self.first, to_first)

    def moving(self, frame: FastFrame, flow: Tensor) -> Tensor:
        """Return a frame's (B, 2, H, W) flow, zero where a layer in front stands still or nothing changed."""
        still, moves = self.still_in(frame), self.frozen == 0
        return flow * (moves if still is None else moves & (still <= 0))

    def still_in(self, frame: FastFrame) -> Tensor | None:
        """Return a frame's part of `still`."""
        return None if self.still is None else self.still.chunk(2)[0 if frame is self.first else 1]


class FlowEstimator(nn.Module):
    """Refine the flow to the other frame at one level of the pyramid, by warping (as SPyNet does).

    Args:
        reach: how far around each point the other frame is compared with it, in pixels of this level (the
            cost volume of PWC-Net); 0: it is not.
    """

    def __init__(self, channels: int, reach: int = 0) -> None:
        super().__init__()
        self.reach = reach
        compared = (2 * reach + 1) ** 2 if reach else 0
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels + 2 + compared, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.flow = start_small(nn.Conv2d(channels, 2, 3, padding=1))

    def forward(self, here: Tensor, there: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the refined flow, (B, 2, h, w) float32, and the features it was read from, (B, P, h, w)."""
        there = warp(there, flow)
        compared = [compare(here, there, self.reach)] if self.reach else []
        hidden = self.layers(concatenate(here, there, flow, *compared))
        return flow + self.flow(hidden).float(), hidden


class FastEncoder(nn.Module):
    """The encoder of `FastVideoInr`."""

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        channels, levels = config.channels, config.pyramid_channels
        self.stem = nn.Conv2d(RGB, channels, 3, padding=1)
        self.frame_trunk = nn.Sequential(
            *(ResidualBlock(channels, config.frame_block_channels) for _ in range(config.frame_blocks))
        )
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels if level == 0 else levels, levels, 4, stride=2, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(levels, levels, 3, padding=1),
                nn.ReLU(inplace=True),
            )
            for level in range(3)
        )
        reaches = (0, COARSE_REACH, COARSE_REACH)  # at 1/2, at 1/4, and from 1/8 on
        self.flow_estimators = nn.ModuleList(FlowEstimator(levels, reach) for reach in reaches)
        self.still = StillEstimator(config) if config.still_channels else None
        self.fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.phase = nn.Conv2d(4, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.phase.weight)
        self.fused_trunk = nn.Sequential(
            *(ResidualBlock(channels, channels) for _ in range(config.fused_blocks))
        )

    def frame(self, rgb: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return (B, C, H, W) features and their pyramid for (B, 3, H, W) RGB."""
        features = self.frame_trunk(F.relu(self.stem(rgb - 0.5), inplace=True))
        levels = [features]
        for reduce in self.pyramid:
            levels.append(reduce(levels[-1]))
        for _ in range(POOLED_LEVELS):
            levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
        return features, tuple(levels[1:])

    def motion(self, first: FastFrame, second: FastFrame) -> FastMotion:
        """Estimate the motion between two frames, both ways at once, from coarse to fine."""
        coarsest = first.pyramid[-1]
        flow = coarsest.new_zeros(2 * coarsest.shape[0], 2, *coarsest.shape[2:], dtype=torch.float32)
        flows: list[Tensor] = []
        for level in reversed(range(len(first.pyramid))):
            here, there = _both_sides(first.pyramid[level], second.pyramid[level])
            if flows:
                flow = upsample_flow(flow)[..., : here.shape[2], : here.shape[3]]
            # the pooled levels are coarser versions of 1/8 and share its estimator
            estimator = self.flow_estimators[min(level, len(self.flow_estimators) - 1)]
            flow, hidden = estimator(here, there, flow)
            flows.insert(0, flow)
        with torch.no_grad():
            refined, difference = refine_flow(*_both_sides(first.luma, second.luma), flow)
        # the refinement passes gradients straight through: its solution hardly depends on its starting point
        flow = flow + (refined - flow).detach() if flow.requires_grad else refined
        frozen = unchanged(first.rgb, second.rgb)
        still = None
        if self.still is not None:
            with torch.no_grad():
                evidence = compare_still(first.rgb, second.rgb, difference, flow)
            features = torch.cat([first.features, second.features])
            still = self.still(features, hidden, evidence)
        return FastMotion(first, second, flow, tuple(flows[1:]), hidden, still, frozen)

    def fuse(self, frame: FastFrame, motions: Sequence[FastMotion]) -> Tensor:
        """Return a frame's features, (B, C, H, W), fused with those of the frames that `motions` lead to.

        Bilinear sampling smooths, most of all halfway between pixels, so the fusion also reads the sampling
        phase (the positional encoding of Xu et al., CVPR 2024, here added to the sampled features instead of
        replacing them).
        """
        channels = frame.features.shape[1]
        bias = self.fusion.bias
        here = F.conv2d(frame.features, self.fusion.weight[:, :channels], bias, padding=1)
        fused = []
        for motion in motions:
            other, flow = motion.seen_from(frame)
            flow = motion.moving(frame, upsample_flow(flow))
            there = F.conv2d(warp(other.features, flow), self.fusion.weight[:, channels:], padding=1)
            angle = flow * (2 * math.pi)
            place = torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)
            phase = self.phase(place.contiguous(memory_format=torch.channels_last))
            fused.append(F.relu((here + there).add_(phase), inplace=True))
        # contraharmonic mean: the stronger response dominates, and a single neighbour keeps its full weight
        evidence = fused[0]
        if len(fused) == 2:
            total = (fused[0] + fused[1]).clamp_(min=SMALLEST_EVIDENCE)
            evidence = (fused[0].square() + fused[1].square()) / total
        features: Tensor = self.fused_trunk(frame.features + evidence)
        return features


def _both_sides(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([first, second]), torch.cat([second, first])
