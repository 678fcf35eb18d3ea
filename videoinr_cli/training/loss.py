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
CONTRAST_PX = 16
"""Side of the areas whose contrast is compared, HR pixels."""
CONTRAST_EPSILON = 1 / 255
"""Amplitude below which waves are absent alike."""
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
        if halfway and schedule.halfway_contrast_share is not None:
            schedule = dataclasses.replace(schedule, contrast_share=schedule.halfway_contrast_share)
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
    """Return the mean Charbonnier loss of (B, 3, H, W) pictures, with shares of gradients and contrast.

    What cannot be known comes out as the mean of what it may be, which is soft. An edge too soft costs little
    by the pictures and more by their gradients. The contrast of a small area, wave by wave, says how crisp it
    is, wherever its edges are, so that softness costs there even if they cannot be known.
    """
    difference = rendered - target
    loss = _charbonnier(difference, schedule.charbonnier_epsilon)
    if schedule.gradient_share:
        x, y = (_charbonnier(difference.diff(dim=axis), schedule.charbonnier_epsilon) for axis in (-1, -2))
        loss = loss + schedule.gradient_share * (x + y) / 2
    if schedule.contrast_share:
        loss = loss + schedule.contrast_share * (_contrast(rendered) - _contrast(target)).abs().mean()
    return loss


def _charbonnier(difference: Tensor, epsilon: float) -> Tensor:
    return (difference.square() + epsilon**2).sqrt().mean()


def _contrast(pictures: Tensor) -> Tensor:
    """Return the spectra of small areas' luma, (B, N, f, g): how strong each wave of their gradient is.

    The sum over all waves is cheapest raised by a fine grid over everything, flat areas first.
    """
    grey = pictures.mean(1, keepdim=True)
    if min(grey.shape[-2:]) < CONTRAST_PX:
        missing = [max(0, CONTRAST_PX - side) for side in grey.shape[-2:]]
        grey = F.pad(grey, (0, missing[1], 0, missing[0]), mode="replicate")
    areas = F.unfold(grey, CONTRAST_PX, stride=CONTRAST_PX // 2).mT.unflatten(2, (CONTRAST_PX, CONTRAST_PX))
    window = torch.hann_window(CONTRAST_PX, periodic=False, device=grey.device)
    waves = torch.fft.rfft2(areas * window * window[:, None], norm="ortho")
    power = waves.real.square() + waves.imag.square()
    strengths: Tensor = (power + CONTRAST_EPSILON**2).sqrt() * _steepness(grey.device)
    return strengths


def _steepness(device: torch.device) -> Tensor:
    """Return how much larger the gradient of each wave is than the wave itself, (f, g)."""
    y, x = (
        axis(CONTRAST_PX, device=device).mul(math.pi).sin()
        for axis in (torch.fft.fftfreq, torch.fft.rfftfreq)
    )
    steepness: Tensor = 2 * (y[:, None].square() + x.square()).sqrt()
    return steepness


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
