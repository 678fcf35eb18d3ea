"""A network small enough for a test to run it many times."""

from __future__ import annotations

from videoinr_cli.model import FastConfig

TINY = FastConfig(
    channels=8,
    frame_blocks=1,
    fused_blocks=1,
    pyramid_channels=8,
    field_channels=8,
    motion_channels=8,
    decoder_channels=16,
)
