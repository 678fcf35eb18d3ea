"""The decoder: three SIRENs turn a pair's features into a feature, two flows and RGB at any point and time.

Layouts are NHWC throughout. Each network's first layer is applied to the features at LR, once per pair, and
its output is sampled instead of the features, which is exact because both are linear.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import PublishedConfig
from videoinr_cli.model.convolution import dense
from videoinr_cli.model.coords import Taps, bilinear_taps, gather, nearest_pixels, pixel_positions
from videoinr_cli.model.devices import has_values
from videoinr_cli.model.network import Window
from videoinr_cli.model.published.siren import FoldedSiren, Siren

RGB = 6  # channels of the two frames
FLOW = 4  # (dx, dy) to the first frame, (dx, dy) to the second
HIDDEN = 64
WIDE = 256
EDGE = 1e-6
"""Warped coordinates in [-1, 1] are kept this far from both ends."""
QUERY_BYTES = 4 * 768
"""Temporary memory of one point: the widest layer's input and output, samples and their taps."""


@dataclasses.dataclass(frozen=True)
class PairTables:
    """The networks' first layers applied to a pair at LR; (B, H, W, 64) float32 unless stated otherwise."""

    near: Tensor  # of the feature network, biases included
    flow: Tensor  # of the flow network
    rgb: Tensor  # (2, B, H, W, 64), of the RGB network: one for each flow's samples
    enlarged: Tensor | None  # (B, nH, nW, 6): RGB, if the configuration enlarges it before sampling


@dataclasses.dataclass(frozen=True)
class FoldedNetworks:
    """The three networks' weights as rendering uses them."""

    feature: FoldedSiren
    flow: FoldedSiren
    rgb: FoldedSiren


@dataclasses.dataclass(frozen=True)
class WarpedPoints:
    """Points displaced by the first and by the second flow: (B, h, w, 2) each, in output pixels."""

    y: Tensor
    x: Tensor


