"""The spatial field, a feature at any point of a frame, and the temporal field, flows at any instant.

Equations 2 and 3 of the paper. Both are computed at LR, or at twice its size, and interpolated between.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.coords import constants
from videoinr_cli.model.fast.encoder import FastFrame, FastMotion
from videoinr_cli.model.fast.layers import RGB, concatenate, start_small
from videoinr_cli.model.fast.levels import Levels
from videoinr_cli.model.fast.still import choose
from videoinr_cli.model.flow import warp
from videoinr_cli.model.network import PairEncoding

SPAN_PX = 5
"""Side of the squares, at 1/2, whose values limit what is added to the enlarged frame: larger than the flat
blocks of an encoder, whose borders are to be smoothed."""

MOTION = 5
"""Two flows of (dx, dy) and the logit of the blend."""


@dataclasses.dataclass(frozen=True, eq=False)
class FastView:
    """A frame fused with its neighbours in time: the spatial field, u samples per LR pixel."""

    frame: FastFrame
    neighbours: tuple[FastFrame, ...]  # one or two
    field: Tensor  # (B, F, u H, u W), RGB first
    rgb: Tensor  # (B, u H, u W, 4), float32: the field's RGB, exactly, and a span: see `SpatialField`
    features: Tensor  # (B, C, H, W)
    still: Tensor | None  # (B, 1, H, W) float32 in [0, 1]: whether a layer in front stands still
    stays: Tensor | None  # (B, 1, H, W) bool: see `still.stays`; None with one neighbour alone


@dataclasses.dataclass(frozen=True, eq=False)
class FastPair(PairEncoding):
    """Two views as the decoder reads them; the first B of a batch of 2B belong to the first frame.

    ``carry`` is a `FastCarry`; None where the frames were brought to levels that no other pair has.
    """

    given: tuple[Tensor, Tensor]  # the frames' (B, 3, H, W), before they were brought to common levels
    motion: FastMotion
    accelerations: tuple[Tensor, Tensor] | None
    """Of both frames, (B, 2, H / 2, W / 2), in pixels there: as the frames beside the pair tell, see `told`.
    None where one of these is missing."""
    field: Tensor  # (2B, u H, u W, D): the spatial field after `FastDecoder.project`
    rgb: Tensor  # (2B, u H, u W, 4), float32: see `FastView`
    coarse_motion: Tensor  # (2B, M, H / 2, W / 2): features for the flow of an instant
    fine_motion: Tensor  # (2B, M / 2, H, W): the same at full LR resolution
    still: Tensor | None  # (2B, 2, H, W) float32: `FastView.still`, and 1 where the pair does not differ
    levels: tuple[Levels, Levels, Levels] | None  # in which it is, and the frames' own; None: these


class SpatialField(nn.Module):
    """A feature at any point of one frame: bilinear in a table finer than the frame (eq. 2 of the paper).

    Bilinear interpolation makes the field continuous, so that no grid shows at any scale. Its first three
    channels are RGB, predicted as a residual over bicubic enlargement.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        self.upsample = config.field_upsample
        self.layer = start_small(
            nn.Conv2d(config.channels, config.field_channels * self.upsample**2, 3, padding=1)
        )

    def forward(self, features: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return the field's table for (B, C, H, W) features and (B, 3, H, W) RGB.

        Returns:
            The (B, F, u H, u W) table in the convolutions' dtype, and its RGB in float32, (B, u H, u W, 4),
            with the span of the frame's values around. No more than that is added, and nothing where it is
            0: what is flat stays flat, up to the picture's border, where convolutions see grey. Four floats
            are read as fast as three.
        """
        table = self._table(features)
        span = F.interpolate(_span(rgb), scale_factor=2 * self.upsample, mode="nearest")
        # antialias only selects the kernel with a = -0.5 (a = -0.75 without): enlarging is not filtered
        enlarged = F.interpolate(rgb, scale_factor=self.upsample, mode="bicubic", antialias=True)
        residual = table[:, :RGB].to(torch.float32, copy=True)  # its gradient needs what is overwritten below
        exact = residual.clamp(-span, span) + enlarged
        table[:, :RGB] = exact
        return table, torch.cat([exact, span], dim=1).permute(0, 2, 3, 1).contiguous()

    def _table(self, features: Tensor) -> Tensor:
        """Return the layer's outputs as u by u samples of each pixel, `F.pixel_shuffle` of them.

        The layer computes them in another order, a sample's channels side by side: so they are moved as a
        whole, which on a CPU takes a third of the time.
        """
        u, (batch, channels, height, width) = self.upsample, features.shape
        assert self.layer.bias is not None
        weight = self.layer.weight.view(-1, u * u, channels, 3, 3).transpose(0, 1).flatten(0, 1)
        bias = self.layer.bias.view(-1, u * u).t().flatten()
        samples = F.conv2d(features, weight, bias, padding=1).permute(0, 2, 3, 1)
        samples = samples.reshape(batch, height, width, u, u, -1).transpose(2, 3)
        return samples.reshape(batch, u * height, u * width, -1).permute(0, 3, 1, 2)


def _span(rgb: Tensor) -> Tensor:
    """Return (B, 1, H / 2, W / 2): by how much (B, 3, H, W) RGB differs around, in the channel of most."""
    both = F.max_pool2d(F.max_pool2d(torch.cat([rgb, -rgb], dim=1), 2), SPAN_PX, 1, SPAN_PX // 2)
    return (both[:, :RGB] + both[:, RGB:]).amax(1, keepdim=True)


class TemporalField(nn.Module):
    """The flows from any instant back to both frames (eq. 3 of the paper), computed at LR.

    The initial estimate assumes constant velocity between the frames (Super SloMo, Jiang et al., 2018, eq.
    4), and is refined twice on features warped along it. The flow to the first frame is a multiple of tau and
    that to the second one a multiple of 1 - tau, so a given frame is never displaced.
    """

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        levels, coarse, fine = config.pyramid_channels, config.motion_channels, config.motion_channels // 2
        self.coarse_features = nn.Conv2d(2 * levels, coarse, 1)
        self.fine_features = nn.Conv2d(config.channels, fine, 1)
        self.coarse = nn.Sequential(
            nn.Conv2d(2 * coarse + MOTION + 1, levels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(levels, levels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(levels, levels, 3, padding=1),
            nn.ReLU(inplace=True),
            start_small(nn.Conv2d(levels, MOTION, 3, padding=1)),
        )
        self.fine = nn.Sequential(
            nn.Conv2d(2 * fine + MOTION + 1, coarse, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(coarse, coarse, 3, padding=1),
            nn.ReLU(inplace=True),
            start_small(nn.Conv2d(coarse, MOTION, 3, padding=1)),
        )

    def forward(self, pair: FastPair, tau: Tensor) -> Tensor:
        """Return (B, 5, H, W) float32: flows to both frames in LR pixels and the blend's logit.

        Where anything stands still, there is a sixth channel, see `still.choose`.
        """
        forward_flow, backward_flow = pair.motion.flow.chunk(2)
        velocity0 = tau * backward_flow - (1 - tau) * forward_flow
        velocity1 = (1 - tau) * forward_flow - tau * backward_flow
        motion = torch.cat([velocity0, velocity1, torch.zeros_like(velocity0[:, :1])], dim=1)
        motion = self._refine(self.coarse, pair.coarse_motion, motion, tau)
        motion = F.interpolate(motion, scale_factor=2, mode="bilinear", align_corners=False)
        motion = motion * constants((2, 2, 2, 2, 1), motion.device).view(
            1, MOTION, 1, 1
        )  # velocities in LR pixels
        motion = self._refine(self.fine, pair.fine_motion, motion, tau)
        motion = _along(motion, tau)
        return motion if pair.still is None else choose(motion, pair.still, tau)

    @staticmethod
    def _refine(layers: nn.Module, features: Tensor, motion: Tensor, tau: Tensor) -> Tensor:
        """Add the correction that `layers` predict from both sides' features, warped along `motion`."""
        first, second = features.chunk(2)
        flow = _along(motion, tau)
        warped = [warp(first, flow[:, 0:2]), warp(second, flow[:, 2:4])]
        correction: Tensor = layers(concatenate(*warped, motion, tau.expand_as(motion[:, :1])))
        return motion + correction.float()


def _along(motion: Tensor, tau: Tensor) -> Tensor:
    """Scale velocities (per pair) to flows from the instant: by tau, and by 1 - tau."""
    return torch.cat([motion[:, :2] * tau, motion[:, 2:4] * (1 - tau), motion[:, 4:]], dim=1)
