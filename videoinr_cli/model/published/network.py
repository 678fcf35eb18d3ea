"""The published VideoINR network (Chen et al., CVPR 2022), as its authors' checkpoints compute it.

The paper's text and the checkpoints differ in places; this follows the checkpoints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.config import PublishedConfig
from videoinr_cli.model.coords import instants
from videoinr_cli.model.network import Effort, Encoding, Footprint, PairEncoding, VideoInr, Window
from videoinr_cli.model.published.decoder import (
    FLOW,
    QUERY_BYTES,
    FoldedNetworks,
    PairTables,
    PublishedDecoder,
    QueryContext,
    WarpedPoints,
    reached,
    warp,
)
from videoinr_cli.model.published.encoder import FrameFeatures, PublishedEncoder

SIZE_MULTIPLE = 4  # the alignment pyramid halves twice


@dataclasses.dataclass(frozen=True)
class PublishedFrame(Encoding):
    """What depends on one frame alone."""

    rgb: Tensor  # (B, 3, H, W), padded
    features: FrameFeatures


@dataclasses.dataclass(frozen=True)
class PublishedPair(PairEncoding):
    """A pair, ready to be decoded at any instant and size: tables of the padded frame, and weights."""

    tables: PairTables
    networks: FoldedNetworks


@dataclasses.dataclass(frozen=True)
class PublishedInstant:
    """What a window's points share at one instant."""

    context: QueryContext
    window: Window
    points: WarpedPoints  # of the window
    hr_table: Tensor  # (B, ..., C): the HR feature over `region`
    region: Window  # the output pixels that the warped points read


class PublishedVideoInr(VideoInr[PublishedFrame, PublishedPair, PublishedInstant]):
    """Zooming Slow-Mo's encoder and three SIRENs."""

    halo_px = 48
    rounds_by_itself_on_cpu = False  # bf16 is 1.3 times as fast, but 40 dB from float32's result

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.config: PublishedConfig = config
        self.encoder = PublishedEncoder(config)
        self.decoder = PublishedDecoder(config)

    def encode_frame(self, frame: Tensor) -> PublishedFrame:
        """See `VideoInr.encode_frame`; padded with zeros at the bottom and right, as the original does."""
        height, width = frame.shape[-2:]
        rgb = F.pad(frame, (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE))
        with self.mixed_precision():
            return PublishedFrame(height, width, rgb, self.encoder.frame(rgb))

    def encode_pair(
        self,
        first: PublishedFrame,
        second: PublishedFrame,
        *,
        before: PublishedFrame | None = None,
        after: PublishedFrame | None = None,
        carry: None = None,
    ) -> PublishedPair:
        """See `VideoInr.encode_pair`; the published network ignores `before` and `after`."""
        with self.mixed_precision():
            maps = self.encoder.pair(first.features, second.features)
        features = torch.cat([feature.permute(0, 2, 3, 1).float() for feature in maps], -1)
        rgb = torch.cat((first.rgb, second.rgb), 1).permute(0, 2, 3, 1)
        networks = self.decoder.fold()
        tables = self.decoder.tabulate(networks, features, rgb)
        return PublishedPair(first.height, first.width, tables, networks)

    def prepare_instant(
        self,
        pair: PublishedPair,
        tau: float | Tensor,
        size: tuple[int, int],
        window: Window,
        chunk_bytes: int,
    ) -> PublishedInstant:
        """See `VideoInr.prepare_instant`: decode the window's flows, then the HR feature where they point."""
        context = self._context(pair, tau, size)
        chunk_pixels = chunk_bytes // self.query_bytes(pair)
        features = self._empty(pair, window, self.config.channels)
        flow = self._empty(pair, window, FLOW)
        for part in window.row_chunks(chunk_pixels):
            feature = self.decoder.feature_at(context, part)
            _part(features, window, part).copy_(feature)
            _part(flow, window, part).copy_(self.decoder.flow_at(context, part, feature))
        points = warp(flow, context, window)
        region = reached(points, context.grid, window)
        if region != window:
            inner, features = features, self._empty(pair, region, self.config.channels)
            _part(features, region, window).copy_(inner)
            for side in _around(window, region):
                for part in side.row_chunks(chunk_pixels):
                    _part(features, region, part).copy_(self.decoder.feature_at(context, part))
        return PublishedInstant(context, window, points, features, region)

    def query(self, instant: PublishedInstant, window: Window) -> Tensor:
        """See `VideoInr.query`."""
        points = WarpedPoints(
            _part(instant.points.y, instant.window, window), _part(instant.points.x, instant.window, window)
        )
        rgb = self.decoder.rgb_at(instant.context, points, instant.hr_table, instant.region)
        return rgb.permute(0, 3, 1, 2)

    def footprint(self) -> Footprint:
        """See `VideoInr.footprint`.

        Measured in the process's resident memory on a CPU, float32, at 160x96 LR pixels, with four frames
        held as `Renderer` does; encoding needs less per pixel in larger frames, as its scratch does not grow.
        """
        return Footprint(
            kept=5100, encoding=12600, drawing=3000, instant=4 * (self.config.channels + 2 * FLOW)
        )

    def effort(self) -> Effort:
        """See `VideoInr.effort`: processor time of one thread, float32, 128x96, at x1, x2 and x4."""
        return Effort(alone=780, following=560, again=530, instant=1.4, point=6.5)

    def query_bytes(self, pair: PublishedPair) -> int:
        """See `VideoInr.query_bytes`."""
        return QUERY_BYTES * pair.tables.near.shape[0]

    def instant_bytes(self, pair: PublishedPair) -> int:
        """See `VideoInr.instant_bytes`: the HR feature, flows and warped positions."""
        return 4 * (self.config.channels + 2 * FLOW) * pair.tables.near.shape[0]

    @staticmethod
    def _context(pair: PublishedPair, tau: float | Tensor, size: tuple[int, int]) -> QueryContext:
        batch = pair.tables.near.shape[0]
        taus = instants(tau, batch, pair.tables.near.device)
        height, width = (length + -length % SIZE_MULTIPLE for length in pair.whole)
        canvas = size[0] * height / pair.whole[0], size[1] * width / pair.whole[1]
        return QueryContext(pair.networks, pair.tables, taus, canvas, (height, width), pair.origin)

    @staticmethod
    def _empty(pair: PublishedPair, window: Window, channels: int) -> Tensor:
        near = pair.tables.near
        return near.new_empty(near.shape[0], window.height, window.width, channels)


def _part(table: Tensor, region: Window, part: Window) -> Tensor:
    """Return the view of a table over `region` that holds `part`."""
    top, left = part.top - region.top, part.left - region.left
    return table[:, top : top + part.height, left : left + part.width]


def _around(inner: Window, outer: Window) -> Iterator[Window]:
    """Yield what `outer` has beyond `inner`, without overlap."""
    sides = (
        outer._replace(bottom=inner.top),
        outer._replace(top=inner.bottom),
        inner._replace(left=outer.left, right=inner.left),
        inner._replace(left=inner.right, right=outer.right),
    )
    yield from (side for side in sides if side.height > 0 and side.width > 0)
