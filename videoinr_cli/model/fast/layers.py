"""Layers that the encoder, the fields and the decoder share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videoinr_cli.model.convolution import residual_block

RGB = 3


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), without normalisation, as in EDSR (Lim et al., 2017)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 3, padding=1)
        self.conv2 = start_small(nn.Conv2d(hidden, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return residual_block(x, self.conv1, self.conv2)


def start_small(layer: nn.Conv2d) -> nn.Conv2d:
    """Scale a residual layer's initial weights to a tenth, so that training starts near the identity."""
    with torch.no_grad():
        layer.weight.mul_(0.1)
        assert layer.bias is not None
        layer.bias.zero_()
    return layer


def concatenate(features: Tensor, *others: Tensor) -> Tensor:
    """Concatenate channels in the first one's dtype, which the next layer computes in anyway.

    All parts are made channels_last: a single NCHW part would make the result NCHW, which is slow to read.
    """
    alike = (other.to(features.dtype, memory_format=torch.channels_last) for other in others)
    return torch.cat([features, *alike], dim=1)
