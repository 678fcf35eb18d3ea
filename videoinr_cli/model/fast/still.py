"""What stands still before whatever moves behind it: subtitles, logos, displays, bars, fences.

Motion is found from 1/64 on, one flow a point, so where two motions share a place that of the larger is kept.
Standing still is the one other motion that is common enough to be looked for by itself, and at full LR size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.acceleration import averaged, differing, squared
from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.devices import has_values
from videoinr_cli.model.fast.layers import start_small
from videoinr_cli.model.flow import upsample_flow, warp

EVIDENCE = 7
"""Planes of evidence at full LR size; the flow's length is one more, at 1/2."""
UNLIKELY = -5.0
"""Logit of standing still before training: nowhere."""
FROZEN_LEVELS = 1.0
"""Largest difference between two frames of what did not change, 8-bit levels."""
FROZEN_PX = 5
"""Side of the squares in which nothing may change."""
UNNOTICED = (3 / 255) ** 2
"""Mean squared difference of what did not change, because of noise."""
SLOWEST_PX = 0.5
"""Motion below which nothing is told to stay, in pixels at 1/2: what it leads to differs by its blur."""
COMPARED_PX = 3
"""Side of the squares over which a frame is compared with the mean of others."""
WEIGHED_PX = 9
"""Side of the squares over which standing still and moving are weighed."""
SHOWN_SHARE = 0.4
"""Least that standing still explains and motion does not, relative to the opposite: around letters and bars
most of the picture moves."""
BORNE_OUT = 1.0
"""By how much the logit rises where frames on both sides show that a point stands still."""
PREFERENCE = 12.0
"""By how much the blend's logit turns to the frame in which the place is not covered by what stands still."""


