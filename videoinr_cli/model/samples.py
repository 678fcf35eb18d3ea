"""Pictures of several samples per LR pixel and axis: moved along flow, and brought to any size.

Knows nothing of how they were made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.coords import instants, interpolate_along, resampling_taps
from videoinr_cli.model.network import PairEncoding, Window

SAMPLE_BYTES = 100
"""Temporary memory of one sample of an instant, as counted: where flows lead, and what is there."""


@dataclasses.dataclass(frozen=True)
class Resampling:
    """How the output pixels of a window are made of a picture's samples."""

    region: Window  # of the picture, in samples: all that are needed
    rows: tuple[Tensor, Tensor]  # which rows of the region make up each of the output, and their weights
    columns: tuple[Tensor, Tensor]  # likewise

    @classmethod
    def of(cls, pair: PairEncoding, picture: Tensor, window: Window, size: tuple[int, int]) -> Resampling:
        """Find it for a window of the output's (Ho, Wo) grid, and a (B, C, s H, s W) picture of the pair."""
        rows, columns = (
            _taps(pair, picture, axis, *ends, size[axis])  # on the CPU, where they can be looked at
            for axis, ends in enumerate(((window.top, window.bottom), (window.left, window.right)))
        )
        region = Window(
            int(rows[0].min()), int(columns[0].min()), int(rows[0].max()) + 1, int(columns[0].max()) + 1
        )
        device = picture.device
        return cls(
            region,
            ((rows[0] - region.top).to(device), rows[1].to(device)),
            ((columns[0] - region.left).to(device), columns[1].to(device)),
        )

    def __call__(self, samples: Tensor) -> Tensor:
        """Return the output's pixels, (B, C, h, w), of the (B, C, r, c) samples of the region."""
        return _summed(_summed(samples, *self.rows, dim=2), *self.columns, dim=3)


@dataclasses.dataclass(frozen=True)
class SampledInstant:
    """One instant of a pair of frames that have pictures."""

    pair: PairEncoding
    pictures: tuple[Tensor, Tensor]  # of the frames, (B, 3, s H, s W) float32
    picture: Tensor | None  # that of a given frame
    motion: Tensor | None  # (B, 5 or 6, H, W) float32, of any other: see `TemporalField`
    tau: Tensor  # (B, 1, 1, 1)
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        pair: PairEncoding,
        pictures: tuple[Tensor, Tensor],
        tau: float | Tensor,
        size: tuple[int, int],
        motion_at: Callable[[Tensor], Tensor],
    ) -> SampledInstant:
        """Return an instant; motion, at (B, 1, 1, 1) instants, is asked for where it lies between frames."""
        taus = instants(tau, len(pictures[0]), pictures[0].device).view(-1, 1, 1, 1)
        if not isinstance(tau, Tensor) and tau in (0, 1):
            return cls(pair, pictures, pictures[int(tau)], None, taus, size)
        return cls(pair, pictures, None, motion_at(taus), taus, size)

    def query(self, window: Window, enlargement: int) -> Tensor:
        """Return a window of the output, (B, 3, h, w); `enlargement` is s."""
        resampling = Resampling.of(self.pair, self.pictures[0], window, self.size)
        region = resampling.region
        if self.motion is None:
            assert self.picture is not None
            return resampling(self.picture[..., region.top : region.bottom, region.left : region.right])
        return resampling(moved(self.pictures, self.motion, self.tau, region, enlargement))


def _taps(
    pair: PairEncoding, picture: Tensor, axis: int, start: int, stop: int, length: int
) -> tuple[Tensor, Tensor]:
    """Return which of the picture's samples along an axis make up output pixels, and their weights."""
    samples, own = picture.shape[2 + axis], (pair.height, pair.width)[axis]
    enlargement = samples // own
    index, weight = resampling_taps(start, stop, length, enlargement * pair.whole[axis])
    return (index - enlargement * pair.origin[axis]).clamp(0, samples - 1), weight


def _summed(samples: Tensor, index: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Sum up (B, C, h, w) samples along an axis: (n, T) of them with (n, T) weights for each pixel."""
    shape = [-1 if axis == dim else 1 for axis in range(4)]
    if index.shape[1] == 1:
        return samples.index_select(dim, index[:, 0])
    total = torch.zeros(())
    for taps, share in zip(index.unbind(1), weight.unbind(1), strict=True):
        total = total.to(samples.device) + samples.index_select(dim, taps) * share.view(shape)
    return total


def moved(
    pictures: Sequence[Tensor], motion: Tensor, tau: Tensor, region: Window, enlargement: int
) -> Tensor:
    """Return a part of an instant's picture: those of both frames, moved along its flows and blended.

    Args:
        pictures: of the frames, (B, 3, s H, s W).
        motion: (B, 5 or 6, H, W) float32, or padded below and to the right: flows to both frames in LR
            pixels, logit of the blend, and how much a point stands still, see `TemporalField`.
        tau: (B, 1, 1, 1), the instant's place between the frames.
        region: of the picture, in samples.
        enlargement: s, samples per LR pixel and axis.

    Returns:
        (B, 3, h, w) float32.
    """
    y, x = (
        torch.arange(start, stop, dtype=torch.float32, device=motion.device)
        for start, stop in ((region.top, region.bottom), (region.left, region.right))
    )
    motion = interpolate_along(motion, (y + 0.5) / enlargement - 0.5, dim=2)
    motion = interpolate_along(motion, (x + 0.5) / enlargement - 0.5, dim=3)
    flows, logit, stands = motion[:, :4], motion[:, 4:5], motion[:, 5:]
    if stands.shape[1]:
        flows = flows * (stands <= 0.5)
    share0 = torch.sigmoid(logit + torch.logit(1 - tau))
    there = []
    for picture, flow in zip(pictures, (flows[:, :2], flows[:, 2:]), strict=True):
        flow = enlargement * flow
        there.append(sampled(picture, x + flow[:, 0], y[:, None] + flow[:, 1]))
    return torch.lerp(there[1], there[0], share0)


def along(picture: Tensor, flow: Tensor) -> Tensor:
    """Read a (B, C, H, W) picture where a flow of its size leads, (B, 2, H, W); see `sampled`."""
    height, width = picture.shape[-2:]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)
    x = torch.arange(width, device=flow.device, dtype=torch.float32)
    return sampled(picture, x + flow[:, 0], y[:, None] + flow[:, 1])


def sampled(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read a (B, C, H, W) picture bicubically at (B, h, w) positions in pixels, its border held."""
    height, width = picture.shape[-2:]
    grid = torch.stack([x * (2 / max(1, width - 1)) - 1, y * (2 / max(1, height - 1)) - 1], dim=-1)
    return F.grid_sample(picture, grid, "bicubic", "border", align_corners=True)
