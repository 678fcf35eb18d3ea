"""Measure weights and baselines on clips, one method after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from videoinr_cli.errors import FfmpegError, OptionError
from videoinr_cli.evaluation.baselines import make_baseline
from videoinr_cli.evaluation.clips import Clip, find_clips, make_folder, save_picture
from videoinr_cli.evaluation.measure import FrameScore, MethodResult, measure_quality
from videoinr_cli.evaluation.methods import Method, ModelMethod
from videoinr_cli.evaluation.options import EvaluateOptions
from videoinr_cli.evaluation.protocols import (
    BASELINES,
    CLIPS_AND_GROUPS,
    DEFAULT_BASELINES,
    PAPER_STEPS,
    ROOTS,
    Protocol,
)
from videoinr_cli.evaluation.report import to_json, to_tables
from videoinr_cli.evaluation.steadiness import Steadiness, check_picture, measure_steadiness
from videoinr_cli.model.devices import choose_device, choose_dtype
from videoinr_cli.weights import find_enlarger, inspect_weights, load_network

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured; ``str`` gives it as Markdown tables."""

    results: tuple[MethodResult, ...] = ()  # of each method
    steadiness: tuple[Steadiness, ...] = ()  # of each method, where asked for and able

    def __str__(self) -> str:
        return to_tables(self.results, self.steadiness)

    def to_json(self) -> str:
        """Return everything but the single frames; an infinite PSNR becomes null."""
        return to_json(self.results, self.steadiness)


@dataclasses.dataclass(frozen=True)
class EvaluationProgress:
    """How far the measuring of one method is: before its first frame, and after each."""

    method: str
    frames: int  # measured
    total_frames: int  # as far as the clips say
    psnr: float  # dB, the mean so far; 0 before the first frame
    elapsed_seconds: float  # since the method was loaded


ProgressCallback = Callable[[EvaluationProgress], None]


def evaluate(
    path: str | os.PathLike[str],
    options: EvaluateOptions | None = None,
    *,
    methods: Sequence[Method] = (),
    progress: ProgressCallback = lambda _: None,
    on_result: Callable[[Evaluation], None] = lambda _: None,
) -> Evaluation:
    """Measure quality and cost of weights and baselines where the truth is known.

    Every N-th frame of each clip is reduced and given, and every frame is asked for; see `Protocol`. The
    methods are in memory one at a time, baselines first.

    Args:
        path: a video, a folder of pictures, or a folder of such clips.
        options: which weights and baselines, and how; `EvaluateOptions()` by default.
        methods: others to measure, after these: anything with a ``name``, a ``device`` and a ``render``.
        progress: called in this thread before the first frame of each method, and after each.
        on_result: called with all that is measured so far whenever that has grown.

    Raises:
        InputError: a clip cannot be read, or is too small or too short to measure anything.
        OptionError: the options do not fit the clips, or there is no such device.
        WeightsError: weights cannot be used.
        OutputError: frames cannot be saved.
        FfmpegError: ffmpeg is missing or failed in a baseline that was asked for.
    """
    options = options or EvaluateOptions()
    protocol = options.resolved_protocol
    clips = find_clips(Path(path), ROOTS.get(options.dataset))
    _say_if_other(path, options, clips)
    # What no network could be loaded by is found before anything is measured.
    choose_dtype(options.precision, choose_device(options.device))
    for name in options.weights:
        inspect_weights(name)
    for model in options.spatial:
        find_enlarger(model)
    if options.save_frames is not None:
        make_folder(Path(options.save_frames))
    picture = next(clips[0].frames()) if options.steadiness else None
    if picture is not None:
        check_picture(picture, protocol)
    found = Evaluation()

    def take_turn(method: Method) -> None:
        nonlocal found
        result = _measured(method, clips, protocol, options, progress)
        found = dataclasses.replace(found, results=(*found.results, result))
        on_result(found)
        if picture is not None:
            steadiness = measure_steadiness(method, picture, protocol)
            found = dataclasses.replace(found, steadiness=(*found.steadiness, steadiness))
            on_result(found)

    chosen = DEFAULT_BASELINES if options.baselines is None else options.baselines
    for baseline in BASELINES:
        if baseline in chosen:
            with _left_out_if_unable(baseline, is_asked_for=options.baselines is not None):
                take_turn(make_baseline(baseline))
    for name, network in options.networks:  # each is let go before the next
        take_turn(ModelMethod(name, load_network(network)))
    for method in methods:
        take_turn(method)
    return found


def _say_if_other(path: str | os.PathLike[str], options: EvaluateOptions, clips: Sequence[Clip]) -> None:
    """Say in the log that clips are not the benchmark they go by."""
    if options.resolved_protocol.is_of(options.dataset, [clip.length() for clip in clips]):
        return
    known, groups = CLIPS_AND_GROUPS[options.dataset]
    log.warning(
        "%s is not %s, which has %d groups of %d clips at time x%d: the papers measured other frames",
        *(path, options.dataset, groups, known, PAPER_STEPS[options.dataset]),
    )


@contextlib.contextmanager
def _left_out_if_unable(name: str, *, is_asked_for: bool) -> Iterator[None]:
    """Go on, and say so, without a baseline that cannot work here and nobody asked for."""
    try:
        yield
    except (OptionError, FfmpegError) as error:
        if is_asked_for:
            raise
        log.warning("%s is left out: %s", name, error)


def _measured(
    method: Method,
    clips: Sequence[Clip],
    protocol: Protocol,
    options: EvaluateOptions,
    progress: ProgressCallback,
) -> MethodResult:
    total = sum(protocol.frames_of(clip.length()) for clip in clips)
    started, frames, mean = time.monotonic(), 0, 0.0

    def report() -> None:
        progress(EvaluationProgress(method.name, frames, total, mean, time.monotonic() - started))

    def on_frame(score: FrameScore, picture: Tensor) -> None:
        nonlocal frames, mean
        if options.save_frames is not None:
            number = score.group * protocol.steps + score.step
            name = f"{Path(method.name).stem}/{score.clip}/{number:06d}.png"
            save_picture(picture[0], Path(options.save_frames) / name)
        frames += 1
        mean += (score.psnr - mean) / frames
        report()

    report()
    return measure_quality(method, clips, protocol, on_frame=on_frame)
