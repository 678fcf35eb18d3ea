"""VideoINR: any video at any resolution and any frame rate, with one space-time model.

    from videoinr_cli import UpscaleOptions, upscale_video

    upscale_video("in.mp4", "out.mp4", UpscaleOptions(scale=3.5))

Names are imported when they are first used, so that importing the package waits for nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from videoinr_cli.errors import VideoInrError
    from videoinr_cli.options import EncodeOptions, TargetRate, UpscaleOptions
    from videoinr_cli.pipeline import Progress, Summary, upscale_video
    from videoinr_cli.weights import load_model

__all__ = [
    "EncodeOptions",
    "Progress",
    "Summary",
    "TargetRate",
    "UpscaleOptions",
    "VideoInrError",
    "__version__",
    "load_model",
    "upscale_video",
]

_HOMES = {
    "EncodeOptions": "options",
    "Progress": "pipeline",
    "Summary": "pipeline",
    "TargetRate": "options",
    "UpscaleOptions": "options",
    "VideoInrError": "errors",
    "load_model": "weights",
    "upscale_video": "pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
