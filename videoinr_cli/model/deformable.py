"""Modulated deformable convolution (DCNv2, Zhu et al., CVPR 2019) in plain PyTorch.

On CUDA, torchvision's operator is used if it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.convolution import Conv3x3, dense
from videoinr_cli.model.coords import interleaved

try:
    from torchvision.ops import deform_conv2d
except ImportError:
    deform_conv2d = None

TAPS = 9
CHUNK_PIXELS = 2560
"""Pixels convolved at a time on a CPU: their temporaries (about 6 KB each) stay in its cache."""
CHUNKS_ELSEWHERE = 4
"""On a GPU a larger picture is convolved in this many chunks, so that launches are few and a chunk's
temporaries fit into a network's `footprint`."""


class DeformableConv(nn.Module):
    """A 3x3 convolution whose taps are displaced and weighted by another feature.

    Args:
        channels: of the input, the output and the guide.
        groups: number of channel groups, each with its own offsets.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.offset_mask = Conv3x3(channels, 3 * TAPS * groups)
        bound = 1 / math.sqrt(TAPS * channels)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.offset_mask.weight)  # starts as a plain convolution of half the strength
        nn.init.zeros_(self.offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Convolve `x` (B, C, H, W), guided by `guide` of the same shape."""
        offset_mask = self.offset_mask(guide)
        return deformable_convolution(x, offset_mask, self.weight, self.bias, groups=self.groups)


def deformable_convolution(
    x: Tensor, offset_mask: Tensor, weight: Tensor, bias: Tensor, *, groups: int
) -> Tensor:
    """Sample `x` at displaced taps, multiply by a mask, and convolve.

    Positions are computed in float32 for any input dtype: rounding them would cost more than all other
    rounding.

    Args:
        x: (B, C, H, W) float32 or half precision; the convolution is in its type where no gradient is wanted.
        offset_mask: (B, 27 * groups, H, W): for group g and tap k = 3 * row + column, dy and dx in
            pixels are channels 18 g + 2 k and the next, the mask before its sigmoid is 18 groups + 9 g + k
            (the order of the authors' checkpoints).
        weight: (K, C, 3, 3).
        bias: (K,).

    Returns:
        (B, K, H, W), laid out as `x`, read bilinearly with zeros outside of it.
    """
    batch, channels, height, width = x.shape
    is_nchw = x.is_contiguous()
    if deform_conv2d is not None and x.is_cuda:
        offset, mask = offset_mask.split((2 * TAPS * groups, TAPS * groups), 1)
        operator: Callable[..., Tensor] = deform_conv2d
        offset, mask = offset.float(), mask.float().sigmoid()
        return operator(x.float(), offset, weight, bias, padding=1, mask=mask)
    if torch.is_grad_enabled():  # the gradients of what is sampled are float32's
        x = x.float()
    # Zeros around, one before and two behind, make the four pixels of any clamped position exist.
    table = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2)).view(-1, channels // groups)
    kernel = (
        weight.view(-1, groups, channels // groups, TAPS).permute(0, 1, 3, 2).reshape(weight.shape[0], -1)
    ).to(x.dtype)
    bias = bias.to(x.dtype)
    pixels = CHUNK_PIXELS
    if x.device.type != "cpu":
        pixels = max(pixels, batch * height * width // CHUNKS_ELSEWHERE)
    rows = max(1, pixels // (width * batch))
    parts = []
    for top in range(0, height, rows):
        # a pixel's samples side by side, so that they are the convolution's columns as they come
        guide = offset_mask[:, :, top : top + rows].permute(0, 2, 3, 1)
        guide = guide.to(torch.float32, memory_format=torch.contiguous_format)
        index, share = _sampling(guide, groups, top, height, x.dtype)
        columns = F.embedding_bag(index, table, mode="sum", per_sample_weights=share)
        convolved = dense(columns.view(batch, -1, width, TAPS * channels), kernel, bias).permute(0, 3, 1, 2)
        parts.append(convolved.contiguous() if is_nchw else convolved)
    return torch.cat(parts, 2)


def _sampling(guide: Tensor, groups: int, top: int, height: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Find the four table rows of every sample and their weights.

    Args:
        guide: (B, h, W, 27 * groups) float32, offsets and masks of the rows from `top` on, see
            `deformable_convolution`.
        height: of the whole picture, without the table's zeros.
        dtype: of the weights.

    Returns:
        (N, 4) int32 and (N, 4); N counts batch, rows, columns, groups and taps in this order.
    """
    batch, rows, width, _ = guide.shape
    device = guide.device
    samples = TAPS * groups
    dy, dx = guide[..., : 2 * samples].unflatten(-1, (samples, 2)).unbind(-1)  # (B, h, W, 9 groups)
    strength = guide[..., 2 * samples :].sigmoid()
    tap = torch.arange(TAPS, device=device).repeat(groups)
    # The tap's own -1 and the table's one row and column of zeros in front cancel.
    y = (dy + (tap // 3 + torch.arange(top, top + rows, device=device).view(-1, 1, 1))).clamp(0, height + 1)
    x = (dx + (tap % 3 + torch.arange(width, device=device).view(-1, 1))).clamp(0, width + 1)
    y_floor, x_floor = y.floor(), x.floor()
    down, right = y - y_floor, x - x_floor
    lower = down * strength
    lower_right = lower * right
    upper_right = right * strength - lower_right
    upper_left = strength - lower - upper_right
    shares = (upper_left, upper_right, lower - lower_right, lower_right)
    share = interleaved([part.to(dtype) for part in shares])

    row_stride = (width + 3) * groups
    group = torch.arange(groups, dtype=torch.int32, device=device).repeat_interleave(TAPS)
    picture = torch.arange(batch, dtype=torch.int32, device=device).view(-1, 1, 1, 1)
    base = picture * ((height + 3) * row_stride) + group
    corner = y_floor.int() * row_stride + x_floor.int() * groups + base
    index = interleaved((corner, corner + groups, corner + row_stride, corner + (row_stride + groups)))
    return index.view(-1, 4), share.view(-1, 4)
