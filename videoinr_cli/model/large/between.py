"""What a picture between two frames lacks when it is only these, moved and blended.

Both frames' features and pictures are moved to the instant and compared there: where they disagree, something
moved otherwise than estimated, is hidden in one of them, or is known better from the other. All of it is
computed at the frames' own size. Untrained it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.coords import gather_bilinear
from videoinr_cli.model.fast.fields import MOTION
from videoinr_cli.model.large.propagation import ENLARGEMENT, RGB, ResidualBlock
from videoinr_cli.model.samples import along

SAMPLES = ENLARGEMENT**2
"""Of a picture, per LR pixel."""

FEATURES = 48
"""Of a frame, that are moved to an instant; float32."""

STEERING = 48
"""Hidden units of the layers that correct the flows."""


class Between(nn.Module):
    """Corrects an instant's flows, its blend and its picture."""

    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        """Prepare for a frame's `channels` features, with `blocks` residual blocks of `hidden` units."""
        super().__init__()
        self.features = nn.Conv2d(channels, FEATURES, 1)
        self.steering = nn.Sequential(
            nn.Conv2d(2 * FEATURES + MOTION + 1, STEERING, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(STEERING, STEERING, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(STEERING, STEERING, 3, padding=1),
            nn.ReLU(),
            nothing_yet(nn.Conv2d(STEERING, MOTION, 3, padding=1)),
        )
        self.entry = nn.Conv2d(2 * FEATURES + 2 * RGB * SAMPLES + MOTION + 1, hidden, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden) for _ in range(blocks)))
        self.exit = nothing_yet(nn.Conv2d(hidden, (1 + RGB) * SAMPLES, 3, padding=1))

    def forward(
        self, pictures: Sequence[Tensor], features: Sequence[Tensor], motion: Tensor, tau: Tensor
    ) -> Tensor:
        """Return an instant's picture, (B, 3, 4 H, 4 W) float32, not clamped.

        Args:
            pictures: of both frames, (B, 3, 4 H, 4 W) float32.
            features: likewise, (B, C, H, W), in the type that layers compute in.
            motion: (B, 5 or 6, H, W) float32, see `TemporalField`.
            tau: (B, 1, 1, 1), above 0 and below 1.
        """
        motion, stands = motion[:, :MOTION], motion[:, MOTION:]
        # float32: half precision would place what is read hundredths of a pixel off
        tables = [self.features(of_frame).permute(0, 2, 3, 1).float().contiguous() for of_frame in features]
        moved, dtype = _moved(tables, motion), features[0].dtype
        steered = self.steering(_joined(dtype, *moved, *_told(motion, tau))).float()
        # what is corrected is velocity: at either frame nothing is displaced
        motion = motion + steered * torch.cat([tau, tau, 1 - tau, 1 - tau, torch.ones_like(tau)], dim=1)
        fine = F.interpolate(motion, scale_factor=ENLARGEMENT, mode="bilinear", align_corners=False)
        if stands.shape[1]:
            motion = _held(motion, stands)
            fine = _held(fine, F.interpolate(stands, scale_factor=ENLARGEMENT, mode="bilinear"))
        first, second = (
            along(picture, ENLARGEMENT * flow)
            for picture, flow in zip(pictures, (fine[:, :2], fine[:, 2:4]), strict=True)
        )
        logit = fine[:, 4:] + torch.logit(1 - tau)
        blend = torch.lerp(second, first, torch.sigmoid(logit))
        folded = (F.pixel_unshuffle(picture, ENLARGEMENT) for picture in (blend, first - second))
        x = self.entry(_joined(dtype, *folded, *_moved(tables, motion), *_told(motion, tau)))
        x = self.exit(self.blocks(F.relu(x, inplace=True))).float()
        share0 = torch.sigmoid(logit + F.pixel_shuffle(x[:, :SAMPLES], ENLARGEMENT))
        residual = F.pixel_shuffle(x[:, SAMPLES:], ENLARGEMENT)
        return torch.lerp(second, first, share0) + 4 * tau * (1 - tau) * residual


def nothing_yet(layer: nn.Conv2d) -> nn.Conv2d:
    """Set a layer's weights to zero, so that training starts from what is there without it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _held(motion: Tensor, stands: Tensor) -> Tensor:
    """Return a motion that does not displace what stands still, see `still.choose`."""
    return torch.cat([motion[:, :4] * (stands <= 0.5), motion[:, 4:]], dim=1)


def _told(motion: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return what layers read of the motion and the time, in units of about 1."""
    return motion * motion.new_tensor([0.1, 0.1, 0.1, 0.1, 1]).view(1, MOTION, 1, 1), tau.expand_as(
        motion[:, :1]
    )


def _joined(dtype: torch.dtype, *parts: Tensor) -> Tensor:
    """Concatenate channels in the type that the next layer computes in, channels_last."""
    return torch.cat([part.to(dtype, memory_format=torch.channels_last) for part in parts], dim=1)


def _moved(tables: Sequence[Tensor], motion: Tensor) -> list[Tensor]:
    """Read both frames' tables where an instant's flows lead: (B, F, H, W) each."""
    height, width = motion.shape[-2:]
    y = torch.arange(height, device=motion.device, dtype=torch.float32)
    x = torch.arange(width, device=motion.device, dtype=torch.float32)
    found = []
    for table, flow in zip(tables, (motion[:, :2], motion[:, 2:4]), strict=True):
        rows, columns = flow[:, 1] + y[:, None], flow[:, 0] + x
        read = gather_bilinear(table, rows.flatten(1), columns.flatten(1), "border")
        found.append(read.view(table.shape).permute(0, 3, 1, 2))
    return found
