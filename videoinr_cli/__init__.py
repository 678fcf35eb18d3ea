"""VideoINR: any video at any resolution and any frame rate, with one space-time model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoinr_cli.errors import VideoInrError
    from videoinr_cli.jobs.upscale import upscale_video
    from videoinr_cli.weights import load_model

__version__ = "0.1.0"
__all__ = ["VideoInrError", "__version__", "load_model", "upscale_video"]

_HOMES = {
    "VideoInrError": "videoinr_cli.errors",
    "load_model": "videoinr_cli.weights",
    "upscale_video": "videoinr_cli.jobs.upscale",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): torch takes seconds, ``--help`` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
