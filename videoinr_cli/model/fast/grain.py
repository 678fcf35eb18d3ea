"""Grain and noise in the frames between: carried from the pair's first frame.

Two given frames have different grain, so that a blend of both has less of it, and sampling between pixels
takes away more: film would pulse from given frames to frames between. Where fine detail is grain, it is
therefore that of the first frame, moved by whole pixels: it changes as often as the source's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.fast.decoder import share_of_first
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.fields import MOTION
from videoinr_cli.model.fast.still import anywhere
from videoinr_cli.model.flow import luma, warp

AROUND_PX = 5
"""Side of the squares over which both frames' fine detail is compared, at 1/2."""
COARSE_PX = 3
"""Side of the squares whose mean is not grain, at 1/2."""
UNLIKE = (0.6, 0.3)
"""Correlations of both frames' detail below which it begins to be grain, and below which it is. A flow that
follows grain finds up to 0.35 in what is independent."""
ROUNDING_LEVELS = (0.5, 1.0)
"""Deviations of detail, 8-bit levels, from which on it begins to be more than rounding, and is."""
MISSED_LEVELS = (14.0, 9.5)
"""Deviations below which detail begins not to be a texture whose motion was missed, and is none."""
MISSED_SHARE = (2.2, 1.6)
"""The same for the difference of what is coarser, as a share of the detail's deviation."""
EVEN = (0.43, 0.53)
"""Squares of the mean size of detail, as a share of its power, above which it begins to be spread evenly, as
noise is (0.64 if Gaussian), and above which it is. That of a missed edge is less."""
UNSTEADY_PX = (1.6, 1.0)
"""Deviations of the flow, LR pixels, below which detail begins to be taken along, and is."""


def grain_of(first: FastFrame, second: FastFrame, motion: Tensor, tau: Tensor) -> Tensor | None:
    """Tell where an instant's fine detail is grain, and how it is shown there.

    Args:
        motion: (B, 5 or 6, H, W), see `TemporalField`.
        tau: (B, 1, 1, 1).

    Returns:
        (B, 6, H, W): how much the detail is grain, in [0, 1]; how the blend of both frames differs from the
        first one where detail is left out, RGB; and the flow to the first frame that takes its detail along,
        in LR pixels. None where grain is nowhere.
    """
    flow0, flow1 = motion[:, :4].split(2, dim=1)
    coarse0, fine0 = warp(_split(first), flow0).split(1, dim=1)
    coarse1, fine1 = warp(_split(second), flow1).split(1, dim=1)
    planes = [fine0.square(), fine1.square(), fine0 * fine1, (coarse0 - coarse1).square()]
    planes += [fine0.abs(), fine1.abs(), flow0, flow0.square()]
    around = _means(torch.cat(planes, dim=1), AROUND_PX)
    power0, power1, product, change, size0, size1 = around[:, :6].split(1, dim=1)
    flow, squares = around[:, 6:].split(2, dim=1)
    power = torch.maximum(power0, power1)
    deviation = 255 * power.sqrt()
    grain = _ramp(product / (power0 * power1).sqrt().clamp(min=1e-12), *UNLIKE)
    grain = grain * _ramp(deviation, *ROUNDING_LEVELS) * _ramp(deviation, *MISSED_LEVELS)
    grain = grain * _ramp((change / power.clamp(min=1e-12)).sqrt(), *MISSED_SHARE)
    evenness = torch.minimum(
        size0.square() / power0.clamp(min=1e-12), size1.square() / power1.clamp(min=1e-12)
    )
    grain = grain * _ramp(evenness, *EVEN)
    # flow that follows grain itself differs from point to point and would tear it
    unsteady = (squares - flow.square()).sum(1, keepdim=True).clamp(min=0).sqrt()
    grain = grain * _ramp(unsteady, *UNSTEADY_PX) * (tau < 1)  # the second frame shows its own
    if motion.shape[1] > MOTION:  # what stands still is shown by both frames
        stands = F.max_pool2d(motion[:, MOTION:], 6, 2, 2)  # with what is interpolated from around
        grain = torch.where(stands > 0.5, 0, grain)
    if not anywhere(grain > 0):
        return None
    rgb0, rgb1 = (_means(frame.rgb, COARSE_PX) for frame in (first, second))
    halves = F.avg_pool2d(torch.cat([flow0, flow1], dim=1), 2) / 2
    to_first, to_second = halves.split(2, dim=1)
    share0 = F.avg_pool2d(share_of_first(motion, tau), 2)
    blend = torch.lerp(warp(rgb1, to_second), warp(rgb0, to_first), share0)
    shown = torch.cat([grain, blend - warp(rgb0, flow / 2), flow], dim=1)
    return F.interpolate(shown, scale_factor=2, mode="bilinear", align_corners=False)


def as_in_first(grain: Tensor, flows: Tensor, share0: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decode points as the first frame itself is decoded, as far as they are grain.

    Args:
        grain: (B, 6, h, w), see `grain_of`.
        flows: (B, 4, h, w) to both frames, LR pixels.
        share0: (B, 1, h, w), the first frame's share of the blend.
        tau: (B, 1, 1, 1).

    Returns:
        `flows` and `share0` for them, and (B, 1, h, w): by how much the instant of decoding is after tau.
    """
    share = grain[:, :1]
    whole = grain[:, 4:].round()  # between pixels there is less detail
    flows = torch.cat([torch.lerp(flows[:, :2], whole, share), flows[:, 2:]], dim=1)
    return flows, torch.lerp(share0, torch.ones_like(share0), share), -tau * share


def _split(frame: FastFrame) -> Tensor:
    return torch.cat([frame.luma, luma(frame.rgb) - frame.luma], dim=1)


def _means(planes: Tensor, side: int) -> Tensor:
    """Return the means of squares of `side` pixels at 1/2, there: a fraction of the work."""
    return F.avg_pool2d(F.avg_pool2d(planes, 2), side, 1, side // 2, count_include_pad=False)


def _ramp(value: Tensor, zero: float, one: float) -> Tensor:
    return ((value - zero) / (one - zero)).clamp(0, 1)
