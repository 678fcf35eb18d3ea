"""The published network behind the interface that all networks share.

Frames are padded with zeros at the bottom and the right, as the authors do; unlike theirs, the output is
cropped to what was given.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.config import PublishedConfig
from videoinr_cli.model.network import Encoding, VideoInr, Window
from videoinr_cli.model.published.decoder import (
    FLOW_CHANNELS,
    Decoder,
    PublishedInstant,
    PublishedPair,
    bytes_per_point,
)
from videoinr_cli.model.published.encoder import Encoder, FrameFeatures

MULTIPLE = 4
"""Alignment begins at a quarter of the LR size."""


@dataclasses.dataclass(frozen=True)
class PublishedFrame(Encoding):
    """What depends on one frame alone; padded to a multiple of `MULTIPLE`."""

    rgb: Tensor  # (B, 3, H, W) in [0, 1]
    features: FrameFeatures


class PublishedVideoInr(VideoInr[PublishedFrame, PublishedPair, PublishedInstant]):
    """The `videoinr` configuration."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.config: PublishedConfig = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode_frame(self, frame: Tensor) -> PublishedFrame:
        height, width = frame.shape[-2:]
        rgb = F.pad(frame, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        with self.mixed_precision():
            return PublishedFrame(height, width, rgb, self.encoder.frame(rgb))

    def encode_pair(self, first: PublishedFrame, second: PublishedFrame) -> PublishedPair:
        with self.mixed_precision():
            features = torch.cat(self.encoder.pair(first.features, second.features), 1)
        rgb = torch.cat([first.rgb, second.rgb], 1)
        return self.decoder.project(features.float(), rgb, (first.height, first.width))

    def prepare_instant(
        self,
        pair: PublishedPair,
        tau: float | Tensor,
        size: tuple[int, int],
        window: Window,
        chunk_bytes: int,
    ) -> PublishedInstant:
        tau = torch.as_tensor(tau, dtype=torch.float32, device=pair.near.device)
        return self.decoder.prepare(
            pair, tau.expand(pair.near.shape[0]).view(-1, 1, 1, 1), size, window, chunk_bytes
        )

    def query(self, instant: PublishedInstant, window: Window) -> Tensor:
        return self.decoder.query(instant, window).permute(0, 3, 1, 2)

    def query_bytes(self, pair: PublishedPair) -> int:
        return bytes_per_point(pair)

    def instant_bytes(self, pair: PublishedPair) -> int:
        return 4 * (self.config.channels + FLOW_CHANNELS) * pair.near.shape[0]
