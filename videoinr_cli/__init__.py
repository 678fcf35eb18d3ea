"""VideoINR: any video at any resolution and any frame rate, with one space-time model.

``import videoinr_cli as videoinr``: what `__all__` names is for programs to use, and described in
``docs/python.md``; everything else may change at any time. Names are imported when they are first used (PEP
562): torch takes seconds, which ``--help`` should not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from videoinr_cli.version import __version__

if TYPE_CHECKING:
    from videoinr_cli.batch import events
    from videoinr_cli.batch.batch import BatchResult
    from videoinr_cli.batch.items import Existing, Refused
    from videoinr_cli.batch.upscale import estimate_upscale, upscale_batch
    from videoinr_cli.comparison.compare import ComparisonPage, compare
    from videoinr_cli.comparison.page import Curve
    from videoinr_cli.doctor.diagnosis import Diagnosis, diagnose
    from videoinr_cli.errors import (
        FfmpegError,
        InputError,
        MemoryLimitError,
        OptionError,
        OutputError,
        VideoInrError,
        WeightsError,
    )
    from videoinr_cli.evaluation.evaluate import Evaluation, EvaluationProgress, evaluate
    from videoinr_cli.evaluation.measure import FrameScore, MethodResult, Quality
    from videoinr_cli.evaluation.methods import Method
    from videoinr_cli.evaluation.options import EvaluateOptions
    from videoinr_cli.evaluation.protocols import Protocol
    from videoinr_cli.evaluation.steadiness import Steadiness
    from videoinr_cli.fitting.fit import FitProgress, Fitted, fit_video
    from videoinr_cli.fitting.fitted import FittedVideo
    from videoinr_cli.fitting.options import FitOptions
    from videoinr_cli.fitting.render import Rendered, render_fitted
    from videoinr_cli.jobs.segments import SegmentDone
    from videoinr_cli.jobs.upscale import upscale_video
    from videoinr_cli.media.inspection import Forecast, Inspection, inspect_video
    from videoinr_cli.media.read.probe import probe
    from videoinr_cli.media.read.suitability import Suited, suited_model
    from videoinr_cli.media.read.timing import Timing
    from videoinr_cli.media.streams import Chapter, StreamInfo, VideoInfo
    from videoinr_cli.model.network import VideoInr, Window
    from videoinr_cli.options import (
        CompareOptions,
        EncodeOptions,
        JobOptions,
        PreviewOptions,
        ReadOptions,
        Region,
        TargetRate,
        UpscaleOptions,
    )
    from videoinr_cli.previews.preview import Candidate, Preview, preview
    from videoinr_cli.previews.suggest import Suggestion, suggest
    from videoinr_cli.render.frames import UpscaledFrame, upscale_frames
    from videoinr_cli.render.pipeline import Progress, Summary
    from videoinr_cli.shares import NodeShare
    from videoinr_cli.training.loop import TrainingProgress
    from videoinr_cli.training.options import TrainOptions
    from videoinr_cli.training.train import Trained, train
    from videoinr_cli.weights import (
        Weights,
        WeightsInfo,
        all_weights,
        convert_checkpoint,
        download_weights,
        find_weights,
        inspect_weights,
        load_model,
        look_up_weights,
        save_model,
        verify_weights,
    )

__all__ = [
    "BatchResult",
    "Candidate",
    "Chapter",
    "CompareOptions",
    "ComparisonPage",
    "Curve",
    "Diagnosis",
    "EncodeOptions",
    "EvaluateOptions",
    "Evaluation",
    "EvaluationProgress",
    "Existing",
    "FfmpegError",
    "FitOptions",
    "FitProgress",
    "Fitted",
    "FittedVideo",
    "Forecast",
    "FrameScore",
    "InputError",
    "Inspection",
    "JobOptions",
    "MemoryLimitError",
    "Method",
    "MethodResult",
    "NodeShare",
    "OptionError",
    "OutputError",
    "Preview",
    "PreviewOptions",
    "Progress",
    "Protocol",
    "Quality",
    "ReadOptions",
    "Refused",
    "Region",
    "Rendered",
    "SegmentDone",
    "Steadiness",
    "StreamInfo",
    "Suggestion",
    "Suited",
    "Summary",
    "TargetRate",
    "Timing",
    "TrainOptions",
    "Trained",
    "TrainingProgress",
    "UpscaleOptions",
    "UpscaledFrame",
    "VideoInfo",
    "VideoInr",
    "VideoInrError",
    "Weights",
    "WeightsError",
    "WeightsInfo",
    "Window",
    "__version__",
    "all_weights",
    "compare",
    "convert_checkpoint",
    "diagnose",
    "download_weights",
    "estimate_upscale",
    "evaluate",
    "events",
    "find_weights",
    "fit_video",
    "inspect_video",
    "inspect_weights",
    "load_model",
    "look_up_weights",
    "preview",
    "probe",
    "render_fitted",
    "save_model",
    "suggest",
    "suited_model",
    "train",
    "upscale_batch",
    "upscale_frames",
    "upscale_video",
    "verify_weights",
]

_HOMES = {
    "batch": ("events",),
    "batch.batch": ("BatchResult",),
    "batch.items": ("Existing", "Refused"),
    "batch.upscale": ("estimate_upscale", "upscale_batch"),
    "comparison.compare": ("ComparisonPage", "compare"),
    "comparison.page": ("Curve",),
    "doctor.diagnosis": ("Diagnosis", "diagnose"),
    "errors": (
        "FfmpegError",
        "InputError",
        "MemoryLimitError",
        "OptionError",
        "OutputError",
        "VideoInrError",
        "WeightsError",
    ),
    "evaluation.evaluate": ("Evaluation", "EvaluationProgress", "evaluate"),
    "evaluation.measure": ("FrameScore", "MethodResult", "Quality"),
    "evaluation.methods": ("Method",),
    "evaluation.options": ("EvaluateOptions",),
    "evaluation.protocols": ("Protocol",),
    "evaluation.steadiness": ("Steadiness",),
    "fitting.fit": ("FitProgress", "Fitted", "fit_video"),
    "fitting.fitted": ("FittedVideo",),
    "fitting.options": ("FitOptions",),
    "fitting.render": ("Rendered", "render_fitted"),
    "jobs.segments": ("SegmentDone",),
    "jobs.upscale": ("upscale_video",),
    "media.inspection": ("Forecast", "Inspection", "inspect_video"),
    "media.read.probe": ("probe",),
    "media.read.suitability": ("Suited", "suited_model"),
    "media.read.timing": ("Timing",),
    "media.streams": ("Chapter", "StreamInfo", "VideoInfo"),
    "model.network": ("VideoInr", "Window"),
    "options": (
        "CompareOptions",
        "EncodeOptions",
        "JobOptions",
        "PreviewOptions",
        "ReadOptions",
        "Region",
        "TargetRate",
        "UpscaleOptions",
    ),
    "previews.preview": ("Candidate", "Preview", "preview"),
    "previews.suggest": ("Suggestion", "suggest"),
    "render.frames": ("UpscaledFrame", "upscale_frames"),
    "render.pipeline": ("Progress", "Summary"),
    "shares": ("NodeShare",),
    "training.loop": ("TrainingProgress",),
    "training.options": ("TrainOptions",),
    "training.train": ("Trained", "train"),
    "weights": (
        "Weights",
        "WeightsInfo",
        "all_weights",
        "convert_checkpoint",
        "download_weights",
        "find_weights",
        "inspect_weights",
        "load_model",
        "look_up_weights",
        "save_model",
        "verify_weights",
    ),
}
"""Modules of this package, and the public names in each."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
