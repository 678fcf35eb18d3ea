"""Where output pixels lie in a picture, and how values are read there.

Knows nothing of networks: positions are in pixels (0 is the centre of the first one), tables are NHWC, and
what lies beyond a table is zero or its border, as the caller says.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["zeros", "border"]


class Taps(NamedTuple):
    """Which rows of a flattened table make up each query point, and with which weights.

    ``index`` (N, T) int64 counts pixels of the whole batch in NHWC order, ``weight`` (N, T) float32; N is
    batch times query points. Several tables of one size can be read with the same taps.
    """

    index: Tensor
    weight: Tensor


def pixel_positions(
    start: int, stop: int, output_length: int, input_length: int, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Return where output pixels `start` to `stop` of one axis lie among the input's, in input pixels.

    Both grids cover the same picture, so output pixel i lies at (i + 0.5) * input / output - 0.5. Computed in
    float64: a position does not depend on which part of the axis is asked for.

    Returns:
        (stop - start,) float32, 0 at the centre of the first input pixel.
    """
    index = torch.arange(start, stop, dtype=torch.float64)
    return ((index + 0.5) * (input_length / output_length) - 0.5).to(device, torch.float32)


def bilinear_taps(y: Tensor, x: Tensor, height: int, width: int, padding: Padding) -> Taps:
    """Find the four pixels around each position and their weights.

    Args:
        y, x: (B, Q) float32 positions in pixels of a (B, height, width, C) table.
        padding: ``zeros`` fades to zero over one pixel outside, as grid_sample's does; ``border`` repeats
            the outermost pixels.
    """
    batch = y.shape[0]
    # Positions are confined first, so that far ones (or NaN, which clamp keeps) cannot overflow an integer.
    margin = 1.0 if padding == "zeros" else 0.0
    y = y.clamp(-margin, height - 1 + margin)
    x = x.clamp(-margin, width - 1 + margin)
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    rows = torch.stack((top, top + 1), -1)  # (B, Q, 2)
    columns = torch.stack((left, left + 1), -1)
    row_weight = torch.stack((1 - down, down), -1)
    column_weight = torch.stack((1 - right, right), -1)
    if padding == "zeros":
        row_weight = row_weight * ((rows >= 0) & (rows < height))
        column_weight = column_weight * ((columns >= 0) & (columns < width))
    row_index = rows.clamp(0, height - 1).long() * width
    row_index += torch.arange(batch, device=y.device).view(-1, 1, 1) * (height * width)
    column_index = columns.clamp(0, width - 1).long()
    index = row_index.unsqueeze(-1) + column_index.unsqueeze(-2)  # (B, Q, 2, 2)
    weight = row_weight.unsqueeze(-1) * column_weight.unsqueeze(-2)
    return Taps(index.view(-1, 4), weight.view(-1, 4))


def gather(table: Tensor, taps: Taps) -> Tensor:
    """Read weighted sums of a table's pixels.

    Args:
        table: (B, H, W, C), contiguous.

    Returns:
        (N, C), one row per query point. Differentiable in the table and in the weights.
    """
    # Whole rows are read once and summed in registers: eight times as fast as grid_sample on a CPU.
    rows = table.reshape(-1, table.shape[-1])
    return F.embedding_bag(taps.index, rows, mode="sum", per_sample_weights=taps.weight.to(rows.dtype))


def gather_bilinear(table: Tensor, y: Tensor, x: Tensor, padding: Padding) -> Tensor:
    """Read a table between its pixels.

    Args:
        table: (B, H, W, C).
        y, x: (B, Q) float32 positions in pixels of the table.

    Returns:
        (B, Q, C) in the table's type.
    """
    batch, height, width, channels = table.shape
    return gather(table, bilinear_taps(y, x, height, width, padding)).view(batch, -1, channels)