@dataclasses.dataclass(frozen=True)
class QueryContext:
    """What all queries of one instant share: weights, tables, tau and the geometry."""

    networks: FoldedNetworks
    tables: PairTables
    tau: Tensor  # (B,)
    canvas: tuple[float, float]
    """Height and width of the padded picture in output pixels: at least the output's, not always whole."""
    lr: tuple[int, int]  # height and width of the picture in LR pixels, padded
    origin: tuple[int, int]  # (y, x) of the tables' first LR pixel in the picture

    @property
    def grid(self) -> Window:
        """The output pixels that the tables cover; the picture's last ones may be covered in part."""
        starts, stops = [], []
        for axis in (0, 1):
            enlargement, end = self.canvas[axis] / self.lr[axis], self.origin[axis] + self._covered[axis]
            starts.append(math.ceil(self.origin[axis] * enlargement))
            inner = math.floor(end * enlargement)
            stops.append(inner if end < self.lr[axis] else math.ceil(self.canvas[axis]))
        return Window(*starts, *stops)

    @property
    def reach(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lowest and highest position that the tables can be read at, along y and along x, in output pixels.

        Infinite at the picture's own borders, where `warp` clamps anyway.
        """
        top, left, bottom, right = self.grid
        inner = ((top, bottom - 1), (left, right - 1))
        ends = [start + covered for start, covered in zip(self.origin, self._covered, strict=True)]
        y, x = (
            (low if self.origin[axis] else -math.inf, high if ends[axis] < self.lr[axis] else math.inf)
            for axis, (low, high) in enumerate(inner)
        )
        return y, x

    @property
    def _covered(self) -> tuple[int, int]:
        """Height and width of the tables, in LR pixels."""
        _, height, width, _ = self.tables.near.shape
        return height, width

    def positions(self, start: int, stop: int, axis: int) -> Tensor:
        """Return where output pixels `start` to `stop` of an axis lie in the tables, in LR pixels."""
        device = self.tables.near.device
        positions = pixel_positions(start, stop, self.canvas[axis], self.lr[axis], device=device)
        return positions - self.origin[axis]

    def nearest(self, start: int, stop: int, axis: int) -> tuple[Tensor, Tensor]:
        """Return the nearest of the tables' pixels and the distances from their centres, in half pixels."""
        device = self.tables.near.device
        pixels = nearest_pixels(start, stop, self.canvas[axis], self.lr[axis], device=device)
        pixels = (pixels - self.origin[axis]).clamp_(0, self._covered[axis] - 1)
        return pixels, (self.positions(start, stop, axis) - pixels) * 2


class PublishedDecoder(nn.Module):
    """The spatial, temporal and RGB implicit networks (the paper's equations 2 to 5, as published)."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.channels, self.enlargement = config.channels, config.rgb_enlargement
        features, frequency = 3 * config.channels, config.siren_frequency
        hidden = [HIDDEN, HIDDEN, WIDE]
        self.feature = Siren(features + RGB + 2 + 1, hidden, config.channels, frequency)
        self.flow = Siren(config.channels + features + RGB + 1, hidden, FLOW, frequency)
        warped = 2 * (config.channels + features + RGB)
        self.rgb = Siren(warped + 1, [*hidden, WIDE], 3, frequency)

    def fold(self) -> FoldedNetworks:
        return FoldedNetworks(self.feature.folded(), self.flow.folded(), self.rgb.folded())

    def tabulate(self, networks: FoldedNetworks, features: Tensor, rgb: Tensor) -> PairTables:
        """Apply the first layers to a pair at LR.

        Args:
            features: (B, H, W, 3C) float32.
            rgb: (B, H, W, 6) float32.
        """
        channels, count = self.channels, features.shape[-1]
        # Columns of the first layers lie in the order of their inputs, which the methods below give.
        near = networks.feature.first[:, : count + RGB]
        flow = networks.flow.first[:, channels : channels + count + RGB]
        warped = networks.rgb.first[:, 2 * channels : -1]
        of_features, of_rgb = warped[:, : 2 * count].chunk(2, 1), warped[:, 2 * count :].chunk(2, 1)
        first, second = (torch.cat(columns, 1) for columns in zip(of_features, of_rgb, strict=True))
        both = torch.cat((features, rgb), -1)
        sampled, enlarged = both, None
        if self.enlargement != 1:  # then RGB is sampled by itself
            sampled, flow, first, second = features, flow[:, :count], first[:, :count], second[:, :count]
            enlarged = _enlarge(rgb, self.enlargement)
        return PairTables(
            near=F.linear(both, near, networks.feature.bias),
            flow=F.linear(sampled, flow),
            rgb=torch.stack((F.linear(sampled, first), F.linear(sampled, second))),
            enlarged=enlarged,
        )

    def feature_at(self, context: QueryContext, window: Window) -> Tensor:
        """Decode the HR feature at a window's points: (B, h, w, C) (SpatialINR).

        Its first layer's inputs are, at the nearest LR pixel: features, RGB; then the point's position
        relative to that pixel's centre (y, x), in half LR pixels; tau.
        """
        table = context.tables.near
        batch, _, width, hidden = table.shape
        rows, y = context.nearest(window.top, window.bottom, 0)
        columns, x = context.nearest(window.left, window.right, 1)
        weight_y, weight_x, weight_tau = context.networks.feature.first[:, -3:].unbind(1)
        # what all columns share is added first, while there are only W of them
        lines = table.index_select(1, rows)  # (B, h, W, hidden)
        lines += y.view(-1, 1, 1) * weight_y + _per_picture(context.tau, weight_tau)
        index = torch.arange(batch * window.height, device=table.device).view(-1, 1) * width + columns
        total = lines.view(-1, hidden).index_select(0, index.view(-1))
        total = total.view(batch, window.height, window.width, hidden)
        total += x.view(-1, 1) * weight_x
        return context.networks.feature.finish(total)

    def flow_at(self, context: QueryContext, window: Window, hr_feature: Tensor) -> Tensor:
        """Decode both flows at a window's points: (B, h, w, 4) in output pixels (TemporalINR).

        Its first layer's inputs are: the HR feature there (B, h, w, C); features and RGB, bilinear; tau.
        """
        first, table = context.networks.flow.first, context.tables.flow
        batch, height, width, _ = table.shape
        y = context.positions(window.top, window.bottom, 0)
        x = context.positions(window.left, window.right, 1)
        y = y.repeat_interleave(window.width).expand(batch, -1)
        x = x.repeat(window.height).expand(batch, -1)
        total = _dense(
            hr_feature, first[:, : self.channels], context.networks.flow.bias, context.tau, first[:, -1]
        )
        total += gather(table, bilinear_taps(y, x, height, width, "zeros")).view(total.shape)
        if context.tables.enlarged is not None:
            total += self._colours(context.tables.enlarged, y, x, first[:, -RGB - 1 : -1]).view(total.shape)
        return context.networks.flow.finish(total)

    def rgb_at(self, context: QueryContext, points: WarpedPoints, hr_table: Tensor, region: Window) -> Tensor:
        """Decode RGB at points whose warped positions are known: (B, h, w, 3).

        The first layer's inputs are, each read where the first flow points and then where the second does:
        HR feature, features, RGB; then tau.

        Args:
            hr_table: (B, ..., C), the HR feature over `region` of the output grid.
        """
        first, table = context.networks.rgb.first, context.tables.rgb
        batch, height, width, _ = points.y.shape
        y, x = points.y.reshape(batch, -1), points.x.reshape(batch, -1)
        taps = bilinear_taps(y - region.top, x - region.left, region.height, region.width, "zeros")
        warped = gather(hr_table, taps).view(batch, height, width, 2 * self.channels)
        total = _dense(
            warped, first[:, : 2 * self.channels], context.networks.rgb.bias, context.tau, first[:, -1]
        )
        del warped

        _, _, lr_height, lr_width, _ = table.shape
        y = (y + 0.5) * (context.lr[0] / context.canvas[0]) - (0.5 + context.origin[0])
        x = (x + 0.5) * (context.lr[1] / context.canvas[1]) - (0.5 + context.origin[1])
        taps = bilinear_taps(y, x, lr_height, lr_width, "zeros")
        # Four taps in the first flow's table and four in the second's are summed at once.
        starts = torch.arange(2, dtype=taps.index.dtype, device=table.device) * (batch * lr_height * lr_width)
        index = taps.index.view(-1, 2, 4) + starts.view(2, 1)
        total += gather(table, Taps(index.view(-1, 8), taps.weight.view(-1, 8))).view(total.shape)
        if context.tables.enlarged is not None:
            total += self._colours(context.tables.enlarged, y, x, first[:, -2 * RGB - 1 : -1]).view(
                total.shape
            )
        return context.networks.rgb.finish(total)

    def _colours(self, table: Tensor, y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Read the enlarged RGB at positions (B, Q) in LR pixels and apply its columns of a first layer.

        The columns (hidden, n 6) are for n positions that follow one another and make up one point.
        """
        _, height, width, _ = table.shape
        y = (y + 0.5) * self.enlargement - 0.5
        x = (x + 0.5) * self.enlargement - 0.5
        sampled = gather(table, bilinear_taps(y, x, height, width, "zeros"))
        return F.linear(sampled.view(-1, weight.shape[1]), weight)


def warp(flow: Tensor, context: QueryContext, window: Window) -> WarpedPoints:
    """Turn a window's flows into positions in output pixels.

    The published network adds flow to a grid whose outermost points lie on the picture's edges, then samples
    it as if they lay half a pixel inside (align_corners=True, then False). So a zero flow looks half a pixel
    too far out at the borders, and exactly right only in the middle. The weights were trained with this
    mismatch, so it stays.

    Args:
        flow: (B, h, w, 4), dx and dy to the first frame, then to the second, in output pixels.
    """
    (height, width), (y, x) = context.canvas, context.reach
    dx, dy = flow.unflatten(-1, (2, 2)).unbind(-1)
    return WarpedPoints(
        _mismatched(dy, window.top, window.bottom, height, axis=1).clamp_(*y),
        _mismatched(dx, window.left, window.right, width, axis=2).clamp_(*x),
    )


def reached(points: WarpedPoints, grid: Window, window: Window) -> Window:
    """Return the part of `grid` that bilinear sampling at `points` reads, and `window` with it."""
    if not has_values(points.y):
        return grid
    extremes = torch.stack((points.y.amin(), points.x.amin(), points.y.amax(), points.x.amax()))
    top, left, bottom, right = extremes.floor().long().tolist()
    return Window(
        max(grid.top, min(top, window.top)),
        max(grid.left, min(left, window.left)),
        min(grid.bottom, max(bottom + 2, window.bottom)),
        min(grid.right, max(right + 2, window.right)),
    )


def _mismatched(displacement: Tensor, start: int, stop: int, length: float, *, axis: int) -> Tensor:
    """Displace output pixels `start` to `stop` of one axis, on the stretched grid that `warp` describes."""
    stretch = length / max(length - 1, 1)  # a single row has nowhere to stretch to
    doubles = "cpu" if displacement.device.type == "mps" else displacement.device  # which has none
    positions = torch.arange(start, stop, dtype=torch.float64, device=doubles) * stretch - 0.5
    shape = [-1 if dimension == axis else 1 for dimension in range(displacement.ndim)]
    positions = positions.to(displacement.device, torch.float32).view(shape)
    edge = EDGE * length / 2
    return (displacement * stretch + positions).clamp(edge - 0.5, length - 0.5 - edge)


def _enlarge(rgb: Tensor, factor: int) -> Tensor:
    """Enlarge (B, H, W, C) bilinearly, as the authors' demo does before it samples."""
    planes = rgb.permute(0, 3, 1, 2)
    enlarged = F.interpolate(planes, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return enlarged.permute(0, 2, 3, 1).contiguous()


def _dense(x: Tensor, weight: Tensor, bias: Tensor, tau: Tensor, tau_weight: Tensor) -> Tensor:
    """Multiply (B, h, w, C) by a matrix (K, C); add the bias and tau's part."""
    if len(tau) == 1:  # saves one pass over the output
        return dense(x, weight, bias + tau * tau_weight)
    return dense(x, weight, bias).add_(_per_picture(tau, tau_weight))


def _per_picture(tau: Tensor, weight: Tensor) -> Tensor:
    """Return tau's (B,) part of a first layer's sum: (B, 1, 1, hidden)."""
    return tau.view(-1, 1, 1, 1) * weight
