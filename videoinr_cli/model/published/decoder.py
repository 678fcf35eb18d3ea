"""The decoder: three SIRENs that turn a pair's features into RGB at any point and instant.

Knows nothing of how the features were made. Sampling is linear and so is a network's first layer, so the
layer is applied to the LR features, once per pair, and its 64 sums are sampled instead of 192 features.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.model.config import PublishedConfig
from videoinr_cli.model.coords import Taps, bilinear_taps, gather
from videoinr_cli.model.network import Encoding, Window
from videoinr_cli.model.published.siren import FoldedSiren, Siren, dense

EDGE = 1 - 1e-6
"""Coordinates are clamped to this: the authors' guard against sampling outside."""

RGB_PAIR = 6  # channels of both frames' RGB
FLOW_CHANNELS = 4  # (dx, dy) to either frame


@dataclasses.dataclass(frozen=True)
class PublishedPair(Encoding):
    """A pair as the decoder samples it; H and W are padded to multiples of four."""

    near: Tensor  # (B, H, W, 64): the feature network's first layer, sampled at the nearest pixel
    flow: Tensor  # (B, H, W, 64): the flow network's, sampled bilinearly
    colour: Tensor  # (2B, H, W, 64): the colour network's, where the first and the second flow lead
    pixels: Tensor | None  # (B, 4H, 4W, 8): the enlarged RGB of both frames and zeros, if it is enlarged
    feature_net: FoldedSiren
    flow_net: FoldedSiren
    colour_net: FoldedSiren

    @property
    def grid(self) -> tuple[int, int]:
        """The padded (H, W)."""
        return self.near.shape[1], self.near.shape[2]


