"""Resize pictures by the kernels that the papers name, as plain separable weights."""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.protocols import Downsampler

Upsampler = Literal["bicubic", "lanczos"]
"""How a baseline enlarges: torch's bicubic (a = -0.75), or Lanczos of three lobes."""


def reduce(frames: Tensor, size: tuple[int, int], downsampler: Downsampler = "torch") -> Tensor:
    """Reduce ground truth to low-resolution frames.

    Args:
        frames: (B, 3, H, W) float32 in [0, 1].
        size: (h, w), not larger than the frames.

    Returns:
        (B, 3, h, w) float32 in [0, 1].
    """
    if downsampler == "matlab":
        return (_apply(frames, size, "cubic", mirrored=True).clamp(0, 1) * 255).round() / 255
    if downsampler == "pil":
        # torch's integer kernel follows Pillow's arithmetic to a level in a pixel of a thousand; CPU only.
        levels = (frames * 255).round().to("cpu", torch.uint8)
        reduced = F.interpolate(levels, size=size, mode="bicubic", antialias=True)
        return reduced.to(frames.device, frames.dtype) / 255
    return F.interpolate(frames, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def enlarge(frames: Tensor, size: tuple[int, int], upsampler: Upsampler) -> Tensor:
    """Enlarge (B, 3, h, w) frames to (B, 3, H, W), clamped to [0, 1]."""
    if upsampler == "bicubic":
        return F.interpolate(frames, size=size, mode="bicubic").clamp(0, 1)
    return _apply(frames, size, "lanczos", mirrored=False).clamp(0, 1)


def _apply(
    frames: Tensor, size: tuple[int, int], kernel: Literal["cubic", "lanczos"], mirrored: bool
) -> Tensor:
    down, across = (
        _weights(before, after, kernel, mirrored).to(frames.device)
        for before, after in zip(frames.shape[-2:], size, strict=True)
    )
    return down @ frames @ across.T


@functools.lru_cache(maxsize=8)
def _weights(before: int, after: int, kernel: str, mirrored: bool) -> Tensor:
    """Return the (after, before) matrix that resamples one axis.

    For antialiasing the kernel is stretched by the reduction. Beyond the border it reads the mirrored
    picture, or nothing, with the remaining weights renormalised.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    support = (2.0 if kernel == "cubic" else 3.0) * stretch
    centre = (torch.arange(after, dtype=torch.float64) + 0.5) * scale - 0.5
    taps = torch.arange(math.ceil(2 * support) + 1)
    position = (centre - support).ceil().long()[:, None] + taps  # (after, taps)
    distance = (position - centre[:, None]).abs() / stretch
    weight = _cubic(distance) if kernel == "cubic" else _lanczos(distance)
    if mirrored:
        position = position % (2 * before)
        position = torch.minimum(position, 2 * before - 1 - position)
    else:
        weight = weight * ((position >= 0) & (position < before))
        position = position.clamp(0, before - 1)
    matrix = torch.zeros(after, before, dtype=torch.float64).scatter_add_(1, position, weight)
    return (matrix / matrix.sum(dim=1, keepdim=True)).float()


def _cubic(x: Tensor) -> Tensor:
    """Return Keys' cubic convolution with a = -0.5, for distances x >= 0 (Keys, 1981, eq. 15)."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    """Return Lanczos' windowed sinc of three lobes, for distances x >= 0."""
    return torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)
