"""What training minimises: the error of rendered pictures, and of the motion where the true one is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model import AnyVideoInr, Window
from videoinr_cli.model.network import Motion
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.recipes import OWN, Schedule

FLOW_EPSILON = 0.05
"""Rounds the corner of the flow's error at 0; pixels of the flow's grid."""
SHARPENED_PX = 0.5
"""Deviation of the Gaussian that targets are sharpened by, LR pixels."""
FLOW_SHARE = 0.02
"""Weight of the flow's mean error, in its pixels, in the loss."""
STILL_SHARE = 0.02
"""Weight of the cross entropy of what stands still."""


class BatchLoss(torch.nn.Module):
    """`batch_loss` of a network as a module, which `DistributedDataParallel` wraps."""

    def __init__(self, model: AnyVideoInr, schedule: Schedule) -> None:
        super().__init__()
        self.model = model
        self.schedule = schedule

    def forward(self, batch: Batch, *, halfway: bool = False) -> Tensor:
        schedule = self.schedule
        if halfway:
            schedule = dataclasses.replace(schedule, sharpening=schedule.sharpening / 2)
        return batch_loss(self.model, batch, schedule)


def batch_loss(model: AnyVideoInr, batch: Batch, schedule: Schedule = OWN.schedule) -> Tensor:
    """Return the mean Charbonnier loss of a batch's supervised instants, and the motion's where it is known.

    Pictures alone hardly teach the flow between given frames: it stayed a third of a pixel off, which is too
    much to learn fusion from. Coarse levels without supervision died (all units inactive), and large
    motion was lost with them.
    """
    with torch.no_grad():  # the pair's own frames teach the frame encoder already
        before, after = (
            None if frame is None else model.encode_frame(frame) for frame in (batch.before, batch.after)
        )
    first, second = model.encode_frame(batch.first), model.encode_frame(batch.second)
    pair = model.encode_pair(first, second, before=before, after=after)
    height, width = batch.targets[0].shape[-2:]
    window = Window(0, 0, height, width)
    losses = []
    for target, tau in zip(batch.targets, batch.taus, strict=True):
        if schedule.sharpening:
            target = sharpened(target, schedule.sharpening, SHARPENED_PX * height / batch.first.shape[-2])
        instant = model.prepare_instant(pair, tau, (height, width), window, 0)
        losses.append(picture_loss(model.query(instant, window), target, schedule))
    loss = torch.stack(losses).mean()
    loss = loss + motion_loss(model.motion_of(pair), batch.flow, batch.still)
    if batch.wide is not None:
        frames = (model.encode_frame(frame) for frame in (batch.wide.first, batch.wide.second))
        loss = loss + motion_loss(model.motion_between(*frames), batch.wide.flow, batch.wide.still)
    return loss


def motion_loss(motion: Motion, flow: Tensor, still: Tensor) -> Tensor:
    """Return the error of what a network says of the motion between two frames, where that is known.

    Args:
        motion: what it says.
        flow, still: what is true, see `Batch`.
    """
    loss = FLOW_SHARE * _flow_errors(motion.flows, flow)
    if motion.still is None:
        return loss
    told, true = motion.still, still.flatten(0, 1)
    known = true.isfinite()
    errors = F.binary_cross_entropy_with_logits(
        told[..., : true.shape[2], : true.shape[3]], true.nan_to_num(), reduction="none"
    )
    return loss + STILL_SHARE * torch.where(known, errors, 0).mean()


def picture_loss(rendered: Tensor, target: Tensor, schedule: Schedule) -> Tensor:
    """Return the mean Charbonnier loss of (B, 3, H, W) pictures, with a share of their gradients.

    What cannot be known comes out as the mean of what it may be, which is soft. An edge too soft costs little
    by the pictures and more by their gradients.
    """
    difference = rendered - target
    loss = _charbonnier(difference, schedule.charbonnier_epsilon)
    if schedule.gradient_share:
        x, y = (_charbonnier(difference.diff(dim=axis), schedule.charbonnier_epsilon) for axis in (-1, -2))
        loss = loss + schedule.gradient_share * (x + y) / 2
    return loss


def _charbonnier(difference: Tensor, epsilon: float) -> Tensor:
    return (difference.square() + epsilon**2).sqrt().mean()


def sharpened(pictures: Tensor, amount: float, sigma_px: float) -> Tensor:
    """Return (B, 3, H, W) pictures after an unsharp mask.

    A network taught by them shows what it is sure of more strongly, which makes up for the softness of what
    it is not sure of. Source: Wang et al., "Real-ESRGAN", ICCV workshops 2021, section 3.4.

    Args:
        amount: of what a Gaussian takes away, added once more.
        sigma_px: the Gaussian's deviation.
    """
    radius = math.ceil(3 * sigma_px)
    along = torch.arange(-radius, radius + 1, device=pictures.device).div(sigma_px).square().mul(-0.5).exp()
    along = along / along.sum()
    planes = F.pad(pictures, (radius, radius, radius, radius), mode="replicate").flatten(0, 1)[:, None]
    smooth = F.conv2d(F.conv2d(planes, along[None, None, None]), along[None, None, :, None])
    return (pictures + amount * (pictures - smooth.view_as(pictures))).clamp(0, 1)


def _flow_errors(flows: Sequence[Tensor], target: Tensor) -> Tensor:
    """Return the sum of all levels' mean errors, each in pixels of its own grid.

    Args:
        flows: see `Motion`.
        target: see `Batch.flow`.
    """
    known = target.flatten(0, 1)
    errors = known.new_zeros(())
    for flow in flows:
        errors = errors + _flow_error(flow, known)
        if min(known.shape[-2:]) < 2:  # a patch too small for coarser levels
            break
        known = F.avg_pool2d(known, 2) / 2
    return errors


def _flow_error(flow: Tensor, target: Tensor) -> Tensor:
    """Return the mean distance of (B, 2, h, w) flows; a pixel whose target is unknown counts 0."""
    known = target.isfinite()
    error = torch.where(known, flow[..., : target.shape[2], : target.shape[3]] - target, 0)
    return error.square().sum(1).add(FLOW_EPSILON**2).sqrt().sub(FLOW_EPSILON).mean()
