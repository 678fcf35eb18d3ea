"""VideoINR: any video at any resolution and any frame rate, with one space-time model.

``import videoinr_cli as videoinr``: what `__all__` names is for programs to use, and described in
``docs/python.md``; everything else may change at any time. Names are imported when they are first used (PEP
562): torch takes seconds, which ``--help`` should not.
"""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING

from videoinr_cli.version import __version__ as __version__

if TYPE_CHECKING:
    from videoinr_cli.batch import events as events
    from videoinr_cli.batch.batch import BatchResult as BatchResult
    from videoinr_cli.batch.items import Existing as Existing
    from videoinr_cli.batch.items import Refused as Refused
    from videoinr_cli.batch.upscale import estimate_upscale as estimate_upscale
    from videoinr_cli.batch.upscale import upscale_batch as upscale_batch
    from videoinr_cli.comparison.compare import ComparisonPage as ComparisonPage
    from videoinr_cli.comparison.compare import compare as compare
    from videoinr_cli.comparison.page import Curve as Curve
    from videoinr_cli.doctor.diagnosis import Diagnosis as Diagnosis
    from videoinr_cli.doctor.diagnosis import diagnose as diagnose
    from videoinr_cli.errors import FfmpegError as FfmpegError
    from videoinr_cli.errors import InputError as InputError
    from videoinr_cli.errors import MemoryLimitError as MemoryLimitError
    from videoinr_cli.errors import OptionError as OptionError
    from videoinr_cli.errors import OutputError as OutputError
    from videoinr_cli.errors import VideoInrError as VideoInrError
    from videoinr_cli.errors import WeightsError as WeightsError
    from videoinr_cli.evaluation.evaluate import Evaluation as Evaluation
    from videoinr_cli.evaluation.evaluate import EvaluationProgress as EvaluationProgress
    from videoinr_cli.evaluation.evaluate import evaluate as evaluate
    from videoinr_cli.evaluation.measure import FrameScore as FrameScore
    from videoinr_cli.evaluation.measure import MethodResult as MethodResult
    from videoinr_cli.evaluation.measure import Quality as Quality
    from videoinr_cli.evaluation.methods import Method as Method
    from videoinr_cli.evaluation.options import EvaluateOptions as EvaluateOptions
    from videoinr_cli.evaluation.protocols import Protocol as Protocol
    from videoinr_cli.evaluation.steadiness import Steadiness as Steadiness
    from videoinr_cli.fitting.fit import FitProgress as FitProgress
    from videoinr_cli.fitting.fit import Fitted as Fitted
    from videoinr_cli.fitting.fit import fit_video as fit_video
    from videoinr_cli.fitting.fitted import FittedVideo as FittedVideo
    from videoinr_cli.fitting.options import FitOptions as FitOptions
    from videoinr_cli.fitting.render import Rendered as Rendered
    from videoinr_cli.fitting.render import render_fitted as render_fitted
    from videoinr_cli.jobs.segments import SegmentDone as SegmentDone
    from videoinr_cli.jobs.upscale import upscale_video as upscale_video
    from videoinr_cli.media.inspection import Forecast as Forecast
    from videoinr_cli.media.inspection import Inspection as Inspection
    from videoinr_cli.media.inspection import inspect_video as inspect_video
    from videoinr_cli.media.read.probe import probe as probe
    from videoinr_cli.media.read.suitability import Suited as Suited
    from videoinr_cli.media.read.suitability import suited_model as suited_model
    from videoinr_cli.media.read.timing import Timing as Timing
    from videoinr_cli.media.streams import Chapter as Chapter
    from videoinr_cli.media.streams import StreamInfo as StreamInfo
    from videoinr_cli.media.streams import VideoInfo as VideoInfo
    from videoinr_cli.model.network import VideoInr as VideoInr
    from videoinr_cli.model.network import Window as Window
    from videoinr_cli.options import CompareOptions as CompareOptions
    from videoinr_cli.options import EncodeOptions as EncodeOptions
    from videoinr_cli.options import JobOptions as JobOptions
    from videoinr_cli.options import PreviewOptions as PreviewOptions
    from videoinr_cli.options import ReadOptions as ReadOptions
    from videoinr_cli.options import Region as Region
    from videoinr_cli.options import TargetRate as TargetRate
    from videoinr_cli.options import UpscaleOptions as UpscaleOptions
    from videoinr_cli.previews.preview import Candidate as Candidate
    from videoinr_cli.previews.preview import Preview as Preview
    from videoinr_cli.previews.preview import preview as preview
    from videoinr_cli.previews.suggest import Suggestion as Suggestion
    from videoinr_cli.previews.suggest import suggest as suggest
    from videoinr_cli.render.frames import UpscaledFrame as UpscaledFrame
    from videoinr_cli.render.frames import upscale_frames as upscale_frames
    from videoinr_cli.render.pipeline import Progress as Progress
    from videoinr_cli.render.pipeline import Summary as Summary
    from videoinr_cli.shares import NodeShare as NodeShare
    from videoinr_cli.training.loop import TrainingProgress as TrainingProgress
    from videoinr_cli.training.options import TrainOptions as TrainOptions
    from videoinr_cli.training.train import Trained as Trained
    from videoinr_cli.training.train import train as train
    from videoinr_cli.weights import Weights as Weights
    from videoinr_cli.weights import WeightsInfo as WeightsInfo
    from videoinr_cli.weights import all_weights as all_weights
    from videoinr_cli.weights import convert_checkpoint as convert_checkpoint
    from videoinr_cli.weights import download_weights as download_weights
    from videoinr_cli.weights import find_weights as find_weights
    from videoinr_cli.weights import inspect_weights as inspect_weights
    from videoinr_cli.weights import load_model as load_model
    from videoinr_cli.weights import look_up_weights as look_up_weights
    from videoinr_cli.weights import save_model as save_model
    from videoinr_cli.weights import verify_weights as verify_weights

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

__all__ = sorted(["__version__", *itertools.chain.from_iterable(_HOMES.values())])


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
