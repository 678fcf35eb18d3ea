"""The networks: torch only, no files, timestamps or containers."""

from __future__ import annotations

from typing import Any

from videoinr_cli.model.config import FastConfig, LargeConfig, ModelConfig, PublishedConfig
from videoinr_cli.model.network import VideoInr, Window

AnyVideoInr = VideoInr[Any, Any, Any]


def build(config: ModelConfig) -> AnyVideoInr:
    """Build the network that `config` describes, with random initial weights."""
    if isinstance(config, PublishedConfig):
        from videoinr_cli.model.published import PublishedVideoInr

        return PublishedVideoInr(config)
    if isinstance(config, FastConfig):
        from videoinr_cli.model.fast import FastVideoInr

        return FastVideoInr(config)
    if isinstance(config, LargeConfig):
        from videoinr_cli.model.large.network import LargeVideoInr

        return LargeVideoInr(config)
    raise TypeError(f"no network for {type(config).__name__}")


__all__ = [
    "AnyVideoInr",
    "FastConfig",
    "LargeConfig",
    "ModelConfig",
    "PublishedConfig",
    "VideoInr",
    "Window",
    "build",
]
