"""Warping along optical flow, and refining flow on the two frames themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.coords import Padding, constants, gather_bilinear

LUMA = (0.299, 0.587, 0.114)
"""Rec. 601 weights, for gamma-coded RGB."""

STIFFNESS = 1e-4
"""Weight of the initial flow, in squared gradients of luma: 2.5 levels of 255 from pixel to pixel."""
FARTHEST = 0.35
"""Largest correction along an axis, in pixels of the flow's grid: gradients hold only nearby."""


def warp(features: Tensor, flow: Tensor, padding: Padding = "border") -> Tensor:
    """Sample (B, C, h, w) features where (B, 2, h, w) flow leads, (dx, dy) in pixels of the same grid."""
    height, width = features.shape[-2:]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)
    x = torch.arange(width, device=flow.device, dtype=torch.float32)
    # in float32: weights of half precision would place the samples hundredths of a pixel off
    table = features.permute(0, 2, 3, 1).float()
    rows, columns = flow[:, 1] + y[:, None], flow[:, 0] + x
    warped = gather_bilinear(table, rows.flatten(1), columns.flatten(1), padding)
    return warped.view(table.shape).to(features.dtype).permute(0, 3, 1, 2)


def compare(here: Tensor, there: Tensor, reach: int) -> Tensor:
    """Return the cost volume of two features: their cosine at displacements of up to `reach` pixels.

    Compares (B, C, h, w) features at each point `here` with those around it in `there` (Sun et al., 2018):
    (B, (2 reach + 1)^2, h, w), upper left first, 0 outside the picture.
    """
    height, width = here.shape[-2:]
    here = F.normalize(here.float(), dim=1)
    there = F.pad(F.normalize(there.float(), dim=1), (reach, reach, reach, reach))
    return torch.stack(
        [
            (here * there[..., top : top + height, left : left + width]).sum(1)
            for top in range(2 * reach + 1)
            for left in range(2 * reach + 1)
        ],
        dim=1,
    )


def upsample_flow(flow: Tensor) -> Tensor:
    """Upsample a flow to a grid twice as fine, and scale it to that grid's pixels."""
    return 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)


def luma(rgb: Tensor) -> Tensor:
    """Return the (B, 1, H, W) luma of (B, 3, H, W) RGB."""
    return (rgb * constants(LUMA, rgb.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def smooth_luma(rgb: Tensor) -> Tensor:
    """Return the (B, 1, H, W) float32 luma of (B, 3, H, W) RGB that `refine_flow` compares.

    It is smoothed because finer detail differs between frames by aliasing and noise, and because bilinear
    sampling would smooth it between pixels only.
    """
    return F.avg_pool2d(luma(rgb), 3, stride=1, padding=1, count_include_pad=False)


def refine_flow(here: Tensor, there: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Refine a flow by one step of least squares on the frames' luma (Lucas and Kanade, 1981).

    Around each point the flow is taken to be constant in a window of about ten by ten pixels, and the luma to
    be linear around the place where `flow` leads. Points without texture keep their flow.

    Args:
        here, there: (B, 1, H, W) float32 luma, see `smooth_luma`; H and W are even.
        flow: (B, 2, H / 2, W / 2) float32 from here to there, (dx, dy) in pixels of that grid.

    Returns:
        The flow, (B, 2, H / 2, W / 2), moved by `FARTHEST` at the most; and (B, 1, H, W): by how much the
        luma differed along it before.
    """
    fine = upsample_flow(flow)
    warped = warp(there, fine)
    padded = F.pad((here + warped) / 2, (1, 1, 1, 1), mode="replicate")
    along_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    along_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    u, v = fine.split(1, dim=1)
    difference = warped - here
    wanted = along_x * u + along_y * v - difference
    sums = torch.cat(
        [
            along_x.square() + STIFFNESS,
            along_x * along_y,
            along_y.square() + STIFFNESS,
            along_x * wanted + STIFFNESS * u,
            along_y * wanted + STIFFNESS * v,
        ],
        dim=1,
    )
    sums = F.avg_pool2d(sums, 2)
    for _ in range(2):  # twice: a window that fades towards its border
        sums = F.avg_pool2d(sums, 3, stride=1, padding=1, count_include_pad=False)
    xx, xy, yy, x, y = sums.split(1, dim=1)
    solved: Tensor = torch.cat([yy * x - xy * y, xx * y - xy * x], dim=1) / (xx * yy - xy.square())
    return flow + (solved / 2 - flow).clamp(-FARTHEST, FARTHEST), difference
