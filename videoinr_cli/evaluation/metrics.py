"""The papers' picture metrics: PSNR and SSIM of luma, on unrounded floats."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.devices import without_tf32

LUMA_WEIGHTS = (65.481, 128.553, 24.966)
"""Studio-range BT.601 luma of R'G'B' in [0, 1], in 8-bit levels above `LUMA_BLACK`; what Matlab's rgb2ycbcr
computes and the super-resolution literature has measured on ever since."""

LUMA_BLACK = 16.0

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_C1 = (0.01 * 255) ** 2
SSIM_C2 = (0.03 * 255) ** 2
"""Window and constants of Wang et al., "Image quality assessment", 2004, for levels of 0 to 255."""


def luma(rgb: Tensor) -> Tensor:
    """Return BT.601 luma.

    Args:
        rgb: (B, 3, H, W) floating point, in [0, 1].

    Returns:
        (B, 1, H, W), of the same type, in [16/255, 235/255].
    """
    weights = rgb.new_tensor(LUMA_WEIGHTS).view(1, 3, 1, 1)
    return ((rgb * weights).sum(dim=1, keepdim=True) + LUMA_BLACK) / 255.0


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Return each picture's peak signal-to-noise ratio of luma, with a peak of 1 and borders included.

    Args:
        a: (B, 3, H, W) RGB in [0, 1]; values outside are clamped, as any display would.
        b: the same.

    Returns:
        (B,) dB, float64 on the CPU, since not every device has float64; infinite where both are equal.
    """
    difference = luma(a.clamp(0, 1)) - luma(b.clamp(0, 1))
    return -10.0 * difference.cpu().double().square().mean(dim=(1, 2, 3)).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return each picture's mean structural similarity of luma, over the windows entirely inside it.

    Args:
        a: (B, 3, H, W) RGB in [0, 1], at least 11x11; values outside are clamped.
        b: the same.

    Returns:
        (B,), float64 on the CPU, since not every device has float64; 1 where both are equal.

    Raises:
        ValueError: the pictures are smaller than the window.

    Source: Wang et al., 2004, eq. 13: Gaussian 11x11, sigma 1.5, on 8-bit levels.
    """
    if min(a.shape[-2:]) < SSIM_WINDOW_PX:
        raise ValueError(f"SSIM needs pictures of {SSIM_WINDOW_PX} px at least, got {tuple(a.shape[-2:])}")
    # Variances do not depend on a common offset; around mid-grey they lose fewer digits in float32.
    offset = 128.0
    x = luma(a.clamp(0, 1)) * 255.0 - offset
    y = luma(b.clamp(0, 1)) * 255.0 - offset
    with without_tf32():
        means = _gaussian_mean(torch.cat([x, y, x * x, y * y, x * y], dim=1))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = means.unbind(dim=1)
    variance_x = mean_xx - mean_x.square()
    variance_y = mean_yy - mean_y.square()
    covariance = mean_xy - mean_x * mean_y
    mean_x, mean_y = mean_x + offset, mean_y + offset
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x.square() + mean_y.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return (luminance * structure).cpu().double().mean(dim=(1, 2))


def _gaussian_mean(x: Tensor) -> Tensor:
    """Blur each channel of (B, C, H, W) by the SSIM window; return the valid region only."""
    channels = x.shape[1]
    distance = torch.arange(SSIM_WINDOW_PX, device=x.device, dtype=x.dtype) - SSIM_WINDOW_PX // 2
    window = torch.exp(-distance.square() / (2 * SSIM_SIGMA_PX**2))
    window = (window / window.sum()).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, window, groups=channels), window.transpose(2, 3), groups=channels)
