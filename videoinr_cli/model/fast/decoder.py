"""RGB at any point from both frames' fields, read where the flows lead (the paper's eq. 4 and decoder)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import FastConfig
from videoinr_cli.model.coords import Taps, bilinear_corners, gather, interleaved
from videoinr_cli.model.fast.fields import FastPair
from videoinr_cli.model.fast.layers import RGB, start_small


class FastDecoder(nn.Module):
    """RGB from the fields of both frames where the flows lead (the paper's decoder, after eq. 4).

    Predicts the residual of a blend of both frames' RGB, pointwise, so that any point can be decoded alone.
    Sampling is linear, so the first layer is applied to the fields before they are sampled: once per pair and
    on fewer points than the output has, instead of once per instant.
    """

    CONDITIONS = 3  # tau, log2 of the scale along y and x
    PLACES = 9  # sine and cosine of both targets' phases in the table, along x and y; the blend's share

    def __init__(self, config: FastConfig) -> None:
        super().__init__()
        hidden = config.decoder_channels
        self.conditions = nn.Linear(self.CONDITIONS, hidden, bias=False)
        self.layer1 = nn.Conv2d(2 * config.field_channels + self.PLACES, hidden, 1)
        self.layer2 = nn.Conv2d(hidden, hidden, 1)
        self.layer3 = start_small(nn.Conv2d(hidden, RGB, 1))

    def project(self, first: Tensor, second: Tensor) -> Tensor:
        """Apply the first layer to both frames' fields.

        Args:
            first, second: (B, F, h, w), RGB first.

        Returns:
            (2B, h, w, D): each frame's part of the hidden units' sums, the first frame's B first.
        """
        batch, channels, height, width = first.shape
        hidden = first.new_empty(2 * batch, height, width, self.layer1.out_channels)
        # one side after the other, in place: a pair's encoding peaks in memory here
        for number, side in enumerate((first, second)):
            weight = self.layer1.weight[:, number * channels : (number + 1) * channels]
            hidden[number * batch : (number + 1) * batch] = F.conv2d(side, weight).permute(0, 2, 3, 1)
        return hidden

    def forward(
        self,
        sampled: Tensor,
        targets: Tensor,
        share0: Tensor,
        conditions: Tensor,
        later: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, h, w, 3) residual, float32.

        Args:
            sampled: (B, Q, D), the sum of both frames' projected fields where the flows lead; overwritten.
            targets: (B, 4, h, w) float32, the sampled positions in samples of the field: x in the first and
                in the second frame's, then y likewise; h times w is Q.
            share0: (B, 1, h, w) float32, the first frame's share of the blend.
            conditions: (B, 3) float32: tau, log2 of the scale along y and x.
            later: (B, 1, h, w) float32, by how much the instant at which a point is decoded is after tau.
        """
        dtype = sampled.dtype
        phases = targets * (2 * math.pi)
        places = [torch.sin(phases), torch.cos(phases), share0, torch.ones_like(share0)]
        if later is not None:
            places.append(later)
        planes = [plane for place in places for plane in place.to(dtype).flatten(2).unbind(1)]
        weight = self.layer1.weight[:, -self.PLACES :, 0, 0].t().expand(len(sampled), -1, -1)
        constant = F.linear(conditions, self.conditions.weight, self.layer1.bias)  # (B, D)
        rows = [weight.to(dtype), constant[:, None].to(dtype)]
        if later is not None:
            rows.append(self.conditions.weight[:, 0].to(dtype).expand(len(sampled), 1, -1))
        weights = torch.cat(rows, dim=1)
        # in place, except with gradients: there it would act on a view, whose gradient is copied twice
        add_product = sampled.baddbmm if torch.is_grad_enabled() else sampled.baddbmm_
        hidden = F.relu(add_product(interleaved(planes), weights), inplace=True)
        # as pictures: on a CPU, 1x1 convolutions are faster than the same matrix products
        hidden = hidden.view(len(hidden), *targets.shape[2:], -1).permute(0, 3, 1, 2)
        hidden = F.relu(self.layer2(hidden), inplace=True)
        residual: Tensor = self.layer3(hidden).float()
        return residual.permute(0, 2, 3, 1)


def share_of_first(motion: Tensor, tau: Tensor) -> Tensor:
    """Return the first frame's share of the blend: by time and by the network, 1 at tau = 0 and 0 at 1."""
    return torch.sigmoid(motion[:, 4:5] + torch.logit(1 - tau))


def sample_both(pair: FastPair, y: Tensor, x: Tensor, share0: Tensor) -> tuple[Tensor, Tensor]:
    """Sample both frames' fields where the flows lead.

    Args:
        y, x: (B, 2, h, w) positions in samples of the first and of the second frame's field.
        share0: (B, 1, h, w), the first frame's share of the blend.

    Returns:
        The blend of both frames' RGB and spans, (B, h, w, 4), see `SpatialField`, and the sum of their
        projected fields, (B, h, w, D).
    """
    batch, rows, columns = len(y), *pair.rgb.shape[1:3]
    # sampled values' gradients are summed in float32
    field = pair.field.float() if torch.is_grad_enabled() else pair.field
    index: list[Tensor] = []  # four pixels of each frame, read and summed at once
    weight: list[Tensor] = []
    weight_in_blend: list[Tensor] = []
    for side, share in enumerate((share0[:, 0], 1 - share0[:, 0])):
        picture = torch.arange(batch, device=y.device).view(-1, 1, 1) + side * batch
        corners = bilinear_corners(y[:, side], x[:, side], rows, columns, "border", picture=picture)
        index += corners.index
        weight += [part.to(field.dtype) for part in corners.weight]
        weight_in_blend += [part * share for part in corners.weight]
    both = interleaved(index).view(-1, 8)
    blend = gather(pair.rgb, Taps(both, interleaved(weight_in_blend).view(-1, 8)))
    sampled = gather(field, Taps(both, interleaved(weight).view(-1, 8))).to(pair.field.dtype)
    return blend.view(*y[:, 0].shape, -1), sampled.view(*y[:, 0].shape, -1)