@dataclasses.dataclass(frozen=True)
class OutputAxis:
    """One axis of the output: what is left of the padded picture's when the padding is cropped."""

    length: float  # of the padded output, pixels; a fraction if the padded size times the scale is one
    lr_length: int  # of the padded LR frame

    def centres(self, start: int, stop: int, device: torch.device) -> Tensor:
        """Return pixel centres in [-1, 1], exactly as the authors compute them.

        At scales such as 2.5 some lie on the border of two LR pixels, and the rounding of this very formula,
        then of a half to even in `nearest`, decides which is nearer.
        """
        index = torch.arange(start, stop, device=device, dtype=torch.float32)
        return (-1 + 1 / self.length + (2 / self.length) * index).clamp(-EDGE, EDGE)

    def corners(self, start: int, stop: int, device: torch.device) -> Tensor:
        """Return positions in [-1, 1] of a grid whose first and last pixel are at the ends.

        The authors warp from this grid, but sample as if its positions were pixel centres: at a flow of zero
        the ends are half a pixel off. Published weights were trained with it.
        """
        index = torch.arange(start, stop, device=device, dtype=torch.float32)
        return index * (2 / (self.length - 1)) - 1

    def nearest(self, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index of the nearest LR pixel and the distance to its centre, in half LR pixels."""
        index = to_pixels(centres, self.lr_length).round().long()
        pixel_centres = -1 + 1 / self.lr_length + (2 / self.lr_length) * index
        return index, (centres - pixel_centres) * self.lr_length


def to_pixels(coordinate: Tensor, length: float) -> Tensor:
    """Turn [-1, 1] into pixels of an axis, 0 at the first centre (grid_sample's align_corners=False)."""
    return (coordinate + 1) * (length / 2) - 0.5


@dataclasses.dataclass(frozen=True)
class PublishedInstant:
    """An instant's HR features and flows, all that queries share."""

    pair: PublishedPair
    tau: Tensor  # (B, 1, 1, 1)
    rows: OutputAxis
    columns: OutputAxis
    features: Tensor  # (B, h, w, 64), of the output grid's rectangle `covered`
    covered: Window
    flow: Tensor  # (B, h, w, 4): (dx, dy) to either frame in output pixels, of the rectangle `region`
    region: Window


class Decoder(nn.Module):
    """SpatialINR, TemporalINR and the RGB decoder."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.enlargement = config.rgb_enlargement
        hr, lr = config.channels, 3 * config.channels
        frequency = config.siren_frequency
        self.feature = Siren(lr + RGB_PAIR + 2 + 1, [64, 64, 256], hr, frequency)
        self.flow = Siren(hr + lr + RGB_PAIR + 1, [64, 64, 256], FLOW_CHANNELS, frequency)
        self.colour = Siren(2 * (hr + lr + RGB_PAIR) + 1, [64, 64, 256, 256], 3, frequency)
        self.hr, self.lr = hr, lr

    def project(self, features: Tensor, rgb: Tensor, size: tuple[int, int]) -> PublishedPair:
        """Apply the first layers to what is known at LR.

        Args:
            features: (B, 192, H, W) float32.
            rgb: (B, 6, H, W) float32 in [0, 1].
            size: (height, width) of the frames before padding.
        """
        hr, lr = self.hr, self.lr
        feature, flow, colour = self.feature.folded(), self.flow.folded(), self.colour.folded()

        def project(weight: Tensor, feature_start: int, rgb_start: int | None) -> Tensor:
            sums = F.conv2d(features, weight[:, feature_start : feature_start + lr, None, None])
            if rgb_start is not None:
                sums = sums + F.conv2d(rgb, weight[:, rgb_start : rgb_start + RGB_PAIR, None, None])
            return sums.permute(0, 2, 3, 1).contiguous()

        pixels = None
        at_lr = self.enlargement == 1
        if not at_lr:
            enlarged = F.interpolate(rgb, scale_factor=self.enlargement, mode="bilinear", align_corners=False)
            pixels = F.pad(enlarged.permute(0, 2, 3, 1), (0, 2))
        colour_rgb = 2 * hr + 2 * lr
        warped = [
            project(colour.first, 2 * hr + side * lr, colour_rgb + side * RGB_PAIR if at_lr else None)
            for side in (0, 1)
        ]
        return PublishedPair(
            *size,
            near=project(feature.first, 0, lr) + feature.bias,
            flow=project(flow.first, hr, hr + lr if at_lr else None),
            colour=torch.cat(warped),
            pixels=pixels,
            feature_net=feature,
            flow_net=flow,
            colour_net=colour,
        )

    def prepare(
        self, pair: PublishedPair, tau: Tensor, size: tuple[int, int], window: Window, chunk_bytes: int
    ) -> PublishedInstant:
        """Compute flows in `window`, and the HR features wherever those flows lead."""
        height, width = pair.grid
        rows = OutputAxis(size[0] * height / pair.height, height)
        columns = OutputAxis(size[1] * width / pair.width, width)
        padded = Window(0, 0, math.ceil(rows.length), math.ceil(columns.length))
        # a whole picture's flows lead anywhere in it, so that its features are all needed
        whole = window == Window(0, 0, *size)
        region = padded if whole else window
        axes = rows, columns
        features, flow = self._features(pair, tau, axes, region, chunk_bytes, flows=True)
        assert flow is not None
        covered = region
        if not whole:
            covered = self._reached(flow, axes, region, padded)
            features, _ = self._features(pair, tau, axes, covered, chunk_bytes, flows=False)
        return PublishedInstant(pair, tau, rows, columns, features, covered, flow, region)

    def _features(
        self,
        pair: PublishedPair,
        tau: Tensor,
        axes: tuple[OutputAxis, OutputAxis],
        region: Window,
        chunk_bytes: int,
        *,
        flows: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute HR features (B, h, w, 64) of a rectangle, and its flows (B, h, w, 4), in chunks of rows."""
        features, flow = [], []
        for chunk in region.row_chunks(chunk_bytes // bytes_per_point(pair)):
            features.append(self._hr_feature(pair, tau, axes, chunk))
            if flows:
                flow.append(self._flow(pair, tau, axes, chunk, features[-1]))
        return torch.cat(features, 1), torch.cat(flow, 1) if flows else None

    def _hr_feature(
        self, pair: PublishedPair, tau: Tensor, axes: tuple[OutputAxis, OutputAxis], chunk: Window
    ) -> Tensor:
        """SpatialINR, at the pixel centres of a rectangle."""
        rows, columns = axes
        device = pair.near.device
        row, y = rows.nearest(rows.centres(chunk.top, chunk.bottom, device))
        column, x = columns.nearest(columns.centres(chunk.left, chunk.right, device))
        weight = pair.feature_net.first
        of_y, of_x, of_tau = weight[:, -3], weight[:, -2], weight[:, -1]
        near = pair.near.index_select(1, row).index_select(2, column)
        sums = near + (x[:, None] * of_x) + (y[:, None, None] * of_y + tau * of_tau)
        return pair.feature_net.finish(sums)

    def _flow(
        self,
        pair: PublishedPair,
        tau: Tensor,
        axes: tuple[OutputAxis, OutputAxis],
        chunk: Window,
        features: Tensor,
    ) -> Tensor:
        """TemporalINR, at the same points."""
        rows, columns = axes
        device = pair.near.device
        y = rows.centres(chunk.top, chunk.bottom, device)[None, :, None]
        x = columns.centres(chunk.left, chunk.right, device)[None, None]
        y, x = (axis.expand(len(tau), chunk.height, chunk.width) for axis in (y, x))
        weight, bias = pair.flow_net.first, pair.flow_net.bias
        sums = dense(features, weight[:, : self.hr], bias) + tau * weight[:, -1]
        sums = sums + _sample(pair.flow, y, x)
        if pair.pixels is not None:
            sums = sums + dense(_sample(pair.pixels, y, x)[..., :RGB_PAIR], weight[:, -1 - RGB_PAIR : -1])
        return pair.flow_net.finish(sums)

    def _reached(
        self, flow: Tensor, axes: tuple[OutputAxis, OutputAxis], region: Window, padded: Window
    ) -> Window:
        """Return the part of the padded output grid that bilinear samples along `flow` read."""
        y, x = _targets(flow, axes, region)
        rows, columns = axes
        y, x = to_pixels(y, rows.length), to_pixels(x, columns.length)
        return Window(
            max(padded.top, math.floor(float(y.min()))),
            max(padded.left, math.floor(float(x.min()))),
            min(padded.bottom, math.floor(float(y.max())) + 2),
            min(padded.right, math.floor(float(x.max())) + 2),
        )

    def query(self, instant: PublishedInstant, window: Window) -> Tensor:
        """Warp features, LR features and RGB along both flows and decode: (B, h, w, 3)."""
        pair, region = instant.pair, instant.region
        top, left = window.top - region.top, window.left - region.left
        flow = instant.flow[:, top : top + window.height, left : left + window.width]
        y, x = _targets(flow, (instant.rows, instant.columns), window)  # (2B, h, w)
        shape = (flow.shape[0], window.height, window.width)

        # bilinear samples are zero outside of the whole picture, never outside of the covered part of it
        hr_y = to_pixels(y, instant.rows.length) - instant.covered.top
        hr_x = to_pixels(x, instant.columns.length) - instant.covered.left
        height, width = instant.features.shape[1:3]
        taps = bilinear_taps(hr_y.flatten(1), hr_x.flatten(1), height, width, "zeros")
        halves = [
            gather(instant.features, Taps(index, weight)).view(*shape, -1)
            for index, weight in zip(*_halves_of_one_table(taps, len(flow), height * width), strict=True)
        ]
        weight, bias = pair.colour_net.first, pair.colour_net.bias
        sums = dense(halves[0], weight[:, : self.hr], bias)
        sums = sums + dense(halves[1], weight[:, self.hr : 2 * self.hr])
        sums = sums + instant.tau * weight[:, -1]

        height, width = pair.grid
        taps = bilinear_taps(
            to_pixels(y, height).flatten(1), to_pixels(x, width).flatten(1), height, width, "zeros"
        )
        both = Taps(*(torch.cat(side.chunk(2), dim=1) for side in taps))  # four pixels of either table
        sums = sums + gather(pair.colour, both).view(*shape, -1)
        if pair.pixels is not None:
            pixels = torch.cat([pair.pixels, pair.pixels])
            for side, sampled in enumerate(_sample(pixels, y, x)[..., :RGB_PAIR].chunk(2)):
                start = -1 - (2 - side) * RGB_PAIR
                sums = sums + dense(sampled, weight[:, start : start + RGB_PAIR])
        return pair.colour_net.finish(sums)


def bytes_per_point(pair: PublishedPair) -> int:
    """Return the temporary memory that one query point takes: two layers of 256, some of 64, taps."""
    return 4 * (2 * 256 + 8 * 64 + 96) * pair.near.shape[0]


def _targets(flow: Tensor, axes: tuple[OutputAxis, OutputAxis], window: Window) -> tuple[Tensor, Tensor]:
    """Return where both flows lead, (2B, h, w) y and x in [-1, 1]; the first frame's targets come first."""
    rows, columns = axes
    y = rows.corners(window.top, window.bottom, flow.device)[:, None]
    x = columns.corners(window.left, window.right, flow.device)
    dx, dy = torch.cat([flow[..., 0], flow[..., 2]]), torch.cat([flow[..., 1], flow[..., 3]])
    y = (y + dy / ((rows.length - 1) / 2)).clamp(-EDGE, EDGE)
    x = (x + dx / ((columns.length - 1) / 2)).clamp(-EDGE, EDGE)
    return y, x


def _sample(table: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Sample a (B, H, W, C) table bilinearly at (B, h, w) coordinates in [-1, 1], zeros outside."""
    height, width, channels = table.shape[1:]
    taps = bilinear_taps(
        to_pixels(y, height).flatten(1), to_pixels(x, width).flatten(1), height, width, "zeros"
    )
    return gather(table, taps).view(*y.shape, channels)


def _halves_of_one_table(taps: Taps, batch: int, pixels: int) -> tuple[list[Tensor], list[Tensor]]:
    """Let the taps of 2B point sets read a table of B: those of the second half count from its start again."""
    first, second = taps.index.chunk(2)
    return [first, second - batch * pixels], list(taps.weight.chunk(2))