class StillEstimator(nn.Module):
    """Tell at each point of a frame whether a layer is in front that is there in the other frame, too.

    Computed at 1/2, four points at once: a quarter of the time, and twice the view.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        channels = config.still_channels
        self.features = nn.Conv2d(config.channels, channels, 2, stride=2)
        self.hidden = nn.Conv2d(config.pyramid_channels, channels, 1)
        self.evidence = nn.Conv2d(4 * EVIDENCE + 1, channels, 3, padding=1)
        self.layers = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            nn.ReLU(inplace=True),
        )
        self.logit = start_small(nn.Conv2d(channels, 4, 3, padding=1))
        nn.init.constant_(self.logit.bias, UNLIKELY)  # type: ignore[arg-type]

    def forward(self, features: Tensor, hidden: Tensor, evidence: Tensor) -> Tensor:
        """Return the logit, (2B, 1, H, W) float32.

        Args:
            features: (2B, C, H, W) of each frame alone, the first B the first frames'.
            hidden: (2B, P, H / 2, W / 2), what the flow was read from.
            evidence: see `compare_still`.
        """
        evidence = evidence.to(features.dtype, memory_format=torch.channels_last)
        mixed = self.features(features) + self.hidden(hidden) + self.evidence(evidence)
        logit: Tensor = self.logit(self.layers(mixed))
        return F.pixel_shuffle(logit.float(), 2)


def unchanged(first: Tensor, second: Tensor) -> Tensor:
    """Return (B, 1, H, W) float32: 1 where nothing changed around a point of (B, 3, H, W) RGB."""
    change = (first - second).abs().amax(1, keepdim=True)
    largest = F.max_pool2d(change, FROZEN_PX, 1, FROZEN_PX // 2)
    return (largest * 255 <= FROZEN_LEVELS).float()


def compare_still(first: Tensor, second: Tensor, moved: Tensor, flow: Tensor) -> Tensor:
    """Measure how well standing still, and how well the flow, explain two frames.

    Args:
        first, second: (B, 3, H, W) RGB.
        moved: (2B, 1, H, W): how much the luma differs along the flow from each of them, see `refine_flow`.
        flow: (2B, 2, H / 2, W / 2) to the other frame, in pixels of that grid.

    Returns:
        (2B, 4 `EVIDENCE` + 1, H / 2, W / 2): differences at the same place and along the flow, and the flow's
        length, all squashed to [0, 1).
    """
    change = 255 * (first - second).abs().mean(1, keepdim=True)
    near, around = (F.avg_pool2d(change, side, 1, side // 2, count_include_pad=False) for side in (3, 5))
    still = [_squashed(change, 2), _squashed(change, 10)]  # letters are a pixel or two wide
    still += [_squashed(near, 2), _squashed(near, 10), _squashed(around, 4)]
    moved = 255 * moved.abs()
    both = torch.cat(still, dim=1).repeat(2, 1, 1, 1)
    planes = torch.cat([both, _squashed(moved, 2), _squashed(moved, 10)], dim=1)
    length = flow.square().sum(1, keepdim=True).sqrt()
    return torch.cat([F.pixel_unshuffle(planes, 2), _squashed(length, 0.5)], dim=1)


class Sides(NamedTuple):
    """How a frame differs from the ones before and after it, squared; all (B, 1, H, W)."""

    changes: tuple[Tensor, ...]  # from each at the same place
    change: Tensor  # from the mean of both there
    missed: tuple[Tensor, ...]  # from what the motion leads to in each
    missed_mean: Tensor  # from the mean of that
    moving: Tensor  # bool: whether it leads elsewhere on both sides

    @classmethod
    def of(cls, here: Tensor, sides: Sequence[tuple[Tensor, Tensor]]) -> Sides:
        """Compare a frame, (B, 3, H, W) RGB, with others.

        Args:
            here: the frame.
            sides: of the frame before and the one after it: RGB, and the (B, 2, H / 2, W / 2) flow to it, in
                pixels of that grid.
        """
        there = [rgb for rgb, _ in sides]
        led_to = [warp(rgb, upsample_flow(flow)) for rgb, flow in sides]
        changes, missed = (tuple(differing(here, rgb) for rgb in shown) for shown in (there, led_to))
        change, missed_mean = (differing(here, (one + other) / 2) for one, other in (there, led_to))
        slower = torch.minimum(*(squared(flow) for _, flow in sides))
        moving = F.interpolate(slower, scale_factor=2, mode="nearest") > SLOWEST_PX**2
        return cls(changes, change, missed, missed_mean, moving)


def borne_out(logit: Tensor, sides: Sides) -> Tensor:
    """Return the logit of standing still, (B, 1, H, W), as frames on both sides bear it out.

    A stroke that passes along itself hardly changes, and looks like a letter that stays. But motion explains
    all that is around it on both sides, and nothing there says that anything stands still. Where a point does
    not change on either side and motion leads to something else on both, less is asked of how it looks.
    """
    change, missed = torch.maximum(*sides.changes), torch.minimum(*sides.missed)
    stands = (missed - change).clamp(min=0)
    moves = (torch.minimum(*sides.changes) - torch.maximum(*sides.missed)).clamp(min=0)
    shown = averaged(stands, WEIGHED_PX) > SHOWN_SHARE * averaged(moves, WEIGHED_PX)
    return torch.where(shown, logit + BORNE_OUT * (missed > change + UNNOTICED), UNLIKELY)


def stays(sides: Sides) -> Tensor:
    """Tell where a frame shows what stands still, whether it stays as it is or comes or goes by degrees.

    There the frame is the mean of the ones before and after it, as a fence is, or a subtitle that fades.
    Motion leads to what passes behind it, or to nothing that is like it. So still texture is told, too,
    beside something thin that passes and whose motion is found there: a piece of it may be missing.

    Returns:
        (B, 1, H, W) bool.
    """
    missed = torch.minimum(torch.minimum(*sides.missed), sides.missed_mean)
    change, missed = (averaged(difference, COMPARED_PX) for difference in (sides.change, missed))
    return sides.moving & (missed > change + UNNOTICED)


def majority(told: Tensor) -> Tensor:
    """Return where (B, 1, H, W) bool is true at most of the nine points at and around one."""
    return F.avg_pool2d(told.float(), 3, stride=1, padding=1, count_include_pad=False) > 0.5


def anywhere(mask: Tensor) -> bool:
    """Whether a mask is true anywhere; it may be, where a tensor has a shape alone, or none yet."""
    return not has_values(mask) or bool(mask.any())


def _squashed(amount: Tensor, middle: float) -> Tensor:
    return amount / (amount + middle)


def choose(motion: Tensor, still: Tensor, tau: Tensor) -> Tensor:
    """Tell at an instant where to stand still, and which frame shows what is behind.

    A layer is taken from the nearer frame, so that one that comes or goes between the frames does so halfway.
    Where the motion reads one frame beneath the layer, the other frame shows what is there; where it does in
    both, their mean at the same place is the best there is. What did not change stands still, unless the
    motion says that something passes, by leading to what did change in both frames.

    Args:
        motion: (B, 5, H, W), see `TemporalField`.
        still: (2B, 2, H, W), see `FastPair`.
        tau: (B, 1, 1, 1).

    Returns:
        (B, 6, H, W): the same, its blend adapted, and how much the point stands still, in [0, 1].
    """
    first, second = still.chunk(2)
    (layer0, frozen), (layer1, _) = (side.split(1, dim=1) for side in (first, second))
    covered0, unchanged0 = warp(first, motion[:, 0:2]).split(1, dim=1)
    covered1, unchanged1 = warp(second, motion[:, 2:4]).split(1, dim=1)
    layer = torch.where(tau <= 0.5, layer0, layer1)
    unchanged = frozen * torch.maximum(unchanged0, unchanged1)
    stands = torch.maximum(torch.maximum(layer, covered0 * covered1), unchanged)
    moving = motion[:, 4:] + PREFERENCE * (covered1 - covered0)
    logit = torch.where(stands > 0.5, PREFERENCE * (layer0 - layer1), moving)
    return torch.cat([motion[:, :4], logit, stands], dim=1)
