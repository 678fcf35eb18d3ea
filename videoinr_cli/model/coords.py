"""Where output pixels lie in a picture, and how values are read there.

Positions are in pixels, 0 at the centre of the first one; tables are NHWC, and beyond their border read as
zero or as the border, as the caller asks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Padding = Literal["zeros", "border"]


def constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return float32 numbers on a device, kept there: it waits while numbers are copied to it."""
    if torch.compiler.is_compiling():  # what is traced is not to be kept
        return torch.tensor(values, device=device)
    return _kept(values, device)


@functools.lru_cache(maxsize=64)
def _kept(values: tuple[float, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # else none could be trained with
        return torch.tensor(values, device=device)


def instants(tau: float | Tensor, batch: int, device: torch.device) -> Tensor:
    """Return (B,) float32 instants on a device: those given, or B times the one given."""
    if isinstance(tau, Tensor):
        return tau.to(device, torch.float32).expand(batch)
    return torch.full((batch,), tau, dtype=torch.float32, device=device)


class Taps(NamedTuple):
    """Which rows of a flattened table make up each query point, and with which weights.

    ``index`` (N, T) integers count pixels of the whole batch in NHWC order, ``weight`` (N, T) float32; N is
    batch times query points. Several tables of one size can be read with the same taps.
    """

    index: Tensor  # type: ignore[assignment]  # the name is also a tuple's method, which nobody needs here
    weight: Tensor


def pixel_positions(
    start: int, stop: int, output_length: float, input_length: int, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Return where output pixels `start` to `stop` of one axis lie among the input's, in input pixels.

    Both grids cover the same picture, so output pixel i lies at (i + 0.5) * input / output - 0.5. Computed in
    float64: a position does not depend on which part of the axis is asked for. An output's length need not be
    whole: the last pixel then sticks out.

    Returns:
        (stop - start,) float32, 0 at the centre of the first input pixel.
    """
    doubles = "cpu" if torch.device(device).type == "mps" else device  # which has none
    index = torch.arange(start, stop, dtype=torch.float64, device=doubles)
    return ((index + 0.5) * (input_length / output_length) - 0.5).to(device, torch.float32)


def nearest_pixels(
    start: int, stop: int, output_length: float, input_length: int, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the input pixel nearest to each of the output pixels `start` to `stop` of one axis.

    An output pixel may lie exactly between two input pixels (every fifth one does at x2.5), and then this
    arithmetic decides: the original's, in float32 and in its order (make_coord, then grid_sample's, which
    rounds halves to even). It runs on the CPU whatever the device, so that the choice is the same everywhere.

    Returns:
        (stop - start,) int64.
    """
    index = torch.arange(start, stop, dtype=torch.float32)
    coordinate = (2 / output_length) * index + (-1 + 1 / output_length)
    pixel = ((coordinate + 1) * (input_length / 2) - 0.5).round().long()
    return pixel.clamp(0, input_length - 1).to(device)


class Corners(NamedTuple):
    """The four pixels around each of some positions, upper left to lower right: tensors of their shape."""

    index: tuple[Tensor, Tensor, Tensor, Tensor]  # type: ignore[assignment]  # as in `Taps`
    weight: tuple[Tensor, Tensor, Tensor, Tensor]


INTEGERS = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}
"""The integer type of the same size as each float type."""


def bilinear_taps(y: Tensor, x: Tensor, height: int, width: int, padding: Padding) -> Taps:
    """Find the four pixels around each position and their weights; see `bilinear_corners`."""
    corners = bilinear_corners(y, x, height, width, padding)
    return Taps(interleaved(corners.index).view(-1, 4), interleaved(corners.weight).view(-1, 4))


def bilinear_corners(
    y: Tensor, x: Tensor, height: int, width: int, padding: Padding, *, picture: Tensor | None = None
) -> Corners:
    """Find the four pixels around each position and their weights.

    Args:
        y, x: (B, ...) float32 positions in pixels of a (B, height, width, C) table.
        padding: ``zeros`` fades to zero over one pixel outside, as grid_sample's does; ``border`` repeats
            the outermost pixels.
        picture: which of the table's pictures each position reads, integers that broadcast to `y`; by
            default the one of its own place in the batch.
    """
    # Clamped first, so that a position far outside cannot overflow an integer.
    margin = 1.0 if padding == "zeros" else 0.0
    y = y.clamp(-margin, height - 1 + margin)
    x = x.clamp(-margin, width - 1 + margin)
    top, left = y.floor(), x.floor()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, across = y - top, x - left
    up, back = 1 - down, 1 - across
    if padding == "zeros":
        up, down = up * ((top >= 0) & (top < height)), down * (top < height - 1)
        back, across = back * ((left >= 0) & (left < width)), across * (left < width - 1)
        top, left = top.clamp(0, height - 1), left.clamp(0, width - 1)

    if picture is None:
        picture = torch.arange(y.shape[0], device=y.device).view(-1, *[1] * (y.ndim - 1))
    integer = torch.int32 if (y.shape[0] + 1) * 2 * height * width < 2**31 else torch.int64
    first_pixel = picture.to(integer) * (height * width)
    upper, lower = (row.to(integer) * width + first_pixel for row in (top, bottom))
    before, after = left.to(integer), right.to(integer)
    return Corners(
        index=(upper + before, upper + after, lower + before, lower + after),
        weight=(up * back, up * across, down * back, down * across),
    )


def interleaved(parts: Sequence[Tensor]) -> Tensor:
    """Stack tensors of one shape and type along a new last dimension.

    Without gradients as integers, which torch's stack interleaves on a CPU five times as fast as floats.
    """
    integer = INTEGERS.get(parts[0].dtype)
    if integer is None or torch.is_grad_enabled():
        return torch.stack(tuple(parts), -1)
    return torch.stack([part.view(integer) for part in parts], -1).view(parts[0].dtype)


def gather(table: Tensor, taps: Taps) -> Tensor:
    """Read weighted sums of a table's pixels.

    Args:
        table: (..., C), its leading dimensions the pixels that `taps` counts.

    Returns:
        (N, C), one row per query point. Differentiable in the table and in the weights.
    """
    # Whole rows are read once and summed in registers: eight times as fast as grid_sample on a CPU.
    rows = table.reshape(-1, table.shape[-1])
    weight = taps.weight.to(rows.dtype)
    sums = F.embedding_bag(taps.index, rows.detach(), mode="sum", per_sample_weights=weight)
    if torch.is_grad_enabled() and rows.requires_grad:
        return _GradientOfTable.apply(sums, rows, taps.index, weight)  # type: ignore[no-untyped-call,no-any-return]
    return sums


class _GradientOfTable(torch.autograd.Function):
    """Passes sums of a table's rows through, and computes the table's gradient.

    A row's gradient is a weighted sum of the outputs' gradients, gathered like the outputs themselves once
    the taps are sorted by the row they read: on a CPU four times as fast as embedding_bag's own gradient of a
    table, and as grid_sample's.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.row_count = len(rows)
        ctx.mark_dirty(sums)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        index, weight = ctx.saved_tensors
        row, order = index.flatten().sort()
        starts = torch.searchsorted(row, torch.arange(ctx.row_count, dtype=row.dtype, device=row.device))
        of_rows = F.embedding_bag(
            order // index.shape[1],
            gradient.contiguous(),
            offsets=starts,
            mode="sum",
            per_sample_weights=weight.flatten()[order],
        )
        return gradient, of_rows, None, None


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


def interpolate_along(table: Tensor, position: Tensor, dim: int) -> Tensor:
    """Interpolate a (B, C, H, W) table along one dimension at (n,) pixel positions, borders held."""
    position = position.clamp(0, table.shape[dim] - 1)
    low = position.floor()
    along = [-1 if d == dim else 1 for d in range(table.ndim)]
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=table.shape[dim] - 1)
    before, after = (_selected(table, index.view(along), dim) for index in (low_index, high_index))
    return torch.lerp(before, after, (position - low).view(along))


def _selected(table: Tensor, index: Tensor, dim: int) -> Tensor:
    """Return a table's entries at an index along one dimension, whose shape is 1 along the others.

    Along the last dimension `gather` is six times as fast as `index_select` on a CPU.
    """
    if dim == table.ndim - 1:
        return table.gather(dim, index.expand(*table.shape[:-1], -1))
    return table.index_select(dim, index.flatten())


def resampling_taps(start: int, stop: int, output_length: int, input_length: int) -> tuple[Tensor, Tensor]:
    """Find which input pixels make up output pixels `start` to `stop` of one axis, and their weights.

    The bicubic kernel of Keys (1981, a = -1/2); where the axis is reduced, stretched to cover as many input
    pixels as an output pixel does (MATLAB's imresize). What lies beyond the axis is its border.

    Returns:
        (stop - start, T) int64 indices and float32 weights.
    """
    stretch = max(1.0, input_length / output_length)
    index = torch.arange(start, stop, dtype=torch.float64)
    centre = (index + 0.5) * (input_length / output_length) - 0.5
    reach = 2 * stretch
    taps = (centre - reach).floor()[:, None] + 1 + torch.arange(math.ceil(2 * reach))
    distance = ((taps - centre[:, None]) / stretch).abs()
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    weight = near.where(distance <= 1, far.where(distance < 2, torch.zeros(())))
    weight = (weight / weight.sum(1, keepdim=True)).float()
    return taps.long().clamp(0, input_length - 1), weight
